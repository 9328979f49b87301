"""An example of the company's own functions: on a schedule, how many holdings the Integration API has for us.

It needs the layer, two environment variables and the right to read one secret: see template.yaml beside this folder and
docs/integration-client.md. The access token stays in here; what goes out is a number.
"""

import logging
import os
from functools import cache

from gatehouse.integration import IntegrationClient
from gatehouse.problems import GatehouseError
from gatehouse.settings import Environment

log = logging.getLogger(__name__)

OK = 200


class HoldingsUnavailable(GatehouseError):
    """The API's answer is not the one that is asked for. Says its status, never its body."""


@cache
def _client() -> IntegrationClient:
    env = Environment(os.environ)
    secret_arn, base_url = env.text("TOKENS_SECRET_ARN"), env.text("INTEGRATION_BASE_URL")
    env.check()
    return IntegrationClient.on_aws(secret_arn, base_url)


def handler(event: object, context: object) -> dict[str, int]:
    """Return `{"count": n}`. Raises `HoldingsUnavailable`, and what the client raises."""
    answer = _client().request("GET", "/holdings")
    if answer.status != OK:
        raise HoldingsUnavailable(f"status {answer.status}")
    match answer.json():
        case {"holdings": list(holdings)}:
            log.info("holdings.counted", extra={"count": len(holdings)})
            return {"count": len(holdings)}
    raise HoldingsUnavailable("no list of holdings")
