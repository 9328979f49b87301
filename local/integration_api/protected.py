"""What the protected endpoints answer once a request's token is good.

Made up, all of it, but for one thing: creating a market echoes what was sent, a webhook's password included. Never
keeps what it is sent, so that no such password stays in memory.
"""

from collections.abc import Mapping

from local.integration_api.authority import Refusal
from local.integration_api.credentials import json_object


def markets(_headers: Mapping[str, str], _body: bytes) -> object:
    """List the same market to everybody."""
    return {"markets": [{"node_id": "node-1", "domain": "shop.example"}]}


def create_market(headers: Mapping[str, str], body: bytes) -> object:
    """Echo a market; raises Refusal (400 or 415) where it is not JSON or lacks a documented member."""
    market = json_object(headers, body)
    if missing := sorted({"node_id", "domain"} - market.keys()):
        raise Refusal(400, "INVALID_REQUEST", "Members are missing.", details={"members": missing})
    return market


def holdings(_headers: Mapping[str, str], _body: bytes) -> object:
    """List the same holding to everybody."""
    return {"holdings": [{"symbol": "EXAMPLE", "quantity": 1}]}
