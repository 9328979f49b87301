"""What a user can do in the vendor's dialog, and what a control call can say about it.

Owns the names of these calls and of their members. Never decides whether a transaction allows it.
"""

from collections.abc import Mapping
from typing import Final

from local.simulator_controls import InvalidControlError
from local.smallcase_api.transactions import BROKERS, Status

# By the name of the control call: what the transaction becomes, and whether there is a login.
DIALOG: Final = {
    "use": (Status.USED, False),
    "process": (Status.PROCESSING, True),
    "complete": (Status.COMPLETED, True),
    "require-action": (Status.ACTION_REQUIRED, True),
    "fail": (Status.ERRORED, True),
    "cancel": (Status.CANCELLED, False),
}
LOGIN_FAILED: Final = "The broker refused, in the simulator."

_OF_A_LOGIN: Final = frozenset({"broker", "account", "smallcaseAuthId", "gateway", "smallcaseAuthToken"})


def parse_dialog(action: str, members: Mapping[str, object]) -> dict[str, str]:
    """Read the body of one of DIALOG's calls; raises InvalidControlError naming everything wrong with it."""
    status, logs_in = DIALOG[action]
    allowed = (
        {"transactionId"} | (_OF_A_LOGIN if logs_in else set()) | ({"error"} if status is Status.ERRORED else set())
    )
    texts = {name: value for name, value in members.items() if isinstance(value, str) and value}
    problems = [f"{name}: no such member here" for name in members if name not in allowed]
    problems += [
        f"{name}: must be a text that is not empty"
        for name in sorted(allowed & (members.keys() | {"transactionId"}))
        if name not in texts
    ]
    if "broker" in texts and texts["broker"] not in BROKERS:
        problems.append(f"broker: must be one of {', '.join(BROKERS)}")
    if {"smallcaseAuthId", "account"} <= members.keys():
        problems.append("account: stands for a smallcaseAuthId of its own, so not beside another one")
    if problems:
        raise InvalidControlError(problems)
    return texts
