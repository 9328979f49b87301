"""The calls to AWS that the tokens' lifecycle makes, in memory: Secrets Manager, DynamoDB and EventBridge.

Each client answers as boto3's would, with the same errors, for the parameters that the adapters use and no others: the
contract suites of the adapters run over them as over moto. Every call goes through a door (`Door`), where a test can
stop or break it.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, Self
from unittest.mock import patch

from botocore.exceptions import ClientError

from gatehouse import aws

type Door = Callable[[str, Callable[[], Any]], Any]

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"


def open_door(_name: str, perform: Callable[[], Any]) -> Any:
    """Let every call through."""
    return perform()


def aws_error(code: str, operation: str) -> ClientError:
    """Return what boto3 raises when AWS answers with an error."""
    return ClientError({"Error": {"Code": code, "Message": ""}}, operation)


class Version(NamedTuple):
    """A version of a secret. It never changes."""

    text: str
    created_at: float


@dataclass
class MemorySecret:
    """A secret: its versions, and which of them holds which label."""

    versions: dict[str, Version] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def current(self) -> str:
        """The text under AWSCURRENT."""
        return self.versions[self.labels[CURRENT]].text

    def move(self, label: str, version_id: str) -> None:
        """Put a label to a version. Wherever AWSCURRENT was, AWSPREVIOUS is then."""
        before = self.labels.get(label)
        self.labels[label] = version_id
        if label == CURRENT and before not in (None, version_id):
            self.labels[PREVIOUS] = before
        if label == CURRENT and self.labels.get(PREVIOUS) == version_id:
            del self.labels[PREVIOUS]


class MemorySecretsManager:
    """Secrets Manager. `clock` returns epoch seconds of AWS itself."""

    def __init__(self, clock: Callable[[], float], door: Door = open_door) -> None:
        self._clock = clock
        self._door = door
        self._ids = count(1)
        self.secrets: dict[str, MemorySecret] = {}

    def create_secret(self, *, Name: str, SecretString: str) -> dict[str, Any]:  # noqa: N803 - AWS's names
        self.secrets[Name] = MemorySecret()
        return self._put(Name, SecretString, self._new_id(), [CURRENT])

    def write(self, name: str, text: str) -> str:
        """Write a secret's value past the door, as an operator would, and return the version."""
        return str(self._put(name, text, self._new_id(), [CURRENT])["VersionId"])

    def get_secret_value(self, *, SecretId: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        return self._door(f"get {SecretId}", lambda: self._get(SecretId, VersionId))  # type: ignore[no-any-return]

    def put_secret_value(
        self,
        *,
        SecretId: str,  # noqa: N803
        SecretString: str,  # noqa: N803
        ClientRequestToken: str | None = None,  # noqa: N803
        VersionStages: Sequence[str] = (CURRENT,),  # noqa: N803
    ) -> dict[str, Any]:
        version_id = ClientRequestToken or self._new_id()
        return self._door(  # type: ignore[no-any-return]
            f"put {SecretId}", lambda: self._put(SecretId, SecretString, version_id, VersionStages)
        )

    def update_secret_version_stage(
        self,
        *,
        SecretId: str,  # noqa: N803
        VersionStage: str,  # noqa: N803
        MoveToVersionId: str,  # noqa: N803
        RemoveFromVersionId: str,  # noqa: N803
    ) -> dict[str, Any]:
        return self._door(  # type: ignore[no-any-return]
            f"move {SecretId}", lambda: self._move(SecretId, VersionStage, MoveToVersionId, RemoveFromVersionId)
        )

    def _new_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._ids):012x}"

    def _secret(self, name: str, call: str) -> MemorySecret:
        if name not in self.secrets:
            raise aws_error("ResourceNotFoundException", call)
        return self.secrets[name]

    def _get(self, name: str, version_id: str | None) -> dict[str, Any]:
        secret = self._secret(name, "GetSecretValue")
        version_id = version_id or secret.labels[CURRENT]
        if version_id not in secret.versions:
            raise aws_error("ResourceNotFoundException", "GetSecretValue")
        return {"SecretString": secret.versions[version_id].text, "VersionId": version_id}

    def _put(self, name: str, text: str, version_id: str, labels: Sequence[str]) -> dict[str, Any]:
        secret = self._secret(name, "PutSecretValue")
        if version_id in secret.versions:
            if secret.versions[version_id].text != text:
                raise aws_error("ResourceExistsException", "PutSecretValue")
        else:
            secret.versions[version_id] = Version(text, self._clock())
            for label in labels:
                secret.move(label, version_id)
        return {"VersionId": version_id}

    def _move(self, name: str, label: str, to: str, remove_from: str) -> dict[str, Any]:
        secret = self._secret(name, "UpdateSecretVersionStage")
        if secret.labels.get(label) != remove_from or to not in secret.versions:
            raise aws_error("InvalidParameterException", "UpdateSecretVersionStage")
        secret.move(label, to)
        return {}


type Item = dict[str, dict[str, str]]


class MemoryDynamoDB:
    """DynamoDB, as far as single items with conditions go."""

    def __init__(self, door: Door = open_door) -> None:
        self._door = door
        self.items: dict[str, Item] = {}

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> dict[str, Any]:  # noqa: ARG002, N803
        assert ConsistentRead, "nothing here may be decided on an old value"
        return self._call("get", Key, lambda held: {"Item": dict(held)} if held else {})

    def put_item(self, *, TableName: str, Item: Item, **condition: Any) -> dict[str, Any]:  # noqa: ARG002, N803
        def put(held: dict[str, dict[str, str]] | None) -> dict[str, Any]:
            _check(held, condition, "PutItem")
            self.items[Item["pk"]["S"]] = dict(Item)
            return {}

        return self._call("put", Item, put)

    def delete_item(self, *, TableName: str, Key: Item, **condition: Any) -> dict[str, Any]:  # noqa: ARG002, N803
        def delete(held: dict[str, dict[str, str]] | None) -> dict[str, Any]:
            _check(held, condition, "DeleteItem")
            self.items.pop(Key["pk"]["S"], None)
            return {}

        return self._call("delete", Key, delete)

    def _call(self, verb: str, key: Item, perform: Callable[[Item | None], dict[str, Any]]) -> dict[str, Any]:
        name = key["pk"]["S"]
        kind = name.partition("#")[0]
        return self._door(f"{verb} {kind}", lambda: perform(self.items.get(name)))  # type: ignore[no-any-return]


def _check(item: Item | None, condition: Mapping[str, Any], call: str) -> None:
    """Raise what DynamoDB raises where the condition does not hold. Of its language, what the adapters speak."""
    expression = condition.get("ConditionExpression")
    if expression is not None and not any(_holds(item, clause, condition) for clause in expression.split(" OR ")):
        raise aws_error("ConditionalCheckFailedException", call)


def _holds(item: Item | None, clause: str, condition: Mapping[str, Any]) -> bool:
    if clause.startswith("attribute_not_exists("):
        return item is None or clause[len("attribute_not_exists(") : -1] not in item
    name, sign, value = clause.split(" ")
    left = (item or {}).get(condition.get("ExpressionAttributeNames", {}).get(name, name))
    right = condition["ExpressionAttributeValues"][value]
    compare = {"=": operator.eq, "<=": operator.le}[sign]
    return left is not None and bool(compare(_value(left), _value(right)))


def _value(attribute: Mapping[str, str]) -> str | float:
    return float(attribute["N"]) if "N" in attribute else attribute["S"]


class MemoryEventBridge:
    """EventBridge: the entries of every PutEvents."""

    def __init__(self, door: Door = open_door) -> None:
        self.door = door
        self.entries: list[Mapping[str, str]] = []

    def put_events(self, *, Entries: Sequence[Mapping[str, str]]) -> dict[str, Any]:  # noqa: N803
        def put() -> dict[str, Any]:
            self.entries.extend(Entries)
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "an-event"} for _ in Entries]}

        return self.door(f"publish {Entries[0]['DetailType']}", put)  # type: ignore[no-any-return]


class MemoryAccount:
    """All three, in the place of boto3's clients. `clock` returns epoch seconds of AWS itself."""

    def __init__(self, clock: Callable[[], float], door: Door = open_door) -> None:
        self.secrets = MemorySecretsManager(clock, door)
        self.dynamodb = MemoryDynamoDB(door)
        self.bus = MemoryEventBridge(door)
        self._patch = patch.multiple(
            aws, secretsmanager=lambda: self.secrets, dynamodb=lambda: self.dynamodb, events=lambda: self.bus
        )

    def open(self) -> None:
        """Put the clients where the functions look for them."""
        self._patch.start()

    def close(self) -> None:
        """Put boto3 back."""
        self._patch.stop()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
