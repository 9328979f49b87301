"""An example of the company's own functions: take each webhook delivery once, however often its event comes.

It needs nothing of Gatehouse but the bus: template.yaml beside this folder has the rule, the table and the queue for
what fails. What a webhook says about money is confirmed over the API before anyone acts on it, so all that is done with
a delivery here is to remember that it is to be looked at.
"""

import logging
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

DAY_SECONDS = 24 * 60 * 60


@cache
def _dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb")


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    """Remember the delivery and return `{"outcome": "remembered" | "duplicate"}`. What AWS raises is tried again."""
    delivery = event["detail"]
    entry: dict[str, Any] = {
        "pk": {"S": delivery["id"]},  # the same in every repetition and replay; EventBridge's own event["id"] is not
        "event": {"S": event["detail-type"]},
        "received_at": {"S": delivery["received_at"]},
        "identity": {"S": delivery["identity"]},  # its key in Gatehouse's event log
        "ttl": {"N": str(int(time.time()) + int(os.environ["REMEMBER_DAYS"]) * DAY_SECONDS)},
    }
    # The checksum does not cover the body, so this is no more than what to ask the API about. There is no body where
    # it did not fit on the bus, and another sender's may be anything.
    match delivery.get("body"):
        case {"transactionId": str(transaction_id)}:
            entry["transaction_id"] = {"S": transaction_id}
    # One conditional write is both the memory and the effect: no crash can come between the two. Looking first and
    # writing afterwards would let two events at the same moment both pass.
    try:
        _dynamodb().put_item(
            TableName=os.environ["DELIVERIES_TABLE"],
            Item=entry,
            ConditionExpression="attribute_not_exists(pk)",
        )
    except _dynamodb().exceptions.ConditionalCheckFailedException:
        return _done("duplicate", delivery["id"])
    return _done("remembered", delivery["id"])


def _done(outcome: str, delivery_id: str) -> dict[str, str]:
    log.info("delivery.done", extra={"delivery": delivery_id, "outcome": outcome})
    return {"outcome": outcome}
