"""A request's body as JSON that every reader takes alike.

Owns what the simulators refuse that Python's own reader takes: two members of one name, NaN and Infinity. It is apart
from the layer's reader on purpose: a simulator judges what the layer writes.
"""

import json


def parse(body: bytes) -> object:
    """Return the value. Raises ValueError, or RecursionError for what is nested too deeply."""
    value: object = json.loads(body.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
