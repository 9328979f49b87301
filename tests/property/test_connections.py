"""Any token, body, answer and event at all has one of the known ends, and only the right key makes a token good."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse import connect_by_webhook, session_token, strict_json
from gatehouse.connect_by_webhook import Hint, UnexpectedError, read_hint
from gatehouse.connector import Proof, read_proof
from gatehouse.http import parse_request
from gatehouse.json_request import read_object
from gatehouse.problems import (
    GatewayRefused,
    GatewayUnavailable,
    IntentNotAllowed,
    InvalidRequest,
    InvalidSmallcaseToken,
    UnsupportedMediaType,
)
from gatehouse.secret_value import Secret
from gatehouse.session_token import is_smallcase_id
from gatehouse.smallcase_answer import Details, Started, read_details, read_started
from gatehouse.strict_json import Json
from gatehouse.transaction_starter import Order, read_order
from gatehouse.upstream import UpstreamAnswer
from tests.support.connection_fakes import sign
from tests.support.events import event

NOW = 1_800_000_000
KEY, OLD = "signing-key-0123456789-0123456789-ok", "previous-key-0123456789-0123456789-x"

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4)
)
IDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=256).filter(str.isprintable)


def verify(token: str) -> str:
    return session_token.verify(Secret(token), secret=Secret(KEY), previous_secret=Secret(OLD), now=NOW)


def of_names(*names: str) -> st.SearchStrategy[Any]:
    """Objects with any members, some of these names among them."""
    return st.dictionaries(st.sampled_from(names) | ANY_TEXT, ANY_JSON | IDS, max_size=6)


@given(ANY_TEXT | st.lists(ANY_TEXT, min_size=3, max_size=3).map(".".join))
def test_any_text_is_refused_as_a_token(text: str) -> None:
    with pytest.raises(InvalidSmallcaseToken):
        verify(text)


@given(st.binary() | of_names("guest", "smallcaseAuthId", "iat", "exp").map(lambda claims: json.dumps(claims).encode()))
def test_any_signed_payload_names_one_id_or_is_refused(payload: bytes) -> None:
    try:
        named = verify(sign(payload, KEY))
    except InvalidSmallcaseToken:
        return
    claims = json.loads(payload)
    assert claims["smallcaseAuthId"] == named
    assert set(claims) <= {"smallcaseAuthId", "iat", "exp"}
    assert is_smallcase_id(named)
    assert claims.get("exp", NOW + 1) > NOW


@given(IDS, st.sampled_from([KEY, OLD]), st.none() | st.integers(NOW + 1, 2**53))
def test_any_id_under_either_key_is_named(smallcase_auth_id: str, key: str, exp: int | None) -> None:
    claims: dict[str, object] = {"smallcaseAuthId": smallcase_auth_id}
    if exp is not None:
        claims["exp"] = exp
    assert verify(sign(claims, key)) == smallcase_auth_id


@given(IDS, st.text(st.characters(codec="ascii"), min_size=1).filter(lambda key: key not in (KEY, OLD)))
def test_no_other_key_signs_a_good_token(smallcase_auth_id: str, key: str) -> None:
    with pytest.raises(InvalidSmallcaseToken):
        verify(sign({"smallcaseAuthId": smallcase_auth_id}, key))


@given(IDS, st.integers(0, 10**6), st.integers(1, 127))
def test_no_changed_token_is_good(smallcase_auth_id: str, place: int, change: int) -> None:
    token = sign({"smallcaseAuthId": smallcase_auth_id}, KEY)
    index = place % len(token)
    changed = token[:index] + chr((ord(token[index]) + change) % 128) + token[index + 1 :]
    if changed == token:
        return
    with pytest.raises(InvalidSmallcaseToken):
        verify(changed)


BODIES = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")) | ANY_TEXT | ANY_JSON.map(json.dumps)


@given(BODIES, st.booleans(), ANY_TEXT | st.just("application/json"))
def test_any_body_is_an_object_or_one_of_two_refusals(body: str, encoded: object, content_type: str) -> None:
    request = parse_request({"headers": {"content-type": content_type}, "body": body, "isBase64Encoded": encoded})
    try:
        members = read_object(request)
    except (InvalidRequest, UnsupportedMediaType):
        return
    assert isinstance(members, dict)


def strict(document: object) -> dict[str, Json]:
    try:
        members = strict_json.parse(json.dumps(document).encode())
    except strict_json.NotStrictJson:
        return {}
    assert isinstance(members, dict)
    return members


@given(of_names("intent", "orderConfig", "assetConfig", "notes"))
def test_any_object_is_an_order_or_one_of_two_refusals(document: object) -> None:
    members = strict(document)
    try:
        order = read_order(members, {"CONNECT"})
    except (InvalidRequest, IntentNotAllowed):
        return
    assert isinstance(order, Order)
    assert set(order.members) <= {"intent", "orderConfig", "assetConfig", "notes"}
    assert strict_json.parse(strict_json.render(dict(order.members))) == order.members


@given(of_names("smallcaseAuthToken", "transactionId"))
def test_any_object_is_a_proof_or_invalid(document: object) -> None:
    try:
        proof = read_proof(strict(document))
    except InvalidRequest:
        return
    assert isinstance(proof, Proof)
    assert is_smallcase_id(proof.transaction_id)


DATA = of_names("transactionId", "expireAt", "status", "smallcaseAuthId", "broker")
ANSWERS = st.builds(
    lambda status, body: UpstreamAnswer(status, {"content-type": "application/json"}, body),
    st.integers(100, 599) | st.just(200),
    st.binary()
    | ANY_JSON.map(lambda document: json.dumps(document).encode())
    | DATA.map(lambda data: json.dumps({"success": True, "data": data}).encode()),
)


@given(ANSWERS)
def test_any_answer_is_read_or_one_of_two_failures(answer: UpstreamAnswer) -> None:
    try:
        started = read_started(answer)
    except (GatewayRefused, GatewayUnavailable):
        pass
    else:
        assert isinstance(started, Started)
        assert is_smallcase_id(started.transaction_id)
        assert 0 <= started.expire_at < 2**40
    try:
        details = read_details(answer, "TRX_1")
    except (GatewayRefused, GatewayUnavailable):
        return
    assert isinstance(details, Details)
    assert details.smallcase_auth_id is None or is_smallcase_id(details.smallcase_auth_id)


@given(of_names("source", "detail-type", "detail"), of_names("body", "body_in_log"), of_names("transactionId"))
def test_any_event_is_a_hint_or_a_reason_to_ignore_it(
    top: dict[str, Any], detail: dict[str, Any], body: dict[str, Any]
) -> None:
    recorded = event("connect_user_webhook")
    nearly = {**recorded, "detail": {**recorded["detail"], "body": {**recorded["detail"]["body"], **body}, **detail}}
    for given_event in ({**nearly, **top}, {**top, "detail-type": "x"}, nearly):
        hint = read_hint(given_event)
        assert isinstance(hint, str | Hint)
        outcome = connect_by_webhook.run(given_event, lambda _hint: None)
        assert outcome["outcome"] == ("connected" if isinstance(hint, Hint) else "ignored")


@given(ANY_TEXT)
def test_no_text_of_a_bug_comes_out_of_an_event(text: str) -> None:
    def stumble(_hint: Hint) -> None:
        raise ValueError(text)

    with pytest.raises(UnexpectedError) as caught:
        connect_by_webhook.run(event("connect_user_webhook"), stumble)
    assert str(caught.value) == "ValueError"
