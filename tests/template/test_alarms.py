"""Every way in which the service fails its users has an alarm, and every alarm a part of the runbook."""

import json
import re
from typing import Any

import pytest

from gatehouse.background import metric_name
from gatehouse.token_policy import REFRESH_TOKEN_OLD_SECONDS
from tests.conftest import ROOT
from tests.template.metrics import GOOD_OUTCOMES, OUTCOMES, OWN, Metric, counted, emitted, filtered
from tests.template.test_template import Resources, as_list, of_type, operations

TOPIC = {"Ref": "AlarmTopic"}
SEVEN_DAYS_SECONDS = 7 * 24 * 60 * 60
A_DAY_SECONDS = 24 * 60 * 60

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def alarms(resources: Resources) -> dict[str, dict[str, Any]]:
    """The alarms' properties, by what stands after the stack's name and a hyphen in theirs."""
    found = {}
    for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values():
        name = alarm["Properties"]["AlarmName"]["Fn::Sub"]
        assert name.startswith("${AWS::StackName}-")
        found[name.removeprefix("${AWS::StackName}-")] = alarm["Properties"]
    assert found
    return found


def text(value: Any) -> Any:
    """A value that may be an intrinsic, to compare."""
    return value["Fn::Sub"] if isinstance(value, dict) and "Fn::Sub" in value else value


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}


def watching(resources: Resources, namespace: str, metric: str, **wanted: Any) -> list[dict[str, Any]]:
    """The alarms on one metric of one thing."""
    return [
        alarm
        for alarm in alarms(resources).values()
        if (text(alarm["Namespace"]), alarm["MetricName"], dimensions(alarm)) == (namespace, metric, wanted)
    ]


# --- What is watched -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["5xx", "Latency"])
def test_every_route_has_an_alarm_for_failing_and_one_for_being_slow(resources: Resources, metric: str) -> None:
    for route in operations(resources):
        method, path = route.split(" ")
        where = {"ApiId": {"Ref": "Api"}, "Stage": "$default", "Method": method, "Resource": path}
        assert len(watching(resources, "AWS/ApiGateway", metric, **where)) == 1, route


@pytest.mark.parametrize("metric", ["Errors", "Throttles", "Duration"])
def test_every_function_has_an_alarm_for_errors_throttles_and_duration(resources: Resources, metric: str) -> None:
    for function in of_type(resources, "AWS::Lambda::Function"):
        assert len(watching(resources, "AWS/Lambda", metric, FunctionName={"Ref": function})) == 1, function


def test_a_function_takes_too_long_at_four_fifths_of_its_timeout(resources: Resources) -> None:
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        (alarm,) = watching(resources, "AWS/Lambda", "Duration", FunctionName={"Ref": name})
        assert alarm["Threshold"] == function["Properties"]["Timeout"] * 1000 * 4 / 5, name


def test_every_outcome_of_a_token_function_is_good_or_has_an_alarm(resources: Resources) -> None:
    wanted = {
        (service, metric_name(outcome))
        for service, outcomes in OUTCOMES.items()
        for outcome in set(outcomes) - GOOD_OUTCOMES
    }
    assert {service for service, _ in wanted} == {"refresh_tokens", "authenticate"}
    watched = {
        (dimensions(alarm)["service"], alarm["MetricName"])
        for alarm in alarms(resources).values()
        if "service" in dimensions(alarm)
    }
    gauges = {("refresh_tokens", "AccessTokenSecondsLeft"), ("refresh_tokens", "RefreshTokenAgeSeconds")}
    assert watched == wanted | gauges


def test_good_outcomes_are_outcomes() -> None:
    assert {outcome for outcomes in OUTCOMES.values() for outcome in outcomes} >= GOOD_OUTCOMES


def dead_letter_queues(value: Any) -> set[str]:
    """The queues that something leaves behind what it could not do."""
    if isinstance(value, list):
        return {queue for each in value for queue in dead_letter_queues(each)}
    if not isinstance(value, dict):
        return set()
    found = {queue for each in value.values() for queue in dead_letter_queues(each)}
    for path in (("deadLetterTargetArn",), ("DeadLetterConfig", "Arn"), ("OnFailure", "Destination")):
        target: Any = value
        for member in path:
            target = target.get(member, {}) if isinstance(target, dict) else {}
        if isinstance(target, dict) and "Fn::GetAtt" in target:
            found.add(target["Fn::GetAtt"][0])
    return found


def test_every_dead_letter_queue_has_an_alarm_on_its_first_message(resources: Resources) -> None:
    queues = dead_letter_queues(list(resources.values()))
    assert queues == of_type(resources, "AWS::SQS::Queue").keys() - {"WebhookQueue"}
    for queue in queues:
        where = {"QueueName": {"Fn::GetAtt": [queue, "QueueName"]}}
        (alarm,) = watching(resources, "AWS/SQS", "ApproximateNumberOfMessagesVisible", **where)
        assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", 1)
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_a_delivery_that_waits_is_noticed_after_one_attempt_and_before_the_last(
    written: dict[str, Any], resources: Resources
) -> None:
    where = {"QueueName": {"Fn::GetAtt": ["WebhookQueue", "QueueName"]}}
    (alarm,) = watching(resources, "AWS/SQS", "ApproximateAgeOfOldestMessage", **where)
    hidden = written["Parameters"]["WebhookVisibilitySeconds"]["Default"]
    attempts = resources["WebhookQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
    assert hidden < alarm["Threshold"] < hidden * (attempts - 1)


def test_a_token_that_ends_soon_is_noticed_after_three_attempts_and_before_it_ends(
    written: dict[str, Any], resources: Resources
) -> None:
    (alarm,) = watching(resources, OWN, "AccessTokenSecondsLeft", service="refresh_tokens")
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Minimum", 10 * 60)
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    assert alarm["Threshold"] + 3 * 300 <= written["Parameters"]["RefreshMarginSeconds"]["Default"]
    assert alarm["TreatMissingData"] == "breaching"


def test_a_refresh_token_is_noticed_between_the_first_request_for_another_and_its_end(resources: Resources) -> None:
    (alarm,) = watching(resources, OWN, "RefreshTokenAgeSeconds", service="refresh_tokens")
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", (6 * 24 + 12) * 60 * 60)
    assert REFRESH_TOKEN_OLD_SECONDS < alarm["Threshold"] < SEVEN_DAYS_SECONDS


def test_ticks_that_do_not_come_are_noticed(resources: Resources) -> None:
    (alarm,) = watching(resources, "AWS/Lambda", "Invocations", FunctionName={"Ref": "RefreshTokensFunction"})
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("Sum", "LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"


def test_a_schedule_that_cannot_start_its_function_is_noticed(resources: Resources) -> None:
    (schedule,) = of_type(resources, "AWS::Scheduler::Schedule").values()
    group = schedule["Properties"]["GroupName"]
    assert resources[group["Ref"]]["Type"] == "AWS::Scheduler::ScheduleGroup"
    assert len(watching(resources, "AWS/Scheduler", "InvocationDroppedCount", ScheduleGroup=group)) == 1


def test_a_rule_that_cannot_start_its_function_is_noticed(resources: Resources) -> None:
    rules = of_type(resources, "AWS::Events::Rule")
    assert len(rules) >= 2
    for rule in rules.values():
        properties = rule["Properties"]
        where = {"EventBusName": properties["EventBusName"], "RuleName": properties["Name"]}
        assert len(watching(resources, "AWS/Events", "FailedInvocations", **where)) == 1


def test_periods_are_as_long_as_ticks_are_apart(written: dict[str, Any], resources: Resources) -> None:
    often = {each["Fn::Equals"][1] for each in written["Conditions"]["TicksOften"]["Fn::Or"]}
    assert {int(re.findall(r"\d+", rate)[0]) for rate in often} == {1, 2, 3, 4, 5}
    refresh_rate = written["Parameters"]["RefreshRate"]
    assert refresh_rate["Default"] in often
    assert all(re.search(refresh_rate["AllowedPattern"], rate) for rate in often)
    of_ticks = [each for each in alarms(resources).values() if "refresh_tokens" in dimensions(each).values()]
    of_ticks += watching(resources, "AWS/Lambda", "Invocations", FunctionName={"Ref": "RefreshTokensFunction"})
    assert of_ticks
    for alarm in of_ticks:
        assert alarm["Period"] == {"Fn::If": ["TicksOften", 300, 3600]}


# --- What every alarm is ---------------------------------------------------------------------------------------------


def test_every_alarm_tells_the_topic_when_it_begins_and_when_it_ends(resources: Resources) -> None:
    for name, alarm in alarms(resources).items():
        assert alarm["ActionsEnabled"] is True, name
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC], name
    assert resources["AlarmTopic"]["Type"] == "AWS::SNS::Topic"


def test_an_address_is_subscribed_where_one_is_given(written: dict[str, Any], resources: Resources) -> None:
    (subscription,) = of_type(resources, "AWS::SNS::Subscription").values()
    assert subscription["Condition"] == "HasAlarmEmail"
    assert written["Conditions"]["HasAlarmEmail"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}]}
    assert subscription["Properties"] == {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": {"Ref": "AlarmEmail"}}


def test_every_alarm_says_what_missing_data_means(resources: Resources) -> None:
    for name, alarm in alarms(resources).items():
        assert alarm["TreatMissingData"] in ("breaching", "notBreaching", "ignore"), name


def test_no_alarm_looks_back_further_than_cloudwatch_allows(resources: Resources) -> None:
    for name, alarm in alarms(resources).items():
        periods = alarm["Period"]["Fn::If"][1:] if isinstance(alarm["Period"], dict) else [alarm["Period"]]
        for period in periods:
            assert period % 60 == 0, name
            assert period * alarm["EvaluationPeriods"] <= A_DAY_SECONDS, name
        assert 1 <= alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"], name


def test_an_alarm_is_there_exactly_when_what_it_watches_is(resources: Resources) -> None:
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        watched = re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)"', json.dumps(dimensions(alarm["Properties"])))
        conditions = {resources[each].get("Condition") for each in watched} or {None}
        # A rule is named by its text.
        for rule in of_type(resources, "AWS::Events::Rule").values():
            if rule["Properties"]["Name"] == dimensions(alarm["Properties"]).get("RuleName"):
                conditions = {rule.get("Condition")}
        assert conditions == {alarm.get("Condition")}, name


# --- Metrics ---------------------------------------------------------------------------------------------------------


def test_every_alarm_watches_a_metric_that_exists(resources: Resources) -> None:
    there = emitted(resources)
    for name, alarm in alarms(resources).items():
        watched = Metric(text(alarm["Namespace"]), alarm["MetricName"], frozenset(dimensions(alarm)))
        assert watched in there, name
        if "service" in watched.dimensions:
            assert (dimensions(alarm)["service"], watched.name) in counted(), name


def test_the_functions_in_the_background_emit_into_the_stacks_own_namespace(resources: Resources) -> None:
    services = set()
    for function in of_type(resources, "AWS::Lambda::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]
        if "POWERTOOLS_SERVICE_NAME" in variables:
            assert variables["POWERTOOLS_METRICS_NAMESPACE"] == {"Fn::Sub": OWN}
            services.add(variables["POWERTOOLS_SERVICE_NAME"])
    assert services == OUTCOMES.keys()
    assert {metric.namespace for metric in filtered(resources)} == {OWN}


def test_a_metric_filter_looks_for_lines_that_are_logged(resources: Resources) -> None:
    code = "".join(
        path.read_text()
        for folder in ("functions", "layers/gatehouse/gatehouse")
        for path in (ROOT / folder).rglob("*.py")
    )
    messages = {
        message
        for each in of_type(resources, "AWS::Logs::MetricFilter").values()
        for message in re.findall(r'\$\.message = "([^"]+)"', each["Properties"]["FilterPattern"])
    }
    assert len(messages) >= 6
    assert [message for message in messages if f'"{message}"' not in code] == []


def test_an_event_that_is_lost_is_counted_wherever_one_is_announced(resources: Resources) -> None:
    """Whoever publishes without trying again, says so in its log."""
    publishing = {
        role
        for role, properties in of_type(resources, "AWS::IAM::Role").items()
        for policy in properties["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if "events:PutEvents" in as_list(statement.get("Action", []))
    }
    counting = {
        each["Properties"]["LogGroupName"]["Ref"].replace("LogGroup", "Role")
        for each in of_type(resources, "AWS::Logs::MetricFilter").values()
        if each["Properties"]["MetricTransformations"][0]["MetricName"] == "EventsNotPublished"
    }
    # A delivery that could not be published comes back.
    assert counting == publishing - {"ProcessWebhookRole"}


# --- The runbook -----------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """The anchor that a heading gets in Markdown."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """The sections of the runbook's part about alarms, by their anchors."""
    part = RUNBOOK.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    headings_and_texts = re.split(r"^### (.+)$", part, flags=re.MULTILINE)[1:]
    return {
        anchor(heading): body for heading, body in zip(headings_and_texts[::2], headings_and_texts[1::2], strict=True)
    }


def test_every_alarm_names_its_part_of_the_runbook(resources: Resources) -> None:
    for name, alarm in alarms(resources).items():
        (named,) = re.findall(r"^[^#]+, see docs/runbook\.md#([a-z0-9-]+)$", alarm["AlarmDescription"])
        assert named in sections(), name


def test_every_part_of_the_runbook_names_exactly_its_alarms(resources: Resources) -> None:
    described: dict[str, set[str]] = {}
    for name, alarm in alarms(resources).items():
        described.setdefault(alarm["AlarmDescription"].partition("#")[2], set()).add(name)
    listed = {
        where: set(re.findall(r"`([a-z0-9-]+)`", re.findall(r"\A\s*((?:[^\n]+\n)+)", body)[0]))
        for where, body in sections().items()
    }
    assert listed == described


def test_every_part_of_the_runbook_says_what_it_means_where_to_look_and_what_to_do() -> None:
    assert sections()
    for where, body in sections().items():
        for said in ("**Meaning.**", "**Look.**", "**Do.**"):
            assert body.count(said) == 1, (where, said)


def test_the_runbook_names_only_log_lines_and_groups_that_there_are(resources: Resources) -> None:
    code = "".join(path.read_text() for path in (ROOT / "layers" / "gatehouse" / "gatehouse").rglob("*.py"))
    part = "".join(sections().values())
    for line in re.findall(r"`([a-z_]+\.[a-z_]+)`", part):
        assert f'"{line}"' in code, line
    groups = {
        each["Properties"]["LogGroupName"]["Fn::Sub"] for each in of_type(resources, "AWS::Logs::LogGroup").values()
    }
    for group in re.findall(r"aws logs tail (\S+)", part):
        assert group.replace("gatehouse-prod", "${AWS::StackName}") in groups, group
