"""What is hit first on either path: every limit as the rate at which it is reached.

Pure. A rate is of requests to one route of the API, from one source.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ops.scaling import assumed, model, published
from ops.scaling.assumed import Function


class Limit(NamedTuple):
    """A limit, the rate at which it is reached, and what to do about it."""

    name: str
    rate: float
    then: str
    raise_by: str


def _concurrency(quota: published.Quota, function: Function) -> float:
    """Return the rate at which a quota of concurrent executions is used up, alone by this function."""
    by_duration = quota.value / (model.mean_ms(function, assumed.MEMORY_MB) / 1000)
    return min(by_duration, quota.value * published.REQUESTS_PER_CONCURRENCY.value)


def _secret_rate(function: Function) -> float:
    """Return the rate at which reading secrets reaches its quota."""
    of_one = model.secret_reads(function, 1_000_000) / 1_000_000
    return published.SECRET_READS.value / of_one


def _of_the_api(function: Function) -> list[Limit]:
    ask = "ask AWS for a higher quota"
    return [
        Limit(
            f"Lambda concurrency of a new account ({published.CONCURRENCY_NEW.value:g})",
            _concurrency(published.CONCURRENCY_NEW, function),
            "5xx from API Gateway",
            "AWS raises it with use; " + ask,
        ),
        Limit(
            f"Lambda concurrency ({published.CONCURRENCY.value:,g})",
            _concurrency(published.CONCURRENCY, function),
            "5xx from API Gateway",
            ask,
        ),
        Limit("API Gateway, 13 smaller Regions", published.API_REQUESTS_SMALL.value, "429", ask),
        Limit("API Gateway, other Regions", published.API_REQUESTS.value, "429", ask),
        Limit(
            "Secrets Manager reads",
            _secret_rate(function),
            "503 from the function",
            "a longer `SECRETS_MANAGER_TTL` in the template",
        ),
    ]


def of_sessions() -> Sequence[Limit]:
    """Return the limits of the token routes, the lowest first."""
    found = [
        *_of_the_api(assumed.GUEST),
        Limit("`TokenRouteRateLimit`", assumed.TOKEN_ROUTE_RATE, "429", "the parameter"),
        Limit(
            "Connections table when new, reads (signed-in users only)",
            published.TABLE_READS_NEW.value,
            "503 from the function",
            "it grows with use; warm throughput",
        ),
        Limit(
            "Connections table, reads (signed-in users only)",
            published.TABLE_UNITS.value,
            "503 from the function",
            "ask AWS for a higher quota",
        ),
    ]
    return sorted(found, key=lambda limit: limit.rate)


def of_webhooks() -> Sequence[Limit]:
    """Return the limits of the webhook routes and of what follows the queue, the lowest first."""
    comes_back = "the message comes back, after five times to the dead-letter queue"
    index_rate = published.PARTITION_WRITES.value / model.INDEX_WRITES
    found = [
        *_of_the_api(assumed.RECEIVE),
        Limit("`WebhookRouteRateLimit`", assumed.WEBHOOK_ROUTE_RATE, "429", "the parameter"),
        Limit(
            f"`process_webhook`, {assumed.QUEUE_CONCURRENCY} at once",
            model.queue_rate(),
            "the queue grows, and keeps everything for 14 days",
            "`MaximumConcurrency` in the template",
        ),
        Limit(
            "Index `by_source`, one partition for each source",
            index_rate,
            comes_back,
            "several names for one sender; for smallcase, a key with a shard in it, which is not built",
        ),
        Limit(
            "EventBridge PutEvents, smallest Regions",
            published.PUT_EVENTS_SMALL.value,
            comes_back,
            "ask AWS for a higher quota",
        ),
        Limit(
            "EventBridge PutEvents, ap-south-1",
            published.PUT_EVENTS_MUMBAI.value,
            comes_back,
            "ask AWS for a higher quota",
        ),
        Limit(
            "EventBridge PutEvents, largest Regions",
            published.PUT_EVENTS.value,
            comes_back,
            "ask AWS for a higher quota",
        ),
        Limit(
            "Webhooks table when new, writes",
            published.TABLE_WRITES_NEW.value / model.TABLE_WRITES,
            comes_back,
            "it grows with use; warm throughput",
        ),
        Limit(
            "Webhooks table, writes",
            published.TABLE_UNITS.value / model.TABLE_WRITES,
            comes_back,
            "ask AWS for a higher quota",
        ),
    ]
    return sorted(found, key=lambda limit: limit.rate)


def hit(limits: Sequence[Limit], rate: float) -> Sequence[Limit]:
    """Return the limits that a rate exceeds, the first to be hit first."""
    return [limit for limit in limits if limit.rate < rate]
