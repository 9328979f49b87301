"""Starting a transaction at the smallcase Gateway for a user.

Owns what a browser may ask for, and remembering whose a transaction is before its id is told to anybody.
"""

import logging
from collections.abc import Collection
from typing import NamedTuple

from gatehouse import strict_json
from gatehouse.caller import User
from gatehouse.connections import Connections
from gatehouse.gateway_secret import GatewaySecret
from gatehouse.json_request import read_text
from gatehouse.pending_transactions import PendingTransactions
from gatehouse.problems import GatewayUnavailable, IntentNotAllowed, InvalidRequest
from gatehouse.secrets import CachedSecret
from gatehouse.smallcase import SmallcaseGateway
from gatehouse.smallcase_answer import Started
from gatehouse.strict_json import Json

log = logging.getLogger(__name__)

CONNECT = "CONNECT"

MAX_INTENT_CHARACTERS = 64
MAX_CONFIG_BYTES = 32 * 1024  # hundreds of orders
MAX_NOTES_CHARACTERS = 1024


class Order(NamedTuple):
    """What a browser asks for. `members` are what goes on to the Gateway, the intent included."""

    intent: str
    members: dict[str, Json]


def read_order(members: dict[str, Json], allowed_intents: Collection[str]) -> Order:
    """Judge what a browser asks for. Raises `InvalidRequest` and `IntentNotAllowed`.

    `orderConfig` and `assetConfig` are objects and `notes` is a text, each where it is there; nothing else goes on.
    """
    intent = read_text(members, "intent", MAX_INTENT_CHARACTERS)
    passed: dict[str, Json] = {"intent": intent}
    for name in ("orderConfig", "assetConfig"):
        if name in members:
            passed[name] = _config(name, members[name])
    if members.get("notes", "") != "":
        passed["notes"] = read_text(members, "notes", MAX_NOTES_CHARACTERS)
    if intent not in allowed_intents:
        raise IntentNotAllowed
    return Order(intent, passed)


def _config(name: str, value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise InvalidRequest
    try:
        size = len(strict_json.render({name: value}))  # as deep as it goes out
    except strict_json.NotStrictJson:
        raise InvalidRequest from None
    if size > MAX_CONFIG_BYTES:
        raise InvalidRequest
    return value


class TransactionStarter:
    """Starts transactions."""

    def __init__(
        self,
        connections: Connections,
        transactions: PendingTransactions,
        secret: CachedSecret[GatewaySecret],
        gateway: SmallcaseGateway,
    ) -> None:
        self._connections = connections
        self._transactions = transactions
        self._secret = secret
        self._gateway = gateway

    def start(self, user: User, order: Order, deadline: float) -> Started:
        """Start a transaction and return it, remembered as this user's.

        A CONNECT is made as a guest, whoever asks (the vendor's documentation). Anything else is made as what the user
        is: connected, or a guest. The Gateway is not waited for beyond `deadline`, in epoch seconds. Raises what
        `problems` answers.
        """
        secret = self._secret.get()
        smallcase_auth_id = None if order.intent == CONNECT else self._connections.smallcase_auth_id(user)
        started = self._gateway.start_transaction(secret, smallcase_auth_id, order.members, deadline)
        if not self._transactions.remember(started.transaction_id, user, started.expire_at):
            log.error("gateway.unavailable", extra={"reason": "repeated_transaction_id"})
            raise GatewayUnavailable("repeated_transaction_id")
        log.info("transaction.started", extra={"intent": order.intent})
        return started


def render(started: Started) -> dict[str, object]:
    """Return the document that answers a start."""
    return {"transactionId": started.transaction_id, "expiresAt": started.expire_at}
