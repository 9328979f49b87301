"""What the code publishes, held against the schemas of docs/schemas, and these against what the code publishes."""

import ast
import base64
import copy
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gatehouse import connector, delivery_event, token_adapters, token_policy
from gatehouse.authenticator import Trigger
from gatehouse.connector import Proof
from gatehouse.envelope import Envelope, render
from gatehouse.secret_value import Secret
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from gatehouse.webhook_processor import WebhookProcessor
from gatehouse.webhooks import KINDS
from tests.conftest import ROOT
from tests.support.connection_fakes import ASHA, ASHAS_ID, auth_token
from tests.support.connection_fakes import World as ConnectionWorld
from tests.support.event_schemas import (
    SCHEMAS,
    Json,
    as_received,
    check,
    constant_types,
    is_valid,
    schemas_for,
    title,
)
from tests.support.token_fakes import DAY_SECONDS, HOUR_SECONDS, FakeBus, World, error_answer, grant_answer
from tests.support.webhook_fakes import FakeEventLog, smallcase_body
from tests.unit.test_webhook_receiver import World as Edge

DUE_SECONDS = 60
DELIVERIES = "the detail types of deliveries"

EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, schema in SCHEMAS.items()
    for number, example in enumerate(schema["examples"])
]
NAMES = pytest.mark.parametrize("name", SCHEMAS)
EACH_EXAMPLE = pytest.mark.parametrize("example", EXAMPLES)


def token_world() -> World:
    world = World()
    world.credentials.version_id = str(uuid.uuid4())  # as Secrets Manager names versions
    return world


def token_events(world: World) -> list[Json]:
    return [as_received(token_adapters.SOURCE, *event) for event in world.bus.events]


# --- Tokens: real runs of both functions, over the fakes ---


def refresh(world: World, *, left: float = DUE_SECONDS, days: float = 0) -> None:
    world.hold_tokens(left=left, refresh_token_age=days * DAY_SECONDS)
    world.refresher().run(world.deadline)


def is_refreshed(world: World) -> None:
    world.transport.will(grant_answer(world.clock.now))
    refresh(world)


def is_refreshed_in_its_last_day(world: World) -> None:
    world.transport.will(grant_answer(world.clock.now))
    refresh(world, days=6.5)


def has_no_tokens(world: World) -> None:
    world.refresher().run(world.deadline)


def is_in_its_last_day(world: World) -> None:
    refresh(world, left=DAY_SECONDS, days=6.5)


def is_rejected(world: World) -> None:
    world.transport.will(error_answer(401))
    refresh(world)


def is_refused_when_dead(world: World) -> None:
    world.transport.will(error_answer(403))
    refresh(world, left=-DUE_SECONDS)


def finds_no_upstream(world: World) -> None:
    world.transport.will(UpstreamFault("timeout"))
    refresh(world)


def loses_an_exchange(world: World) -> None:
    finds_no_upstream(world)
    refresh(world, left=HOUR_SECONDS)


def authenticates(world: World) -> None:
    world.transport.will(grant_answer(world.clock.now))
    world.authenticator().run(Trigger(), world.deadline)


def has_its_credentials_rejected(world: World) -> None:
    world.transport.will(error_answer(401))
    world.authenticator().run(Trigger(), world.deadline)


def cannot_authenticate(world: World) -> None:
    world.transport.will(UpstreamAnswer(200, {}, b"<html>"))
    world.authenticator().run(Trigger(), world.deadline)


REQUIRED = "tokens.reauthentication-required"
RUNS: list[tuple[Callable[[World], None], list[str]]] = [
    (is_refreshed, ["tokens.refreshed"]),
    (is_refreshed_in_its_last_day, ["tokens.refreshed", REQUIRED]),
    (has_no_tokens, [REQUIRED]),
    (is_in_its_last_day, [REQUIRED]),
    (is_rejected, [REQUIRED]),
    (is_refused_when_dead, [REQUIRED]),
    (finds_no_upstream, ["tokens.upstream-unavailable"]),
    (loses_an_exchange, ["tokens.upstream-unavailable", REQUIRED]),
    (authenticates, ["tokens.authenticated"]),
    (has_its_credentials_rejected, ["tokens.credentials-rejected"]),
    (cannot_authenticate, ["tokens.upstream-unavailable"]),
]


@pytest.mark.parametrize(("run", "expected"), RUNS, ids=[run.__name__ for run, _ in RUNS])
def test_what_a_run_publishes_is_as_its_schema_says(run: Callable[[World], None], expected: list[str]) -> None:
    world = token_world()
    run(world)
    assert [check(event) for event in token_events(world)] == expected


def test_every_reason_to_authenticate_anew_is_in_the_schema_and_was_seen() -> None:
    seen = set()
    for run, _ in RUNS:
        world = token_world()
        run(world)
        seen |= {detail["reason"] for detail in world.bus.of_type(REQUIRED)}
    listed = set(SCHEMAS[REQUIRED]["properties"]["detail"]["properties"]["reason"]["enum"])
    assert seen == listed == set(get_args(token_policy.Reason))


ANY_ANSWER = st.builds(UpstreamAnswer, st.integers(100, 599), st.just({}), st.binary() | st.just(b"{}"))


@given(ANY_ANSWER, st.booleans(), st.sampled_from([-DUE_SECONDS, DUE_SECONDS]))
def test_whatever_the_upstream_answers_what_is_published_is_as_its_schema_says(
    answer: UpstreamAnswer, is_refresh: bool, left: float
) -> None:
    world = token_world()
    world.transport.will(*[answer] * 5)
    world.hold_tokens(left=left)
    if is_refresh:
        world.refresher().run(world.deadline)
    else:
        world.authenticator().run(Trigger(), world.deadline)
    assert [check(event) for event in token_events(world)]


# --- Connections: real runs of connect_user, over the fakes ---

BROKERS = pytest.mark.parametrize("broker", ["meadow", None])
CONNECTED, DISCONNECTED = "connections.connected", "connections.disconnected"


def connection_events(world: ConnectionWorld) -> list[str]:
    """Hold what was published against the schemas, and return what it was."""
    return [check(as_received(connector.SOURCE, *event)) for event in world.bus.events]


@BROKERS
def test_what_a_browser_changes_is_published_as_the_schemas_say(broker: str | None) -> None:
    world = ConnectionWorld()
    transaction_id = world.pending()
    world.api.complete(transaction_id, ASHAS_ID, broker)
    world.connector().connect(ASHA, Proof(Secret(auth_token()), transaction_id), world.deadline)
    world.connector().disconnect(ASHA)
    assert connection_events(world) == [CONNECTED, DISCONNECTED]


@BROKERS
def test_what_a_webhook_changes_is_published_as_the_schemas_say(broker: str | None) -> None:
    world = ConnectionWorld()
    transaction_id = world.pending()
    world.api.complete(transaction_id, ASHAS_ID, broker)
    world.connector().connect_by_webhook(transaction_id, ASHAS_ID, world.deadline)
    assert connection_events(world) == [CONNECTED]


# --- Deliveries: from the edge over the queue to the bus ---


def delivery_events(edge: Edge) -> list[Json]:
    """Process what the edge has queued, and return what is published."""
    bus = FakeBus()
    processor = WebhookProcessor(FakeEventLog(), bus)
    for message in edge.queue.messages:
        assert processor.process(message) == "published"
    return [as_received(delivery_event.SOURCE, *event) for event in bus.events]


def replay_of(envelope: Envelope) -> Json:
    detail = json.loads(delivery_event.detail(envelope, replayed=True))
    return as_received(delivery_event.SOURCE, delivery_event.detail_type(envelope), detail)


def are_as_the_schema_says(edge: Edge, name: str) -> None:
    """Hold the one delivery's event against the schema, and its replay."""
    (envelope,) = edge.queue.envelopes
    (event,) = delivery_events(edge)
    replay = replay_of(envelope)
    assert check(event) == check(replay) == name
    assert {**event["detail"], "replayed": True} == replay["detail"]


ANY_TEXT = st.text(st.characters(exclude_categories=[]))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
)
CHECKED = ("smallcaseAuthId", "transactionId", "timestamp", "checksum")
MEMBERS = st.dictionaries(ANY_TEXT.filter(lambda name: name not in CHECKED), ANY_JSON, max_size=4)


@given(MEMBERS, st.sampled_from(sorted(KINDS - {"mf-holdings"})), st.none() | st.text("x", min_size=1))
def test_any_genuine_postback_makes_an_event_as_the_schema_says(
    members: dict[str, Any], kind: str, transaction: str | None
) -> None:
    edge = Edge()
    status, _ = edge.smallcase(smallcase_body(**{**members, "transactionId": transaction}), kind)
    assert status == 200
    are_as_the_schema_says(edge, "smallcase.received")


@given(
    st.binary() | ANY_JSON.map(json.dumps).map(str.encode),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
)
def test_any_delivery_of_a_source_makes_an_event_as_the_schema_says(body: bytes, name: str) -> None:
    edge = Edge()
    status, _ = edge.integration(base64.b64encode(body).decode(), isBase64Encoded=True)
    assert status == 200
    (envelope,) = edge.queue.envelopes
    edge.queue.messages = [render(envelope._replace(source=f"integration.{name}"))]
    are_as_the_schema_says(edge, "integration.received")


@pytest.mark.parametrize("body", [b"\xff", b'"' + b"x" * 256 * 1024 + b'"'])
def test_a_body_that_stays_in_the_log_is_provided_for(body: bytes) -> None:
    edge = Edge()
    edge.integration()
    (envelope,) = edge.queue.envelopes
    edge.queue.messages = [render(envelope._replace(body=body))]
    (event,) = delivery_events(edge)
    assert event["detail"]["body_in_log"] is True
    are_as_the_schema_says(edge, "integration.received")


def test_a_postback_of_mutual_funds_is_as_the_schema_says() -> None:
    edge = Edge()
    # Its checksum covers the transaction: here the one text is as good as the other.
    assert edge.smallcase(smallcase_body(transactionId="auth-1"), "mf-holdings")[0] == 200
    are_as_the_schema_says(edge, "smallcase.received")


# --- Nothing without a schema, no schema without a publisher ---


def published(path: Path) -> Iterator[str]:
    """Yield the detail types that a module publishes."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(ast.Name("announce"), [_, detail_type, *_]):
                pass
            case ast.Call(ast.Attribute(attr="publish" | "publish_json"), [detail_type, *_]):
                pass
            case _:
                continue
        match detail_type:
            case ast.Constant(str(name)):
                yield name
            case ast.Call() if ast.unparse(detail_type.func).endswith("detail_type"):
                yield DELIVERIES
            case _:
                raise AssertionError(f"{path.name}:{node.lineno}: which event is it? Name it where it is published")


SOURCES = [
    path
    for folder in ("layers/gatehouse/gatehouse", "functions")  # what operators publish again is `replay_of`
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "bus.py"  # publishes what it is given
]


def test_every_event_has_a_schema_and_every_schema_a_publisher() -> None:
    names = {name for path in SOURCES for name in published(path)}
    assert DELIVERIES in names
    names = names - {DELIVERIES} | {f"smallcase.{kind}.received" for kind in KINDS}
    listed = {each for name in SCHEMAS for each in constant_types(name)}
    assert names == listed, (
        "docs/schemas/<detail type>.json, a row in docs/events.md, and a run in RUNS belong together"
    )
    assert [name for name in SCHEMAS if not constant_types(name)] == ["integration.received"]


def test_every_schema_was_held_against_a_real_run() -> None:
    runs = {name for _, names in RUNS for name in names}
    assert set(SCHEMAS) == runs | {CONNECTED, DISCONNECTED, "smallcase.received", "integration.received"}


@pytest.mark.parametrize(
    "code",
    [
        'bus.publish(f"tokens.{what}", {})',
        "announce(self._bus, name, {})",
        "self._bus.publish_json(NAME, detail)",
    ],
)
def test_an_event_without_a_constant_name_is_noticed(code: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(code)
    with pytest.raises(AssertionError, match=r"module.py:1: which event"):
        list(published(module))


def test_events_are_put_on_the_bus_in_one_place() -> None:
    assert [path for path in SOURCES if "put_events(" in path.read_text()] == []


@pytest.mark.parametrize("detail_type", ["integration.a.received", f"integration.{'x' * 64}.received"])
def test_a_name_that_an_operator_gave_has_a_schema(detail_type: str) -> None:
    assert schemas_for(detail_type) == ["integration.received"]


@pytest.mark.parametrize(
    "detail_type",
    [
        "smallcase.received",
        "smallcase.other.received",
        "smallcase.orders.received2",
        "integration.received",
        "integration..received",
        "integration.-a.received",
        f"integration.{'x' * 65}.received",
        "tokens.unknown",
        "",
    ],
)
def test_an_event_that_nobody_publishes_has_none(detail_type: str) -> None:
    assert schemas_for(detail_type) == []


# --- The schemas themselves ---


@NAMES
def test_a_schema_is_one_and_is_called_what_its_file_is(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert title(name) == name
    assert SCHEMAS[name]["description"]


@EACH_EXAMPLE
def test_the_examples_are_as_their_schema_says(example: Json) -> None:
    check(example)


@NAMES
def test_the_examples_show_every_member(name: str) -> None:
    shown = {member for example in SCHEMAS[name]["examples"] for member in example["detail"]}
    listed = set(SCHEMAS[name]["properties"]["detail"]["properties"])
    assert listed - shown <= {"replayed"}


OPTIONAL = {"replayed", "broker"}


@EACH_EXAMPLE
def test_whatever_is_missing_or_unknown_is_refused(example: Json) -> None:
    for member in ("source", "detail-type", "detail"):
        assert not is_valid({name: value for name, value in example.items() if name != member}), member
    for member in example["detail"]:
        less = {name: value for name, value in example["detail"].items() if name != member}
        assert is_valid({**example, "detail": less}) == (member in OPTIONAL), member
    assert not is_valid({**example, "detail": {**example["detail"], "added": 1}})


# Values of every type; and which of them a member may have nevertheless.
TEXTS = ("not it", "2026-11-22", "2026-11-22T05:16:54+05:30")
ODD: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    -1.5,
    "",
    "not it",
    "2026-11-22",
    "2026-11-22T05:16:54+05:30",
    [],
    {},
    [{}],
)
MAY: dict[str, tuple[object, ...]] = {
    **{
        f"{name} {member}": TEXTS  # opaque: an issuer's, or the vendor's
        for name in (CONNECTED, DISCONNECTED)
        for member in ("issuer", "subject", "smallcase_auth_id", "broker")
    },
    "smallcase.received recognised": (True, False),
    "smallcase.received body": ("", *TEXTS, {}),
    "smallcase.received body_in_log": (True,),
    "smallcase.received body_authenticated": (False,),
    "smallcase.received replayed": (True,),
    "integration.received recognised": (True,),
    "integration.received body": ODD,  # opaque
    "integration.received body_in_log": (True,),
    "integration.received body_authenticated": (True,),
}


@EACH_EXAMPLE
def test_a_member_of_another_type_or_form_is_refused(example: Json) -> None:
    (name,) = schemas_for(example["detail-type"])
    for member in example["detail"]:
        for value in ODD:
            event = copy.deepcopy(example)
            event["detail"][member] = value
            may = any(value == each and type(value) is type(each) for each in MAY.get(f"{name} {member}", ()))
            assert is_valid(event) == may, (member, value)


@EACH_EXAMPLE
def test_a_detail_that_is_no_object_or_of_another_publisher_is_refused(example: Json) -> None:
    nothing: list[object] = [None, [], "", 1, {}]
    for detail in nothing:
        assert not is_valid({**example, "detail": detail})
    for source in ("gatehouse.other", "gatehouse", "", None):
        assert not is_valid({**example, "source": source})


@pytest.mark.parametrize("example", [each for each in EXAMPLES if "received" in str(each.id)])
def test_a_body_is_in_the_event_or_in_the_log_and_never_both(example: Json) -> None:
    assert not is_valid({**example, "detail": {"body": {}, "body_in_log": True, **example["detail"]}})


def test_a_kind_that_is_not_that_of_the_detail_type_is_refused() -> None:
    example = SCHEMAS["smallcase.received"]["examples"][0]
    assert example["detail"]["kind"] == "orders"
    for kind in KINDS - {"orders"}:
        assert not is_valid({**example, "detail": {**example["detail"], "kind": kind}})
        assert not is_valid({**example, "detail-type": f"smallcase.{kind}.received"})


def test_two_deliveries_of_different_sources_are_not_taken_for_each_other() -> None:
    example = SCHEMAS["integration.received"]["examples"][0]
    assert not is_valid({**example, "detail-type": "integration.other.received"})


@EACH_EXAMPLE
def test_what_eventbridge_adds_around_the_detail_is_its_own(example: Json) -> None:
    assert is_valid({**example, "replay-name": "an archive of yours"})
    bare = {name: example[name] for name in ("source", "detail-type", "detail")}
    assert is_valid(bare)
