"""One tick, over the fakes: every outcome, and the order of its effects."""

from collections.abc import Callable

import pytest

from gatehouse import iso8601
from gatehouse.bus import BusUnavailable
from gatehouse.exchange_journal import Begun
from gatehouse.integration_tokens import render_tokens
from gatehouse.lease import StateUnavailable
from gatehouse.problems import GatehouseError, SecretUnavailable
from gatehouse.refresher import Ask, Tick
from gatehouse.secret_value import Secret
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.token_fakes import (
    DAY_SECONDS,
    HOUR_SECONDS,
    MARGIN_SECONDS,
    Event,
    World,
    error_answer,
    grant_answer,
    make_tokens,
)

SIX_DAYS = 6 * DAY_SECONDS
REQUIRED = "tokens.reauthentication-required"

LOOK = ["store.read", "journal.read"]
READ_EXCHANGE_AND_GIVE_BACK = [
    *LOOK,
    "lease.acquire",
    *LOOK,
    "journal.begin",
    "upstream refresh",
    "journal.begin",  # once more: another run may have written over it
    "lease.release",
]
REFRESHED = [
    *LOOK,
    "lease.acquire",
    *LOOK,
    "journal.begin",
    "upstream refresh",
    "store.put",
    "store.move",
    "journal.end",
    "bus.publish tokens.refreshed",
    "lease.release",
]


@pytest.fixture
def world() -> World:
    return World()


def tick(world: World) -> Tick:
    return world.refresher().run(world.deadline)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def store_others(world: World) -> None:
    """Another run's tokens, good for an hour."""
    world.store.write(render_tokens(make_tokens(world.clock.now, name="others")).reveal())


# --- nothing to exchange ---


@pytest.mark.parametrize("left", [MARGIN_SECONDS + 1, HOUR_SECONDS])
def test_good_tokens_are_left_alone_and_nobody_is_called(world: World, left: float) -> None:
    stored = world.hold_tokens(left=left)
    assert tick(world) == Tick("unchanged", stored.tokens)
    assert world.steps.taken == LOOK


def test_without_tokens_an_authentication_is_asked_for(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ended = tick(world)
    assert (ended.outcome, ended.tokens) == ("reauthentication_requested", None)
    assert world.steps.taken == [*LOOK, f"bus.publish {REQUIRED}"]
    version_id = world.store.current.version_id
    assert world.bus.events == [Event(REQUIRED, {"reason": "no_tokens", "tokens_version_id": version_id})]
    assert logged(caplog) == ["tokens.missing"]


def test_what_cannot_be_read_counts_as_no_tokens(world: World) -> None:
    version_id = world.store.write("rubbish")
    assert tick(world).outcome == "reauthentication_requested"
    assert world.bus.of_type(REQUIRED) == [{"reason": "no_tokens", "tokens_version_id": version_id}]


def test_an_old_refresh_token_with_a_good_access_token_asks_without_calling_anybody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stored = world.hold_tokens(refresh_token_age=SIX_DAYS)
    ended = tick(world)
    assert (ended.outcome, ended.tokens) == ("reauthentication_requested", stored.tokens)
    assert world.steps.taken == [*LOOK, f"bus.publish {REQUIRED}"]
    assert world.bus.of_type(REQUIRED) == [{"reason": "refresh_token_old", "tokens_version_id": stored.version_id}]
    assert "tokens.missing" not in logged(caplog)


# --- refreshed ---


@pytest.mark.parametrize("left", [MARGIN_SECONDS, 1, 0, -DAY_SECONDS])
def test_tokens_near_their_end_are_replaced(world: World, left: float) -> None:
    stored = world.hold_tokens(left=left, refresh_token_age=DAY_SECONDS)
    world.transport.will(grant_answer(world.clock.now))
    ended = tick(world)
    current = world.store.current
    assert ended.outcome == "refreshed"
    assert ended.tokens == current.tokens
    assert current.tokens is not None
    assert stored.tokens is not None
    assert current.version_id != stored.version_id
    assert current.tokens.access_token == Secret("access-granted")
    assert current.tokens.expires_at == world.clock.now + HOUR_SECONDS
    assert current.tokens.refresh_token_obtained_at == stored.tokens.refresh_token_obtained_at
    assert world.transport.sent[0].document == {"refresh_token": "refresh-stored"}


def test_a_refresh_has_its_effects_in_this_order(world: World) -> None:
    world.hold_tokens(left=60)
    world.transport.will(grant_answer(world.clock.now))
    tick(world)
    assert world.steps.taken == REFRESHED
    assert world.lease.holder is None


def test_a_refresh_is_announced_by_version_and_expiry_alone(world: World) -> None:
    world.hold_tokens(left=60)
    world.transport.will(grant_answer(world.clock.now))
    tick(world)
    detail = {
        "expires_at": iso8601.render(world.clock.now + HOUR_SECONDS),
        "tokens_version_id": world.store.current.version_id,
    }
    assert world.bus.events == [Event("tokens.refreshed", detail)]


def test_another_refresh_token_is_stored_and_its_7_days_begin(world: World) -> None:
    world.hold_tokens(left=60, refresh_token_age=SIX_DAYS)
    world.transport.will(grant_answer(world.clock.now, refresh_token="refresh-other"))
    assert tick(world).outcome == "refreshed"
    tokens = world.store.current.tokens
    assert tokens is not None
    assert tokens.refresh_token == Secret("refresh-other")
    assert tokens.refresh_token_obtained_at == world.clock.now
    assert not world.bus.of_type(REQUIRED)


def test_an_old_refresh_token_is_used_and_an_authentication_asked_for_besides(world: World) -> None:
    world.hold_tokens(left=60, refresh_token_age=SIX_DAYS)
    world.transport.will(grant_answer(world.clock.now))
    ended = tick(world)
    current = world.store.current
    assert (ended.outcome, ended.tokens) == ("reauthentication_requested", current.tokens)
    assert current.tokens is not None
    assert current.tokens.access_token == Secret("access-granted")
    assert world.steps.taken == [*REFRESHED, f"bus.publish {REQUIRED}"]
    assert world.bus.of_type(REQUIRED) == [{"reason": "refresh_token_old", "tokens_version_id": current.version_id}]


def test_a_second_tick_finds_the_tokens_of_the_first(world: World) -> None:
    world.hold_tokens(left=60)
    world.transport.will(grant_answer(world.clock.now))
    tick(world)
    assert tick(world).outcome == "unchanged"
    assert len(world.transport.sent) == 1


# --- two runs ---


def test_while_another_run_holds_the_lease_nobody_is_called(world: World) -> None:
    stored = world.hold_tokens(left=60)
    world.lease.acquire("another run")
    world.steps.taken.clear()
    assert tick(world) == Tick("busy", stored.tokens)
    assert world.steps.taken == [*LOOK, "lease.acquire"]
    assert world.lease.holder == "another run"


def test_what_another_run_has_stored_until_the_lease_was_got_is_not_refreshed_again(world: World) -> None:
    world.hold_tokens(left=60)
    world.steps.at("lease.acquire", lambda: store_others(world))
    assert tick(world) == Tick("unchanged", world.store.current.tokens)
    assert world.steps.taken == [*LOOK, "lease.acquire", *LOOK, "lease.release"]


def test_what_vanished_until_the_lease_was_got_is_asked_for_after_giving_it_back(world: World) -> None:
    world.hold_tokens(left=60)
    world.steps.at("lease.acquire", lambda: world.store.write("{}"))
    assert tick(world).outcome == "reauthentication_requested"
    assert world.steps.taken == [
        *LOOK,
        "lease.acquire",
        *LOOK,
        "lease.release",
        f"bus.publish {REQUIRED}",
    ]
    version_id = world.store.current.version_id
    assert world.bus.of_type(REQUIRED) == [{"reason": "no_tokens", "tokens_version_id": version_id}]


def test_the_tokens_that_are_refreshed_are_those_of_the_second_look(world: World) -> None:
    world.hold_tokens(left=60)
    others = make_tokens(world.clock.now, left=30, name="others")
    changed = render_tokens(others).reveal().replace("refresh-stored", "refresh-others")
    world.steps.at("lease.acquire", lambda: world.store.write(changed))
    world.transport.will(grant_answer(world.clock.now, refresh_token="refresh-others"))
    assert tick(world).outcome == "refreshed"
    assert world.transport.sent[0].document == {"refresh_token": "refresh-others"}


@pytest.mark.parametrize("step", ["upstream refresh", "store.put", "store.move"])
def test_whoever_is_overtaken_discards_its_own_tokens_and_reports_the_winners(world: World, step: str) -> None:
    world.hold_tokens(left=60)
    world.steps.at(step, lambda: store_others(world))
    world.transport.will(grant_answer(world.clock.now))
    ended = tick(world)
    assert ended.outcome == "lost_race"
    assert ended.tokens == world.store.current.tokens == make_tokens(world.clock.now, name="others")
    assert not world.bus.events
    assert world.lease.holder is None


def test_after_a_lost_race_the_trace_stays_because_the_exchange_may_have_ended_the_winners_tokens(world: World) -> None:
    world.hold_tokens(left=60)
    before = world.store.current.version_id

    def overtake() -> None:
        world.journal.begun = None  # written over by the other run, which has ended
        store_others(world)

    world.steps.at("store.move", overtake)
    world.transport.will(grant_answer(world.clock.now))
    assert tick(world).outcome == "lost_race"
    assert world.journal.begun is not None
    assert world.journal.begun.tokens_version_id == before
    assert tick(world).ask == Ask("exchange_unsettled", world.store.current.version_id)


def test_a_trace_that_cannot_be_left_does_not_spoil_the_outcome(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.hold_tokens(left=60)
    world.steps.at("store.move", lambda: store_others(world))
    world.steps.fail_at("journal.begin", STATE, nth=2)
    world.transport.will(grant_answer(world.clock.now))
    assert tick(world).outcome == "lost_race"
    assert "exchange.not_remembered" in logged(caplog)


# --- what the upstream refuses ---


def test_a_401_is_followed_by_another_look_and_asks_after_the_lease_was_given_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stored = world.hold_tokens(left=60)
    world.transport.will(error_answer(401, "REFRESH_TOKEN_EXPIRED"))
    ended = tick(world)
    assert (ended.outcome, ended.tokens) == ("reauthentication_requested", stored.tokens)
    assert world.steps.taken == [
        *LOOK,
        "lease.acquire",
        *LOOK,
        "journal.begin",
        "upstream refresh",
        "journal.end",
        "store.read",
        "lease.release",
        f"bus.publish {REQUIRED}",
    ]
    assert world.bus.events == [Event(REQUIRED, {"reason": "refresh_rejected", "tokens_version_id": stored.version_id})]
    assert logged(caplog) == ["tokens.refresh_rejected"]
    assert world.store.current == stored


def test_a_401_that_another_runs_tokens_explain_asks_for_nothing(world: World) -> None:
    world.hold_tokens(left=60)
    world.steps.at("upstream refresh", lambda: store_others(world))
    world.transport.will(error_answer(401))
    assert tick(world) == Tick("lost_race", world.store.current.tokens)
    assert not world.bus.events


def test_another_refusal_while_the_access_token_works_is_waited_out(world: World) -> None:
    stored = world.hold_tokens(left=60)
    world.transport.will(error_answer(400))
    assert tick(world) == Tick("upstream_unavailable", stored.tokens)
    assert world.store.current == stored
    assert world.bus.events == [Event("tokens.upstream-unavailable", {"call": "refresh", "reason": "status_400"})]


def test_another_refusal_when_the_access_token_is_dead_asks_for_authenticate(world: World) -> None:
    stored = world.hold_tokens(left=0)
    world.transport.will(error_answer(400))
    assert tick(world).outcome == "reauthentication_requested"
    assert world.bus.of_type(REQUIRED) == [{"reason": "refresh_refused", "tokens_version_id": stored.version_id}]
    assert world.store.current == stored


def test_an_access_token_that_dies_during_the_call_is_dead(world: World) -> None:
    world.hold_tokens(left=5)
    world.transport.takes_seconds = 5
    world.transport.will(error_answer(400))
    assert tick(world).outcome == "reauthentication_requested"


HELPLESS = [
    (UpstreamFault("timeout"), "timeout"),
    (UpstreamAnswer(200, {"content-type": "text/html"}, b"<html>"), "content_type"),
    (error_answer(302), "status_302"),
    (grant_answer(0), "already_expired"),
]


@pytest.mark.parametrize(("reply", "reason"), HELPLESS)
@pytest.mark.parametrize("left", [60, -60])
def test_an_upstream_that_is_no_help_changes_nothing(
    world: World,
    left: float,
    reply: UpstreamAnswer | UpstreamFault,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stored = world.hold_tokens(left=left)
    world.transport.will(reply)
    assert tick(world) == Tick("upstream_unavailable", stored.tokens)
    assert world.store.current == stored
    assert [step for step in world.steps.taken if not step.startswith("bus.")] == READ_EXCHANGE_AND_GIVE_BACK
    assert world.bus.events == [Event("tokens.upstream-unavailable", {"call": "refresh", "reason": reason})]
    assert logged(caplog) == ["tokens.upstream_unavailable"]


def test_an_upstream_that_is_no_help_does_not_keep_an_old_refresh_token_from_being_replaced(world: World) -> None:
    stored = world.hold_tokens(left=60, refresh_token_age=SIX_DAYS)
    world.transport.will(UpstreamFault("timeout"))
    ended = tick(world)
    assert (ended.outcome, ended.tokens) == ("upstream_unavailable", stored.tokens)
    assert world.steps.taken[-2:] == ["lease.release", f"bus.publish {REQUIRED}"]
    assert world.bus.of_type(REQUIRED) == [{"reason": "refresh_token_old", "tokens_version_id": stored.version_id}]


def test_an_outage_of_20_minutes_never_leaves_a_dead_token(world: World) -> None:
    """Ticks every 5 minutes; the outage begins at the worst moment, when the first chance to refresh comes."""
    world.hold_tokens(left=MARGIN_SECONDS)
    until = world.clock.now + 20 * 60
    while world.clock.now < until:
        world.transport.will(UpstreamFault("timeout"))
        assert tick(world).outcome == "upstream_unavailable"
        world.clock.now += 5 * 60
    world.transport.will(grant_answer(world.clock.now))
    tokens = world.store.current.tokens
    assert tokens is not None
    assert tokens.is_valid(world.clock.now)
    assert tick(world).outcome == "refreshed"


def test_the_upstream_is_not_waited_for_beyond_the_deadline(world: World) -> None:
    world.hold_tokens(left=60)
    ended = world.refresher().run(world.clock.now)
    assert ended.outcome == "upstream_unavailable"
    assert not world.transport.sent


# --- AWS out of reach ---

SECRET = SecretUnavailable("InternalServiceError")
STATE = StateUnavailable("InternalServerError")


def prepare_refresh(world: World) -> None:
    world.hold_tokens(left=60)
    world.transport.will(grant_answer(world.clock.now))


def prepare_401(world: World) -> None:
    world.hold_tokens(left=60)
    world.transport.will(error_answer(401))


def prepare_race(world: World) -> None:
    prepare_refresh(world)
    world.steps.at("store.put", lambda: store_others(world))


@pytest.mark.parametrize(
    ("prepare", "step", "nth", "error", "exchanges"),
    [
        (prepare_refresh, "store.read", 1, SECRET, 0),
        (prepare_refresh, "journal.read", 1, STATE, 0),
        (prepare_refresh, "lease.acquire", 1, STATE, 0),
        (prepare_refresh, "store.read", 2, SECRET, 0),
        (prepare_refresh, "journal.read", 2, STATE, 0),
        (prepare_refresh, "journal.begin", 1, STATE, 0),
        (prepare_refresh, "store.put", 1, SECRET, 1),
        (prepare_refresh, "store.move", 1, SECRET, 1),
        (prepare_401, "store.read", 3, SECRET, 1),
        (prepare_401, f"bus.publish {REQUIRED}", 1, BusUnavailable("InternalException"), 1),
        (prepare_race, "store.read", 3, SECRET, 1),
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
    prepare(world)
    before = world.store.current
    world.steps.fail_at(step, error, nth=nth)
    assert tick(world) == Tick("aws_unavailable")
    assert len(world.transport.sent) == exchanges
    assert world.store.current == before or prepare is prepare_race
    assert world.lease.holder is None
    (record,) = [record for record in caplog.records if record.message == "tokens.aws_unavailable"]
    assert vars(record)["error_type"] == type(error).__name__
    assert vars(record)["reason"] in str(error)


def test_a_lease_that_cannot_be_given_back_does_not_spoil_a_refresh(world: World) -> None:
    prepare_refresh(world)
    world.steps.fail_at("lease.release", STATE)
    assert tick(world).outcome == "refreshed"


@pytest.mark.parametrize(
    ("reply", "outcome"), [(None, "refreshed"), (UpstreamFault("timeout"), "upstream_unavailable")]
)
def test_an_announcement_that_fails_changes_nothing(world: World, reply: UpstreamFault | None, outcome: str) -> None:
    world.hold_tokens(left=60)
    world.transport.will(reply or grant_answer(world.clock.now))
    world.bus.failure = "InternalException"
    ended = tick(world)
    assert ended.outcome == outcome
    assert ended.tokens == world.store.current.tokens


def test_a_run_that_dies_after_the_exchange_leaves_the_old_tokens_and_a_lease_that_ends(world: World) -> None:
    """What a crash leaves behind is repaired by a later tick: the refresh token has not changed."""
    prepare_refresh(world)
    before = world.store.current
    world.steps.fail_at("store.put", SystemExit())
    with pytest.raises(SystemExit):
        tick(world)
    assert world.store.current == before
    world.transport.will(grant_answer(world.clock.now))
    assert tick(world).outcome == "refreshed"


# --- an exchange that nobody knows the end of ---


@pytest.mark.parametrize("reply", [UpstreamFault("timeout"), UpstreamAnswer(200, {}, b"")])
def test_after_a_lost_answer_the_trace_is_there_though_another_run_has_taken_its_place(
    world: World, reply: UpstreamAnswer | UpstreamFault
) -> None:
    world.hold_tokens(left=60)
    world.steps.at("upstream refresh", lambda: setattr(world.journal, "begun", None))
    world.transport.will(reply)
    assert tick(world).outcome == "upstream_unavailable"
    assert world.journal.begun is not None
    assert world.journal.begun.tokens_version_id == world.store.current.version_id


def test_a_trace_that_cannot_be_taken_away_does_not_spoil_a_refresh(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_refresh(world)
    world.steps.fail_at("journal.end", STATE)
    assert tick(world).outcome == "refreshed"
    assert "exchange.not_forgotten" in logged(caplog)
    assert tick(world).outcome == "unchanged", "the trace is of what is stored now"


LOST = [UpstreamFault("timeout"), UpstreamFault("closed"), error_answer(302), grant_answer(0)]
NOTHING_HAPPENED = [UpstreamFault("refused", sent=False), error_answer(401), error_answer(400)]


@pytest.mark.parametrize("reply", LOST)
def test_a_lost_answer_leaves_a_trace(world: World, reply: UpstreamAnswer | UpstreamFault) -> None:
    stored = world.hold_tokens(left=60)
    world.transport.will(reply)
    tick(world)
    assert world.journal.begun is not None
    assert world.journal.begun.tokens_version_id == stored.version_id


@pytest.mark.parametrize("reply", NOTHING_HAPPENED)
def test_an_exchange_that_did_not_take_place_leaves_none(world: World, reply: UpstreamAnswer | UpstreamFault) -> None:
    world.hold_tokens(left=60)
    world.transport.will(*[reply] * 3)
    tick(world)
    assert world.journal.begun is None


def test_a_trace_that_was_there_before_outlives_an_exchange_that_did_not_take_place(world: World) -> None:
    stored = world.hold_tokens(left=60)
    before = Begun(stored.version_id, "candidate")
    world.journal.begun = before
    world.transport.will(error_answer(400))
    tick(world)
    assert world.journal.begun == before


def test_good_tokens_that_an_unsettled_exchange_may_have_ended_are_asked_for_anew(world: World) -> None:
    stored = world.hold_tokens()
    world.journal.begun = Begun(stored.version_id, "candidate")
    ended = tick(world)
    assert (ended.outcome, ended.tokens) == ("reauthentication_requested", stored.tokens)
    assert world.bus.of_type(REQUIRED) == [{"reason": "exchange_unsettled", "tokens_version_id": stored.version_id}]
    assert not world.transport.sent


def test_tokens_that_came_as_far_as_the_store_are_made_current_without_a_call(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_refresh(world)
    world.steps.fail_at("store.move", SECRET)
    assert tick(world).outcome == "aws_unavailable"
    ended = tick(world)
    assert ended.outcome == "refreshed"
    assert ended.tokens == world.store.current.tokens
    assert ended.tokens is not None
    assert ended.tokens.access_token == Secret("access-granted")
    assert len(world.transport.sent) == 1
    assert world.journal.begun is None
    assert "tokens.exchange_finished" in logged(caplog)


def test_tokens_that_came_as_far_as_the_store_and_are_due_by_now_are_not_used(world: World) -> None:
    prepare_refresh(world)
    world.steps.fail_at("store.move", SECRET)
    tick(world)
    world.clock.now += HOUR_SECONDS
    world.transport.will(grant_answer(world.clock.now, access_token="access-later"))
    assert tick(world).outcome == "refreshed"
    assert world.store.current.tokens is not None
    assert world.store.current.tokens.access_token == Secret("access-later")


def test_tokens_of_an_exchange_that_began_from_others_are_not_used(world: World) -> None:
    prepare_refresh(world)
    world.steps.fail_at("store.move", SECRET)
    tick(world)
    store_others(world)
    ended = tick(world)
    assert ended.outcome == "reauthentication_requested"
    assert world.store.current.tokens == make_tokens(world.clock.now, name="others")


def test_while_another_run_holds_the_lease_an_unsettled_exchange_is_left_to_it(world: World) -> None:
    stored = world.hold_tokens()
    world.journal.begun = Begun(stored.version_id, "candidate")
    world.lease.acquire("another run")
    assert tick(world).outcome == "busy"
    assert not world.bus.events
