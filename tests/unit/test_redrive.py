"""`make redrive`: AWS's move task, and moving one by one where there is none. No message is ever lost."""

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError

from local.stop_signals import StopRequested
from ops import redrive
from tests.support.ops_fakes import TITLE, FakeDeployments, Outcome, runner
from tests.support.token_fakes import aws_account, refuse

ARN = "arn:aws:sqs:eu-west-1:123456789012:dead-letters"
POISON = "What cannot be processed comes back to it after 5 attempts: look again then."


class World(NamedTuple):
    """Both queues, and the program over them."""

    sqs: Any
    dead_letters: str
    queue: str
    redrive: Callable[..., Outcome]

    def fill(self, count: int) -> list[str]:
        """Put messages on the dead-letter queue."""
        bodies = [f"message-{number:02}" for number in range(count)]
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.dead_letters, MessageBody=body)
        return bodies

    def waiting(self, url: str) -> list[str]:
        """What a queue has for whoever asks, left there."""
        bodies: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return sorted(bodies)


def deployments() -> FakeDeployments:
    return FakeDeployments({"WebhookDeadLetterQueueUrl": "dead-letters", "WebhookQueueUrl": "queue"})


def do_not_wait(params: dict[str, Any], **_: object) -> None:
    params["WaitTimeSeconds"] = 0


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    """An account without move tasks, as the emulator is."""
    with aws_account():
        sqs = boto3.client("sqs")
        dead_letters = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        policy = json.dumps({"deadLetterTargetArn": ARN, "maxReceiveCount": 5})
        queue = sqs.create_queue(QueueName="queue", Attributes={"RedrivePolicy": policy})["QueueUrl"]
        sqs.meta.events.register("provide-client-params.sqs.ReceiveMessage", do_not_wait)
        for operation in ("ListMessageMoveTasks", "StartMessageMoveTask"):
            refuse(sqs, operation, "InvalidAction")
        opened = deployments()
        opened.outputs = {"WebhookDeadLetterQueueUrl": dead_letters, "WebhookQueueUrl": queue}
        opened.clients["sqs"] = sqs
        yield World(sqs, dead_letters, queue, runner(redrive.main, opened, capsys))


# --- one by one ---


def test_without_move_tasks_it_says_so_and_moves_one_by_one(world: World) -> None:
    bodies = world.fill(3)
    outcome = world.redrive()
    assert outcome.exit_code == 0
    assert outcome.lines == [
        TITLE,
        "Dead-letter queue: about 3 waiting.",
        "This account's SQS knows no move tasks (the emulator does not): moving the messages one by one.",
        "  moved 1 of 3",
        "  moved 2 of 3",
        "  moved 3 of 3",
        "Moved 3.",
        "Dead-letter queue now: about 0 waiting.",
        POISON,
    ]
    assert world.waiting(world.queue) == bodies
    assert world.waiting(world.dead_letters) == []


def test_a_number_moves_so_many(world: World) -> None:
    world.fill(5)
    outcome = world.redrive(MAX="2")
    assert outcome.exit_code == 0
    assert "A move task of AWS takes all there are: with MAX, the messages are moved one by one." in outcome.lines
    assert (len(world.waiting(world.queue)), len(world.waiting(world.dead_letters))) == (2, 3)


def test_a_number_beyond_what_there_is_moves_all(world: World) -> None:
    world.fill(2)
    assert world.redrive(MAX="9").exit_code == 0
    assert len(world.waiting(world.queue)) == 2


def test_an_empty_queue_is_left_alone(world: World) -> None:
    outcome = world.redrive()
    assert outcome.exit_code == 0
    assert outcome.lines[1:] == [
        "Dead-letter queue: about 0 waiting.",
        "There is nothing to move. (SQS counts about a minute behind.)",
    ]


def test_a_message_keeps_its_attributes(world: World) -> None:
    attributes = {"sender": {"DataType": "String", "StringValue": "somebody"}}
    world.sqs.send_message(QueueUrl=world.dead_letters, MessageBody="b", MessageAttributes=attributes)
    world.redrive()
    (message,) = world.sqs.receive_message(QueueUrl=world.queue, MessageAttributeNames=["All"])["Messages"]
    assert message["MessageAttributes"] == attributes


def test_a_message_that_fails_again_at_once_does_not_go_round_for_ever(world: World) -> None:
    world.fill(2)

    def come_back(params: dict[str, Any], **_: object) -> None:
        if params["QueueUrl"] == world.queue:
            world.sqs.send_message(QueueUrl=world.dead_letters, MessageBody=params["MessageBody"])

    world.sqs.meta.events.register("provide-client-params.sqs.SendMessage", come_back)
    outcome = world.redrive()
    assert "Moved 2." in outcome.lines
    assert "Dead-letter queue now: about 2 waiting." in outcome.lines


def test_a_message_that_was_not_sent_is_not_deleted(world: World) -> None:
    bodies = world.fill(1)
    accept = refuse(world.sqs, "SendMessage", "RequestThrottled", "quoted text")
    outcome = world.redrive()
    assert outcome.exit_code == 1
    assert outcome.lines[-1] == "Stopped after 0. A message that was on its way is back in 30 seconds."
    assert outcome.err == "AWS did not do it: SendMessage, RequestThrottled.\n"
    look = redrive.Queue.look(world.sqs, world.dead_letters)
    assert (look.waiting, look.hidden) == (0, 1)
    assert str(look) == "about 0 waiting, 1 being looked at"
    accept()
    show_again(world)
    assert world.redrive().exit_code == 0
    assert world.waiting(world.queue) == bodies


def show_again(world: World) -> None:
    """Let the time pass after which a message that was received and not deleted is there again."""
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - only here

    for queue in sqs_backends["123456789012"]["eu-west-1"].queues.values():
        for message in queue._messages:
            message.visible_at = 0


def test_a_message_that_was_sent_and_not_deleted_is_in_both_queues(world: World) -> None:
    bodies = world.fill(1)
    refuse(world.sqs, "DeleteMessage", "RequestThrottled")
    outcome = world.redrive()
    assert outcome.exit_code == 1
    assert outcome.lines[-1].startswith("Stopped after 1.")
    show_again(world)
    assert world.waiting(world.queue) == bodies
    assert world.waiting(world.dead_letters) == bodies


@pytest.mark.parametrize("operation", ["ReceiveMessage", "SendMessage", "DeleteMessage"])
def test_a_message_is_in_a_queue_wherever_the_program_is_stopped(world: World, operation: str) -> None:
    bodies = world.fill(3)

    def stop(**_: object) -> None:
        raise StopRequested(signal.SIGTERM)

    for moment in ("before-call", "after-call"):
        event = f"{moment}.sqs.{operation}"
        world.sqs.meta.events.register(event, stop)
        assert world.redrive().exit_code == 143
        world.sqs.meta.events.unregister(event, stop)
        show_again(world)
        assert set(world.waiting(world.queue)) | set(world.waiting(world.dead_letters)) == set(bodies)
        show_again(world)


def test_fewer_than_were_counted_are_no_success(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.fill(2)
    look = redrive.Queue.look
    monkeypatch.setattr(redrive.Queue, "look", lambda sqs, url: look(sqs, url)._replace(waiting=4))
    outcome = world.redrive()
    assert (outcome.exit_code, "Moved 2." in outcome.lines) == (1, True)


@pytest.mark.parametrize("text", ["0", "all", "-1"])
def test_a_wrong_number_is_refused(world: World, text: str) -> None:
    world.fill(1)
    outcome = world.redrive(MAX=text)
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert "MAX is a whole number from 1 on." in outcome.err
    assert "Usage: make redrive" in outcome.err


# --- AWS's task ---


class FakeSqs:
    """SQS with move tasks: each look at them is the next of the script, the last one again and again."""

    def __init__(self, *looks: dict[str, Any] | None) -> None:
        self.looks = list(looks)
        self.started: list[dict[str, str]] = []
        self.stop_at_sleep = False
        self.slept = 0

    def get_queue_attributes(self, QueueUrl: str, **_: object) -> dict[str, Any]:  # noqa: N803 - boto3's own name
        attributes = {
            "QueueArn": ARN if QueueUrl == "dead-letters" else "arn:of:the:queue",
            "ApproximateNumberOfMessages": "0" if self.slept > 1 else "40",
            "ApproximateNumberOfMessagesNotVisible": "0",
        }
        if QueueUrl == "queue":
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": ARN, "maxReceiveCount": 5})
        return {"Attributes": attributes}

    def start_message_move_task(self, **arguments: str) -> dict[str, str]:
        self.started.append(arguments)
        return {"TaskHandle": "a-handle"}

    def list_message_move_tasks(self, SourceArn: str, MaxResults: int) -> dict[str, Any]:  # noqa: N803 - as above
        assert (SourceArn, MaxResults) == (ARN, 1)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {} if look is None else {"Results": [look]}

    def sleep(self, seconds: float) -> None:
        """Let a look's time pass."""
        assert seconds == redrive.POLL_SECONDS
        self.slept += 1
        if self.stop_at_sleep:
            raise StopRequested(signal.SIGINT)

    def close(self) -> None:
        """Nothing is open."""


def task(status: str, moved: int | None = None, started: int = 2, **more: Any) -> dict[str, Any]:
    numbers = {} if moved is None else {"ApproximateNumberOfMessagesMoved": moved}
    return {"Status": status, "SourceArn": ARN, "StartedTimestamp": started, **numbers, **more}


def run_on_aws(sqs: FakeSqs, capsys: pytest.CaptureFixture[str], **variables: str) -> Outcome:
    opened = deployments()
    opened.clients["sqs"] = sqs
    return runner(redrive.main, opened, capsys, sqs.sleep)(**variables)


def test_on_aws_a_task_moves_all_back_to_where_they_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    earlier = task("COMPLETED", 9, started=1)
    running = task("RUNNING", 20, ApproximateNumberOfMessagesToMove=41)
    sqs = FakeSqs(earlier, earlier, task("RUNNING"), running, task("COMPLETED", 41))
    outcome = run_on_aws(sqs, capsys)
    assert sqs.started == [{"SourceArn": ARN}], "no destination: AWS knows where each came from"
    assert outcome.exit_code == 0
    assert outcome.lines == [
        TITLE,
        "Dead-letter queue: about 40 waiting.",
        "  moved 20 of 41",
        "  moved 41 of 41",
        "COMPLETED: about 41 moved.",
        "Dead-letter queue now: about 0 waiting.",
        POISON,
    ]


def test_the_first_task_of_a_queue_appears_a_moment_later(capsys: pytest.CaptureFixture[str]) -> None:
    sqs = FakeSqs(None, None, task("COMPLETED", 40))
    assert run_on_aws(sqs, capsys).exit_code == 0
    assert len(sqs.started) == sqs.slept == 1


@pytest.mark.parametrize("status", ["RUNNING", "CANCELLING"])
def test_a_task_that_is_running_already_is_watched(capsys: pytest.CaptureFixture[str], status: str) -> None:
    sqs = FakeSqs(task(status, 10), task(status, 20), task("COMPLETED", 40))
    outcome = run_on_aws(sqs, capsys)
    assert (outcome.exit_code, sqs.started) == (0, [])
    assert "A move task is running already. This is that one:" in outcome.lines


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_task_that_does_not_complete_is_no_success(capsys: pytest.CaptureFixture[str], status: str) -> None:
    sqs = FakeSqs(None, task(status, FailureReason="CouldNotDetermineMessageSource"))
    outcome = run_on_aws(sqs, capsys)
    assert outcome.exit_code == 1
    assert f"{status}: about 0 moved." in outcome.lines
    assert "AWS says why: CouldNotDetermineMessageSource" in outcome.lines


def test_a_task_that_never_appears_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    sqs = FakeSqs(task("COMPLETED", 9, started=1))
    outcome = run_on_aws(sqs, capsys)
    assert outcome.exit_code == 1
    assert "AWS took the task and does not list it. Look at the queue in a few minutes." in outcome.lines
    assert sqs.slept < redrive.START_POLLS


def test_the_task_goes_on_when_the_program_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    sqs = FakeSqs(None, task("RUNNING", 1))
    sqs.stop_at_sleep = True
    outcome = run_on_aws(sqs, capsys)
    assert outcome.exit_code == 130
    assert outcome.lines[-1].endswith(f"aws sqs list-message-move-tasks --source-arn {ARN}")


def test_an_account_that_refuses_is_no_account_without_tasks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = FakeSqs(None)
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "quoted text"}}, "ListMessageMoveTasks")

    def deny(**_: object) -> None:
        raise denied

    monkeypatch.setattr(sqs, "list_message_move_tasks", deny)
    outcome = run_on_aws(sqs, capsys)
    assert (outcome.exit_code, outcome.err) == (1, "AWS did not do it: ListMessageMoveTasks, AccessDenied.\n")
