"""What a webhook source of the Integration API authenticates with, as kept in the secret `WebhookCredentials`.

Owns judging one source's entry; a fault in one does not touch the others. It never says a value, only where a fault is.
Form of `authentication`: the brokerage's documentation (`type` 1 is HTTP Basic, 2 is a token).
"""

from typing import NamedTuple

from gatehouse.problems import WebhooksNotConfigured
from gatehouse.secret_fields import FieldFault, read_members, read_text
from gatehouse.secret_value import Secret

BASIC, TOKEN = 1, 2


class Source(NamedTuple):
    """One source. Several credentials are valid at once, so that one can be replaced without an outage."""

    basic: tuple[Secret, ...]  # each `username:password`
    tokens: tuple[Secret, ...]
    token_header: str | None  # in lower case; None: Authorization, as a bearer token
    delivery_id_header: str | None  # in lower case


def parse_sources(text: Secret) -> dict[str, object]:
    """Return the entries by source, not yet judged. Raises `WebhooksNotConfigured`."""
    try:
        return read_members(text)
    except FieldFault as fault:
        raise WebhooksNotConfigured(fault.field, fault.reason) from None


def judge_source(entry: object) -> Source:
    """Judge one source's entry. Raises `WebhooksNotConfigured`, which names the member at fault."""
    try:
        return _source(entry)
    except FieldFault as fault:
        raise WebhooksNotConfigured(fault.field, fault.reason) from None


def _source(entry: object) -> Source:
    if not isinstance(entry, dict):
        raise FieldFault("source", "not_an_object")
    authentication = entry.get("authentication")
    if not isinstance(authentication, list) or not authentication:
        raise FieldFault("authentication", "not_a_list")
    basic, tokens = [], []
    for each in authentication:
        if not isinstance(each, dict):
            raise FieldFault("authentication", "not_an_object")
        match each.get("type"):
            # `True == 1`, so the type of the type counts as well.
            case int(kind) if kind == BASIC and not isinstance(kind, bool):
                basic.append(_basic(each))
            case int(kind) if kind == TOKEN:
                tokens.append(Secret(read_text(each, "token")))
            case _:
                raise FieldFault("type", "unknown")
    return Source(tuple(basic), tuple(tokens), _header(entry, "token_header"), _header(entry, "delivery_id_header"))


def _basic(members: dict[str, object]) -> Secret:
    """Return `username:password` (RFC 7617). A user's name may be empty; it has no colon and no control character."""
    username, password = members.get("username"), read_text(members, "password")
    if not isinstance(username, str) or ":" in username or not username.isprintable():
        raise FieldFault("username", "not_usable")
    return Secret(f"{username}:{password}")


def _header(members: dict[str, object], field: str) -> str | None:
    if members.get(field) is None:
        return None
    name = read_text(members, field)
    if not name.isascii() or not all(char.isalnum() or char in "-_" for char in name):
        raise FieldFault(field, "no_header_name")
    return name.lower()
