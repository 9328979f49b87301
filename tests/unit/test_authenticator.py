"""A new authentication, over the fakes: every outcome, and the order of its effects."""

from collections.abc import Callable

import pytest

from gatehouse import iso8601
from gatehouse.authenticator import Outcome, Trigger
from gatehouse.exchange_journal import Begun
from gatehouse.integration_credentials import CredentialsNotConfigured
from gatehouse.integration_tokens import render_tokens
from gatehouse.lease import StateUnavailable
from gatehouse.problems import GatehouseError, SecretUnavailable
from gatehouse.rejected_credentials import Attempt
from gatehouse.secret_value import Secret
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.token_fakes import (
    BASE_URL,
    DAY_SECONDS,
    HOUR_SECONDS,
    Event,
    World,
    error_answer,
    grant_answer,
    make_tokens,
)

OPERATOR = Trigger()
FORCED = Trigger(force=True)
ATTEMPT = Attempt("credentials-1", BASE_URL, "body")

AUTHENTICATED = [
    "store.read",
    "credentials.read",
    "lease.acquire",
    "store.read",
    "rejected.contains",
    "journal.read",
    "journal.begin",
    "upstream authenticate",
    "store.put",
    "store.move",
    "journal.end",
    "bus.publish tokens.authenticated",
    "lease.release",
]


@pytest.fixture
def world() -> World:
    return World()


def run(world: World, trigger: Trigger = OPERATOR) -> Outcome:
    return world.authenticator().run(trigger, world.deadline)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def store_others(world: World) -> None:
    """Another run's tokens, good for an hour."""
    world.store.write(render_tokens(make_tokens(world.clock.now, name="others")).reveal())


def reject(world: World) -> None:
    """Have the upstream reject the credentials, and forget the steps."""
    world.transport.will(error_answer(401, "INVALID_API_KEY"))
    assert run(world) == "credentials_rejected"
    world.steps.taken.clear()
    world.bus.events.clear()
    world.transport.sent.clear()


# --- authenticated ---


def test_tokens_are_stored_and_their_7_days_begin(world: World) -> None:
    world.hold_tokens(left=-60, refresh_token_age=6 * DAY_SECONDS)
    world.transport.will(grant_answer(world.clock.now))
    assert run(world) == "authenticated"
    tokens = world.store.current.tokens
    assert tokens is not None
    assert tokens.access_token == Secret("access-granted")
    assert tokens.expires_at == world.clock.now + HOUR_SECONDS
    assert tokens.refresh_token_obtained_at == world.clock.now
    assert world.transport.sent[0].document == {"api_key": "the-api-key", "secret_key": "the-secret-key"}


def test_an_authentication_has_its_effects_in_this_order(world: World) -> None:
    world.transport.will(grant_answer(world.clock.now))
    run(world)
    assert world.steps.taken == AUTHENTICATED
    assert world.lease.holder is None


def test_an_authentication_is_announced_by_version_and_expiry_alone(world: World) -> None:
    world.transport.will(grant_answer(world.clock.now))
    run(world)
    detail = {
        "expires_at": iso8601.render(world.clock.now + HOUR_SECONDS),
        "tokens_version_id": world.store.current.version_id,
    }
    assert world.bus.events == [Event("tokens.authenticated", detail)]


def test_an_operator_authenticates_anew_even_while_tokens_are_good(world: World) -> None:
    stored = world.hold_tokens()
    world.transport.will(grant_answer(world.clock.now))
    assert run(world) == "authenticated"
    assert world.store.current.version_id != stored.version_id


def test_an_event_is_followed_while_its_tokens_are_current(world: World) -> None:
    stored = world.hold_tokens(left=-60)
    world.transport.will(grant_answer(world.clock.now))
    assert run(world, Trigger(only_while_version_id=stored.version_id)) == "authenticated"


def test_what_cannot_be_read_as_tokens_is_replaced(world: World) -> None:
    version_id = world.store.write("rubbish")
    world.transport.will(grant_answer(world.clock.now))
    assert run(world, Trigger(only_while_version_id=version_id)) == "authenticated"
    assert world.store.current.tokens is not None


# --- not needed, not configured, busy ---


@pytest.mark.parametrize("version_id", ["another version", ""])
def test_an_event_that_came_late_does_nothing(world: World, version_id: str) -> None:
    stored = world.hold_tokens()
    assert run(world, Trigger(only_while_version_id=version_id)) == "not_needed"
    assert world.steps.taken == ["store.read"]
    assert world.store.current == stored


def test_an_event_that_comes_twice_authenticates_once(world: World) -> None:
    stored = world.hold_tokens(left=-60)
    world.transport.will(grant_answer(world.clock.now))
    event = Trigger(only_while_version_id=stored.version_id)
    assert [run(world, event), run(world, event)] == ["authenticated", "not_needed"]
    assert len(world.transport.sent) == 1


def test_an_event_that_came_late_until_the_lease_was_got_does_nothing(world: World) -> None:
    stored = world.hold_tokens(left=-60)
    world.steps.at("lease.acquire", lambda: store_others(world))
    assert run(world, Trigger(only_while_version_id=stored.version_id)) == "not_needed"
    assert world.steps.taken == ["store.read", "credentials.read", "lease.acquire", "store.read", "lease.release"]


def test_credentials_that_are_not_configured_call_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.credentials.failure = CredentialsNotConfigured("api_key", "placeholder")
    assert run(world) == "not_configured"
    assert world.steps.taken == ["store.read", "credentials.read"]
    (record,) = caplog.records
    assert record.message == "credentials.not_configured"
    assert (vars(record)["field"], vars(record)["reason"]) == ("api_key", "placeholder")


def test_while_another_run_holds_the_lease_nobody_is_called(world: World) -> None:
    world.lease.acquire("another run")
    world.steps.taken.clear()
    assert run(world) == "busy"
    assert world.steps.taken == ["store.read", "credentials.read", "lease.acquire"]
    assert world.lease.holder == "another run"


# --- rejected ---


def test_a_401_is_followed_by_another_look_remembered_and_announced(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stored = world.hold_tokens(left=-60)
    world.transport.will(error_answer(401, "INVALID_API_KEY"))
    assert run(world) == "credentials_rejected"
    assert world.steps.taken == [
        "store.read",
        "credentials.read",
        "lease.acquire",
        "store.read",
        "rejected.contains",
        "journal.read",
        "journal.begin",
        "upstream authenticate",
        "journal.end",
        "store.read",
        "rejected.add",
        "bus.publish tokens.credentials-rejected",
        "lease.release",
    ]
    assert world.rejected.attempts == {ATTEMPT}
    assert world.bus.events == [Event("tokens.credentials-rejected", {"credentials_version_id": "credentials-1"})]
    assert logged(caplog) == ["credentials.rejected"]
    assert world.store.current == stored


@pytest.mark.parametrize("trigger", [OPERATOR, "event"])
def test_rejected_credentials_are_not_tried_again(
    world: World, trigger: Trigger | str, caplog: pytest.LogCaptureFixture
) -> None:
    reject(world)
    caplog.clear()
    if not isinstance(trigger, Trigger):
        trigger = Trigger(only_while_version_id=world.store.current.version_id)
    assert run(world, trigger) == "credentials_rejected"
    assert not world.transport.sent
    assert not world.bus.events
    assert world.steps.taken[-1] == "lease.release"
    assert logged(caplog) == ["credentials.rejected_before"]


def test_force_tries_them_once_more_and_forgets_once_they_work(world: World) -> None:
    reject(world)
    world.transport.will(grant_answer(world.clock.now))
    assert run(world, FORCED) == "authenticated"
    assert world.steps.taken == [
        "store.read",
        "credentials.read",
        "lease.acquire",
        "store.read",
        "rejected.contains",
        "journal.read",
        "journal.begin",
        "upstream authenticate",
        "store.put",
        "store.move",
        "journal.end",
        "bus.publish tokens.authenticated",
        "rejected.remove",
        "lease.release",
    ]
    world.transport.will(grant_answer(world.clock.now))
    assert run(world) == "authenticated"


def test_force_holds_for_one_run(world: World) -> None:
    reject(world)
    world.transport.will(error_answer(401))
    assert run(world, FORCED) == "credentials_rejected"
    assert run(world) == "credentials_rejected"
    assert len(world.transport.sent) == 1
    assert world.rejected.attempts == {ATTEMPT}


def test_force_without_an_answer_leaves_them_rejected(world: World) -> None:
    reject(world)
    world.transport.will(UpstreamFault("timeout"))
    assert run(world, FORCED) == "upstream_unavailable"
    assert world.rejected.attempts == {ATTEMPT}


def test_force_does_not_revive_an_event_that_came_late(world: World) -> None:
    assert run(world, Trigger(only_while_version_id="another version", force=True)) == "not_needed"


def test_credentials_that_work_are_forgotten_even_by_the_loser_of_a_race(world: World) -> None:
    reject(world)
    world.steps.at("store.move", lambda: store_others(world))
    world.transport.will(grant_answer(world.clock.now))
    assert run(world, FORCED) == "lost_race"
    assert not world.rejected.attempts


def another_version(world: World) -> None:
    world.credentials.version_id = "credentials-2"


def another_base_url(world: World) -> None:
    world.base_url = "https://other.example.com"


def the_other_option(world: World) -> None:
    world.credentials_in = "headers"


@pytest.mark.parametrize("change", [another_version, another_base_url, the_other_option])
def test_another_version_place_or_way_is_tried_again(world: World, change: Callable[[World], None]) -> None:
    reject(world)
    change(world)
    world.transport.will(grant_answer(world.clock.now))
    assert run(world) == "authenticated"
    assert world.rejected.attempts == {ATTEMPT}


def test_a_slash_at_the_end_of_the_base_url_makes_no_other_place(world: World) -> None:
    reject(world)
    world.base_url = BASE_URL + "/"
    assert run(world) == "credentials_rejected"
    assert not world.transport.sent


def test_a_401_that_another_runs_tokens_explain_rejects_nothing(world: World) -> None:
    world.steps.at("upstream authenticate", lambda: store_others(world))
    world.transport.will(error_answer(401))
    assert run(world) == "lost_race"
    assert not world.rejected.attempts
    assert not world.bus.events


# --- lost races, and an upstream that is no help ---


@pytest.mark.parametrize("step", ["upstream authenticate", "store.put", "store.move"])
def test_whoever_is_overtaken_discards_its_own_tokens(world: World, step: str) -> None:
    world.steps.at(step, lambda: store_others(world))
    world.transport.will(grant_answer(world.clock.now))
    assert run(world) == "lost_race"
    assert world.store.current.tokens == make_tokens(world.clock.now, name="others")
    assert not world.bus.events
    assert world.lease.holder is None
    assert world.journal.begun is not None, "this exchange may have ended the winner's tokens"


@pytest.mark.parametrize("reply", [UpstreamFault("timeout"), UpstreamAnswer(200, {}, b"")])
def test_after_a_lost_answer_the_trace_is_there_though_another_run_has_taken_its_place(
    world: World, reply: UpstreamAnswer | UpstreamFault
) -> None:
    world.steps.at("upstream authenticate", lambda: setattr(world.journal, "begun", None))
    world.transport.will(reply)
    assert run(world) == "upstream_unavailable"
    assert world.journal.begun is not None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (UpstreamFault("timeout"), "timeout"),
        (error_answer(400), "status_400"),
        (error_answer(403), "status_403"),
        (UpstreamAnswer(200, {"content-type": "text/html"}, b"<html>"), "content_type"),
        (grant_answer(0), "already_expired"),
    ],
)
def test_an_upstream_that_is_no_help_changes_nothing(
    world: World, reply: UpstreamAnswer | UpstreamFault, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = world.hold_tokens()
    world.transport.will(reply)
    assert run(world) == "upstream_unavailable"
    assert world.store.current == stored
    assert not world.rejected.attempts
    assert world.bus.events == [Event("tokens.upstream-unavailable", {"call": "authenticate", "reason": reason})]
    assert logged(caplog) == ["tokens.upstream_unavailable"]
    assert world.lease.holder is None


def test_the_upstream_is_not_waited_for_beyond_the_deadline(world: World) -> None:
    assert world.authenticator().run(OPERATOR, world.clock.now) == "upstream_unavailable"
    assert not world.transport.sent


# --- AWS out of reach ---

SECRET = SecretUnavailable("InternalServiceError")
STATE = StateUnavailable("InternalServerError")


def prepare_grant(world: World) -> None:
    world.transport.will(grant_answer(world.clock.now))


def prepare_401(world: World) -> None:
    world.transport.will(error_answer(401))


@pytest.mark.parametrize(
    ("prepare", "step", "nth", "error", "exchanges"),
    [
        (prepare_grant, "store.read", 1, SECRET, 0),
        (prepare_grant, "credentials.read", 1, SECRET, 0),
        (prepare_grant, "lease.acquire", 1, STATE, 0),
        (prepare_grant, "store.read", 2, SECRET, 0),
        (prepare_grant, "rejected.contains", 1, STATE, 0),
        (prepare_grant, "journal.read", 1, STATE, 0),
        (prepare_grant, "journal.begin", 1, STATE, 0),
        (prepare_grant, "store.put", 1, SECRET, 1),
        (prepare_grant, "store.move", 1, SECRET, 1),
        (prepare_401, "store.read", 3, SECRET, 1),
        (prepare_401, "rejected.add", 1, STATE, 1),
    ],
)
def test_when_aws_fails_at_an_effect_the_outcome_says_so_and_the_stored_tokens_stay(
    world: World,
    prepare: Callable[[World], None],
    step: str,
    nth: int,
    error: GatehouseError,
    exchanges: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = world.hold_tokens()
    prepare(world)
    world.steps.fail_at(step, error, nth=nth)
    assert run(world) == "aws_unavailable"
    assert len(world.transport.sent) == exchanges
    assert world.store.current == before
    assert not world.rejected.attempts
    assert world.lease.holder is None
    assert not world.bus.events
    record = caplog.records[-1]
    assert record.message == "tokens.aws_unavailable"
    assert vars(record)["error_type"] == type(error).__name__


def test_a_rejection_that_cannot_be_remembered_is_said_all_the_same(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_401(world)
    world.steps.fail_at("rejected.add", STATE)
    assert run(world) == "aws_unavailable"
    assert [record.message for record in caplog.records] == ["credentials.rejected", "tokens.aws_unavailable"]


def test_a_memory_that_cannot_be_changed_after_success_leaves_the_new_tokens(world: World) -> None:
    reject(world)
    prepare_grant(world)
    world.steps.fail_at("rejected.remove", STATE)
    assert run(world, FORCED) == "aws_unavailable"
    tokens = world.store.current.tokens
    assert tokens is not None
    assert tokens.access_token == Secret("access-granted")


def test_a_lease_that_cannot_be_given_back_does_not_spoil_an_authentication(world: World) -> None:
    prepare_grant(world)
    world.steps.fail_at("lease.release", STATE)
    assert run(world) == "authenticated"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (None, "authenticated"),
        (error_answer(401), "credentials_rejected"),
        (UpstreamFault("timeout"), "upstream_unavailable"),
    ],
)
def test_an_announcement_that_fails_changes_nothing(
    world: World, reply: UpstreamAnswer | UpstreamFault | None, outcome: str
) -> None:
    world.transport.will(reply or grant_answer(world.clock.now))
    world.bus.failure = "InternalException"
    assert run(world) == outcome
    assert world.rejected.attempts == ({ATTEMPT} if outcome == "credentials_rejected" else set())


# --- both functions together ---


def test_what_refresh_tokens_asks_for_authenticate_does(world: World) -> None:
    """From nothing to tokens: the event's version is the one that is current when it arrives."""
    assert world.refresher().run(world.deadline).outcome == "reauthentication_requested"
    (detail,) = world.bus.of_type("tokens.reauthentication-required")
    world.transport.will(grant_answer(world.clock.now))
    assert run(world, Trigger(only_while_version_id=str(detail["tokens_version_id"]))) == "authenticated"
    assert world.refresher().run(world.deadline).outcome == "unchanged"


def test_refresh_tokens_goes_on_while_the_credentials_are_rejected(world: World) -> None:
    world.hold_tokens(left=60, refresh_token_age=6 * DAY_SECONDS)
    reject(world)
    world.transport.will(grant_answer(world.clock.now))
    assert world.refresher().run(world.deadline).outcome == "reauthentication_requested"
    tokens = world.store.current.tokens
    assert tokens is not None
    assert tokens.is_valid(world.clock.now + HOUR_SECONDS - 1)
    assert run(world, Trigger(only_while_version_id=world.store.current.version_id)) == "credentials_rejected"
    assert len(world.transport.sent) == 1


# --- an exchange that nobody knows the end of ---


@pytest.mark.parametrize("reply", [UpstreamFault("timeout"), error_answer(302), grant_answer(0)])
def test_a_lost_answer_leaves_a_trace(world: World, reply: UpstreamAnswer | UpstreamFault) -> None:
    stored = world.hold_tokens()
    world.transport.will(reply)
    run(world)
    assert world.journal.begun is not None
    assert world.journal.begun.tokens_version_id == stored.version_id


@pytest.mark.parametrize("reply", [UpstreamFault("refused", sent=False), error_answer(401), error_answer(503)])
def test_an_exchange_that_did_not_take_place_leaves_none(world: World, reply: UpstreamAnswer | UpstreamFault) -> None:
    world.hold_tokens()
    world.transport.will(*[reply] * 3)
    run(world)
    assert world.journal.begun is None


def test_an_authentication_settles_what_was_unsettled(world: World) -> None:
    stored = world.hold_tokens()
    world.journal.begun = Begun(stored.version_id, "candidate")
    world.transport.will(grant_answer(world.clock.now))
    assert run(world) == "authenticated"
    assert world.journal.begun is None
