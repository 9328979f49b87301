"""The emulated account, as far as the page looks into it and has a hand in it.

Owns the calls of boto3, and that what fails there is said without its text. Clients are made once, at the start, by one
thread: boto3 does not make them safely in several.
"""

import json
import logging
from collections.abc import Callable, Iterable
from functools import wraps
from http import HTTPStatus
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from local.bus_tap import BusTap
from local.invoke import function_name
from local.playground.surroundings import Surroundings
from local.simulator_controls import ControlRefusedError

MOST_ENTRIES: Final = 10

_INDEX: Final = "by_source"
_SHOWN: Final = ("id", "source", "kind", "state", "received_at")

log = logging.getLogger(__name__)


def _said[**P, R](call: Callable[P, R]) -> Callable[P, R]:
    """Make a failure of the account one that the page can be told."""

    @wraps(call)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except (BotoCoreError, ClientError) as error:
            log.warning("%s: %s", call.__name__, type(error).__name__)
            message = "The emulated AWS account did not do it."
            raise ControlRefusedError(HTTPStatus.BAD_GATEWAY, "ACCOUNT", message) from None

    return told


class Account:
    """One stack's account, for several threads at once. Every method may raise ControlRefusedError."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._outputs = surroundings.outputs
        self._endpoint = surroundings.endpoint
        self._dynamodb = self._endpoint.client("dynamodb")
        self._lambda = self._endpoint.client("lambda")
        self._logs = self._endpoint.client("logs")
        self._secrets = self._endpoint.client("secretsmanager")

    @_said
    def secret(self, name: str) -> str:
        """Return the value of a secret; `name` is its output's, without `SecretArn`."""
        return self._secrets.get_secret_value(SecretId=self._outputs[f"{name}SecretArn"])["SecretString"]

    @_said
    def write_secret(self, name: str, text: str) -> None:
        """Write a secret, as an operator does."""
        self._secrets.put_secret_value(SecretId=self._outputs[f"{name}SecretArn"], SecretString=text)

    @_said
    def invoke(self, function: str) -> object:
        """Invoke a function, named by its folder, with an operator's event and return its answer."""
        answer = self._lambda.invoke(FunctionName=self._deployed(function), Payload=b"{}")
        if answer.get("FunctionError"):
            message = f"{function} failed. Its log says where."
            raise ControlRefusedError(HTTPStatus.BAD_GATEWAY, "FUNCTION_FAILED", message)
        return json.loads(answer["Payload"].read())

    @_said
    def environment(self, function: str) -> dict[str, str]:
        """Return the variables of a function."""
        configuration = self._lambda.get_function_configuration(FunctionName=self._deployed(function))
        return configuration["Environment"]["Variables"]

    @_said
    def log_lines(self, function: str, since: float) -> list[tuple[float, str]]:
        """Return a function's log lines since this time, with theirs, in epoch seconds."""
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{self._deployed(function)}", startTime=int(since * 1000)
        )
        return [(event["timestamp"] / 1000, event["message"]) for page in pages for event in page["events"]]

    @_said
    def newest_entries(self, sources: Iterable[str]) -> list[dict[str, str]]:
        """Return the newest entries of these sources of the event log, newest first, without their bodies."""
        found: list[dict[str, str]] = []
        for source in sources:
            answer = self._dynamodb.query(
                TableName=self._outputs["WebhooksTableName"],
                IndexName=_INDEX,
                KeyConditionExpression="#source = :source",
                ExpressionAttributeNames={"#source": "source"},
                ExpressionAttributeValues={":source": {"S": source}},
                ScanIndexForward=False,
                Limit=MOST_ENTRIES,
            )
            found += [{name: item[name]["S"] for name in _SHOWN if name in item} for item in answer["Items"]]
        return sorted(found, key=lambda entry: entry["received_at"], reverse=True)[:MOST_ENTRIES]

    @_said
    def tap_bus(self) -> BusTap:
        """Begin to catch the bus's events."""
        return BusTap.open(self._endpoint, self._outputs["EventBusName"])

    def _deployed(self, function: str) -> str:
        deployed = function_name(self._outputs, function)
        if deployed is None:
            raise KeyError(function)
        return deployed
