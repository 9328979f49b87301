"""The first tick after a change of the secrets: invoke `refresh_tokens`, and wait for what it leads to.

Owns how long is waited for `authenticate`, which `refresh_tokens` asks for on the bus and which answers nobody: that it
has ended shows in what it stores.
"""

import json
from collections.abc import Callable
from typing import Final

from local.run_outcome import FAILED
from ops.checks.secrets import is_rejected
from ops.checks.tokens import OUTPUT
from ops.look import Look
from ops.outcomes import MEANINGS
from ops.stored_secret import INTEGRATION, OUTPUTS

WAIT_SECONDS: Final = 30
POLL_SECONDS: Final = 1.0


def first_tick(look: Look, sleep: Callable[[float], object]) -> tuple[str, ...]:
    """Return the outcomes in order: that of `refresh_tokens`, and that of `authenticate` if it was asked and has ended.

    Raises botocore's errors.
    """
    before = look.secret(OUTPUT).version_id
    outcome = _invoke(look)
    if outcome != "reauthentication_requested":
        return (outcome,)
    credentials = look.secret(OUTPUTS[INTEGRATION]).version_id
    for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
        if look.secret(OUTPUT).version_id != before:
            return outcome, "authenticated"
        if is_rejected(look, credentials):
            return outcome, "credentials_rejected"
        sleep(POLL_SECONDS)
    return (outcome,)


def _invoke(look: Look) -> str:
    name = look.deployment.output("RefreshTokensFunctionName")
    answer = look.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    payload = json.loads(answer["Payload"].read())
    if answer.get("FunctionError") or not isinstance(payload, dict):
        return FAILED
    outcome = str(payload.get("outcome"))
    return outcome if outcome in MEANINGS else FAILED
