import json

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.integration_credentials import CredentialsNotConfigured, SecretsManagerCredentials, parse_credentials
from gatehouse.problems import SecretUnavailable
from gatehouse.secret_value import Secret
from gatehouse.secrets import SecretsManagerReader
from gatehouse.token_exchange import Credentials
from tests.support.token_fakes import aws_account

GOOD = {"api_key": "the-api-key", "secret_key": "the-secret-key"}


def parse(document: object) -> Credentials:
    return parse_credentials(Secret(json.dumps(document)), "version-1")


def test_credentials_are_read_with_the_version_they_came_from() -> None:
    assert parse({**GOOD, "note": 7}) == Credentials(Secret("the-api-key"), Secret("the-secret-key"), "version-1")


def test_short_credentials_are_taken_for_the_upstream_makes_them() -> None:
    assert parse({"api_key": "k", "secret_key": "k"}).api_key == Secret("k")


def test_what_the_template_creates_is_a_placeholder() -> None:
    with pytest.raises(CredentialsNotConfigured, match="placeholder"):
        parse({"api_key": "REPLACE_ME", "secret_key": "REPLACE_ME"})


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        (None, "not_text"),
        (7, "not_text"),
        (True, "not_text"),
        (["s3cr3t"], "not_text"),
        ("REPLACE_ME", "placeholder"),
        (" replace-me ", "placeholder"),
        ("ChangeMe", "placeholder"),
        ("TODO", "placeholder"),
        ("tbd", "placeholder"),
        ("<your api key>", "placeholder"),
        ("s3cr3t\n", "surrounding_space"),
        ("\ts3cr3t", "surrounding_space"),
        ("s3cr3t\r\nX-Evil: 1", "not_printable"),
        ("s3cr3t\x00", "not_printable"),
        ("s3cr3t\x7f", "not_printable"),
        ("s3cr3t\ud800", "not_printable"),
        ("s3cr3t-é", "not_ascii"),
        ("s3cr3t-\u0430", "not_ascii"),
    ],
)
def test_a_field_at_fault_is_named_without_its_value(field: str, value: object, reason: str) -> None:
    with pytest.raises(CredentialsNotConfigured) as caught:
        parse({**GOOD, field: value})
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert str(caught.value) == f"IntegrationCredentials: {field}: {reason}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(CredentialsNotConfigured) as caught:
        parse({name: value for name, value in GOOD.items() if name != field})
    assert (caught.value.field, caught.value.reason) == (field, "missing")


@pytest.mark.parametrize(
    ("text", "reason"), [("", "not_json"), ("s3cr3t", "not_json"), ("[" * 100_000, "not_json"), ("[]", "not_an_object")]
)
def test_a_secret_that_is_no_json_object_is_named_as_a_whole(text: str, reason: str) -> None:
    with pytest.raises(CredentialsNotConfigured) as caught:
        parse_credentials(Secret(text), "version-1")
    assert (caught.value.field, caught.value.reason) == ("SecretString", reason)


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_one_known_error(text: str) -> None:
    with pytest.raises(CredentialsNotConfigured):
        parse_credentials(Secret(text), "version-1")


@given(st.sampled_from(list(GOOD)), st.text(st.characters(exclude_categories=[])))
def test_what_is_taken_fits_into_a_header(field: str, value: str) -> None:
    try:
        credentials = parse({**GOOD, field: value})
    except CredentialsNotConfigured:
        return
    for text in (credentials.api_key.reveal(), credentials.secret_key.reveal()):
        assert text.strip() == text != ""
        assert all(0x20 <= ord(character) <= 0x7E for character in text)


def test_the_current_version_is_read_past_every_cache() -> None:
    with aws_account():
        client = boto3.client("secretsmanager")
        client.create_secret(Name="credentials", SecretString=json.dumps(GOOD))
        credentials = SecretsManagerCredentials("credentials", SecretsManagerReader())
        first = credentials.read()
        changed = client.put_secret_value(SecretId="credentials", SecretString=json.dumps({**GOOD, "api_key": "new"}))
        second = credentials.read()
    assert first.api_key == Secret("the-api-key")
    assert (second.api_key, second.version_id) == (Secret("new"), changed["VersionId"])
    assert first.version_id != second.version_id


def test_a_secret_out_of_reach_is_unavailable_and_not_unconfigured() -> None:
    with aws_account(), pytest.raises(SecretUnavailable, match="ResourceNotFoundException"):
        SecretsManagerCredentials("credentials", SecretsManagerReader()).read()
