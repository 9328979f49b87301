"""Everything around the two functions, in memory and in one time, and what must hold of it whatever happens.

The functions are the real ones, with their real adapters, over clients in memory. `World` starts them, passes time,
delivers events, acts as the operator, and looks at every effect: an invariant is checked the moment something happens
that could break it.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from gatehouse import token_policy
from gatehouse.authenticator import Authenticator, Trigger
from gatehouse.bus import EventBridgeBus
from gatehouse.exchange_journal import INTEGRATION_TOKENS as EXCHANGE
from gatehouse.exchange_journal import DynamoDBExchangeJournal
from gatehouse.integration_credentials import SecretsManagerCredentials
from gatehouse.integration_tokens import IntegrationTokens, TokensUnreadable, parse_tokens
from gatehouse.lease import INTEGRATION_TOKENS, LEASE_SECONDS, DynamoDBLease
from gatehouse.refresher import Refresher
from gatehouse.rejected_credentials import DynamoDBRejectedCredentials
from gatehouse.secret_value import Secret
from gatehouse.secrets import SecretsManagerReader
from gatehouse.token_exchange import TokenExchange
from gatehouse.token_store import SecretsManagerTokenStore
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from local.integration_api.settings import Credentials, Settings
from tests.lifecycle.runs import Choose, Faults, Run, Verdict
from tests.lifecycle.upstream import Upstream
from tests.support.memory_aws import CURRENT, MemoryAccount

TICK_SECONDS = 300
TIMEOUT_SECONDS = 30  # of both functions
RESERVE_SECONDS = 14
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
MARGIN_SECONDS = 1500  # of the template
MOST_VERSIONS_A_DAY = 100  # of a secret that Secrets Manager keeps, and it keeps all that are younger than a day
MOST_SKEW_SECONDS = 120
UNAUTHORIZED = 401
REQUIRED = "tokens.reauthentication-required"

REFRESHERS = ("refresher A", "refresher B")
FOR_EVENTS, FOR_OPERATOR = "authenticator", "operator's authenticator"
INSTANCES = (*REFRESHERS, FOR_EVENTS, FOR_OPERATOR)


class InvariantBroken(AssertionError):
    """Something happened that must not. `name` says which invariant."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Setup:
    """What does not change while the world exists."""

    upstream: Settings
    margin_seconds: int = MARGIN_SECONDS
    offsets: tuple[float, float, float, float] = (0, 0, 0, 0)  # of the instances' clocks, in seconds


@dataclass
class Seen:
    """What was seen of one run."""

    run: Run
    started_at: float
    trigger: Trigger | None = None  # of an authentication
    leased_version: str = ""  # what was stored when it got the lease
    is_exchanging: bool = False
    rejected_key: str = ""  # the upstream has answered 401 for it
    heard_key: str = ""  # and the run has heard that
    was_disturbed: bool = False  # since it has heard the last answer
    has_overlapped: bool = False  # another run had the lease as well
    has_no_trace: bool = False  # what it left in the journal did not get there


class World:
    """One deployment with its upstream."""

    def __init__(self, setup: Setup) -> None:
        self.now = 1_800_000_000.0
        self.setup = setup
        self.offsets = dict(zip(INSTANCES, setup.offsets, strict=True))
        self.upstream = Upstream(self.time, setup.upstream)
        self.aws = MemoryAccount(self.time, self._door)
        self.aws.secrets.create_secret(Name="tokens", SecretString="{}")
        self.aws.secrets.create_secret(Name="credentials", SecretString="{}")
        self.tokens = self.aws.secrets.secrets["tokens"]
        self.events: list[str] = []  # versions that events name which were not delivered yet
        self.seen: dict[str, Seen] = {}  # by instance: the runs that are under way
        self.failing: set[str] = set()  # effects that do not take place for a while, whoever tries
        self.effects = 0
        self.is_broken = False
        self.is_unobserved = False  # a run died that nobody can know of: see `_settle`
        self._current: Seen | None = None
        self._taken_events = 0
        self._puts: deque[float] = deque()
        self._remembered: set[str] = set()  # keys that a run has heard to be rejected, undisturbed to its end
        self._rejected: set[str] = set()
        self._key = 0
        self.rotate_credentials(is_right=True)

    def open(self) -> None:
        """Put the clients in the place of boto3's."""
        self.aws.open()

    def close(self) -> None:
        """End what is under way, and put boto3 back."""
        for seen in self.seen.values():
            self._current = seen
            seen.run.abandon()
        self.aws.close()

    @property
    def current(self) -> Seen:
        """The run that is awake."""
        assert self._current is not None
        return self._current

    def time(self) -> float:
        """Return the true time."""
        return self.now

    # --- the functions, put together as `token_adapters` does ---

    def _clock(self, instance: str) -> Callable[[], float]:
        return lambda: self.now + self.offsets[instance]

    def _exchange(self, instance: str) -> TokenExchange:
        return TokenExchange(
            "https://integration.example.com",
            "body",
            _Transport(self, self._clock(instance)),
            clock=self._clock(instance),
            sleep=self._sleep,
        )

    def _journal(self, instance: str) -> DynamoDBExchangeJournal:
        return DynamoDBExchangeJournal("state", EXCHANGE, self._clock(instance))

    def refresher(self, instance: str) -> Refresher:
        """Return `refresh_tokens`."""
        return Refresher(
            SecretsManagerTokenStore("tokens"),
            DynamoDBLease("state", INTEGRATION_TOKENS, self._clock(instance)),
            self._exchange(instance),
            EventBridgeBus("bus", "gatehouse.tokens"),
            journal=self._journal(instance),
            margin_seconds=self.setup.margin_seconds,
            clock=self._clock(instance),
        )

    def authenticator(self, instance: str) -> Authenticator:
        """Return `authenticate`."""
        return Authenticator(
            SecretsManagerTokenStore("tokens"),
            DynamoDBLease("state", INTEGRATION_TOKENS, self._clock(instance)),
            self._exchange(instance),
            EventBridgeBus("bus", "gatehouse.tokens"),
            journal=self._journal(instance),
            credentials=SecretsManagerCredentials("credentials", SecretsManagerReader()),
            rejected=DynamoDBRejectedCredentials("state", self._clock(instance)),
        )

    # --- runs ---

    def prepare(self, instance: str, trigger: Trigger | None = None) -> Seen:
        """Return a run that has not begun: a tick, or an authentication where there is a trigger."""
        deadline = self._clock(instance)() + TIMEOUT_SECONDS - RESERVE_SECONDS
        if trigger is None:
            refresher = self.refresher(instance)
            run = Run(instance, lambda: refresher.run(deadline).outcome)
        else:
            authenticator = self.authenticator(instance)
            run = Run(instance, lambda: authenticator.run(trigger, deadline))
        seen = Seen(run, self.now, trigger)
        self.seen[instance] = seen
        return seen

    def start(self, instance: str, trigger: Trigger | None = None) -> None:
        """Start a run and leave it before its first effect."""
        seen = self._current = self.prepare(instance, trigger)
        seen.run.start()
        self._settle(seen)

    def proceed(self, seen: Seen, verdict: Verdict) -> None:
        """Let a run's effect take place, or not."""
        if self.now - seen.started_at >= TIMEOUT_SECONDS:
            verdict = Verdict.CRASH_BEFORE
        self._current = seen
        seen.run.proceed(self._weigh(seen, seen.run.effect, verdict))
        self._settle(seen)

    def drive(self, instance: str, trigger: Trigger | None = None, choose: Choose | None = None) -> object:
        """Run to the end at once, and return the outcome."""
        seen = self._current = self.prepare(instance, trigger)
        seen.run.drive(lambda effect: self._weigh(seen, effect, choose(effect) if choose else Verdict.OK))
        self._settle(seen)
        return seen.run.outcome

    def crash(self, seen: Seen) -> None:
        """End a run where it stands."""
        self._current = seen
        seen.run.proceed(Verdict.CRASH_BEFORE)
        self._settle(seen)

    def pass_time(self, seconds: float) -> None:
        """Let time pass. Runs that it takes beyond their timeout end where they stand."""
        self.now += seconds
        for seen in list(self.seen.values()):
            if self.now - seen.started_at >= TIMEOUT_SECONDS:
                self.crash(seen)

    def _weigh(self, seen: Seen, effect: str, verdict: Verdict) -> Verdict:
        self.effects += 1
        if effect in self.failing and verdict in {Verdict.OK, Verdict.LOST, Verdict.RETRIED}:
            verdict = Verdict.REFUSED
        if effect == "sleep" and not verdict.is_crash:
            verdict = Verdict.OK
        if verdict is not Verdict.OK:
            seen.was_disturbed = True
            seen.has_no_trace |= effect == "put exchange"
        return verdict

    def _settle(self, seen: Seen) -> None:
        """Look at a run that may have ended."""
        for entry in self.aws.bus.entries[self._taken_events :]:
            if entry["DetailType"] == REQUIRED:
                self.events.append(json.loads(entry["Detail"])["tokens_version_id"])
        self._taken_events = len(self.aws.bus.entries)
        if not seen.run.is_over:
            return
        del self.seen[seen.run.name]
        # Two runs have one place for their traces. Where clocks are so far apart that both had the lease, the trace of
        # one that died is the other's, who takes it away. Then the margin alone brings new tokens.
        if seen.has_overlapped and (seen.run.has_crashed or seen.has_no_trace):
            self.is_unobserved = True
        undisturbed = (
            not (seen.was_disturbed or seen.run.has_crashed) and self.tokens.labels[CURRENT] == seen.leased_version
        )
        if seen.heard_key and undisturbed:
            self._remembered.add(seen.heard_key)

    # --- effects ---

    def _door(self, name: str, perform: Callable[[], Any]) -> Any:
        return self.current.run.reach(name, lambda: self._perform(name, perform))

    def _perform(self, name: str, perform: Callable[[], Any]) -> Any:
        seen = self.current
        before, versions = self.tokens.labels[CURRENT], len(self.tokens.versions)
        answer = perform()
        if name == "put lease":
            seen.leased_version = before
            for other in self.seen.values():
                if other is not seen and other.leased_version:
                    other.has_overlapped = seen.has_overlapped = True
        if len(self.tokens.versions) != versions:
            self._check_versions()
        if self.tokens.labels[CURRENT] != before:
            self._check_replacement(before)
        return answer

    def _sleep(self, seconds: float) -> None:
        seen = self.current
        wakes_at = self.now + seconds

        def wake() -> None:
            self.now = max(self.now, wakes_at)

        seen.run.reach("sleep", wake)

    # --- what must hold ---

    def fail(self, name: str, what: str) -> NoReturn:
        """Say that an invariant is broken."""
        self.is_broken = True
        raise InvariantBroken(name, what)

    @property
    def promised_seconds(self) -> float:
        """How long an outage may last that never leaves a dead token.

        An upstream that refuses to refresh early leaves no time for one, and clocks that disagree take theirs from it.
        """
        settings, offsets = self.upstream.settings, self.setup.offsets
        if settings.refuse_refresh_while_valid:
            return 0
        margin = self.setup.margin_seconds - (MOST_SKEW_SECONDS if len(set(offsets)) > 1 else 0)
        return (margin // TICK_SECONDS - 1) * TICK_SECONDS

    def tokens_of(self, version_id: str) -> IntegrationTokens | None:
        """Return what a version of the tokens holds."""
        try:
            return parse_tokens(Secret(self.tokens.versions[version_id].text))
        except TokensUnreadable as error:
            self.fail("parseable", str(error))

    @property
    def stored(self) -> IntegrationTokens | None:
        """What is stored now."""
        return self.tokens_of(self.tokens.labels[CURRENT])

    def lives(self, tokens: IntegrationTokens | None) -> bool:
        """Whether the upstream takes the access token."""
        return tokens is not None and self.upstream.lives(tokens.access_token.reveal())

    def _check_replacement(self, before: str) -> None:
        old, new = self.tokens_of(before), self.stored
        if old is not None and self.lives(old):
            if new is None or not self.lives(new):
                self.fail("replacement", "a living token was replaced by none, or by a dead one")
            numbers = [self.upstream.truth(each.access_token.reveal()).number for each in (old, new)]
            if numbers[1] < numbers[0]:
                self.fail("replacement", "a living token was replaced by an older one")
        if new is not None:
            truth = self.upstream.truth(new.access_token.reveal())
            if new.expires_at > truth.expires_at + MOST_SKEW_SECONDS:
                self.fail("truthful", "the access token is said to live longer than it does")
            if new.refresh_token_obtained_at > truth.authenticated_at + MOST_SKEW_SECONDS:
                self.fail("truthful", "the refresh token is said to be younger than it is")

    def _check_versions(self) -> None:
        self._puts.append(self.now)
        while self._puts[0] <= self.now - DAY_SECONDS:
            self._puts.popleft()
        if len(self._puts) > MOST_VERSIONS_A_DAY:
            self.fail("versions", f"more than {MOST_VERSIONS_A_DAY} within a day")

    def check_exchange(self, seen: Seen, call: str, now: float) -> None:
        """Look at an exchange that begins. `now` is what the run takes for the time."""
        for other in self.seen.values():
            apart = abs(self.offsets[other.run.name] - self.offsets[seen.run.name])
            if other is not seen and other.is_exchanging and apart <= LEASE_SECONDS - TIMEOUT_SECONDS:
                self.fail("one exchange", f"{seen.run.name} while {other.run.name} is at it")
        if not seen.leased_version:
            self.fail("one exchange", f"{seen.run.name} without a lease")
        tokens = self.tokens_of(seen.leased_version)
        if call == "refresh":
            if token_policy.on_tick(tokens, now, self.setup.margin_seconds) != token_policy.Refresh():
                self.fail("needless", "a refresh of tokens that are good, or not there")
        else:
            assert seen.trigger is not None
            wanted = seen.trigger.only_while_version_id
            if wanted is not None and wanted != seen.leased_version:
                self.fail("needless", "an authentication that came late")

    def arrive(self, seen: Seen, call: str, request: UpstreamRequest) -> UpstreamAnswer:
        """Have a request arrive at the upstream."""
        answer = self.upstream.take(request)
        if call == "authenticate":
            assert seen.trigger is not None
            key = json.loads(request.body or b"{}")["api_key"]
            if key in self._remembered and not seen.trigger.force:
                self.fail("hammer", "a rejected key was tried again")
            if answer.status == UNAUTHORIZED:
                self._rejected.add(key)
                seen.rejected_key = key
        return answer

    # --- the operator ---

    def rotate_credentials(self, *, is_right: bool) -> None:
        """Write a new API key, which the upstream takes, or does not."""
        self._key += 1
        pair = Credentials(f"key-{self._key}-0123456789", f"secret-{self._key}-0123456789")
        if is_right:
            self.upstream.accept(pair)
        self._written = pair
        text = json.dumps({"api_key": pair.api_key, "secret_key": pair.secret_key})
        self.aws.secrets.write("credentials", text)

    def make_key_right(self) -> None:
        """Write a new key where the one that is written is not taken, or was not taken once."""
        if self.upstream.settings.credentials != self._written or self._written.api_key in self._rejected:
            self.rotate_credentials(is_right=True)

    def revoke_key(self) -> None:
        """The upstream no longer takes the key that it took."""
        self._key += 1
        self.upstream.accept(Credentials(f"key-{self._key}-elsewhere", f"secret-{self._key}-elsewhere"))


class _Transport:
    """The way to the upstream and back: an effect each."""

    def __init__(self, world: World, clock: Callable[[], float]) -> None:
        self._world = world
        self._clock = clock

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        world, seen = self._world, self._world.current
        call = request.url.rpartition("/")[2]
        world.check_exchange(seen, call, self._clock())
        until = world.now + timeout_seconds
        answers: list[UpstreamAnswer] = []

        def arrive() -> None:
            if not answers:
                answers.append(world.arrive(seen, call, request))

        def come_back() -> UpstreamAnswer:
            if world.now >= until:
                raise UpstreamFault("timeout")
            return answers[0]

        seen.is_exchanging = True
        try:
            seen.run.reach(
                f"send {call}", arrive, Faults(UpstreamFault("connect", sent=False), UpstreamFault("timeout"))
            )
            answer: UpstreamAnswer = seen.run.reach(
                f"answer {call}", come_back, Faults(UpstreamFault("closed"), UpstreamFault("timeout"))
            )
        finally:
            seen.is_exchanging = False
        seen.heard_key, seen.was_disturbed = seen.rejected_key, False
        return answer
