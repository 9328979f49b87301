"""Making and ending connections (DynamoDB).

Owns the transactions that keep the table one-to-one: both directions of a connection, and the transaction that it was
made with, are written together or not at all, each under its own condition. Whether a connection may be made is decided
before.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from gatehouse.caller import User
from gatehouse.connections import (
    Connection,
    Connections,
    auth_id_key,
    transaction_key,
    unavailable,
    user_key,
)
from gatehouse.problems import AlreadyConnected, AuthIdTaken, ServiceError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# Others at the same items are done within milliseconds.
ATTEMPTS = 6
PAUSE_SECONDS = 0.05  # at most, before the second attempt; then twice as long each time

CANCELED = "TransactionCanceledException"
CONDITION_FAILED = "ConditionalCheckFailed"
NO_REASON = "None"


class TransactionGone(ServiceError):
    """The transaction is not this user's and unused any more: look at it again."""


class ConnectionWriter(Protocol):
    """Makes and ends connections. Every method raises `ConnectionsUnavailable`."""

    def connect(self, user: User, connection: Connection, transaction_id: str) -> None:
        """Write the connection and use the transaction up for it.

        A user who holds that same id already goes on holding it. Raises `TransactionGone`, `AlreadyConnected`,
        `AuthIdTaken`; the first of these that fits.
        """
        ...

    def disconnect(self, user: User) -> Connection | None:
        """End what the user holds and return it; None for a user who holds nothing."""
        ...


class ConnectionWriterTable:
    """The connections in DynamoDB, written with TransactWriteItems.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """

    def __init__(
        self,
        table_name: str,
        connections: Connections,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        dynamodb: "DynamoDBClient | None" = None,
    ) -> None:
        """`clock` returns epoch seconds, `sleep` takes seconds. Without a client of its own it uses the functions'."""
        self._table_name = table_name
        self._connections = connections
        self._clock = clock
        self._sleep = sleep
        self._dynamodb = dynamodb

    def connect(self, user: User, connection: Connection, transaction_id: str) -> None:
        """See `ConnectionWriter.connect`."""
        used = self._used(user, connection, transaction_id)
        failed = self._write(used, *self._both_directions(user, connection))
        # What is the user's own comes first: of others, only what is left to say is said.
        for index, refusal in enumerate((TransactionGone, AlreadyConnected, AuthIdTaken)):
            if index in failed:
                raise refusal

    def bring(self, user: User, connection: Connection) -> None:
        """Write a connection that was made elsewhere: as `connect` does, but for the transaction that made it.

        Raises `AlreadyConnected`, `AuthIdTaken`, `ConnectionsUnavailable`.
        """
        failed = self._write(*self._both_directions(user, connection))
        for index, refusal in enumerate((AlreadyConnected, AuthIdTaken)):
            if index in failed:
                raise refusal

    def disconnect(self, user: User) -> Connection | None:
        """See `ConnectionWriter.disconnect`."""
        for _ in range(ATTEMPTS):
            connection = self._connections.find(user)
            if connection is None:
                return None
            of_user, of_id = self._deletions(user, connection.smallcase_auth_id)
            failed = self._write(of_user, of_id)
            if failed == {1}:
                # An entry that was written by hand, without its other half, which is somebody else's by now.
                failed = self._write(of_user)
            if not failed:
                return connection
        raise unavailable("changing")

    def _used(self, user: User, connection: Connection, transaction_id: str) -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self._table_name,
                "Key": {"pk": {"S": transaction_key(transaction_id)}},
                "UpdateExpression": "SET used_for = :id",
                "ConditionExpression": "user_pk = :user AND attribute_not_exists(used_for)",
                "ExpressionAttributeValues": {
                    ":id": {"S": connection.smallcase_auth_id},
                    ":user": {"S": user_key(user)},
                },
            }
        }

    def _both_directions(
        self, user: User, connection: Connection
    ) -> tuple["TransactWriteItemTypeDef", "TransactWriteItemTypeDef"]:
        user_pk, auth_id = {"S": user_key(user)}, {"S": connection.smallcase_auth_id}
        assignments = "smallcase_auth_id = :id, connected_at = if_not_exists(connected_at, :now)"
        values: dict[str, Any] = {":id": auth_id, ":now": {"N": str(int(self._clock()))}}
        if connection.broker is not None:
            assignments += ", broker = :broker"
            values[":broker"] = {"S": connection.broker}
        return (
            {
                "Update": {
                    "TableName": self._table_name,
                    "Key": {"pk": user_pk},
                    "UpdateExpression": f"SET {assignments}",
                    "ConditionExpression": "attribute_not_exists(pk) OR smallcase_auth_id = :id",
                    "ExpressionAttributeValues": values,
                }
            },
            {
                "Put": {
                    "TableName": self._table_name,
                    "Item": {"pk": {"S": auth_id_key(connection.smallcase_auth_id)}, "user_pk": user_pk},
                    "ConditionExpression": "attribute_not_exists(pk) OR user_pk = :user",
                    "ExpressionAttributeValues": {":user": user_pk},
                }
            },
        )

    def _deletions(
        self, user: User, smallcase_auth_id: str
    ) -> tuple["TransactWriteItemTypeDef", "TransactWriteItemTypeDef"]:
        return (
            {
                "Delete": {
                    "TableName": self._table_name,
                    "Key": {"pk": {"S": user_key(user)}},
                    "ConditionExpression": "smallcase_auth_id = :id",
                    "ExpressionAttributeValues": {":id": {"S": smallcase_auth_id}},
                }
            },
            {
                "Delete": {
                    "TableName": self._table_name,
                    "Key": {"pk": {"S": auth_id_key(smallcase_auth_id)}},
                    "ConditionExpression": "attribute_not_exists(pk) OR user_pk = :user",
                    "ExpressionAttributeValues": {":user": {"S": user_key(user)}},
                }
            },
        )

    def _write(self, *items: "TransactWriteItemTypeDef") -> set[int]:
        """Write all of the items, or none; return the indexes of those whose condition does not hold.

        Where somebody else is at one of them, it is tried again with growing, random pauses.
        """
        from gatehouse import aws  # noqa: PLC0415 - boto3 is loaded by the first request, not by the import

        for attempt in range(ATTEMPTS):
            try:
                (self._dynamodb or aws.dynamodb()).transact_write_items(TransactItems=items)
            except aws.ERRORS as error:
                if aws.error_code(error) != CANCELED:
                    raise unavailable(aws.error_code(error)) from None
                reasons = aws.cancellation_codes(error)
            else:
                return set()
            if CONDITION_FAILED in reasons and set(reasons) <= {CONDITION_FAILED, NO_REASON}:
                return {index for index, reason in enumerate(reasons) if reason == CONDITION_FAILED}
            if attempt + 1 < ATTEMPTS:
                self._sleep(random.uniform(0, PAUSE_SECONDS * 2**attempt))  # noqa: S311 - jitter is no secret
        raise unavailable("contention")
