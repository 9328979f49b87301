"""Faults around the Integration API's tokens that come from AWS and from operators, on the deployed template.

Each test is one row of the table in docs/token-lifecycle.md: a known outcome, its metric, and either a recovery by
itself or a message that says what to do. `pytest -s` prints the rows with the seconds that were measured.
"""

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gatehouse.background import metric_name
from gatehouse.secrets import RESTORE
from tests.conftest import ROOT
from tests.e2e.token_lifecycle import First, Lifecycle, Version, log_lines, until
from tests.support.faulty_aws import NOT_THERE, THROTTLED, FaultyAws, faulty_aws, kill_functions

REFRESH, AUTHENTICATE = "RefreshTokens", "Authenticate"
DUE_SECONDS = 600  # below the margin of 1500
TRACE = "exchange#integration-tokens"
NEW_CREDENTIALS = {"api_key": "SENTINEL-new-api-key", "secret_key": "SENTINEL-new-secret-key"}
DOCUMENT = (ROOT / "docs" / "token-lifecycle.md").read_text()


class Row(NamedTuple):
    """What a fault led to. `ticks`: the outcomes of the ticks after its end."""

    fault: str
    outcome: str
    ticks: tuple[str, ...]
    seconds: float

    @property
    def documented(self) -> str:
        """How the document's table has it, but for the seconds."""
        outcome = f"`{self.outcome}`" if self.outcome else "none"
        return f"| {self.fault} | {outcome} | {', '.join(f'`{each}`' for each in self.ticks)} |"


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    collected: list[Row] = []
    yield collected
    sys.stdout.write("\n".join(["", *(f"{row.documented} {row.seconds:.1f} |" for row in collected), ""]))


@pytest.fixture(scope="module")
def aws(untouched: tuple[Lifecycle, First]) -> Iterator[FaultyAws]:
    """Both functions reach AWS through here, until the module's end."""
    lifecycle = untouched[0]
    with faulty_aws(lifecycle.endpoint.url) as way, ExitStack() as changed:
        for function in (REFRESH, AUTHENTICATE):
            changed.enter_context(lifecycle.environment(function, AWS_ENDPOINT_URL=way.url))
        yield way
    lifecycle.start_over()


class World:
    """The tokens, and what is known about every fault: that nothing is lost by it."""

    def __init__(self, life: Lifecycle, aws: FaultyAws, rows: list[Row]) -> None:
        self.life = life
        self.aws = aws
        self._rows = rows
        self._counted: dict[tuple[str, str], int] = {}

    def forget_exchanges(self) -> None:
        """Do what a settled exchange does: an earlier test may have left the trace of one without an end."""
        client = self.life.endpoint.client("dynamodb")
        client.delete_item(TableName=self.life.output("StateTableName"), Key={"pk": {"S": TRACE}})

    def fails(self, function: str, outcome: str, event: dict[str, object] | None = None) -> None:
        """Run the function: it has this outcome, and counts it under the outcome's own metric."""
        before = self._count(function, outcome)
        assert self.life.invoke(function, event).outcome == outcome
        until(lambda: self._count(function, outcome) == before + 1, f"the metric of {outcome}")

    def recovers(self, fault: str, outcome: str, *ticks: str, old: Version | None) -> None:
        """Run ticks as the schedule does: their outcomes are as expected, and good tokens are stored at the end.

        The last tick only looks.
        """
        self.aws.disarm()
        started = time.monotonic()
        for each in ticks[:-1]:
            asked = len(self.life.outcomes(AUTHENTICATE)) if each == "reauthentication_requested" else 0
            assert self.life.refresh_tokens() == each
            if asked:
                until(lambda asked=asked: len(self.life.outcomes(AUTHENTICATE)) > asked, "the authentication")  # type: ignore[misc]  # mypy sees no type in a lambda's default
        seconds = time.monotonic() - started
        assert self.life.refresh_tokens() == ticks[-1]
        stored = self.life.stored()
        assert old is None or stored.version_id != old.version_id
        works = self.life.upstream.accepts(stored.document["access_token"])
        can_be_refreshed = self.life.upstream.refreshes(stored.document["refresh_token"])
        assert works
        assert can_be_refreshed
        row = Row(fault, outcome, ticks, seconds)
        self._rows.append(row)
        assert row.documented in DOCUMENT

    def still_has(self, old: Version) -> None:
        """Check that these tokens are stored, and live."""
        stored = self.life.stored()
        works = self.life.upstream.accepts(old.document["access_token"])
        assert stored.version_id == old.version_id
        assert works

    def invoke_and_kill(self, function: str, at: str) -> None:
        """Run the function until it waits in an operation of AWS, and kill its process there."""
        name = self.life.output(f"{function}FunctionName")
        client = self.life.endpoint.client("lambda")
        self.aws.hold(at)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(client.invoke, FunctionName=name, Payload="{}")
            until(self.aws.is_reached, at)
            assert kill_functions(name, self.aws.url) == 1
            assert "FunctionError" in running.result()
        self.aws.disarm()

    def _count(self, function: str, outcome: str) -> int:
        name = self.life.output(f"{function}FunctionName")
        lines = log_lines(self.life.endpoint, f"/aws/lambda/{name}")
        documents: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith('{"_aws"')]
        return sum(metric_name(outcome) in document for document in documents)


@pytest.fixture
def world(aws: FaultyAws, life: Lifecycle, rows: list[Row]) -> Iterator[World]:
    made = World(life, aws, rows)
    made.forget_exchanges()
    aws.seen.clear()
    yield made
    aws.disarm()
    made.forget_exchanges()


# --- AWS throttles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "operation", "calls", "recovery"),
    [
        (REFRESH, "GetSecretValue", [], ["refreshed", "unchanged"]),
        (REFRESH, "PutSecretValue", ["refresh"], ["refreshed", "unchanged"]),
        (REFRESH, "UpdateSecretVersionStage", ["refresh"], ["refreshed", "unchanged"]),
        (REFRESH, "PutItem", [], ["refreshed", "unchanged"]),
        (REFRESH, "GetItem", [], ["refreshed", "unchanged"]),
        (AUTHENTICATE, "GetSecretValue", [], ["unchanged"]),
        (AUTHENTICATE, "PutSecretValue", ["authenticate"], ["reauthentication_requested", "unchanged"]),
        (AUTHENTICATE, "UpdateSecretVersionStage", ["authenticate"], ["refreshed", "unchanged"]),
        (AUTHENTICATE, "PutItem", [], ["unchanged"]),
    ],
)
def test_a_throttled_call_is_a_known_outcome_and_the_next_tick_recovers(
    world: World, function: str, operation: str, calls: list[str], recovery: list[str]
) -> None:
    old = world.life.seed(seconds_left=DUE_SECONDS if function == REFRESH else 3600)
    world.aws.refuse(THROTTLED, operation)
    world.fails(function, "aws_unavailable")
    assert world.aws.seen.count(operation) >= 2, "tried again within the run"
    (said,) = world.life.records(function, "tokens.aws_unavailable")[-1:]
    assert said["reason"] == "ThrottlingException"
    assert world.life.upstream.calls() == calls
    world.still_has(old)
    fault = f"`{operation}` throttled in `{'refresh_tokens' if function == REFRESH else 'authenticate'}`"
    world.recovers(fault, "aws_unavailable", *recovery, old=None if recovery == ["unchanged"] else old)
    if operation == "UpdateSecretVersionStage":
        assert world.life.upstream.calls() == calls, "what was granted before is stored, and nothing is asked for again"


def test_a_refresh_token_that_was_used_up_for_tokens_that_could_not_be_stored_is_replaced(world: World) -> None:
    world.life.upstream.change(rotate_refresh_token=True)
    old = world.life.seed(seconds_left=DUE_SECONDS)
    world.aws.refuse(THROTTLED, "PutSecretValue")
    world.fails(REFRESH, "aws_unavailable")
    fault = "`PutSecretValue` throttled in `refresh_tokens`, the refresh token was replaced"
    world.recovers(fault, "aws_unavailable", "reauthentication_requested", "unchanged", old=old)
    assert world.life.upstream.calls() == ["refresh", "refresh", "authenticate"]


def test_a_single_throttled_call_is_not_noticed(world: World) -> None:
    old = world.life.seed(seconds_left=DUE_SECONDS)
    world.aws.refuse(THROTTLED, "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "PutItem", times=1)
    assert world.life.refresh_tokens() == "refreshed"
    assert world.life.stored().version_id != old.version_id
    assert world.life.upstream.calls() == ["refresh"]


# --- A process dies --------------------------------------------------------------------------------------------------

has_processes = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")


@has_processes
@pytest.mark.parametrize(
    ("function", "at", "rotates", "recovery"),
    [
        (REFRESH, "PutSecretValue", False, ["refreshed", "unchanged"]),
        (REFRESH, "PutSecretValue", True, ["reauthentication_requested", "unchanged"]),
        (REFRESH, "UpdateSecretVersionStage", True, ["refreshed", "unchanged"]),
        (AUTHENTICATE, "PutSecretValue", False, ["reauthentication_requested", "unchanged"]),
        (AUTHENTICATE, "UpdateSecretVersionStage", False, ["refreshed", "unchanged"]),
    ],
)
def test_a_process_killed_between_exchange_and_store_costs_no_token(
    world: World, function: str, at: str, rotates: bool, recovery: list[str]
) -> None:
    world.life.upstream.change(rotate_refresh_token=rotates)
    old = world.life.seed(seconds_left=DUE_SECONDS if function == REFRESH else 3600)
    world.invoke_and_kill(function, at)
    exchanged = world.life.upstream.calls()
    assert exchanged == ["refresh" if function == REFRESH else "authenticate"]
    world.still_has(old)
    assert world.life.refresh_tokens() == "busy", "the lease outlives its holder, for 45 seconds at most"
    world.life.free_the_lease()
    name = "refresh_tokens" if function == REFRESH else "authenticate"
    fault = f"`{name}` killed before `{at}`" + (", the refresh token was replaced" if rotates else "")
    world.recovers(fault, "", *recovery, old=old)
    if at == "UpdateSecretVersionStage":
        assert world.life.upstream.calls() == exchanged, "the next run finishes what the killed one began"


# --- The tokens secret is deleted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [REFRESH, AUTHENTICATE])
def test_a_secret_marked_for_deletion_is_said_and_restored(world: World, function: str) -> None:
    life, old = world.life, world.life.seed(seconds_left=DUE_SECONDS)
    secrets, arn = life.endpoint.client("secretsmanager"), life.output("IntegrationTokensSecretArn")
    said_before = len(life.records(function, "secret.deleted"))
    secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    try:
        world.fails(function, "aws_unavailable")
    finally:
        secrets.restore_secret(SecretId=arn)
    (said,) = until(lambda: life.records(function, "secret.deleted")[said_before:], "secret.deleted")
    assert (said["level"], said["secret"], said["reason"]) == ("ERROR", arn, "InvalidRequestException")
    assert said["runbook"] == RESTORE
    world.still_has(old)
    assert life.upstream.calls() == []
    name = "refresh_tokens" if function == REFRESH else "authenticate"
    fault = f"tokens secret marked for deletion and restored, `{name}`"
    world.recovers(fault, "aws_unavailable", "refreshed", "unchanged", old=old)


def test_a_secret_that_is_gone_is_said_and_a_new_one_is_filled(world: World) -> None:
    """AWS's answer comes from the way: deleted for good, the secret would be missing in all the other tests too."""
    world.aws.refuse(NOT_THERE, "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
    world.fails(REFRESH, "aws_unavailable")
    (said,) = world.life.records(REFRESH, "secret.deleted")[-1:]
    assert (said["level"], said["reason"], said["runbook"]) == ("ERROR", "ResourceNotFoundException", RESTORE)
    assert world.life.upstream.calls() == []
    new = world.life.write("{}")  # what the template makes
    fault = "tokens secret gone and made anew"
    world.recovers(fault, "aws_unavailable", "reauthentication_requested", "unchanged", old=new)
    assert world.life.upstream.calls() == ["authenticate"]


# --- The credentials are rotated in the middle of a run --------------------------------------------------------------


def rejected_versions(life: Lifecycle) -> set[str]:
    """Return the versions of the credentials that are remembered as rejected."""
    items = life.endpoint.client("dynamodb").scan(TableName=life.output("StateTableName"))["Items"]
    return {key.split("#")[2] for item in items if (key := item["pk"]["S"]).startswith("rejected#")}


def credentials_version(life: Lifecycle) -> str:
    client, arn = life.endpoint.client("secretsmanager"), life.output("IntegrationCredentialsSecretArn")
    return str(client.get_secret_value(SecretId=arn)["VersionId"])


@pytest.mark.parametrize("old_key_works", [True, False])
def test_credentials_rotated_in_the_middle_of_a_run_are_not_mistaken_for_the_old_ones(
    world: World, old_key_works: bool
) -> None:
    life, old, old_key = world.life, world.life.stored(), credentials_version(world.life)
    if not old_key_works:
        life.upstream.change(credentials=NEW_CREDENTIALS)
    outcome = "authenticated" if old_key_works else "credentials_rejected"
    with ThreadPoolExecutor(1) as pool, life.upstream.held():
        running = pool.submit(world.fails, AUTHENTICATE, outcome)
        until(lambda: life.upstream.state()["exchanges_open"], "an exchange")
        life.write_credentials(**NEW_CREDENTIALS)
        life.upstream.change(latency_seconds=0, credentials=NEW_CREDENTIALS)
        running.result()
    new_key = credentials_version(life)
    assert new_key not in rejected_versions(life)
    assert (old_key in rejected_versions(life)) is not old_key_works
    assert (life.stored().version_id == old.version_id) is not old_key_works

    assert life.refresh_tokens() == "unchanged"
    assert life.authenticate() == "authenticated", "nothing has to be forced"
    assert life.upstream.calls() == ["authenticate", "authenticate"]
    how = "the old key still works" if old_key_works else "the old key is refused"
    world.recovers(f"credentials rotated during `authenticate`, {how}", outcome, "unchanged", old=old)
