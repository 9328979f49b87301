"""A table's expiry of items and its point-in-time recovery come from the template.

AWS: TimeToLiveSpecification and PointInTimeRecoverySpecification of AWS::DynamoDB::Table are applied.
MiniStack 1.5.33: both are dropped.
Here: leases, pending transactions and the event log rely on expiry; the connections on recovery.
"""

from typing import Any

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from local.emulator.patching import Patcher, Wrapper

type Json = dict[str, Any]


def apply(patcher: Patcher) -> None:
    """Apply the two settings after CloudFormation has created or updated a table."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    patcher.wrap_item(handlers, "create", "277586e016c693bd", _create)
    patcher.wrap_item(handlers, "update", "0665980ffdd06491", _update)


def _create(original: Wrapper, logical_id: str, properties: Json, stack_name: str) -> object:
    result = original(logical_id, properties, stack_name)
    _apply_settings(result[0], properties)
    return result


def _update(
    original: Wrapper, physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
) -> object:
    result = original(physical_id, old, new, stack_name, logical_id)
    _apply_settings(result[0], new)
    return result


def _apply_settings(table: str, properties: Json) -> None:
    for name, call in (
        ("TimeToLiveSpecification", dynamodb._update_ttl),
        ("PointInTimeRecoverySpecification", dynamodb._update_continuous_backups),
    ):
        if name in properties:
            settings = {key: _boolean(value) for key, value in properties[name].items()}
            call({"TableName": table, name: settings})


def _boolean(value: object) -> object:
    """CloudFormation takes a boolean as text, too."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
