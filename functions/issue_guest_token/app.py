"""POST /v1/tokens/guest: a session token for somebody whom nobody knows yet."""

import os
from functools import cache

from gatehouse.cold_start import ColdStart

with ColdStart():
    from gatehouse.http import Answer, Request, respond
    from gatehouse.settings import Environment, SessionTokenSettings
    from gatehouse.token_issuer import TokenIssuer


@cache
def _issuer() -> TokenIssuer:
    env = Environment(os.environ)
    settings = SessionTokenSettings.read(env)
    env.check()
    return TokenIssuer.from_settings(settings)


def _issue(_request: Request) -> Answer:
    return _issuer().issue(None)


def handler(event: object, context: object) -> dict[str, object]:
    """Answer an API Gateway event. What the request says does not matter."""
    return respond(event, _issue)
