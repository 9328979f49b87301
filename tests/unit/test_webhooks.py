"""Is a delivery genuine, and which one is it: RFC 7617, tokens, and smallcase's checksum."""

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from gatehouse.problems import DeliveryNotAuthentic, DeliveryNotReadable, WebhooksNotConfigured
from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import Source, Sources, digest, judge_source, judge_sources
from gatehouse.webhooks import (
    CHECKSUM_IDS,
    KINDS,
    ChecksumEncoding,
    Delivery,
    authenticate_smallcase,
    authenticate_source,
    identify_opaque,
)

KEY = "backend-key-0123456789-0123456789-ok"
PREVIOUS_KEY = "previous-key-0123456789-0123456789-ok"
TOKEN = "the-token-0123456789"
USER, PASSWORD = "market", "pass:wörd: 1"


# --- Integration API ---


def basic_entry(username: str = USER, password: str = PASSWORD) -> dict[str, object]:
    return {"type": 1, "username": username, "password": password}


def token_entry(token: str = TOKEN) -> dict[str, object]:
    return {"type": 2, "token": token}


def source(*authentication: dict[str, object], **members: object) -> dict[str, object]:
    return {"authentication": list(authentication), **members}


def configured(**entries: object) -> Sources:
    return judge_sources(Secret(json.dumps(entries)))


BOTH = source(basic_entry(), token_entry())


def encode(credentials: str | bytes) -> str:
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return base64.b64encode(raw).decode()


def basic(username: str = USER, password: str = PASSWORD) -> str:
    return f"Basic {encode(f'{username}:{password}')}"


def is_genuine(known: dict[str, object] | None, **headers: str) -> bool:
    """Whether a delivery of `shop` passes, where that is configured as `known`, or not at all (None)."""
    return passes(configured(shop=known, other=source(basic_entry("other", "o"), token_entry("o"))), **headers)


def passes(sources: Sources, **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        authenticate_source("shop", sources, named)
    except DeliveryNotAuthentic:
        return False
    return True


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
@pytest.mark.parametrize("spaces", [" ", "   "])
def test_basic_is_a_scheme_in_any_case_and_with_any_number_of_spaces(scheme: str, spaces: str) -> None:
    assert is_genuine(BOTH, authorization=f"{scheme}{spaces}{encode(f'{USER}:{PASSWORD}')}")


@pytest.mark.parametrize(
    ("username", "password"),
    [("market", "plain"), ("market", "a:b::c"), ("", "no user"), ("маркет", "pässwörd €"), ("m r", "with space")],
)
def test_user_and_password_are_utf_8_and_split_at_the_first_colon(username: str, password: str) -> None:
    assert is_genuine(source(basic_entry(username, password)), authorization=basic(username, password))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        " ",
        "Basic",
        "Basic ",
        f"Basic{encode(f'{USER}:{PASSWORD}')}",
        f"Basic\t{encode(f'{USER}:{PASSWORD}')}",
        f"Digest {encode(f'{USER}:{PASSWORD}')}",
        f"Basic {USER}:{PASSWORD}",
        f"Basic {encode(USER)}",
        f"Basic {encode(f'{USER}:')}",
        f"Basic {encode(f':{PASSWORD}')}",
        f"Basic {encode(f'{USER.upper()}:{PASSWORD}')}",
        f"Basic {encode(f'{USER}:{PASSWORD}:')}",
        f"Basic {encode(f'{USER}:{PASSWORD}'.encode('latin-1'))}",
        f"Basic {encode(f'{USER}:{PASSWORD}').rstrip('=')}",
        f"Basic {encode(f'{USER}:{PASSWORD}')[:-3]}",
        f"Basic {encode(f'{USER}:{PASSWORD}')}====!",
        f"Basic ={encode(f'{USER}:{PASSWORD}')}",
        f"Basic {encode(f'{USER}:{PASSWORD}')}, realm=x",
        f"Basic {encode(f'{USER}\x00:{PASSWORD}')}",
        f"Basic {encode(f'{USER}:{PASSWORD}\r\n')}",
        f"Basic {encode(f'{USER}:{PASSWORD}')}\x00",
        f"Basic {encode(f'{USER}:{PASSWORD}')}\n",
        f"Basic XXXX{encode(f'{USER}:{PASSWORD}')}XXXX",
        f"Basic \t{encode(f'{USER}:{PASSWORD}')}",
        "Basic ünïcödé",
        "Basic \ud800",
        "\ud800 \udfff",
        f"{basic()},{basic()}",
        f"{basic()}, {basic()}",
        f"Basic wrong,{basic()}",
    ],
)
def test_no_other_header_passes_for_basic(authorization: str) -> None:
    assert encode(f"{USER}:{PASSWORD}").endswith("=")
    assert not is_genuine(BOTH, authorization=authorization)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("spaces", [" ", "   "])
def test_a_token_comes_as_a_bearer_token(scheme: str, spaces: str) -> None:
    assert is_genuine(BOTH, authorization=f"{scheme}{spaces}{TOKEN}")


@pytest.mark.parametrize(
    "authorization",
    [
        TOKEN,
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN},Bearer {TOKEN}",
        f"Bearer {encode(TOKEN)}",
        f"Basic {TOKEN}",
        f"Basic {encode(TOKEN)}",
        f"Token {TOKEN}",
        f"Bearer {USER}:{PASSWORD}",
        f"Bearer {TOKEN}\x00",
        f"Bearer \t{TOKEN}",
        f"Bearer {TOKEN}\t",
        f"Bearer X{TOKEN}X",
        "Bearer \ud800",
    ],
)
def test_no_other_header_passes_for_a_bearer_token(authorization: str) -> None:
    assert not is_genuine(BOTH, authorization=authorization)


def test_a_token_with_its_own_header_is_taken_there_and_nowhere_else() -> None:
    known = source(token_entry(), token_header="X-Market-Token")
    assert is_genuine(known, x_market_token=TOKEN)
    assert is_genuine(known, x_market_token=f" {TOKEN} ")
    assert not is_genuine(known, authorization=f"Bearer {TOKEN}")
    assert not is_genuine(known, x_market_token=f"Bearer {TOKEN}")
    assert not is_genuine(known, x_market_token=f"{TOKEN},{TOKEN}")
    assert not is_genuine(known, x_market_token="")
    assert not is_genuine(known, x_market_token="\ud800")
    assert not is_genuine(known, x_other_token=TOKEN)


def test_a_token_without_its_own_header_is_taken_from_no_other_header() -> None:
    assert not is_genuine(source(token_entry()), x_market_token=TOKEN)


def test_basic_still_counts_beside_a_token_header() -> None:
    assert is_genuine(source(basic_entry(), token_entry(), token_header="X-T"), authorization=basic())


def test_several_credentials_are_valid_at_once() -> None:
    known = source(basic_entry("old", "a"), token_entry("first"), basic_entry("new", "b"), token_entry("second"))
    right = [basic("old", "a"), basic("new", "b"), "Bearer first", "Bearer second"]
    assert all(is_genuine(known, authorization=each) for each in right)
    wrong = [basic("old", "b"), basic("new", "a"), "Bearer third", "Bearer "]
    assert not any(is_genuine(known, authorization=each) for each in wrong)


@pytest.mark.parametrize("kept", [basic_entry(), token_entry()])
def test_a_credential_that_was_removed_is_refused(kept: dict[str, object]) -> None:
    right = {1: basic(), 2: f"Bearer {TOKEN}"}
    refused = right[3 - int(str(kept["type"]))]
    assert not is_genuine(source(kept), authorization=refused)


@pytest.mark.parametrize("authorization", [basic(), f"Bearer {TOKEN}", "", basic("other", "o"), "Bearer o"])
def test_an_unknown_source_is_refused_whatever_it_sends(authorization: str) -> None:
    assert not is_genuine(None, authorization=authorization)


@pytest.mark.parametrize("authorization", [basic("other", "o"), "Bearer o"])
def test_what_another_source_authenticates_with_is_refused(authorization: str) -> None:
    assert not is_genuine(BOTH, authorization=authorization)


def test_what_evens_the_sources_out_is_no_credential() -> None:
    several = source(basic_entry("a"), basic_entry("b"), token_entry("a"), token_entry("b"), token_header="X-T")
    sources = configured(shop=BOTH, several=several)
    for filler in {each.reveal() for each in (*sources.nobody.basic, *sources.nobody.tokens)}:
        for shown in (filler, bytes.fromhex("00" * 32).decode(), ""):
            assert not passes(sources, authorization=f"Bearer {shown}", x_t=shown)
            assert not passes(sources, authorization=f"Basic {encode(shown)}")


def test_a_digest_of_a_credential_is_no_credential() -> None:
    assert not is_genuine(BOTH, authorization=f"Bearer {digest(TOKEN.encode()).reveal()}")
    assert not is_genuine(BOTH, authorization=f"Basic {encode(digest(f'{USER}:{PASSWORD}'.encode()).reveal())}")


def test_the_source_that_was_authenticated_is_returned() -> None:
    sources = configured(shop=source(token_entry(), delivery_id_header="X-Id"), other=BOTH)
    assert authenticate_source("shop", sources, {"authorization": f"Bearer {TOKEN}"}).delivery_id_header == "x-id"
    assert authenticate_source("other", sources, {"authorization": f"Bearer {TOKEN}"}).delivery_id_header is None


@pytest.mark.parametrize("authorization", ["", basic(), f"Bearer {TOKEN}"])
def test_a_source_whose_entry_is_not_usable_says_where_it_is_at_fault(authorization: str) -> None:
    sources = configured(shop=source(token_entry(), {"type": 3}), other=BOTH)
    with pytest.raises(WebhooksNotConfigured) as caught:
        authenticate_source("shop", sources, {"authorization": authorization})
    assert (caught.value.field, caught.value.reason) == ("shop.type", "unknown")


def test_a_delivery_without_any_header_is_refused() -> None:
    assert not is_genuine(BOTH)
    assert not is_genuine(None)


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what was compared with, one for each comparison."""
    compare, made = hmac.compare_digest, list[int]()

    def counting(one: bytes, other: bytes) -> bool:
        made.append(len(other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    return made


def test_every_candidate_is_compared_also_after_the_right_one(comparisons: list[int]) -> None:
    known = source(*(basic_entry(password=f"{number}") for number in range(3)), *[token_entry()] * 2)
    assert is_genuine(known, authorization=basic(password="0"))
    assert comparisons == [64] * 5


def test_every_key_is_compared_also_after_the_right_one(comparisons: list[int]) -> None:
    authenticate_smallcase("orders", postback(), [Secret(KEY), Secret(PREVIOUS_KEY)], "hex")
    assert len(comparisons) == 2


def opaque(body: bytes = b"{}", name: str = "shop", known: dict[str, object] = BOTH, **headers: str) -> Delivery:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return identify_opaque(name, judge_source(known), named, body)


def test_an_opaque_delivery_repeated_is_one_and_any_other_byte_is_another() -> None:
    assert opaque(b"\xff").recognised
    assert opaque(b"{}") == opaque(b"{}", authorization="another", x_delivery="not configured")
    assert len({each.identity for each in (opaque(b"{}"), opaque(b"{ }"), opaque(b""), opaque(name="other"))}) == 4


def test_a_configured_delivery_id_tells_deliveries_of_one_content_apart() -> None:
    known = source(token_entry(), delivery_id_header="X-Delivery")
    one, again, two = (opaque(known=known, x_delivery=each) for each in ("1", "1", "2"))
    assert one == again
    assert one != two
    assert opaque(b"a", known=known, x_delivery="1") != opaque(b"b", known=known, x_delivery="1")


# An identity is the same in every version: the logs of running deployments hold it, and a repetition is known by it.


@pytest.mark.parametrize(("headers", "delivery_id"), [({"x-delivery": "d-7"}, "d-7"), ({}, "")])
def test_the_identity_of_an_opaque_delivery_is_this_one_in_every_version(
    headers: dict[str, str], delivery_id: str
) -> None:
    known = judge_source(source(token_entry(), delivery_id_header="X-Delivery"))
    parts = ["integration.shop", "", delivery_id, hashlib.sha256(b"{}").hexdigest()]
    expected = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    assert identify_opaque("shop", known, headers, b"{}") == (expected, True)


def test_without_a_configured_delivery_id_the_identity_is_this_one() -> None:
    parts = ["integration.shop", "", "", hashlib.sha256(b"{}").hexdigest()]
    expected = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    assert opaque(x_delivery="d-7").identity == expected


# --- smallcase ---


def checksum(covered: str, key: str = KEY, encoding: str = "hex") -> str:
    digest = hmac.new(key.encode(), covered.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


MEMBERS = {
    "smallcaseAuthId": "auth-1",
    "transactionId": "TRX_1",
    "batchId": "batch-1",
    "status": "COMPLETED",
    "timestamp": "1700000000000",
    "orders": [{"filledQuantity": 1}],
}


def postback(kind: str = "orders", key: str = KEY, encoding: str = "hex", **changes: object) -> bytes:
    """Return a genuine postback with members replaced; None removes one. The checksum comes last."""
    members = {name: value for name, value in {**MEMBERS, **changes}.items() if value is not None}
    covered = f"{members.get('timestamp', '')}{members.get(CHECKSUM_IDS[kind], '')}"
    return json.dumps({"checksum": checksum(covered, key, encoding), **members}).encode()


def check(body: bytes, kind: str = "orders", keys: tuple[str, ...] = (KEY,), encoding: ChecksumEncoding = "hex") -> Any:
    return authenticate_smallcase(kind, body, [Secret(key) for key in keys], encoding)


def test_the_kinds_are_those_that_the_vendor_documents() -> None:
    assert {"orders", "holdings", "mf-holdings", "pending-actions"} == KINDS


@pytest.mark.parametrize(
    ("kind", "covered", "other"),
    [
        ("orders", "smallcaseAuthId", "transactionId"),
        ("holdings", "smallcaseAuthId", "transactionId"),
        ("pending-actions", "smallcaseAuthId", "transactionId"),
        ("mf-holdings", "transactionId", "smallcaseAuthId"),
    ],
)
def test_each_kind_has_its_own_covered_id(kind: str, covered: str, other: str) -> None:
    assert check(json.dumps({**MEMBERS, "checksum": checksum(f"1700000000000{MEMBERS[covered]}")}).encode(), kind)
    with pytest.raises(DeliveryNotAuthentic):
        check(json.dumps({**MEMBERS, "checksum": checksum(f"1700000000000{MEMBERS[other]}")}).encode(), kind)


def test_the_checksum_is_what_openssl_makes_of_timestamp_and_id() -> None:
    # printf 1700000000000auth-1 | openssl dgst -sha256 -hmac <KEY>
    known = "67eef315cd5b2afb1fea6d56c2e5bb7d22bfa1181055850088e27bb8c669ef1d"
    assert check(json.dumps({**MEMBERS, "checksum": known}).encode())
    with pytest.raises(DeliveryNotAuthentic):
        check(json.dumps({**MEMBERS, "checksum": known[:-1]}).encode())


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_checksum_is_taken_in_the_configured_encoding_only(encoding: ChecksumEncoding) -> None:
    others: dict[str, ChecksumEncoding] = {"hex": "base64", "base64": "hex"}
    body = postback(encoding=encoding)
    assert check(body, encoding=encoding)
    with pytest.raises(DeliveryNotAuthentic):
        check(body, encoding=others[encoding])


def test_hex_may_be_upper_case_and_base64_may_not_change_its_case() -> None:
    upper = json.dumps({**MEMBERS, "checksum": checksum("1700000000000auth-1").upper()}).encode()
    assert check(upper)
    swapped = checksum("1700000000000auth-1", encoding="base64").swapcase()
    with pytest.raises(DeliveryNotAuthentic):
        check(json.dumps({**MEMBERS, "checksum": swapped}).encode(), encoding="base64")


def test_the_previous_key_counts_while_it_is_set() -> None:
    body = postback(key=PREVIOUS_KEY)
    assert check(body, keys=(KEY, PREVIOUS_KEY))
    assert check(body, keys=(PREVIOUS_KEY, KEY))
    for keys in ((KEY,), ()):
        with pytest.raises(DeliveryNotAuthentic):
            check(body, keys=keys)


@pytest.mark.parametrize("text", ["1700000000000", "1.0", "1e3", "1E+3", "-0", "1" + "0" * 5000, "1e999999", "0.10"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_timestamp_counts_as_it_was_written(text: str, quote: str) -> None:
    body = f'{{"timestamp":{quote}{text}{quote},"smallcaseAuthId":"a","checksum":"{checksum(f"{text}a")}"}}'
    assert check(body.encode())


@pytest.mark.parametrize(("written", "meant"), [("1.0", "1"), ("1e3", "1000"), ("1e3", "1000.0"), ("1", "1.0")])
def test_a_number_of_the_same_value_is_another_timestamp(written: str, meant: str) -> None:
    body = f'{{"timestamp":{written},"smallcaseAuthId":"a","checksum":"{checksum(f"{meant}a")}"}}'
    with pytest.raises(DeliveryNotAuthentic):
        check(body.encode())


@pytest.mark.parametrize("member", ["checksum", "timestamp", "smallcaseAuthId"])
@pytest.mark.parametrize("value", [None, "", True, False, [], {}, ["x"], "wrong"])
def test_a_missing_empty_or_wrong_part_of_the_checksum_is_not_authentic(member: str, value: object) -> None:
    members = {**json.loads(postback()), member: value}
    with pytest.raises(DeliveryNotAuthentic):
        check(json.dumps(members).encode())
    del members[member]
    with pytest.raises(DeliveryNotAuthentic):
        check(json.dumps(members).encode())


@pytest.mark.parametrize("member", ["timestamp", "smallcaseAuthId"])
def test_even_a_right_checksum_over_an_empty_part_is_not_authentic(member: str) -> None:
    for changes in ({member: None}, {member: ""}):
        with pytest.raises(DeliveryNotAuthentic):
            check(postback(**changes))


def test_an_id_that_is_a_number_is_not_authentic_even_with_a_right_checksum() -> None:
    with pytest.raises(DeliveryNotAuthentic):
        check(postback(smallcaseAuthId=17))


def test_a_checksum_that_is_a_number_is_not_authentic() -> None:
    with pytest.raises(DeliveryNotAuthentic):
        check(b'{"timestamp":"1","smallcaseAuthId":"a","checksum":1}')


def nested(depth: int, open_: str = "[", close: str = "]") -> str:
    return open_ * depth + close * depth


UNREADABLE = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"{",
    "form fields": b"timestamp=1&checksum=2",
    "a text": b'"text"',
    "a number": b"1",
    "null": b"null",
    "a list": b"[" + postback() + b"]",
    "two documents": postback() + postback(),
    "something after it": postback() + b"x",
    "a byte order mark": b"\xef\xbb\xbf" + postback(),
    "UTF-16": postback().decode().encode("utf-16"),
    "a half character": postback()[:-1] + b',"x":"\xc3"}',
    "a surrogate as bytes": postback()[:-1] + b',"x":"\xed\xa0\x80"}',
    "a control character": postback()[:-1] + b',"x":"\n"}',
    "a comma too many": postback()[:-1] + b",}",
    "single quotes": postback().replace(b'"', b"'"),
    "NaN": postback()[:-1] + b',"x":NaN}',
    "Infinity": postback()[:-1] + b',"x":[-Infinity]}',
    "a name twice": postback()[:-1] + b',"x":1,"x":1}',
    "a name twice, once escaped": postback()[:-1] + b',"x":1,"\\u0078":1}',
    "a name twice inside": postback()[:-1] + b',"x":[{"y":{"a":1,"b":2,"a":1}}]}',
    "a second checksum": postback()[:-1] + b',"checksum":"x"}',
    "a second id": postback()[:-1] + b',"smallcaseAuthId":"x"}',
    "10 000 lists deep": postback()[:-1] + f',"x":{nested(10_000)}}}'.encode(),
    "10 000 objects deep": postback()[:-1] + b',"x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    "10 000 lists that never end": postback()[:-1] + b',"x":' + b"[" * 10_000,
    "100 000 lists deep": nested(100_000).encode(),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_two_readers_may_read_differently_is_not_readable(body: bytes) -> None:
    with pytest.raises(DeliveryNotReadable) as caught:
        check(body)
    assert caught.value.args == ()
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("depth", [10, 100, *range(900, 1100, 7)])
def test_a_body_of_any_depth_is_taken_or_not_readable(depth: int) -> None:
    try:
        assert check(postback()[:-1] + f',"x":{nested(depth)}}}'.encode())
    except DeliveryNotReadable:
        assert depth > 100


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\udfff\\ud800"', '{"\\ud800":1}', "1" + "0" * 20_000, "-1e99999999", "0." + "1" * 5000]
)
def test_lone_surrogates_and_huge_numbers_are_carried_along(text: str) -> None:
    assert check(postback()[:-1] + f',"x":{text}}}'.encode()).identity


def test_lone_surrogates_in_what_decides_do_not_fail() -> None:
    assert check(postback(smallcaseAuthId="\ud800", status="\udfff", timestamp="\ud800")).identity
    with pytest.raises(DeliveryNotAuthentic):
        check(json.dumps({**MEMBERS, "checksum": "\ud800"}).encode())
    with pytest.raises(DeliveryNotAuthentic):
        check(json.dumps({**MEMBERS, "checksum": "\ud800"}).encode(), encoding="base64")


def reordered(body: bytes) -> bytes:
    return json.dumps(dict(reversed(json.loads(body).items()))).encode()


def spaced(body: bytes) -> bytes:
    return b"\n " + json.dumps(json.loads(body), indent=4).encode() + b"\r\n"


def escaped(body: bytes) -> bytes:
    return body.replace(b"orders", b"\\u006frders")


@pytest.mark.parametrize("change", [bytes, reordered, spaced, escaped])
def test_a_repeated_delivery_is_the_same_however_it_is_written(change: Callable[[bytes], bytes]) -> None:
    assert check(change(postback())) == check(postback())


def test_a_repeated_delivery_is_the_same_with_another_timestamp_and_key() -> None:
    assert check(postback(timestamp="1700000000001")) == check(postback())
    assert check(postback(timestamp=17)) == check(postback())
    assert check(postback(key=PREVIOUS_KEY), keys=(PREVIOUS_KEY,)) == check(postback())


def test_the_identity_of_a_postback_is_this_one_in_every_version() -> None:
    content = b'{"batchId":"batch-1","orders":[{"filledQuantity":1,},],"smallcaseAuthId":"auth-1",'
    content += b'"status":"COMPLETED","transactionId":"TRX_1",}'
    parts = ["smallcase", "orders", "auth-1", "TRX_1", "batch-1", "COMPLETED", hashlib.sha256(content).hexdigest()]
    assert check(postback()).identity == hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def test_whatever_else_differs_makes_another_delivery() -> None:
    bodies = [
        postback(),
        postback(status="PLACED"),
        postback(status=None),
        postback(status=""),
        postback(batchId="batch-2"),
        postback(transactionId="TRX_2"),
        postback(smallcaseAuthId="auth-2"),
        postback(orders=[{"filledQuantity": 2}]),
        postback(orders=[{"filledQuantity": "1"}]),
        postback(orders=[{"filledQuantity": 1.0}]),
        postback(orders=[{"filledQuantity": True}]),
        postback(orders=[[1]]),
        postback(orders=[1]),
        postback(orders=[]),
        postback(orders={}),
        postback(orders="[]"),
        postback(unknown=None, further=1),
        postback(unknown=[{"timestamp": 1}]),
        postback(unknown=[{"timestamp": 2}]),
    ]
    identities = [check(body).identity for body in bodies]
    assert [
        one for one, other in itertools.combinations(range(len(bodies)), 2) if identities[one] == identities[other]
    ] == []


def test_one_content_is_another_delivery_under_each_kind() -> None:
    body = postback()
    same = {check(body, kind).identity for kind in ("orders", "holdings", "pending-actions")}
    assert len(same | {check(postback("mf-holdings"), "mf-holdings").identity}) == 4


def test_a_captured_checksum_with_another_body_does_not_shadow_the_real_delivery() -> None:
    captured = json.loads(postback())
    forged = json.dumps({**captured, "orders": [{"filledQuantity": 1000}]}).encode()
    assert check(forged).identity != check(postback()).identity


def test_an_identity_says_nothing_of_its_delivery_and_fits_a_key() -> None:
    identity = check(postback()).identity
    assert len(identity) == 64
    assert set(identity) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("kind", "changes", "recognised"),
    [
        ("orders", {}, True),
        ("orders", {"orders": []}, True),
        ("orders", {"further": {"a": 1}}, True),
        ("orders", {"orders": None}, False),
        ("orders", {"orders": {}}, False),
        ("orders", {"status": None}, False),
        ("orders", {"status": ""}, False),
        ("orders", {"status": ["x"]}, False),
        ("holdings", {"orders": None, "status": None}, True),
        ("holdings", {"transactionId": None}, False),
        ("mf-holdings", {"orders": None}, True),
        ("mf-holdings", {"smallcaseAuthId": None}, False),
        ("pending-actions", {}, True),
        ("pending-actions", {"transactionId": []}, False),
    ],
)
def test_an_unexpected_shape_is_taken_and_marked(kind: str, changes: dict[str, Any], recognised: bool) -> None:
    assert check(postback(kind, **changes), kind).recognised is recognised


def test_nothing_is_never_a_credential_not_even_where_an_empty_one_is_known() -> None:
    nothing = Source(basic=(digest(b""),), tokens=(digest(b""),), token_header=None, delivery_id_header=None)
    for known in (nothing, nothing._replace(token_header="x-t")):
        sources = Sources({"shop": known}, nothing, ("x-t",))
        assert not passes(sources)
        assert not passes(sources, authorization="Bearer ", x_t=" ")
        assert not passes(sources, authorization="Basic ")
