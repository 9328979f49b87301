"""The edge of a function that nobody waits for: Powertools for logs and metrics, and an end to exceptions' texts.

Owns what such a function leaves behind: one metric for each outcome, and for a bug its type and place, not its text.
"""

import logging
from collections.abc import Callable

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

from gatehouse.http import locations
from gatehouse.lambda_context import LambdaContext

log = logging.getLogger(__name__)


class UnexpectedError(Exception):
    """Something unexpected happened; its type and place are in the log. Lambda counts it and invokes again."""


class Background:
    """One function's edge. The service's name is its environment's `POWERTOOLS_SERVICE_NAME`."""

    def __init__(self) -> None:
        self._metrics = Metrics()
        self._logger = Logger()
        logging.getLogger("gatehouse")
        # The layer logs through the standard library: its events take Powertools' form here.
        copy_config_to_registered_loggers(source_logger=self._logger, include={"gatehouse"})

    def run(self, context: LambdaContext, work: Callable[[], str]) -> dict[str, object]:
        """Run the work and return its outcome, counted and logged. A bug is raised as `UnexpectedError`."""
        self._logger.append_keys(function_request_id=context.aws_request_id)
        try:
            outcome = work()
        except Exception as error:  # noqa: BLE001 - the last line of defence: an exception's text must not reach the log
            kind = type(error).__name__
            log.error(  # noqa: TRY400 - `exception` would log the text
                "function.failed", extra={"error_type": kind, "error_location": locations(error.__traceback__)}
            )
            self._metrics.clear_metrics()  # flushing none would warn, and keeping some would count them next time
            raise UnexpectedError(kind) from None
        self._metrics.add_metric(name=metric_name(outcome), unit=MetricUnit.Count, value=1)
        self._metrics.flush_metrics()
        log.info("function.done", extra={"outcome": outcome})
        return {"outcome": outcome}

    def gauge(self, name: str, seconds: float) -> None:
        """Record a duration of this run."""
        self._metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)


def metric_name(outcome: str) -> str:
    """Return the metric of an outcome: `upstream_unavailable` is counted as `UpstreamUnavailable`."""
    return "".join(part.capitalize() for part in outcome.split("_"))
