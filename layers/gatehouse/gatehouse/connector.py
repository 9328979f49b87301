"""Connecting a user with a smallcaseAuthId, and ending that.

Owns the order of steps: (a) whom the token names, (b) whose the transaction is, (c) who completed it, and only then the
table. What each step takes is `session_token`'s and `connection_policy`'s to say.
"""

import logging
from collections.abc import Callable
from typing import Literal, NamedTuple

from gatehouse.bus import Bus, announce
from gatehouse.caller import User
from gatehouse.connection_policy import check_details, check_owner, check_repetition, check_time
from gatehouse.connection_writer import ConnectionWriter, TransactionGone
from gatehouse.connections import Connection, Connections, unavailable, user_key, user_of
from gatehouse.gateway_secret import GatewaySecret
from gatehouse.http import MAX_BODY_BYTES
from gatehouse.json_request import read_text
from gatehouse.pending_transactions import PendingTransactions
from gatehouse.problems import InvalidRequest, TransactionUnknown, TransactionUsed
from gatehouse.secret_value import Secret
from gatehouse.secrets import CachedSecret
from gatehouse.session_token import MAX_ID_CHARACTERS, is_smallcase_id, verify
from gatehouse.smallcase import SmallcaseGateway
from gatehouse.strict_json import Json

log = logging.getLogger(__name__)

SOURCE = "gatehouse.connections"

By = Literal["browser", "webhook"]


class Proof(NamedTuple):
    """What a browser shows: the token and the transaction that the vendor's SDK has handed it."""

    smallcase_auth_token: Secret
    transaction_id: str


def read_proof(members: dict[str, Json]) -> Proof:
    """Read a browser's request; other members are of no account. Raises `InvalidRequest`."""
    transaction_id = read_text(members, "transactionId", MAX_ID_CHARACTERS)
    if not is_smallcase_id(transaction_id):
        raise InvalidRequest
    return Proof(Secret(read_text(members, "smallcaseAuthToken", MAX_BODY_BYTES)), transaction_id)


class Stores(NamedTuple):
    """The three views of the connections table."""

    connections: Connections
    transactions: PendingTransactions
    writer: ConnectionWriter


class Connector:
    """Makes and ends connections."""

    def __init__(
        self,
        stores: Stores,
        secret: CachedSecret[GatewaySecret],
        gateway: SmallcaseGateway | None,
        bus: Bus,
        clock: Callable[[], float],
    ) -> None:
        """`gateway` is asked who completed a transaction; None: nobody is. `clock` returns epoch seconds."""
        self._stores = stores
        self._secret = secret
        self._gateway = gateway
        self._bus = bus
        self._clock = clock

    def connect(self, user: User, proof: Proof, deadline: float) -> Connection:
        """Connect the user with the smallcaseAuthId of the token, and return the connection.

        The Gateway is not waited for beyond `deadline`, in epoch seconds. Raises what `problems` answers.
        """
        secret, transaction_id = self._secret.get(), proof.transaction_id
        smallcase_auth_id = verify(
            proof.smallcase_auth_token,
            secret=secret.secret,
            previous_secret=secret.previous_secret,
            now=self._clock(),
        )
        pending = check_owner(self._stores.transactions.find(transaction_id), user_key(user))
        if pending.used_for is not None:
            return self._again(user, pending.used_for, smallcase_auth_id)
        if self._gateway is None:
            check_time(pending, self._clock())
            connection = Connection(smallcase_auth_id)
        else:
            connection = _confirmed(self._gateway, secret, smallcase_auth_id, transaction_id, deadline)
        try:
            self._write(user, connection, transaction_id, "browser")
        except TransactionGone:
            # Another request of the same user was faster, or the transaction was forgotten this very moment.
            pending = check_owner(self._stores.transactions.find(transaction_id), user_key(user))
            if pending.used_for is None:
                raise unavailable("changing") from None
            return self._again(user, pending.used_for, smallcase_auth_id)
        return connection

    def connect_by_webhook(self, transaction_id: str, smallcase_auth_id: str, deadline: float) -> None:
        """Connect whoever has started the transaction with the smallcaseAuthId that completed it.

        There is no token, so the Gateway has to be asked. Raises what `connect` raises, and `TransactionUsed` where the
        browser came first.
        """
        pending = self._stores.transactions.find(transaction_id)
        if pending is None or self._gateway is None:
            raise TransactionUnknown
        if pending.used_for is not None:
            raise TransactionUsed
        secret = self._secret.get()
        connection = _confirmed(self._gateway, secret, smallcase_auth_id, transaction_id, deadline)
        try:
            self._write(user_of(pending.user_pk), connection, transaction_id, "webhook")
        except TransactionGone:
            raise TransactionUsed from None

    def disconnect(self, user: User) -> None:
        """End what the user holds, if there is anything. Raises `ConnectionsUnavailable`."""
        ended = self._stores.writer.disconnect(user)
        if ended is not None:
            log.info("connection.ended")
            announce(self._bus, "connections.disconnected", _detail(user, ended))

    def _again(self, user: User, used_for: str, smallcase_auth_id: str) -> Connection:
        held = self._stores.connections.find(user)
        if held is None:
            raise TransactionUsed
        check_repetition(used_for, smallcase_auth_id, held.smallcase_auth_id)
        return held

    def _write(self, user: User, connection: Connection, transaction_id: str, by: By) -> None:
        self._stores.writer.connect(user, connection, transaction_id)
        log.info("connection.made", extra={"by": by})
        announce(self._bus, "connections.connected", {**_detail(user, connection), "by": by})


def _confirmed(
    gateway: SmallcaseGateway, secret: GatewaySecret, smallcase_auth_id: str, transaction_id: str, deadline: float
) -> Connection:
    """Return the connection that the transaction stands for, by the Gateway's own word."""
    details = gateway.transaction_details(secret, smallcase_auth_id, transaction_id, deadline)
    check_details(details, smallcase_auth_id)
    return Connection(smallcase_auth_id, details.broker)


def render(connection: Connection) -> dict[str, object]:
    """Return the document that answers a connection."""
    document: dict[str, object] = {"user": "connected"}
    return document if connection.broker is None else {**document, "broker": connection.broker}


def _detail(user: User, connection: Connection) -> dict[str, object]:
    detail: dict[str, object] = {
        "issuer": user.issuer,
        "subject": user.subject,
        "smallcase_auth_id": connection.smallcase_auth_id,
    }
    return detail if connection.broker is None else {**detail, "broker": connection.broker}
