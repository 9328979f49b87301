import json
from base64 import urlsafe_b64decode

import jwt
import pytest

from gatehouse import session_token
from gatehouse.problems import GatewayNotConfigured, InvalidSmallcaseToken
from gatehouse.secret_value import Secret

KEY = Secret("signing-key-0123456789-0123456789-ok")
NOW = 1_800_000_000


def issue(smallcase_auth_id: str | None, key: Secret = KEY) -> session_token.SessionToken:
    return session_token.issue(smallcase_auth_id, key=key, now=NOW, lifetime_seconds=900)


def part(token: session_token.SessionToken, index: int) -> object:
    text = token.text.reveal().split(".")[index]
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_a_guest_gets_exactly_the_guest_claim() -> None:
    assert part(issue(None), 1) == {"guest": True, "iat": NOW, "exp": NOW + 900}


def test_a_connected_user_gets_exactly_the_smallcase_auth_id() -> None:
    assert part(issue("63f6b2c1a0"), 1) == {"smallcaseAuthId": "63f6b2c1a0", "iat": NOW, "exp": NOW + 900}


def test_the_payload_is_written_without_spaces() -> None:
    text = issue(None).text.reveal().split(".")[1]
    assert urlsafe_b64decode(text + "=" * (-len(text) % 4)) == b'{"guest":true,"iat":1800000000,"exp":1800000900}'


def test_the_algorithm_is_hs256() -> None:
    assert part(issue(None), 0) == {"alg": "HS256", "typ": "JWT"}


def test_the_expiry_is_told_beside_the_token() -> None:
    assert issue(None).expires_at == NOW + 900


def test_a_token_verifies_under_its_key_and_no_other() -> None:
    text = issue("id").text.reveal()
    verifier = jwt.PyJWS()
    assert json.loads(verifier.decode(text, KEY.reveal_bytes(), ["HS256"]))["smallcaseAuthId"] == "id"
    with pytest.raises(jwt.InvalidSignatureError):
        verifier.decode(text, b"another-key-0123456789-0123456789-ok", ["HS256"])


def test_a_short_key_that_was_allowed_signs_without_a_warning() -> None:
    assert issue(None, Secret("short")).text.reveal().count(".") == 2


@pytest.mark.parametrize(
    "key", ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "ssh-rsa AAAAB3NzaC1yc2E"]
)
def test_a_key_that_looks_like_a_public_key_is_a_fault_of_the_configuration(key: str) -> None:
    with pytest.raises(GatewayNotConfigured) as caught:
        issue(None, Secret(key))
    assert (caught.value.field, caught.value.reason) == ("secret", "looks_like_a_public_key")
    assert "AAAA" not in str(caught.value)


def test_a_token_does_not_print_itself() -> None:
    token = issue(None)
    assert token.text.reveal() not in repr(token)


def test_a_token_of_the_largest_size_is_read_and_a_larger_one_is_not() -> None:
    def padded(spaces: int, kid: str) -> str:
        payload = b'{"smallcaseAuthId":"id"' + b" " * spaces + b"}"
        return jwt.PyJWS().encode(payload, KEY.reveal_bytes(), "HS256", {"kid": kid})

    # A few characters of the header even out what base64 cannot express.
    largest = next(
        token
        for kid in ("", "x", "xx", "xxx")
        for spaces in range(
            3 * session_token.MAX_TOKEN_CHARACTERS // 4 - 200, 3 * session_token.MAX_TOKEN_CHARACTERS // 4
        )
        if len(token := padded(spaces, kid)) == session_token.MAX_TOKEN_CHARACTERS
    )
    assert session_token.verify(Secret(largest), secret=KEY, previous_secret=None, now=NOW) == "id"
    with pytest.raises(InvalidSmallcaseToken):
        session_token.verify(Secret(largest + "A"), secret=KEY, previous_secret=None, now=NOW)
