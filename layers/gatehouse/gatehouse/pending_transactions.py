"""Transactions that users have started and may still make a connection with (DynamoDB).

Owns remembering whose a transaction is. It is remembered once and for one user: an id that is known already is never
taken over. `connection_writer` marks it as used, together with what it was used for.
"""

from collections.abc import Callable
from typing import Protocol

from gatehouse.caller import User
from gatehouse.connection_policy import Pending
from gatehouse.connections import transaction_key, unavailable, user_key

# How long a transaction is remembered after its expireAt: until then it is told apart from one that never was, and the
# vendor's last postback (after 48 hours) still finds it.
KEEP_SECONDS = 30 * 24 * 60 * 60


class PendingTransactions(Protocol):
    """Remembers transactions. Every method raises `ConnectionsUnavailable`."""

    def remember(self, transaction_id: str, user: User, expire_at: int) -> bool:
        """Remember whose the transaction is; return False where the id is somebody else's, or used, already."""
        ...

    def find(self, transaction_id: str) -> Pending | None:
        """Return what is known of the transaction."""
        ...


class PendingTransactionsTable:
    """Transactions in the connections table. Reads are consistent."""

    def __init__(self, table_name: str, clock: Callable[[], float]) -> None:
        """`clock` returns epoch seconds."""
        self._table_name = table_name
        self._clock = clock

    def remember(self, transaction_id: str, user: User, expire_at: int) -> bool:
        """See `PendingTransactions.remember`."""
        from gatehouse import aws  # noqa: PLC0415 - boto3 is loaded by the first request, not by the import

        try:
            aws.dynamodb().put_item(
                TableName=self._table_name,
                Item={
                    "pk": {"S": transaction_key(transaction_id)},
                    "user_pk": {"S": user_key(user)},
                    "expire_at": {"N": str(expire_at)},
                    # An expireAt of long ago must not make it immortal: DynamoDB leaves what is five years late.
                    "ttl": {"N": str(max(expire_at, int(self._clock())) + KEEP_SECONDS)},
                },
                # The second branch is for an answer that was lost: the retry finds its own entry.
                ConditionExpression="attribute_not_exists(pk) OR (user_pk = :user AND attribute_not_exists(used_for))",
                ExpressionAttributeValues={":user": {"S": user_key(user)}},
            )
        except aws.ERRORS as error:
            if aws.error_code(error) == aws.CONDITION_FAILED:
                return False
            raise unavailable(aws.error_code(error)) from None
        return True

    def find(self, transaction_id: str) -> Pending | None:
        """See `PendingTransactions.find`."""
        from gatehouse import aws  # noqa: PLC0415 - see above

        try:
            item = (
                aws.dynamodb()
                .get_item(
                    TableName=self._table_name,
                    Key={"pk": {"S": transaction_key(transaction_id)}},
                    ConsistentRead=True,
                    ProjectionExpression="user_pk, expire_at, used_for",
                )
                .get("Item")
            )
        except aws.ERRORS as error:
            raise unavailable(aws.error_code(error)) from None
        if item is None:
            return None
        try:
            return Pending(item["user_pk"]["S"], int(item["expire_at"]["N"]), item.get("used_for", {}).get("S"))
        except (KeyError, ValueError):
            raise unavailable("transaction_entry") from None
