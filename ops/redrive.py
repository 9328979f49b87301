"""`make redrive`: move webhook deliveries from the dead-letter queue back to the queue that they came from.

Owns the two ways of doing so. AWS moves them itself, as a task. Where the account knows no such task (the emulator), or
where only some are wanted, each message is received, sent, and deleted only after its sending was accepted: whatever
happens in between, it is in one of the queues, or in both. In both is harmless, because the log knows a delivery.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from botocore.exceptions import ClientError

from ops.deployment import Deployment
from ops.program import AWS_ERRORS, DONE, NOT_DONE, OpenDeployment, Variables, run
from ops.progress import Progress

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef

USAGE: Final = "make redrive [MAX=<messages>] [STAGE=…]"

POLL_SECONDS: Final = 1.0
START_POLLS: Final = 60
"""A task is listed a moment after it was started; after so many looks it will not be."""

HIDDEN_SECONDS: Final = 30
"""How long a message is hidden while it is moved: as long as it waits if the move is interrupted."""

UNKNOWN_ACTION: Final = "InvalidAction"


class MoveTasksUnknown(Exception):
    """The account's SQS does not know move tasks."""


class TaskNotListed(Exception):
    """A task was started and does not appear."""


class Queue(NamedTuple):
    """What SQS says of a queue. Its counts are approximate, and about a minute behind."""

    arn: str
    waiting: int
    hidden: int  # received by somebody, and not yet deleted
    max_receives: int | None

    @classmethod
    def look(cls, sqs: "SQSClient", url: str) -> "Queue":
        """Ask SQS."""
        says = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        policy = json.loads(says.get("RedrivePolicy", "{}"))
        return cls(
            says["QueueArn"],
            int(says["ApproximateNumberOfMessages"]),
            int(says["ApproximateNumberOfMessagesNotVisible"]),
            int(policy["maxReceiveCount"]) if "maxReceiveCount" in policy else None,
        )

    def __str__(self) -> str:
        return f"about {self.waiting} waiting" + (f", {self.hidden} being looked at" if self.hidden else "")


class MoveTask:
    """AWS's own way: one task for all messages, back to the queue that each came from.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
    """

    def __init__(self, sqs: "SQSClient", dead_letters_arn: str, sleep: Callable[[float], object]) -> None:
        self._sqs = sqs
        self._arn = dead_letters_arn
        self._sleep = sleep

    def move(self, total: int) -> bool:
        """Move all, and return whether AWS completed it. Raises MoveTasksUnknown, TaskNotListed, botocore's errors."""
        before = self._latest()
        if before is not None and before["Status"] in ("RUNNING", "CANCELLING"):
            # AWS runs one for a queue at a time.
            print("A move task is running already. This is that one:", flush=True)
            before = None
        else:
            self._sqs.start_message_move_task(SourceArn=self._arn)
        try:
            with Progress("moved", total) as progress:
                task = self._watch(before, progress, total)
        except KeyboardInterrupt:
            print(f"AWS goes on with the task; see: aws sqs list-message-move-tasks --source-arn {self._arn}")
            raise
        print(f"{task['Status']}: about {task.get('ApproximateNumberOfMessagesMoved', 0)} moved.")
        if "FailureReason" in task:
            print(f"AWS says why: {task['FailureReason']}")
        return task["Status"] == "COMPLETED"

    def _watch(
        self, before: "ListMessageMoveTasksResultEntryTypeDef | None", progress: Progress, total: int
    ) -> "ListMessageMoveTasksResultEntryTypeDef":
        looks = 0
        while True:
            task = self._latest()
            if task is None or (before is not None and task["StartedTimestamp"] == before["StartedTimestamp"]):
                looks += 1
                if looks == START_POLLS:
                    raise TaskNotListed
            else:
                moved = task.get("ApproximateNumberOfMessagesMoved", 0)
                progress.show(moved, max(task.get("ApproximateNumberOfMessagesToMove", total), moved))
                if task["Status"] not in ("RUNNING", "CANCELLING"):
                    return task
            self._sleep(POLL_SECONDS)

    def _latest(self) -> "ListMessageMoveTasksResultEntryTypeDef | None":
        try:
            tasks = self._sqs.list_message_move_tasks(SourceArn=self._arn, MaxResults=1).get("Results", [])
        except ClientError as error:
            if error.response["Error"]["Code"] == UNKNOWN_ACTION:
                raise MoveTasksUnknown from None
            raise
        return tasks[0] if tasks else None


def move_one_by_one(sqs: "SQSClient", dead_letters_url: str, queue_url: str, at_most: int) -> int:
    """Move messages by receiving, sending and deleting each; return how many.

    Never more than `at_most`, as one that fails again comes back. Raises botocore's errors.
    """
    moved = 0
    try:
        with Progress("moved", at_most) as progress:
            while moved < at_most:
                received = sqs.receive_message(
                    QueueUrl=dead_letters_url,
                    MaxNumberOfMessages=1,
                    VisibilityTimeout=HIDDEN_SECONDS,
                    WaitTimeSeconds=1,
                    MessageAttributeNames=["All"],
                ).get("Messages", [])
                if not received:
                    break
                (message,) = received
                sqs.send_message(
                    QueueUrl=queue_url,
                    MessageBody=message["Body"],
                    MessageAttributes=message.get("MessageAttributes", {}),
                )
                moved += 1
                sqs.delete_message(QueueUrl=dead_letters_url, ReceiptHandle=message["ReceiptHandle"])
                progress.advance()
    except (*AWS_ERRORS, KeyboardInterrupt):
        print(f"Stopped after {moved}. A message that was on its way is back in {HIDDEN_SECONDS} seconds.")
        raise
    print(f"Moved {moved}.")
    return moved


def _move(
    sqs: "SQSClient", urls: tuple[str, str], before: Queue, at_most: int | None, sleep: Callable[[float], object]
) -> bool:
    """Move messages in the way that fits, and return whether all that were to be moved were."""
    dead_letters_url, queue_url = urls
    wanted = before.waiting if at_most is None else min(at_most, before.waiting)
    if at_most is None:
        try:
            return MoveTask(sqs, before.arn, sleep).move(before.waiting)
        except MoveTasksUnknown:
            print("This account's SQS knows no move tasks (the emulator does not): moving the messages one by one.")
        except TaskNotListed:
            print("AWS took the task and does not list it. Look at the queue in a few minutes.")
            return False
    else:
        print("A move task of AWS takes all there are: with MAX, the messages are moved one by one.")
    return move_one_by_one(sqs, dead_letters_url, queue_url, wanted) == wanted


def main(
    environment: Mapping[str, str],
    open_deployment: OpenDeployment = Deployment.open,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Move the messages back, and return the exit code."""

    def work() -> int:
        variables = Variables(environment)
        at_most = variables.count("MAX")
        variables.check()
        deployment = open_deployment(variables.stage)
        print(deployment.title, flush=True)
        urls = deployment.output("WebhookDeadLetterQueueUrl"), deployment.output("WebhookQueueUrl")
        with closing(deployment.client("sqs")) as sqs:
            before, queue = Queue.look(sqs, urls[0]), Queue.look(sqs, urls[1])
            print(f"Dead-letter queue: {before}.", flush=True)
            if not before.waiting:
                print("There is nothing to move. (SQS counts about a minute behind.)")
                return DONE
            done = _move(sqs, urls, before, at_most, sleep)
            print(f"Dead-letter queue now: {Queue.look(sqs, urls[0])}.")
            print(f"What cannot be processed comes back to it after {queue.max_receives} attempts: look again then.")
            return DONE if done else NOT_DONE

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
