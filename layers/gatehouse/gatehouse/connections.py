"""Which user holds which smallcaseAuthId (DynamoDB).

Owns the layout of the connections table. It never guesses: a table that cannot be read, or an entry that is not what it
should be, is an error and not "nobody".
"""

import logging
from typing import Protocol

from gatehouse.caller import User
from gatehouse.problems import ConnectionsUnavailable

log = logging.getLogger(__name__)


class Connections(Protocol):
    """Finds what a user holds."""

    def smallcase_auth_id(self, user: User) -> str | None:
        """Return the smallcaseAuthId that the user holds, None for a user who holds none.

        Raises `ConnectionsUnavailable`.
        """
        ...


def user_key(user: User) -> str:
    """Return the partition key of a user's entry: `USER#<iss>#<sub>`."""
    return f"USER#{user.issuer}#{user.subject}"


class ConnectionsTable:
    """The connections in DynamoDB. Reads are consistent: a connection made a moment ago counts."""

    def __init__(self, table_name: str) -> None:
        self._table_name = table_name

    def smallcase_auth_id(self, user: User) -> str | None:
        """See `Connections.smallcase_auth_id`."""
        from gatehouse import aws  # noqa: PLC0415 - boto3 is loaded by the first request, not by the import

        try:
            item = (
                aws.dynamodb()
                .get_item(
                    TableName=self._table_name,
                    Key={"pk": {"S": user_key(user)}},
                    ConsistentRead=True,
                    ProjectionExpression="smallcase_auth_id",
                )
                .get("Item")
            )
        except aws.ERRORS as error:
            raise self._failure(aws.error_code(error)) from None
        if item is None:
            return None
        smallcase_auth_id = item.get("smallcase_auth_id", {}).get("S")
        if not smallcase_auth_id:
            raise self._failure("entry_without_smallcase_auth_id")
        return smallcase_auth_id

    @staticmethod
    def _failure(reason: str) -> ConnectionsUnavailable:
        log.error("connections.unavailable", extra={"reason": reason})
        return ConnectionsUnavailable(reason)
