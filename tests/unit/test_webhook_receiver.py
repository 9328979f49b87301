"""Form, authenticity, durability, answer: in this order, and nothing is kept of what was refused."""

import base64
import json
import uuid
from typing import Any

import pytest

from gatehouse.gateway_secret import parse_gateway_secret
from gatehouse.http import MAX_BODY_BYTES, respond
from gatehouse.secrets import CachedSecret
from gatehouse.webhook_credentials import judge_sources
from gatehouse.webhook_receiver import INTEGRATION_ROUTE, SMALLCASE_ROUTE, WebhookReceiver
from tests.support.events import gateway_secret
from tests.support.fakes import Clock, FakeSecrets
from tests.support.token_fakes import Steps
from tests.support.webhook_fakes import (
    WEBHOOK_PASSWORD,
    WEBHOOK_SOURCES,
    WEBHOOK_TOKEN,
    FakeDeliveryQueue,
    basic_authorization,
    smallcase_body,
)

JSON = {"content-type": "application/json"}
GENUINE = {"authorization": basic_authorization()}
BODY = '{"price": 1.10}'


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.steps = Steps()
        self.queue = FakeDeliveryQueue(self.steps)
        self.secrets = FakeSecrets()
        self.secrets.texts = {"gateway": gateway_secret(), "sources": json.dumps(WEBHOOK_SOURCES)}

    def deliver(self, route: str, variables: dict[str, str], body: str, headers: dict[str, str], **more: Any) -> Any:
        receiver = WebhookReceiver(
            self.queue,
            CachedSecret(
                self.secrets, "gateway", lambda text: parse_gateway_secret(text, allow_short=False), self.clock
            ),
            CachedSecret(self.secrets, "sources", judge_sources, self.clock),
            "hex",
            self.clock,
        )
        event = {
            "requestContext": {"requestId": "the-request"},
            "routeKey": route,
            "pathParameters": variables,
            "headers": headers,
            "body": body,
            **more,
        }
        answer = respond(event, receiver.receive)
        return answer["statusCode"], json.loads(str(answer["body"]))

    def smallcase(self, body: str, kind: str = "orders", headers: dict[str, str] = JSON, **more: Any) -> Any:
        return self.deliver(SMALLCASE_ROUTE, {"kind": kind}, body, headers, **more)

    def integration(
        self, body: str = BODY, source: str = "shop", headers: dict[str, str] = GENUINE, **more: Any
    ) -> Any:
        return self.deliver(INTEGRATION_ROUTE, {"source": source}, body, headers, **more)


@pytest.fixture
def world() -> World:
    return World()


def refusal(answer: Any) -> tuple[int, str]:
    status, document = answer
    return status, document["code"]


def faults(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Where the log says that the configuration is at fault, and why."""
    found = [vars(record) for record in caplog.records if record.message == "webhook.not_configured"]
    return [(each["field"], each["reason"]) for each in found]


def test_a_genuine_postback_is_answered_with_the_id_under_which_it_is_on_the_queue(world: World) -> None:
    body = smallcase_body()
    status, document = world.smallcase(body)
    (envelope,) = world.queue.envelopes
    assert (status, document) == (200, {"id": envelope.id})
    assert str(uuid.UUID(envelope.id)) == envelope.id
    assert envelope._replace(id="", identity="") == envelope._replace(
        id="",
        identity="",
        source="smallcase",
        kind="orders",
        received_at="2027-01-15T08:00:00Z",
        content_type="application/json",
        recognised=True,
        body=body.encode(),
    )


@pytest.mark.parametrize("authorization", [basic_authorization(), f"Bearer {WEBHOOK_TOKEN}"])
def test_a_genuine_delivery_of_a_source_is_on_the_queue(world: World, authorization: str) -> None:
    status, document = world.integration(headers={"authorization": authorization, "content-type": "text/x; a=b"})
    (envelope,) = world.queue.envelopes
    assert (status, document) == (200, {"id": envelope.id})
    assert (envelope.source, envelope.kind, envelope.content_type) == ("integration.shop", None, "text/x; a=b")
    assert envelope.body == BODY.encode()


@pytest.mark.parametrize("raw", [b"", b"\xff\x00", b"{}"])
def test_a_body_in_base64_is_decoded(world: World, raw: bytes) -> None:
    assert world.integration(base64.b64encode(raw).decode(), isBase64Encoded=True)[0] == 200
    assert [envelope.body for envelope in world.queue.envelopes] == [raw]


def test_the_largest_body_is_taken_and_one_byte_more_is_not(world: World) -> None:
    assert world.integration("x" * MAX_BODY_BYTES)[0] == 200
    assert refusal(world.integration("x" * (MAX_BODY_BYTES + 1))) == (413, "BODY_TOO_LARGE")
    assert len(world.queue.messages) == 1


def test_each_answer_has_its_own_id_and_repetitions_have_one_identity(world: World) -> None:
    ids = {world.smallcase(smallcase_body(timestamp=f"{number}"))[1]["id"] for number in range(3)}
    assert len(ids) == 3
    assert len({envelope.identity for envelope in world.queue.envelopes}) == 1


def test_the_configured_delivery_id_counts(world: World) -> None:
    for delivery_id in ("1", "1", "2"):
        world.integration(headers={**GENUINE, "X-Delivery-Id": delivery_id})
    assert len({envelope.identity for envelope in world.queue.envelopes}) == 2


def test_one_content_of_two_sources_are_two_deliveries(world: World) -> None:
    world.secrets.texts["sources"] = json.dumps(dict.fromkeys(("shop", "other"), WEBHOOK_SOURCES["shop"]))
    for source in ("shop", "other"):
        assert world.integration(source=source)[0] == 200
    assert len({envelope.identity for envelope in world.queue.envelopes}) == 2


def test_a_delivery_without_a_content_type_has_an_empty_one(world: World) -> None:
    assert world.integration()[0] == 200
    assert [envelope.content_type for envelope in world.queue.envelopes] == [""]


@pytest.mark.parametrize("route", [SMALLCASE_ROUTE, INTEGRATION_ROUTE])
def test_a_route_without_its_variable_is_refused_like_one_with_an_empty_one(world: World, route: str) -> None:
    named = {SMALLCASE_ROUTE: "kind", INTEGRATION_ROUTE: "source"}[route]
    headers = {**JSON, **GENUINE}
    answer = world.deliver(route, {}, smallcase_body(), headers)
    assert answer[0] in (401, 404)
    assert answer == world.deliver(route, {named: ""}, smallcase_body(), headers)


def test_a_genuine_postback_of_an_unexpected_shape_is_taken_and_marked(world: World) -> None:
    assert world.smallcase(smallcase_body(orders="none"))[0] == 200
    assert [envelope.recognised for envelope in world.queue.envelopes] == [False]


def test_the_previous_api_secret_counts_while_it_is_set(world: World) -> None:
    previous = "an-older-key-0123456789-0123456789-ok"
    assert world.smallcase(smallcase_body(previous))[0] == 401
    world.secrets.texts["gateway"] = gateway_secret(previous_api_secret=previous)
    assert world.smallcase(smallcase_body(previous))[0] == 200
    assert world.smallcase(smallcase_body())[0] == 200


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json ; charset=utf-8"])
def test_a_postback_is_json_in_any_spelling_of_its_type(world: World, content_type: str) -> None:
    assert world.smallcase(smallcase_body(), headers={"Content-Type": content_type})[0] == 200


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_body_that_is_not_encoded_may_say_so(world: World, encoding: str) -> None:
    assert world.integration(headers={**GENUINE, "content-encoding": encoding})[0] == 200


# Each row is wrong in everything that comes after what it is refused for.
@pytest.mark.parametrize(
    ("kind", "headers", "body", "refused"),
    [
        ("other", {"content-encoding": "gzip"}, "{", (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("other", {}, "{", (404, "UNKNOWN_KIND")),
        ("", {}, "{", (404, "UNKNOWN_KIND")),
        ("Orders", JSON, smallcase_body(), (404, "UNKNOWN_KIND")),
        ("orders", {}, "{", (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("orders", {"content-type": "text/json"}, "{", (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("orders", {"content-type": "application/json,application/json"}, "{", (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("orders", {**JSON, "content-encoding": "gzip"}, smallcase_body(), (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("orders", {**JSON, "content-encoding": "identity,br"}, smallcase_body(), (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("orders", JSON, "", (400, "DELIVERY_NOT_READABLE")),
        ("orders", JSON, '{"checksum":"x","checksum":"x"}', (400, "DELIVERY_NOT_READABLE")),
        ("orders", JSON, "[]", (400, "DELIVERY_NOT_READABLE")),
        ("orders", JSON, "\ud800", (400, "DELIVERY_NOT_READABLE")),
        ("orders", JSON, "{}", (401, "DELIVERY_NOT_AUTHENTIC")),
        ("orders", JSON, smallcase_body("another-key"), (401, "DELIVERY_NOT_AUTHENTIC")),
        ("orders", {**JSON, **GENUINE}, "{}", (401, "DELIVERY_NOT_AUTHENTIC")),
        ("orders", JSON, smallcase_body(), (503, "QUEUE_UNAVAILABLE")),
    ],
)
def test_a_postback_is_refused_for_the_first_thing_that_is_wrong(
    world: World, kind: str, headers: dict[str, str], body: str, refused: tuple[int, str]
) -> None:
    world.queue.failure = "status_403"
    assert refusal(world.smallcase(body, kind, headers)) == refused
    assert world.steps.taken == (["queue.send"] if refused[1] == "QUEUE_UNAVAILABLE" else [])


@pytest.mark.parametrize(
    ("source", "headers", "refused"),
    [
        ("nobody", {"content-encoding": "gzip"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("shop", {**GENUINE, "content-encoding": "deflate"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("shop", {}, (401, "DELIVERY_NOT_AUTHENTIC")),
        ("shop", {"authorization": basic_authorization(password="wrong")}, (401, "DELIVERY_NOT_AUTHENTIC")),
        ("nobody", GENUINE, (401, "DELIVERY_NOT_AUTHENTIC")),
        ("", GENUINE, (401, "DELIVERY_NOT_AUTHENTIC")),
        ("SHOP", GENUINE, (401, "DELIVERY_NOT_AUTHENTIC")),
        ("shop\n", GENUINE, (401, "DELIVERY_NOT_AUTHENTIC")),
        ("shop", GENUINE, (503, "QUEUE_UNAVAILABLE")),
    ],
)
def test_a_delivery_of_a_source_is_refused_for_the_first_thing_that_is_wrong(
    world: World, source: str, headers: dict[str, str], refused: tuple[int, str]
) -> None:
    world.queue.failure = "status_403"
    assert refusal(world.integration(source=source, headers=headers)) == refused
    assert world.steps.taken == (["queue.send"] if refused[1] == "QUEUE_UNAVAILABLE" else [])


def test_base64_that_is_none_is_not_readable(world: World) -> None:
    for body in ("!", "é", "YQ"):
        assert refusal(world.integration(body, isBase64Encoded=True)) == (400, "DELIVERY_NOT_READABLE")
    assert world.queue.messages == []


@pytest.mark.parametrize("name", ["a.b", "a#b", "-shop", "x" * 65, "../shop", "shöp"])
def test_a_source_whose_name_cannot_stand_in_an_event_is_unknown_and_where_it_is_configured_a_fault(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert refusal(world.integration(source=name)) == (401, "DELIVERY_NOT_AUTHENTIC")
    world.secrets.texts["sources"] = json.dumps({name: WEBHOOK_SOURCES["shop"]})
    assert refusal(world.integration(source=name)) == (503, "WEBHOOKS_NOT_CONFIGURED")
    assert faults(caplog) == [(f"{name}.name", "not_usable")]


def test_a_checksum_opens_no_source_and_credentials_open_no_kind(world: World) -> None:
    assert refusal(world.integration(smallcase_body(), headers=JSON)) == (401, "DELIVERY_NOT_AUTHENTIC")
    assert refusal(world.smallcase(BODY, headers={**JSON, **GENUINE})) == (401, "DELIVERY_NOT_AUTHENTIC")


def test_wrong_credentials_and_an_unknown_source_get_the_same_answer(world: World) -> None:
    assert world.integration(headers={"authorization": "Basic x"}) == world.integration(source="nobody")


@pytest.mark.parametrize("text", ["", "{}", gateway_secret(api_secret=None)])
def test_without_a_usable_gateway_secret_no_postback_is_taken(
    world: World, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.secrets.texts["gateway"] = text
    assert refusal(world.smallcase(smallcase_body())) == (503, "GATEWAY_NOT_CONFIGURED")
    assert world.queue.messages == []
    assert "webhook.not_configured" in [record.message for record in caplog.records]
    assert world.integration()[0] == 200


@pytest.mark.parametrize("text", ["", "[]", '{"shop": {}}', '{"shop": {"authentication": [{"type": true}]}}'])
def test_without_usable_credentials_no_delivery_of_that_source_is_taken(
    world: World, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.secrets.texts["sources"] = text
    assert refusal(world.integration()) == (503, "WEBHOOKS_NOT_CONFIGURED")
    assert world.queue.messages == []
    assert "webhook.not_configured" in [record.message for record in caplog.records]
    assert world.smallcase(smallcase_body())[0] == 200


def test_a_fault_in_one_source_does_not_touch_another_and_is_logged_by_its_place(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.secrets.texts["sources"] = json.dumps({**WEBHOOK_SOURCES, "bad": {}})
    assert world.integration()[0] == 200
    assert refusal(world.integration(source="nobody")) == (401, "DELIVERY_NOT_AUTHENTIC")
    assert faults(caplog) == []
    assert refusal(world.integration(source="bad")) == (503, "WEBHOOKS_NOT_CONFIGURED")
    assert faults(caplog) == [("bad.authentication", "not_a_list")]


def test_secrets_out_of_reach_are_said_to_be_and_nothing_is_taken(world: World) -> None:
    world.secrets.texts.clear()
    assert refusal(world.integration()) == (503, "SECRET_UNAVAILABLE")
    assert refusal(world.smallcase(smallcase_body())) == (503, "SECRET_UNAVAILABLE")
    assert world.queue.messages == []


def test_a_queue_that_takes_nothing_is_logged_and_the_sender_is_told_to_come_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.queue.failure = "status_403"
    status, document = world.integration()
    assert (status, document["code"], "id" in document) == (503, "QUEUE_UNAVAILABLE", False)
    said = [vars(record) for record in caplog.records if record.message == "webhook.queue_unavailable"]
    assert [each["reason"] for each in said] == ["status_403"]
    assert "webhook.received" not in [record.message for record in caplog.records]


def test_a_delivery_that_was_taken_is_logged_with_its_id_and_source(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ids = [world.integration()[1]["id"], world.smallcase(smallcase_body())[1]["id"]]
    said = [vars(record) for record in caplog.records if record.message == "webhook.received"]
    logged = [(each["delivery"], each["source"]) for each in said]
    assert logged == list(zip(ids, ["integration.shop", "smallcase"], strict=True))


def test_the_log_has_neither_headers_nor_bodies(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    world.integration("SENTINEL")
    world.integration("SENTINEL", headers={"authorization": "Basic SENTINEL"})
    world.smallcase(smallcase_body(status="SENTINEL"))
    world.smallcase("SENTINEL")
    logged = repr([vars(record) for record in caplog.records])
    assert "webhook.received" in logged
    assert not any(word in logged for word in ("SENTINEL", WEBHOOK_PASSWORD, GENUINE["authorization"]))
