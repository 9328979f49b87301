"""POST /v1/tokens/user: a session token for the signed-in user, connected or not."""

import os
from functools import cache

from gatehouse import caller
from gatehouse.connections import Connections, ConnectionsTable
from gatehouse.http import Answer, Request, respond
from gatehouse.settings import Environment, SessionTokenSettings
from gatehouse.token_issuer import TokenIssuer


@cache
def _dependencies() -> tuple[TokenIssuer, Connections]:
    env = Environment(os.environ)
    settings = SessionTokenSettings.read(env)
    table_name = env.text("CONNECTIONS_TABLE")
    env.check()
    return TokenIssuer.from_settings(settings), ConnectionsTable(table_name)


def _issue(request: Request) -> Answer:
    user = caller.identify(request.claims)
    issuer, connections = _dependencies()
    return issuer.issue(connections.smallcase_auth_id(user))


def handler(event: object, context: object) -> dict[str, object]:
    """Answer an API Gateway event of a caller whose JWT the authorizer verified."""
    return respond(event, _issue)
