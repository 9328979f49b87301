"""Reading what a request presents: the partner's name and key, the user's session, and what a transaction is for.

Owns the checks of the documented form: the name in the path (H), `x-gateway-secret` and `x-gateway-authtoken` (H on
`…/transaction`, M on `…/transactiondetails`), a guest's session for a CONNECT (H). Which status and text a refusal has
is not documented, only its envelope (M).

Stricter than any document asks for, so that a client which sends more than is documented is noticed here first:
unknown members, duplicate ones and doubled headers are refused.
"""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from local import strict_body
from local.http_router import Request
from local.smallcase_api.session_jwt import Holder, InvalidJwtError, verify
from local.smallcase_api.settings import Identity

SECRET_HEADER: Final = "x-gateway-secret"  # noqa: S105 -- a header's name
TOKEN_HEADER: Final = "x-gateway-authtoken"  # noqa: S105 -- a header's name
CONNECT: Final = "CONNECT"
_MEMBERS: Final = frozenset({"intent", "orderConfig", "assetConfig", "notes"})


class Refusal(Exception):
    """A request that is answered with `{"success": false, "errors": [text]}`. `code` is for the journal alone."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.text = text


def headers_by_name(request: Request) -> dict[str, str]:
    """Give the headers by lower-case name; one that came several times holds all its values, and so fits nothing."""
    return {name.lower(): ", ".join(request.header_all(name)) for name, _ in request.headers}


def which_secret(headers: Mapping[str, str], identity: Identity) -> str:
    """Say what the partner's key in the headers is: `current`, `previous`, `wrong` or `missing`."""
    presented = headers.get(SECRET_HEADER, "")
    if not presented:
        return "missing"
    is_current, is_previous = _same(presented, identity.api_secret), _same(presented, identity.previous_api_secret)
    return "current" if is_current else "previous" if is_previous else "wrong"


def session(headers: Mapping[str, str], identity: Identity, now: float) -> Holder | None:
    """Give the holder of the session in the headers, None where there is none. Raises InvalidJwtError."""
    token = headers.get(TOKEN_HEADER, "")
    return verify(token, identity.signing_keys, now) if token else None


def authorize(gateway: str, headers: Mapping[str, str], identity: Identity, now: float) -> Holder:
    """Check the name and both headers, and give the holder of the session. Raises Refusal."""
    if gateway != identity.gateway_name:
        raise Refusal(404, "unknown_gateway", "There is no gateway of this name.")
    if which_secret(headers, identity) not in {"current", "previous"}:
        raise Refusal(401, "wrong_secret", f"{SECRET_HEADER} is missing or wrong.")
    try:
        holder = session(headers, identity, now)
    except InvalidJwtError:
        holder = None
    if holder is None:
        raise Refusal(401, "invalid_jwt", f"{TOKEN_HEADER} is missing or invalid.")
    return holder


def intent_of(headers: Mapping[str, str], body: bytes, holder: Holder) -> str:
    """Give the intent of a transaction that is to be made. Raises Refusal."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "not_json", "Send Content-Type: application/json.")
    members = body_members(body)
    if members is None:
        raise Refusal(400, "invalid_request", "The body is not a JSON object.")
    intent = members.get("intent")
    if not isinstance(intent, str) or not intent or not members.keys() <= _MEMBERS:
        raise Refusal(400, "invalid_request", f"The body has to hold an intent, and no more than {sorted(_MEMBERS)}.")
    if intent == CONNECT and holder.smallcase_auth_id is not None:
        raise Refusal(400, "guest_required", "A CONNECT takes the session of a guest.")
    return intent


def body_members(body: bytes) -> dict[str, object] | None:
    """Read a body that has to be one JSON object; None for everything else."""
    try:
        value = strict_body.parse(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def transaction_id_in(query: str) -> str:
    """Give the one transactionId of a query, which has nothing else. Raises Refusal."""
    match parse_qsl(query, keep_blank_values=True):
        case [("transactionId", transaction_id)] if transaction_id:
            return transaction_id
    raise Refusal(400, "invalid_request", "The query has to hold a transactionId, and nothing else.")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode(errors="surrogatepass"))
