"""The IAM condition key dynamodb:LeadingKeys has the partition keys of the request.

AWS: it lists the partition keys of the items that are asked for; a transaction is checked item by item. It is absent
where a request has none (a scan).
MiniStack 1.5.33: it does not exist, and `ForAllValues` is true of nothing: every item is allowed.
Here: one table holds several kinds of items, and a role may reach its own kind alone.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ministack.core import iam_actions
from ministack.services import dynamodb

from local.emulator.patches.iam_request_keys import CheckedArn
from local.emulator.patching import Patcher, Wrapper

type Json = dict[str, Any]

_KEY: Final = "dynamodb:LeadingKeys"
_EQUALS: Final = re.compile(r"(#?[\w.-]+)\s*=\s*(:\w+)")
_OPERATIONS_OF_A_BATCH = ("PutRequest", "DeleteRequest")


def apply(patcher: Patcher) -> None:
    """Give the ARNs that a DynamoDB request is checked for their partition keys."""
    patcher.wrap(iam_actions, "dynamodb_resource_arns", "a7186900d54a313c", _resource_arns)
    patcher.wrap(iam_actions, "dynamodb_transaction_checks", "684e748338e8727f", _transaction_checks)


def _resource_arns(original: Wrapper, body: bytes, region: str, account: str) -> list[str]:
    arns: list[str] = original(body, region, account)
    request = _json_object(body)
    tables = [request] if "TableName" in request else _of_batch(request)
    return [_checked(arn, _keys(table)) for arn, table in zip(arns, tables, strict=False)]


def _transaction_checks(
    original: Wrapper, action: str, body: bytes, region: str, account: str
) -> list[tuple[str, str]]:
    checks: list[tuple[str, str]] = original(action, body, region, account)
    parts = [part for item in _json_object(body).get("TransactItems", []) for part in item.values()]
    if len(parts) != len(checks):
        return checks  # malformed: refused later
    return [(name, _checked(arn, _keys(part))) for (name, arn), part in zip(checks, parts, strict=True)]


def _checked(arn: str, keys: list[str]) -> CheckedArn:
    return CheckedArn.of(arn, {_KEY: keys} if keys else {})


def _of_batch(request: Json) -> list[Json]:
    items = request.get("RequestItems")
    return [{"TableName": name, "Batch": batch} for name, batch in items.items()] if isinstance(items, dict) else []


def _keys(request: Json) -> list[str]:
    """Return the partition keys that a request to one table names, in any of the shapes that DynamoDB's API has."""
    attribute = _partition_attribute(request.get("TableName"), request.get("IndexName"))
    if attribute is None:
        return []
    found = [item[attribute] for item in _items(request) if attribute in item]
    found += list(_of_query(request, attribute))
    return [str(value) for typed in found if isinstance(typed, dict) for value in typed.values()]


def _items(request: Json) -> Iterator[Json]:
    for name in ("Key", "Item"):
        if isinstance(request.get(name), dict):
            yield request[name]
    batch = request.get("Batch", [])
    if isinstance(batch, dict):
        yield from batch.get("Keys", [])
    else:
        for entry in batch:
            for operation in _OPERATIONS_OF_A_BATCH:
                yield from _items(entry.get(operation, {}))


def _of_query(request: Json, attribute: str) -> Iterator[object]:
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    for name, value in _EQUALS.findall(request.get("KeyConditionExpression") or ""):
        if names.get(name, name) == attribute:
            yield values.get(value)


def _partition_attribute(table: object, index: object) -> str | None:
    record = dynamodb._tables.get(str(table).rpartition("/")[2])
    schemas = [record] if record else []
    if record and index:
        indexes = [*(record.get("GlobalSecondaryIndexes") or []), *(record.get("LocalSecondaryIndexes") or [])]
        schemas = [schema for schema in indexes if schema["IndexName"] == index]
    hashes = [key["AttributeName"] for schema in schemas for key in schema["KeySchema"] if key["KeyType"] == "HASH"]
    return hashes[0] if hashes else None


def _json_object(body: bytes) -> Json:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
