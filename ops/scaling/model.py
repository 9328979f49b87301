"""The arithmetic: durations, environments, money.

Pure. Wherever a choice is free, the more expensive one is taken.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ops.scaling import assumed, published
from ops.scaling.assumed import Company, Function

MILLION = 1_000_000
GB = 1_000_000_000
KB = 1024
CHUNK_BYTES = 64 * KB


def _slowed(cpu_ms: float, memory_mb: int) -> float:
    """Return what work takes with a share of a vCPU. One thread gains nothing from more than one."""
    return cpu_ms * assumed.SLOWER * max(1.0, published.MEMORY_OF_ONE_VCPU_MB / memory_mb)


def warm_ms(function: Function, memory_mb: int) -> float:
    """Return how long a warm invocation takes."""
    return _slowed(function.warm_ms, memory_mb) + function.aws_calls * assumed.AWS_CALL_MS


def cold_ms(function: Function, memory_mb: int) -> float:
    """Return how long init and the first invocation take together. Lambda's own start is not in it."""
    waits = (function.aws_calls + function.secrets) * assumed.AWS_CALL_MS
    return _slowed(function.init_ms + function.first_ms, memory_mb) + waits


def mean_ms(function: Function, memory_mb: int) -> float:
    """Return how long an invocation takes on average."""
    cold = published.COLD_SHARE
    return (1 - cold) * warm_ms(function, memory_mb) + cold * cold_ms(function, memory_mb)


def at_work(function: Function, rate: float, memory_mb: int = assumed.MEMORY_MB) -> float:
    """Return how many environments are at work at once, on average: Little's law."""
    return rate * mean_ms(function, memory_mb) / 1000


def quota_needed(function: Function, rate: float, memory_mb: int = assumed.MEMORY_MB) -> int:
    """Return the concurrency that an account needs for this rate.

    A quota is also one of invocations a second, ten for each concurrent execution, which counts where an invocation
    takes less than 100 ms.
    """
    by_rate = rate / published.REQUESTS_PER_CONCURRENCY.value
    return max(1, math.ceil(max(at_work(function, rate, memory_mb), by_rate)))


def ramp_seconds(environments: int) -> int:
    """Return how long Lambda takes to have this many environments of a function."""
    return math.ceil(environments / published.SCALING.value) * 10


def compute_dollars(function: Function, invocations: float, memory_mb: int = assumed.MEMORY_MB) -> float:
    """Return what invocations cost at Lambda. Each is billed by the millisecond, rounded up."""
    cold = published.COLD_SHARE
    billed_ms = (1 - cold) * math.ceil(warm_ms(function, memory_mb)) + cold * math.ceil(cold_ms(function, memory_mb))
    gb_seconds = invocations * billed_ms / 1000 * memory_mb / 1024
    return gb_seconds * published.LAMBDA_GB_SECOND.dollars + invocations / MILLION * published.LAMBDA_REQUEST.dollars


def write_units(size: int) -> int:
    """Return the write units of an item."""
    return math.ceil(size / KB)


LOG_ITEM_BYTES = assumed.BODY_BYTES + assumed.ITEM_BYTES
TABLE_WRITES = 2 * write_units(LOG_ITEM_BYTES)  # stored, then marked as published: the whole item counts twice
INDEX_WRITES = 2 * write_units(assumed.INDEX_ITEM_BYTES)  # `state` is in the index
MESSAGE_BYTES = math.ceil(assumed.BODY_BYTES / 3) * 4 + assumed.ENVELOPE_BYTES
CONNECTION_WRITES, CONNECTION_READS = 1 + 3 * 2, 3  # the pending transaction; three items in one transaction


class Load(NamedTuple):
    """What arrives in a second, on average, for a month."""

    guests: float = 0
    users: float = 0
    connections: float = 0  # each with its transaction
    deliveries: float = 0

    @property
    def requests(self) -> float:
        """Requests to the API."""
        return self.guests + self.users + 2 * self.connections + self.deliveries

    @property
    def invocations(self) -> Mapping[Function, float]:
        """Invocations by function; of `process_webhook` messages, as if no two came in one batch."""
        return {
            assumed.GUEST: self.guests,
            assumed.USER: self.users,
            assumed.CONNECT: 2 * self.connections,
            assumed.RECEIVE: self.deliveries,
            assumed.PROCESS: self.deliveries,
            assumed.TICK: 1 / (60 * assumed.TICK_MINUTES),
        }


def of_company(company: Company) -> Load:
    """Return the load that a company's day amounts to."""
    day = 24 * 3600
    tokens = company.sessions * company.tokens_of_a_session / day
    users = tokens * company.signed_in_share
    return Load(tokens - users, users, company.connections / day, company.deliveries / day)


def month(load: Load, memory_mb: int = assumed.MEMORY_MB) -> dict[str, float]:
    """Return what a month costs, in dollars by service."""
    return {
        "Lambda": sum(
            compute_dollars(function, rate * assumed.MONTH_SECONDS, memory_mb)
            for function, rate in load.invocations.items()
        ),
        "API Gateway": _api(load.requests * assumed.MONTH_SECONDS),
        "SQS": _sqs(load),
        "DynamoDB": _dynamodb(load),
        "EventBridge": _eventbridge(load),
        "Secrets Manager": _secrets(load, memory_mb),
        "CloudWatch Logs": _logs(load),
        "CloudWatch metrics and alarms": _metrics(),
        "X-Ray": _traces(load),
        "Data transfer out": load.requests
        * assumed.MONTH_SECONDS
        * assumed.ANSWER_BYTES
        / GB
        * published.DATA_OUT.dollars,
    }


def _api(requests: float) -> float:
    first = min(requests, published.HTTP_API_FIRST_REQUESTS)
    further = requests - first
    return first / MILLION * published.HTTP_API_FIRST.dollars + further / MILLION * published.HTTP_API_FURTHER.dollars


def _sqs(load: Load) -> float:
    """Sent, received and deleted one by one; and the polls of an idle queue, which are there in any case."""
    chunks = math.ceil(MESSAGE_BYTES / CHUNK_BYTES)
    polls = published.POLLERS.value * assumed.MONTH_SECONDS / published.LONG_POLL_SECONDS.value
    return (load.deliveries * assumed.MONTH_SECONDS * 3 * chunks + polls) / MILLION * published.SQS_REQUEST.dollars


def _dynamodb(load: Load) -> float:
    """Deliveries, connections, and what is kept of the deliveries. Leases and memories are next to nothing."""
    writes = load.deliveries * (TABLE_WRITES + INDEX_WRITES) + load.connections * CONNECTION_WRITES
    reads = load.users + load.connections * CONNECTION_READS
    kept = load.deliveries * assumed.EVENT_LOG_DAYS * 24 * 3600
    table_gb = kept * (LOG_ITEM_BYTES + assumed.STORAGE_OVERHEAD_BYTES) / GB
    index_gb = kept * (assumed.INDEX_ITEM_BYTES + assumed.STORAGE_OVERHEAD_BYTES) / GB
    return (
        writes * assumed.MONTH_SECONDS / MILLION * published.DYNAMODB_WRITE.dollars
        + reads * assumed.MONTH_SECONDS / MILLION * published.DYNAMODB_READ.dollars
        + (table_gb + index_gb) * published.DYNAMODB_STORAGE.dollars
        + table_gb * published.DYNAMODB_RECOVERY.dollars
    )


def _eventbridge(load: Load) -> float:
    chunks = math.ceil(MESSAGE_BYTES / CHUNK_BYTES)
    ticks = assumed.MONTH_SECONDS / (60 * assumed.TICK_MINUTES)
    events = (load.deliveries * chunks + load.connections) * assumed.MONTH_SECONDS
    return events / MILLION * published.EVENT.dollars + ticks / MILLION * published.SCHEDULE.dollars


def secret_reads(function: Function, rate: float, memory_mb: int = assumed.MEMORY_MB) -> float:
    """Return the reads of secrets a second: of each environment once in the extension's while, and of each new one."""
    environments = max(1.0, at_work(function, rate, memory_mb))
    return function.secrets * (environments / assumed.EXTENSION_TTL_SECONDS + rate * published.COLD_SHARE)


def _secrets(load: Load, memory_mb: int) -> float:
    reads = sum(secret_reads(function, rate, memory_mb) for function, rate in load.invocations.items() if rate)
    calls = reads + 3 / (60 * assumed.TICK_MINUTES)  # and three of each tick
    return assumed.SECRETS * published.SECRET.dollars + (
        calls * assumed.MONTH_SECONDS / 10_000 * published.SECRET_CALL.dollars
    )


def _logs(load: Load) -> float:
    """Ingested, and kept in full for as long as the template says."""
    a_second = sum(load.invocations.values()) * assumed.LOG_BYTES + load.requests * assumed.ACCESS_LOG_BYTES
    ingested = a_second * assumed.MONTH_SECONDS / GB
    kept = a_second * assumed.LOG_DAYS * 24 * 3600 / GB
    return ingested * published.LOG_INGESTION.dollars + kept * published.LOG_STORAGE.dollars


def _metrics() -> float:
    metrics = assumed.METRICS + assumed.ROUTES * assumed.METRICS_OF_A_ROUTE
    return metrics * published.METRIC.dollars + assumed.ALARMS * published.ALARM.dollars


def _traces(load: Load) -> float:
    """One a second of each function, and a share of the rest."""
    first, share = published.TRACES_A_SECOND, published.TRACED_SHARE
    traced = sum(min(rate, first) + share * max(0.0, rate - first) for rate in load.invocations.values())
    return traced * assumed.MONTH_SECONDS / MILLION * published.TRACE.dollars


def queue_rate(memory_mb: int = assumed.MEMORY_MB) -> float:
    """Return how many deliveries a second `process_webhook` takes from the queue. A batch is worked off in turn."""
    return assumed.QUEUE_CONCURRENCY * 1000 / mean_ms(assumed.PROCESS, memory_mb)
