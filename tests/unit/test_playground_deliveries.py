"""What the playground sends is what Gatehouse takes for genuine, and what it forges is not."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gatehouse.problems import DeliveryNotAuthentic
from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import judge_sources
from gatehouse.webhooks import ChecksumEncoding, authenticate_smallcase, authenticate_source
from local.playground.deliveries import SMALLCASE, Delivery, Sender, forged, of_brokerage, senders, smallcase_order

KEY = "api-secret-0123456789-0123456789-0123"
NOW = datetime(2026, 11, 22, 3, 42, 48, tzinfo=UTC)
BASIC = {"type": 1, "username": "user", "password": "pass:wörd"}
TOKEN = {"type": 2, "token": "webhook-token"}
SOURCES: dict[str, dict[str, Any]] = {
    "broker": {"authentication": [BASIC, TOKEN]},
    "shop": {"authentication": [TOKEN], "token_header": "X-Token"},
}


def authenticate(delivery: Delivery, source: str) -> None:
    headers = {name.lower(): value for name, value in delivery.headers}
    authenticate_source(source, judge_sources(Secret(json.dumps(SOURCES))), headers)


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_an_order_is_genuine_and_has_the_documented_shape(encoding: ChecksumEncoding) -> None:
    delivery = smallcase_order(KEY, encoding, NOW)
    assert delivery.path == "/v1/webhooks/smallcase/orders"
    assert authenticate_smallcase("orders", delivery.body, [Secret(KEY)], encoding).recognised
    assert json.loads(delivery.body)["timestamp"] == "2026-11-22T03:42:48.000Z"


def test_two_orders_are_two_deliveries() -> None:
    first, second = (
        authenticate_smallcase("orders", smallcase_order(KEY, "hex", NOW).body, [Secret(KEY)], "hex") for _ in range(2)
    )
    assert first.identity != second.identity


def test_every_credential_of_every_source_is_a_sender() -> None:
    found = senders({**SOURCES, "removed": None, "empty": {}, "odd": {"authentication": [None, {"type": 3}]}})
    assert [each.label for each in found] == [
        "smallcase, an order",
        "broker, HTTP Basic",
        "broker, token",
        "shop, token",
    ]
    assert len({each.id for each in found}) == 4


@pytest.mark.parametrize("sender", senders(SOURCES)[1:], ids=lambda each: each.label)
def test_a_delivery_of_the_brokerage_is_genuine_and_a_forged_one_is_not(sender: Sender) -> None:
    assert sender.source is not None
    delivery = of_brokerage(sender)
    assert delivery.path == f"/v1/webhooks/integration/{sender.source}"
    authenticate(delivery, sender.source)
    with pytest.raises(DeliveryNotAuthentic):
        authenticate(forged(sender, NOW), sender.source)


def test_a_forged_order_is_not_genuine() -> None:
    delivery = forged(SMALLCASE, NOW)
    assert delivery.path == smallcase_order(KEY, "hex", NOW).path
    with pytest.raises(DeliveryNotAuthentic):
        authenticate_smallcase("orders", delivery.body, [Secret(KEY)], "hex")


def test_a_delivery_does_not_print_its_credential() -> None:
    sender = senders(SOURCES)[1]
    pair = base64.b64encode("user:pass:wörd".encode()).decode()
    assert pair in dict(of_brokerage(sender).headers)["Authorization"]
    for text in (repr(of_brokerage(sender)), str(of_brokerage(sender))):
        assert pair not in text
        assert "/v1/webhooks/integration/broker" in text
