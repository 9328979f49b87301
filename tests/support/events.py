"""API Gateway events and gateway secrets as the functions meet them."""

import copy
import json
from typing import Any

from tests.conftest import ROOT

GATEWAY_SECRET = {
    "gateway_name": "acme",
    "secret": "signing-key-0123456789-0123456789-ok",
    "api_secret": "backend-key-0123456789-0123456789-ok",
}
ISSUER = "https://auth.example.com"


def event(name: str, **changes: Any) -> dict[str, Any]:
    """Return the recorded event of that name, with top-level members replaced."""
    recorded: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return {**copy.deepcopy(recorded), **changes}


def gateway_secret(**changes: object) -> str:
    """Return a usable gateway secret as JSON with members replaced; None removes one."""
    members = {**GATEWAY_SECRET, **changes}
    return json.dumps({name: value for name, value in members.items() if value is not None})


def user_event(**claims: object) -> dict[str, Any]:
    """Return a call of the user route with claims replaced; None removes one."""
    call = event("issue_user_token")
    jwt = call["requestContext"]["authorizer"]["jwt"]
    jwt["claims"] = {name: value for name, value in {**jwt["claims"], **claims}.items() if value is not None}
    return call
