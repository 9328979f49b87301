"""Looking up and writing the connections that a company brings along.

Owns what becomes of a row: how the table as it stands would answer it, and the way into the table, which is the live
path's own (`ConnectionWriterTable.bring`). What the look says is a forecast; only the write decides.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from itertools import batched
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from gatehouse.connection_writer import ConnectionWriterTable
from gatehouse.connections import Connection, ConnectionsTable, auth_id_key, user_key
from gatehouse.problems import PROBLEMS, AlreadyConnected, AuthIdTaken, ConnectionsUnavailable
from ops.batch_read import MAX_KEYS, ItemsLeftOut, read_items
from ops.connection_csv import Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

AT_ONCE: Final = 8
"""Rows that are written at the same time."""

ROWS_A_LOOK: Final = MAX_KEYS // 2
"""A row has two keys."""


class Outcome(StrEnum):
    """What becomes of a row, with the codes of the API's own problems."""

    NEW = "new"
    CONNECTED = "connected already"
    ALREADY_CONNECTED = PROBLEMS[AlreadyConnected].code
    AUTH_ID_TAKEN = PROBLEMS[AuthIdTaken].code


CONFLICTS: Final = {
    Outcome.ALREADY_CONNECTED: "the user holds another smallcase_auth_id",
    Outcome.AUTH_ID_TAKEN: "another user holds the smallcase_auth_id",
}


class Found(NamedTuple):
    """What the table has of a row: what its user holds and whose its id is. None where there is no entry."""

    held: str | None
    holder_pk: str | None

    @classmethod
    def among(cls, entries: Mapping[str, Mapping[str, "AttributeValueTypeDef"]], row: Row) -> Self:
        """Take a row's entries. An entry without the attribute that it is there for holds an empty text."""
        user, of_id = entries.get(user_key(row.user)), entries.get(auth_id_key(row.smallcase_auth_id))
        return cls(
            None if user is None else user.get("smallcase_auth_id", {}).get("S", ""),
            None if of_id is None else of_id.get("user_pk", {}).get("S", ""),
        )


class Judged(NamedTuple):
    """A row, what was found of it, and what becomes of it."""

    row: Row
    found: Found
    outcome: Outcome


def judge(row: Row, found: Found) -> Outcome:
    """Say how the conditions of the write would answer, and whether there is anything to write."""
    if found.held is not None and found.held != row.smallcase_auth_id:
        return Outcome.ALREADY_CONNECTED
    if found.holder_pk is not None and found.holder_pk != user_key(row.user):
        return Outcome.AUTH_ID_TAKEN
    return Outcome.NEW if None in found else Outcome.CONNECTED


class ConnectionImport:
    """Rows against one connections table."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table_name: str,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """`clock` returns epoch seconds, `sleep` takes seconds."""
        self._dynamodb = dynamodb
        self._table_name = table_name
        self._sleep = sleep
        connections = ConnectionsTable(table_name)  # which only the ending of a connection reads
        self._writer = ConnectionWriterTable(table_name, connections, clock, sleep, dynamodb)

    def look(self, rows: Iterable[Row]) -> Iterator[list[Judged]]:
        """Yield rows as the table would answer them, some at a time.

        Raises botocore's errors, and `ConnectionsUnavailable` where DynamoDB keeps leaving some out.
        """
        for some in batched(rows, ROWS_A_LOOK, strict=False):
            yield self._look(some)

    def run(self, rows: Iterable[Row]) -> Iterator[list[Judged]]:
        """Write what is new, and yield rows with what became of them.

        Whatever interrupts this, a row is written whole or not at all, and one that was written is found the next time.
        Raises botocore's errors and `ConnectionsUnavailable`.
        """
        with ThreadPoolExecutor(AT_ONCE, "import") as pool:
            for some in batched(rows, ROWS_A_LOOK, strict=False):
                yield list(pool.map(self._write, self._look(some)))

    def _write(self, judged: Judged) -> Judged:
        if judged.outcome is not Outcome.NEW:
            return judged
        try:
            self._writer.bring(judged.row.user, Connection(judged.row.smallcase_auth_id))
        except AlreadyConnected:
            return judged._replace(outcome=Outcome.ALREADY_CONNECTED)
        except AuthIdTaken:
            return judged._replace(outcome=Outcome.AUTH_ID_TAKEN)
        return judged

    def _look(self, rows: Sequence[Row]) -> list[Judged]:
        keys = {key for row in rows for key in (user_key(row.user), auth_id_key(row.smallcase_auth_id))}
        entries = self._entries(keys)
        found = [Found.among(entries, row) for row in rows]
        return [Judged(row, each, judge(row, each)) for row, each in zip(rows, found, strict=True)]

    def _entries(self, keys: Iterable[str]) -> dict[str, dict[str, "AttributeValueTypeDef"]]:
        try:
            items = read_items(self._dynamodb, self._table_name, keys, self._sleep, "pk, smallcase_auth_id, user_pk")
        except ItemsLeftOut:
            raise ConnectionsUnavailable("unprocessed_keys") from None
        return {item["pk"]["S"]: item for item in items}
