"""`make status`: what is on the screen, and what is said where it cannot be asked."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ops import status
from ops.deployment import NoDeployment
from tests.support.ops_account import DAY_SECONDS, MARK, FakeAccount, refused
from tests.support.ops_fakes import Outcome, runner


class World(NamedTuple):
    """An account, and the program over it."""

    account: FakeAccount
    status: Callable[..., Outcome]

    def lines(self) -> list[str]:
        """Return what is said, without the spaces between."""
        outcome = self.status(OPS_STAGE="prod")
        assert (outcome.exit_code, outcome.err) == (0, "")
        assert MARK not in outcome.out
        return [" ".join(line.split()) for line in outcome.lines]


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> World:
    account = FakeAccount()
    return World(account, runner(status.main, account, capsys, account.clock))


def test_a_healthy_deployment_is_one_screen(world: World) -> None:
    lines = world.lines()
    assert lines == [
        "gatehouse-prod (stage prod, AWS, eu-west-1)",
        "https://abc.execute-api.eu-west-1.amazonaws.com",
        "",
        "Integration API",
        "access token 50 min left, obtained 10 min ago",
        "refresh token obtained 1.0 days ago, of 7 days",
        "",
        "Last runs",
        "refresh_tokens unchanged 3 min ago (the access token is good)",
        "authenticate authenticated 67 min ago (new tokens are stored)",
        "",
        "Queues",
        "WebhookQueue about 0 waiting",
        "WebhookDeadLetterQueue about 0 waiting",
        "TokenDeadLetterQueue about 0 waiting",
        "",
        "Deliveries",
        "smallcase 0 in the last hour",
        "integration.broker 0 in the last hour",
        "integration.shop 7 in the last hour",
        "",
        "Alarms",
        "alarms none rings",
        "",
        "Whether that is as it should be: make doctor STAGE=prod",
    ]
    assert len(lines) <= 30


@pytest.mark.parametrize(
    ("text", "said"),
    [("{}", "tokens none"), ("[]", "tokens unreadable: not_an_object"), (MARK, "tokens unreadable: not_json")],
)
def test_tokens_that_are_none_are_said(world: World, text: str, said: str) -> None:
    world.account.secrets["tokens"] = text
    assert said in world.lines()


def test_an_expired_token_is_said_with_its_age(world: World) -> None:
    world.account.change_tokens(expires_at=-90, access_token_obtained_at=-2 * DAY_SECONDS)
    assert "access token expired 90 s ago, obtained 2.0 days ago" in world.lines()


def test_functions_that_have_not_run_are_said(world: World) -> None:
    world.account.logs["Authenticate"] = []
    assert "authenticate no run in the last hours" in world.lines()


def test_queues_and_alarms_are_said(world: World) -> None:
    world.account.outputs["ConnectionDeadLetterQueueUrl"] = "https://sqs/connection-failures"
    world.account.messages["https://sqs/connection-failures"] = ("3", "1")
    world.account.answers["cloudwatch"]["describe_alarms"] = {"MetricAlarms": [{"AlarmName": "gatehouse-prod-a"}]}
    lines = world.lines()
    assert "ConnectionDeadLetterQueue about 3 waiting, 1 being looked at" in lines
    assert "alarms gatehouse-prod-a" in lines


def test_sources_that_cannot_be_read_leave_smallcase(world: World) -> None:
    world.account.secrets["webhooks"] = "no JSON"
    assert [line for line in world.lines() if "in the last hour" in line] == ["smallcase 0 in the last hour"]


def test_a_source_that_cannot_be_used_is_counted_all_the_same(world: World) -> None:
    world.account.secrets["webhooks"] = json.dumps({"late": {"authentication": []}})
    assert "integration.late 0 in the last hour" in world.lines()


def test_what_cannot_be_asked_is_unknown_and_the_rest_is_there(world: World) -> None:
    world.account.answers["sqs"]["get_queue_attributes"] = refused("GetQueueAttributes")
    lines = world.lines()
    assert lines[lines.index("Queues") + 1] == "unknown: GetQueueAttributes, AccessDeniedException"
    assert "smallcase 0 in the last hour" in lines


def test_without_a_deployment_it_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    def nothing_there(_: str) -> Any:
        raise NoDeployment("Start one with `make run`.")

    assert status.main({}, nothing_there) == 2
    assert capsys.readouterr().err == "Start one with `make run`.\n"
