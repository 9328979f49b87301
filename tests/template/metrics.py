"""Every metric that exists: AWS's own as far as the template uses them, and Gatehouse's, read from code and template.

Owns that inventory. An alarm or a widget on a metric that nobody emits is silent for ever; here a typo fails.
"""

import re
from typing import Any, NamedTuple, get_args

from gatehouse import authenticator, refresher, webhook_processor
from gatehouse.background import metric_name
from tests.conftest import ROOT

Resources = dict[str, Any]

OWN = "Gatehouse/${AWS::StackName}"

# The outcomes of each function that counts them, and those that are as they should be.
OUTCOMES = {
    "refresh_tokens": get_args(refresher.Outcome),
    "authenticate": get_args(authenticator.Outcome),
    "process_webhook": get_args(webhook_processor.Outcome),
}
GOOD_OUTCOMES = {"unchanged", "refreshed", "authenticated", "not_needed", "published", "duplicate"}


class Metric(NamedTuple):
    """What identifies a metric, but for the dimensions' values."""

    namespace: str
    name: str
    dimensions: frozenset[str]


def _aws(namespace: str, dimensions: set[str], *names: str) -> set[Metric]:
    return {Metric(namespace, name, frozenset(dimensions)) for name in names}


# As AWS documents them.
AWS = (
    # With detailed metrics, by route.
    _aws("AWS/ApiGateway", {"ApiId", "Stage", "Method", "Resource"}, "4xx", "5xx", "Count", "Latency")
    | _aws("AWS/Lambda", {"FunctionName"}, "Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions")
    | _aws("AWS/SQS", {"QueueName"}, "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible")
    | _aws("AWS/Scheduler", {"ScheduleGroup"}, "InvocationDroppedCount", "TargetErrorCount")
    # On a bus of one's own.
    | _aws("AWS/Events", {"EventBusName", "RuleName"}, "FailedInvocations")
)


def filtered(resources: Resources) -> set[Metric]:
    """What the metric filters make of the logs."""
    return {
        Metric(
            each["MetricNamespace"]["Fn::Sub"],
            each["MetricName"],
            frozenset(dimension["Key"] for dimension in each.get("Dimensions", [])),
        )
        for resource in resources.values()
        if resource["Type"] == "AWS::Logs::MetricFilter"
        for each in resource["Properties"]["MetricTransformations"]
    }


def gauges(service: str) -> set[str]:
    """The durations that a function records, read from its code."""
    return set(re.findall(r'\.gauge\("(\w+)"', (ROOT / "functions" / service / "app.py").read_text()))


def counted() -> set[tuple[str, str]]:
    """What the functions in the background emit, by service."""
    return {
        (service, name)
        for service, outcomes in OUTCOMES.items()
        for name in {metric_name(outcome) for outcome in outcomes} | gauges(service)
    }


def emitted(resources: Resources) -> set[Metric]:
    """Every metric that exists."""
    service = frozenset({"service"})
    return AWS | filtered(resources) | {Metric(OWN, name, service) for _, name in counted()}
