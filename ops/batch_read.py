"""Many items of a table by their keys, all of them or none.

Owns the second look at the answer of BatchGetItem, which is a success where DynamoDB has left items out: at most 16 MB
come at once, and fewer when it is busy. What is missing is asked for again. It never writes.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, KeysAndAttributesOutputTypeDef

MAX_KEYS: Final = 100
"""Keys in a call, at most."""

ATTEMPTS: Final = 6
PAUSE_SECONDS: Final = 0.2  # before the second attempt, then twice as long each time


class ItemsLeftOut(Exception):
    """DynamoDB keeps leaving some out. Those that it returned are not all there are."""


def read_items(
    client: "DynamoDBClient",
    table_name: str,
    keys: Iterable[str],
    sleep: Callable[[float], object],
    attributes: str | None = None,
) -> "list[dict[str, AttributeValueTypeDef]]":
    """Return the items that there are under at most `MAX_KEYS` values of `pk`, read consistently, in no order.

    `attributes` is a projection expression; without it, items come whole. Raises `ItemsLeftOut` and botocore's errors.
    """
    found: list[dict[str, AttributeValueTypeDef]] = []
    wanted: KeysAndAttributesOutputTypeDef = {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}
    if attributes is not None:
        wanted["ProjectionExpression"] = attributes
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        answer = client.batch_get_item(RequestItems={table_name: wanted})
        found += answer["Responses"].get(table_name, [])
        if table_name not in answer.get("UnprocessedKeys", {}):
            return found
        wanted = answer["UnprocessedKeys"][table_name]
    raise ItemsLeftOut
