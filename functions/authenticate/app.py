"""A new authentication at the Integration API: asked for on the bus, or by an operator."""

import os
from functools import cache

from gatehouse.authenticator import Authenticator, Trigger
from gatehouse.background import Background
from gatehouse.lambda_context import LambdaContext
from gatehouse.settings import Environment, IntegrationSettings
from gatehouse.token_adapters import authenticator, upstream_deadline


@cache
def _dependencies() -> tuple[Background, Authenticator]:
    env = Environment(os.environ)
    settings = IntegrationSettings.read(env)
    credentials_secret_arn = env.text("CREDENTIALS_SECRET_ARN")
    env.check()
    return Background(), authenticator(settings, credentials_secret_arn)


def read_trigger(event: object) -> Trigger:
    """Read an event of the bus or an operator's `{}` or `{"force": true}`. Total.

    An event that does not say for which tokens it holds, holds for none.
    """
    if not isinstance(event, dict):
        return Trigger()
    if "detail-type" in event:
        detail = event.get("detail")
        version_id = detail.get("tokens_version_id") if isinstance(detail, dict) else None
        return Trigger(only_while_version_id=version_id if isinstance(version_id, str) else "")
    return Trigger(force=event.get("force") is True)


def handler(event: object, context: LambdaContext) -> dict[str, object]:
    """Authenticate where that is called for, and return `{"outcome": …}`."""
    background, tokens = _dependencies()
    return background.run(context, lambda: tokens.run(read_trigger(event), upstream_deadline(context)))
