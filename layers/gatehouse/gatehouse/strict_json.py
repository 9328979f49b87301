"""JSON from outside, read strictly.

Owns what is refused that Python's own reader takes (two members of one name, NaN, a byte order mark), and keeping a
number's original text. Total: any bytes give a value or `NotStrictJson`.
"""

import json

# Many times what anybody sends, and well within what every other reader takes.
MAX_DEPTH = 100

type Json = bool | str | Number | list["Json"] | dict[str, "Json"] | None


class NotStrictJson(ValueError):
    """The bytes are no JSON, or JSON that two readers may read differently."""


class Number(str):
    """A JSON number as it was written: never converted, so never rounded, and never too large."""

    __slots__ = ()


def parse(body: bytes) -> Json:
    """Return the value, with numbers as `Number`. Raises `NotStrictJson`."""
    try:
        return _decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotStrictJson("not strict JSON") from None


def canonical(value: Json) -> bytes:
    """Return the one form of a value that does not depend on white space or the order of members.

    Raises `NotStrictJson` for a value that is nested deeper than `MAX_DEPTH`.
    """
    parts: list[str] = []
    _render(value, parts, MAX_DEPTH)
    return "".join(parts).encode("ascii")


def render(value: Json) -> bytes:
    """Return the value as JSON, with its numbers as they were written and its members in their order.

    Raises `NotStrictJson` for a value that is nested deeper than `MAX_DEPTH`.
    """
    return _text(value, MAX_DEPTH).encode("ascii")


def _text(value: Json, depth: int) -> str:
    if depth < 0:
        raise NotStrictJson("nested too deeply")
    match value:
        case Number():
            return str(value)
        case dict():
            return f"{{{','.join(f'{json.dumps(name)}:{_text(each, depth - 1)}' for name, each in value.items())}}}"
        case list():
            return f"[{','.join(_text(each, depth - 1) for each in value)}]"
        case _:
            return json.dumps(value)


def _decode(text: str) -> Json:
    value: Json = json.loads(
        text, object_pairs_hook=_members, parse_int=Number, parse_float=Number, parse_constant=_refuse
    )
    return value


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJson("a name stands twice")
    return members


def _refuse(_name: str) -> None:
    raise NotStrictJson("NaN and Infinity are no JSON")


def _render(value: Json, parts: list[str], depth: int) -> None:
    if depth < 0:
        raise NotStrictJson("nested too deeply")
    match value:
        case Number():
            parts.append(str(value))
        case dict():
            parts.append("{")
            for name in sorted(value):
                parts.append(f"{json.dumps(name)}:")
                _render(value[name], parts, depth - 1)
                parts.append(",")
            parts.append("}")
        case list():
            parts.append("[")
            for item in value:
                _render(item, parts, depth - 1)
                parts.append(",")
            parts.append("]")
        case _:
            parts.append(json.dumps(value))
