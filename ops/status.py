"""`make status`: how a deployment is doing, on one screen.

Owns what is on it. It says times, counts and names, and never a value of a secret; what cannot be asked is said to be
unknown, with AWS's code. Whether any of it is right is `make doctor`'s to say.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gatehouse import iso8601
from gatehouse.http_transport import HttpTransport
from gatehouse.integration_tokens import TokensUnreadable, parse_tokens
from gatehouse.problems import WebhooksNotConfigured
from gatehouse.webhook_credentials import judge_sources
from ops.checks.queues import DEAD_LETTERS
from ops.checks.stack import ringing_alarms
from ops.checks.tokens import OUTPUT, duration, runs_of, said
from ops.deployment import Deployment, NoDeployment
from ops.log_reader import LogReader, Selection
from ops.look import Look
from ops.program import AWS_ERRORS, DONE, WRONG, OpenDeployment, Variables, describe, run
from ops.redrive import Queue
from ops.stored_secret import OUTPUTS, WEBHOOKS

USAGE: Final = "make status [STAGE=…]"

HOUR_SECONDS: Final = 60 * 60

_QUEUES: Final = ("WebhookQueueUrl", *DEAD_LETTERS)

Line = tuple[str, str]


def tokens(look: Look) -> Iterator[Line]:
    """Yield how long the tokens last."""
    try:
        stored = parse_tokens(look.secret(OUTPUT).text)
    except TokensUnreadable as error:
        yield "tokens", f"unreadable: {error}"
        return
    if stored is None:
        yield "tokens", "none"
        return
    now = look.clock()
    left = stored.expires_at - now
    access = f"{duration(left)} left" if left > 0 else f"expired {duration(-left)} ago"
    yield "access token", f"{access}, obtained {duration(now - stored.access_token_obtained_at)} ago"
    yield "refresh token", f"obtained {duration(now - stored.refresh_token_obtained_at)} ago, of 7 days"


def outcomes(look: Look) -> Iterator[Line]:
    """Yield how each function's last run ended."""
    for name, last in runs_of(look).items():
        yield name, "no run in the last hours" if last is None else said(last, look.clock())


def queues(look: Look) -> Iterator[Line]:
    """Yield what is in each queue."""
    for output in _QUEUES:
        if output in look.deployment.outputs:
            queue = Queue.look(look.client("sqs"), look.deployment.output(output))
            yield output.removesuffix("Url"), str(queue)


def deliveries(look: Look) -> Iterator[Line]:
    """Yield how many deliveries came in within the last hour, by source."""
    try:
        entries = judge_sources(look.secret(OUTPUTS[WEBHOOKS]).text).entries
    except WebhooksNotConfigured:
        entries = {}
    now = look.clock()
    log = LogReader(look.client("dynamodb"), look.deployment.output("WebhooksTableName"), time.sleep)
    for source in ("smallcase", *(f"integration.{name}" for name in entries)):
        selection = Selection(source, iso8601.render(now - HOUR_SECONDS), iso8601.render(now), None)
        yield source, f"{log.count(selection)} in the last hour"


def alarms(look: Look) -> Iterator[Line]:
    """Yield the alarms that ring."""
    yield "alarms", ", ".join(ringing_alarms(look)) or "none rings"


SECTIONS: Final[Mapping[str, Callable[[Look], Iterator[Line]]]] = {
    "Integration API": tokens,
    "Last runs": outcomes,
    "Queues": queues,
    "Deliveries": deliveries,
    "Alarms": alarms,
}


def main(
    environment: Mapping[str, str],
    open_deployment: OpenDeployment = Deployment.open,
    clock: Callable[[], float] = time.time,
) -> int:
    """Print the screen, and return the exit code."""

    def work() -> int:
        try:
            deployment = open_deployment(Variables(environment).stage)
        except NoDeployment as error:
            print(error, file=sys.stderr)
            return WRONG
        print(f"{deployment.title}\n{deployment.public_url}", flush=True)
        with Look(deployment, HttpTransport(), clock) as look:
            for heading, section in SECTIONS.items():
                print(f"\n{heading}")
                try:
                    for name, text in section(look):
                        print(f"  {name:28}{text}", flush=True)
                except AWS_ERRORS as error:
                    print(f"  unknown: {describe(error)}")
            print(f"\nWhether that is as it should be: {look.command('doctor')}")
        return DONE

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
