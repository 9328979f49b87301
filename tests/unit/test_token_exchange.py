import json
from collections.abc import Callable

import pytest

from gatehouse.exchange_answer import ExchangeAnswer, Grant, Refused, Unauthorized, Unavailable
from gatehouse.secret_value import Secret
from gatehouse.settings import CredentialsIn
from gatehouse.token_exchange import ATTEMPT_SECONDS, ATTEMPTS, BACKOFF_SECONDS, Credentials
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.token_fakes import BASE_URL, World, error_answer, grant_answer

CREDENTIALS = Credentials(Secret("the-api-key"), Secret("the-secret-key"), "credentials-1")
AUTHENTICATE = f"{BASE_URL}/api/v1/integration/auth/authenticate"
REFRESH = f"{BASE_URL}/api/v1/integration/auth/refresh"

type Call = Callable[[World], ExchangeAnswer]


def authenticate(world: World) -> ExchangeAnswer:
    return world.exchange().authenticate(CREDENTIALS, world.deadline)


def refresh(world: World) -> ExchangeAnswer:
    return world.exchange().refresh(Secret("the-refresh-token"), world.deadline)


BOTH = pytest.mark.parametrize("call", [authenticate, refresh])


@pytest.fixture
def world() -> World:
    return World()


def granting(world: World) -> UpstreamAnswer:
    return grant_answer(world.clock.now)


def test_credentials_in_the_body_are_nowhere_else(world: World) -> None:
    world.transport.will(granting(world))
    authenticate(world)
    (sent,) = world.transport.sent
    assert (sent.request.method, sent.request.url) == ("POST", AUTHENTICATE)
    assert sent.request.headers == {"X-Target-Server": "authentication", "Content-Type": "application/json"}
    assert sent.document == {"api_key": "the-api-key", "secret_key": "the-secret-key"}


def test_credentials_in_headers_are_nowhere_else() -> None:
    world = World(credentials_in="headers")
    world.transport.will(granting(world))
    authenticate(world)
    (sent,) = world.transport.sent
    assert (sent.request.method, sent.request.url) == ("POST", AUTHENTICATE)
    assert sent.request.headers == {
        "X-Target-Server": "authentication",
        "Api-Key": "the-api-key",
        "Api-Secret": "the-secret-key",
    }
    assert sent.request.body is None


@pytest.mark.parametrize("credentials_in", ["body", "headers"])
def test_a_refresh_sends_the_refresh_token_alone(credentials_in: CredentialsIn) -> None:
    world = World(credentials_in=credentials_in)
    world.transport.will(granting(world))
    refresh(world)
    (sent,) = world.transport.sent
    assert (sent.request.method, sent.request.url) == ("POST", REFRESH)
    assert sent.request.headers == {"X-Target-Server": "authentication", "Content-Type": "application/json"}
    assert sent.document == {"refresh_token": "the-refresh-token"}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://a.example.com", "https://a.example.com/api/v1/integration/auth/refresh"),
        ("https://a.example.com/", "https://a.example.com/api/v1/integration/auth/refresh"),
        ("https://a.example.com//", "https://a.example.com/api/v1/integration/auth/refresh"),
        ("https://a.example.com/broker", "https://a.example.com/broker/api/v1/integration/auth/refresh"),
        ("https://a.example.com/broker/x/", "https://a.example.com/broker/x/api/v1/integration/auth/refresh"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v1/integration/auth/refresh"),
    ],
)
def test_the_base_url_may_have_a_prefix_and_a_slash_at_its_end(base_url: str, url: str) -> None:
    world = World(base_url=base_url)
    world.transport.will(granting(world))
    refresh(world)
    assert world.transport.sent[0].request.url == url


def test_a_request_and_credentials_do_not_show_what_they_hold() -> None:
    for credentials_in in ("body", "headers"):
        world = World(credentials_in=credentials_in)
        world.transport.will(granting(world), granting(world))
        authenticate(world)
        refresh(world)
        shown = repr([CREDENTIALS, world.transport.sent])
        assert "the-" not in shown


@BOTH
def test_a_grant_is_returned(world: World, call: Call) -> None:
    now = world.clock.now
    world.transport.takes_seconds = 2
    world.transport.will(granting(world))
    assert call(world) == Grant(Secret("access-granted"), Secret("refresh-stored"), now + 3600, now)
    assert world.steps.taken.count("sleep") == 0


NOT_SENT = UpstreamFault("connect", sent=False)


@BOTH
@pytest.mark.parametrize(
    "first",
    [
        NOT_SENT,
        UpstreamFault("tls", sent=False),
        UpstreamFault("timeout", sent=False),
        error_answer(429),
        error_answer(500),
        error_answer(502),
        error_answer(503),
        error_answer(599),
    ],
    ids=str,
)
def test_what_was_not_sent_or_found_no_time_upstream_is_tried_again(
    world: World, call: Call, first: UpstreamAnswer | UpstreamFault
) -> None:
    world.transport.will(first, granting(world))
    assert isinstance(call(world), Grant)
    assert len(world.transport.sent) == 2
    assert world.transport.sent[0].request == world.transport.sent[1].request


@BOTH
@pytest.mark.parametrize(
    ("first", "answer"),
    [
        (UpstreamFault("timeout"), Unavailable("timeout")),
        (UpstreamFault("closed"), Unavailable("closed")),
        (UpstreamFault("too_large"), Unavailable("too_large")),
        (error_answer(401), Unauthorized()),
        (error_answer(400), Refused("status_400")),
        (error_answer(403, retry_after="1"), Refused("status_403")),
        (error_answer(302), Unavailable("status_302")),
        (UpstreamAnswer(200, {"content-type": "text/html"}, b"nonsense"), Unavailable("content_type")),
        (UpstreamAnswer(200, {"content-type": "application/json"}, b"nonsense"), Unavailable("not_json")),
        (error_answer(200), Unavailable("error_object")),
        (error_answer(204), Unavailable("status_204")),
    ],
    ids=str,
)
def test_what_was_answered_or_may_still_be_under_way_is_not_tried_again(
    world: World, call: Call, first: UpstreamAnswer | UpstreamFault, answer: ExchangeAnswer
) -> None:
    world.transport.will(first)
    assert call(world) == answer
    assert len(world.transport.sent) == 1


@BOTH
def test_the_attempts_are_counted_and_the_last_answer_is_the_answer(world: World, call: Call) -> None:
    world.transport.will(NOT_SENT, error_answer(500), error_answer(429))
    assert call(world) == Unavailable("status_429")
    assert len(world.transport.sent) == ATTEMPTS == 3
    assert world.steps.taken[-1] != "sleep"


def test_an_answer_other_than_a_failure_ends_the_attempts(world: World) -> None:
    world.transport.will(error_answer(503), error_answer(401))
    assert refresh(world) == Unauthorized()


def test_pauses_grow_and_are_spread(world: World) -> None:
    pauses = []
    for _ in range(50):
        world.transport.will(NOT_SENT, NOT_SENT, NOT_SENT)
        began = world.clock.now
        moments: list[float] = []
        world.transport.sent.clear()
        world.steps.taken.clear()
        refresh_noting(world, moments)
        pauses.append((moments[0] - began, moments[1] - moments[0]))
    assert all(BACKOFF_SECONDS / 2 <= first <= BACKOFF_SECONDS for first, _ in pauses)
    assert all(BACKOFF_SECONDS <= second <= 2 * BACKOFF_SECONDS for _, second in pauses)
    assert len(set(pauses)) > 1


def refresh_noting(world: World, moments: list[float]) -> None:
    """Refresh, and note when each pause ends."""
    sleep = world.sleep

    def sleep_and_note(seconds: float) -> None:
        sleep(seconds)
        moments.append(world.clock.now)

    world.sleep = sleep_and_note  # type: ignore[method-assign]  # a clock that is watched
    refresh(world)
    world.sleep = sleep  # type: ignore[method-assign]  # as it was


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", ["5", "date"])
def test_retry_after_is_honoured(world: World, status: int, retry_after: str) -> None:
    began = world.clock.now = 1_800_000_000.0
    date = "Fri, 15 Jan 2027 08:00:05 GMT"
    world.transport.will(error_answer(status, retry_after=date if retry_after == "date" else "5"), granting(world))
    assert isinstance(refresh(world), Grant)
    assert world.clock.now == began + 5


def test_a_retry_after_that_is_too_short_or_rubbish_does_not_shorten_the_pause(world: World) -> None:
    for rubbish in ("0", "-7", "soon", ""):
        began = world.clock.now
        world.transport.will(error_answer(429, retry_after=rubbish), granting(world))
        assert isinstance(refresh(world), Grant)
        assert world.clock.now >= began + BACKOFF_SECONDS / 2


@pytest.mark.parametrize(("retry_after", "attempts"), [("15", 2), ("16", 1), ("17", 1), ("9999999999999", 1)])
def test_a_wait_that_would_meet_the_deadline_is_not_begun(world: World, retry_after: str, attempts: int) -> None:
    world.transport.will(error_answer(429, retry_after=retry_after), granting(world))
    answer = refresh(world)
    assert len(world.transport.sent) == attempts
    assert world.steps.taken.count("sleep") == attempts - 1
    assert isinstance(answer, Grant) if attempts == 2 else answer == Unavailable("status_429", may_have_happened=False)


@pytest.mark.parametrize("left", [0, -1, -1000])
def test_without_time_nobody_is_called(world: World, left: float) -> None:
    deadline = world.clock.now + left
    assert world.exchange().refresh(Secret("r"), deadline) == Unavailable("no_time", may_have_happened=False)
    assert world.exchange().authenticate(CREDENTIALS, deadline) == Unavailable("no_time", may_have_happened=False)
    assert not world.transport.sent


def test_an_attempt_waits_no_longer_than_its_own_limit_and_the_deadline(world: World) -> None:
    world.transport.takes_seconds = 6
    world.transport.will(error_answer(503), error_answer(503), error_answer(503))
    deadline = world.clock.now + 16
    world.exchange().refresh(Secret("r"), deadline)
    first, second, third = (sent.timeout_seconds for sent in world.transport.sent)
    assert first == second == ATTEMPT_SECONDS == 8
    assert 0 < third < 4
    assert third == pytest.approx(deadline - (world.clock.now - 6))


def test_a_slow_upstream_is_not_asked_again_beyond_the_deadline(world: World) -> None:
    world.transport.takes_seconds = 8
    world.transport.will(error_answer(503), error_answer(503))
    assert refresh(world) == Unavailable("status_503", may_have_happened=False)
    assert len(world.transport.sent) == 2


def test_each_attempt_is_judged_from_its_own_start(world: World) -> None:
    began = world.clock.now
    world.transport.takes_seconds = 1
    world.transport.will(error_answer(503, retry_after="5"), lambda _: grant_answer(world.clock.now))
    answer = refresh(world)
    assert isinstance(answer, Grant)
    assert answer.obtained_at == began + 6


def test_an_answer_that_expired_on_its_way_is_no_grant(world: World) -> None:
    world.transport.takes_seconds = 3
    world.transport.will(grant_answer(world.clock.now, expires_in=3))
    assert refresh(world) == Unavailable("already_expired")


def test_the_json_survives_any_text_in_the_credentials(world: World) -> None:
    odd = 'quote" backslash\\ </script> \u2028'
    world.transport.will(granting(world))
    world.exchange().authenticate(Credentials(Secret(odd), Secret(odd), "v"), world.deadline)
    body = world.transport.sent[0].request.body or b""
    assert body.isascii()
    assert json.loads(body) == {"api_key": odd, "secret_key": odd}


@pytest.mark.parametrize(
    ("replies", "may_have_happened"),
    [
        ([UpstreamFault("timeout")], True),
        ([NOT_SENT] * 3, False),
        ([error_answer(503)] * 3, False),
        ([error_answer(429)] * 3, False),
        ([error_answer(500)] * 3, True),
        ([error_answer(502), error_answer(503), error_answer(503)], True),  # the first one's doubt stays
        ([error_answer(503), error_answer(503), error_answer(504)], True),
        ([NOT_SENT, error_answer(503), UpstreamFault("closed")], True),
    ],
)
def test_whether_tokens_may_have_been_granted_is_said_of_all_attempts(
    world: World, replies: list[UpstreamAnswer | UpstreamFault], may_have_happened: bool
) -> None:
    world.transport.will(*replies)
    answer = refresh(world)
    assert isinstance(answer, Unavailable)
    assert answer.may_have_happened is may_have_happened
