"""What is wrong with a secret is said at once, and in the layer's own judgement."""

import json

import pytest

from gatehouse.gateway_secret import parse_gateway_secret
from gatehouse.integration_credentials import CredentialsNotConfigured, parse_credentials
from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_value import Secret
from ops.stored_secret import GATEWAY, INTEGRATION, WEBHOOKS, faults, in_words

KEY, OTHER_KEY = "k" * 32, "o" * 32
GOOD = {"gateway_name": "acme", "secret": KEY, "api_secret": OTHER_KEY}


def said(name: str, members: object, *, allow_short: bool = False) -> list[str]:
    text = Secret(members if isinstance(members, str) else json.dumps(members))
    return [in_words(fault) for fault in faults(name, text, allow_short=allow_short)]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (GOOD, []),
        ({}, ["gateway_name is missing", "secret is missing", "api_secret is missing"]),
        (
            {"gateway_name": "changeme", "secret": "short", "api_secret": " "},
            ["gateway_name is a placeholder", "secret has less than 32 bytes", "api_secret is empty"],
        ),
        ({**GOOD, "api_secret": KEY}, ["api_secret equals secret"]),
        ({**GOOD, "previous_secret": 7, "api_secret": KEY}, ["previous_secret is no text", "api_secret equals secret"]),
        (
            {**GOOD, "previous_api_secret": KEY, "previous_secret": OTHER_KEY},
            ["previous_api_secret equals secret", "api_secret equals previous_secret"],
        ),
        ("[]", ["the secret is no JSON object"]),
        ("{", ["the secret is no JSON"]),
    ],
)
def test_all_that_is_wrong_with_the_gateway_secret_is_said(members: object, expected: list[str]) -> None:
    assert said(GATEWAY, members) == expected


def test_short_keys_are_said_unless_the_stack_allows_them() -> None:
    short = {**GOOD, "secret": "short", "api_secret": "shorter"}
    assert said(GATEWAY, short) == ["secret has less than 32 bytes", "api_secret has less than 32 bytes"]
    assert said(GATEWAY, short, allow_short=True) == []


def test_all_that_is_wrong_with_the_credentials_is_said() -> None:
    assert said(INTEGRATION, {"api_key": "todo"}) == ["api_key is a placeholder", "secret_key is missing"]
    assert said(INTEGRATION, {"api_key": "a key", "secret_key": "ключ"}) == [
        "secret_key holds a character that cannot be sent in a header"
    ]


def test_of_the_webhooks_each_source_has_its_own_fault() -> None:
    sources = {"one": {"authentication": []}, "two": 7, "three": {"authentication": [{"type": 2, "token": "a-token"}]}}
    assert len(said(WEBHOOKS, sources)) == 2


@pytest.mark.parametrize("members", [{}, {"gateway_name": "a"}, {"secret": KEY}, {**GOOD, "secret": "<secret>"}])
def test_the_first_one_is_the_one_that_the_functions_name(members: dict[str, object]) -> None:
    text = Secret(json.dumps(members))
    with pytest.raises(GatewayNotConfigured) as caught:
        parse_gateway_secret(text, allow_short=False)
    first, *_ = faults(GATEWAY, text, allow_short=False)
    assert (first.field, first.reason) == (caught.value.field, caught.value.reason)
    with pytest.raises(CredentialsNotConfigured) as refused:
        parse_credentials(text, "")
    first, *_ = faults(INTEGRATION, text, allow_short=False)
    assert first.field == refused.value.field
