"""Which credentials the upstream has rejected (DynamoDB).

Owns that memory, so that a wrong key is tried once and does not become a hammer. A key is known by the version of its
secret, the base URL it was tried at and the way it was sent; it is never stored itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gatehouse import aws
from gatehouse.lease import StateUnavailable
from gatehouse.settings import CredentialsIn


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried: another version, place or way is another attempt."""

    version_id: str
    base_url: str
    credentials_in: CredentialsIn

    @property
    def key(self) -> str:
        """The partition key of its entry."""
        return f"rejected#{self.credentials_in}#{self.version_id}#{self.base_url}"


class RejectedCredentials(Protocol):
    """Remembers attempts that were rejected. Every method raises `StateUnavailable`."""

    def contains(self, attempt: Attempt) -> bool:
        """Return whether the attempt was rejected before."""
        ...

    def add(self, attempt: Attempt) -> None:
        """Remember the attempt."""
        ...

    def remove(self, attempt: Attempt) -> None:
        """Forget the attempt: it succeeded after all."""
        ...


class DynamoDBRejectedCredentials:
    """The memory in the state table. Entries stay: there is one for each rejected version."""

    def __init__(self, table_name: str, clock: Callable[[], float]) -> None:
        """`clock` returns epoch seconds."""
        self._table_name = table_name
        self._clock = clock

    def contains(self, attempt: Attempt) -> bool:
        """See `RejectedCredentials.contains`."""
        try:
            answer = aws.dynamodb().get_item(
                TableName=self._table_name, Key={"pk": {"S": attempt.key}}, ConsistentRead=True
            )
        except aws.ERRORS as error:
            raise StateUnavailable(aws.error_code(error)) from None
        return "Item" in answer

    def add(self, attempt: Attempt) -> None:
        """See `RejectedCredentials.add`."""
        item = {"pk": {"S": attempt.key}, "rejected_at": {"N": str(int(self._clock()))}}
        try:
            aws.dynamodb().put_item(TableName=self._table_name, Item=item)
        except aws.ERRORS as error:
            raise StateUnavailable(aws.error_code(error)) from None

    def remove(self, attempt: Attempt) -> None:
        """See `RejectedCredentials.remove`."""
        try:
            aws.dynamodb().delete_item(TableName=self._table_name, Key={"pk": {"S": attempt.key}})
        except aws.ERRORS as error:
            raise StateUnavailable(aws.error_code(error)) from None
