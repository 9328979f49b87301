from typing import Any

import pytest

from gatehouse.caller import MAX_IDENTITY_BYTES, User, identify
from gatehouse.problems import CallerNotIdentified

CLAIMS: dict[str, Any] = {"iss": "https://auth.example.com", "sub": "asha", "exp": "1795322568"}


def test_a_user_is_issuer_and_subject() -> None:
    assert identify({**CLAIMS, "email": "ignored"}) == User("https://auth.example.com", "asha")


@pytest.mark.parametrize("exp", ["1795322568", "1.795322568E9", 1795322568, 1795322568.5])
def test_an_expiry_is_a_number_or_a_number_as_text(exp: object) -> None:
    assert identify({**CLAIMS, "exp": exp}).subject == "asha"


@pytest.mark.parametrize("claim", ["iss", "sub", "exp"])
@pytest.mark.parametrize("value", [None, "", " ", [], {}, True, ["1"], "null", "[asha ravi]", "map[name:asha]"])
def test_a_token_without_issuer_subject_or_expiry_names_nobody(claim: str, value: object) -> None:
    said = "^exp is missing or no number$" if claim == "exp" else f"^{claim} is missing or empty$"
    with pytest.raises(CallerNotIdentified, match=said):
        identify({**CLAIMS, claim: value})
    with pytest.raises(CallerNotIdentified, match=said):
        identify({name: kept for name, kept in CLAIMS.items() if name != claim})


@pytest.mark.parametrize("exp", ["never", "nan", "inf", "-inf", float("nan"), float("inf"), 10**400, "1" * 5000])
def test_an_expiry_that_is_no_point_in_time_names_nobody(exp: object) -> None:
    with pytest.raises(CallerNotIdentified):
        identify({**CLAIMS, "exp": exp})


@pytest.mark.parametrize(
    ("sub", "said"),
    [
        ("x" * 2001, "identity is too long"),
        ("é" * 1001, "identity is too long"),
        ("\ud800", "sub holds control characters"),
        ("asha\nravi", "sub holds control characters"),
        ("asha\x00", "sub holds control characters"),
        ("asha\u202e", "sub holds control characters"),
    ],
)
def test_a_subject_that_cannot_be_a_key_names_nobody(sub: str, said: str) -> None:
    with pytest.raises(CallerNotIdentified, match=f"^{said}$"):
        identify({**CLAIMS, "sub": sub})


def test_issuer_and_subject_have_their_limit_together_in_bytes() -> None:
    longest = "x" * (MAX_IDENTITY_BYTES - len(CLAIMS["iss"]))
    assert identify({**CLAIMS, "sub": longest}).subject == longest
    with pytest.raises(CallerNotIdentified, match="too long"):
        identify({**CLAIMS, "sub": longest + "x"})


def test_a_number_is_no_subject() -> None:
    with pytest.raises(CallerNotIdentified):
        identify({**CLAIMS, "sub": 7})
