import json
import logging
import random
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any

import pytest

from gatehouse.integration import KEEP_SECONDS, IntegrationClient, IntegrationResponse, NoTokens
from gatehouse.integration_call import IDEMPOTENT, MAX_PATH_CHARACTERS, METHODS, CallRefused
from gatehouse.integration_tokens import IntegrationTokens
from gatehouse.problems import GatehouseError, SecretUnavailable
from gatehouse.secret_value import Secret
from gatehouse.token_store import Stored
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from tests.support.fakes import Clock

BASE = "https://integration.example.com"
API = f"{BASE}/api/v1/integration"
HOUR = 3600.0
OK, NOT_FOUND = UpstreamAnswer(200, {}, b'{"ok": true}'), UpstreamAnswer(404)
UNAUTHORIZED, TOO_MANY, BROKEN = UpstreamAnswer(401), UpstreamAnswer(429), UpstreamAnswer(503)
NOT_SENT = UpstreamFault("connect", sent=False)
TIMEOUT, CLOSED = UpstreamFault("timeout"), UpstreamFault("closed")

type Outcome = UpstreamAnswer | UpstreamFault


class Upstream:
    """A transport that follows a script; the last line of it lasts for ever. Each call takes `seconds`."""

    def __init__(self, clock: Clock) -> None:
        self.script: list[Outcome] = [OK]
        self.seconds = 0.0
        self.asked: list[UpstreamRequest] = []
        self.timeouts: list[float] = []
        self._clock = clock

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        self.asked.append(request)
        self.timeouts.append(timeout_seconds)
        outcome = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        timed_out = isinstance(outcome, UpstreamFault) and outcome.reason == "timeout"
        self._clock.now += timeout_seconds if timed_out else self.seconds
        if isinstance(outcome, UpstreamFault):
            raise outcome
        return outcome

    def tokens_sent(self) -> list[str]:
        return [request.headers["Authorization"].removeprefix("Bearer ") for request in self.asked]


class Store:
    """What the secret holds, one reading after the other; the last one lasts for ever."""

    def __init__(self, clock: Clock) -> None:
        self.tokens: list[str | None] = ["token-1"]
        self.expires_in = HOUR
        self.error: Exception | None = None
        self.seconds = 0.0
        self.reads = 0
        self._clock = clock

    def read(self) -> Stored:
        self.reads += 1
        now = self._clock.now
        self._clock.now += self.seconds
        if self.error is not None:
            raise self.error
        text = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        if text is None:
            return Stored("v", None)
        return Stored("v", IntegrationTokens(Secret(text), Secret("r"), "Bearer", now + self.expires_in, now, now))


class World:
    """A client and all that it talks to."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.upstream = Upstream(self.clock)
        self.store = Store(self.clock)
        self.pauses: list[float] = []
        self.client = IntegrationClient(
            self.store, options.pop("base_url", BASE), self.upstream, clock=self.clock, sleep=self._sleep, **options
        )

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.now += seconds

    def request(self, method: str = "GET", path: str = "/holdings", **options: Any) -> IntegrationResponse:
        return self.client.request(method, path, **options)

    def run(self, method: str, script: Sequence[Outcome]) -> IntegrationResponse | UpstreamFault:
        """Make a call over a script and return what came of it."""
        self.upstream.script = list(script)
        try:
            return self.request(method)
        except UpstreamFault as fault:
            return fault


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)


# The request


def test_a_call_has_the_token_and_the_target_and_goes_below_the_base(world: World) -> None:
    answer = world.request("GET", "/holdings")
    [asked] = world.upstream.asked
    assert (asked.method, asked.url, asked.body) == ("GET", f"{API}/holdings", None)
    assert asked.headers == {"Authorization": "Bearer token-1", "X-Target-Server": "integration"}
    assert (answer.status, answer.headers, answer.body, answer.json()) == (200, {}, b'{"ok": true}', {"ok": True})


def test_a_document_is_sent_as_json(world: World) -> None:
    world.request("POST", "/markets", json={"node_id": "é"})
    [asked] = world.upstream.asked
    assert asked.headers["Content-Type"] == "application/json"
    assert json.loads(asked.body or b"") == {"node_id": "é"}


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({}, ""),
        ({"a": "x y&z=/?#"}, "?a=x%20y%26z%3D%2F%3F%23"),
        ({"page": 2, "é": ["a", 1, "ß"]}, "?page=2&%C3%A9=a&%C3%A9=1&%C3%A9=%C3%9F"),
        ({"empty": [], "none": ""}, "?none="),
        ({"line": "\r\nX: y"}, "?line=%0D%0AX%3A%20y"),
    ],
)
def test_parameters_become_the_query(world: World, params: Any, query: str) -> None:
    world.request(params=params)
    assert world.upstream.asked[0].url == f"{API}/holdings{query}"


@pytest.mark.parametrize(
    "path",
    [
        "holdings",
        "markets/",
        "distributors/nodes/n-1",
        "a/b:c@d",
        "a;v=1/b",
        "..a/b..",
        "%C3%A9",
        "a%2Fb",
        "100%25",
        "100%25zz",
        "a%3Fb%23c",
        "x" * MAX_PATH_CHARACTERS,
    ],
)
def test_a_path_is_sent_as_it_is(world: World, path: str) -> None:
    world.request(path=path)
    assert world.upstream.asked[0].url == f"{API}/{path}"
    world.request(path=path[: MAX_PATH_CHARACTERS - 1] if len(path) == MAX_PATH_CHARACTERS else f"/{path}")
    assert world.upstream.asked[1].url.startswith(f"{API}/{path[:-1]}")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "//evil.example/x",
        "/a//b",
        "/a//",
        "https://evil.example/x",
        "https:evil",
        "evil:80/x",
        ".",
        "..",
        "/../auth",
        "/a/../../x",
        "/a/./b",
        "/a/..",
        "/...",
        "/%2e%2e/x",
        "/%2E./x",
        "/%252e%252e/x",
        "/%25252e%25252e%25252fx",
        "/a%2f..%2fb",
        "/a%2F%2Fb",
        "/%2Fevil.example",
        "/..;/x",
        "/..;a=b/x",
        "/..%3b/x",
        "/.%20./x",
        "/%20/x",
        "/%C0%AE%C0%AE/x",
        "/%c0%af/x",
        "/%ff",
        "/%EF%BC%8E%EF%BC%8E/x",  # full-width dots
        "/%E2%80%A5/x",  # a two-dot leader
        "/a%EF%BC%8F..%EF%BC%8Fx",  # full-width slashes
        "/%EF%BC%852e%EF%BC%852e/x",  # full-width per cent signs
        "/a\\b",
        "/..\\x",
        "/..%5cx",
        "/a%5Cb",
        "/a%255Cb",
        "/a b",
        "/a\tb",
        "/a\nb",
        "/a\x00b",
        "/a%00b",
        "/a%0d%0aX: y",
        "/a%0Ab",
        "/a%7f",
        "/a%C2%85",
        "/a?b=c",
        "/a#b",
        "/é",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a\ud800",
        "/a|b",
        '/a"b',
        "/" + "x" * MAX_PATH_CHARACTERS,
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(world: World, path: str) -> None:
    with pytest.raises(CallRefused) as caught:
        world.request(path=path)
    assert caught.value.part == "path"
    assert str(caught.value) == f"path: {caught.value.reason}"
    assert world.upstream.asked == []
    assert world.store.reads == 0


@pytest.mark.parametrize("method", ["get", "", "TRACE", "CONNECT", "GET\r\nX: y", "GET /x", "PROPFIND"])
def test_an_unknown_method_is_refused(world: World, method: str) -> None:
    with pytest.raises(CallRefused) as caught:
        world.request(method)
    assert caught.value.part == "method"
    assert world.upstream.asked == []


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_usual_method_is_sent(world: World, method: str) -> None:
    assert world.request(method).status == 200
    assert world.upstream.asked[0].method == method


@pytest.mark.parametrize("value", [None, True, 1.5, b"x", {"a": 1}.items(), [None], [["a"]], [True], object()])
def test_a_parameter_that_is_neither_text_nor_number_is_refused(world: World, value: object) -> None:
    with pytest.raises(CallRefused, match=r"^params: "):
        world.request(params={"a": value})


@pytest.mark.parametrize("params", [{"a": "\ud800"}, {"\udc00": "a"}])
def test_half_a_character_is_refused(world: World, params: Any) -> None:
    with pytest.raises(CallRefused, match=r"^params: "):
        world.request(params=params)


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize("document", [object(), float("nan"), {"SENTINEL": {1}}, CYCLE, {("a",): 1}])
def test_what_is_no_json_is_refused(world: World, document: object) -> None:
    with pytest.raises(CallRefused) as caught:
        world.request("POST", json=document)
    assert (caught.value.part, caught.value.__cause__) == ("json", None)
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.parametrize(
    "base",
    [
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com:8443/prefix/v2/",
        "http://localhost:8700",
        "http://127.0.0.1:8700/prefix",
        "http://[::1]:8700",
    ],
)
def test_a_base_is_an_origin_with_an_optional_prefix(base: str) -> None:
    world = World(base_url=base)
    world.request()
    assert world.upstream.asked[0].url == f"{base.rstrip('/')}/api/v1/integration/holdings"


@pytest.mark.parametrize(
    "base",
    [
        "",
        "/",
        "api.example.com",
        "http://api.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "ftp://localhost",
        "https://",
        "https:///x",
        "https://user:SENTINEL@api.example.com",
        "https://api.example.com?x",
        "https://api.example.com#x",
        "https://api.example.com/a/../b",
        "https://api.example.com/a//b",
        "https://api.example.com/%2e%2e",
        "https://api.example.com\\@evil.example",
        "https://api.example.com:port",
        "https://api.example.com\n",
        " https://api.example.com",
        "https://api exämple.com",
    ],
)
def test_any_other_base_is_refused(base: str) -> None:
    with pytest.raises(CallRefused) as caught:
        World(base_url=base)
    assert caught.value.part == "base_url"
    assert "SENTINEL" not in str(caught.value)


# The token


@pytest.mark.parametrize(("later", "reads"), [(0, 1), (KEEP_SECONDS - 1, 1), (KEEP_SECONDS, 2), (-1, 2)])
def test_a_token_is_kept_for_a_minute(world: World, later: float, reads: int) -> None:
    world.store.tokens = ["token-1", "token-2"]
    world.request()
    world.clock.now += later
    world.request()
    assert world.store.reads == reads
    assert world.upstream.tokens_sent() == ["token-1", f"token-{reads}"]


@pytest.mark.parametrize(("later", "reads"), [(19.9, 1), (20, 2)])
def test_a_token_is_not_kept_until_its_last_ten_seconds(world: World, later: float, reads: int) -> None:
    world.store.expires_in = 30
    world.request()
    world.clock.now += later
    world.request()
    assert world.store.reads == reads


@pytest.mark.parametrize("expires_in", [0, -HOUR, 5])
def test_a_token_that_looks_expired_is_sent_once_and_not_kept(world: World, expires_in: float) -> None:
    world.store.expires_in = expires_in
    assert world.request().status == 200
    assert world.request().status == 200
    assert world.store.reads == 2


@pytest.mark.parametrize("method", sorted(METHODS))
def test_after_a_401_the_stored_token_is_read_afresh_and_the_call_made_once_more(world: World, method: str) -> None:
    world.store.tokens = ["token-1", "token-2"]
    answer = world.run(method, [UNAUTHORIZED, OK])
    assert isinstance(answer, IntegrationResponse)
    assert answer.status == 200
    assert world.upstream.tokens_sent() == ["token-1", "token-2"]
    assert world.pauses == []
    world.request()
    assert world.store.reads == 2


def test_a_second_401_is_the_answer_and_the_token_is_forgotten(world: World) -> None:
    answer = world.run("GET", [UNAUTHORIZED])
    assert isinstance(answer, IntegrationResponse)
    assert answer.status == 401
    assert (len(world.upstream.asked), world.store.reads) == (2, 2)
    world.run("GET", [OK])
    assert world.store.reads == 3


def test_a_401_between_failures_is_followed_by_one_fresh_token_alone(world: World) -> None:
    answer = world.run("GET", [BROKEN, UNAUTHORIZED, BROKEN, UNAUTHORIZED, OK])
    assert isinstance(answer, IntegrationResponse)
    assert answer.status == 401
    assert world.store.reads == 2


def test_a_401_at_the_end_of_the_time_is_the_answer(world: World) -> None:
    world.upstream.seconds = 10
    answer = world.run("POST", [UNAUTHORIZED, OK])
    assert isinstance(answer, IntegrationResponse)
    assert answer.status == 401
    assert len(world.upstream.asked) == 1


@pytest.mark.parametrize("text", [None, "", " ", "a b", "a\r\nX: y", "tökén", "a\x00"])
def test_without_a_token_that_can_be_sent_it_says_what_to_do(world: World, text: str | None) -> None:
    world.store.tokens = [text]
    with pytest.raises(NoTokens, match="IntegrationCredentials is filled in") as caught:
        world.request()
    assert isinstance(caught.value, GatehouseError)
    assert world.upstream.asked == []
    world.store.tokens = ["token-1"]
    assert world.request().status == 200


def test_tokens_that_are_gone_when_they_are_read_afresh_are_said_to_be_gone(world: World) -> None:
    world.store.tokens = ["token-1", None]
    world.upstream.script = [UNAUTHORIZED]
    with pytest.raises(NoTokens):
        world.request()


def test_a_secret_that_cannot_be_read_is_its_own_error(world: World) -> None:
    world.store.error = SecretUnavailable("AccessDeniedException")
    with pytest.raises(SecretUnavailable, match="AccessDeniedException"):
        world.request()
    assert world.upstream.asked == []


# What is tried again


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("outcome", [TOO_MANY, BROKEN, UpstreamAnswer(500), TIMEOUT, CLOSED])
def test_what_may_have_been_done_is_tried_again_for_idempotent_methods_only(
    world: World, method: str, outcome: Outcome
) -> None:
    result = world.run(method, [outcome, OK])
    assert len(world.upstream.asked) == (2 if method in IDEMPOTENT else 1)
    if method in IDEMPOTENT:
        assert isinstance(result, IntegrationResponse)
        assert result.status == 200
    elif isinstance(outcome, UpstreamFault):
        assert result is outcome
    else:
        assert isinstance(result, IntegrationResponse)
        assert result.status == outcome.status


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("reason", ["connect", "connect_timeout", "tls"])
def test_what_was_not_sent_is_tried_again_for_every_method(world: World, method: str, reason: str) -> None:
    result = world.run(method, [UpstreamFault(reason, sent=False), OK])
    assert isinstance(result, IntegrationResponse)
    assert result.status == 200
    assert len(world.pauses) == 1


@pytest.mark.parametrize("reason", ["too_large", "not_http", "content_encoding", "tls"])
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(world: World, reason: str) -> None:
    fault = UpstreamFault(reason)
    assert world.run("GET", [fault, OK]) is fault
    assert len(world.upstream.asked) == 1


@pytest.mark.parametrize("status", [200, 204, 302, 304, 400, 403, 404, 409, 428, 499])
def test_every_other_answer_is_the_answer(world: World, status: int) -> None:
    result = world.run("GET", [UpstreamAnswer(status), OK])
    assert isinstance(result, IntegrationResponse)
    assert result.status == status
    assert len(world.upstream.asked) == 1


def test_the_pauses_double_and_the_budget_ends_them(world: World) -> None:
    result = world.run("GET", [BROKEN])
    assert isinstance(result, IntegrationResponse)
    assert result.status == 503
    assert world.pauses == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert len(world.upstream.asked) == 6


def test_a_pause_is_at_most_eight_seconds() -> None:
    world = World(budget_seconds=60)
    world.run("GET", [BROKEN])
    assert world.pauses == [0.25, 0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8]


def test_the_pauses_are_jittered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    world.run("GET", [BROKEN, BROKEN, OK])
    assert world.pauses == [0.125, 0.25]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("text", "pause"), [("3", 3), ("0", 0.25), ("soon", 0.25), ("date", 4)])
def test_what_the_api_asks_to_wait_is_waited(world: World, status: int, text: str, pause: float) -> None:
    wait = formatdate(world.clock.now + 4, usegmt=True) if text == "date" else text
    world.run("GET", [UpstreamAnswer(status, {"retry-after": wait}), OK])
    assert world.pauses == [pause]


@pytest.mark.parametrize("wait", ["10", "60", "99999999999999999999"])
def test_a_wait_beyond_the_budget_is_not_waited(world: World, wait: str) -> None:
    result = world.run("GET", [UpstreamAnswer(429, {"retry-after": wait}), OK])
    assert isinstance(result, IntegrationResponse)
    assert (result.status, result.headers["retry-after"]) == (429, wait)
    assert world.pauses == []


def test_the_last_outcome_counts_whatever_came_before(world: World) -> None:
    world.upstream.seconds = 4
    assert world.run("GET", [BROKEN, BROKEN, CLOSED]) is CLOSED
    result = world.run("GET", [CLOSED, CLOSED, BROKEN])
    assert isinstance(result, IntegrationResponse)
    assert result.status == 503


def test_an_idempotent_call_leaves_time_for_another_attempt(world: World) -> None:
    assert world.run("GET", [TIMEOUT]) is TIMEOUT
    assert world.upstream.timeouts[0] == 5
    assert len(world.upstream.timeouts) >= 3
    assert all(timeout > 0 for timeout in world.upstream.timeouts)
    assert sum(world.upstream.timeouts) + sum(world.pauses) <= 10


def test_a_call_that_is_not_repeated_has_all_the_time_that_is_left(world: World) -> None:
    world.store.seconds = 3
    assert world.run("POST", [TIMEOUT]) is TIMEOUT
    assert world.upstream.timeouts == [7]


def test_a_secret_that_takes_the_whole_budget_leaves_nothing_to_send(world: World) -> None:
    world.store.seconds = 10
    result = world.run("GET", [OK])
    assert isinstance(result, UpstreamFault)
    assert (result.reason, result.sent) == ("no_time", False)
    assert world.upstream.asked == []


# What is shown


def test_neither_token_nor_body_is_shown(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.store.tokens = ["SENTINEL-token"]
    world.upstream.script = [UpstreamAnswer(200, {"set-cookie": "SENTINEL"}, b"SENTINEL")]
    answer = world.request("POST", json={"password": "SENTINEL"}, params={"q": "SENTINEL"})
    assert repr(answer) == "IntegrationResponse(status=200)"
    assert "SENTINEL" not in repr(world.client) + repr(vars(world.client)) + caplog.text


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b"[Infinity]", b"[" * 100_000, b"SENTINEL"])
def test_a_body_that_is_no_json_is_a_known_fault(body: bytes) -> None:
    with pytest.raises(UpstreamFault) as caught:
        IntegrationResponse(200, {}, body).json()
    assert caught.value.reason == "not_json"
    assert caught.value.__cause__ is None
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "value"), [(b"[1]", [1]), (b"null", None), (b'"\\u00e9"', "é"), (b'{"a": 1}', {"a": 1})]
)
def test_any_json_is_a_value(body: bytes, value: object) -> None:
    assert IntegrationResponse(200, {}, body).json() == value
