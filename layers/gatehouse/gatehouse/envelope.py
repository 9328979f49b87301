"""A genuine delivery on its way from the edge to the log.

Owns its form on the queue. Reading one is total: what is no envelope is one known error.
"""

import base64
import binascii
import json
from typing import NamedTuple

from gatehouse.problems import ServiceError


class NotAnEnvelope(ServiceError):
    """A message that this service did not write."""


class Envelope(NamedTuple):
    """A delivery with what is known of it."""

    id: str  # of this delivery: what its sender was answered
    identity: str  # the same for the same delivery repeated
    source: str  # smallcase, or integration.<source>
    kind: str | None
    received_at: str  # ISO 8601 in UTC
    content_type: str
    recognised: bool
    body: bytes


_TEXTS = ("id", "identity", "source", "received_at", "content_type")


def render(envelope: Envelope) -> str:
    """Return the message for the queue."""
    return json.dumps({**envelope._asdict(), "body": base64.b64encode(envelope.body).decode()}, separators=(",", ":"))


def parse(message: str) -> Envelope:
    """Read a message of the queue. Raises `NotAnEnvelope`."""
    try:
        members = json.loads(message)
    except (ValueError, RecursionError):
        raise NotAnEnvelope from None
    if not isinstance(members, dict) or set(members) != set(Envelope._fields):
        raise NotAnEnvelope
    is_text = all(isinstance(members[name], str) for name in (*_TEXTS, "body")) and all(
        members[name] for name in ("id", "identity", "source", "received_at")
    )
    if not is_text or not isinstance(members["kind"], str | None) or not isinstance(members["recognised"], bool):
        raise NotAnEnvelope
    try:
        body = base64.b64decode(members["body"].encode(), validate=True)
    except (ValueError, binascii.Error):
        raise NotAnEnvelope from None
    return Envelope(**{**members, "body": body})
