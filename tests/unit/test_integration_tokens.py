import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.integration_tokens import IntegrationTokens, TokensUnreadable, parse_tokens, render_tokens
from gatehouse.secret_value import Secret

GOOD = {
    "access_token": "s3cr3t-access",
    "refresh_token": "s3cr3t-refresh",
    "token_type": "Bearer",
    "expires_at": "2026-11-22T05:05:06Z",
    "access_token_obtained_at": "2026-11-22T04:05:06Z",
    "refresh_token_obtained_at": "2026-11-20T04:05:06Z",
}
TOKENS = IntegrationTokens(
    Secret("s3cr3t-access"), Secret("s3cr3t-refresh"), "Bearer", 1_795_323_906, 1_795_320_306, 1_795_147_506
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
TIMES = st.integers(0, 253_402_300_799)


def parse(document: object) -> IntegrationTokens | None:
    return parse_tokens(Secret(json.dumps(document)))


def test_the_documented_form_is_read() -> None:
    assert parse(GOOD) == TOKENS


def test_the_documented_form_is_written() -> None:
    assert json.loads(render_tokens(TOKENS).reveal()) == GOOD


def test_the_empty_object_holds_no_tokens() -> None:
    assert parse({}) is None


def test_members_that_nobody_asked_for_are_ignored() -> None:
    assert parse({**GOOD, "note": ["by hand"]}) == TOKENS


def test_tokens_are_valid_until_their_expiry() -> None:
    assert TOKENS.is_valid(TOKENS.expires_at - 0.001)
    assert not TOKENS.is_valid(TOKENS.expires_at)
    assert not TOKENS.is_valid(TOKENS.expires_at + 1)


def test_tokens_do_not_show_themselves() -> None:
    assert "s3cr3t" not in f"{TOKENS} {TOKENS!r} {render_tokens(TOKENS)}"


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [None, "", "   ", 7, True, 1.5, ["s3cr3t"], {"s3cr3t": "s3cr3t"}])
def test_a_member_at_fault_is_named_without_its_value(name: str, value: object) -> None:
    with pytest.raises(TokensUnreadable) as caught:
        parse({**GOOD, name: value})
    assert str(caught.value) == name
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_member_is_named(name: str) -> None:
    with pytest.raises(TokensUnreadable) as caught:
        parse({member: value for member, value in GOOD.items() if member != name})
    assert str(caught.value) == name


@pytest.mark.parametrize("name", ["expires_at", "access_token_obtained_at", "refresh_token_obtained_at"])
@pytest.mark.parametrize("value", ["s3cr3t", "1795323906", "2026-11-22", "2026-11-22T25:00:00Z"])
def test_a_time_that_is_none_is_named(name: str, value: str) -> None:
    with pytest.raises(TokensUnreadable) as caught:
        parse({**GOOD, name: value})
    assert str(caught.value) == name


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not_json"),
        ("s3cr3t", "not_json"),
        ('{"access_token": "s3cr3t', "not_json"),
        ("\ufeff{}", "not_json"),
        ("[" * 100_000, "not_json"),
        ("9" * 10_000, "not_json"),
        ("[]", "not_an_object"),
        ("null", "not_an_object"),
        ('"s3cr3t"', "not_an_object"),
        ("0", "not_an_object"),
    ],
    ids=lambda text: text[:20],
)
def test_a_text_that_is_no_json_object_is_named_as_such(text: str, fault: str) -> None:
    with pytest.raises(TokensUnreadable) as caught:
        parse_tokens(Secret(text))
    assert str(caught.value) == fault


@given(st.builds(IntegrationTokens, TEXTS.map(Secret), TEXTS.map(Secret), TEXTS, TIMES, TIMES, TIMES))
def test_what_is_written_is_read_as_the_same_tokens(tokens: IntegrationTokens) -> None:
    assert parse_tokens(render_tokens(tokens)) == tokens


@given(TIMES, st.floats(0, 0.999))
def test_a_fraction_is_cut_off_so_that_an_expiry_never_moves_later(seconds: int, fraction: float) -> None:
    tokens = IntegrationTokens(Secret("a"), Secret("r"), "Bearer", seconds + fraction, seconds, seconds)
    read = parse_tokens(render_tokens(tokens))
    assert read is not None
    assert tokens.expires_at - 1 < read.expires_at <= tokens.expires_at


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.text(st.characters(exclude_categories=[])) | ANY_JSON.map(json.dumps))
def test_any_text_is_tokens_or_one_known_error(text: str) -> None:
    try:
        tokens = parse_tokens(Secret(text))
    except TokensUnreadable:
        return
    assert tokens is None


@given(st.sampled_from(list(GOOD)), ANY_JSON)
def test_tokens_with_any_member_replaced_can_be_written_again_or_are_one_known_error(name: str, value: object) -> None:
    try:
        tokens = parse({**GOOD, name: value})
    except TokensUnreadable:
        return
    assert tokens is not None
    assert parse_tokens(render_tokens(tokens)) is not None
