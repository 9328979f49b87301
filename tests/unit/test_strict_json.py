import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.strict_json import MAX_DEPTH, Json, NotStrictJson, Number, canonical, parse, render

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4)
)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"text"', "text"),
        (b" [true, false, null] ", [True, False, None]),
        (b'{"a": {"b": []}}', {"a": {"b": []}}),
        ('{"ключ":"€"}'.encode(), {"ключ": "€"}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\ud800"', "\ud800"),
    ],
)
def test_json_is_read(body: bytes, value: object) -> None:
    assert parse(body) == value


@pytest.mark.parametrize("text", ["0", "-0", "1.0", "1e3", "1E+3", "0.10", "1" + "0" * 10_000, "-1e999999"])
def test_a_number_keeps_the_text_that_it_was_written_in(text: str) -> None:
    value = parse(text.encode())
    assert isinstance(value, Number)
    assert str(value) == text
    assert canonical(value) == text.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nul",
        b"1 2",
        b"{}{}",
        b"01",
        b"+1",
        b".5",
        b"0x1",
        b"NaN",
        b"[Infinity]",
        b'{"a":-Infinity}',
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'[[{"x":{"a":1,"b":1,"a":2}}]]',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\t"',
        b'"\\x"',
        b"[1,]",
        b"[" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
)
def test_what_is_no_json_or_may_be_read_differently_is_refused_without_its_text(body: bytes) -> None:
    with pytest.raises(NotStrictJson) as caught:
        parse(body)
    assert str(caught.value) == "not strict JSON"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_value_too_deep_for_its_canonical_form_is_refused() -> None:
    value: Json = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(NotStrictJson):
        canonical(value)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_limit_of_depth_is_the_same_for_lists_and_objects(opening: str, closing: str) -> None:
    def nested(depth: int) -> Json:
        return parse(f"{opening * depth}1{closing * depth}".encode())

    assert canonical(nested(MAX_DEPTH))
    with pytest.raises(NotStrictJson, match=r"^nested too deeply$"):
        canonical(nested(MAX_DEPTH + 1))


def test_the_canonical_form_is_this_one_in_every_version() -> None:
    # Identities in the logs of running deployments are made of it.
    value = parse('{"b": [1.50, "é", null, true], "a": {}, "c": []}'.encode())
    assert canonical(value) == b'{"a":{},"b":[1.50,"\\u00e9",null,true,],"c":[],}'


def test_the_canonical_form_depends_on_neither_order_nor_white_space_nor_escapes() -> None:
    one = parse(b'{"a":[1,{"b":"x","c":null}],"d":true}')
    other = parse(b'\n{ "d" : true, "\\u0061" : [ 1 , { "c":null, "b":"\\u0078" } ] }\r\n')
    assert canonical(one) == canonical(other)


def test_different_values_have_different_canonical_forms() -> None:
    texts = ["1", '"1"', "1.0", "10e-1", "true", '"true"', "null", '""', "[]", "{}", "[1]", "[[1]]", "[1,1]", "[11]"]
    texts += [
        '["1,1"]',
        '{"a":1}',
        '{"a":"1"}',
        '{"a":[1]}',
        '{"a,b":1}',
        '{"a":1,"b":1}',
        '["a",1]',
        '"[1]"',
        "[[],[]]",
    ]
    assert len({canonical(parse(text.encode())) for text in texts}) == len(texts)


@given(st.binary())
def test_any_bytes_are_a_value_or_one_known_error(body: bytes) -> None:
    try:
        value = parse(body)
    except NotStrictJson:
        return
    assert canonical(value)


@given(ANY_JSON, st.integers(0, 3))
def test_what_python_writes_is_read_and_its_form_does_not_depend_on_how_it_is_written(
    value: object, indent: int
) -> None:
    compact = parse(json.dumps(value, separators=(",", ":")).encode())
    assert canonical(compact) == canonical(parse(json.dumps(value, indent=indent, sort_keys=True).encode()))


@given(ANY_JSON, ANY_JSON)
def test_two_values_have_one_canonical_form_only_if_they_are_written_alike(one: object, other: object) -> None:
    def form(value: object) -> bytes:
        return canonical(parse(json.dumps(value).encode()))

    assert (form(one) == form(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@pytest.mark.parametrize(
    "text",
    [
        *("{}", "[]", '""', "null", "true", "1520.10", '{"b":1,"a":[2,{"c":-1e400}],"":{}}'),
        '["\\u00e9","\\ud800","\\u0000\\""]',
    ],
)
def test_json_is_written_as_it_was_read_to_the_last_digit(text: str) -> None:
    assert render(parse(text.encode())) == text.encode()


def test_what_is_written_is_not_nested_deeper_than_everybody_reads() -> None:
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        deepest = opened * MAX_DEPTH + "1" + closed * MAX_DEPTH
        assert render(parse(deepest.encode())) == deepest.encode()
        with pytest.raises(NotStrictJson, match=r"^nested too deeply$"):
            render(parse(f"{opened}{deepest}{closed}".encode()))
