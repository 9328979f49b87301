"""What can go wrong, and what the caller is told about it.

Owns the exception tree and the one table from exception to RFC 9457 problem. It never carries text from outside
(an upstream's message, a header, a body) into a problem: every word of an answer stands in this file.
"""

from typing import NamedTuple

TYPE_PREFIX = "urn:gatehouse:problem:"

# How long a client should wait before it tries again. A store or queue that failed is usually back within seconds; a
# configuration waits for a person.
RETRY_SOON_SECONDS = 5
RETRY_LATER_SECONDS = 60


class GatehouseError(Exception):
    """Base of everything that Gatehouse raises on purpose. Its text is for logs and never quotes input."""


class RequestError(GatehouseError):
    """The request itself is at fault."""


class BodyTooLarge(RequestError):
    """The body exceeds the size that any route takes."""


class CallerNotIdentified(RequestError):
    """The verified token does not say who calls or until when."""


class DeliveryNotAuthentic(RequestError):
    """A webhook delivery without right credentials: missing, malformed, wrong, or of an unknown source."""


class DeliveryNotReadable(RequestError):
    """A webhook body that is not what its route needs to read before it can be authenticated."""


class UnsupportedMediaType(RequestError):
    """A body in a form that the route does not take: compressed, or not JSON where JSON is due."""


class UnknownKind(RequestError):
    """smallcase sends no webhooks of this kind."""


class InvalidRequest(RequestError):
    """A body that is not what its route takes."""


class InvalidSmallcaseToken(RequestError):
    """A smallcaseAuthToken that does not prove who its bearer is at smallcase."""


class IntentNotAllowed(RequestError):
    """The operator has not allowed browsers to start transactions of this intent."""


class TransactionUnknown(RequestError):
    """No transaction of that id was started for this user; somebody else's is as unknown as none."""


class TransactionUsed(RequestError):
    """The transaction has made a connection before, and its user does not hold that connection now."""


class TransactionExpired(RequestError):
    """The transaction ended without being completed in time."""


class TransactionNotCompleted(RequestError):
    """The Gateway does not call the transaction completed."""


class TransactionMismatch(RequestError):
    """The transaction was completed by the holder of another smallcaseAuthId."""


class AlreadyConnected(RequestError):
    """The user holds another smallcaseAuthId."""


class AuthIdTaken(RequestError):
    """Another user holds the smallcaseAuthId."""


class ServiceError(GatehouseError):
    """The request may be fine; something on this side is not."""


class GatewayNotConfigured(ServiceError):
    """The gateway secret is not usable.

    `field` names the offending member of the secret, `reason` says in a stable word what is wrong with it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"GatewaySecret: {field}: {reason}")
        self.field = field
        self.reason = reason


class SecretUnavailable(ServiceError):
    """A secret could not be read. `reason` is an error code, never a message."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"secret unavailable: {reason}")
        self.reason = reason


class ConnectionsUnavailable(ServiceError):
    """The connections table could not be used or holds what it must not. `reason` is a code, never a message."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"connections unavailable: {reason}")
        self.reason = reason


class GatewayRefused(ServiceError):
    """The smallcase Gateway refused a call. `reason` is a code of ours, never its text."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"gateway refused: {reason}")
        self.reason = reason


class GatewayUnavailable(ServiceError):
    """The smallcase Gateway gave no usable answer. `reason` is a code of ours, never its text."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"gateway unavailable: {reason}")
        self.reason = reason


class WebhooksNotConfigured(ServiceError):
    """What webhooks are authenticated with is not usable. `field` and `reason` say where and what, never a value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"WebhookCredentials: {field}: {reason}")
        self.field = field
        self.reason = reason


class QueueUnavailable(ServiceError):
    """The queue did not take a delivery. `reason` is a code, never a message."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"queue unavailable: {reason}")
        self.reason = reason


class Problem(NamedTuple):
    """One row of the problem table."""

    code: str  # stable, upper snake case: what programs decide on
    status: int
    title: str
    detail: str
    retry_after_seconds: int | None = None


INTERNAL_ERROR = Problem(
    "INTERNAL_ERROR", 500, "Internal error", "Something unexpected happened. It was logged under the request_id."
)

# The order does not matter: the class of the exception, then its bases, are looked up.
PROBLEMS: dict[type[GatehouseError], Problem] = {
    BodyTooLarge: Problem("BODY_TOO_LARGE", 413, "Body too large", "The request body exceeds 256 KiB."),
    CallerNotIdentified: Problem(
        "CALLER_NOT_IDENTIFIED",
        401,
        "Caller not identified",
        "The token must carry iss, sub and exp.",
    ),
    DeliveryNotAuthentic: Problem(
        "DELIVERY_NOT_AUTHENTIC", 401, "Delivery not authentic", "The delivery's credentials are missing or wrong."
    ),
    DeliveryNotReadable: Problem(
        "DELIVERY_NOT_READABLE", 400, "Delivery not readable", "The body must be one strict JSON object."
    ),
    UnsupportedMediaType: Problem(
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        "Unsupported media type",
        "The body must not be compressed, and must be application/json where the route reads JSON.",
    ),
    UnknownKind: Problem("UNKNOWN_KIND", 404, "Unknown kind", "There are no webhooks of this kind."),
    InvalidRequest: Problem(
        "INVALID_REQUEST",
        400,
        "Invalid request",
        "The body must be one strict JSON object with the documented members.",
    ),
    InvalidSmallcaseToken: Problem(
        "INVALID_SMALLCASE_TOKEN",
        400,
        "Invalid smallcase token",
        "The smallcaseAuthToken must be a valid one of a connected user.",
    ),
    IntentNotAllowed: Problem(
        "INTENT_NOT_ALLOWED", 403, "Intent not allowed", "The operator has not allowed this intent."
    ),
    TransactionUnknown: Problem(
        "TRANSACTION_UNKNOWN", 404, "Transaction unknown", "No such transaction was started for this user."
    ),
    TransactionUsed: Problem(
        "TRANSACTION_USED", 409, "Transaction used", "The transaction has made a connection before. Start another one."
    ),
    TransactionExpired: Problem(
        "TRANSACTION_EXPIRED", 409, "Transaction expired", "The transaction has expired. Start another one."
    ),
    TransactionNotCompleted: Problem(
        "TRANSACTION_NOT_COMPLETED", 409, "Transaction not completed", "The transaction has not been completed."
    ),
    TransactionMismatch: Problem(
        "TRANSACTION_MISMATCH",
        409,
        "Transaction mismatch",
        "The transaction was completed by the holder of another smallcaseAuthId.",
    ),
    AlreadyConnected: Problem(
        "ALREADY_CONNECTED", 409, "Already connected", "The user holds another smallcaseAuthId. Disconnect first."
    ),
    AuthIdTaken: Problem(
        "AUTH_ID_TAKEN", 409, "smallcaseAuthId taken", "Another user is connected with this smallcaseAuthId."
    ),
    GatewayRefused: Problem(
        "GATEWAY_REFUSED", 502, "Gateway refused", "The smallcase Gateway refused the call. The log says how."
    ),
    GatewayUnavailable: Problem(
        "GATEWAY_UNAVAILABLE",
        503,
        "Gateway unavailable",
        "The smallcase Gateway cannot be reached at the moment, or its answer cannot be used.",
        RETRY_SOON_SECONDS,
    ),
    WebhooksNotConfigured: Problem(
        "WEBHOOKS_NOT_CONFIGURED",
        503,
        "Webhooks not configured",
        "The operator has not completed the webhooks' configuration. The log names the field.",
        RETRY_LATER_SECONDS,
    ),
    QueueUnavailable: Problem(
        "QUEUE_UNAVAILABLE",
        503,
        "Queue unavailable",
        "The delivery could not be stored. Send it again.",
        RETRY_SOON_SECONDS,
    ),
    GatewayNotConfigured: Problem(
        "GATEWAY_NOT_CONFIGURED",
        503,
        "Gateway not configured",
        "The operator has not completed the gateway's configuration. The log names the field.",
        RETRY_LATER_SECONDS,
    ),
    SecretUnavailable: Problem(
        "SECRET_UNAVAILABLE",
        503,
        "Secret unavailable",
        "A secret that this request needs cannot be read at the moment.",
        RETRY_SOON_SECONDS,
    ),
    ConnectionsUnavailable: Problem(
        "CONNECTIONS_UNAVAILABLE",
        503,
        "Connections unavailable",
        "The store of connected users cannot be used at the moment.",
        RETRY_SOON_SECONDS,
    ),
}


def problem_for(error: Exception) -> Problem:
    """Return the problem that an exception is answered with; `INTERNAL_ERROR` for anything that has no row."""
    for cls in type(error).__mro__:
        if cls in PROBLEMS:
            return PROBLEMS[cls]
    return INTERNAL_ERROR


def problem_document(problem: Problem, request_id: str) -> dict[str, object]:
    """Return the members of an `application/problem+json` document (RFC 9457, with `code` and `request_id`)."""
    return {
        "type": TYPE_PREFIX + problem.code.lower().replace("_", "-"),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
