"""A delivery that is refused gets the same answer, for the same work, whatever source it names (docs/adr/0016).

Work is counted and not timed: the secret's reads, what is digested and compared, and every instruction that the layer
executes.
"""

import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, NamedTuple

import pytest

import gatehouse
from gatehouse.gateway_secret import parse_gateway_secret
from gatehouse.http import respond
from gatehouse.secrets import CachedSecret
from gatehouse.webhook_credentials import judge_sources
from gatehouse.webhook_receiver import INTEGRATION_ROUTE, SMALLCASE_ROUTE, WebhookReceiver
from tests.support.events import gateway_secret
from tests.support.fakes import Clock, FakeSecrets
from tests.support.webhook_fakes import FakeDeliveryQueue, basic_authorization, smallcase_body


def basic(password: str) -> dict[str, object]:
    return {"type": 1, "username": "market", "password": password}


def token(text: str) -> dict[str, object]:
    return {"type": 2, "token": text}


SOURCES = {
    "one-basic": {"authentication": [basic("a" * 40)]},
    "one-token": {"authentication": [token("b")], "delivery_id_header": "X-Id"},
    "several": {"authentication": [basic("c"), token("d" * 200), basic("e" * 90), token("f"), basic("g"), token("h")]},
    "with-header": {"authentication": [token("i"), token("j" * 70)], "token_header": "X-Market-Token"},
    "other-header": {"authentication": [token("k"), basic("l")], "token_header": "Authorization"},
    "broken": {"authentication": [basic("m"), {"type": 3}]},
    "not.usable": {"authentication": [basic("n")]},
    "removed": None,
}
MOST_BASIC, MOST_TOKENS, TOKEN_HEADERS = 3, 3, 2

USABLE = ["one-basic", "one-token", "several", "with-header", "other-header"]
UNKNOWN = ["nobody", "removed", "ONE-BASIC", "one-basi", "", ".", "../one-basic", "a b", "ü", "x" * 64, "y" * 5000]
BROKEN = ["broken", "not.usable"]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# What a sender can get wrong. Nothing here is right for any source.
WRONG: dict[str, dict[str, str]] = {
    "nothing": {},
    "empty": {"authorization": "", "x-market-token": ""},
    "malformed header": {"authorization": "\x00"},
    "scheme alone": {"authorization": "Basic"},
    "malformed base64": {"authorization": "Basic !!!!"},
    "no colon": {"authorization": f"Basic {encoded('market')}"},
    "wrong scheme": {"authorization": f"Digest {encoded('market:c')}"},
    "wrong user": {"authorization": basic_authorization("nobody", "c")},
    "wrong password": {"authorization": basic_authorization("market", "wrong")},
    "long password": {"authorization": basic_authorization("market", "w" * 9000)},
    "wrong token": {"authorization": "Bearer wrong"},
    "long token": {"authorization": f"Bearer {'w' * 9000}"},
    "wrong own header": {"x-market-token": "wrong"},
    "long own header": {"x-market-token": "w" * 9000},
    "everything": {"authorization": f"Bearer {'w' * 50}", "x-market-token": "w", "x-id": "1"},
}


class Work(NamedTuple):
    """What was done for one delivery."""

    reads: int  # of secrets
    digested: list[int]  # the sizes of what was hashed
    keyed: list[int]  # the sizes of what HMAC was computed of
    compared: list[tuple[int, int]]  # the sizes of both sides
    instructions: list[tuple[str, int]]  # of the layer: function and offset


@contextmanager
def instructions() -> Iterator[list[tuple[str, int]]]:
    """Note every instruction that the layer's functions execute."""
    layer, noted, tool = str(gatehouse.__path__[0]), list[tuple[str, int]](), sys.monitoring.PROFILER_ID

    def note(code: CodeType, offset: int) -> Any:
        if not code.co_filename.startswith(layer):
            return sys.monitoring.DISABLE
        noted.append((code.co_qualname, offset))
        return None

    sys.monitoring.use_tool_id(tool, "parity")
    sys.monitoring.register_callback(tool, sys.monitoring.events.INSTRUCTION, note)
    sys.monitoring.set_events(tool, sys.monitoring.events.INSTRUCTION)
    try:
        yield noted
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.register_callback(tool, sys.monitoring.events.INSTRUCTION, None)
        sys.monitoring.free_tool_id(tool)


class World:
    """A receiver whose work is counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.clock = Clock()
        self.secrets = FakeSecrets()
        self.secrets.texts = {"gateway": gateway_secret(), "sources": json.dumps(SOURCES)}
        self.queue = FakeDeliveryQueue()
        self.receiver = WebhookReceiver(
            self.queue,
            CachedSecret(
                self.secrets, "gateway", lambda text: parse_gateway_secret(text, allow_short=False), self.clock
            ),
            CachedSecret(self.secrets, "sources", judge_sources, self.clock),
            "hex",
            self.clock,
        )

    def expire(self) -> None:
        """Let the cached secrets grow old."""
        self.clock.advance(3600)

    def send(self, route: str, variables: dict[str, str], headers: dict[str, str], body: str = "{}") -> Any:
        event = {
            "requestContext": {"requestId": "the-request"},
            "routeKey": route,
            "pathParameters": variables,
            "headers": headers,
            "body": body,
        }
        return respond(event, self.receiver.receive)

    def deliver(self, name: str, headers: dict[str, str]) -> tuple[Any, Work]:
        """Return the whole answer and the work."""
        digested, keyed, compared = list[int](), list[int](), list[tuple[int, int]]()
        sha256, compare, keyed_digest = hashlib.sha256, hmac.compare_digest, hmac.digest

        def count_sha256(data: bytes) -> Any:
            digested.append(len(data))
            return sha256(data)

        def count_compare(one: bytes, other: bytes) -> bool:
            compared.append((len(one), len(other)))
            return compare(one, other)

        def count_keyed(key: bytes, message: bytes, algorithm: str) -> bytes:
            keyed.append(len(message))
            return keyed_digest(key, message, algorithm)

        reads = self.secrets.reads
        with self.monkeypatch.context() as patched:
            patched.setattr(hashlib, "sha256", count_sha256)
            patched.setattr(hmac, "compare_digest", count_compare)
            patched.setattr(hmac, "digest", count_keyed)
            with instructions() as executed:
                answer = self.send(INTEGRATION_ROUTE, {"source": name}, headers)
        return answer, Work(self.secrets.reads - reads, digested, keyed, compared, executed)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def same(works: list[Work], of: Callable[[Work], object]) -> bool:
    return all(of(each) == of(works[0]) for each in works)


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "read"])
def test_the_same_wrong_delivery_costs_the_same_and_answers_the_same_under_every_name(
    world: World, headers: dict[str, str], cached: bool
) -> None:
    world.deliver("nobody", {})
    answers, works = [], []
    for name in (*USABLE, *UNKNOWN):
        if not cached:
            world.expire()
        answer, work = world.deliver(name, headers)
        answers.append(answer)
        works.append(work)
    assert {answer["statusCode"] for answer in answers} == {401}
    assert all(answer == answers[0] for answer in answers)
    assert works[0].reads == (0 if cached else 1)
    assert same(works, lambda work: work.reads)
    assert same(works, lambda work: work.digested)
    assert same(works, lambda work: work.compared)
    assert len(works[0].instructions) > 100
    assert same(works, lambda work: work.instructions)
    assert world.queue.messages == []


def test_whatever_is_wrong_the_answer_is_the_same_and_as_much_is_digested_and_compared(world: World) -> None:
    world.deliver("nobody", {})
    outcomes = [world.deliver(name, headers) for name in (*USABLE, *UNKNOWN) for headers in WRONG.values()]
    assert all(answer == outcomes[0][0] for answer, _ in outcomes)
    works = [work for _, work in outcomes]
    assert {work.reads for work in works} == {0}
    assert {len(work.digested) for work in works} == {2 + TOKEN_HEADERS}
    assert [work.compared for work in works] == [[(64, 64)] * (MOST_BASIC + MOST_TOKENS)] * len(works)
    assert not any(work.keyed for work in works)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
def test_a_source_whose_entry_is_not_usable_differs_in_its_answer_and_in_no_other_work(
    world: World, name: str, headers: dict[str, str]
) -> None:
    world.deliver("nobody", {})
    unknown, expected = world.deliver("nobody", headers)
    broken, work = world.deliver(name, headers)
    assert (unknown["statusCode"], broken["statusCode"]) == (401, 503)
    assert work[:4] == expected[:4]


# HTTP Basic, the bearer token, and the bare tokens in Authorization and X-Market-Token.
@pytest.mark.parametrize(
    ("headers", "sizes"),
    [
        ("nothing", [0, 0, 0, 0]),
        ("empty", [0, 0, 0, 0]),
        ("scheme alone", [0, 0, len("Basic"), 0]),
        ("malformed base64", [0, 0, len("Basic !!!!"), 0]),
        ("wrong scheme", [0, 0, len(f"Digest {encoded('market:c')}"), 0]),
        ("no colon", [len("market"), 0, len(f"Basic {encoded('market')}"), 0]),
        ("wrong token", [0, len("wrong"), len("Bearer wrong"), 0]),
        ("wrong own header", [0, 0, 0, len("wrong")]),
    ],
)
def test_what_was_sent_is_digested_and_what_was_not_as_nothing(world: World, headers: str, sizes: list[int]) -> None:
    world.deliver("nobody", {})
    assert world.deliver("one-token", WRONG[headers])[1].digested == sizes


RIGHT = {
    "one-basic": basic_authorization("market", "a" * 40),
    "one-token": "Bearer b",
    "several": f"Bearer {'d' * 200}",
    "other-header": "k",
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_credentials_are_digested_and_compared_as_often_as_wrong_ones(world: World, name: str) -> None:
    headers = {"authorization": RIGHT[name]}
    _, expected = world.deliver("nobody", headers)
    answer, work = world.deliver(name, headers)
    assert answer["statusCode"] == 200
    assert work.compared == expected.compared
    assert work.digested[: 2 + TOKEN_HEADERS] == expected.digested[-2 - TOKEN_HEADERS :]


def test_the_parts_of_a_checksum_are_missed_and_wrong_with_the_same_answer(world: World) -> None:
    genuine = json.loads(smallcase_body())
    members = ("checksum", "timestamp", "smallcaseAuthId")
    missing = [{name: value for name, value in genuine.items() if name != member} for member in members]
    wrong = [{**genuine, member: f"{genuine[member]}0"} for member in members]
    bodies = [*missing, *wrong, {}, json.loads(smallcase_body("another-key"))]
    headers = {"content-type": "application/json"}
    answers = [world.send(SMALLCASE_ROUTE, {"kind": "orders"}, headers, json.dumps(body)) for body in bodies]
    assert {answer["statusCode"] for answer in answers} == {401}
    assert all(answer == answers[0] for answer in answers)
    assert world.queue.messages == []
