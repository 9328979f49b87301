"""The emulated account's port and a foreign page in a browser on the same machine."""

import json

import pytest

from tests.emulator.emulators import API_ID, Emulator, Response, http_request

ORIGIN = ("Origin", "https://evil.example.com")
# MiniStack asks for a key and for no signature, and the key is the same everywhere.
KEY = "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0"
LIST_SECRETS = [
    ("Authorization", KEY),
    ("Content-Type", "application/x-amz-json-1.1"),
    ("X-Amz-Target", "secretsmanager.ListSecrets"),
]


def _list_secrets(emulator: Emulator, *headers: tuple[str, str]) -> Response:
    return http_request(emulator.ports.aws, "POST", "/", [*LIST_SECRETS, *headers], b"{}")


def test_a_program_is_answered(patched: Emulator) -> None:
    assert "SecretList" in _list_secrets(patched).json


@pytest.mark.parametrize("foreign", [ORIGIN, ("Origin", "null"), ("Host", "evil.example.com")])
def test_a_foreign_page_gets_nothing_of_the_account(patched: Emulator, foreign: tuple[str, str]) -> None:
    answer = _list_secrets(patched, foreign)
    assert answer.status == 403
    assert "SecretList" not in answer.json
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_foreign_page_is_not_granted_a_preflight(patched: Emulator) -> None:
    asked = [ORIGIN, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization")]
    answer = http_request(patched.ports.aws, "OPTIONS", "/", asked)
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", [None, f"{API_ID}.execute-api.localhost"])
def test_a_foreign_page_cannot_use_what_ministack_does_for_everybody(patched: Emulator, host: str | None) -> None:
    named = [] if host is None else [("Host", f"{host}:{patched.ports.aws}")]
    messages = http_request(patched.ports.aws, "GET", "/_ministack/sqs/messages", [*named, ORIGIN])
    assert messages.status == 403
    name = "left-alone-by-a-foreign-page"
    client = patched.client("secretsmanager")
    client.create_secret(Name=name, SecretString=json.dumps({}))
    try:
        reset = http_request(patched.ports.aws, "POST", "/_ministack/reset", [*named, ORIGIN])
        assert reset.status == 403
        assert client.describe_secret(SecretId=name)["Name"] == name
    finally:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
