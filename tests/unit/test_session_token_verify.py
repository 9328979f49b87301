"""Whom a token names, and every way in which one names nobody."""

import json
from base64 import urlsafe_b64encode

import pytest

from gatehouse import session_token
from gatehouse.problems import GatewayNotConfigured, InvalidSmallcaseToken
from gatehouse.secret_value import Secret
from gatehouse.session_token import MAX_ID_CHARACTERS, MAX_TOKEN_CHARACTERS, is_smallcase_id
from tests.support.connection_fakes import sign

KEY = "signing-key-0123456789-0123456789-ok"
OLD = "previous-key-0123456789-0123456789-x"
NOW = 1_800_000_000
ID = "63f6b2c1a0d4e5f6a7b8c9d0"


def verify(token: str, *, key: str = KEY, previous: str | None = None, now: float = NOW) -> str:
    return session_token.verify(
        Secret(token), secret=Secret(key), previous_secret=Secret(previous) if previous else None, now=now
    )


def signed(payload: object, key: str = KEY, **header: object) -> str:
    return sign(payload if isinstance(payload, bytes) else json.dumps(payload).encode(), key, **header)


def part(document: object) -> str:
    return urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"iat": NOW, "exp": NOW + 1},
        {"exp": NOW + 0.5},
        {"exp": 1e300},
        {"iat": NOW + 10**6},  # their clock is not ours
        {"iat": 0.5, "exp": NOW + 86400},
    ],
)
def test_a_token_of_a_connected_user_names_its_id(times: dict[str, float]) -> None:
    assert verify(signed({"smallcaseAuthId": ID, **times})) == ID


def test_what_gatehouse_issues_has_the_same_shape() -> None:
    issued = session_token.issue(ID, key=Secret(KEY), now=NOW, lifetime_seconds=1)
    assert verify(issued.text.reveal()) == ID


@pytest.mark.parametrize("smallcase_auth_id", ["x", "x" * MAX_ID_CHARACTERS, "a b/#?é😀", "0"])
def test_an_id_is_opaque(smallcase_auth_id: str) -> None:
    assert verify(signed({"smallcaseAuthId": smallcase_auth_id})) == smallcase_auth_id


def test_the_longest_id_fits_into_the_largest_token_in_any_form() -> None:
    token = signed(json.dumps({"smallcaseAuthId": "😀" * MAX_ID_CHARACTERS, "iat": NOW, "exp": NOW + 1}).encode())
    assert len(token) < MAX_TOKEN_CHARACTERS / 2
    assert verify(token) == "😀" * MAX_ID_CHARACTERS


def test_the_previous_key_is_good_while_it_is_there() -> None:
    token = signed({"smallcaseAuthId": ID}, OLD)
    assert verify(token, previous=OLD) == ID
    with pytest.raises(InvalidSmallcaseToken):
        verify(token)
    assert verify(signed({"smallcaseAuthId": ID}), previous=OLD) == ID


REFUSED_CLAIMS: dict[str, object] = {
    "a guest": {"guest": True},
    "nobody": {},
    "both claims": {"guest": True, "smallcaseAuthId": ID},
    "both claims, no guest": {"guest": False, "smallcaseAuthId": ID},
    "both claims, null": {"guest": None, "smallcaseAuthId": ID},
    "a guest in quotes": {"guest": "true"},
    "a guest in quotes with an id": {"guest": "true", "smallcaseAuthId": ID},
    "another claim": {"smallcaseAuthId": ID, "sub": "asha"},
    "a time to come": {"smallcaseAuthId": ID, "nbf": NOW - 1},
    "the claim in other letters": {"smallcaseauthid": ID},
    "an empty id": {"smallcaseAuthId": ""},
    "an id that is too long": {"smallcaseAuthId": "x" * (MAX_ID_CHARACTERS + 1)},
    "an id of 10 kB": {"smallcaseAuthId": "x" * 10_240},
    "an id that is a number": {"smallcaseAuthId": 63},
    "an id that is true": {"smallcaseAuthId": True},
    "an id that is null": {"smallcaseAuthId": None},
    "an id that is a list": {"smallcaseAuthId": [ID]},
    "an id that is an object": {"smallcaseAuthId": {"id": ID}},
    "an id with a line feed": {"smallcaseAuthId": ID + "\n"},
    "an id with a zero": {"smallcaseAuthId": "a\x00b"},
    "an id of half a character": {"smallcaseAuthId": "\ud800"},
    "an exp of now": {"smallcaseAuthId": ID, "exp": NOW},
    "an exp in the past": {"smallcaseAuthId": ID, "exp": NOW - 1},
    "an exp of long ago": {"smallcaseAuthId": ID, "exp": -(10**9)},
    "an exp in quotes": {"smallcaseAuthId": ID, "exp": str(NOW + 900)},
    "an exp that is true": {"smallcaseAuthId": ID, "exp": True},
    "an exp that is null": {"smallcaseAuthId": ID, "exp": None},
    "an exp that is a list": {"smallcaseAuthId": ID, "exp": [NOW + 900]},
    "an exp that is no number": {"smallcaseAuthId": ID, "exp": float("nan")},
    "an exp that never comes": {"smallcaseAuthId": ID, "exp": float("inf")},
    "an exp too large for a float": b'{"smallcaseAuthId": "x", "exp": 1e999}',
    "an iat in quotes": {"smallcaseAuthId": ID, "iat": str(NOW)},
    "an iat that is null": {"smallcaseAuthId": ID, "iat": None},
    "an id twice": b'{"smallcaseAuthId": "x", "smallcaseAuthId": "y"}',
    "a list": [{"smallcaseAuthId": ID}],
    "a text": "smallcaseAuthId",
    "null": None,
    "no JSON": b"smallcaseAuthId",
    "no UTF-8": b'{"smallcaseAuthId": "\xff"}',
    "nothing": b"",
    "a byte order mark": b'\xef\xbb\xbf{"smallcaseAuthId": "x"}',
    "deep JSON": b'{"smallcaseAuthId":' + b"[" * 5000,
}


@pytest.mark.parametrize("payload", REFUSED_CLAIMS.values(), ids=REFUSED_CLAIMS)
@pytest.mark.parametrize("previous", [None, OLD])
def test_a_signed_token_that_says_anything_else_is_refused(payload: object, previous: str | None) -> None:
    with pytest.raises(InvalidSmallcaseToken):
        verify(signed(payload), previous=previous)


GOOD_CLAIMS = {"smallcaseAuthId": ID}
GOOD = signed(GOOD_CLAIMS)
HEAD, BODY, SIGNATURE = GOOD.split(".")

FORGED = {
    "another key": signed(GOOD_CLAIMS, "another-key-0123456789-0123456789-ok"),
    "no key": signed(GOOD_CLAIMS, " "),
    "no signature": f"{HEAD}.{BODY}.",
    "another signature": f"{HEAD}.{BODY}.{'A' * len(SIGNATURE)}",
    "the signature of another payload": f"{HEAD}.{part({'smallcaseAuthId': 'other'})}.{SIGNATURE}",
    "none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{BODY}.",
    "none with the signature": f"{part({'alg': 'none'})}.{BODY}.{SIGNATURE}",
    "None": f"{part({'alg': 'None'})}.{BODY}.",
    "no algorithm": f"{part({'typ': 'JWT'})}.{BODY}.{SIGNATURE}",
    "RS256": f"{part({'alg': 'RS256'})}.{BODY}.{SIGNATURE}",
    "HS384": f"{part({'alg': 'HS384'})}.{BODY}.{SIGNATURE}",
    "an algorithm that is a list": f"{part({'alg': ['HS256']})}.{BODY}.{SIGNATURE}",
    "a header that is a list": f"{part(['HS256'])}.{BODY}.{SIGNATURE}",
    "an unknown critical header": signed(GOOD_CLAIMS, crit=["exp"], exp=1),
    "a detached payload": f"{part({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}..{SIGNATURE}",
    "two parts": f"{HEAD}.{BODY}",
    "four parts": f"{GOOD}.{SIGNATURE}",
    "a space in front": f" {GOOD}",
    "a line feed behind": f"{GOOD}\n",
    "Bearer": f"Bearer {GOOD}",
    "nothing": "",
    "dots": "..",
    "not ASCII": f"{HEAD}.{BODY}é.{SIGNATURE}",
    "digits that are none": GOOD.replace("A", "\u0661"),
    "half a character": "\ud800",
    "too long": GOOD + "A" * MAX_TOKEN_CHARACTERS,
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("previous", [None, OLD])
def test_a_token_that_is_not_signed_with_the_key_is_refused(token: str, previous: str | None) -> None:
    with pytest.raises(InvalidSmallcaseToken) as caught:
        verify(token, previous=previous)
    assert str(caught.value) == ""
    assert caught.value.__cause__ is None


def test_the_limit_of_length_is_checked_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jwt.PyJWS", None)
    with pytest.raises(InvalidSmallcaseToken):
        verify("a" * (MAX_TOKEN_CHARACTERS + 1))


PUBLIC = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"


@pytest.mark.parametrize("key", [PUBLIC, "ssh-rsa AAAAB3NzaC1yc2E"])
def test_a_key_that_looks_like_a_public_key_is_a_fault_of_the_configuration(key: str) -> None:
    with pytest.raises(GatewayNotConfigured) as caught:
        verify(GOOD, key=key)
    assert (caught.value.field, caught.value.reason) == ("secret", "looks_like_a_public_key")
    with pytest.raises(GatewayNotConfigured) as caught:
        verify(signed(GOOD_CLAIMS, OLD), previous=key)
    assert caught.value.field == "previous_secret"
    assert "AAAA" not in str(caught.value)


def test_a_short_key_that_was_allowed_verifies_without_a_warning() -> None:
    assert verify(signed(GOOD_CLAIMS, "short"), key="short") == ID


@pytest.mark.parametrize("value", ["x", " ", "TRX_1", "é", "x" * 256])
def test_an_id_of_smallcase_is_a_short_printable_text(value: str) -> None:
    assert is_smallcase_id(value)


@pytest.mark.parametrize("value", ["", "x" * 257, "\n", "\x7f", "\u2028", "\ud800", None, 1, b"x", ["x"], True])
def test_nothing_else_is_an_id_of_smallcase(value: object) -> None:
    assert not is_smallcase_id(value)


def test_a_number_of_json_is_no_id() -> None:
    from gatehouse.strict_json import Number  # noqa: PLC0415 - for this test

    assert not is_smallcase_id(Number("63"))
