"""Taking in a webhook delivery.

Owns the order: form, authenticity, durability, answer. Nothing is acknowledged before the queue has it, and nothing is
remembered of a delivery that was refused.
"""

import logging
import uuid
from collections.abc import Callable
from typing import NamedTuple

from gatehouse import envelope as envelopes
from gatehouse import iso8601
from gatehouse.delivery_queue import DeliveryQueue
from gatehouse.envelope import Envelope
from gatehouse.gateway_secret import GatewaySecret
from gatehouse.http import Answer, Request
from gatehouse.problems import (
    DeliveryNotReadable,
    GatewayNotConfigured,
    QueueUnavailable,
    UnknownKind,
    UnsupportedMediaType,
    WebhooksNotConfigured,
)
from gatehouse.secrets import CachedSecret
from gatehouse.webhook_credentials import Sources
from gatehouse.webhooks import (
    KINDS,
    ChecksumEncoding,
    Delivery,
    authenticate_smallcase,
    authenticate_source,
    identify_opaque,
)

log = logging.getLogger(__name__)

SMALLCASE_ROUTE = "POST /v1/webhooks/smallcase/{kind}"
INTEGRATION_ROUTE = "POST /v1/webhooks/integration/{source}"


class _Received(NamedTuple):
    source: str
    kind: str | None
    delivery: Delivery


class WebhookReceiver:
    """Receives the deliveries of every source."""

    def __init__(
        self,
        queue: DeliveryQueue,
        gateway: CachedSecret[GatewaySecret],
        sources: CachedSecret[Sources],
        encoding: ChecksumEncoding,
        clock: Callable[[], float],
    ) -> None:
        """`clock` returns epoch seconds."""
        self._queue = queue
        self._gateway = gateway
        self._sources = sources
        self._encoding = encoding
        self._clock = clock

    def receive(self, request: Request) -> Answer:
        """Return 200 with the delivery's id once it is durable. Raises what `problems` answers."""
        if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
            raise UnsupportedMediaType
        try:
            body = request.body()
        except ValueError:
            raise DeliveryNotReadable from None
        try:
            received = self._authenticate(request, body)
        except (GatewayNotConfigured, WebhooksNotConfigured) as error:
            log.error("webhook.not_configured", extra={"field": error.field, "reason": error.reason})  # noqa: TRY400
            raise
        envelope = Envelope(
            id=str(uuid.uuid4()),
            identity=received.delivery.identity,
            source=received.source,
            kind=received.kind,
            received_at=iso8601.render(self._clock()),
            content_type=request.headers.get("content-type", ""),
            recognised=received.delivery.recognised,
            body=body,
        )
        try:
            self._queue.send(envelopes.render(envelope))
        except QueueUnavailable as error:
            log.error("webhook.queue_unavailable", extra={"reason": error.reason})  # noqa: TRY400
            raise
        log.info("webhook.received", extra={"delivery": envelope.id, "source": envelope.source})
        return Answer(200, {"id": envelope.id})

    def _authenticate(self, request: Request, body: bytes) -> _Received:
        if request.route == SMALLCASE_ROUTE:
            return self._smallcase(str(request.variables.get("kind", "")), request, body)
        return self._integration(str(request.variables.get("source", "")), request, body)

    def _smallcase(self, kind: str, request: Request, body: bytes) -> _Received:
        if kind not in KINDS:
            raise UnknownKind
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMediaType
        secret = self._gateway.get()
        keys = [key for key in (secret.api_secret, secret.previous_api_secret) if key is not None]
        return _Received("smallcase", kind, authenticate_smallcase(kind, body, keys, self._encoding))

    def _integration(self, name: str, request: Request, body: bytes) -> _Received:
        source = authenticate_source(name, self._sources.get(), request.headers)
        return _Received(f"integration.{name}", None, identify_opaque(name, source, request.headers, body))
