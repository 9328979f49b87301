"""Connecting by a postback of smallcase, for a browser that never came back.

Owns what is read of an event of the bus, and what becomes of it: everything that is known to go wrong is an outcome,
and only what a later attempt can change is raised, so that Lambda tries it again.

smallcase's checksum covers neither the transactionId nor anything else but an id and a timestamp. So a postback is no
more than a hint that it is worth asking the Gateway; what it says counts for nothing.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple, TypeIs

from gatehouse import delivery_event
from gatehouse.http import locations
from gatehouse.problems import (
    ConnectionsUnavailable,
    GatehouseError,
    GatewayUnavailable,
    SecretUnavailable,
    ServiceError,
    TransactionUnknown,
    TransactionUsed,
    problem_for,
)
from gatehouse.session_token import is_smallcase_id

log = logging.getLogger(__name__)

PREFIX = "smallcase."

# What is gone by itself, more often than not.
PASSING = (SecretUnavailable, ConnectionsUnavailable, GatewayUnavailable)


class TryAgain(ServiceError):
    """A later attempt may succeed. The text is a problem's code."""


class UnexpectedError(Exception):
    """Something unexpected happened; its type and place are in the log. Lambda counts it and invokes again."""


class Hint(NamedTuple):
    """What a postback says."""

    transaction_id: str
    smallcase_auth_id: str


class SwitchedOff(ServiceError):
    """The operator does not want connections by webhook."""


def is_bus_event(event: object) -> TypeIs[dict[str, object]]:
    """Whether the event is one of the bus. What API Gateway sends has a request context, whatever its caller wrote."""
    return isinstance(event, dict) and "detail-type" in event and "requestContext" not in event


def run(event: dict[str, object], connect: Callable[[Hint], None]) -> dict[str, object]:
    """Act on an event of the bus, and return `{"outcome": …}`.

    `connect` connects whoever has started the transaction. Raises `TryAgain` and `UnexpectedError`.
    """
    try:
        return _run(event, connect)
    except TryAgain:
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: an exception's text must not reach the log
        kind = type(error).__name__
        log.error(  # noqa: TRY400 - `exception` would log the text
            "function.failed", extra={"error_type": kind, "error_location": locations(error.__traceback__)}
        )
        raise UnexpectedError(kind) from None


def _run(event: dict[str, object], connect: Callable[[Hint], None]) -> dict[str, object]:
    hint = read_hint(event)
    if isinstance(hint, str):
        return _ignored(hint)
    try:
        connect(hint)
    except SwitchedOff:
        return _ignored("switched_off")
    except TransactionUnknown:
        return _ignored("transaction_unknown")
    except TransactionUsed:
        return _ignored("transaction_used")
    except PASSING as error:
        code = problem_for(error).code
        log.error("connection.webhook_failed", extra={"code": code})  # noqa: TRY400
        raise TryAgain(code) from None
    except GatehouseError as error:
        code = problem_for(error).code
        log.warning("connection.webhook_refused", extra={"code": code})
        return {"outcome": "refused", "code": code}
    return {"outcome": "connected"}


def read_hint(event: dict[str, object]) -> Hint | str:
    """Read an event. Total: what is no hint gives the reason why."""
    detail_type, detail = event.get("detail-type"), event.get("detail")
    if event.get("source") != delivery_event.SOURCE or not isinstance(detail, dict):
        return "another_event"
    if not isinstance(detail_type, str) or not detail_type.startswith(PREFIX):
        return "another_event"
    if detail.get("body_in_log") is True:
        return "body_in_log"
    return _ids(detail.get("body"))


def _ids(body: object) -> Hint | str:
    if not isinstance(body, dict):
        return "no_object"
    transaction_id, smallcase_auth_id = body.get("transactionId"), body.get("smallcaseAuthId")
    if not is_smallcase_id(transaction_id) or not is_smallcase_id(smallcase_auth_id):
        return "no_ids"
    return Hint(transaction_id, smallcase_auth_id)


def _ignored(reason: str) -> dict[str, object]:
    log.info("connection.webhook_ignored", extra={"reason": reason})
    return {"outcome": "ignored", "reason": reason}
