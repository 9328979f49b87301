"""docs/privileges.md against the template, and what AWS needs in order to use a permission in a function's name."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.support.privileges import (
    BY_AWS,
    BY_ITSELF,
    ONLY_WITH,
    Call,
    Permission,
    Statement,
    as_list,
    documented,
    read_calls,
    read_statements,
    render,
    statements,
    table_of_calls,
    unused,
    wrongly_explained,
)
from tests.support.running_stack import refused_by_accident

type Resources = dict[str, Any]


def of_sid(sid: str) -> list[Statement]:
    """Return the statements of that name; there is at least one, or the list has an entry too many."""
    found = [each for each in statements() if each.sid == sid]
    assert found, sid
    return found


def function_of(resources: Resources, role: str) -> str:
    """Return the logical id of the function that runs in a role."""
    (found,) = [
        name
        for name, each in resources.items()
        if each["Type"] == "AWS::Lambda::Function" and each["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
    ]
    return found


def of_type(resources: Resources, type_name: str) -> list[Any]:
    return [each["Properties"] for each in resources.values() if each["Type"] == type_name]


def arn(name: str) -> Any:
    return {"Fn::GetAtt": [name, "Arn"]}


def test_the_document_is_as_the_template_says() -> None:
    assert documented() == render(), "make privileges WRITE=1 writes the tables anew"


def test_every_role_and_statement_is_read(resources: Resources) -> None:
    roles = {name for name, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    assert {each.role for each in statements()} == roles
    assert json.dumps(resources).count('"Sid"') > len(statements()) > 40


def test_what_is_said_to_be_used_by_aws_is_there() -> None:
    assert {each.sid for each in statements() if each.sid in BY_AWS} == set(BY_AWS)
    assert {each.only_with for each in statements() if each.only_with in ONLY_WITH} == set(ONLY_WITH)


def test_lambda_writes_to_the_functions_own_log_group(resources: Resources) -> None:
    for each in of_sid("WriteOwnLogs"):
        function = resources[function_of(resources, each.role)]["Properties"]
        assert each.actions == ("logs:CreateLogStream", "logs:PutLogEvents")
        assert function["LoggingConfig"]["LogGroup"] == {"Ref": each.resources[0]}
        assert len(each.resources) == 1


def test_lambda_sends_the_traces_of_functions_that_are_traced(resources: Resources) -> None:
    for each in of_sid("SendTraces"):
        assert each.actions == ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
        assert resources[function_of(resources, each.role)]["Properties"]["TracingConfig"] == {"Mode": "Active"}


def test_lambda_takes_from_the_queue_of_the_event_source(resources: Resources) -> None:
    (source,) = of_type(resources, "AWS::Lambda::EventSourceMapping")
    (statement,) = of_sid("TakeFromTheQueue")
    assert source["FunctionName"] == {"Ref": function_of(resources, statement.role)}
    assert source["EventSourceArn"] == arn(statement.resources[0])
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html, "Configuring execution role permissions"
    assert set(statement.actions) == {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def test_what_failed_is_kept_where_the_configuration_says(resources: Resources) -> None:
    kept = {
        (each["FunctionName"]["Ref"], json.dumps(each["DestinationConfig"]["OnFailure"]["Destination"]))
        for each in of_type(resources, "AWS::Lambda::EventInvokeConfig")
    }
    (schedule,) = of_type(resources, "AWS::Scheduler::Schedule")
    for each in of_sid("KeepFailedInvocations"):
        assert each.actions == ("sqs:SendMessage",)
        (queue,) = each.resources
        if schedule["Target"]["RoleArn"] == arn(each.role):
            assert schedule["Target"]["DeadLetterConfig"]["Arn"] == arn(queue)
        else:
            assert (function_of(resources, each.role), json.dumps(arn(queue))) in kept


def test_the_scheduler_invokes_the_function_of_its_role(resources: Resources) -> None:
    (schedule,) = of_type(resources, "AWS::Scheduler::Schedule")
    (statement,) = of_sid("InvokeRefreshTokens")
    assert schedule["Target"]["RoleArn"] == arn(statement.role)
    assert (statement.actions, schedule["Target"]["Arn"]) == (
        ("lambda:InvokeFunction",),
        arn(statement.resources[0]),
    )


def test_a_key_is_used_through_the_service_whose_data_it_encrypts(expanded: dict[str, Any]) -> None:
    for each in statements():
        assert (each.only_with == "HasKmsKey") == any(action.startswith("kms:") for action in each.actions), each
        if each.only_with == "HasKmsKey":
            assert set(each.conditions) == {"StringEquals"}
            assert set(each.conditions["StringEquals"]) == {"kms:ViaService"}
            assert set(each.resources) == {"KmsKeyArn"}
    assert set(ONLY_WITH) <= set(expanded["Conditions"])


# --- What the comparison of calls notices ---

READ = Permission("IssueGuestTokenRole", "ReadGatewaySecret", "secretsmanager:GetSecretValue", "GatewaySecret")


def everything() -> Counter[Permission]:
    return Counter(p for each in statements() if each.used_by == BY_ITSELF for p in each.permissions())


def test_a_permission_that_nobody_uses_is_named() -> None:
    assert unused(everything()) == []
    assert unused(everything() - Counter([READ])) == [READ]
    assert READ in unused(Counter())


def test_a_permission_that_a_function_uses_itself_is_not_said_to_be_used_by_aws() -> None:
    polled = Permission("ProcessWebhookRole", "TakeFromTheQueue", "sqs:ReceiveMessage", "WebhookQueue")
    assert wrongly_explained(everything()) == []
    assert wrongly_explained(everything() + Counter([polled])) == [polled]


def test_the_printed_table_has_every_permission() -> None:
    said = table_of_calls(Counter({READ: 17})).splitlines()
    assert len(said) == 1 + sum(len(list(each.permissions())) for each in statements())
    (line,) = [line for line in said if line.split()[:4] == list(READ)]
    assert line.endswith(" 17")
    assert sum("by Lambda" in line for line in said) > 20


def test_calls_are_read_up_to_the_last_whole_line(tmp_path: Any) -> None:
    path = tmp_path / "calls.jsonl"
    assert read_calls(path) == []
    call = Call("r", "sqs:SendMessage", "arn", "ImplicitDeny", "")
    line = json.dumps(call._asdict())
    path.write_text(f"{line}\n{line[:10]}")
    assert read_calls(path) == [call]


def test_only_a_refusal_that_no_test_has_made_is_an_accident() -> None:
    call = Call("gatehouse-local-ProcessWebhookRole-1", "sqs:SendMessage", "arn", "ImplicitDeny", "")
    others = [call._replace(decision="Deny"), call._replace(decision="Allow"), call._replace(role="somebody-else")]
    assert refused_by_accident([call, *others]) == [call]


@pytest.mark.parametrize(
    ("resource", "name"), [({"Ref": "Secret"}, "Secret"), ({"Fn::GetAtt": ["Table", "Arn"]}, "Table"), ("*", "*")]
)
def test_a_resource_is_named_as_in_the_template(resource: Any, name: str) -> None:
    statement = {"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": resource}
    role = {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": {"Statement": [statement]}}]}}
    (read,) = read_statements({"Role": role})
    assert list(read.permissions()) == [Permission("Role", "S", "a:B", name)]
    assert as_list("a") == as_list(["a"])
