"""A lease: for a while, one run at a time (DynamoDB).

Owns politeness, not safety: it keeps two runs from talking to the upstream at once. Should it ever fail to, the
compare-and-swap of the store still holds.
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from gatehouse import aws
from gatehouse.problems import ServiceError

log = logging.getLogger(__name__)

# Longer than the 30 seconds that a function can run: a lease never ends under its holder.
LEASE_SECONDS = 45

INTEGRATION_TOKENS = "lease#integration-tokens"


class StateUnavailable(ServiceError):
    """The state table cannot be reached. `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"state unavailable: {reason}")
        self.reason = reason


class Lease(Protocol):
    """Something that one run holds at a time."""

    def acquire(self, owner: str) -> bool:
        """Return whether `owner` holds the lease now. Raises `StateUnavailable`."""
        ...

    def release(self, owner: str) -> None:
        """Give the lease back if `owner` still holds it. Raises `StateUnavailable`."""
        ...


@contextmanager
def hold(lease: Lease) -> Iterator[bool]:
    """Yield whether the lease was got, and give it back afterwards. Raises `StateUnavailable` where nobody can tell."""
    owner = str(uuid.uuid4())
    held = lease.acquire(owner)
    try:
        yield held
    finally:
        if held:
            try:
                lease.release(owner)
            except StateUnavailable as error:
                # It ends by itself; the work that it was for is done.
                log.warning("lease.not_released", extra={"reason": error.reason})


class DynamoDBLease:
    """A lease in the state table. It ends by itself after `LEASE_SECONDS`."""

    def __init__(self, table_name: str, key: str, clock: Callable[[], float]) -> None:
        """`clock` returns epoch seconds."""
        self._table_name = table_name
        self._key = key
        self._clock = clock

    def acquire(self, owner: str) -> bool:
        """See `Lease.acquire`."""
        now = self._clock()
        ends_at = now + LEASE_SECONDS
        try:
            aws.dynamodb().put_item(
                TableName=self._table_name,
                Item={
                    "pk": {"S": self._key},
                    "owner": {"S": owner},
                    "ends_at": {"N": f"{ends_at:.3f}"},
                    "ttl": {"N": str(int(ends_at) + LEASE_SECONDS)},
                },
                # The second branch is for an answer that was lost: the retry finds its own lease.
                ConditionExpression="attribute_not_exists(pk) OR #owner = :owner OR ends_at <= :now",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": {"S": owner}, ":now": {"N": f"{now:.3f}"}},
            )
        except aws.ERRORS as error:
            if aws.error_code(error) == aws.CONDITION_FAILED:
                return False
            raise StateUnavailable(aws.error_code(error)) from None
        return True

    def release(self, owner: str) -> None:
        """See `Lease.release`."""
        try:
            aws.dynamodb().delete_item(
                TableName=self._table_name,
                Key={"pk": {"S": self._key}},
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": {"S": owner}},
            )
        except aws.ERRORS as error:
            if aws.error_code(error) != aws.CONDITION_FAILED:
                raise StateUnavailable(aws.error_code(error)) from None
