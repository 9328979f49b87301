"""What AWS publishes: prices and default quotas, each with the page that it was read from.

Owns these numbers and nothing else. The pages were read in copies of their text, on the day below; the pages themselves
are what counts. Prices are those of us-east-1, without taxes and without any free tier.
"""

from typing import Final, Literal, NamedTuple

READ_ON: Final = "2026-11-22"
REGION: Final = "us-east-1"


class Price(NamedTuple):
    """What one unit costs, in US dollars."""

    item: str
    dollars: float
    per: str
    source: str


class Quota(NamedTuple):
    """A default quota, and what AWS's page says of raising it."""

    item: str
    value: float
    unit: str
    raising: Literal["adjustable", "fixed"]
    source: str


_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_API = "https://aws.amazon.com/api-gateway/pricing/"
_SQS = "https://aws.amazon.com/sqs/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_EVENTBRIDGE = "https://aws.amazon.com/eventbridge/pricing/"
_SECRETS = "https://aws.amazon.com/secrets-manager/pricing/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_XRAY = "https://aws.amazon.com/xray/pricing/"

LAMBDA_REQUEST: Final = Price("Lambda, invocations", 0.20, "million", _LAMBDA)
# The first 7.5 billion GB-seconds of a month; those beyond are cheaper. Since August 2025 the init phase is billed.
LAMBDA_GB_SECOND: Final = Price("Lambda, duration on arm64", 0.0000133334, "GB-second", _LAMBDA)
# Metered by 512 KB, which is more than any request here.
HTTP_API_FIRST: Final = Price("HTTP API, the first 300 million requests of a month", 1.00, "million", _API)
HTTP_API_FURTHER: Final = Price("HTTP API, further requests", 0.90, "million", _API)
SQS_REQUEST: Final = Price("SQS, requests to standard queues, each 64 KB of payload", 0.40, "million", _SQS)
DYNAMODB_WRITE: Final = Price("DynamoDB, on-demand write units (1 KB)", 0.625, "million", _DYNAMODB)
DYNAMODB_READ: Final = Price("DynamoDB, on-demand read units (4 KB)", 0.125, "million", _DYNAMODB)
DYNAMODB_STORAGE: Final = Price("DynamoDB, storage", 0.25, "GB-month", _DYNAMODB)
DYNAMODB_RECOVERY: Final = Price("DynamoDB, point-in-time recovery", 0.20, "GB-month", _DYNAMODB)
EVENT: Final = Price("EventBridge, custom events, each 64 KB", 1.00, "million", _EVENTBRIDGE)
SCHEDULE: Final = Price("EventBridge Scheduler, invocations", 1.00, "million", _EVENTBRIDGE)
SECRET: Final = Price("Secrets Manager, secrets", 0.40, "secret and month", _SECRETS)
SECRET_CALL: Final = Price("Secrets Manager, calls", 0.05, "10,000", _SECRETS)
LOG_INGESTION: Final = Price("CloudWatch Logs, ingestion", 0.50, "GB", _CLOUDWATCH)
LOG_STORAGE: Final = Price("CloudWatch Logs, storage", 0.03, "GB-month", _CLOUDWATCH)
METRIC: Final = Price(
    "CloudWatch, custom and detailed metrics, the first 10,000", 0.30, "metric and month", _CLOUDWATCH
)
ALARM: Final = Price("CloudWatch, alarms", 0.10, "alarm metric and month", _CLOUDWATCH)
TRACE: Final = Price("X-Ray, traces recorded", 5.00, "million", _XRAY)
DATA_OUT: Final = Price("Data transfer to the internet", 0.09, "GB", _API)

PRICES: Final = (
    LAMBDA_REQUEST,
    LAMBDA_GB_SECOND,
    HTTP_API_FIRST,
    HTTP_API_FURTHER,
    SQS_REQUEST,
    DYNAMODB_WRITE,
    DYNAMODB_READ,
    DYNAMODB_STORAGE,
    DYNAMODB_RECOVERY,
    EVENT,
    SCHEDULE,
    SECRET,
    SECRET_CALL,
    LOG_INGESTION,
    LOG_STORAGE,
    METRIC,
    ALARM,
    TRACE,
    DATA_OUT,
)
HTTP_API_FIRST_REQUESTS: Final = 300_000_000

_LAMBDA_QUOTAS = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_LAMBDA_SCALING = "https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html"
_LAMBDA_CONCURRENCY = "https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html"
_LAMBDA_SQS = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"
_API_QUOTAS = "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"
_SQS_QUOTAS = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"
_ON_DEMAND = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
_PARTITIONS = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
_EVENT_QUOTAS = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
_SECRET_QUOTAS = "https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html"  # noqa: S105 - a page

CONCURRENCY: Final = Quota(
    "Lambda, concurrent executions", 1_000, "of an account in a Region", "adjustable", _LAMBDA_QUOTAS
)
# AWS's page says "reduced" and names no number; 10 is what new accounts report.
CONCURRENCY_NEW: Final = Quota("Lambda, concurrent executions of a new account", 10, "", "adjustable", _LAMBDA_QUOTAS)
REQUESTS_PER_CONCURRENCY: Final = Quota(
    "Lambda, invocations a second for each concurrent execution of the quota",
    10,
    "a second",
    "fixed",
    _LAMBDA_CONCURRENCY,
)
SCALING: Final = Quota("Lambda, further environments of a function in 10 seconds", 1_000, "", "fixed", _LAMBDA_SCALING)
POLLERS: Final = Quota("Lambda, batches read at once from an idle queue", 5, "", "fixed", _LAMBDA_SQS)
LONG_POLL_SECONDS: Final = Quota("SQS, longest wait of a poll", 20, "seconds", "fixed", _SQS_QUOTAS)
IN_FLIGHT: Final = Quota("SQS, messages in flight in a standard queue", 120_000, "", "adjustable", _SQS_QUOTAS)
API_REQUESTS: Final = Quota(
    "API Gateway, requests of an account in a Region", 10_000, "a second", "adjustable", _API_QUOTAS
)
API_REQUESTS_SMALL: Final = Quota(
    "API Gateway, the same in 13 smaller Regions (ap-south-2 and others)", 2_500, "a second", "adjustable", _API_QUOTAS
)
TABLE_WRITES_NEW: Final = Quota(
    "DynamoDB, writes to a new on-demand table", 4_000, "units a second", "fixed", _ON_DEMAND
)
TABLE_READS_NEW: Final = Quota(
    "DynamoDB, reads of a new on-demand table", 12_000, "units a second", "fixed", _ON_DEMAND
)
TABLE_UNITS: Final = Quota("DynamoDB, reads or writes of a table", 40_000, "units a second", "adjustable", _ON_DEMAND)
PARTITION_WRITES: Final = Quota("DynamoDB, writes to one partition", 1_000, "units a second", "fixed", _PARTITIONS)
PUT_EVENTS: Final = Quota(
    "EventBridge, PutEvents in us-east-1, us-west-2, eu-west-1", 10_000, "a second", "adjustable", _EVENT_QUOTAS
)
PUT_EVENTS_MUMBAI: Final = Quota("EventBridge, PutEvents in ap-south-1", 600, "a second", "adjustable", _EVENT_QUOTAS)
PUT_EVENTS_SMALL: Final = Quota(
    "EventBridge, PutEvents in the Regions that the page does not name", 400, "a second", "adjustable", _EVENT_QUOTAS
)
SECRET_READS: Final = Quota(
    "Secrets Manager, GetSecretValue and DescribeSecret", 10_000, "a second", "fixed", _SECRET_QUOTAS
)

QUOTAS: Final = (
    CONCURRENCY_NEW,
    CONCURRENCY,
    REQUESTS_PER_CONCURRENCY,
    SCALING,
    POLLERS,
    LONG_POLL_SECONDS,
    IN_FLIGHT,
    API_REQUESTS_SMALL,
    API_REQUESTS,
    TABLE_WRITES_NEW,
    TABLE_READS_NEW,
    TABLE_UNITS,
    PARTITION_WRITES,
    PUT_EVENTS_SMALL,
    PUT_EVENTS_MUMBAI,
    PUT_EVENTS,
    SECRET_READS,
)

# At 1,769 MB a function has one vCPU; below, a share in proportion.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY_OF_ONE_VCPU_MB: Final = 1769
# "INITs typically occur in under 1 % of invocations": AWS, when it announced that they are billed (April 2025).
# https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
COLD_SHARE: Final = 0.01
# Of a function with active tracing: one request a second and 5 % of the others. The rate cannot be set.
# https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
TRACES_A_SECOND, TRACED_SHARE = 1.0, 0.05
