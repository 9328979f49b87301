"""Deliveries out of the event log, page by page.

Owns which entries are asked for, and in which order they come: that in which they were received. It never writes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from gatehouse.envelope import Envelope, NotAnEnvelope
from gatehouse.event_log import LogUnavailable, read_entry
from ops.batch_read import MAX_KEYS, ItemsLeftOut, read_items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "by_source"
PAGE = MAX_KEYS


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
        """Return the deliveries by identity, at most `PAGE` at once; one that has expired or cannot be read is missing.

        Raises `LogUnavailable` where DynamoDB keeps leaving some out, and botocore's errors.
        """
        keys = [each.identity for each in listed]
        try:
            items = read_items(self._client, self._table_name, keys, self._sleep)
        except ItemsLeftOut:
            raise LogUnavailable("unprocessed_keys") from None
        found: dict[str, Envelope] = {}
        for item in items:
            with suppress(NotAnEnvelope):
                envelope = read_entry(item)
                found[envelope.identity] = envelope
        return found

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
