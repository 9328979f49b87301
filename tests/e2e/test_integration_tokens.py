"""The life of the Integration API's tokens, from the deployed template, against the simulated upstream."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.integration_api.faults import FaultName
from local.ports import free_block
from tests.e2e.conftest import INTEGRATION_CREDENTIALS, denied
from tests.e2e.token_lifecycle import (
    DAY_SECONDS,
    First,
    Lifecycle,
    Version,
    epoch,
    everything_logged,
    iso,
    session,
    until,
)

MEMBERS = {
    "access_token",
    "refresh_token",
    "token_type",
    "expires_at",
    "access_token_obtained_at",
    "refresh_token_obtained_at",
}
MARK = "SENTINEL"  # in every key and in nothing else
DUE_SECONDS = 600  # below the margin of 1500
MOST_SECONDS = 25  # of a run, on a busy machine; Lambda ends it after 30


# --- Tokens come, and stay fresh -------------------------------------------------------------------------------------


def test_tokens_are_there_within_30_seconds_of_the_deployment(untouched: tuple[Lifecycle, First]) -> None:
    _, first = untouched
    assert 0 <= first.seconds < 30
    assert first.is_accepted
    assert [(entry["kind"], entry["outcome"]) for entry in first.exchanges] == [("authenticate", "ok")]


def test_the_secret_has_exactly_the_documented_form(untouched: tuple[Lifecycle, First]) -> None:
    document = untouched[1].tokens.document
    assert document.keys() == MEMBERS
    assert document["token_type"] == "Bearer"
    for name in ("expires_at", "access_token_obtained_at", "refresh_token_obtained_at"):
        assert document[name] == iso(epoch(document[name]))
    assert document["access_token_obtained_at"] == document["refresh_token_obtained_at"]
    assert 3599 <= epoch(document["expires_at"]) - epoch(document["access_token_obtained_at"]) <= 3600


def test_a_tick_with_nothing_to_do_calls_nobody(life: Lifecycle) -> None:
    before, stored = life.upstream.state()["requests"], life.stored()
    assert life.refresh_tokens() == "unchanged"
    assert life.upstream.state()["requests"] == before
    assert life.stored() == stored


@pytest.mark.parametrize("seconds_left", [1495, DUE_SECONDS, 5, -600])
def test_a_due_token_is_replaced(life: Lifecycle, seconds_left: float) -> None:
    old = life.seed(seconds_left=seconds_left, refresh_token_days=3)
    assert life.refresh_tokens() == "refreshed"
    assert life.upstream.calls() == ["refresh"]
    new = life.stored()
    assert new.document.keys() == MEMBERS
    assert new.document["access_token"] != old.document["access_token"]
    assert life.upstream.accepts(new.document["access_token"])
    for name in ("refresh_token", "refresh_token_obtained_at", "token_type"):
        assert new.document[name] == old.document[name]
    assert new.version_id != old.version_id
    assert life.stored("AWSPREVIOUS") == old
    assert life.refresh_tokens() == "unchanged"


def test_a_token_above_the_margin_is_left_alone(life: Lifecycle) -> None:
    old = life.seed(seconds_left=1515)
    assert life.refresh_tokens() == "unchanged"
    assert life.stored() == old


@pytest.mark.parametrize("text_format", ["z", "offset", "microseconds", "no_zone"])
def test_an_expires_at_that_is_earlier_than_expires_in_says_is_the_expiry(life: Lifecycle, text_format: str) -> None:
    life.upstream.change(expires_at_skew_seconds=-900, expires_at_format=text_format)
    life.seed(seconds_left=DUE_SECONDS)
    assert life.refresh_tokens() == "refreshed"
    upstream_says = epoch(life.upstream.state()["tokens"]["access_token_expires_at"]) - 900
    assert life.stored().document["expires_at"] == iso(upstream_says)


def test_an_expires_at_that_is_later_does_not_prolong_a_token(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS)
    life.upstream.change(expires_at_skew_seconds=900, latency_seconds=1.2)
    assert life.refresh_tokens() == "refreshed"
    document = life.stored().document
    (call,) = life.upstream.exchanges()
    # Counted from the request's beginning, not from the answer.
    assert epoch(document["access_token_obtained_at"]) <= epoch(call["started_at"])
    assert epoch(document["expires_at"]) == epoch(document["access_token_obtained_at"]) + 3600


def test_a_rotated_refresh_token_is_saved_and_its_days_begin_anew(life: Lifecycle) -> None:
    life.upstream.change(rotate_refresh_token=True)
    old = life.seed(seconds_left=DUE_SECONDS, refresh_token_days=3).document
    assert life.refresh_tokens() == "refreshed"
    new = life.stored().document
    assert new["refresh_token"] != old["refresh_token"]
    assert new["refresh_token_obtained_at"] == new["access_token_obtained_at"]
    assert life.upstream.refreshes(new["refresh_token"])
    assert not life.upstream.refreshes(old["refresh_token"])


@pytest.mark.parametrize("way", ["body", "headers"])
def test_credentials_are_sent_in_the_configured_way_alone(life: Lifecycle, way: str) -> None:
    # The simulator refuses both ways at once, any other member, and the way that is switched off.
    life.upstream.change(accept_body=way == "body", accept_headers=way == "headers")
    with life.environment("Authenticate", INTEGRATION_CREDENTIALS_IN=way):
        assert life.authenticate() == "authenticated"
    assert [entry["credentials_in"] for entry in life.upstream.exchanges()] == [way]
    assert life.upstream.accepts(life.stored().document["access_token"])


# --- When the upstream fails -----------------------------------------------------------------------------------------

# 401 has a meaning, and tests of its own.
FIELDS = ("access_token", "refresh_token", "token_type", "expires_in", "expires_at")
FAULTS: list[tuple[FaultName, dict[str, Any]]] = [
    (FaultName.HTML, {}),
    (FaultName.EMPTY, {}),
    (FaultName.WRONG_CONTENT_TYPE, {}),
    (FaultName.TOO_LARGE, {}),
    (FaultName.TOO_LARGE, {"bytes": 32 * 1024 * 1024}),
    (FaultName.REDIRECT, {}),
    (FaultName.HANG, {}),
    (FaultName.DRIP, {"seconds": 0.2}),
    (FaultName.CLOSE_MID_BODY, {}),
    (FaultName.RESET, {}),
    (FaultName.LOST_ANSWER, {}),
    (FaultName.ERROR_OBJECT_200, {}),
    (FaultName.STATUS_500, {}),
    (FaultName.STATUS_502_HTML, {}),
    (FaultName.STATUS_503_RETRY_AFTER, {"retry_after": 1}),
    (FaultName.STATUS_429, {"retry_after": 1}),
    *((FaultName.MISSING_FIELD, {"field": field}) for field in FIELDS),
    *((FaultName.WRONG_TYPE, {"field": field}) for field in FIELDS),
    (FaultName.WRONG_TYPE, {"field": "access_token", "value": "two\r\nlines"}),
    (FaultName.TOKEN_TYPE_MAC, {}),
    (FaultName.EXPIRED_ANSWER, {}),
    (FaultName.BAD_JSON, {}),
    (FaultName.NOT_AN_OBJECT, {}),
    (FaultName.DEEP_JSON, {}),
]
# What provably was not done is tried again within the same run.
REPEATED = {FaultName.STATUS_500, FaultName.STATUS_502_HTML, FaultName.STATUS_503_RETRY_AFTER, FaultName.STATUS_429}


def fault_id(parameter: object) -> str | None:
    return "-".join(str(value)[:13] for value in parameter.values()) if isinstance(parameter, dict) else None


def test_every_fault_of_the_simulator_is_tried() -> None:
    assert {fault for fault, _ in FAULTS} == set(FaultName) - {FaultName.UNAUTHORIZED_401}


@pytest.mark.parametrize(("fault", "members"), FAULTS, ids=fault_id)
def test_a_refresh_that_fails_leaves_the_tokens_alone(
    life: Lifecycle, fault: FaultName, members: dict[str, object]
) -> None:
    old = life.seed(seconds_left=DUE_SECONDS)
    life.upstream.arm(fault, "refresh", **members)
    answer = life.invoke("RefreshTokens")
    assert answer.outcome == "upstream_unavailable"
    assert answer.seconds < MOST_SECONDS
    assert life.stored() == old
    assert life.upstream.calls() == ["refresh"] * (3 if fault in REPEATED else 1)
    assert "other" not in life.upstream.state()["requests"]  # no redirect was followed
    life.upstream.disarm()
    assert life.refresh_tokens() == "refreshed"
    assert life.upstream.accepts(life.stored().document["access_token"])


@pytest.mark.parametrize(
    ("fault", "members"),
    [
        (FaultName.HTML, {}),
        (FaultName.REDIRECT, {}),
        (FaultName.LOST_ANSWER, {}),
        (FaultName.STATUS_500, {}),
        (FaultName.STATUS_429, {"retry_after": 1}),
        (FaultName.EXPIRED_ANSWER, {}),
        (FaultName.MISSING_FIELD, {"field": "refresh_token"}),
        (FaultName.WRONG_TYPE, {"field": "expires_in"}),
        (FaultName.DEEP_JSON, {}),
    ],
    ids=fault_id,
)
def test_an_authentication_that_fails_leaves_the_tokens_alone(
    life: Lifecycle, fault: FaultName, members: dict[str, object]
) -> None:
    old = life.stored()
    life.upstream.arm(fault, "authenticate", **members)
    assert life.authenticate() == "upstream_unavailable"
    assert life.stored() == old
    assert life.upstream.calls() == ["authenticate"] * (3 if fault in REPEATED else 1)
    life.upstream.disarm()
    assert life.authenticate() == "authenticated"
    assert life.stored("AWSPREVIOUS") == old


def test_a_long_retry_after_is_left_to_the_next_tick(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS)
    life.upstream.arm(FaultName.STATUS_503_RETRY_AFTER, "refresh", retry_after=120)
    answer = life.invoke("RefreshTokens")
    assert answer.outcome == "upstream_unavailable"
    assert answer.seconds < MOST_SECONDS
    assert life.upstream.calls() == ["refresh"]


def test_a_short_retry_after_is_waited_for(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS)
    life.upstream.arm(FaultName.STATUS_429, "refresh", times=1, retry_after=2)
    assert life.refresh_tokens() == "refreshed"
    first, second = life.upstream.exchanges()
    assert epoch(second["started_at"]) - epoch(first["started_at"]) >= 2


def test_an_upstream_that_is_not_there_is_unavailable(life: Lifecycle) -> None:
    old = life.seed(seconds_left=DUE_SECONDS)
    with life.environment("RefreshTokens", INTEGRATION_BASE_URL=f"http://127.0.0.1:{free_block().base}"):
        assert life.refresh_tokens() == "upstream_unavailable"
    assert life.stored() == old
    assert life.refresh_tokens() == "refreshed"


def test_a_refresh_that_is_refused_while_the_token_works_is_tried_again_later(life: Lifecycle) -> None:
    life.upstream.change(refuse_refresh_while_valid=True)
    old = life.seed(seconds_left=DUE_SECONDS)
    assert life.refresh_tokens() == "upstream_unavailable"
    assert life.stored() == old
    life.upstream.revoke("access")  # in the simulator's eyes it has expired now
    assert life.refresh_tokens() == "refreshed"
    assert life.upstream.calls() == ["refresh", "refresh"]


def test_a_refresh_that_is_refused_for_a_dead_token_leads_to_a_new_authentication(life: Lifecycle) -> None:
    life.upstream.change(refuse_refresh_while_valid=True)
    old = life.seed(seconds_left=-10)
    assert life.refresh_tokens() == "reauthentication_requested"
    life.new_tokens(old)
    assert life.upstream.calls() == ["refresh", "authenticate"]


# --- A new authentication --------------------------------------------------------------------------------------------


@pytest.fixture
def reauthenticated(life: Lifecycle) -> Callable[[Version, list[str]], None]:
    """One tick asks for it, the rule starts it, it happens once, and the next tick has nothing to do."""

    def check(old: Version, calls: list[str]) -> None:
        outcomes: list[str] = []
        with life.runs("Authenticate", 1, outcomes):
            assert life.refresh_tokens() == "reauthentication_requested"
        assert outcomes == ["authenticated"]
        new = life.new_tokens(old)
        assert new["refresh_token_obtained_at"] == new["access_token_obtained_at"]
        assert life.refresh_tokens() == "unchanged"
        assert life.upstream.calls() == calls

    return check


@pytest.mark.parametrize("how", ["revoked", "expired", "401 with an unknown code"])
def test_a_refresh_token_that_the_upstream_refuses_is_replaced_once(
    life: Lifecycle, reauthenticated: Callable[[Version, list[str]], None], how: str
) -> None:
    if how == "expired":
        life.upstream.change(refresh_token_lifetime_seconds=0)
    old = life.seed(seconds_left=DUE_SECONDS)
    if how == "revoked":
        life.upstream.revoke("refresh")
    elif how != "expired":
        life.upstream.arm(FaultName.UNAUTHORIZED_401, "refresh", code="SOMETHING_ELSE")
    reauthenticated(old, ["refresh", "authenticate"])


def test_a_lost_answer_that_rotated_the_refresh_token_is_healed(
    life: Lifecycle, reauthenticated: Callable[[Version, list[str]], None]
) -> None:
    life.upstream.change(rotate_refresh_token=True)
    old = life.seed(seconds_left=DUE_SECONDS)
    life.upstream.arm(FaultName.LOST_ANSWER, "refresh", times=1)
    assert life.refresh_tokens() == "upstream_unavailable"
    assert life.stored() == old
    reauthenticated(old, ["refresh", "refresh", "authenticate"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "tokens.missing"),
        (f"{MARK}: not JSON", "tokens.unreadable"),
        (f'["{MARK}"]', "tokens.unreadable"),
        (f'{{"access_token": "{MARK}"}}', "tokens.unreadable"),
        ('{"access_token": 1, "refresh_token": null}', "tokens.unreadable"),
        ("[" * 20_000, "tokens.unreadable"),
    ],
    ids=["empty", "text", "list", "half", "types", "deep"],
)
def test_where_there_are_no_tokens_new_ones_come_and_it_is_said_loudly(
    life: Lifecycle, text: str, message: str
) -> None:
    said_before = len(life.records("RefreshTokens", message))
    old = life.write(text)
    outcomes: list[str] = []
    with life.runs("Authenticate", 1, outcomes):
        assert life.refresh_tokens() == "reauthentication_requested"
    assert outcomes == ["authenticated"]
    life.new_tokens(old)
    assert life.upstream.calls() == ["authenticate"]
    said = until(lambda: life.records("RefreshTokens", message)[said_before:], message)
    assert [record["level"] in ("WARNING", "ERROR") for record in said] == [True]
    assert life.refresh_tokens() == "unchanged"


def test_a_refresh_token_of_six_days_is_replaced(
    life: Lifecycle, reauthenticated: Callable[[Version, list[str]], None]
) -> None:
    reauthenticated(life.seed(refresh_token_days=6.01), ["authenticate"])


def test_a_refresh_token_of_not_quite_six_days_is_not(life: Lifecycle) -> None:
    life.seed(refresh_token_days=5.99)
    assert life.refresh_tokens() == "unchanged"
    assert life.upstream.calls() == []


def test_an_old_refresh_token_refreshes_a_due_access_token_first(
    life: Lifecycle, reauthenticated: Callable[[Version, list[str]], None]
) -> None:
    reauthenticated(life.seed(seconds_left=DUE_SECONDS, refresh_token_days=6.5), ["refresh", "authenticate"])


def test_an_old_refresh_token_keeps_refreshing_while_authentication_fails(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS, refresh_token_days=6.5)
    life.upstream.arm(FaultName.STATUS_500, "authenticate")
    outcomes: list[str] = []
    with life.runs("Authenticate", 1, outcomes):
        assert life.refresh_tokens() == "reauthentication_requested"
    assert outcomes == ["upstream_unavailable"]
    stored = life.stored().document
    assert life.upstream.accepts(stored["access_token"])
    assert epoch(stored["expires_at"]) - time.time() > 3500
    assert time.time() - epoch(stored["refresh_token_obtained_at"]) > 6 * DAY_SECONDS


def test_an_old_refresh_token_is_replaced_even_where_it_cannot_be_refreshed(life: Lifecycle) -> None:
    old = life.seed(seconds_left=DUE_SECONDS, refresh_token_days=6.5)
    life.upstream.arm(FaultName.HTML, "refresh")
    assert life.refresh_tokens() == "upstream_unavailable"
    life.new_tokens(old)
    assert life.upstream.calls() == ["refresh", "authenticate"]


def test_an_operator_authenticates_anew_though_the_tokens_are_good(life: Lifecycle) -> None:
    old = life.stored()
    assert life.authenticate() == "authenticated"
    new = life.stored()
    assert new.document["refresh_token"] != old.document["refresh_token"]
    assert life.stored("AWSPREVIOUS") == old
    assert life.upstream.calls() == ["authenticate"]


def required(version_id: str) -> dict[str, object]:
    """Return the event that asks for a new authentication."""
    return {
        "detail-type": "tokens.reauthentication-required",
        "source": "gatehouse.tokens",
        "detail": {"tokens_version_id": version_id, "reason": "no_tokens"},
    }


def test_an_event_that_comes_late_calls_nobody(life: Lifecycle) -> None:
    late, current = life.stored(), life.seed()
    assert life.authenticate(required(late.version_id)) == "not_needed"
    assert life.authenticate(required("")) == "not_needed"
    assert life.authenticate({**required(""), "detail": {}}) == "not_needed"
    assert life.upstream.calls() == []
    assert life.stored() == current


def test_an_event_that_comes_twice_is_followed_once(life: Lifecycle) -> None:
    event = required(life.stored().version_id)
    assert life.authenticate(event) == "authenticated"
    assert life.authenticate(event) == "not_needed"
    assert life.upstream.calls() == ["authenticate"]


def test_an_event_that_comes_twice_at_once_on_the_bus_is_followed_once(life: Lifecycle) -> None:
    event = required(life.stored().version_id)
    entry = {
        "EventBusName": life.output("EventBusName"),
        "Source": str(event["source"]),
        "DetailType": str(event["detail-type"]),
        "Detail": json.dumps(event["detail"]),
    }
    client = session().client("events", endpoint_url=life.endpoint.url)
    outcomes: list[str] = []
    with life.runs("Authenticate", 2, outcomes):
        client.put_events(Entries=[entry, entry])  # type: ignore[list-item]  # the stubs want a literal dict
    assert "authenticated" in outcomes
    assert set(outcomes) <= {"authenticated", "not_needed", "busy"}
    assert life.upstream.calls() == ["authenticate"]


@pytest.mark.parametrize(
    ("source", "detail_type"),
    [
        ("gatehouse.webhooks", "tokens.reauthentication-required"),
        ("gatehouse.tokens", "tokens.refreshed"),
        ("somebody.else", "tokens.reauthentication-required"),
    ],
)
def test_no_other_event_starts_an_authentication(life: Lifecycle, source: str, detail_type: str) -> None:
    detail = json.dumps({"tokens_version_id": life.stored().version_id, "reason": "no_tokens"})
    client, bus = session().client("events", endpoint_url=life.endpoint.url), life.output("EventBusName")
    other = {"EventBusName": bus, "Source": source, "DetailType": detail_type, "Detail": detail}
    genuine = {**other, "Source": "gatehouse.tokens", "DetailType": "tokens.reauthentication-required"}
    genuine["Detail"] = json.dumps({"tokens_version_id": "another", "reason": "no_tokens"})
    outcomes: list[str] = []
    with life.runs("Authenticate", 1, outcomes):
        client.put_events(Entries=[other, genuine])  # type: ignore[list-item]  # the stubs want a literal dict
    assert outcomes == ["not_needed"]
    assert life.upstream.calls() == []


# --- Wrong credentials -----------------------------------------------------------------------------------------------


def test_wrong_credentials_are_tried_once(life: Lifecycle) -> None:
    life.write_credentials(secret_key=f"{MARK}-wrong")
    life.write("{}")
    outcomes: list[str] = []
    for _ in range(3):
        with life.runs("Authenticate", 1, outcomes):
            assert life.refresh_tokens() == "reauthentication_requested"
    assert outcomes == ["credentials_rejected"] * 3
    assert [life.authenticate() for _ in range(3)] == ["credentials_rejected"] * 3
    assert [entry["outcome"] for entry in life.upstream.exchanges()] == ["INVALID_API_KEY"]
    assert life.authenticate({"force": True}) == "credentials_rejected"
    assert life.authenticate() == "credentials_rejected"
    assert len(life.upstream.calls()) == 2
    old = life.stored()
    life.write_credentials()
    assert life.refresh_tokens() == "reauthentication_requested"
    life.new_tokens(old)
    assert len(life.upstream.calls()) == 3


def test_wrong_credentials_leave_tokens_that_work_alone(life: Lifecycle) -> None:
    life.write_credentials(api_key=f"{MARK}-wrong")
    old = life.seed(seconds_left=DUE_SECONDS)
    assert life.authenticate() == "credentials_rejected"
    assert life.stored() == old
    assert life.refresh_tokens() == "refreshed"


def test_forcing_is_how_credentials_that_are_good_after_all_are_taken_again(life: Lifecycle) -> None:
    life.upstream.change(credentials={"api_key": "not", "secret_key": "yet"})
    assert life.authenticate() == "credentials_rejected"
    life.upstream.change(credentials=INTEGRATION_CREDENTIALS)
    assert life.authenticate() == "credentials_rejected"
    assert len(life.upstream.calls()) == 1
    assert life.authenticate({"force": True}) == "authenticated"
    assert life.authenticate() == "authenticated"


def test_a_rejection_holds_for_one_way_of_sending_alone(life: Lifecycle) -> None:
    life.upstream.arm(FaultName.UNAUTHORIZED_401, "authenticate", times=1)
    assert life.authenticate() == "credentials_rejected"
    with life.environment("Authenticate", INTEGRATION_CREDENTIALS_IN="headers"):
        assert life.authenticate() == "authenticated"
    assert life.authenticate() == "credentials_rejected"
    assert [entry["credentials_in"] for entry in life.upstream.exchanges()] == ["body", "headers"]


def test_placeholders_call_nobody(life: Lifecycle) -> None:
    life.write_credentials(api_key="REPLACE_ME", secret_key="REPLACE_ME")
    old = life.stored()
    for event in ({}, {"force": True}):
        assert life.authenticate(event) == "not_configured"
    assert life.upstream.calls() == []
    assert life.stored() == old


# --- Several at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rounds", "invalidate"), [(20, False), (6, True)])
def test_runs_at_the_same_moment_leave_one_set_of_live_tokens(life: Lifecycle, rounds: int, invalidate: bool) -> None:
    life.upstream.change(latency_seconds=0.2, rate_limit_per_minute=None, invalidate_old_tokens_on_exchange=invalidate)
    functions = ("RefreshTokens", "RefreshTokens", "Authenticate")
    seen: Counter[str] = Counter()
    with ThreadPoolExecutor(len(functions)) as pool:
        for _ in range(rounds):
            old = life.seed(seconds_left=DUE_SECONDS)
            life.upstream.change(latency_seconds=0.2)
            together = threading.Barrier(len(functions))

            def run(function: str, together: threading.Barrier = together) -> str:
                together.wait()
                return life.invoke(function).outcome

            *refreshed, authenticated = pool.map(run, functions)
            seen.update([*refreshed, authenticated])
            life.upstream.change(latency_seconds=0)
            assert set(refreshed) <= {"refreshed", "busy", "unchanged", "lost_race"}
            assert authenticated in {"authenticated", "busy", "lost_race"}
            assert "refreshed" in refreshed or authenticated == "authenticated"
            new = life.stored()
            assert new.version_id != old.version_id
            assert life.upstream.accepts(new.document["access_token"])
            assert life.upstream.refreshes(new.document["refresh_token"])
    assert life.upstream.state()["max_concurrent_exchanges"] == 1
    assert not any(entry["overlapped"] for entry in life.upstream.exchanges())
    assert seen["busy"]  # they did meet


@contextlib.contextmanager
def during_the_exchange_of(life: Lifecycle, function: str, expected: str) -> Iterator[None]:
    """Run the block while the function waits for the upstream; the function's outcome is as expected."""
    with ThreadPoolExecutor(1) as pool, life.upstream.held():
        running = pool.submit(life.invoke, function)
        until(lambda: life.upstream.state()["exchanges_open"], "an exchange")
        yield
        life.upstream.change(latency_seconds=0)
        assert running.result().outcome == expected


@pytest.mark.parametrize("function", ["RefreshTokens", "Authenticate"])
def test_whoever_comes_second_leaves_the_winners_tokens(life: Lifecycle, function: str) -> None:
    other = life.stored()
    life.seed(seconds_left=DUE_SECONDS)
    with during_the_exchange_of(life, function, "lost_race"):
        winner = life.write(other.text)
    assert life.stored() == winner
    # The loser's exchange may have ended the winner's tokens, so they are replaced although they look good.
    assert life.refresh_tokens() == "reauthentication_requested"
    until(lambda: life.stored() != winner, "new tokens")
    assert life.refresh_tokens() == "unchanged"


def test_a_refusal_means_nothing_where_another_run_has_won_meanwhile(life: Lifecycle) -> None:
    other = life.stored()
    life.seed(seconds_left=DUE_SECONDS)
    life.upstream.revoke("refresh")
    with during_the_exchange_of(life, "RefreshTokens", "lost_race"):
        winner = life.write(other.text)
    assert life.authenticate(required("another")) == "not_needed"
    assert life.upstream.calls() == ["refresh"]
    assert life.stored() == winner


@pytest.mark.parametrize("function", ["RefreshTokens", "Authenticate"])
def test_a_lease_that_another_run_holds_is_waited_for_by_nobody(life: Lifecycle, function: str) -> None:
    old = life.seed(seconds_left=DUE_SECONDS)
    with life.lease_held_by_another(seconds_left=60):
        answer = life.invoke(function)
        assert answer.outcome == "busy"
        assert answer.seconds < MOST_SECONDS
    assert life.stored() == old
    assert life.upstream.calls() == []


def test_a_lease_that_has_ended_is_taken_over(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS)
    with life.lease_held_by_another(seconds_left=-1):
        assert life.refresh_tokens() == "refreshed"


# --- AWS out of reach ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"],
)
@pytest.mark.parametrize("function", ["RefreshTokens", "Authenticate"])
def test_a_secret_out_of_reach_leaves_the_tokens_alone(life: Lifecycle, function: str, action: str) -> None:
    old = life.seed(seconds_left=DUE_SECONDS)
    with denied(life.stack, function, action):
        assert life.invoke(function).outcome == "aws_unavailable"
    assert life.stored() == old
    assert life.upstream.accepts(old.document["access_token"])
    assert life.invoke(function).outcome == ("refreshed" if function == "RefreshTokens" else "authenticated")


@pytest.mark.parametrize("function", ["RefreshTokens", "Authenticate"])
def test_without_the_lease_nobody_is_called(life: Lifecycle, function: str) -> None:
    old = life.seed(seconds_left=DUE_SECONDS)
    with denied(life.stack, function, "dynamodb:PutItem"):
        assert life.invoke(function).outcome == "aws_unavailable"
    assert life.upstream.calls() == []
    assert life.stored() == old
    assert life.refresh_tokens() == "refreshed"


def test_a_lease_that_cannot_be_given_back_costs_time_and_nothing_else(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS)
    with denied(life.stack, "RefreshTokens", "dynamodb:DeleteItem"):
        assert life.refresh_tokens() == "refreshed"
    assert life.authenticate() == "busy"
    life.free_the_lease()
    assert life.authenticate() == "authenticated"


def test_without_its_memory_of_rejections_authenticate_calls_nobody(life: Lifecycle) -> None:
    with denied(life.stack, "Authenticate", "dynamodb:GetItem"):
        assert life.authenticate() == "aws_unavailable"
    assert life.upstream.calls() == []
    assert life.authenticate() == "authenticated"


def test_without_the_bus_a_refresh_succeeds_all_the_same(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS)
    with denied(life.stack, "RefreshTokens", "events:PutEvents"):
        assert life.refresh_tokens() == "refreshed"


def test_without_the_bus_a_new_authentication_waits_for_it(life: Lifecycle) -> None:
    old = life.write("{}")
    with denied(life.stack, "RefreshTokens", "events:PutEvents"):
        assert life.refresh_tokens() == "aws_unavailable"
    assert life.stored() == old
    assert life.refresh_tokens() == "reauthentication_requested"
    life.new_tokens(old)


# --- The schedule ----------------------------------------------------------------------------------------------------


def test_the_schedule_is_as_the_template_says(life: Lifecycle) -> None:
    client = session().client("scheduler", endpoint_url=life.endpoint.url)
    stack = life.stack.file.stack_name
    schedule = client.get_schedule(Name=f"{stack}-refresh-tokens", GroupName=stack)
    assert schedule["State"] == "ENABLED"
    assert schedule["ScheduleExpression"] == life.stack.local.options.parameters["RefreshRate"]
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    target = schedule["Target"]
    assert target["Arn"].endswith(f":function:{life.output('RefreshTokensFunctionName')}")
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 240}
    assert target["DeadLetterConfig"]["Arn"].endswith(life.output("TokenDeadLetterQueueUrl").rpartition("/")[2])


def test_what_the_schedule_starts_is_a_tick(life: Lifecycle) -> None:
    client = session().client("scheduler", endpoint_url=life.endpoint.url)
    stack = life.stack.file.stack_name
    target = client.get_schedule(Name=f"{stack}-refresh-tokens", GroupName=stack)["Target"]
    old = life.seed(seconds_left=DUE_SECONDS)
    client.create_schedule(
        Name="once",
        ScheduleExpression=f"at({iso(time.time()).rstrip('Z')})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=target,
    )
    life.new_tokens(old)  # the emulator looks every ten seconds
    assert life.upstream.calls() == ["refresh"]


def test_a_run_that_fails_unexpectedly_ends_in_the_dead_letter_queue(life: Lifecycle) -> None:
    sqs, url = session().client("sqs", endpoint_url=life.endpoint.url), life.output("TokenDeadLetterQueueUrl")
    before = len(life.records("RefreshTokens", "settings.invalid"))
    with life.environment("RefreshTokens", REFRESH_MARGIN_SECONDS="soon"):
        life.invoke_later("RefreshTokens")
        messages = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages", []), "the failed run")
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert len(messages) == 1
    assert json.loads(messages[0]["Body"])["requestContext"]["condition"] == "RetriesExhausted"
    assert len(life.records("RefreshTokens", "settings.invalid")) == before + 2  # one retry
    assert life.refresh_tokens() == "unchanged"


# --- Nothing leaks ---------------------------------------------------------------------------------------------------


def test_no_token_and_no_key_comes_out(life: Lifecycle) -> None:
    # Whatever can be logged has been: by the tests before this one, and by these runs.
    due = life.seed(seconds_left=DUE_SECONDS)
    assert life.refresh_tokens() == "refreshed"
    assert life.stored() != due
    life.upstream.arm(FaultName.WRONG_TYPE, "authenticate", times=1, field="access_token", value=f"{MARK} {MARK}")
    assert life.authenticate() == "upstream_unavailable"
    assert life.authenticate() == "authenticated"
    assert life.stored().version_id != due.version_id
    life.write_credentials(secret_key=f"{MARK}-wrong")
    assert life.authenticate() == "credentials_rejected"
    life.write(f'{{"access_token": "{MARK}"}}')
    outcomes: list[str] = []
    with life.runs("Authenticate", 1, outcomes):
        assert life.refresh_tokens() == "reauthentication_requested"
    assert outcomes == ["credentials_rejected"]

    logged = everything_logged(life.stack)
    assert "tokens.unreadable" in logged
    assert "credentials.rejected" in logged
    for token in life.seen:
        assert token not in logged
        assert token.rpartition(".")[2] not in logged  # a JWT's signature
    for line in logged.splitlines():
        assert MARK not in line or "/v1/tokens/" in line, line  # another test's path, in the emulator's access line
    table = life.endpoint.client("dynamodb").scan(TableName=life.output("StateTableName"))["Items"]
    assert MARK not in str(table)
    assert not any(token in str(table) for token in life.seen)
