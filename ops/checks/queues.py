"""The queues: what failed lies in a dead-letter queue, and what was accepted should not wait for long."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from ops.findings import Finding, ok, problem, warning
from ops.look import Check, Look
from ops.redrive import Queue

WAITING_SECONDS: Final = 15 * 60
"""A delivery is processed within seconds, and five times within a quarter of an hour."""

_METRIC_MINUTES: Final = 15

DEAD_LETTERS: Final = {
    "WebhookDeadLetterQueueUrl": "Find out why, then {redrive}: docs/runbook.md, Redrive.",
    "TokenDeadLetterQueueUrl": "See function.failed in the functions' logs, then delete them: docs/runbook.md.",
    "ConnectionDeadLetterQueueUrl": "See the log of connect_user; smallcase does not send them again.",
}
"""What to do about messages there, by the stack's output. Not every stack has the last one."""


def webhook_queue(look: Look) -> Finding:
    """Whether deliveries are processed."""
    queue, seconds = _look(look, "WebhookQueueUrl")
    if seconds is None or seconds <= WAITING_SECONDS:
        return ok(str(queue) + _age(seconds))
    return warning(str(queue) + _age(seconds), "See the event source, and the log of process_webhook.")


def dead_letters(output: str) -> Check:
    """Return the check whether a dead-letter queue is empty."""
    return partial(_dead_letters, output)


def _dead_letters(output: str, look: Look) -> Finding:
    if output not in look.deployment.outputs and output == "ConnectionDeadLetterQueueUrl":
        return ok("not there: ConnectByWebhook is off")
    queue, seconds = _look(look, output)
    if not (queue.waiting or queue.hidden):
        return ok("empty")
    todo = DEAD_LETTERS[output].format(redrive=look.command("redrive"))
    return problem(str(queue) + _age(seconds), todo)


def _look(look: Look, output: str) -> tuple[Queue, float | None]:
    """Return what SQS says of a queue, and the age of its oldest message, where there are any and CloudWatch knows."""
    queue = Queue.look(look.client("sqs"), look.deployment.output(output))
    if not (queue.waiting or queue.hidden):
        return queue, None
    now = datetime.fromtimestamp(look.clock(), UTC)
    points = look.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": queue.arn.rpartition(":")[2]}],
        StartTime=now - timedelta(minutes=_METRIC_MINUTES),
        EndTime=now,
        Period=_METRIC_MINUTES * 60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return queue, max((point["Maximum"] for point in points), default=None)


def _age(seconds: float | None) -> str:
    return "" if seconds is None else f", the oldest {seconds / 3600:.1f} h old"
