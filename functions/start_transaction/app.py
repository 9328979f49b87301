"""POST /v1/transactions: a transaction at the smallcase Gateway for the signed-in user."""

import os
from functools import cache

from gatehouse import caller
from gatehouse.connection_adapters import faults_of_the_secret_logged, gateway_deadline, transaction_starter
from gatehouse.connection_settings import GatewaySettings, read_allowed_intents
from gatehouse.http import Answer, Request, respond
from gatehouse.json_request import read_object
from gatehouse.lambda_context import LambdaContext
from gatehouse.settings import Environment
from gatehouse.transaction_starter import TransactionStarter, read_order, render


@cache
def _dependencies() -> tuple[TransactionStarter, frozenset[str]]:
    env = Environment(os.environ)
    settings = GatewaySettings.read(env)
    allowed_intents = read_allowed_intents(env)
    env.check()
    return transaction_starter(settings), allowed_intents


def handler(event: object, context: LambdaContext) -> dict[str, object]:
    """Answer an API Gateway event of a caller whose JWT the authorizer verified."""

    def start(request: Request) -> Answer:
        user = caller.identify(request.claims)
        starter, allowed_intents = _dependencies()
        order = read_order(read_object(request), allowed_intents)
        with faults_of_the_secret_logged():
            return Answer(201, render(starter.start(user, order, gateway_deadline(context))))

    return respond(event, start)
