"""From the webhook queue to the event log and the bus."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from gatehouse.background import Background
from gatehouse.bus import EventBridgeBus
from gatehouse.delivery_event import SOURCE
from gatehouse.event_log import DynamoDBEventLog
from gatehouse.lambda_context import LambdaContext
from gatehouse.settings import ONE_DAY_SECONDS, Environment
from gatehouse.webhook_processor import WebhookProcessor

MIN_LOG_DAYS, MAX_LOG_DAYS = 7, 3650


@cache
def _dependencies() -> tuple[Background, WebhookProcessor]:
    env = Environment(os.environ)
    table, bus = env.text("WEBHOOKS_TABLE"), env.text("EVENT_BUS")
    days = env.integer("EVENT_LOG_DAYS", low=MIN_LOG_DAYS, high=MAX_LOG_DAYS)
    env.check()
    event_log = DynamoDBEventLog(table, days * ONE_DAY_SECONDS, time.time)
    return Background(), WebhookProcessor(event_log, EventBridgeBus(bus, SOURCE))


def handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Process a batch and return which of its messages should come back."""
    background, webhooks = _dependencies()

    def process(record: dict[str, Any]) -> object:
        return background.run(context, lambda: webhooks.process(record["body"]))

    if not isinstance(event, dict) or not event.get("Records"):
        return {"batchItemFailures": []}
    # A batch in which everything failed is one of failures like any other: raising would say nothing more.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer: dict[str, Any] = dict(
        process_partial_response(event=event, record_handler=process, processor=processor, context=context)  # type: ignore[arg-type]  # it wants its own class of context, and uses one method of it
    )
    return answer
