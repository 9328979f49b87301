"""The event that tells the company's own code of a delivery.

Owns its name and its detail. A body that is strict JSON is passed on as it was written, to the last digit; any other
text as text; what does not fit into an entry of the bus stays in the log.
"""

import json

from gatehouse import strict_json
from gatehouse.envelope import Envelope
from gatehouse.strict_json import Json, Number

SOURCE = "gatehouse.webhooks"

# EventBridge: an entry has at most 256 KB, its source and detail type included; a little is left for their accounting.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
MAX_ENTRY_BYTES = 256 * 1024 - 1024


# Integers that EventBridge takes: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**63 - 1
_INTEGER_CHARACTERS = len(str(LEAST_INTEGER))


def detail_type(envelope: Envelope) -> str:
    """Return `smallcase.<kind>.received` or `integration.<source>.received`."""
    return f"{envelope.source}.{envelope.kind}.received" if envelope.kind else f"{envelope.source}.received"


def detail(envelope: Envelope, *, replayed: bool = False) -> str:
    """Return the detail as JSON."""
    members: dict[str, object] = {
        "id": envelope.id,
        "source": envelope.source,
        "received_at": envelope.received_at,
        "identity": envelope.identity,
        "recognised": envelope.recognised,
        # smallcase's checksum covers a timestamp and an id, so its body may be anybody's.
        "body_authenticated": envelope.kind is None,
    }
    if envelope.kind is not None:
        members["kind"] = envelope.kind
    if replayed:
        members["replayed"] = True
    with_body = f'{json.dumps(members)[:-1]}, "body": {body}}}' if (body := _body(envelope.body)) else ""
    if not with_body or len(with_body.encode()) + len(SOURCE) + len(detail_type(envelope)) > MAX_ENTRY_BYTES:
        return json.dumps({**members, "body_in_log": True})
    return with_body


def _body(body: bytes) -> str:
    """Return the body as JSON text; empty where it is neither JSON nor text."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return ""
    return text if _is_passable(body) else json.dumps(text, ensure_ascii=False)


def _is_passable(body: bytes) -> bool:
    """Whether the body is JSON that every reader takes: strict, not too deep, no half character, no outsize integer."""
    try:
        value = strict_json.parse(body)
        strict_json.canonical(value)
        json.dumps(value, ensure_ascii=False).encode()
    except (strict_json.NotStrictJson, UnicodeEncodeError):
        return False
    return _has_passable_integers(value)


def _has_passable_integers(value: Json) -> bool:
    match value:
        case Number():
            if not value.lstrip("-").isdecimal():
                return True
            return len(value) <= _INTEGER_CHARACTERS and LEAST_INTEGER <= int(value) <= GREATEST_INTEGER
        case dict():
            return all(map(_has_passable_integers, value.values()))
        case list():
            return all(map(_has_passable_integers, value))
        case _:
            return True
