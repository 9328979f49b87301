"""The members of a secret that an operator fills in.

Owns what makes such a member usable. It never says a value, only a field and what is wrong with it.
"""

import json

from gatehouse.secret_value import Secret

# What people and templates write where a value is still to come.
PLACEHOLDERS = frozenset({"replace_me", "replace-me", "replaceme", "change_me", "change-me", "changeme", "todo", "tbd"})


class FieldFault(ValueError):
    """A member that cannot be used: `field` names it (`SecretString` for the whole), `reason` is a stable word."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def read_members(text: Secret) -> dict[str, object]:
    """Return the members of the secret's JSON object. Raises `FieldFault`."""
    try:
        members = json.loads(text.reveal())
    except (ValueError, RecursionError):
        raise FieldFault("SecretString", "not_json") from None
    if not isinstance(members, dict):
        raise FieldFault("SecretString", "not_an_object")
    return members


def is_set(members: dict[str, object], field: str) -> bool:
    """Whether an optional member holds something: an operator ends an overlap by removing or emptying it."""
    return members.get(field) not in (None, "")


def read_text(members: dict[str, object], field: str) -> str:
    """Return a member that must be filled in. Raises `FieldFault`."""
    if field not in members:
        raise FieldFault(field, "missing")
    value = members[field]
    if not isinstance(value, str):
        raise FieldFault(field, "not_text")
    bare = value.strip()
    if not bare:
        raise FieldFault(field, "empty")
    if bare.casefold() in PLACEHOLDERS or (bare.startswith("<") and bare.endswith(">")):
        raise FieldFault(field, "placeholder")
    if bare != value:
        # A pasted line feed would sign tokens that the other side refuses.
        raise FieldFault(field, "surrounding_space")
    if not value.isprintable():
        # Also what cannot be sent in a header or encoded as UTF-8.
        raise FieldFault(field, "not_printable")
    return value
