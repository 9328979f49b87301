"""Any bytes at all are refused with one of two errors or are a delivery, and only the right credentials make one."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.problems import DeliveryNotAuthentic, DeliveryNotReadable
from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import Source, judge_sources
from gatehouse.webhooks import (
    CHECKSUM_IDS,
    KINDS,
    ChecksumEncoding,
    authenticate_smallcase,
    authenticate_source,
    identify_opaque,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4)
)
ANY_KIND = st.sampled_from(sorted(KINDS))
ANY_ENCODING = st.sampled_from(["hex", "base64"])
KEY = "backend-key-0123456789-0123456789-ok"
SOURCES = judge_sources(
    Secret(
        json.dumps(
            {
                "plain": {
                    "authentication": [
                        {"type": 1, "username": "u", "password": "right"},
                        {"type": 2, "token": "right-token"},
                    ]
                },
                "with-header": {"authentication": [{"type": 2, "token": "right-token"}] * 3, "token_header": "X-T"},
            }
        )
    )
)
# What the two sources take; nothing here contains one of these by chance.
RIGHT = base64.b64encode(b"u:right").decode()
ANY_HEADER = ANY_TEXT | st.tuples(
    st.sampled_from(["Basic", "basic ", "Bearer", "BEARER ", ""]),
    ANY_TEXT | st.binary().map(base64.b64encode).map(bytes.decode),
).map(" ".join)


@given(ANY_HEADER, ANY_HEADER, st.sampled_from(["plain", "with-header"]) | ANY_TEXT)
def test_any_header_is_refused_without_the_right_credentials(authorization: str, token: str, name: str) -> None:
    with pytest.raises(DeliveryNotAuthentic):
        authenticate_source(name, SOURCES, {"authorization": authorization, "x-t": token})


@given(st.sampled_from(["Basic", "bASIC", "BASIC"]), st.integers(1, 9), ANY_TEXT)
def test_the_right_credentials_are_taken_whatever_else_is_sent(scheme: str, spaces: int, other: str) -> None:
    headers = {"authorization": f"{scheme}{' ' * spaces}{RIGHT}", "x-t": other}
    assert authenticate_source("plain", SOURCES, headers) == SOURCES.entries["plain"]


@given(ANY_TEXT, st.sampled_from([f"Basic {RIGHT}", "Bearer right-token"]))
def test_the_right_credentials_open_no_other_name(name: str, authorization: str) -> None:
    if name != "plain":
        with pytest.raises(DeliveryNotAuthentic):
            authenticate_source(name, SOURCES, {"authorization": authorization})


@given(st.text(min_size=1).filter(str.strip), st.sampled_from(["{}{}", "{1}{0}"]))
def test_the_right_credentials_with_anything_added_are_refused(added: str, form: str) -> None:
    with pytest.raises(DeliveryNotAuthentic):
        authenticate_source("plain", SOURCES, {"authorization": f"Bearer {form.format('right-token', added)}"})


@given(ANY_TEXT, st.binary())
def test_any_body_and_delivery_id_have_an_identity(delivery_id: str, body: bytes) -> None:
    known = Source((), (), None, delivery_id_header="x-id")
    assert identify_opaque("shop", known, {"x-id": delivery_id}, body).recognised


@given(ANY_KIND, st.binary(), ANY_ENCODING)
def test_any_bytes_are_refused(kind: str, body: bytes, encoding: ChecksumEncoding) -> None:
    with pytest.raises((DeliveryNotAuthentic, DeliveryNotReadable)):
        authenticate_smallcase(kind, body, [Secret(KEY)], encoding)


@given(ANY_KIND, ANY_JSON, ANY_ENCODING)
def test_any_json_is_refused(kind: str, document: object, encoding: ChecksumEncoding) -> None:
    with pytest.raises((DeliveryNotAuthentic, DeliveryNotReadable)):
        authenticate_smallcase(kind, json.dumps(document).encode(), [Secret(KEY)], encoding)


MEMBERS = st.fixed_dictionaries(
    dict.fromkeys(("timestamp", "smallcaseAuthId", "transactionId", "checksum"), ANY_TEXT | SCALARS),
    optional={"orders": ANY_JSON, "status": ANY_JSON},
)


@given(ANY_KIND, MEMBERS, ANY_ENCODING)
def test_the_members_that_count_with_any_values_are_refused(
    kind: str, members: dict[str, object], encoding: ChecksumEncoding
) -> None:
    with pytest.raises((DeliveryNotAuthentic, DeliveryNotReadable)):
        authenticate_smallcase(kind, json.dumps(members).encode(), [Secret(KEY)], encoding)


@given(ANY_KIND, ANY_TEXT.filter(bool), ANY_TEXT.filter(bool), st.dictionaries(ANY_TEXT, SCALARS, max_size=4))
def test_a_right_checksum_makes_a_delivery_and_any_other_key_does_not(
    kind: str, timestamp: str, covered_id: str, others: dict[str, object]
) -> None:
    covered = f"{timestamp}{covered_id}".encode("utf-8", "surrogatepass")
    right = hmac.new(KEY.encode(), covered, hashlib.sha256).hexdigest()
    fixed = {"timestamp": timestamp, CHECKSUM_IDS[kind]: covered_id, "checksum": right}
    body = json.dumps({**others, **fixed}).encode()
    if b"NaN" in body or b"Infinity" in body:
        return
    delivery = authenticate_smallcase(kind, body, [Secret(KEY)], "hex")
    assert delivery == authenticate_smallcase(kind, body, [Secret("another"), Secret(KEY)], "hex")
    with pytest.raises(DeliveryNotAuthentic):
        authenticate_smallcase(kind, body, [Secret("another")], "hex")
