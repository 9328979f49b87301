"""Webhook deliveries as their senders make them: an order's postback of smallcase, a delivery of the brokerage.

Owns their form, right and wrong. Pure: secrets and the time are arguments. What it makes is sent to the API's real
routes, and to nothing else.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

BASIC, TOKEN = 1, 2
"""The types of an entry of `WebhookCredentials`, as the brokerage numbers them."""

_JSON: Final = ("Content-Type", "application/json")


class Delivery(NamedTuple):
    """A request to one of the webhook routes."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        """Say where it goes. The rest holds credentials."""
        return f"Delivery({self.path!r})"


class Sender(NamedTuple):
    """Who can send in this run. `id` names it to the page; `source` and `entry` are of `WebhookCredentials`."""

    id: str
    label: str
    source: str | None = None
    entry: Mapping[str, object] = {}
    token_header: str | None = None


SMALLCASE: Final = Sender("smallcase", "smallcase, an order")


def senders(webhook_credentials: Mapping[str, object]) -> list[Sender]:
    """Return smallcase, and each credential of each source of the brokerage."""
    found = [SMALLCASE]
    for source, configured in webhook_credentials.items():
        if not isinstance(configured, dict) or not isinstance(configured.get("authentication"), list):
            continue
        header = configured.get("token_header")
        for number, entry in enumerate(configured["authentication"]):
            if isinstance(entry, dict) and (way := _WAYS.get(entry.get("type"))) is not None:
                token_header = header if isinstance(header, str) else None
                found.append(Sender(f"{source}.{number}", f"{source}, {way}", source, entry, token_header))
    return found


_WAYS: Final[Mapping[object, str]] = {BASIC: "HTTP Basic", TOKEN: "token"}


def smallcase_order(api_secret: str, encoding: str, now: datetime) -> Delivery:
    """Return a completed order's postback, new each time. `encoding` is the parameter `ChecksumEncoding`."""
    body: dict[str, object] = {
        "smallcaseAuthId": secrets.token_hex(12),
        "transactionId": f"TRX_{secrets.token_hex(8)}",
        "batchId": secrets.token_hex(12),
        "status": "COMPLETED",
        "variety": "SECURITIES",
        "orders": [
            {
                "tradingsymbol": "INFY",
                "exchange": "NSE",
                "transactionType": "BUY",
                "quantity": 5,
                "filledQuantity": 5,
                "averagePrice": 1520.05,
                "status": "COMPLETE",
            }
        ],
        "timestamp": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    covered = f"{body['timestamp']}{body['smallcaseAuthId']}".encode()
    digest = hmac.digest(api_secret.encode(), covered, hashlib.sha256)
    body["checksum"] = base64.b64encode(digest).decode() if encoding == "base64" else digest.hex()
    return Delivery("/v1/webhooks/smallcase/orders", (_JSON,), json.dumps(body).encode())


def of_brokerage(sender: Sender) -> Delivery:
    """Return a delivery of a source, new each time. Its form is made up: none is documented."""
    entry = sender.entry
    if entry.get("type") == BASIC:
        pair = f"{entry.get('username')}:{entry.get('password')}".encode()
        credential = ("Authorization", f"Basic {base64.b64encode(pair).decode()}")
    elif sender.token_header is None:
        credential = ("Authorization", f"Bearer {entry.get('token')}")
    else:
        credential = (sender.token_header, str(entry.get("token")))
    body = json.dumps({"event": "holding.updated", "reference": secrets.token_hex(8)}).encode()
    return Delivery(f"/v1/webhooks/integration/{sender.source}", (_JSON, credential), body)


def forged(sender: Sender, now: datetime) -> Delivery:
    """Return what somebody would send who knows everything but the secret."""
    guess = secrets.token_hex(32)
    if sender.source is None:
        return smallcase_order(guess, "hex", now)
    return of_brokerage(sender._replace(entry={**sender.entry, "password": guess, "token": guess}))
