"""POST /v1/webhooks/…: take in a delivery, and answer once it is durable."""

import os
import time
from functools import cache

from gatehouse.cold_start import ColdStart

with ColdStart():
    from gatehouse.delivery_queue import SqsDeliveryQueue
    from gatehouse.gateway_secret import GatewaySecret, parse_gateway_secret
    from gatehouse.http import respond
    from gatehouse.secret_value import Secret
    from gatehouse.secrets import CachedSecret, secret_reader
    from gatehouse.settings import Environment, WebhookSettings
    from gatehouse.webhook_credentials import judge_sources
    from gatehouse.webhook_receiver import WebhookReceiver


@cache
def _receiver() -> WebhookReceiver:
    env = Environment(os.environ)
    settings = WebhookSettings.read(env)
    env.check()
    reader = secret_reader(settings.extension)

    def parse_gateway(text: Secret) -> GatewaySecret:
        return parse_gateway_secret(text, allow_short=settings.allow_short_secrets)

    return WebhookReceiver(
        SqsDeliveryQueue(settings.queue),
        CachedSecret(reader, settings.gateway_secret_arn, parse_gateway, time.time),
        CachedSecret(reader, settings.credentials_secret_arn, judge_sources, time.time),
        settings.checksum_encoding,
        time.time,
    )


def handler(event: object, context: object) -> dict[str, object]:
    """Answer an API Gateway event of either webhook route."""
    return respond(event, lambda request: _receiver().receive(request))
