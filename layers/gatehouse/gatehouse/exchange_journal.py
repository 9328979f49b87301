"""Which exchange of tokens was begun and is not known to have ended (DynamoDB).

Owns that trace. It is left before an exchange is sent and taken away when its end is known, so a crash or a lost answer
leaves it behind. Whoever finds one knows two things: the upstream may have ended the stored tokens, and under which
version the new ones are, if they came as far as Secrets Manager. It holds version ids, never a token.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gatehouse import aws
from gatehouse.lease import StateUnavailable

log = logging.getLogger(__name__)

# Its version is replaced within the hour that an access token lives; what DynamoDB removes later, is of no use.
KEEP_SECONDS = 24 * 60 * 60

INTEGRATION_TOKENS = "exchange#integration-tokens"


@dataclass(frozen=True, slots=True)
class Begun:
    """An exchange that was begun."""

    tokens_version_id: str  # what was stored then
    candidate_id: str  # the version that its tokens are put under

    def is_settled(self, current_version_id: str) -> bool:
        """Whether its tokens are the ones that are stored now."""
        return self.candidate_id == current_version_id


class ExchangeJournal(Protocol):
    """Remembers the exchange that was begun last. Every method raises `StateUnavailable`."""

    def read(self) -> Begun | None:
        """Return the exchange that is not known to have ended."""
        ...

    def begin(self, begun: Begun) -> None:
        """Remember this one, whatever was remembered before."""
        ...

    def end(self, begun: Begun) -> None:
        """Forget this one, but no other that was begun since."""
        ...


def find_unsettled(journal: ExchangeJournal, current_version_id: str) -> Begun | None:
    """Return the exchange that nobody knows the end of. Raises `StateUnavailable`."""
    begun = journal.read()
    return None if begun is None or begun.is_settled(current_version_id) else begun


def forget(journal: ExchangeJournal, begun: Begun, before: Begun | None = None) -> None:
    """Put back what was remembered before. Where that fails it is logged, and the trace is one too many."""
    try:
        if before is None:
            journal.end(begun)
        else:
            journal.begin(before)
    except StateUnavailable as error:
        log.warning("exchange.not_forgotten", extra={"reason": error.reason})


def leave(journal: ExchangeJournal, begun: Begun) -> None:
    """Have the trace stay, which another run may have written over. Where that fails it is logged."""
    try:
        journal.begin(begun)
    except StateUnavailable as error:
        log.warning("exchange.not_remembered", extra={"reason": error.reason})


class DynamoDBExchangeJournal:
    """The trace in the state table."""

    def __init__(self, table_name: str, key: str, clock: Callable[[], float]) -> None:
        """`clock` returns epoch seconds."""
        self._table_name = table_name
        self._key = key
        self._clock = clock

    def read(self) -> Begun | None:
        """See `ExchangeJournal.read`."""
        try:
            answer = aws.dynamodb().get_item(
                TableName=self._table_name, Key={"pk": {"S": self._key}}, ConsistentRead=True
            )
        except aws.ERRORS as error:
            raise StateUnavailable(aws.error_code(error)) from None
        item = answer.get("Item")
        return None if item is None else Begun(item["tokens_version_id"]["S"], item["candidate_id"]["S"])

    def begin(self, begun: Begun) -> None:
        """See `ExchangeJournal.begin`."""
        item = {
            "pk": {"S": self._key},
            "tokens_version_id": {"S": begun.tokens_version_id},
            "candidate_id": {"S": begun.candidate_id},
            "ttl": {"N": str(int(self._clock()) + KEEP_SECONDS)},
        }
        try:
            aws.dynamodb().put_item(TableName=self._table_name, Item=item)
        except aws.ERRORS as error:
            raise StateUnavailable(aws.error_code(error)) from None

    def end(self, begun: Begun) -> None:
        """See `ExchangeJournal.end`."""
        try:
            aws.dynamodb().delete_item(
                TableName=self._table_name,
                Key={"pk": {"S": self._key}},
                ConditionExpression="candidate_id = :candidate_id",
                ExpressionAttributeValues={":candidate_id": {"S": begun.candidate_id}},
            )
        except aws.ERRORS as error:
            if aws.error_code(error) != aws.CONDITION_FAILED:
                raise StateUnavailable(aws.error_code(error)) from None
