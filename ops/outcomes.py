"""How a run of `refresh_tokens` or `authenticate` can end, and what that means to an operator.

Owns the words, and finding the newest run in the functions' logs: there, because a log is what AWS and the emulator
have alike. Of a log line it takes nothing but the outcome.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from local.run_outcome import FAILED, outcome_in
from ops.findings import State

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

LOOK_BACK_SECONDS: Final = 6 * 60 * 60
"""Several runs at every RefreshRate that the template takes."""


class Meaning(NamedTuple):
    """What an outcome says."""

    state: State
    text: str
    todo: str = ""


MEANINGS: Final[Mapping[str, Meaning]] = {
    "unchanged": Meaning(State.OK, "the access token is good"),
    "refreshed": Meaning(State.OK, "a new access token is stored"),
    "authenticated": Meaning(State.OK, "new tokens are stored"),
    "not_needed": Meaning(State.OK, "the tokens had been replaced already"),
    "lost_race": Meaning(State.OK, "another run was first; its tokens are stored"),
    "busy": Meaning(State.OK, "another run is at it"),
    "reauthentication_requested": Meaning(
        State.WARNING, "authenticate was asked for new tokens", "If it goes on, look at the log of authenticate."
    ),
    "upstream_unavailable": Meaning(
        State.WARNING,
        "the Integration API had no usable answer",
        "The next tick tries again; the function's log says why (reason).",
    ),
    "aws_unavailable": Meaning(
        State.WARNING,
        "Secrets Manager, DynamoDB or EventBridge failed",
        "The next tick tries again; the function's log says how.",
    ),
    "credentials_rejected": Meaning(
        State.PROBLEM,
        "the Integration API does not take the credentials",
        "Replace IntegrationCredentials ({configure}).",
    ),
    "not_configured": Meaning(
        State.PROBLEM, "IntegrationCredentials cannot be used", "Fill them in ({configure}); the log names the field."
    ),
    FAILED: Meaning(
        State.PROBLEM, "the run failed unexpectedly", "The function's log says where (function.failed, error_location)."
    ),
}

_NOT_KNOWN: Final = Meaning(State.WARNING, "an outcome that this version does not know", "Deploy this version.")


class Run(NamedTuple):
    """The end of a run."""

    at: float  # epoch seconds
    outcome: str

    @property
    def meaning(self) -> Meaning:
        """What it says."""
        return MEANINGS.get(self.outcome, _NOT_KNOWN)


def last_run(logs: "CloudWatchLogsClient", function_name: str, now: float) -> Run | None:
    """Return the newest run in a function's log; None where it has none. Raises botocore's errors."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{function_name}",
        # The emulator returns every line, so each is read for itself.
        filterPattern='{ $.message = "function.*" }',
        startTime=int((now - LOOK_BACK_SECONDS) * 1000),
    )
    ended = [
        Run(event["timestamp"] / 1000, outcome if outcome in MEANINGS else "")
        for page in pages
        for event in page["events"]
        if (outcome := outcome_in(event["message"])) is not None
    ]
    # What has the same time stands in the order in which it was written.
    return max(reversed(ended), key=lambda run: run.at, default=None)
