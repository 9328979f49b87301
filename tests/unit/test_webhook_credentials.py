import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.problems import WebhooksNotConfigured
from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import judge_source, parse_sources

MARK = "SENTINEL"
BASIC = {"type": 1, "username": "market", "password": f"{MARK}-password"}
TOKEN = {"type": 2, "token": f"{MARK}-token"}


def entry(*authentication: object, **members: object) -> dict[str, object]:
    return {"authentication": list(authentication), **members}


def fault(judged: object) -> tuple[str, str]:
    with pytest.raises(WebhooksNotConfigured) as caught:
        judge_source(judged)
    assert MARK not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.field, caught.value.reason


def test_a_source_has_the_credentials_of_both_types_in_their_order() -> None:
    source = judge_source(entry(BASIC, TOKEN, {**BASIC, "username": "", "password": "a:b"}, {**TOKEN, "token": "t"}))
    assert [each.reveal() for each in source.basic] == [f"market:{MARK}-password", ":a:b"]
    assert [each.reveal() for each in source.tokens] == [f"{MARK}-token", "t"]
    assert (source.token_header, source.delivery_id_header) == (None, None)


def test_a_source_does_not_print_its_credentials() -> None:
    assert MARK not in repr(judge_source(entry(BASIC, TOKEN)))


def test_header_names_are_compared_in_lower_case() -> None:
    source = judge_source(entry(TOKEN, token_header="X-Market-Token", delivery_id_header="Delivery_Id2"))
    assert (source.token_header, source.delivery_id_header) == ("x-market-token", "delivery_id2")


@pytest.mark.parametrize("field", ["token_header", "delivery_id_header"])
def test_a_header_that_is_null_is_not_set(field: str) -> None:
    assert judge_source(entry(TOKEN, **{field: None})) == judge_source(entry(TOKEN))


def test_members_that_nobody_knows_do_no_harm() -> None:
    source = judge_source({**entry({**TOKEN, "note": 1}), "host": "example.com"})
    assert len(source.tokens) == 1


@pytest.mark.parametrize("kind", [True, False, "1", "2", 1.0, 2.0, 0, 3, -1, None, [], {}, [1], 10**30])
def test_a_type_is_the_integer_1_or_2_and_nothing_like_it(kind: object) -> None:
    assert fault(entry({**BASIC, **TOKEN, "type": kind})) == ("type", "unknown")


def test_a_missing_type_is_no_type() -> None:
    assert fault(entry({"token": MARK})) == ("type", "unknown")


@pytest.mark.parametrize("judged", [None, MARK, 1, True, [], [TOKEN]])
def test_a_source_is_an_object(judged: object) -> None:
    assert fault(judged) == ("source", "not_an_object")


@pytest.mark.parametrize("authentication", [None, MARK, 1, {}, TOKEN, []])
def test_authentication_is_a_list_with_something_in_it(authentication: object) -> None:
    assert fault({"authentication": authentication}) == ("authentication", "not_a_list")
    assert fault({}) == ("authentication", "not_a_list")


@pytest.mark.parametrize("each", [None, MARK, 1, [], [TOKEN]])
def test_each_credential_is_an_object(each: object) -> None:
    assert fault(entry(TOKEN, each)) == ("authentication", "not_an_object")


@pytest.mark.parametrize("username", [None, 1, [MARK], f"{MARK}:a", ":", f"{MARK}\n", f"{MARK}\x00", f"{MARK}\x7f"])
def test_a_user_is_a_text_without_colon_and_control_characters(username: object) -> None:
    assert fault(entry({**BASIC, "username": username})) == ("username", "not_usable")


@pytest.mark.parametrize(("base", "field"), [(BASIC, "password"), (TOKEN, "token")])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not_text"),
        (17, "not_text"),
        ([MARK], "not_text"),
        ("", "empty"),
        ("  ", "empty"),
        ("REPLACE_ME", "placeholder"),
        (f"<{MARK}>", "placeholder"),
        (f"{MARK}\n", "surrounding_space"),
        (f"{MARK}\x00{MARK}", "not_printable"),
        (f"{MARK}\ud800", "not_printable"),
    ],
)
def test_a_password_and_a_token_are_filled_in(base: dict[str, object], field: str, value: object, reason: str) -> None:
    assert fault(entry({**base, field: value})) == (field, reason)


@pytest.mark.parametrize(("base", "field"), [(BASIC, "password"), (TOKEN, "token")])
def test_a_missing_password_or_token_is_a_fault(base: dict[str, object], field: str) -> None:
    assert fault(entry({name: value for name, value in base.items() if name != field})) == (field, "missing")


@pytest.mark.parametrize("field", ["token_header", "delivery_id_header"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (f"{MARK} x", "no_header_name"),
        (f"{MARK}:", "no_header_name"),
        ("überschrift", "no_header_name"),
        ("x\u0660", "no_header_name"),
        (f"{MARK},x", "no_header_name"),
        (f" {MARK}", "surrounding_space"),
        (f"{MARK}\n{MARK}", "not_printable"),
        ("", "empty"),
        (1, "not_text"),
        (False, "not_text"),
    ],
)
def test_a_header_name_is_one_that_can_be_sent(field: str, value: object, reason: str) -> None:
    assert fault(entry(TOKEN, **{field: value})) == (field, reason)


def test_a_fault_in_one_source_does_not_touch_another() -> None:
    sources = parse_sources(Secret(json.dumps({"good": entry(TOKEN), "bad": entry({"type": "2"})})))
    assert judge_source(sources["good"]).tokens
    assert fault(sources["bad"]) == ("type", "unknown")


def test_no_sources_at_all_are_usable() -> None:
    assert parse_sources(Secret("{}")) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not_json"),
        (MARK, "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "not_an_object"),
        ("1", "not_an_object"),
    ],
)
def test_a_secret_that_holds_no_sources_is_a_fault(text: str, reason: str) -> None:
    with pytest.raises(WebhooksNotConfigured) as caught:
        parse_sources(Secret(text))
    assert (caught.value.field, caught.value.reason) == ("SecretString", reason)
    assert MARK not in str(caught.value)


ANY_TEXT = st.text(st.characters(exclude_categories=[]), min_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
NAMES = st.sampled_from(["type", "username", "password", "token"])
CREDENTIALS = st.dictionaries(NAMES, SCALARS) | st.fixed_dictionaries(
    {"type": st.sampled_from([1, 2])}, optional=dict.fromkeys(("username", "password", "token"), SCALARS)
)


@given(st.lists(CREDENTIALS | SCALARS, max_size=3), SCALARS, SCALARS)
def test_any_entry_is_a_source_or_a_fault_that_quotes_nothing(
    authentication: list[object], token_header: object, delivery_id_header: object
) -> None:
    try:
        source = judge_source(entry(*authentication, token_header=token_header, delivery_id_header=delivery_id_header))
    except WebhooksNotConfigured as error:
        said = str(error) + repr(error)
        members = [value for each in authentication if isinstance(each, dict) for value in each.values()]
        values = [*authentication, *members, token_header, delivery_id_header]
        assert not any(isinstance(value, str) and value in said for value in values)
        return
    assert len(source.basic) + len(source.tokens) == len(authentication) > 0
