"""Every few minutes: keep the Integration API's access token fresh."""

import os
import time
from functools import cache

from gatehouse.background import Background
from gatehouse.lambda_context import LambdaContext
from gatehouse.refresher import Refresher
from gatehouse.settings import Environment, IntegrationSettings
from gatehouse.token_adapters import refresher, upstream_deadline

MAX_MARGIN_SECONDS = 3600


@cache
def _dependencies() -> tuple[Background, Refresher]:
    env = Environment(os.environ)
    settings = IntegrationSettings.read(env)
    margin_seconds = env.integer("REFRESH_MARGIN_SECONDS", low=1, high=MAX_MARGIN_SECONDS)
    env.check()
    return Background(), refresher(settings, margin_seconds)


def handler(event: object, context: LambdaContext) -> dict[str, object]:
    """Run one tick, whoever asks for it, and return `{"outcome": …}`."""
    background, tokens = _dependencies()

    def tick() -> str:
        ended = tokens.run(upstream_deadline(context))
        if ended.tokens is not None:
            now = time.time()
            background.gauge("AccessTokenSecondsLeft", max(0.0, ended.tokens.expires_at - now))
            background.gauge("RefreshTokenAgeSeconds", max(0.0, now - ended.tokens.refresh_token_obtained_at))
        return ended.outcome

    return background.run(context, tick)
