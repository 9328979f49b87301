"""A webhook delivery: is it genuine, which delivery is it, and what is passed on of it.

Owns authentication and the identity by which repeated deliveries are recognised. It is pure: no store, no clock, no
network. Each route has one way to authenticate; none is tried after another.

smallcase's checksum covers the timestamp and one id, **not the body**. So it proves that somebody once saw one genuine
delivery for that user, and no more: what a delivery says about money is confirmed over the API before anyone acts on
it.
Because the two parts are joined without a separator, a digit can even be moved from one to the other.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from gatehouse import strict_json
from gatehouse.problems import DeliveryNotAuthentic, DeliveryNotReadable, WebhooksNotConfigured
from gatehouse.secret_value import Secret
from gatehouse.strict_json import Json, Number
from gatehouse.webhook_credentials import Fault, Source, Sources, digest

ChecksumEncoding = Literal["hex", "base64"]

# Which id the checksum covers, by kind (H: the vendor's documentation of postbacks).
CHECKSUM_IDS = {
    "orders": "smallcaseAuthId",
    "holdings": "smallcaseAuthId",
    "pending-actions": "smallcaseAuthId",
    "mf-holdings": "transactionId",
}
KINDS = frozenset(CHECKSUM_IDS)

# Left out of the identity: whether a repeated delivery has the same timestamp is not documented.
_VOLATILE = ("timestamp", "checksum")


class Delivery(NamedTuple):
    """A genuine delivery. `recognised` says whether it has the shape that its kind is documented to have."""

    identity: str
    recognised: bool


class _Presented(NamedTuple):
    """A credential as a delivery shows it."""

    is_empty: bool
    digest: Secret


def authenticate_source(name: str, sources: Sources, headers: Mapping[str, str]) -> Source:
    """Return the source of a delivery of the Integration API. Names of `headers` are in lower case.

    Raises `DeliveryNotAuthentic`, the same for a name that is not configured and for missing, malformed and wrong
    credentials; and `WebhooksNotConfigured` where the entry of that name is not usable.

    The work depends on what was sent and on the whole configuration, and not on the name (docs/adr/0016): every header
    that any source takes a token from is digested, every source has as many digests to compare, and all are compared.
    """
    entry = sources.entries.get(name, sources.nobody)
    source = sources.nobody if isinstance(entry, Fault) else entry
    authorization = headers.get("authorization", "")
    basic = _present(_basic_credentials(authorization))
    tokens: dict[str | None, _Presented] = {None: _present(_bearer_token(authorization))}
    for header in sources.token_headers:
        tokens[header] = _present(headers.get(header, "").strip().encode("utf-8", "surrogatepass"))
    matches = [_is_one_of(basic, source.basic), _is_one_of(tokens[source.token_header], source.tokens)]
    if isinstance(entry, Fault):
        raise WebhooksNotConfigured(entry.field, entry.reason)
    if not any(matches):
        raise DeliveryNotAuthentic
    return source


def _present(credential: bytes) -> _Presented:
    return _Presented(credential == b"", digest(credential))


def _is_one_of(presented: _Presented, digests: Iterable[Secret]) -> bool:
    """Compare with all, each in constant time. Nothing is no credential, not even where it is a known one."""
    results = [presented.digest == each for each in digests]
    return any(results) and not presented.is_empty


def _basic_credentials(authorization: str) -> bytes:
    """Return `username:password` as bytes (RFC 7617); empty where the header holds none. Total."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(" ").encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _bearer_token(authorization: str) -> bytes:
    """Return the token as bytes (RFC 6750); empty where the header holds none. Total."""
    scheme, _, token = authorization.partition(" ")
    return token.strip(" ").encode("utf-8", "surrogatepass") if scheme.lower() == "bearer" else b""


def identify_opaque(source_name: str, source: Source, headers: Mapping[str, str], body: bytes) -> Delivery:
    """Return the delivery of an Integration API source: its body is opaque."""
    delivery_id = headers.get(source.delivery_id_header, "") if source.delivery_id_header else ""
    identity = _identity(f"integration.{source_name}", "", [delivery_id], hashlib.sha256(body).hexdigest())
    return Delivery(identity, recognised=True)


def authenticate_smallcase(kind: str, body: bytes, keys: Iterable[Secret], encoding: ChecksumEncoding) -> Delivery:
    """Check a postback's checksum and return the delivery.

    `kind` is one of `KINDS` and fixes what the checksum covers. Raises `DeliveryNotReadable` where the body is no JSON
    object that everybody reads alike, and `DeliveryNotAuthentic` where checksum, timestamp or id are missing or wrong.
    """
    try:
        members = strict_json.parse(body)
        if not isinstance(members, dict):
            raise DeliveryNotReadable
        content = {name: value for name, value in members.items() if name not in _VOLATILE}
        digest = hashlib.sha256(strict_json.canonical(content))
    except strict_json.NotStrictJson:
        raise DeliveryNotReadable from None
    covered = _timestamp(members) + _required_text(members, CHECKSUM_IDS[kind])
    presented = _required_text(members, "checksum")
    expected = [_checksum(key, covered, encoding) for key in keys]
    shown = (presented.lower() if encoding == "hex" else presented).encode("utf-8", "surrogatepass")
    if not any([hmac.compare_digest(shown, each) for each in expected]):  # noqa: C419 - no early exit
        raise DeliveryNotAuthentic
    ids = [_optional_text(members, name) for name in ("smallcaseAuthId", "transactionId", "batchId", "status")]
    return Delivery(_identity("smallcase", kind, ids, digest.hexdigest()), _is_recognised(kind, members))


def _checksum(key: Secret, covered: str, encoding: ChecksumEncoding) -> bytes:
    digest = hmac.digest(key.reveal_bytes(), covered.encode("utf-8", "surrogatepass"), "sha256")
    return digest.hex().encode() if encoding == "hex" else base64.b64encode(digest)


def _identity(source: str, kind: str, ids: Iterable[str], content_digest: str) -> str:
    """Return the identity of a delivery: the same for the same delivery repeated, another for a new state."""
    return hashlib.sha256(json.dumps([source, kind, *ids, content_digest]).encode()).hexdigest()


def _required_text(members: Mapping[str, Json], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or isinstance(value, Number) or not value:
        raise DeliveryNotAuthentic
    return value


def _timestamp(members: Mapping[str, Json]) -> str:
    """Return the timestamp's original text: of a string its content, of a number its digits as they were written."""
    value = members.get("timestamp")
    if not isinstance(value, str) or not value:
        raise DeliveryNotAuthentic
    return str(value)


def _optional_text(members: Mapping[str, Json], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _is_recognised(kind: str, members: Mapping[str, Json]) -> bool:
    """Whether the delivery has what the vendor documents for its kind."""
    if kind == "orders":
        return isinstance(members.get("orders"), list) and bool(_optional_text(members, "status"))
    return bool(_optional_text(members, "smallcaseAuthId")) and bool(_optional_text(members, "transactionId"))
