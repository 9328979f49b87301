"""Deliveries out of the event log, page by page.

Owns which entries are asked for, and in which order they come: that in which they were received. It never writes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gatehouse.envelope import Envelope, NotAnEnvelope
from gatehouse.event_log import LogUnavailable, read_entry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "by_source"
PAGE = 100

# DynamoDB returns at most 16 MB at once, and less when it is busy: what is missing is asked for again.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
READ_ATTEMPTS = 6
PAUSE_SECONDS = 0.2  # before the second attempt, then twice as long each time


class Selection(NamedTuple):
    """Which deliveries: of one source, from `since` to `until`, both included, and of these perhaps a single one.

    Times are written as `received_at` is, in whole seconds of UTC: as texts they have the order of time.
    """

    source: str  # smallcase, or integration.<source>
    since: str
    until: str
    id: str | None


class Listed(NamedTuple):
    """An entry as the index has it: without the body."""

    identity: str
    id: str
    received_at: str
    kind: str | None
    state: str


class LogReader:
    """Reads the webhooks table."""

    def __init__(self, client: "DynamoDBClient", table_name: str, sleep: Callable[[float], object]) -> None:
        self._client = client
        self._table_name = table_name
        self._sleep = sleep

    def count(self, selection: Selection) -> int:
        """Return how many deliveries are selected."""
        return sum(page["Count"] for page in self._query(selection, Select="COUNT"))

    def pages(self, selection: Selection) -> Iterator[list[Listed]]:
        """Yield the selected deliveries, the oldest first. An empty page is none."""
        for page in self._query(selection):
            if page["Items"]:
                yield [_listed(item) for item in page["Items"]]

    def envelopes(self, listed: Sequence[Listed]) -> dict[str, Envelope]:
        """Return the deliveries by identity, at most 100 at once; one that has expired or cannot be read is missing.

        Raises `LogUnavailable` where DynamoDB keeps leaving some out, and botocore's errors.
        """
        keys: list[Any] = [{"pk": {"S": each.identity}} for each in listed]
        found: dict[str, Envelope] = {}
        for attempt in range(READ_ATTEMPTS):
            if attempt:
                self._sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
            answer = self._client.batch_get_item(
                RequestItems={self._table_name: {"Keys": keys, "ConsistentRead": True}}
            )
            for item in answer["Responses"].get(self._table_name, []):
                try:
                    envelope = read_entry(item)
                except NotAnEnvelope:
                    continue
                found[envelope.identity] = envelope
            left = answer.get("UnprocessedKeys", {}).get(self._table_name)
            keys = list(left["Keys"]) if left else []
            if not keys:
                return found
        raise LogUnavailable("unprocessed_keys")

    def _query(self, selection: Selection, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - boto3's own options
        values = {":source": selection.source, ":since": selection.since, ":until": selection.until}
        if selection.id is not None:
            values[":id"] = selection.id
            options["FilterExpression"] = "id = :id"
        yield from self._client.get_paginator("query").paginate(
            TableName=self._table_name,
            IndexName=INDEX,
            KeyConditionExpression="#source = :source AND received_at BETWEEN :since AND :until",
            ExpressionAttributeNames={"#source": "source"},
            ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
            PaginationConfig={"PageSize": PAGE},
            **options,
        )


def _listed(item: Mapping[str, Any]) -> Listed:
    kind = item["kind"]["S"] if "kind" in item else None
    return Listed(item["pk"]["S"], item["id"]["S"], item["received_at"]["S"], kind, item["state"]["S"])
