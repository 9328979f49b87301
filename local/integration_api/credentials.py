"""Reading what a request presents: its target, and credentials, a refresh token or an access token.

Owns the documented forms. Credentials come as a JSON body `{"api_key", "secret_key"}` (option 1) or in the headers
`Api-Key` and `Api-Secret` without a body (option 2), one way at a time. Never says whether they are right.

Stricter than any document asks for, so that a client which sends more than is documented is noticed here first:
unknown members, duplicate ones and half a pair of headers are refused.
"""

from collections.abc import Mapping

from local import strict_body
from local.http_router import Request
from local.integration_api.authority import Refusal
from local.integration_api.settings import Credentials, Settings


def headers_by_name(request: Request) -> dict[str, str]:
    """Give the headers by lower-case name; one that came several times holds all its values, and so fits nothing."""
    return {name.lower(): ", ".join(request.header_all(name)) for name, _ in request.headers}


def check_target(headers: Mapping[str, str], target: str) -> None:
    """Demand the X-Target-Server that goes with an endpoint; raises Refusal.

    Documented is which value each call needs. What comes without it is not: status and code are the simulator's.
    """
    if headers.get("x-target-server") != target:
        raise Refusal(400, "INVALID_TARGET_SERVER", f"Send X-Target-Server: {target}.")


def presented_credentials(headers: Mapping[str, str], body: bytes, settings: Settings) -> Credentials:
    """Give the credentials of an `authenticate` request, whichever way they came.

    `headers` has lower-case names. Raises Refusal (400, or 415 for a body that is not declared as JSON).
    """
    way = credentials_in(headers, body)
    if way is None or way == "both":
        raise _invalid("Send the credentials either in the body or in Api-Key and Api-Secret.")
    if not (settings.accept_headers if way == "headers" else settings.accept_body):
        raise _invalid(f"Credentials in the {way} are not read here.")  # so there are none, as far as it can see
    if way == "headers":
        key, secret = headers.get("api-key", ""), headers.get("api-secret", "")
        if not key or not secret:
            raise _invalid("Api-Key and Api-Secret belong together.")
        return Credentials(key, secret)
    members = _strings(headers, body, {"api_key", "secret_key"})
    return Credentials(members["api_key"], members["secret_key"])


def credentials_in(headers: Mapping[str, str], body: bytes) -> str | None:
    """Say where an `authenticate` request has credentials: `headers`, `body`, `both`, or None for nowhere."""
    if "api-key" in headers or "api-secret" in headers:
        return "both" if body else "headers"
    return "body" if body else None


def presented_refresh_token(headers: Mapping[str, str], body: bytes) -> str:
    """Give the refresh token of a `refresh` request; raises Refusal like `presented_credentials`."""
    return _strings(headers, body, {"refresh_token"})["refresh_token"]


def bearer_token(headers: Mapping[str, str]) -> str:
    """Give the token of `Authorization: Bearer …`; raises Refusal (401) where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal(401, "INVALID_TOKEN", "Send Authorization: Bearer with an access token.")
    return token.strip()


def json_object(headers: Mapping[str, str], body: bytes) -> dict[str, object]:
    """Read a body that has to be one JSON object and has to be declared as JSON; raises Refusal (400 or 415)."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "Send Content-Type: application/json.")
    try:
        value = strict_body.parse(body)
    except (ValueError, RecursionError):
        raise _invalid("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise _invalid("The body is not a JSON object.")
    return value


def _strings(headers: Mapping[str, str], body: bytes, names: set[str]) -> dict[str, str]:
    members = json_object(headers, body)
    found = {name: value for name, value in members.items() if isinstance(value, str) and value}
    if found.keys() != names or len(members) != len(names):
        raise _invalid("The body has to hold exactly these members, as strings.", {"members": sorted(names)})
    return found


def _invalid(message: str, details: object = None) -> Refusal:
    return Refusal(400, "INVALID_REQUEST", message, details=details)
