"""The company's own side of the bus: what its rules would be given, caught in a queue.

Owns one rule and one queue on the emulated account, for as long as somebody looks. The template knows nothing of them:
they are what a company would add to its own account.
"""

import json
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from local.deploy import Endpoint

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import TargetTypeDef
    from mypy_boto3_sqs.type_defs import DeleteMessageBatchRequestEntryTypeDef

EVERYTHING: Final[Mapping[str, object]] = {"source": [{"prefix": "gatehouse."}]}
"""The pattern of every event that Gatehouse itself publishes."""

_AT_ONCE = 10  # what SQS hands out at once, at most
_AT_MOST = 1000  # in one call of `take`: it must end, however fast more come
_POLL_SECONDS = 0.1
_TARGET_ID = "queue"


class BusTap:
    """A rule on the bus and the queue that it fills. Leaving it, or `close`, removes both."""

    def __init__(self, endpoint: Endpoint, bus_name: str) -> None:
        """Use `open`."""
        self._bus_name = bus_name
        self._cleanup = ExitStack()
        self._sqs = self._cleanup.enter_context(closing(endpoint.client("sqs")))
        self._events = self._cleanup.enter_context(closing(endpoint.client("events")))
        self._queue_url = ""

    @classmethod
    def open(cls, endpoint: Endpoint, bus_name: str, pattern: Mapping[str, object] | None = None) -> Self:
        """Catch the events on the bus that fit an EventBridge pattern, from now on: by default everything of Gatehouse.

        Raises botocore's ClientError, for instance where there is no such bus.
        """
        tap = cls(endpoint, bus_name)
        try:
            tap._attach(f"bus-tap-{uuid.uuid4().hex}", EVERYTHING if pattern is None else pattern)
        except BaseException:
            tap.close()
            raise
        return tap

    def _attach(self, name: str, pattern: Mapping[str, object]) -> None:
        sqs, events, bus = self._sqs, self._events, self._bus_name
        self._queue_url = url = sqs.create_queue(QueueName=name)["QueueUrl"]
        self._cleanup.callback(partial(sqs.delete_queue, QueueUrl=url))
        queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule_arn = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
        self._cleanup.callback(partial(events.delete_rule, Name=name, EventBusName=bus))
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(_policy(queue_arn, rule_arn))})
        targets: list[TargetTypeDef] = [{"Id": _TARGET_ID, "Arn": queue_arn}]
        if refused := events.put_targets(Rule=name, EventBusName=bus, Targets=targets)["FailedEntries"]:
            raise RuntimeError(f"the bus does not take the queue as a target: {refused[0].get('ErrorCode')}")
        self._cleanup.callback(partial(events.remove_targets, Rule=name, EventBusName=bus, Ids=[_TARGET_ID]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def take(self, wait_seconds: float = 0) -> list[dict[str, object]]:
        """Return the events since the last call, whole as EventBridge delivers them, in no particular order.

        Where there is none yet, wait for one for up to `wait_seconds`. Of very many, return some: call again for more.
        """
        deadline = time.monotonic() + wait_seconds
        while not (taken := self._drain()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return taken

    def _drain(self) -> list[dict[str, object]]:
        taken: list[dict[str, object]] = []
        sqs, url = self._sqs, self._queue_url
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=_AT_ONCE).get("Messages"):
            handles: list[DeleteMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]} for number, each in enumerate(messages)
            ]
            if failed := sqs.delete_message_batch(QueueUrl=url, Entries=handles).get("Failed"):
                raise RuntimeError(f"an event could not be removed from the queue: {failed[0]['Code']}")
            taken += [json.loads(message["Body"]) for message in messages]
            if len(taken) >= _AT_MOST:
                break
        return taken

    def close(self) -> None:
        """Remove rule, target and queue, with whatever is left in it. A second time does nothing."""
        self._cleanup.close()


def _policy(queue_arn: str, rule_arn: str) -> dict[str, object]:
    """Return the policy without which EventBridge may not write to a queue."""
    statement = {
        "Sid": "FromTheRuleAlone",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
