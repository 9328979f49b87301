import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.problems import WebhooksNotConfigured
from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import Fault, Source, Sources, digest, judge_source, judge_sources, parse_sources

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
    assert list(source.basic) == [digest(each) for each in (f"market:{MARK}-password".encode(), b":a:b")]
    assert list(source.tokens) == [digest(each) for each in (f"{MARK}-token".encode(), b"t")]
    assert (source.token_header, source.delivery_id_header) == (None, None)


def test_a_source_holds_no_credential_and_prints_no_digest() -> None:
    source = judge_source(entry(BASIC, TOKEN))
    assert not any(MARK in each.reveal() for each in (*source.basic, *source.tokens))
    assert not any(each.reveal() in repr(source) for each in (*source.basic, *source.tokens))


@pytest.mark.parametrize("credential", [b"", b"a", b"a" * 10_000, "pässwörd €".encode()])
def test_a_digest_is_sha256_and_of_one_size(credential: bytes) -> None:
    assert digest(credential).reveal() == hashlib.sha256(credential).hexdigest()
    assert len(digest(credential).reveal()) == 64


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
        ("a.b", "no_header_name"),
        (f" {MARK}", "surrounding_space"),
        (f"{MARK}\n{MARK}", "not_printable"),
        ("", "empty"),
        (1, "not_text"),
        (False, "not_text"),
    ],
)
def test_a_header_name_is_one_that_can_be_sent(field: str, value: object, reason: str) -> None:
    assert fault(entry(TOKEN, **{field: value})) == (field, reason)


def judged(**entries: object) -> Sources:
    return judge_sources(Secret(json.dumps(entries)))


def test_a_fault_in_one_source_does_not_touch_another() -> None:
    sources = judged(good=entry(TOKEN), bad=entry({"type": "2"}), worse=1)
    assert sources.entries["bad"] == Fault("bad.type", "unknown")
    assert sources.entries["worse"] == Fault("worse.source", "not_an_object")
    assert sources.entries["good"] == judge_source(entry(TOKEN))


def test_an_entry_that_is_null_is_not_there() -> None:
    assert list(judged(shop=entry(TOKEN), gone=None).entries) == ["shop"]


@pytest.mark.parametrize("name", ["a", "7", "shop", "Shop_2-b", "x" * 64, "a-", "a_"])
def test_a_name_that_can_stand_in_a_path_and_in_an_event_is_usable(name: str) -> None:
    assert isinstance(judged(**{name: entry(TOKEN)}).entries[name], Source)


@pytest.mark.parametrize(
    "name", ["", "a.b", "a#b", "-shop", "_shop", "x" * 65, "../shop", "shöp", "shop\n", "a b", "\n", "٣"]
)
def test_a_name_that_cannot_is_a_fault(name: str) -> None:
    assert judged(**{name: entry(TOKEN)}).entries == {name: Fault(f"{name}.name", "not_usable")}


def sizes(source: object) -> tuple[int, int]:
    assert isinstance(source, Source)
    return len(source.basic), len(source.tokens)


def test_every_source_and_nobody_have_as_many_digests_as_the_one_with_most() -> None:
    sources = judged(one=entry(BASIC), three=entry(BASIC, BASIC, BASIC), two=entry(TOKEN, TOKEN, BASIC))
    assert {name: sizes(each) for name, each in sources.entries.items()} == dict.fromkeys(
        ("one", "two", "three"), (3, 2)
    )
    assert sizes(sources.nobody) == (3, 2)


def test_what_evens_the_sources_out_is_as_long_as_a_digest_and_none() -> None:
    sources = judged(one=entry(BASIC, TOKEN))
    fillers = {each.reveal() for each in (*sources.nobody.basic, *sources.nobody.tokens)}
    assert {len(each) for each in fillers} == {64}
    assert not any(re.search("[0-9a-fA-F]", each) for each in fillers)


def test_a_source_that_is_not_usable_evens_nothing_out() -> None:
    assert sizes(judged(one=entry(BASIC), bad=entry(TOKEN, TOKEN, 1)).nobody) == (1, 0)


def test_the_token_headers_of_all_sources_are_known() -> None:
    sources = judged(
        a=entry(TOKEN, token_header="X-B"),
        b=entry(TOKEN, token_header="x-a"),
        c=entry(TOKEN, token_header="x-b", delivery_id_header="x-c"),
        d=entry(TOKEN),
        bad=entry(1, token_header="x-d"),
    )
    assert sources.token_headers == ("x-a", "x-b")


def test_nobody_takes_a_token_from_no_header_of_its_own() -> None:
    nobody = judged(a=entry(TOKEN, token_header="X-B", delivery_id_header="x-c")).nobody
    assert (nobody.token_header, nobody.delivery_id_header) == (None, None)


def test_no_sources_at_all_are_usable() -> None:
    assert parse_sources(Secret("{}")) == {}
    assert judged() == Sources({}, Source((), (), None, None), ())


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
        judge_sources(Secret(text))
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
