import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.delivery_event import MAX_ENTRY_BYTES, SOURCE, detail, detail_type
from gatehouse.envelope import Envelope

SMALLCASE = Envelope(
    id="the-id",
    identity="the-identity",
    source="smallcase",
    kind="orders",
    received_at="2027-01-15T08:00:00Z",
    content_type="application/json",
    recognised=True,
    body=b"{}",
)
SHOP = SMALLCASE._replace(source="integration.shop", kind=None)


def read(envelope: Envelope, *, replayed: bool = False) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(detail(envelope, replayed=replayed))
    return members


def with_body(body: bytes) -> Envelope:
    return SHOP._replace(body=body)


def test_an_event_has_the_name_of_its_source_and_kind() -> None:
    assert SOURCE == "gatehouse.webhooks"
    assert detail_type(SMALLCASE) == "smallcase.orders.received"
    assert detail_type(SHOP) == "integration.shop.received"


def test_the_detail_says_what_is_known_of_a_delivery_and_how_far_its_body_can_be_trusted() -> None:
    common = {
        "id": "the-id",
        "received_at": "2027-01-15T08:00:00Z",
        "identity": "the-identity",
        "recognised": True,
        "body": {},
    }
    assert read(SMALLCASE) == {**common, "source": "smallcase", "kind": "orders", "body_authenticated": False}
    assert read(SHOP) == {**common, "source": "integration.shop", "body_authenticated": True}
    assert read(SHOP._replace(recognised=False))["recognised"] is False


@pytest.mark.parametrize("envelope", [SMALLCASE, SHOP, with_body(b"\xff")])
def test_a_replay_keeps_everything_and_says_that_it_is_one(envelope: Envelope) -> None:
    assert read(envelope, replayed=True) == {**read(envelope), "replayed": True}
    assert "replayed" not in read(envelope)


@pytest.mark.parametrize(
    "text",
    [
        "0.1000000000000000055511151231257827021181583404541015625",
        "12345678901234567890.10",
        "1e400",
        '{"price": 1.10, "id": 9007199254740993}',
        "[9223372036854775807, -9223372036854775808, 9223372036854775808.0]",
        '[true, null, "€", "\\u20ac"]',
        '"a text"',
        "null",
    ],
)
def test_a_json_body_is_passed_on_to_the_last_digit(text: str) -> None:
    told = detail(with_body(text.encode()))
    assert told.endswith(f'"body": {text}}}')
    assert json.loads(told, parse_float=str)["body"] == json.loads(text, parse_float=str)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "plain",
        "a=1&b=2",
        "<x/>",
        '{"a":1,"a":2}',
        "9223372036854775808",
        '{"a": [-9223372036854775809]}',
        "1" + "0" * 5000,
        "NaN",
        "{} {}",
        '"} , ',
        "ünï\x00\n",
        "\ufeff{}",
        "[" * 10_000,
    ],
)
def test_a_body_that_is_no_strict_json_is_passed_on_as_text(text: str) -> None:
    assert read(with_body(text.encode()))["body"] == text


@pytest.mark.parametrize("body", [b"\xff", b"\x80abc", '{"a":"é"}'.encode("latin-1"), b'"\xed\xa0\x80"'])
def test_a_body_that_is_no_text_stays_in_the_log(body: bytes) -> None:
    members = read(with_body(body))
    assert members["body_in_log"] is True
    assert "body" not in members


def entry_bytes(envelope: Envelope) -> int:
    return len(detail(envelope).encode()) + len(SOURCE) + len(detail_type(envelope))


@pytest.mark.parametrize("envelope", [SMALLCASE, SHOP])
@pytest.mark.parametrize("character", ["x", "é", "€"])
def test_a_body_stays_in_the_log_where_the_entry_would_be_too_large(envelope: Envelope, character: str) -> None:
    def sized(count: int) -> Envelope:
        return envelope._replace(body=f'"{character * (count // len(character.encode()))}"'.encode())

    largest = MAX_ENTRY_BYTES - entry_bytes(sized(0))
    fits, too_large = sized(largest), sized(largest + len(character.encode()))
    assert "body" in read(fits)
    assert MAX_ENTRY_BYTES - 3 < entry_bytes(fits) <= MAX_ENTRY_BYTES
    assert read(too_large)["body_in_log"] is True
    assert "body" not in read(too_large)


def test_a_body_that_grows_as_text_stays_in_the_log() -> None:
    assert read(with_body(b"\x00" * 100_000))["body_in_log"] is True


@given(st.binary() | st.text().map(str.encode), st.booleans())
def test_any_body_makes_a_detail_that_fits(body: bytes, replayed: bool) -> None:
    members = read(SMALLCASE._replace(body=body), replayed=replayed)
    assert ("body" in members) != ("body_in_log" in members)
    assert entry_bytes(with_body(body)) <= MAX_ENTRY_BYTES
