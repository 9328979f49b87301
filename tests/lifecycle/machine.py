"""The token lifecycle as a state machine: rules that a schedule is made of.

Hypothesis chooses: which run goes on, what becomes of its next effect, when time passes, what the operator and the
upstream do. `World` says when an invariant breaks. Every schedule ends with a quiet time, in which the tokens recover.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gatehouse.authenticator import Trigger
from local.integration_api.settings import EXPIRES_AT_FORMATS, Credentials, Settings
from tests.lifecycle.runs import Choose, Verdict
from tests.lifecycle.upstream import TROUBLES
from tests.lifecycle.world import (
    FOR_EVENTS,
    FOR_OPERATOR,
    INSTANCES,
    MOST_SKEW_SECONDS,
    REFRESHERS,
    REQUIRED,
    TICK_SECONDS,
    Setup,
    World,
)

STEPS = 30  # of a schedule

CALLS = (
    *("get tokens", "put tokens", "move tokens", "get credentials", "put lease", "delete lease", "get exchange"),
    *("put exchange", "delete exchange", "get rejected", "put rejected", f"publish {REQUIRED}"),
)
EFFECTS = (*CALLS, "send refresh", "answer refresh", "send authenticate", "answer authenticate", "nothing")

skews = st.sampled_from([0, 0, -MOST_SKEW_SECONDS, MOST_SKEW_SECONDS, -60, 60, -14, 14])
differing = st.permutations([-MOST_SKEW_SECONDS, -60, 60, MOST_SKEW_SECONDS]).map(tuple)
setups = st.builds(
    Setup,
    upstream=st.builds(
        Settings,
        credentials=st.just(Credentials("-", "-")),
        rate_limit_per_minute=st.none(),
        access_token_lifetime_seconds=st.sampled_from([3600, 3600, 2700]),
        invalidate_old_tokens_on_exchange=st.booleans(),
        rotate_refresh_token=st.booleans(),
        refuse_refresh_while_valid=st.sampled_from([False, False, True]),
        expires_at_format=st.sampled_from(EXPIRES_AT_FORMATS),
        expires_at_skew_seconds=st.sampled_from([0, 0, 19_800, 3600, -90]),
    ),
    margin_seconds=st.sampled_from([1500, 1500, 1200, 600]),
    offsets=st.one_of(differing, differing, skews.map(lambda skew: (skew,) * 4)),
)
verdicts = st.sampled_from([Verdict.OK, *Verdict])


class Turn(NamedTuple):
    """What a run does before another one may go on."""

    run: int
    verdict: Verdict  # on the effect before which it stands
    until: str  # how the name begins of the effect before which it stands next


# Before the next effect, before one of these, or at the end.
stops = st.sampled_from(
    ["", "", "get", "put lease", "put exchange", "send", "answer", "put tokens", "put tokens", "move", "move", "end"]
)
turns = st.builds(Turn, st.integers(0, 3), st.sampled_from([*[Verdict.OK] * 9, *Verdict]), stops)


class Change(NamedTuple):
    """What the operator, the upstream or AWS may do at any time."""

    name: str
    make: Callable[[World], None]

    def __repr__(self) -> str:
        return self.name


def trouble(name: str | None) -> Change:
    """The upstream is of no help in this way, or is again."""
    return Change(f"trouble({name})", lambda world: setattr(world.upstream, "trouble", name))


def failing(*effects: str) -> Change:
    """These calls to AWS fail from now on, and no others."""
    return Change(f"failing{effects}", lambda world: setattr(world, "failing", set(effects)))


changes = st.one_of(
    st.sampled_from(
        [
            Change("right key", lambda world: world.rotate_credentials(is_right=True)),
            Change("wrong key", lambda world: world.rotate_credentials(is_right=False)),
            Change("key revoked", World.revoke_key),
        ]
    ),
    st.sampled_from([trouble(name) for name in (None, None, *TROUBLES)]),
    st.sampled_from([failing(), failing(), *map(failing, CALLS)]),
)


def undisturbed(_effect: str) -> Verdict:
    """Let everything take place."""
    return Verdict.OK


def always(effect: str, verdict: Verdict) -> Choose:
    """Disturb one kind of effect, wherever it comes."""
    return lambda reached: verdict if reached == effect else Verdict.OK


@dataclass
class Count:
    """What machines have tried."""

    schedules: int = 0
    steps: int = 0
    effects: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.schedules + other.schedules, self.steps + other.steps, self.effects + other.effects)


class TokenLifecycle(RuleBasedStateMachine):
    """Two refreshers, an authenticator for events and one of the operator's, and all that can go wrong around them."""

    world: World
    total: ClassVar[Count] = Count()
    hours = 24  # of ticking on schedule that are left

    @initialize(setup=setups, has_tokens=st.sampled_from([True, True, False]), is_due=st.booleans())
    def begin(self, setup: Setup, has_tokens: bool, is_due: bool) -> None:
        self.total.schedules += 1
        logging.disable(logging.CRITICAL)
        self.world = World(setup)
        self.world.open()
        if has_tokens:
            assert self.world.drive(FOR_OPERATOR, Trigger()) == "authenticated"
            if is_due:
                self.until_due()

    @invariant()
    def counted(self) -> None:
        """Not a promise: what has been tried."""
        self.total.steps += 1

    def teardown(self) -> None:
        world = self.__dict__.get("world")
        if world is None:
            return
        self.total.effects += world.effects
        try:
            if not world.is_broken and all(not seen.run.is_over for seen in world.seen.values()):
                self.recover()
        finally:
            world.close()
            logging.disable(logging.NOTSET)

    # --- runs that stand still at every effect ---

    @rule(instance=st.sampled_from(INSTANCES), data=st.data())
    def start(self, instance: str, data: st.DataObject) -> None:
        """Start a tick, or an authentication: by an event, early or late or once more, or by the operator."""
        if instance in self.world.seen:
            return
        trigger = None
        if instance == FOR_OPERATOR:
            trigger = Trigger(force=data.draw(st.booleans()))
        elif instance == FOR_EVENTS:
            if not self.world.events:
                return
            trigger = Trigger(only_while_version_id=data.draw(st.sampled_from(self.world.events)))
        self.world.start(instance, trigger)

    @precondition(lambda self: self.world.seen)
    @rule(turn=turns)
    def go_on(self, turn: Turn) -> None:
        """Let a run have some effects, the first of which may be disturbed."""
        runs = list(self.world.seen.values())
        seen = runs[turn.run % len(runs)]
        self.world.proceed(seen, turn.verdict)
        while not seen.run.is_over and not seen.run.effect.startswith(turn.until):
            self.world.proceed(seen, Verdict.OK)

    @rule(
        instances=st.lists(st.sampled_from([*REFRESHERS, FOR_OPERATOR]), min_size=2, unique=True),
        turns=st.lists(turns, min_size=4, max_size=12),
    )
    def race(self, instances: list[str], turns: list[Turn]) -> None:
        """Start several runs when the tokens are due, and let them take turns."""
        self.start_when_due(instances)
        for turn in turns:
            if self.world.seen:
                self.go_on(turn)

    @rule(
        instances=st.permutations([*REFRESHERS, FOR_OPERATOR]),
        until=st.tuples(stops, stops),
        effect=st.sampled_from(EFFECTS),
        verdict=verdicts,
        first_is_first=st.booleans(),
    )
    def overtake(
        self, instances: list[str], until: tuple[str, str], effect: str, verdict: Verdict, first_is_first: bool
    ) -> None:
        """Have one run stand still while another one begins, and have either one end before the other."""
        self.start_when_due(instances[:1])
        self.go_on(Turn(0, Verdict.OK, until[0]))
        self.start_if_idle(instances[1])
        self.go_on(Turn(1, Verdict.OK, until[1]))
        self.finish(instances[:2] if first_is_first else [instances[1], instances[0]], always(effect, verdict))

    def start_when_due(self, instances: list[str]) -> None:
        self.finish()
        self.until_due()
        for instance in instances:
            self.start_if_idle(instance)

    def start_if_idle(self, instance: str) -> None:
        if instance not in self.world.seen:
            self.world.start(instance, Trigger() if instance == FOR_OPERATOR else None)

    def finish(self, instances: Sequence[str] = INSTANCES, choose: Choose = undisturbed) -> None:
        """Let runs come to their end, one after the other."""
        for seen in [self.world.seen[instance] for instance in instances if instance in self.world.seen]:
            while not seen.run.is_over:
                self.world.proceed(seen, choose(seen.run.effect))

    # --- runs from beginning to end ---

    @rule(instance=st.sampled_from([*REFRESHERS, FOR_OPERATOR]), effect=st.sampled_from(EFFECTS), verdict=verdicts)
    def run(self, instance: str, effect: str, verdict: Verdict) -> None:
        """Have one run, disturbed at one kind of effect, while others may stand still."""
        if instance not in self.world.seen:
            self.world.drive(instance, Trigger() if instance == FOR_OPERATOR else None, always(effect, verdict))

    @precondition(lambda self: not self.world.seen and self.hours > 0)
    @rule(
        hours=st.sampled_from([1, 10, 10, 25]),
        effect=st.sampled_from(EFFECTS),
        verdict=verdicts,
        instance=st.sampled_from(REFRESHERS),
    )
    def run_for_hours(self, hours: int, effect: str, verdict: Verdict, instance: str) -> None:
        """Tick on schedule, with the same disturbance every time."""
        self.hours -= hours
        for _ in range(hours * 3600 // TICK_SECONDS):
            self.scheduled_tick(instance, always(effect, verdict))
            self.world.pass_time(TICK_SECONDS)

    def scheduled_tick(self, instance: str, choose: Choose | None = None) -> None:
        """Tick, and deliver what that asks for."""
        self.world.events.clear()
        self.world.drive(instance, None, choose)
        for version_id in self.world.events:
            self.world.drive(FOR_EVENTS, Trigger(only_while_version_id=version_id), choose)

    # --- time, and what others do ---

    @rule(seconds=st.sampled_from([1, 3, 9, 31]))
    def let_time_pass(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: not self.world.seen)
    @rule(days=st.sampled_from([0, 0, 0.5, 5.99, 6, 7]))
    def let_days_pass(self, days: float) -> None:
        """Let days pass without a tick, or the time until the tokens are due."""
        if days == 0:
            self.until_due()
        else:
            self.world.pass_time(days * 86_400)

    def until_due(self) -> None:
        """Wait until every clock finds the tokens due."""
        if (stored := self.world.stored) is not None:
            due_at = stored.expires_at - self.world.setup.margin_seconds + MOST_SKEW_SECONDS
            self.world.pass_time(max(0.0, due_at - self.world.now))

    @rule(change=changes)
    def change(self, change: Change) -> None:
        """Have something change outside that lasts."""
        change.make(self.world)

    # --- what is promised ---

    @rule(ticks=st.integers(0, 13), after=st.integers(0, 299), percent=st.integers(1, 99))
    def quiet(self, ticks: int, after: int, percent: int) -> None:
        """Faults end, and the tokens recover. An outage shorter than promised leaves no dead token at any time."""
        self.recover()
        for _ in range(ticks):
            self.world.pass_time(TICK_SECONDS)
            self.scheduled_tick(REFRESHERS[0])
        begins, lasts = self.world.now + after, self.world.promised_seconds * percent / 100
        while lasts and self.world.now < begins + lasts + TICK_SECONDS:
            self.world.pass_time(TICK_SECONDS)
            if not self.world.lives(self.world.stored):
                self.world.fail("promise", f"an outage of {lasts} s has left a dead token")
            self.world.upstream.trouble = "status_503" if begins <= self.world.now < begins + lasts else None
            self.scheduled_tick(REFRESHERS[0])

    def recover(self) -> None:
        """Faults end. Two ticks later, the stored token works."""
        self.finish()
        world = self.world
        world.upstream.trouble = None
        world.failing = set()
        world.make_key_right()
        if world.is_unobserved:
            self.until_due()
            world.is_unobserved = False
        self.scheduled_tick(REFRESHERS[0])
        world.pass_time(TICK_SECONDS)
        self.scheduled_tick(REFRESHERS[1])
        if not world.lives(world.stored):
            world.fail("recovery", "two ticks after the last fault, the stored token does not work")
