"""What the security review looked for in the template, held for good."""

import json
from typing import Any

from tests.template.test_template import as_list, of_type

Resources = dict[str, Any]

# From closed sets or from an operator: a caller who could name one could make metrics without end, at a price for each.
DIMENSIONS = {"user": "$.user", "code": "$.code", "intent": "$.intent", "by": "$.by", "source": "$.source"}


def test_a_metric_is_never_told_apart_by_what_an_unauthenticated_caller_says(resources: Resources) -> None:
    filters = of_type(resources, "AWS::Logs::MetricFilter")
    assert len(filters) >= 8
    for name, each in filters.items():
        for transformation in each["Properties"]["MetricTransformations"]:
            for dimension in transformation.get("Dimensions", []):
                assert DIMENSIONS[dimension["Key"]] == dimension["Value"], name
                if dimension["Key"] == "source":
                    # Said of deliveries that were authenticated, and of no others.
                    assert '$.message = "webhook.received"' in each["Properties"]["FilterPattern"]


def test_a_queue_takes_messages_of_strangers_from_the_rule_that_it_is_for_alone(resources: Resources) -> None:
    policies = of_type(resources, "AWS::SQS::QueuePolicy")
    assert policies
    for name, policy in policies.items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}, name
            assert as_list(statement["Action"]) == ["sqs:SendMessage"], name
            assert "aws:SourceArn" in json.dumps(statement["Condition"]), name


def test_a_rule_listens_to_the_stacks_own_bus_and_to_one_source(resources: Resources) -> None:
    rules = of_type(resources, "AWS::Events::Rule")
    assert rules
    for name, rule in rules.items():
        assert rule["Properties"]["EventBusName"] == {"Ref": "Bus"}, name
        assert rule["Properties"]["EventPattern"]["source"] in (["gatehouse.tokens"], ["gatehouse.webhooks"]), name


def test_nobody_else_is_let_into_the_bus_the_secrets_or_the_topic(resources: Resources) -> None:
    allowed = {"AWS::SQS::QueuePolicy"}
    found = {each["Type"] for each in resources.values() if each["Type"].endswith("Policy")}
    assert found <= allowed
    assert all("Policy" not in each["Properties"] for each in of_type(resources, "AWS::Events::EventBus").values())


def test_the_schedules_role_is_assumed_for_the_stacks_own_group_alone(resources: Resources) -> None:
    (schedule,) = of_type(resources, "AWS::Scheduler::Schedule").values()
    assert schedule["Properties"]["GroupName"] == {"Ref": "ScheduleGroup"}
    assert schedule["Properties"]["Target"]["RoleArn"] == {"Fn::GetAtt": ["RefreshScheduleRole", "Arn"]}
    trust = resources["RefreshScheduleRole"]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": {"Ref": "AWS::AccountId"},
            "aws:SourceArn": {"Fn::GetAtt": ["ScheduleGroup", "Arn"]},
        }
    }
