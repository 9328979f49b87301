"""Both functions that nobody waits for, from event to outcome, over an AWS account in memory."""

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.authenticate import app as authenticate_app
from functions.refresh_tokens import app as refresh_app
from gatehouse import aws
from gatehouse.authenticator import Trigger
from gatehouse.background import UnexpectedError, metric_name
from gatehouse.lease import INTEGRATION_TOKENS, LEASE_SECONDS, DynamoDBLease
from gatehouse.secret_value import Secret
from gatehouse.settings import SettingsInvalid
from gatehouse.token_adapters import RESERVE_SECONDS
from gatehouse.upstream import UpstreamFault
from tests.support.events import event
from tests.support.token_fakes import (
    DAY_SECONDS,
    HOUR_SECONDS,
    Context,
    TokenAccount,
    error_answer,
    grant_answer,
    make_tokens,
    refuse,
    token_account,
)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenAccount]:
    with token_account(monkeypatch) as fresh:
        yield fresh


def refresh(_account: TokenAccount) -> dict[str, object]:
    return refresh_app.handler(event("refresh_tokens"), Context())


def authenticate(account: TokenAccount, **members: object) -> dict[str, object]:
    """Invoke by hand."""
    return authenticate_app.handler(members, Context())


def authenticate_by_event(account: TokenAccount, version_id: str | None = None) -> dict[str, object]:
    """Invoke by an event for the tokens that are stored, or for others."""
    asked = event("authenticate")
    asked["detail"]["tokens_version_id"] = version_id or account.stored.version_id
    return authenticate_app.handler(asked, Context())


class Printed:
    """What a function printed: log lines, and metrics in CloudWatch's embedded format."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        captured = capsys.readouterr()
        self.text = captured.out + captured.err
        lines = [json.loads(line) for line in captured.out.splitlines()]
        self.log = [line for line in lines if "_aws" not in line]
        self.metrics = [line for line in lines if "_aws" in line]

    def values(self) -> dict[str, Any]:
        """The values of the one set of metrics, by name."""
        (metrics,) = self.metrics
        (directive,) = metrics["_aws"]["CloudWatchMetrics"]
        return {each["Name"]: metrics[each["Name"]] for each in directive["Metrics"]}

    def messages(self) -> list[str]:
        return [line["message"] for line in self.log]


# --- every outcome ---


def good_tokens(account: TokenAccount) -> None:
    account.hold_tokens()


def tokens_near_their_end(account: TokenAccount) -> None:
    account.hold_tokens(left=60)
    account.transport.will(grant_answer(account.clock.now))


def old_tokens(account: TokenAccount) -> None:
    account.hold_tokens(refresh_token_age=6 * DAY_SECONDS)


def nothing(_account: TokenAccount) -> None:
    pass


def upstream_down(account: TokenAccount) -> None:
    account.hold_tokens(left=60)
    account.transport.will(UpstreamFault("timeout"))


def another_run_works(account: TokenAccount) -> None:
    account.hold_tokens(left=60)
    assert DynamoDBLease("state", INTEGRATION_TOKENS, account.clock).acquire("another run")


def another_run_wins(account: TokenAccount) -> None:
    account.hold_tokens(left=60)

    def overtake(_request: object) -> Any:
        account.hold_tokens(name="others")
        return grant_answer(account.clock.now)

    account.transport.will(overtake)


def no_table(account: TokenAccount) -> None:
    account.hold_tokens(left=60)
    boto3.client("dynamodb").delete_table(TableName="state")


def no_secret(account: TokenAccount) -> None:
    account.secrets.delete_secret(SecretId=account.tokens_arn, ForceDeleteWithoutRecovery=True)


def granting(account: TokenAccount) -> None:
    account.transport.will(grant_answer(account.clock.now))


def rejecting(account: TokenAccount) -> None:
    account.transport.will(error_answer(401, "INVALID_API_KEY"))


def placeholders(account: TokenAccount) -> None:
    account.write_credentials('{"api_key": "REPLACE_ME", "secret_key": "REPLACE_ME"}')


REFRESH_OUTCOMES: list[tuple[Callable[[TokenAccount], None], str, str]] = [
    (good_tokens, "unchanged", "Unchanged"),
    (tokens_near_their_end, "refreshed", "Refreshed"),
    (nothing, "reauthentication_requested", "ReauthenticationRequested"),
    (old_tokens, "reauthentication_requested", "ReauthenticationRequested"),
    (upstream_down, "upstream_unavailable", "UpstreamUnavailable"),
    (another_run_wins, "lost_race", "LostRace"),
    (another_run_works, "busy", "Busy"),
    (no_table, "aws_unavailable", "AwsUnavailable"),
    (no_secret, "aws_unavailable", "AwsUnavailable"),
]
AUTHENTICATE_OUTCOMES: list[tuple[Callable[[TokenAccount], None], str, str]] = [
    (granting, "authenticated", "Authenticated"),
    (rejecting, "credentials_rejected", "CredentialsRejected"),
    (placeholders, "not_configured", "NotConfigured"),
    (upstream_down, "upstream_unavailable", "UpstreamUnavailable"),
    (another_run_wins, "lost_race", "LostRace"),
    (another_run_works, "busy", "Busy"),
    (no_table, "aws_unavailable", "AwsUnavailable"),
    (no_secret, "aws_unavailable", "AwsUnavailable"),
]


@pytest.mark.parametrize(("prepare", "outcome", "metric"), REFRESH_OUTCOMES)
def test_refresh_tokens_returns_counts_and_logs_its_outcome(
    account: TokenAccount,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[TokenAccount], None],
    outcome: str,
    metric: str,
) -> None:
    prepare(account)
    assert refresh(account) == {"outcome": outcome}
    printed = Printed(capsys)
    assert printed.values()[metric] == [1.0]
    assert (printed.log[-1]["message"], printed.log[-1]["outcome"]) == ("function.done", outcome)


@pytest.mark.parametrize(("prepare", "outcome", "metric"), AUTHENTICATE_OUTCOMES)
def test_authenticate_returns_counts_and_logs_its_outcome(
    account: TokenAccount,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[TokenAccount], None],
    outcome: str,
    metric: str,
) -> None:
    prepare(account)
    assert authenticate(account) == {"outcome": outcome}
    printed = Printed(capsys)
    assert printed.values() == {metric: [1.0]}
    assert (printed.log[-1]["message"], printed.log[-1]["outcome"]) == ("function.done", outcome)


def test_an_event_that_came_late_is_not_needed(account: TokenAccount, capsys: pytest.CaptureFixture[str]) -> None:
    assert authenticate_by_event(account, "another version") == {"outcome": "not_needed"}
    assert Printed(capsys).values() == {"NotNeeded": [1.0]}
    assert not account.transport.sent


# --- what they do to the account ---


def test_from_nothing_to_tokens_to_newer_tokens(account: TokenAccount) -> None:
    """A first tick asks for tokens, its event gets them, and 40 minutes later they are refreshed."""
    assert refresh(account) == {"outcome": "reauthentication_requested"}
    (entry,) = account.events
    assert (entry["EventBusName"], entry["Source"]) == ("gatehouse", "gatehouse.tokens")
    detail = json.loads(entry["Detail"])
    granting(account)
    assert authenticate_by_event(account, detail["tokens_version_id"]) == {"outcome": "authenticated"}
    account.clock.now += 40 * 60
    account.transport.will(grant_answer(account.clock.now, access_token="access-newer"))
    assert refresh(account) == {"outcome": "refreshed"}
    tokens = account.stored.tokens
    assert tokens is not None
    assert tokens.access_token == Secret("access-newer")
    assert tokens.expires_at == account.clock.now + HOUR_SECONDS
    assert [each["DetailType"] for each in account.events] == [
        "tokens.reauthentication-required",
        "tokens.authenticated",
        "tokens.refreshed",
    ]


def test_the_lease_is_given_back(account: TokenAccount) -> None:
    tokens_near_their_end(account)
    refresh(account)
    assert boto3.client("dynamodb").scan(TableName="state")["Items"] == []


def test_rejected_credentials_are_tried_once_until_an_operator_forces_them(account: TokenAccount) -> None:
    rejecting(account)
    assert authenticate_by_event(account) == {"outcome": "credentials_rejected"}
    assert authenticate_by_event(account) == {"outcome": "credentials_rejected"}
    assert authenticate(account) == {"outcome": "credentials_rejected"}
    assert len(account.transport.sent) == 1
    granting(account)
    assert authenticate(account, force=True) == {"outcome": "authenticated"}


def test_new_credentials_are_tried_without_force(account: TokenAccount) -> None:
    rejecting(account)
    authenticate(account)
    account.write_credentials('{"api_key": "new-key", "secret_key": "new-secret"}')
    granting(account)
    assert authenticate(account) == {"outcome": "authenticated"}
    assert account.transport.sent[-1].document == {"api_key": "new-key", "secret_key": "new-secret"}


def test_the_operator_chooses_headers(account: TokenAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATION_CREDENTIALS_IN", "headers")
    granting(account)
    authenticate(account)
    (sent,) = account.transport.sent
    assert sent.request.headers["Api-Key"] == "the-api-key"
    assert sent.request.body is None


def test_the_upstream_gets_what_is_left_of_the_time_but_for_a_reserve(account: TokenAccount) -> None:
    account.hold_tokens(left=60)
    account.transport.takes_seconds = 7
    account.transport.will(*[error_answer(503)] * 3)
    began = account.clock.now
    refresh(account)
    available = Context().get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    assert [sent.timeout_seconds for sent in account.transport.sent][:2] == [8, 8]
    assert account.transport.sent[-1].timeout_seconds < 3
    assert sum(sent.timeout_seconds > available for sent in account.transport.sent) == 0
    assert account.clock.now - began <= available + account.transport.takes_seconds


def test_the_lease_outlives_the_longest_run(account: TokenAccount) -> None:
    assert Context().get_remaining_time_in_millis() / 1000 < LEASE_SECONDS


def test_a_bus_that_takes_no_request_for_authenticate_is_aws_unavailable(account: TokenAccount) -> None:
    refuse(aws.events(), "PutEvents", "InternalException")
    assert refresh(account) == {"outcome": "aws_unavailable"}


# --- gauges ---


@pytest.mark.parametrize(("left", "shown"), [(HOUR_SECONDS, HOUR_SECONDS), (-HOUR_SECONDS, 0)])
def test_refresh_tokens_measures_how_long_the_tokens_last(
    account: TokenAccount, capsys: pytest.CaptureFixture[str], left: float, shown: float
) -> None:
    account.hold_tokens(left=left, refresh_token_age=DAY_SECONDS)
    account.transport.will(UpstreamFault("timeout"))
    refresh(account)
    values = Printed(capsys).values()
    assert values["AccessTokenSecondsLeft"] == [shown]
    assert values["RefreshTokenAgeSeconds"] == [DAY_SECONDS]


def test_without_tokens_there_is_nothing_to_measure(account: TokenAccount, capsys: pytest.CaptureFixture[str]) -> None:
    refresh(account)
    assert Printed(capsys).values() == {"ReauthenticationRequested": [1.0]}


def test_metrics_have_the_units_and_the_names_that_alarms_are_made_of(
    account: TokenAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    account.hold_tokens()
    refresh(account)
    (metrics,) = Printed(capsys).metrics
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Gatehouse/test"
    assert directive["Dimensions"] == [["service"]]
    assert metrics["service"] == "refresh_tokens"
    assert {each["Name"]: each["Unit"] for each in directive["Metrics"]} == {
        "Unchanged": "Count",
        "AccessTokenSecondsLeft": "Seconds",
        "RefreshTokenAgeSeconds": "Seconds",
    }


def test_each_run_counts_for_itself(account: TokenAccount, capsys: pytest.CaptureFixture[str]) -> None:
    refresh(account)
    refresh(account)
    printed = Printed(capsys)
    assert [each["ReauthenticationRequested"] for each in printed.metrics] == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("outcome", "metric"), [("busy", "Busy"), ("lost_race", "LostRace"), ("aws_unavailable", "AwsUnavailable")]
)
def test_an_outcomes_metric_is_its_name_in_the_other_spelling(outcome: str, metric: str) -> None:
    assert metric_name(outcome) == metric


# --- log lines ---


def test_a_log_line_says_which_function_and_which_invocation(
    account: TokenAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    refresh(account)
    printed = Printed(capsys)
    assert printed.messages() == ["tokens.missing", "function.done"]
    for line in printed.log:
        assert line["service"] == "refresh_tokens"
        assert line["function_request_id"] == Context().aws_request_id
        assert line["level"] in {"INFO", "WARNING"}


# --- bugs and settings ---


@pytest.mark.parametrize("invoke", [refresh, authenticate])
def test_a_bug_is_raised_without_its_text_and_logged_by_type_and_place(
    account: TokenAccount,
    capsys: pytest.CaptureFixture[str],
    invoke: Callable[[TokenAccount], object],
) -> None:
    def stumble(_request: object) -> Any:
        raise KeyError("s3cr3t")

    account.hold_tokens(left=60)
    account.transport.will(stumble)
    with pytest.raises(UnexpectedError) as caught:
        invoke(account)
    assert str(caught.value) == "KeyError"
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    printed = Printed(capsys)
    (line,) = [line for line in printed.log if line["message"] == "function.failed"]
    assert line["error_type"] == "KeyError"
    assert line["error_location"].startswith("background.py:")
    assert "test_background_functions.py:" in line["error_location"]
    assert "s3cr3t" not in printed.text
    assert not printed.metrics


def test_after_a_bug_the_next_run_counts_for_itself(account: TokenAccount, capsys: pytest.CaptureFixture[str]) -> None:
    def stumble(_request: object) -> Any:
        raise KeyError

    account.hold_tokens(left=60)
    account.transport.will(stumble, grant_answer(account.clock.now))
    with pytest.raises(UnexpectedError):
        refresh(account)
    assert refresh(account) == {"outcome": "refreshed"}
    assert Printed(capsys).values()["Refreshed"] == [1.0]


def test_a_bug_gives_the_lease_back(account: TokenAccount) -> None:
    """The tick after a bug is not busy."""
    account.hold_tokens(left=60)
    with pytest.raises(UnexpectedError):
        refresh(account)  # nothing is scripted: the transport raises
    keys = [item["pk"]["S"] for item in boto3.client("dynamodb").scan(TableName="state")["Items"]]
    assert keys == ["exchange#integration-tokens"], "what nobody knows the end of, and no lease"


@pytest.mark.parametrize(
    ("invoke", "names"),
    [
        (refresh, ["TOKENS_SECRET_ARN", "STATE_TABLE", "REFRESH_MARGIN_SECONDS"]),
        (authenticate, ["CREDENTIALS_SECRET_ARN", "EVENT_BUS", "INTEGRATION_BASE_URL", "INTEGRATION_CREDENTIALS_IN"]),
    ],
)
def test_a_function_without_its_environment_says_all_that_is_missing(
    account: TokenAccount,
    monkeypatch: pytest.MonkeyPatch,
    invoke: Callable[[TokenAccount], object],
    names: list[str],
) -> None:
    for name in names:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsInvalid) as caught:
        invoke(account)
    assert sorted(fault.split()[0] for fault in caught.value.faults) == sorted(names)


@pytest.mark.parametrize("margin", ["0", "3601", "x", "-1"])
def test_a_margin_outside_its_bounds_is_refused(
    account: TokenAccount, monkeypatch: pytest.MonkeyPatch, margin: str
) -> None:
    monkeypatch.setenv("REFRESH_MARGIN_SECONDS", margin)
    with pytest.raises(SettingsInvalid, match="REFRESH_MARGIN_SECONDS"):
        refresh(account)


def test_the_margin_is_the_operators(account: TokenAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRESH_MARGIN_SECONDS", "60")
    account.hold_tokens(left=61)
    assert refresh(account) == {"outcome": "unchanged"}


# --- the trigger ---


@pytest.mark.parametrize(
    ("asked", "trigger"),
    [
        (event("authenticate"), Trigger(only_while_version_id="3f2b8a1c-7d4e-4f60-9b12-5c6d7e8f9a0b")),
        ({}, Trigger()),
        (None, Trigger()),
        ([], Trigger()),
        ("force", Trigger()),
        ({"force": True}, Trigger(force=True)),
        ({"force": False}, Trigger()),
        ({"force": 1}, Trigger()),
        ({"force": "true"}, Trigger()),
        ({"force": [True]}, Trigger()),
        ({"detail-type": "x"}, Trigger(only_while_version_id="")),
        ({"detail-type": None}, Trigger(only_while_version_id="")),
        ({"detail-type": "x", "detail": None}, Trigger(only_while_version_id="")),
        ({"detail-type": "x", "detail": []}, Trigger(only_while_version_id="")),
        ({"detail-type": "x", "detail": {}}, Trigger(only_while_version_id="")),
        ({"detail-type": "x", "detail": {"tokens_version_id": None}}, Trigger(only_while_version_id="")),
        ({"detail-type": "x", "detail": {"tokens_version_id": 7}}, Trigger(only_while_version_id="")),
        ({"detail-type": "x", "detail": {"tokens_version_id": "v"}}, Trigger(only_while_version_id="v")),
        ({"detail-type": "x", "force": True, "detail": {"force": True}}, Trigger(only_while_version_id="")),
        ({"detail": {"tokens_version_id": "v"}}, Trigger()),
    ],
)
def test_a_trigger_is_an_event_of_the_bus_or_an_operators(asked: object, trigger: Trigger) -> None:
    assert authenticate_app.read_trigger(asked) == trigger


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANY_JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "detail-type": ANY_JSON,
        "detail": st.fixed_dictionaries({}, optional={"tokens_version_id": ANY_JSON}) | ANY_JSON,
        "force": ANY_JSON,
    },
)


@given(ANY_JSON | EVENTS)
def test_any_event_at_all_is_a_trigger_and_force_is_never_guessed(asked: Any) -> None:
    trigger = authenticate_app.read_trigger(asked)
    is_event = isinstance(asked, dict) and "detail-type" in asked
    assert (trigger.only_while_version_id is not None) == is_event
    assert not trigger.force or asked["force"] is True


@pytest.mark.parametrize("asked", [None, [], "x", 7, {"x": 1}, event("issue_guest_token")])
def test_refresh_tokens_runs_whatever_it_is_invoked_with(account: TokenAccount, asked: object) -> None:
    account.hold_tokens()
    assert refresh_app.handler(asked, Context()) == {"outcome": "unchanged"}


def test_stored_tokens_are_those_that_the_tests_make(account: TokenAccount) -> None:
    account.hold_tokens(left=60)
    assert account.stored.tokens == make_tokens(account.clock.now, left=60)


def test_a_thread_that_sleeps_elsewhere_does_not_move_the_clock(account: TokenAccount) -> None:
    before = account.clock.now
    elsewhere = threading.Thread(target=lambda: time.sleep(0.001))
    elsewhere.start()
    elsewhere.join()
    assert account.clock.now == before
    time.sleep(60)
    assert account.clock.now == before + 60
