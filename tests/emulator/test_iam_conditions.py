"""Conditions in a role's policy that look into the request."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.emulator.patches import event_source_keys, leading_keys
from tests.emulator.emulators import Emulator, Json

TABLE = "items"
OWN_ITEMS: Json = {
    "Effect": "Allow",
    "Action": ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:Query"],
    "Resource": "*",
    "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["USER#*"]}},
}
OWN_SOURCE: Json = {
    "Effect": "Allow",
    "Action": "events:PutEvents",
    "Resource": "*",
    "Condition": {"StringEquals": {"events:source": "gatehouse.webhooks"}},
}
_users: Iterator[str] = (f"user-{number}" for number in range(1_000))


def _is_allowed(call: Callable[..., Any], **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        if "AccessDenied" not in str(error.response.get("Error", {}).get("Code")):
            raise
        return False
    return True


def _dynamodb(emulator: Emulator, *statements: Json) -> Any:
    admin = emulator.client("dynamodb")
    if TABLE not in admin.list_tables()["TableNames"]:
        admin.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "source")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_source",
                    "KeySchema": [{"AttributeName": "source", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    return emulator.user_client("dynamodb", next(_users), *statements or (OWN_ITEMS,))


def _key(pk: str) -> Json:
    return {"pk": {"S": pk}}


def test_is_still_needed_leading_keys_let_every_item_pass(plain: Emulator) -> None:
    assert _is_allowed(_dynamodb(plain).get_item, TableName=TABLE, Key=_key("AUTHID#1"))


@pytest.mark.parametrize(("pk", "allowed"), [("USER#1", True), ("AUTHID#1", False), ("", False)])
def test_leading_keys_are_those_of_the_item(patched: Emulator, pk: str, *, allowed: bool) -> None:
    assert _is_allowed(_dynamodb(patched).get_item, TableName=TABLE, Key=_key(pk or "#")) is allowed


@pytest.mark.parametrize(("other", "allowed"), [("USER#2", True), ("AUTHID#1", False)])
def test_leading_keys_are_those_of_every_item_of_a_batch(patched: Emulator, other: str, *, allowed: bool) -> None:
    client = _dynamodb(patched)
    keys = [_key("USER#1"), _key(other)]
    assert _is_allowed(client.batch_get_item, RequestItems={TABLE: {"Keys": keys}}) is allowed
    writes = [{"PutRequest": {"Item": keys[0]}}, {"DeleteRequest": {"Key": keys[1]}}]
    assert _is_allowed(client.batch_write_item, RequestItems={TABLE: writes}) is allowed


@pytest.mark.parametrize(("pk", "allowed"), [("USER#1", True), ("AUTHID#1", False)])
def test_leading_keys_are_those_of_a_query(patched: Emulator, pk: str, *, allowed: bool) -> None:
    client, values = _dynamodb(patched), {":key": {"S": pk}}
    table = {"KeyConditionExpression": "#p = :key", "ExpressionAttributeNames": {"#p": "pk"}}
    index = {"KeyConditionExpression": "source = :key", "IndexName": "by_source"}
    for query in (table, index):
        assert _is_allowed(client.query, TableName=TABLE, ExpressionAttributeValues=values, **query) is allowed


@pytest.mark.parametrize(("checked", "allowed"), [("AUTHID#1", True), ("USER#2", False)])
def test_each_item_of_a_transaction_has_its_own_leading_key(patched: Emulator, checked: str, *, allowed: bool) -> None:
    def statement(action: str, prefix: str) -> Json:
        condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [prefix]}}
        return {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition}

    client = _dynamodb(
        patched, statement("dynamodb:PutItem", "USER#*"), statement("dynamodb:ConditionCheckItem", "AUTHID#*")
    )
    missing = {"TableName": TABLE, "Key": _key(checked), "ConditionExpression": "attribute_not_exists(pk)"}
    items = [{"Put": {"TableName": TABLE, "Item": _key("USER#1")}}, {"ConditionCheck": missing}]
    assert _is_allowed(client.transact_write_items, TransactItems=items) is allowed


def _entry(source: str) -> Json:
    return {"Source": source, "DetailType": "d", "Detail": "{}"}


def test_is_still_needed_a_condition_on_the_source_denies_every_event(plain: Emulator) -> None:
    client = plain.user_client("events", next(_users), OWN_SOURCE)
    assert not _is_allowed(client.put_events, Entries=[_entry("gatehouse.webhooks")])


@pytest.mark.parametrize(
    ("sources", "allowed"),
    [
        (["gatehouse.webhooks"], True),
        (["gatehouse.webhooks"] * 2, True),
        (["gatehouse.tokens"], False),
        (["gatehouse.webhooks", "gatehouse.tokens"], False),
    ],
)
def test_every_event_must_have_the_source_of_the_condition(
    patched: Emulator, sources: list[str], *, allowed: bool
) -> None:
    client = patched.user_client("events", next(_users), OWN_SOURCE)
    assert _is_allowed(client.put_events, Entries=[_entry(source) for source in sources]) is allowed


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"Entries": 1}', b'{"Entries": [1]}', b'{"RequestItems": []}']
)
def test_a_request_that_is_none_has_no_keys(body: bytes) -> None:
    def nothing(*_: object) -> list[str]:
        return []

    assert event_source_keys._resource_arns(nothing, body, "r", "a") == []
    assert leading_keys._resource_arns(nothing, body, "r", "a") == []
    assert leading_keys._transaction_checks(nothing, "dynamodb:TransactWriteItems", body, "r", "a") == []


def test_a_condition_on_the_detail_type_looks_at_the_event(patched: Emulator) -> None:
    condition = {"StringEquals": {"events:detail-type": "d"}}
    client = patched.user_client("events", next(_users), {**OWN_SOURCE, "Condition": condition})
    assert _is_allowed(client.put_events, Entries=[_entry("anybody")])
    assert not _is_allowed(client.put_events, Entries=[{**_entry("anybody"), "DetailType": "e"}])
