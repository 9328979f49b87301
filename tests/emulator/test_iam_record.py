"""Which role was allowed or denied what, and by which statement."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.emulators import Emulator, Json
from tests.support.privileges import Call, read_calls

# Reads an item, and says what became of it. The endpoint and the credentials are those of any function.
READER = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        boto3.client(event["service"]).__getattribute__(event["operation"])(**event["arguments"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"
"""
TABLE = "noted"
_names: Iterator[str] = (f"reader-{number}" for number in range(1_000))


def calls(emulator: Emulator) -> list[Call]:
    return read_calls(emulator.log.parent / "calls.jsonl")


def read_as(emulator: Emulator, *statements: Json) -> tuple[str, list[Call]]:
    """Let a function with these statements read an item; return what it says, and what was noted of its role."""
    name = next(_names)
    emulator.function(name, READER)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        emulator.client("iam").put_role_policy(RoleName=f"{name}-role", PolicyName="p", PolicyDocument=document)
    tables = emulator.client("dynamodb")
    if TABLE not in tables.list_tables()["TableNames"]:
        tables.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
    arguments = {"TableName": TABLE, "Key": {"pk": {"S": "a"}}}
    said = emulator.invoke(name, {"service": "dynamodb", "operation": "get_item", "arguments": arguments})["payload"]
    return said, [call for call in calls(emulator) if call.role == f"{name}-role"]


def statement(sid: str, effect: str = "Allow", action: str = "dynamodb:GetItem") -> Json:
    return {"Sid": sid, "Effect": effect, "Action": action, "Resource": "*"}


def test_is_still_needed_nothing_tells_of_a_call_that_was_allowed(plain: Emulator) -> None:
    assert read_as(plain, statement("Read")) == ("done", [])
    assert not (plain.log.parent / "calls.jsonl").exists()


def test_a_call_is_noted_with_the_statement_that_allows_it(patched: Emulator) -> None:
    said, noted = read_as(patched, statement("Write", action="dynamodb:PutItem"), statement("Read"))
    assert said == "done"
    (call,) = noted
    assert (call.action, call.decision, call.sid) == ("dynamodb:GetItem", "Allow", "Read")
    assert call.resource.endswith(f":table/{TABLE}")


@pytest.mark.parametrize(
    ("statements", "decision", "sid"),
    [
        ([], "ImplicitDeny", ""),
        ([statement("Write", action="dynamodb:PutItem")], "ImplicitDeny", ""),
        ([statement("Read"), statement("Taken", "Deny")], "Deny", "Taken"),
    ],
)
def test_a_call_that_is_denied_is_noted_as_what_it_is(
    patched: Emulator, statements: list[Json], decision: str, sid: str
) -> None:
    said, noted = read_as(patched, *statements)
    assert said == "AccessDeniedException"
    assert {(call.action, call.decision, call.sid) for call in noted} == {("dynamodb:GetItem", decision, sid)}


def test_only_roles_are_noted(patched: Emulator) -> None:
    before = len(calls(patched))
    patched.user_client("dynamodb", "noted-user", statement("Read", action="dynamodb:ListTables")).list_tables()
    patched.client("dynamodb").list_tables()
    assert len(calls(patched)) == before


def test_the_decision_of_a_queues_own_policy_is_not_taken_for_the_roles(patched: Emulator, tmp_path: Path) -> None:
    queues = patched.client("sqs")
    url = queues.create_queue(QueueName="noted")["QueueUrl"]
    policy = {"Version": "2012-10-17", "Statement": [{**statement("Mine", "Deny", "sqs:*"), "Principal": "*"}]}
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    name = next(_names)
    patched.function(name, READER)
    allowed = {"Version": "2012-10-17", "Statement": [statement("Send", action="sqs:SendMessage")]}
    patched.client("iam").put_role_policy(RoleName=f"{name}-role", PolicyName="p", PolicyDocument=json.dumps(allowed))
    arguments = {"QueueUrl": url, "MessageBody": "x"}
    said = patched.invoke(name, {"service": "sqs", "operation": "send_message", "arguments": arguments})["payload"]
    assert said != "done"
    (call,) = [call for call in calls(patched) if call.role == f"{name}-role"]
    assert (call.action, call.decision, call.sid) == ("sqs:SendMessage", "Allow", "Send")
