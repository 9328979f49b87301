"""The examples' templates: they fit beside Gatehouse's, and may do what they are there for and nothing else."""

import json
from typing import Any, NamedTuple

import pytest
from cfnlint.decode.cfn_yaml import load

from tests.conftest import ROOT
from tests.template.conftest import expand
from tests.template.test_encryption import DECRYPT_SECRETS
from tests.template.test_template import Resources, as_list, of_type

NAMES = sorted(template.parent.name for template in (ROOT / "examples").glob("*/template.yaml"))
EACH = pytest.mark.parametrize("example", NAMES, indirect=True)

# Every function may write its logs: SAM gives each role this policy of AWS's.
LOGS = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


class Example(NamedTuple):
    """An example as it is written, and as CloudFormation gets it."""

    name: str
    written: dict[str, Any]
    resources: Resources


def load_example(name: str) -> Example:
    written: dict[str, Any] = load(str(ROOT / "examples" / name / "template.yaml"))
    return Example(name, written, expand(written, dict.fromkeys(written["Parameters"], "given"))["Resources"])


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Example:
    return load_example(request.param)


@pytest.fixture
def events() -> Example:
    return load_example("events")


@pytest.fixture
def consumer() -> Example:
    return load_example("consumer")


def statements(example: Example) -> list[dict[str, Any]]:
    """Return what the roles and queues of an example allow, beside writing logs."""
    documents = [
        policy["PolicyDocument"]
        for role in of_type(example.resources, "AWS::IAM::Role").values()
        for policy in role["Properties"].get("Policies", [])
    ]
    queues = of_type(example.resources, "AWS::SQS::QueuePolicy").values()
    documents += [policy["Properties"]["PolicyDocument"] for policy in queues]
    # One that is there under a condition is judged as if it were always there.
    return [
        statement["Fn::If"][1] if "Fn::If" in statement else statement
        for document in documents
        for statement in as_list(document["Statement"])
    ]


def allowed(example: Example) -> set[tuple[str, str]]:
    """Return which action on what."""
    return {
        (action, json.dumps(statement["Resource"]))
        for statement in statements(example)
        for action in as_list(statement["Action"])
    }


def test_there_are_two_examples() -> None:
    assert NAMES == ["consumer", "events"]


@EACH
def test_what_gatehouse_is_asked_for_is_there(example: Example, written: dict[str, Any]) -> None:
    there = {*written["Outputs"], *written["Parameters"]}
    for name, parameter in example.written["Parameters"].items():
        assert "Default" in parameter or name in there, name
        assert parameter["Description"], name


@EACH
def test_a_role_may_write_logs_and_no_other_managed_policy_is_taken(example: Example) -> None:
    for name, role in of_type(example.resources, "AWS::IAM::Role").items():
        assert role["Properties"].get("ManagedPolicyArns", [LOGS]) == [LOGS], name


@EACH
def test_nothing_is_allowed_on_everything(example: Example) -> None:
    assert statements(example)
    for statement in statements(example):
        assert statement["Effect"] == "Allow"
        assert "*" not in json.dumps(statement["Resource"])
        assert not [action for action in as_list(statement["Action"]) if "*" in action]


def test_the_target_of_the_rule_may_put_into_its_table_and_keep_what_fails(events: Example) -> None:
    assert allowed(events) == {
        ("dynamodb:PutItem", '{"Fn::GetAtt": ["Deliveries", "Arn"]}'),
        ("sqs:SendMessage", '{"Fn::GetAtt": ["Failures", "Arn"]}'),
    }
    (policy,) = of_type(events.resources, "AWS::SQS::QueuePolicy").values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    (rule,) = of_type(events.resources, "AWS::Events::Rule")
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [rule, "Arn"]}}}


def test_the_rule_takes_deliveries_of_gatehouses_bus(events: Example) -> None:
    (rule,) = of_type(events.resources, "AWS::Events::Rule").values()
    assert rule["Properties"]["EventBusName"] == {"Ref": "EventBusName"}
    assert rule["Properties"]["EventPattern"] == {
        "source": ["gatehouse.webhooks"],
        "detail-type": ["smallcase.orders.received", {"prefix": "integration."}],
    }


def test_neither_what_cannot_be_handed_over_nor_what_fails_then_is_lost(events: Example) -> None:
    failures = {"Fn::GetAtt": ["Failures", "Arn"]}
    (rule,) = of_type(events.resources, "AWS::Events::Rule").values()
    (target,) = rule["Properties"]["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": failures}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    (configured,) = of_type(events.resources, "AWS::Lambda::EventInvokeConfig").values()
    assert configured["Properties"]["DestinationConfig"]["OnFailure"]["Destination"] == failures
    # A record of a failure is larger than the largest event.
    assert events.resources["Failures"]["Properties"]["MaximumMessageSize"] > 256 * 1024


def test_deliveries_are_remembered_for_longer_than_they_can_be_replayed(
    events: Example, written: dict[str, Any]
) -> None:
    mine, theirs = events.written["Parameters"]["RememberDays"], written["Parameters"]["EventLogDays"]
    assert mine["Default"] > theirs["Default"]
    assert mine["MaxValue"] >= theirs["MaxValue"]


def test_the_consumer_may_read_the_tokens_and_is_run_by_its_schedule(consumer: Example) -> None:
    (function,) = of_type(consumer.resources, "AWS::Lambda::Function")
    assert allowed(consumer) == {
        ("secretsmanager:GetSecretValue", '{"Ref": "IntegrationTokensSecretArn"}'),
        ("kms:Decrypt", '{"Ref": "KmsKeyArn"}'),
        ("lambda:InvokeFunction", json.dumps({"Fn::GetAtt": [function, "Arn"]})),
    }
    (schedule,) = of_type(consumer.resources, "AWS::Scheduler::Schedule").values()
    assert schedule["Properties"]["Target"]["Arn"] == {"Fn::GetAtt": [function, "Arn"]}


def test_the_consumer_may_use_the_key_of_the_tokens_where_there_is_one(
    consumer: Example, written: dict[str, Any]
) -> None:
    """As Gatehouse's own functions may: that key alone, and through Secrets Manager."""
    mine, theirs = consumer.written["Parameters"]["KmsKeyArn"], written["Parameters"]["KmsKeyArn"]
    assert (mine["Default"], mine["AllowedPattern"]) == ("", theirs["AllowedPattern"])
    assert consumer.written["Conditions"]["HasKmsKey"] == written["Conditions"]["HasKmsKey"]
    (policy,) = consumer.written["Resources"]["CountHoldingsFunction"]["Properties"]["Policies"]
    (condition, with_a_key, without) = policy["Statement"][-1]["Fn::If"]
    assert (condition, without) == ("HasKmsKey", {"Ref": "AWS::NoValue"})
    assert with_a_key == {**DECRYPT_SECRETS, "Sid": "DecryptTheIntegrationTokens"}
    assert "kms:" not in json.dumps(policy["Statement"][:-1])


def test_the_consumer_has_time_for_the_clients_budget_and_the_secret(consumer: Example) -> None:
    from gatehouse.integration import BUDGET_SECONDS  # noqa: PLC0415 - for this comparison

    (function,) = of_type(consumer.resources, "AWS::Lambda::Function").values()
    assert function["Properties"]["Timeout"] >= BUDGET_SECONDS + 7
    assert function["Properties"]["Layers"] == [{"Ref": "GatehouseLayerArn"}]


@EACH
def test_an_example_is_like_gatehouse_itself(example: Example) -> None:
    for name, function in of_type(example.resources, "AWS::Lambda::Function").items():
        properties = function["Properties"]
        assert (properties["Runtime"], properties["Architectures"]) == ("python3.13", ["arm64"]), name
        assert properties["LoggingConfig"]["LogFormat"] == "JSON", name
        assert f"{name}Name" in example.written["Outputs"]
    for name, table in of_type(example.resources, "AWS::DynamoDB::Table").items():
        assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}, name


@EACH
def test_two_of_an_example_fit_into_one_account(example: Example) -> None:
    for resource in example.resources.values():
        for name in ("Name", "FunctionName", "LogGroupName", "TableName", "QueueName", "RoleName"):
            value = resource["Properties"].get(name)
            assert value is None or "Ref" in value or "${AWS::StackName}" in value["Fn::Sub"], (name, value)


@EACH
def test_nothing_of_an_example_stays_when_it_is_deleted(example: Example) -> None:
    for name, resource in example.resources.items():
        assert resource.get("DeletionPolicy", "Delete") == "Delete", name


@EACH
def test_an_example_is_checked_like_the_template(example: Example) -> None:
    path = f"examples/{example.name}/template.yaml"
    assert path in (ROOT / ".checkov.yaml").read_text()
    assert "examples/*/template.yaml" in (ROOT / ".cfnlintrc.yaml").read_text()
    assert "in examples/*/template.yaml; do $(SAM) validate" in (ROOT / "Makefile").read_text()
