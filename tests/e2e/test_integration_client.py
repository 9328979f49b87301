"""The client against the simulated Integration API, over real connections on loopback."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import boto3
import pytest
from moto import mock_aws

from gatehouse.exchange_answer import Grant
from gatehouse.http_transport import HttpTransport
from gatehouse.integration import IntegrationClient
from gatehouse.integration_call import CallRefused
from gatehouse.integration_tokens import IntegrationTokens, render_tokens
from gatehouse.secret_value import Secret
from gatehouse.token_exchange import Credentials, TokenExchange
from gatehouse.token_store import Stored
from gatehouse.upstream import UpstreamFault, UpstreamRequest
from local.integration_api.server import IntegrationApiServer
from local.integration_api.settings import Credentials as SimulatedCredentials

KIB_100 = 100 * 1024
SHORT_SECONDS = 1.0


@dataclass
class Store:
    """What the secret holds, without AWS."""

    tokens: IntegrationTokens | None = None
    reads: int = 0

    def read(self) -> Stored:
        self.reads += 1
        return Stored("v", self.tokens)


@dataclass
class World:
    """The simulator, a store with a token that it gave out, and the pauses that were asked for (none is made)."""

    url: str
    store: Store = field(default_factory=Store)
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.control("reset")
        self.authenticate()

    def control(self, name: str, **members: object) -> None:
        request = UpstreamRequest("POST", f"{self.url}/_simulator/{name}", {}, json.dumps(members).encode())
        assert HttpTransport().send(request, 10).status == 200

    def outcomes(self, endpoint: str) -> dict[str, int]:
        """Return how the calls of an endpoint ended, and how often."""
        answer = HttpTransport().send(UpstreamRequest("GET", f"{self.url}/_simulator/state", {}), 10)
        counts = answer.json_object()["requests"]
        assert isinstance(counts, dict)
        return dict(counts[endpoint]["outcomes"]) if endpoint in counts else {}

    def authenticate(self) -> IntegrationTokens:
        """Get tokens as Gatehouse does, and store them."""
        exchange = TokenExchange(self.url, "body", HttpTransport(), clock=time.time, sleep=self.pauses.append)
        grant = exchange.authenticate(Credentials(Secret("key"), Secret("secret"), "v"), time.time() + 10)
        assert isinstance(grant, Grant)
        times = (grant.expires_at, grant.obtained_at, grant.obtained_at)
        self.store.tokens = IntegrationTokens(grant.access_token, grant.refresh_token, "Bearer", *times)
        return self.store.tokens

    def client(self, budget_seconds: float = 10, clock: Callable[[], float] = time.time) -> IntegrationClient:
        return IntegrationClient(
            self.store,
            self.url,
            HttpTransport(max_answer_bytes=4 * 1024 * 1024),
            clock=clock,
            sleep=self.pauses.append,
            budget_seconds=budget_seconds,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[IntegrationApiServer]:
    with IntegrationApiServer(0, SimulatedCredentials("key", "secret")) as running:
        yield running


@pytest.fixture
def world(server: IntegrationApiServer) -> World:
    return World(server.url)


def test_protected_endpoints_are_called_with_the_stored_token(world: World) -> None:
    client = world.client()
    assert client.request("GET", "/holdings").json() == {"holdings": [{"symbol": "EXAMPLE", "quantity": 1}]}
    market = {"node_id": "n", "domain": "shop.example", "webhook": {"path": "/é"}}
    assert client.request("POST", "markets", json=market).json() == market
    assert client.request("GET", "/holdings", params={"page": 1}).status == 200
    assert world.store.reads == 1


def test_after_a_revocation_the_stores_new_token_is_used(world: World) -> None:
    client = world.client()
    client.request("GET", "/holdings")
    world.control("revoke", what="access")
    world.authenticate()
    assert client.request("POST", "/markets", json={"node_id": "n", "domain": "d"}).status == 200
    assert world.outcomes("POST /markets") == {"INVALID_TOKEN": 1, "ok": 1}
    assert world.store.reads == 2


def test_after_a_revocation_without_a_new_token_the_answer_is_401(world: World) -> None:
    world.control("revoke", what="access")
    assert world.client().request("GET", "/holdings").status == 401
    assert world.outcomes("GET /holdings") == {"INVALID_TOKEN": 2}


def test_over_the_rate_limit_the_wait_that_is_asked_for_is_too_long_for_the_budget(world: World) -> None:
    world.control("settings", rate_limit_per_minute=2)  # one of them was for authenticating
    client = world.client()
    assert client.request("GET", "/holdings").status == 200
    limited = client.request("GET", "/holdings")
    assert limited.status == 429
    assert int(limited.headers["retry-after"]) > 10
    assert limited.json()["error"]["code"] == "RATE_LIMITED"
    assert world.pauses == []
    assert world.outcomes("GET /holdings") == {"ok": 1, "RATE_LIMITED": 1}


@pytest.mark.parametrize("fault", ["status_429", "status_503_retry_after"])
def test_a_wait_within_the_budget_is_waited_and_the_call_repeated(world: World, fault: str) -> None:
    world.control("faults", fault=fault, retry_after=3)
    assert world.client().request("GET", "/holdings").status == 200
    assert world.pauses == [3]


@pytest.mark.parametrize("fault", ["reset", "lost_answer", "close_mid_body", "hang", "drip", "status_500"])
def test_a_broken_answer_is_asked_for_again(world: World, fault: str) -> None:
    world.control("faults", fault=fault, on="protected")
    now = time.time()  # stands still: the budget does not end on a busy machine
    assert world.client(SHORT_SECONDS * 3, lambda: now).request("GET", "/holdings").status == 200
    assert len(world.pauses) == 1


@pytest.mark.parametrize(
    ("fault", "reason"), [("lost_answer", "closed"), ("close_mid_body", "closed"), ("hang", "timeout")]
)
def test_what_may_have_been_done_is_not_done_twice(world: World, fault: str, reason: str) -> None:
    world.control("faults", fault=fault, on="protected")
    client = world.client(SHORT_SECONDS) if fault == "hang" else world.client()
    with pytest.raises(UpstreamFault) as caught:
        client.request("POST", "/markets", json={"node_id": "n", "domain": "d"})
    assert (caught.value.reason, caught.value.sent) == (reason, True)
    assert world.outcomes("POST /markets") == {f"fault:{fault}": 1}


def test_an_answer_over_64_kib_is_taken(world: World) -> None:
    world.control("faults", fault="too_large", on="protected", bytes=KIB_100)
    assert len(world.client().request("GET", "/holdings").body) > KIB_100


def test_a_redirect_is_the_answer_and_the_token_goes_nowhere_else(world: World) -> None:
    with IntegrationApiServer(0, SimulatedCredentials("key", "secret")) as elsewhere:
        world.control("faults", fault="redirect", location=f"{elsewhere.url}/api/v1/integration/holdings")
        assert world.client().request("GET", "/holdings").status == 302
        assert World(elsewhere.url).outcomes("GET /holdings") == {}


def test_a_path_does_not_leave_the_api(world: World) -> None:
    client = world.client()
    for path in (
        "/../../../_simulator/state",
        "/%2e%2e/%2e%2e/%2e%2e/_simulator/state",
        f"{world.url}/_simulator/state",
    ):
        with pytest.raises(CallRefused):
            client.request("GET", path)
    assert client.request("GET", "/_simulator/state").status == 404


def test_several_threads_may_share_a_client(world: World) -> None:
    client, statuses = world.client(), list[int]()
    threads = [
        threading.Thread(target=lambda: statuses.append(client.request("GET", "/holdings").status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8


def test_on_aws_the_secret_is_read_and_the_api_called(world: World) -> None:
    tokens = world.authenticate()
    with mock_aws():
        text = render_tokens(tokens).reveal()
        arn = boto3.client("secretsmanager").create_secret(Name="tokens", SecretString=text)["ARN"]
        client = IntegrationClient.on_aws(arn, world.url, budget_seconds=10)
        assert client.request("GET", "/holdings").status == 200
