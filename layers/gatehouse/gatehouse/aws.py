"""boto3 clients with limits on time.

Owns which clients there are and how long a call may take. Importing this module imports boto3, so functions that
somebody waits for import it only where they need it. Clients are made on first use, once.
"""

import logging
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

# Everything that a call to AWS can raise.
ERRORS = (BotoCoreError, ClientError)

# DynamoDB's error code for a condition that did not hold.
CONDITION_FAILED = "ConditionalCheckFailedException"

# Two attempts of at most 1 + 2 seconds and a pause of at most one: a call fails within 7 seconds, inside the timeout of
# every function.
_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})


@cache
def secretsmanager() -> "SecretsManagerClient":
    """Return the Secrets Manager client."""
    _quiet()
    return boto3.client("secretsmanager", config=_CONFIG)


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the DynamoDB client."""
    _quiet()
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def events() -> "EventBridgeClient":
    """Return the EventBridge client."""
    _quiet()
    return boto3.client("events", config=_CONFIG)


def _quiet() -> None:
    """Keep botocore's remarks about where it found credentials out of the log; its warnings stay."""
    logging.getLogger("botocore").setLevel(logging.WARNING)


def error_code(error: Exception) -> str:
    """Return AWS's error code, or the exception's type where AWS did not answer. Never a message."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__


def cancellation_codes(error: Exception) -> list[str]:
    """Return why a transaction of DynamoDB was cancelled: a code for each of its items. Never a message."""
    reasons = error.response.get("CancellationReasons", []) if isinstance(error, ClientError) else []
    return [str(reason.get("Code", "None")) for reason in reasons]
