"""POST and DELETE /v1/connections; and, where the operator wants it, smallcase's postbacks from the bus."""

import os
from functools import cache

from gatehouse import caller, connect_by_webhook
from gatehouse.connect_by_webhook import Hint, SwitchedOff
from gatehouse.connection_adapters import connector, faults_of_the_secret_logged, gateway_deadline
from gatehouse.connection_settings import ConnectSettings
from gatehouse.connector import Connector, read_proof, render
from gatehouse.http import Answer, Request, respond
from gatehouse.json_request import read_object
from gatehouse.lambda_context import LambdaContext
from gatehouse.settings import Environment

DISCONNECT = "DELETE /v1/connections"


@cache
def _dependencies() -> tuple[Connector, bool]:
    env = Environment(os.environ)
    settings = ConnectSettings.read(env)
    env.check()
    return connector(settings), settings.by_webhook


def handler(event: object, context: LambdaContext) -> dict[str, object]:
    """Answer an API Gateway event of a caller whose JWT the authorizer verified, or act on an event of the bus."""

    def answer(request: Request) -> Answer:
        user = caller.identify(request.claims)
        connections, _ = _dependencies()
        if request.route == DISCONNECT:
            connections.disconnect(user)
            return Answer(204, None)
        proof = read_proof(read_object(request))
        with faults_of_the_secret_logged():
            return Answer(200, render(connections.connect(user, proof, gateway_deadline(context))))

    def connect(hint: Hint) -> None:
        connections, by_webhook = _dependencies()
        if not by_webhook:
            raise SwitchedOff
        with faults_of_the_secret_logged():
            connections.connect_by_webhook(hint.transaction_id, hint.smallcase_auth_id, gateway_deadline(context))

    if connect_by_webhook.is_bus_event(event):
        return connect_by_webhook.run(event, connect)
    return respond(event, answer)
