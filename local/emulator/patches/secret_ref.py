"""`Ref` of a secret is its ARN.

AWS: `!Ref Secret` in a template is the secret's ARN.
MiniStack 1.5.33: it is the secret's name.
Here: functions get the ARN in a variable and their roles name it as the resource that they may read.
"""

from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from local.emulator.patching import Patcher, Wrapper

type Json = dict[str, Any]


def apply(patcher: Patcher) -> None:
    """Make the ARN the physical id that CloudFormation keeps; MiniStack's handlers go on with the name."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    patcher.wrap_item(handlers, "create", "0bae0110fce2f2ba", _create)
    patcher.wrap_item(handlers, "update", "e87220a5ff35a459", _update)
    patcher.wrap_item(handlers, "delete", "4ff615ac828999af", _delete)


def _create(original: Wrapper, logical_id: str, properties: Json, stack_name: str) -> object:
    name, attributes = original(logical_id, properties, stack_name)
    return _arn(name), attributes


def _update(
    original: Wrapper, physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
) -> object:
    name, attributes = original(_name(physical_id), old, new, stack_name, logical_id)
    return _arn(name), attributes


def _delete(original: Wrapper, physical_id: str, properties: Json) -> object:
    return original(_name(physical_id), properties)


def _arn(name: str) -> str:
    return str(secretsmanager._secrets[name]["ARN"])


def _name(physical_id: str) -> str:
    _, secret = secretsmanager._resolve(physical_id)
    return str(secret["Name"]) if secret else physical_id
