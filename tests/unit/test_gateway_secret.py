import json

import pytest

from gatehouse.gateway_secret import GatewaySecret, parse_gateway_secret
from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_fields import FieldFault
from gatehouse.secret_value import Secret
from tests.support.events import GATEWAY_SECRET, gateway_secret

KEY = "another-key-0123456789-0123456789-ok"


def parse(text: str, *, allow_short: bool = False) -> GatewaySecret:
    return parse_gateway_secret(Secret(text), allow_short=allow_short)


def test_a_complete_secret_is_usable() -> None:
    secret = parse(gateway_secret(previous_secret=KEY, previous_api_secret=KEY + "2", note="kept"))
    assert secret.gateway_name == "acme"
    assert secret.secret == Secret(GATEWAY_SECRET["secret"])
    assert secret.api_secret == Secret(GATEWAY_SECRET["api_secret"])
    assert secret.previous_secret == Secret(KEY)
    assert secret.previous_api_secret == Secret(KEY + "2")


@pytest.mark.parametrize("absent", [None, ""])
def test_the_previous_keys_are_optional(absent: str | None) -> None:
    secret = parse(gateway_secret(previous_secret=absent, previous_api_secret=absent))
    assert secret.previous_secret is None
    assert secret.previous_api_secret is None


@pytest.mark.parametrize("field", ["gateway_name", "secret", "api_secret"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        ("", "empty"),
        ("   ", "empty"),
        (7, "not_text"),
        (["x"], "not_text"),
        ({}, "not_text"),
        (True, "not_text"),
        ("REPLACE_ME", "placeholder"),
        (" replace_me ", "placeholder"),
        ("changeme", "placeholder"),
        ("<your secret here>", "placeholder"),
        (KEY + "\n", "surrounding_space"),
        (" " + KEY, "surrounding_space"),
        (KEY + "\x00" + KEY, "not_printable"),
        (KEY + "\ud800", "not_printable"),
    ],
)
def test_a_required_field_at_fault_is_named(field: str, value: object, reason: str) -> None:
    with pytest.raises(GatewayNotConfigured) as caught:
        parse(gateway_secret(**{field: value}))
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize("name", ["<acme", "acme>", ">acme<"])
def test_only_a_value_in_angle_brackets_is_a_placeholder(name: str) -> None:
    assert parse(gateway_secret(gateway_name=name)).gateway_name == name


def test_a_fault_says_its_field_and_reason() -> None:
    assert str(FieldFault("secret", "missing")) == "secret: missing"


@pytest.mark.parametrize("field", ["previous_secret", "previous_api_secret"])
@pytest.mark.parametrize(("value", "reason"), [(7, "not_text"), ("REPLACE_ME", "placeholder"), ("short", "too_short")])
def test_an_optional_field_is_judged_where_it_is_set(field: str, value: object, reason: str) -> None:
    with pytest.raises(GatewayNotConfigured) as caught:
        parse(gateway_secret(**{field: value}))
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize("field", ["secret", "api_secret"])
def test_a_key_has_32_bytes_unless_short_ones_are_allowed(field: str) -> None:
    parse(gateway_secret(**{field: "k" * 32}))
    parse(gateway_secret(**{field: "é" * 16}))
    short = gateway_secret(**{field: "k" * 31})
    with pytest.raises(GatewayNotConfigured, match="too_short"):
        parse(short)
    parse(short, allow_short=True)


@pytest.mark.parametrize("signing", ["secret", "previous_secret"])
@pytest.mark.parametrize("backend", ["api_secret", "previous_api_secret"])
def test_a_signing_key_is_never_a_backend_key(signing: str, backend: str) -> None:
    with pytest.raises(GatewayNotConfigured) as caught:
        parse(gateway_secret(**{signing: KEY, backend: KEY}))
    assert (caught.value.field, caught.value.reason) == (backend, f"equals_{signing}")


def test_a_key_may_be_its_own_predecessor() -> None:
    parse(gateway_secret(previous_secret=GATEWAY_SECRET["secret"]))


@pytest.mark.parametrize("text", ["", "no json", "{", "[" * 100_000, '"text"', "[]", "null", "7"])
def test_a_secret_that_is_no_json_object_is_named_as_a_whole(text: str) -> None:
    with pytest.raises(GatewayNotConfigured) as caught:
        parse(text)
    assert caught.value.field == "SecretString"


def test_what_the_template_creates_is_a_placeholder() -> None:
    text = json.dumps({"gateway_name": "REPLACE_ME", "secret": "REPLACE_ME", "api_secret": "REPLACE_ME"})
    with pytest.raises(GatewayNotConfigured, match="placeholder"):
        parse(text, allow_short=True)
