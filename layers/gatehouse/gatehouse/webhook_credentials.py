"""What the webhook sources of the Integration API authenticate with, as kept in the secret `WebhookCredentials`.

Owns judging the entries, each by itself: a fault in one does not touch the others. Of a credential it keeps the digest,
and it evens the sources out, so that a delivery costs the same work whatever source it names (docs/adr/0016). It never
says a value, only where a fault is. Form of `authentication`: the brokerage's documentation (`type` 1 is HTTP Basic, 2
is a token).
"""

import hashlib
import re
from typing import NamedTuple

from gatehouse.problems import WebhooksNotConfigured
from gatehouse.secret_fields import FieldFault, read_members, read_text
from gatehouse.secret_value import Secret

BASIC, TOKEN = 1, 2

# A source's name stands in a path, in an event's detail type and in keys of the event log.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

# As long as a digest, and the digest of nothing.
_FILLER = Secret("-" * 64)


class Source(NamedTuple):
    """One source. Several credentials are valid at once, so that one can be replaced without an outage."""

    basic: tuple[Secret, ...]  # the digest of each `username:password`
    tokens: tuple[Secret, ...]  # the digest of each token
    token_header: str | None  # in lower case; None: Authorization, as a bearer token
    delivery_id_header: str | None  # in lower case


class Fault(NamedTuple):
    """What is wrong with a source's entry."""

    field: str  # with the source before it: `shop.authentication`
    reason: str


class Sources(NamedTuple):
    """All sources. Each has as many digests of either kind as any other."""

    entries: dict[str, Source | Fault]
    nobody: Source  # stands for every name without an entry; nothing matches its digests
    token_headers: tuple[str, ...]  # those of all sources


def digest(credential: bytes) -> Secret:
    """Return what is kept of a credential and compared: of one size, so that no comparison tells the length."""
    return Secret(hashlib.sha256(credential).hexdigest())


def judge_sources(text: Secret) -> Sources:
    """Judge the secret. Raises `WebhooksNotConfigured` where it has no entries at all that could be judged."""
    # An entry that is null is one that was removed.
    entries = {name: _judge(name, entry) for name, entry in parse_sources(text).items() if entry is not None}
    usable = [entry for entry in entries.values() if isinstance(entry, Source)]
    basic = max((len(source.basic) for source in usable), default=0)
    tokens = max((len(source.tokens) for source in usable), default=0)
    return Sources(
        {name: _fill(each, basic, tokens) if isinstance(each, Source) else each for name, each in entries.items()},
        _fill(Source((), (), None, None), basic, tokens),
        tuple(sorted({source.token_header for source in usable if source.token_header is not None})),
    )


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


def _judge(name: str, entry: object) -> Source | Fault:
    if not _NAME.fullmatch(name):
        return Fault(f"{name}.name", "not_usable")
    try:
        return _source(entry)
    except FieldFault as fault:
        return Fault(f"{name}.{fault.field}", fault.reason)


def _fill(source: Source, basic: int, tokens: int) -> Source:
    return source._replace(
        basic=source.basic + (_FILLER,) * (basic - len(source.basic)),
        tokens=source.tokens + (_FILLER,) * (tokens - len(source.tokens)),
    )


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
                basic.append(digest(_basic(each).encode()))
            case int(kind) if kind == TOKEN:
                tokens.append(digest(read_text(each, "token").encode()))
            case _:
                raise FieldFault("type", "unknown")
    return Source(tuple(basic), tuple(tokens), _header(entry, "token_header"), _header(entry, "delivery_id_header"))


def _basic(members: dict[str, object]) -> str:
    """Return `username:password` (RFC 7617). A user's name may be empty; it has no colon and no control character."""
    username, password = members.get("username"), read_text(members, "password")
    if not isinstance(username, str) or ":" in username or not username.isprintable():
        raise FieldFault("username", "not_usable")
    return f"{username}:{password}"


def _header(members: dict[str, object], field: str) -> str | None:
    if members.get(field) is None:
        return None
    name = read_text(members, field)
    if not name.isascii() or not all(char.isalnum() or char in "-_" for char in name):
        raise FieldFault(field, "no_header_name")
    return name.lower()
