"""The lifecycle of the Integration API's tokens in memory: fakes, answers of the upstream, and both put together.

Every effect of a fake is a step with a name. `Steps` keeps their order and lets a test put something into one: a fault,
the end of the run, or another run in between. At the end: an AWS account (moto) for the real adapters.
"""

import json
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend

from gatehouse import aws, iso8601
from gatehouse.authenticator import Authenticator
from gatehouse.bus import BusUnavailable
from gatehouse.exchange_answer import Grant
from gatehouse.exchange_journal import Begun
from gatehouse.integration_tokens import IntegrationTokens, TokensUnreadable, parse_tokens, render_tokens
from gatehouse.lease import LEASE_SECONDS
from gatehouse.refresher import Refresher
from gatehouse.rejected_credentials import Attempt
from gatehouse.secret_value import Secret
from gatehouse.settings import CredentialsIn
from gatehouse.token_exchange import Credentials, TokenExchange
from gatehouse.token_store import LostRace, Stored
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from tests.support.fakes import Clock, replace_sleep

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
MARGIN_SECONDS = 1500  # of the template
BASE_URL = "https://integration.example.com"

type Hook = Callable[[], object]


class Steps:
    """The effects that took place, in order."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self._hooks: list[tuple[str, int, Hook]] = []

    def __call__(self, name: str) -> None:
        """Take a step: keep its name, then run what is to happen there. A fault that is raised is the step's own."""
        self.taken.append(name)
        count = self.taken.count(name)
        for hook in [each for each in self._hooks if each[:2] == (name, count)]:
            hook[2]()

    def at(self, name: str, hook: Hook, *, nth: int = 1) -> None:
        """Run `hook` inside the nth step of that name."""
        self._hooks.append((name, nth, hook))

    def fail_at(self, name: str, error: BaseException, *, nth: int = 1) -> None:
        """Raise `error` in the nth step of that name."""

        def fail() -> None:
            raise error

        self.at(name, fail, nth=nth)


class FakeTokenStore:
    """Tokens in memory, as the texts that the secret would hold. Steps: `store.read`, `store.put`, `store.move`."""

    def __init__(self, steps: Steps | None = None, text: str = "{}") -> None:
        self._step = steps or Steps()
        self.versions: dict[str, Secret] = {}
        self.labels: dict[str, str] = {}
        self.write(text)

    def write(self, text: str) -> str:
        """Make a text current, as an operator would, and return its version."""
        version_id = self._put(Secret(text))
        self.labels["AWSCURRENT"] = version_id
        return version_id

    @property
    def current(self) -> Stored:
        """What is stored, without a step."""
        version_id = self.labels["AWSCURRENT"]
        try:
            return Stored(version_id, parse_tokens(self.versions[version_id]))
        except TokensUnreadable:
            return Stored(version_id, None)

    def read(self) -> Stored:
        self._step("store.read")
        return self.current

    def read_version(self, version_id: str) -> IntegrationTokens | None:
        self._step("store.read_version")
        text = self.versions.get(version_id)
        try:
            return None if text is None else parse_tokens(text)
        except TokensUnreadable:
            return None

    def swap(self, tokens: IntegrationTokens, expected_version_id: str, version_id: str) -> None:
        self._step("store.put")
        self.versions[version_id] = render_tokens(tokens)
        self.labels["GATEHOUSE_CANDIDATE"] = version_id
        self._step("store.move")
        if self.labels["AWSCURRENT"] != expected_version_id:
            raise LostRace
        self.labels["AWSCURRENT"] = version_id

    def _put(self, text: Secret) -> str:
        version_id = str(uuid.uuid4())
        self.versions[version_id] = text
        return version_id


class FakeLease:
    """A lease in memory. Steps: `lease.acquire`, `lease.release`."""

    def __init__(self, clock: Callable[[], float], steps: Steps | None = None) -> None:
        self._clock = clock
        self._step = steps or Steps()
        self._owner: str | None = None
        self._ends_at = 0.0

    @property
    def holder(self) -> str | None:
        """Who holds it now."""
        return self._owner if self._clock() < self._ends_at else None

    def acquire(self, owner: str) -> bool:
        self._step("lease.acquire")
        if self.holder not in (None, owner):
            return False
        self._owner, self._ends_at = owner, self._clock() + LEASE_SECONDS
        return True

    def release(self, owner: str) -> None:
        self._step("lease.release")
        if self._owner == owner:
            self._owner = None


class FakeExchangeJournal:
    """The trace of an exchange. Steps: `journal.read`, `journal.begin`, `journal.end`."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._step = steps or Steps()
        self.begun: Begun | None = None

    def read(self) -> Begun | None:
        self._step("journal.read")
        return self.begun

    def begin(self, begun: Begun) -> None:
        self._step("journal.begin")
        self.begun = begun

    def end(self, begun: Begun) -> None:
        self._step("journal.end")
        if self.begun is not None and self.begun.candidate_id == begun.candidate_id:
            self.begun = None


class FakeRejectedCredentials:
    """The memory of rejected credentials. Steps: `rejected.contains`, `rejected.add`, `rejected.remove`."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._step = steps or Steps()
        self.attempts: set[Attempt] = set()

    def contains(self, attempt: Attempt) -> bool:
        self._step("rejected.contains")
        return attempt in self.attempts

    def add(self, attempt: Attempt) -> None:
        self._step("rejected.add")
        self.attempts.add(attempt)

    def remove(self, attempt: Attempt) -> None:
        self._step("rejected.remove")
        self.attempts.discard(attempt)


class Event(NamedTuple):
    """An event that a bus took."""

    detail_type: str
    detail: Mapping[str, object]


class FakeBus:
    """A bus that keeps its events. Step: `bus.publish <detail type>`; while `failure` is set, it takes none."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._step = steps or Steps()
        self.events: list[Event] = []
        self.failure: str | None = None

    def publish(self, detail_type: str, detail: Mapping[str, object]) -> None:
        self.publish_json(detail_type, json.dumps(detail))

    def publish_json(self, detail_type: str, detail: str) -> None:
        self._step(f"bus.publish {detail_type}")
        if self.failure is not None:
            raise BusUnavailable(self.failure)
        self.events.append(Event(detail_type, json.loads(detail)))

    def of_type(self, detail_type: str) -> list[Mapping[str, object]]:
        """Return the details of the events of one type."""
        return [event.detail for event in self.events if event.detail_type == detail_type]


class FakeCredentials:
    """An API key. Step: `credentials.read`; while `failure` is set, there is none."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._step = steps or Steps()
        self.version_id = "credentials-1"
        self.failure: Exception | None = None

    def read(self) -> Credentials:
        self._step("credentials.read")
        if self.failure is not None:
            raise self.failure
        return Credentials(Secret("the-api-key"), Secret("the-secret-key"), self.version_id)


class Sent(NamedTuple):
    """A request that a transport was given, and for how long it was to wait."""

    request: UpstreamRequest
    timeout_seconds: float

    @property
    def call(self) -> str:
        """`authenticate` or `refresh`."""
        return self.request.url.rpartition("/")[2]

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.request.body or b"null")


type Reply = UpstreamAnswer | UpstreamFault | Callable[[UpstreamRequest], UpstreamAnswer]


class FakeTransport:
    """An upstream with a script. Step: `upstream <call>`. A request beyond the script is a bug of the caller."""

    def __init__(self, clock: Clock, steps: Steps | None = None) -> None:
        self._clock = clock
        self._step = steps or Steps()
        self.script: deque[Reply] = deque()
        self.sent: list[Sent] = []
        self.takes_seconds = 0.0  # how much later it is after each request

    def will(self, *replies: Reply) -> None:
        """Append to the script."""
        self.script.extend(replies)

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        sent = Sent(request, timeout_seconds)
        self.sent.append(sent)
        self._step(f"upstream {sent.call}")
        self._clock.now += self.takes_seconds
        if not self.script:
            raise AssertionError("nobody was to be called")
        reply = self.script.popleft()
        if isinstance(reply, UpstreamFault):
            raise reply
        return reply if isinstance(reply, UpstreamAnswer) else reply(request)


def make_tokens(
    now: float, *, left: float = HOUR_SECONDS, refresh_token_age: float = 0, name: str = "stored"
) -> IntegrationTokens:
    """Return stored tokens: `left` is what the access token has left, in seconds, and may be negative."""
    return IntegrationTokens(
        access_token=Secret(f"access-{name}"),
        refresh_token=Secret("refresh-stored"),
        token_type="Bearer",
        expires_at=now + left,
        access_token_obtained_at=now + left - HOUR_SECONDS,
        refresh_token_obtained_at=now - refresh_token_age,
    )


def make_grant(
    now: float, *, name: str = "granted", refresh_token: str = "refresh-stored", lives: float = HOUR_SECONDS
) -> Grant:
    """Return a grant that was asked for now."""
    return Grant(Secret(f"access-{name}"), Secret(refresh_token), now + lives, now)


def token_object(now: float, **changes: object) -> dict[str, object]:
    """Return the upstream's token object with members replaced; None removes one."""
    members = {
        "access_token": "access-granted",
        "refresh_token": "refresh-stored",
        "token_type": "Bearer",
        "expires_in": HOUR_SECONDS,
        "expires_at": iso8601.render(now + HOUR_SECONDS),
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def json_answer(document: object, status: int = 200, **headers: str) -> UpstreamAnswer:
    """Return an answer of JSON. Underscores in names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpstreamAnswer(status, {"content-type": "application/json", **named}, json.dumps(document).encode())


def grant_answer(now: float, **changes: object) -> UpstreamAnswer:
    """Return an answer that grants tokens, with members replaced; None removes one."""
    return json_answer(token_object(now, **changes))


def error_answer(status: int, code: str = "SOME_CODE", **headers: str) -> UpstreamAnswer:
    """Return an answer in the upstream's documented form of errors."""
    return json_answer({"error": {"code": code, "message": "a message"}}, status, **headers)


class World:
    """Both functions over the fakes, with one clock and one list of steps."""

    def __init__(self, *, base_url: str = BASE_URL, credentials_in: CredentialsIn = "body") -> None:
        self.clock = Clock()
        self.steps = Steps()
        self.store = FakeTokenStore(self.steps)
        self.lease = FakeLease(self.clock, self.steps)
        self.bus = FakeBus(self.steps)
        self.transport = FakeTransport(self.clock, self.steps)
        self.credentials = FakeCredentials(self.steps)
        self.rejected = FakeRejectedCredentials(self.steps)
        self.journal = FakeExchangeJournal(self.steps)
        self.base_url = base_url
        self.credentials_in: CredentialsIn = credentials_in

    @property
    def deadline(self) -> float:
        """Until when the upstream may be waited for."""
        return self.clock.now + 16

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.steps("sleep")
        self.clock.now += seconds

    def exchange(self) -> TokenExchange:
        """Return the exchange over the transport."""
        return TokenExchange(self.base_url, self.credentials_in, self.transport, clock=self.clock, sleep=self.sleep)

    def refresher(self) -> Refresher:
        """Return `refresh_tokens` as it is put together now."""
        return Refresher(
            self.store,
            self.lease,
            self.exchange(),
            self.bus,
            journal=self.journal,
            margin_seconds=MARGIN_SECONDS,
            clock=self.clock,
        )

    def authenticator(self) -> Authenticator:
        """Return `authenticate` as it is put together now."""
        return Authenticator(
            self.store,
            self.lease,
            self.exchange(),
            self.bus,
            journal=self.journal,
            credentials=self.credentials,
            rejected=self.rejected,
        )

    def hold_tokens(self, **how: Any) -> Stored:
        """Store tokens (see `make_tokens`), and return what is stored."""
        self.store.write(render_tokens(make_tokens(self.clock.now, **how)).reveal())
        return self.store.current


# --- AWS (moto) ---


@dataclass
class Context:
    """Lambda's context of an invocation that has just begun."""

    aws_request_id: str = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@contextmanager
def aws_account() -> Iterator[None]:
    """An empty account.

    Moto goes on answering GetSecretValue from the version that was last put under AWSCURRENT, even after
    UpdateSecretVersionStage has moved the label; AWS follows the label, and so does this.
    """
    move = SecretsManagerBackend.update_secret_version_stage

    def move_and_follow(self: SecretsManagerBackend, **options: str) -> tuple[str, str]:
        moved = move(self, **options)
        secret = self.secrets[options["secret_id"]]
        if options["version_stage"] == "AWSCURRENT" and isinstance(secret, FakeSecret):
            secret.default_version_id = options["move_to_version_id"]
        return moved

    with mock_aws(), patch.object(SecretsManagerBackend, "update_secret_version_stage", move_and_follow):
        yield


def one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each call of AWS take place as a whole, as DynamoDB does; moto's own are not safe in threads."""
    lock, call = Lock(), BaseClient._make_api_call  # type: ignore[attr-defined]  # where every call goes through

    def locked(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        with lock:
            return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", locked)


def create_state_table() -> None:
    """Create the state table of the template."""
    boto3.client("dynamodb").create_table(
        TableName="state",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def refuse(client: Any, operation: str, code: str, message: str = "") -> Callable[[], None]:
    """Answer an operation of the client (`PutItem`) with an error code, until the result is called."""
    event = f"before-call.{client.meta.service_model.service_id.hyphenize()}.{operation}"
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}

    def refuse_call(**_: object) -> tuple[object, object]:
        return SimpleNamespace(status_code=400), answer

    client.meta.events.register(event, refuse_call)
    return lambda: client.meta.events.unregister(event, refuse_call)


def lose_answers(client: Any, operation: str, error: Exception) -> None:
    """Let an operation of the client take place, and raise `error` instead of its answer."""

    def lose(**_: object) -> None:
        raise error

    client.meta.events.register(f"after-call.{client.meta.service_model.service_id.hyphenize()}.{operation}", lose)


def record_events() -> list[dict[str, Any]]:
    """Return the list that the entries of every PutEvents go to from now on."""
    entries: list[dict[str, Any]] = []

    def record(params: dict[str, Any], **_: object) -> None:
        entries.extend(params["Entries"])

    aws.events().meta.events.register("provide-client-params.eventbridge.PutEvents", record)
    return entries


@contextmanager
def fresh_powertools() -> Iterator[None]:
    """Undo what Powertools does to logging once for each process: its handlers hold this test's stdout."""
    try:
        yield
    finally:
        for service in ("refresh_tokens", "authenticate"):
            logging.Logger.manager.loggerDict.pop(service, None)
        layer = logging.getLogger("gatehouse")
        layer.handlers.clear()
        layer.setLevel(logging.NOTSET)
        layer.propagate = True


class TokenAccount:
    """What both token functions run on: an account with its clock, an upstream with a script, and the environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.transport = FakeTransport(self.clock)
        monkeypatch.setattr("time.time", self.clock)
        replace_sleep(monkeypatch, self.clock.advance)
        monkeypatch.setattr("gatehouse.token_adapters.HttpTransport", lambda: self.transport)
        create_state_table()
        boto3.client("events").create_event_bus(Name="gatehouse")
        self.secrets = boto3.client("secretsmanager")
        self.tokens_arn = self.secrets.create_secret(Name="tokens", SecretString="{}")["ARN"]
        key = json.dumps({"api_key": "the-api-key", "secret_key": "the-secret-key"})
        self.credentials_arn = self.secrets.create_secret(Name="credentials", SecretString=key)["ARN"]
        self.events = record_events()
        for name, value in {
            "INTEGRATION_BASE_URL": BASE_URL,
            "INTEGRATION_CREDENTIALS_IN": "body",
            "TOKENS_SECRET_ARN": self.tokens_arn,
            "CREDENTIALS_SECRET_ARN": self.credentials_arn,
            "STATE_TABLE": "state",
            "EVENT_BUS": "gatehouse",
            "REFRESH_MARGIN_SECONDS": str(MARGIN_SECONDS),
            "POWERTOOLS_METRICS_NAMESPACE": "Gatehouse/test",
            "POWERTOOLS_SERVICE_NAME": "refresh_tokens",
        }.items():
            monkeypatch.setenv(name, value)

    def write_tokens(self, text: str) -> str:
        """Write the tokens' secret, and return the version."""
        return self.secrets.put_secret_value(SecretId=self.tokens_arn, SecretString=text)["VersionId"]

    def hold_tokens(self, **how: Any) -> str:
        """Store tokens (see `make_tokens`), and return the version."""
        return self.write_tokens(render_tokens(make_tokens(self.clock.now, **how)).reveal())

    def write_credentials(self, text: str) -> None:
        """Write the credentials' secret."""
        self.secrets.put_secret_value(SecretId=self.credentials_arn, SecretString=text)

    @property
    def stored(self) -> Stored:
        """What is stored now."""
        answer = self.secrets.get_secret_value(SecretId=self.tokens_arn)
        return Stored(answer["VersionId"], parse_tokens(Secret(answer["SecretString"])))


@contextmanager
def token_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenAccount]:
    """Yield a fresh account; stdout has what the functions log and count."""
    with aws_account(), fresh_powertools():
        yield TokenAccount(monkeypatch)
