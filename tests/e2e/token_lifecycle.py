"""What the tests of the Integration API's tokens do by hand: simulator, stored tokens, invocations."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import boto3
import urllib3

from local.deploy import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Endpoint
from tests.support.running_stack import INTEGRATION_CREDENTIALS, Stack

DAY_SECONDS = 24 * 60 * 60
LEASE = "lease#integration-tokens"
LEASE_SECONDS = 45
MOST_LOG_LINES = 10_000

type Json = dict[str, Any]


def until[T](look: Callable[[], T], what: str, seconds: float = 40) -> T:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return found


def iso(epoch_seconds: float) -> str:
    """Write a time in the documented form of the tokens secret."""
    return datetime.fromtimestamp(int(epoch_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def session() -> boto3.Session:
    """Return the emulated account's root user, for the services that the launcher itself has no client for."""
    return boto3.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)


def log_lines(endpoint: Endpoint, group: str) -> list[str]:
    """Return every line of a log group. The emulator makes a stream for each run, so there are many."""
    pages = endpoint.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    found = [event["message"] for page in pages for event in page["events"]]
    assert len(found) < MOST_LOG_LINES, "the emulator leaves out the rest"
    return found


def everything_logged(stack: Stack) -> str:
    """Return all log groups and the log files of all processes."""
    groups = stack.file.endpoint.client("logs").describe_log_groups()["logGroups"]
    found = [line for group in groups for line in log_lines(stack.file.endpoint, group["logGroupName"])]
    found += [log.read_text(errors="replace") for log in stack.local.logs.iterdir()]
    return "\n".join(found)


class Version(NamedTuple):
    """A version of the tokens secret."""

    version_id: str
    text: str

    @property
    def document(self) -> dict[str, str]:
        """What it says."""
        document: dict[str, str] = json.loads(self.text)
        return document


class Answer(NamedTuple):
    """What an invocation answered, and how long it took."""

    outcome: str
    seconds: float


class Upstream:
    """The simulated Integration API: its controls, and the tests as a client of their own."""

    def __init__(self, http: urllib3.PoolManager, url: str, seen: set[str]) -> None:
        self._http = http
        self._url = url
        self._seen = seen
        self._own_exchanges: set[int] = set()

    def state(self) -> Json:
        state: Json = self._http.request("GET", f"{self._url}/_simulator/state").json()
        return state

    def change(self, **settings: object) -> None:
        self._control("POST", "settings", settings)

    def arm(self, fault: str, on: str, **members: object) -> None:
        """Arm a fault until it is disarmed, so that attempts within one invocation meet it too."""
        self._control("POST", "faults", {"fault": fault, "on": on, "times": None, **members})

    def disarm(self) -> None:
        self._control("DELETE", "faults", {})

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answer nothing within the block, or until the latency is changed."""
        self.change(latency_seconds=60)
        try:
            yield
        finally:
            self.change(latency_seconds=0)

    def revoke(self, what: str) -> None:
        self._control("POST", "revoke", {"what": what})

    def reset(self) -> None:
        self._control("POST", "reset", {})
        self._own_exchanges.clear()

    def authenticate(self) -> Json:
        """Get tokens as another client would."""
        answer = self._exchange("authenticate", INTEGRATION_CREDENTIALS)
        assert answer.status == 200, answer.data
        granted: Json = answer.json()
        self._seen |= {granted["access_token"], granted["refresh_token"]}
        return granted

    def refreshes(self, refresh_token: str) -> bool:
        """Say whether a refresh token is good, by using it."""
        answer = self._exchange("refresh", {"refresh_token": refresh_token})
        if answer.status == 200:
            self._seen |= {answer.json()["access_token"], answer.json()["refresh_token"]}
        return answer.status == 200

    def accepts(self, access_token: str) -> bool:
        """Say whether an access token opens a protected endpoint."""
        headers = {"X-Target-Server": "integration", "Authorization": f"Bearer {access_token}"}
        return self._http.request("GET", f"{self._url}/api/v1/integration/markets", headers=headers).status == 200

    def exchanges(self) -> list[Json]:
        """Return the exchanges since the reset, but for the tests' own."""
        return [entry for entry in self.state()["exchanges"] if entry["number"] not in self._own_exchanges]

    def calls(self) -> list[str]:
        """Return what `exchanges` were."""
        return [entry["kind"] for entry in self.exchanges()]

    def _exchange(self, call: str, document: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        headers = {"X-Target-Server": "authentication"}
        url = f"{self._url}/api/v1/integration/auth/{call}"
        before = self.state()["exchanges_total"]
        answer = self._http.request("POST", url, json=dict(document), headers=headers)
        assert self.state()["exchanges_total"] == before + 1, "somebody else called at the same time"
        self._own_exchanges.add(before + 1)
        return answer

    def _control(self, method: str, what: str, members: Mapping[str, object]) -> None:
        answer = self._http.request(method, f"{self._url}/_simulator/{what}", json=dict(members))
        assert answer.status == 200, answer.data


class Lifecycle:
    """The tokens of a running stack, and everything around them that a test puts its hand on."""

    def __init__(self, stack: Stack) -> None:
        assert stack.file.integration_api_url is not None
        self.stack = stack
        self.seen: set[str] = set()
        self.upstream = Upstream(stack.http, stack.file.integration_api_url, self.seen)
        self._secrets = self.endpoint.client("secretsmanager")
        self._lambda = self.endpoint.client("lambda")
        self._dynamodb = self.endpoint.client("dynamodb")

    @property
    def endpoint(self) -> Endpoint:
        return self.stack.file.endpoint

    def output(self, name: str) -> str:
        return self.stack.file.outputs[name]

    def start_over(self) -> None:
        """Put back the simulator, the credentials and good tokens, once what an earlier test began has ended."""
        self.upstream.disarm()
        self.write("{}")  # an event that is still under way comes too late now
        until(self._lease_is_free, "the lease is free", LEASE_SECONDS + 5)
        trace = {"pk": {"S": "exchange#integration-tokens"}}
        self._dynamodb.delete_item(TableName=self.output("StateTableName"), Key=trace)
        self.upstream.reset()
        self.write_credentials()
        self.seed()

    def seed(self, *, seconds_left: float = 3600, refresh_token_days: float = 0) -> Version:
        """Store live tokens of a given age."""
        granted, now = self.upstream.authenticate(), time.time()
        document = {
            "access_token": granted["access_token"],
            "refresh_token": granted["refresh_token"],
            "token_type": "Bearer",
            "expires_at": iso(now + seconds_left),
            "access_token_obtained_at": iso(now + seconds_left - 3600),
            "refresh_token_obtained_at": iso(now - refresh_token_days * DAY_SECONDS),
        }
        return self.write(json.dumps(document))

    def write(self, text: str) -> Version:
        """Write the tokens secret by hand."""
        arn = self.output("IntegrationTokensSecretArn")
        return Version(self._secrets.put_secret_value(SecretId=arn, SecretString=text)["VersionId"], text)

    def stored(self, stage: str = "AWSCURRENT") -> Version:
        arn = self.output("IntegrationTokensSecretArn")
        answer = self._secrets.get_secret_value(SecretId=arn, VersionStage=stage)
        version = Version(answer["VersionId"], answer["SecretString"])
        if version.text.startswith('{"access_token"'):
            self.seen |= {version.document["access_token"], version.document["refresh_token"]}
        return version

    def new_tokens(self, old: Version) -> dict[str, str]:
        """Wait until other tokens than these are stored; they are live."""
        until(lambda: self.stored().version_id != old.version_id, "new tokens")
        document = self.stored().document
        assert self.upstream.accepts(document["access_token"])
        return document

    def write_credentials(self, **changes: str) -> None:
        arn = self.output("IntegrationCredentialsSecretArn")
        text = json.dumps({**INTEGRATION_CREDENTIALS, **changes})
        self._secrets.put_secret_value(SecretId=arn, SecretString=text)

    def refresh_tokens(self) -> str:
        return self.invoke("RefreshTokens").outcome

    def authenticate(self, event: Mapping[str, object] | None = None) -> str:
        return self.invoke("Authenticate", event).outcome

    def invoke(self, function: str, event: Mapping[str, object] | None = None) -> Answer:
        started = time.monotonic()
        name = self.output(f"{function}FunctionName")
        answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(event or {}))
        payload: Json = json.loads(answer["Payload"].read())
        assert payload.keys() == {"outcome"}, payload
        return Answer(payload["outcome"], time.monotonic() - started)

    def invoke_later(self, function: str) -> None:
        """Invoke as a schedule or a rule does."""
        name = self.output(f"{function}FunctionName")
        self._lambda.invoke(FunctionName=name, InvocationType="Event", Payload="{}")

    def records(self, function: str, message: str) -> list[Json]:
        """Return a function's log records with this message."""
        found = log_lines(self.endpoint, f"/aws/lambda/{self.output(f'{function}FunctionName')}")
        records: list[Json] = [json.loads(line) for line in found if line.startswith("{") and message in line]
        return [record for record in records if record.get("message") == message]

    def outcomes(self, function: str) -> list[str]:
        """Return the outcomes of all of a function's runs so far, the asynchronous ones included."""
        return [record["outcome"] for record in self.records(function, "function.done")]

    @contextmanager
    def runs(self, function: str, count: int, outcomes: list[str]) -> Iterator[None]:
        """Within the block, as many runs of the function are begun; wait for their ends and add their outcomes."""
        before = len(self.outcomes(function))
        yield
        until(lambda: len(self.outcomes(function)) >= before + count, f"{count} runs of {function}")
        outcomes += self.outcomes(function)[before:]

    @contextmanager
    def environment(self, function: str, **changes: str) -> Iterator[None]:
        """Change a function's environment for a while, as a deployment with another parameter does."""
        name = self.output(f"{function}FunctionName")
        variables = self._lambda.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        self._lambda.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, **changes}}
        )
        try:
            yield
        finally:
            self._lambda.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    @contextmanager
    def lease_held_by_another(self, *, seconds_left: float) -> Iterator[None]:
        """Write the lease by hand, as a run elsewhere would."""
        ends_at = time.time() + seconds_left
        item = {"pk": {"S": LEASE}, "owner": {"S": "somebody-else"}, "ends_at": {"N": f"{ends_at:.3f}"}}
        self._dynamodb.put_item(TableName=self.output("StateTableName"), Item=item)
        try:
            yield
        finally:
            self.free_the_lease()

    def free_the_lease(self) -> None:
        """Do what time would."""
        self._dynamodb.delete_item(TableName=self.output("StateTableName"), Key={"pk": {"S": LEASE}})

    def _lease_is_free(self) -> bool:
        table = self.output("StateTableName")
        item = self._dynamodb.get_item(TableName=table, Key={"pk": {"S": LEASE}}, ConsistentRead=True).get("Item")
        return item is None or float(item["ends_at"]["N"]) <= time.time()


class First(NamedTuple):
    """What a deployment leads to before anybody does anything."""

    tokens: Version
    seconds: float  # after the credentials were written
    exchanges: list[Json]
    is_accepted: bool


def look_first(stack: Stack) -> tuple[Lifecycle, First]:
    """Look at a stack on which no test has laid hands yet."""
    lifecycle = Lifecycle(stack)
    tokens = until(lambda: None if (stored := lifecycle.stored()).text == "{}" else stored, "tokens", 30)
    assert tokens is not None
    secrets = stack.file.endpoint.client("secretsmanager")
    written = [
        secrets.get_secret_value(SecretId=stack.file.outputs[f"{name}SecretArn"])["CreatedDate"]
        for name in ("IntegrationCredentials", "IntegrationTokens")
    ]
    seconds = (written[1] - written[0]).total_seconds()
    is_accepted = lifecycle.upstream.accepts(tokens.document["access_token"])
    return lifecycle, First(tokens, seconds, lifecycle.upstream.exchanges(), is_accepted)
