"""What must hold for transactions and connections."""

import json
import re
from typing import Any

import pytest

from gatehouse.connection_adapters import RESERVE_SECONDS
from tests.template.test_template import Resources, allowed, as_list, of_type, operations, rules_of, statements

CONNECTIONS = {"Fn::GetAtt": ["ConnectionsTable", "Arn"]}

# Everything that makes connections by webhook.
BY_WEBHOOK = {
    "ConnectByWebhookRule",
    "ConnectByWebhookPermission",
    "ConnectByWebhookInvocations",
    "ConnectionDeadLetterQueue",
    "ConnectionDeadLetterQueuePolicy",
    "ConnectionDeadLettersAlarm",
    "ConnectByWebhookRuleFailedAlarm",
}


def keys(resources: Resources, role: str) -> dict[str, set[str]]:
    """Which entries of the connections table a role may touch: action to the beginnings of their keys."""
    found: dict[str, set[str]] = {}
    for name, statement in statements(resources):
        if name == role and CONNECTIONS in as_list(statement["Resource"]):
            assert statement["Condition"].keys() == {"ForAllValues:StringLike"}
            prefixes = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            for action in as_list(statement["Action"]):
                found.setdefault(action, set()).update(prefixes)
    return found


def test_start_transaction_looks_at_connections_and_remembers_transactions(resources: Resources) -> None:
    assert keys(resources, "StartTransactionRole") == {"dynamodb:GetItem": {"USER#*"}, "dynamodb:PutItem": {"TXN#*"}}
    others = {action.partition(":")[0] for action in allowed(resources, "StartTransactionRole")}
    assert others == {"logs", "xray", "secretsmanager", "dynamodb"}


def test_connect_user_cannot_even_look_at_whose_an_id_is(resources: Resources) -> None:
    every_entry = {"USER#*", "AUTHID#*", "TXN#*"}
    assert keys(resources, "ConnectUserRole") == {
        "dynamodb:GetItem": {"USER#*", "TXN#*"},
        "dynamodb:PutItem": every_entry,
        "dynamodb:UpdateItem": every_entry,
        "dynamodb:DeleteItem": every_entry,
    }


def test_nobody_else_writes_connections_or_reads_them_in_bulk(resources: Resources) -> None:
    for role in of_type(resources, "AWS::IAM::Role"):
        may = keys(resources, role)
        assert set(may) <= {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
        if role not in ("ConnectUserRole", "StartTransactionRole"):
            assert set(may) <= {"dynamodb:GetItem"}, role


@pytest.mark.parametrize("role", ["StartTransactionRole", "ConnectUserRole"])
def test_one_secret_is_read(resources: Resources, role: str) -> None:
    assert allowed(resources, role)["secretsmanager:GetSecretValue"] == [{"Ref": "GatewaySecret"}]


@pytest.mark.parametrize("route", ["POST /v1/transactions", "POST /v1/connections", "DELETE /v1/connections"])
def test_a_route_is_for_signed_in_users(resources: Resources, route: str) -> None:
    assert operations(resources)[route]["security"] == [{"OidcAuthorizer": []}]


@pytest.mark.parametrize("name", ["StartTransactionFunction", "ConnectUserFunction"])
def test_a_function_answers_before_api_gateway_gives_up_and_leaves_the_gateway_its_time(
    resources: Resources, name: str
) -> None:
    timeout = resources[name]["Properties"]["Timeout"]
    assert timeout < 30
    assert timeout - RESERVE_SECONDS >= 10


def test_the_functions_get_what_the_operator_has_set(resources: Resources) -> None:
    start, connect = (
        resources[name]["Properties"]["Environment"]["Variables"]
        for name in ("StartTransactionFunction", "ConnectUserFunction")
    )
    assert start["SMALLCASE_BASE_URL"] == connect["SMALLCASE_BASE_URL"] == {"Ref": "SmallcaseBaseUrl"}
    assert start["ALLOWED_INTENTS"] == {"Fn::Join": [",", {"Ref": "AllowedIntents"}]}
    assert connect["VERIFY_TRANSACTION_DETAILS"] == {"Ref": "VerifyTransactionDetails"}
    assert connect["CONNECT_BY_WEBHOOK"] == {"Ref": "ConnectByWebhook"}


def test_the_defaults_are_the_careful_ones(written: dict[str, Any]) -> None:
    defaults = {name: parameter.get("Default") for name, parameter in written["Parameters"].items()}
    assert defaults["AllowedIntents"] == "CONNECT"
    assert defaults["VerifyTransactionDetails"] == "true"
    assert defaults["ConnectByWebhook"] == "false"
    assert defaults["SmallcaseBaseUrl"] == "https://gatewayapi.smallcase.com"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "SmallcaseBaseUrl",
            ["https://gatewayapi.smallcase.com", "https://gatewayapi.stag.smallcase.com", "http://127.0.0.1:8704"],
            [
                "",
                "http://gatewayapi.smallcase.com",
                "gatewayapi.smallcase.com",
                "http://localhost.evil.com",
                "https://a?b",
            ],
        ),
        (
            "AllowedIntents",
            ["CONNECT", "CONNECT,TRANSACTION", "CONNECT, HOLDINGS_IMPORT"],
            ["", "connect", "*", "CONNECT,", ",", "CONNECT TRANSACTION", "1"],
        ),
    ],
)
def test_a_parameter_takes_what_is_meant_and_nothing_else(
    written: dict[str, Any], name: str, good: list[str], bad: list[str]
) -> None:
    pattern = written["Parameters"][name]["AllowedPattern"]
    assert [value for value in good if not re.search(pattern, value)] == []
    assert [value for value in bad if re.search(pattern, value)] == []


# --- By webhook ---


def test_connecting_by_webhook_without_the_question_is_refused_at_deployment(written: dict[str, Any]) -> None:
    rule = written["Rules"]["ConnectByWebhookNeedsVerification"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "ConnectByWebhook"}, "true"]}
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Equals": [{"Ref": "VerifyTransactionDetails"}, "true"]}
    assert assertion["AssertDescription"]


def test_the_assertion_survives_sams_transform(written: dict[str, Any], expanded: dict[str, Any]) -> None:
    assert expanded["Rules"] == written["Rules"]


def test_everything_that_connects_by_webhook_is_there_under_the_condition_alone(
    written: dict[str, Any], resources: Resources
) -> None:
    assert written["Conditions"]["ConnectsByWebhook"] == {"Fn::Equals": [{"Ref": "ConnectByWebhook"}, "true"]}
    assert {name for name, each in resources.items() if each.get("Condition") == "ConnectsByWebhook"} == BY_WEBHOOK
    # Of the rest, the role alone names any of it, and under the same condition.
    for name, resource in resources.items():
        if name not in BY_WEBHOOK and name != "ConnectUserRole":
            assert not [each for each in BY_WEBHOOK if f'"{each}"' in json.dumps(resource)], name
    (statement,) = [
        each
        for each in resources["ConnectUserRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        if each.get("Fn::If", [None])[0] == "ConnectsByWebhook"
    ]
    condition, kept, otherwise = statement["Fn::If"]
    assert (condition, kept["Sid"], otherwise) == (
        "ConnectsByWebhook",
        "KeepFailedInvocations",
        {"Ref": "AWS::NoValue"},
    )


def test_only_postbacks_of_smallcase_are_handed_over(resources: Resources) -> None:
    (rule,) = rules_of(resources, "ConnectUserFunction")
    assert rule["EventBusName"] == {"Ref": "Bus"}
    assert rule["EventPattern"] == {"source": ["gatehouse.webhooks"], "detail-type": [{"prefix": "smallcase."}]}
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["ConnectionDeadLetterQueue", "Arn"]}
    permission = resources["ConnectByWebhookPermission"]["Properties"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["ConnectByWebhookRule", "Arn"]}


def test_a_postback_is_tried_again_for_a_while_and_then_kept(resources: Resources) -> None:
    properties = resources["ConnectByWebhookInvocations"]["Properties"]
    assert properties["FunctionName"] == {"Ref": "ConnectUserFunction"}
    assert properties["MaximumRetryAttempts"] == 2
    assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["ConnectionDeadLetterQueue", "Arn"]
    }


def test_process_webhook_never_touches_connections(resources: Resources) -> None:
    assert keys(resources, "ProcessWebhookRole") == {}
    variables = resources["ProcessWebhookFunction"]["Properties"]["Environment"]["Variables"]
    assert {"Ref": "ConnectionsTable"} not in variables.values()


# --- What is counted ---


@pytest.mark.parametrize(
    ("name", "metric", "pattern"),
    [
        (
            "StartTransactionStartedMetric",
            "TransactionsStarted",
            '{ ($.message = "transaction.started") && ($.intent = "*") }',
        ),
        ("ConnectUserMadeMetric", "ConnectionsMade", '{ ($.message = "connection.made") && ($.by = "*") }'),
        ("StartTransactionProblemMetric", "StartTransactionProblems", '{ $.code = "*" }'),
        ("ConnectUserProblemMetric", "ConnectUserProblems", '{ $.code = "*" }'),
    ],
)
def test_what_happens_is_counted_from_the_log(resources: Resources, name: str, metric: str, pattern: str) -> None:
    properties = resources[name]["Properties"]
    assert properties["FilterPattern"] == pattern
    (transformation,) = properties["MetricTransformations"]
    assert transformation["MetricName"] == metric
    (dimension,) = transformation["Dimensions"]
    assert f"$.{dimension['Key']} =" in pattern
