"""`make replay`: publish deliveries again from the event log, with their own ids, marked as replayed.

Owns what is asked for, how far a replay came, and how to go on where it stopped. It changes nothing in the log.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import batched
from typing import Final, Self

from gatehouse import delivery_event, iso8601
from ops.bus_batches import BatchPublisher, Event
from ops.deployment import LOCAL, Deployment
from ops.log_reader import Listed, LogReader, Selection
from ops.program import AWS_ERRORS, DONE, NOT_DONE, OpenDeployment, Variables, run
from ops.progress import Progress

USAGE: Final = (
    "make replay SOURCE=<source in the log> SINCE=<time> [UNTIL=<time>] [ID=<delivery>] [DRY_RUN=1] [STAGE=…]"
)

AT_ONCE: Final = 10
"""Deliveries that are read and published together: never more than these are in memory with their bodies."""

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EARLIEST: Final = "0001-01-01T00:00:00Z"
_LATEST: Final = "9999-12-31T23:59:59Z"


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator asked for."""

    stage: str
    selection: Selection
    dry_run: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], now: float) -> Self:
        """Read the variables; `now` is epoch seconds. Raises WrongUsage."""
        variables = Variables(environment)
        source = variables.required("SOURCE", "smallcase, or integration.<source>")
        if source not in ("", "smallcase") and not source.startswith("integration."):
            variables.faults.append(f"SOURCE is smallcase or integration.<source>: did you mean integration.{source}?")
        delivery_id = variables.text("ID")
        if delivery_id:
            # An id says it all; times only make the search shorter.
            since, until = _EARLIEST, _LATEST
        else:
            variables.required("SINCE", "the time of the first delivery, such as 2026-11-22T03:00:00Z or 2026-11-22")
            # Without an end in the past, what comes in during the replay would be published twice.
            since, until = _EARLIEST, iso8601.render(now)
        since = _moment(variables, "SINCE", "T00:00:00Z") or since
        until = _moment(variables, "UNTIL", "T23:59:59Z") or until
        if since > until:
            variables.faults.append(f"SINCE ({since}) is after UNTIL ({until}).")
        order = cls(variables.stage, Selection(source, since, until, delivery_id or None), variables.flag("DRY_RUN"))
        variables.check()
        return order

    def rest(self, since: str) -> str:
        """Return the command that replays what is left from a time on."""
        parts = [f"make replay SOURCE={self.selection.source} SINCE={since} UNTIL={self.selection.until}"]
        parts += [f"ID={self.selection.id}"] if self.selection.id else []
        parts += [f"STAGE={self.stage}"] if self.stage != LOCAL else []
        return " ".join(parts)

    def __str__(self) -> str:
        source, since, until, delivery_id = self.selection
        which = f"Delivery {delivery_id}" if delivery_id else "Deliveries"
        span = "" if (since, until) == (_EARLIEST, _LATEST) else f" from {since} to {until}"
        return f"{which} of {source}{span}"


def _moment(variables: Variables, name: str, time_of_day: str) -> str | None:
    """Return a variable in the form that `received_at` has in the log, None where it is not set or no time.

    A fraction of a second is cut off, as it is from `received_at`. A date alone is that day in UTC.
    """
    if not (text := variables.text(name)):
        return None
    try:
        return iso8601.render(iso8601.parse(text + time_of_day if _DATE.fullmatch(text) else text))
    except ValueError:
        variables.faults.append(f"{name} is a time of ISO 8601, such as 2026-11-22T03:00:00Z or 2026-11-22.")
        return None


class Replay:
    """One replay, and how far it came."""

    def __init__(self, log: LogReader, publisher: BatchPublisher) -> None:
        self._log = log
        self._publisher = publisher
        self.found = self.published = self.failed = self.skipped = 0
        self.failed_since: str | None = None
        """When the first delivery was received that the bus did not take."""
        self.reached: str | None = None
        """Everything received before this time is done with."""

    def run(self, selection: Selection, progress: Progress) -> None:
        """Publish what is selected. Raises botocore's errors and `LogUnavailable`; the numbers hold then, too."""
        for page in self._log.pages(selection):
            for some in batched(page, AT_ONCE, strict=False):
                self.reached = some[0].received_at
                failed_now = self._publish(some, progress)
                self.failed_since = self.failed_since or failed_now
                self.reached = some[-1].received_at

    def _publish(self, some: Sequence[Listed], progress: Progress) -> str | None:
        """Publish some deliveries, and return when the first of those was received that the bus did not take."""
        envelopes = self._log.envelopes(some)
        events = []
        for each in some:
            if (envelope := envelopes.get(each.identity)) is None:
                progress.say(f"  skipped {each.id}, received {each.received_at}: no longer in the log, or unreadable")
                continue
            detail = delivery_event.detail(envelope, replayed=True)
            events.append(Event(each.id, delivery_event.detail_type(envelope), detail))
        reasons = {each.event.delivery_id: each.code for each in self._publisher.publish(events)}
        failed = [each for each in some if each.id in reasons]
        for each in failed:
            progress.say(f"  failed {each.id}, received {each.received_at}: {reasons[each.id]}")
        self.found += len(some)
        self.skipped += len(some) - len(events)
        self.failed += len(failed)
        self.published += len(events) - len(failed)
        progress.advance(len(some))
        return failed[0].received_at if failed else None


def _list(log: LogReader, selection: Selection) -> int:
    """Print a line for each delivery, and return how many there are."""
    count = 0
    for page in log.pages(selection):
        for each in page:
            print(f"{each.id:36}  {each.received_at}  {each.kind or '-':15}  {each.state}")
        count += len(page)
    return count


def _replay(order: Order, replay: Replay, total: int) -> int:
    """Publish, say how far it came, and return the exit code."""
    found = total
    rest_since: str | None = None
    try:
        with Progress("published", total) as progress:
            replay.run(order.selection, progress)
        found = replay.found
    except (*AWS_ERRORS, KeyboardInterrupt):
        rest_since = replay.reached or order.selection.since
        raise
    finally:
        counts = [f"published {replay.published}", f"failed {replay.failed}", f"skipped {replay.skipped}"]
        if found > replay.found:
            counts.append(f"not reached {found - replay.found}")
        print(f"Found {found}, {', '.join(counts)}.")
        if rest_since := replay.failed_since or rest_since:
            print(f"For the rest: {order.rest(rest_since)}", flush=True)
    return DONE if replay.published == replay.found else NOT_DONE


def main(
    environment: Mapping[str, str],
    open_deployment: OpenDeployment = Deployment.open,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Replay what the variables ask for, and return the exit code."""

    def work() -> int:
        order = Order.from_environment(environment, clock())
        deployment = open_deployment(order.stage)
        print(deployment.title, flush=True)
        bus, table = deployment.output("EventBusName"), deployment.output("WebhooksTableName")
        with closing(deployment.client("dynamodb")) as dynamodb, closing(deployment.client("events")) as events:
            log = LogReader(dynamodb, table, sleep)
            if order.dry_run:
                total = _list(log, order.selection)
                print(f"{order}: {total} would be published again on the bus {bus}. Nothing was.")
            else:
                total = log.count(order.selection)
                print(f"{order}: {total} to be published again on the bus {bus}.", flush=True)
            if total == 0 and order.selection.id is not None:
                print("Repeated deliveries have ids of their own; the log has that of the first.")
                return NOT_DONE
            if order.dry_run:
                return DONE
            return _replay(order, Replay(log, BatchPublisher(events, bus, sleep)), total)

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
