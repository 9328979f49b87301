"""What the smallcase Gateway API answers.

Owns reading it: which answer is a refusal, which is none at all, and where in one its facts stand. It talks to nobody,
and never quotes what came in. Facts are the vendor's documentation, but for the details of a transaction, which are
read as third parties read them: that reading is `read_details` alone.
"""

import math
from typing import NamedTuple

from gatehouse import iso8601
from gatehouse.problems import GatewayRefused, GatewayUnavailable
from gatehouse.session_token import is_smallcase_id
from gatehouse.upstream import UpstreamAnswer, UpstreamFault

OK, REDIRECTION, CLIENT_ERROR, TOO_MANY_REQUESTS, SERVER_ERROR = 200, 300, 400, 429, 500

COMPLETED, EXPIRED = "COMPLETED", "EXPIRED"

# The last second of the year 9999: what a date can say.
LAST_SECOND = 253_402_300_799


class Started(NamedTuple):
    """A transaction that the Gateway has made. `expire_at` is in epoch seconds, the fraction cut off."""

    transaction_id: str
    expire_at: int


class Details(NamedTuple):
    """What the Gateway says of a transaction. Who completed it is known from some state on."""

    status: str
    smallcase_auth_id: str | None
    broker: str | None


def read_started(answer: UpstreamAnswer) -> Started:
    """Read the answer to a transaction that was asked for. Raises `GatewayRefused` and `GatewayUnavailable`.

    `{"data": {"transactionId", "expireAt"}}`. That it says `success` as well is documented of the details alone.
    """
    data = _data(answer, may_be_silent=True)
    transaction_id = data.get("transactionId")
    if not is_smallcase_id(transaction_id):
        raise GatewayUnavailable("transaction_id")
    return Started(transaction_id, _epoch_seconds(data.get("expireAt")))


def read_details(answer: UpstreamAnswer, transaction_id: str) -> Details:
    """Read the details of the transaction. Raises `GatewayRefused` and `GatewayUnavailable`.

    `{"success": true, "data": {"transactionId", "status", "smallcaseAuthId", "broker", "error"?}}`, where what is not
    known yet may be null or missing.
    """
    data = _data(answer)
    if data.get("transactionId") not in (None, transaction_id):
        raise GatewayUnavailable("another_transaction")
    status, smallcase_auth_id, broker = data.get("status"), data.get("smallcaseAuthId"), data.get("broker")
    if not isinstance(status, str):
        raise GatewayUnavailable("status")
    return Details(
        status,
        smallcase_auth_id if is_smallcase_id(smallcase_auth_id) else None,
        broker if is_smallcase_id(broker) else None,
    )


def _data(answer: UpstreamAnswer, *, may_be_silent: bool = False) -> dict[str, object]:
    """Return what a successful answer carries.

    A refusal is told by its status, or by `"success": false`; everything else that is no success says nothing.
    `may_be_silent`: an answer that does not say whether it is one, is one.
    """
    reason = f"status_{answer.status}"
    if CLIENT_ERROR <= answer.status < SERVER_ERROR and answer.status != TOO_MANY_REQUESTS:
        raise GatewayRefused(reason)
    if not OK <= answer.status < REDIRECTION:
        raise GatewayUnavailable(reason)
    try:
        members = answer.json_object()
    except UpstreamFault as fault:
        raise GatewayUnavailable(fault.reason) from None
    if members.get("success") is False:
        raise GatewayRefused("no_success")
    data, success = members.get("data"), members.get("success")
    is_success = success is True or (may_be_silent and success is None)
    if not is_success or not isinstance(data, dict):
        raise GatewayUnavailable("no_data")
    return data


def _epoch_seconds(value: object) -> int:
    """Return a time that the Gateway writes in ISO 8601 or in epoch milliseconds."""
    seconds = math.nan
    if isinstance(value, str):
        try:
            seconds = iso8601.parse(value)
        except ValueError:
            # Milliseconds in quotes are milliseconds.
            seconds = int(value[:20]) / 1000 if value.isascii() and value.isdecimal() else math.nan
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) <= LAST_SECOND * 1000 else math.nan
    if not 0 <= seconds <= LAST_SECOND:
        raise GatewayUnavailable("expire_at")
    return int(seconds)
