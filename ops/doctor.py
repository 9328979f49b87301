"""`make doctor`: look at a deployment from all sides, and say what to do.

Owns which checks there are and the exit code: 0 where there is no problem (warnings allowed), 1 where there is one, and
2 where the command was wrong or nothing is deployed. It changes nothing; asking for a guest token is the most it does.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from gatehouse.http_transport import HttpTransport
from gatehouse.upstream import Transport
from ops.checks import network, queues, secrets, stack, tokens, wiring
from ops.deployment import Deployment, NoDeployment
from ops.findings import State, print_json, print_table, worst
from ops.look import Check, Look, run_checks
from ops.program import DONE, NOT_DONE, WRONG, OpenDeployment, Variables, run

USAGE: Final = "make doctor [JSON=1] [STAGE=…]"

SECONDS: Final = 25.0

CHECKS: Final[Mapping[str, Check]] = {
    "stack": stack.stack,
    "parameters: refresh rate": stack.refresh_rate,
    "parameters: addresses": stack.addresses,
    "parameters: short keys": stack.short_keys,
    "parameters: transactions": stack.transactions,
    "GatewaySecret": secrets.gateway_secret,
    "GatewaySecret: rotation": secrets.gateway_overlap,
    "IntegrationCredentials": secrets.integration_credentials,
    "IntegrationCredentials: upstream": secrets.rejected_credentials,
    "WebhookCredentials": secrets.webhook_credentials,
    "access token": tokens.access_token,
    "refresh token": tokens.refresh_token,
    "token exchange": tokens.exchange,
    "token functions: last runs": tokens.last_runs,
    "schedule": wiring.schedule,
    "rules": wiring.rules,
    "functions": wiring.functions,
    "secrets extension": wiring.extension,
    "webhook queue: event source": wiring.event_source,
    "webhook queue": queues.webhook_queue,
    "webhook failures": queues.dead_letters("WebhookDeadLetterQueueUrl"),
    "token failures": queues.dead_letters("TokenDeadLetterQueueUrl"),
    "connection failures": queues.dead_letters("ConnectionDeadLetterQueueUrl"),
    "API": network.api,
    "OIDC issuer": network.issuer,
    "Integration API": network.integration_api,
    "smallcase Gateway": network.smallcase_gateway,
    "alarms": stack.alarms,
    "clock": stack.clock,
}


def main(
    environment: Mapping[str, str],
    open_deployment: OpenDeployment = Deployment.open,
    transport: Transport | None = None,
    clock: Callable[[], float] = time.time,
) -> int:
    """Run all checks, print what they find, and return the exit code."""

    def work() -> int:
        variables = Variables(environment)
        as_json = variables.flag("JSON")
        variables.check()
        try:
            deployment = open_deployment(variables.stage)
        except NoDeployment as error:
            print(error, file=sys.stderr)
            return WRONG
        print(deployment.title, file=sys.stderr if as_json else sys.stdout, flush=True)
        with Look(deployment, transport or HttpTransport(), clock) as look:
            findings = run_checks(CHECKS, look, SECONDS)
        if as_json:
            print_json({"stage": deployment.stage, "stack": deployment.stack_name}, findings)
        else:
            print_table(findings)
        return NOT_DONE if worst(findings) is State.PROBLEM else DONE

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
