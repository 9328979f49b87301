"""What the model starts from: the bench's measurements, the template's settings, and assumptions.

Owns these numbers and says of each which of the three it is. A test holds the settings against `template.yaml`.
"""

from typing import Final, Literal, NamedTuple

Basis = Literal["measured", "assumed"]


class Function(NamedTuple):
    """What one invocation of a function takes. Times in milliseconds, of one core of the bench's machine."""

    name: str
    basis: Basis
    init_ms: float  # from the process's start until it asks for an event
    first_ms: float  # the first invocation, after that
    warm_ms: float
    aws_calls: float  # calls of AWS that a warm invocation waits for, beside that
    secrets: int  # that an environment keeps reading


# Measured with `make bench` on 2026-11-22: x86-64 (Xeon), Python 3.13.0, awslambdaric 4.2.2, boto3 1.43.106. What they
# call answers on loopback within microseconds, and Lambda's own start and the extension's are not in it.
MEASURED_ON: Final = "2026-11-22"
GUEST: Final = Function("issue_guest_token", "measured", 65.0, 2.8, 0.37, aws_calls=0, secrets=1)
RECEIVE: Final = Function("receive_webhook", "measured", 108.0, 26.0, 1.05, aws_calls=1, secrets=2)
# The first request loads boto3.
USER: Final = Function("issue_user_token", "measured", 68.0, 185.0, 1.5, aws_calls=1, secrets=1)
# start_transaction, for connect_user as well: beside its own work DynamoDB and EventBridge, and the Gateway's answer as
# 50 calls.
CONNECT: Final = Function("start_transaction, connect_user", "measured", 81.0, 195.0, 3.2, aws_calls=55, secrets=1)
# Not benched, from here on. One message of a batch.
PROCESS: Final = Function("process_webhook", "assumed", 250.0, 60.0, 4.0, aws_calls=3, secrets=0)
# A tick of refresh_tokens: mostly two reads; now and then an exchange.
TICK: Final = Function("refresh_tokens", "assumed", 250.0, 160.0, 20.0, aws_calls=20, secrets=0)
FUNCTIONS: Final = (GUEST, USER, CONNECT, RECEIVE, PROCESS, TICK)

# Assumed: how much slower a vCPU of Lambda on arm64 is than a core of the bench's machine. Not measured.
SLOWER: Final = 2.0
# Assumed: what a call of AWS takes from a function in the same Region. AWS publishes no figure.
AWS_CALL_MS: Final = 10.0
# Assumed: of a delivery's body.
BODY_BYTES: Final = 2048
# Assumed: what surrounds it, in the log's item, in the index, on the queue.
ITEM_BYTES, INDEX_ITEM_BYTES, ENVELOPE_BYTES = 450, 400, 500
# Assumed: what DynamoDB adds to an item where it charges for storage.
STORAGE_OVERHEAD_BYTES: Final = 100
# Assumed: our own line and those of Lambda (start, report), and a line of the access log.
LOG_BYTES, ACCESS_LOG_BYTES = 1500, 400
# Assumed: an answer with its headers, and what TLS adds.
ANSWER_BYTES: Final = 1500
# Assumed, as upper bounds: metrics of our own that are there in every hour, and alarms.
METRICS, ALARMS = 40, 70

# The template's. (tests/unit/test_scaling_model.py)
MEMORY_MB: Final = 512
MEMORY_SIZES_MB: Final = (128, 256, 512, 1024, 1769)
ROUTES: Final = 7
METRICS_OF_A_ROUTE: Final = 6  # Count, 4xx, 5xx, Latency, IntegrationLatency, DataProcessed
SECRETS: Final = 4
TOKEN_ROUTE_RATE, CONNECTION_ROUTE_RATE, WEBHOOK_ROUTE_RATE = 100, 50, 100
QUEUE_CONCURRENCY, BATCH = 10, 10
EXTENSION_TTL_SECONDS: Final = 180
TICK_MINUTES: Final = 5
EVENT_LOG_DAYS, LOG_DAYS = 30, 90

MONTH_SECONDS: Final = 30 * 24 * 3600
RATES: Final = (10, 1_000, 100_000)


class Company(NamedTuple):
    """A company of a certain size. Numbers are of a day."""

    sessions: int
    deliveries: int
    tokens_of_a_session: int = 2  # a token lives for 15 minutes
    signed_in_share: float = 0.5
    connections: int = 500


TYPICAL: Final = Company(sessions=50_000, deliveries=20_000)
