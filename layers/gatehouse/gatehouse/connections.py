"""Which user holds which smallcaseAuthId (DynamoDB).

Owns the layout of the connections table, and finding what a user holds. It never guesses: a table that cannot be read,
or an entry that is not what it should be, is an error and not "nobody". Writing is `connection_writer`'s.

| `pk` | other attributes |
|---|---|
| `USER#<iss>#<sub>` | `smallcase_auth_id`, `broker`?, `connected_at` (epoch seconds) |
| `AUTHID#<smallcaseAuthId>` | `user_pk` |
| `TXN#<transactionId>` | `user_pk`, `expire_at` (epoch seconds), `used_for`? (a smallcaseAuthId), `ttl` |
"""

import logging
from typing import NamedTuple, Protocol

from gatehouse.caller import User
from gatehouse.problems import ConnectionsUnavailable

log = logging.getLogger(__name__)


class Connection(NamedTuple):
    """What a connected user holds. The broker is known where the Gateway told it."""

    smallcase_auth_id: str
    broker: str | None = None


class Connections(Protocol):
    """Finds what a user holds. Every method raises `ConnectionsUnavailable`."""

    def find(self, user: User) -> Connection | None:
        """Return what the user holds, None for a user who holds nothing."""
        ...

    def smallcase_auth_id(self, user: User) -> str | None:
        """Return the smallcaseAuthId that the user holds, None for a user who holds none."""
        ...


def user_key(user: User) -> str:
    """Return the partition key of a user's entry: `USER#<iss>#<sub>`."""
    return f"USER#{user.issuer}#{user.subject}"


def user_of(key: str) -> User:
    """Return the user of such a key. An issuer has no `#`: it is a URL without a fragment (OpenID Connect Core, 2)."""
    issuer, _, subject = key.removeprefix("USER#").partition("#")
    return User(issuer, subject)


def auth_id_key(smallcase_auth_id: str) -> str:
    """Return the partition key of the entry that says whose a smallcaseAuthId is."""
    return f"AUTHID#{smallcase_auth_id}"


def transaction_key(transaction_id: str) -> str:
    """Return the partition key of a pending or used transaction."""
    return f"TXN#{transaction_id}"


def unavailable(reason: str) -> ConnectionsUnavailable:
    """Log why the table is of no use, and return the error to raise."""
    log.error("connections.unavailable", extra={"reason": reason})
    return ConnectionsUnavailable(reason)


class ConnectionsTable:
    """The connections in DynamoDB. Reads are consistent: a connection made a moment ago counts."""

    def __init__(self, table_name: str) -> None:
        self._table_name = table_name

    def find(self, user: User) -> Connection | None:
        """See `Connections.find`."""
        from gatehouse import aws  # noqa: PLC0415 - boto3 is loaded by the first request, not by the import

        try:
            item = (
                aws.dynamodb()
                .get_item(
                    TableName=self._table_name,
                    Key={"pk": {"S": user_key(user)}},
                    ConsistentRead=True,
                    ProjectionExpression="smallcase_auth_id, broker",
                )
                .get("Item")
            )
        except aws.ERRORS as error:
            raise unavailable(aws.error_code(error)) from None
        if item is None:
            return None
        smallcase_auth_id = item.get("smallcase_auth_id", {}).get("S")
        if not smallcase_auth_id:
            raise unavailable("entry_without_smallcase_auth_id")
        return Connection(smallcase_auth_id, item.get("broker", {}).get("S"))

    def smallcase_auth_id(self, user: User) -> str | None:
        """See `Connections.smallcase_auth_id`."""
        connection = self.find(user)
        return connection.smallcase_auth_id if connection else None
