"""The lifecycle of the Integration API's tokens, put together for Lambda.

Owns which adapters the two functions run on, and how much of an invocation's time the upstream may take.
"""

import time

from gatehouse.authenticator import Authenticator
from gatehouse.bus import EventBridgeBus
from gatehouse.exchange_journal import INTEGRATION_TOKENS as EXCHANGE
from gatehouse.exchange_journal import DynamoDBExchangeJournal
from gatehouse.http_transport import HttpTransport
from gatehouse.integration_credentials import SecretsManagerCredentials
from gatehouse.lambda_context import LambdaContext
from gatehouse.lease import INTEGRATION_TOKENS, DynamoDBLease
from gatehouse.refresher import Refresher
from gatehouse.rejected_credentials import DynamoDBRejectedCredentials
from gatehouse.secrets import SecretsManagerReader
from gatehouse.settings import IntegrationSettings
from gatehouse.token_exchange import TokenExchange
from gatehouse.token_store import SecretsManagerTokenStore

SOURCE = "gatehouse.tokens"

# Kept back from the upstream: storing what it granted, and giving the lease back, each with one slow attempt.
RESERVE_SECONDS = 14


def upstream_deadline(context: LambdaContext) -> float:
    """Return until when the upstream may be waited for, in epoch seconds."""
    return time.time() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS


def refresher(settings: IntegrationSettings, margin_seconds: float) -> Refresher:
    """Return a refresher on AWS."""
    return Refresher(
        SecretsManagerTokenStore(settings.tokens_secret_arn),
        DynamoDBLease(settings.state_table, INTEGRATION_TOKENS, time.time),
        _exchange(settings),
        EventBridgeBus(settings.event_bus, SOURCE),
        journal=DynamoDBExchangeJournal(settings.state_table, EXCHANGE, time.time),
        margin_seconds=margin_seconds,
        clock=time.time,
    )


def authenticator(settings: IntegrationSettings, credentials_secret_arn: str) -> Authenticator:
    """Return an authenticator on AWS."""
    return Authenticator(
        SecretsManagerTokenStore(settings.tokens_secret_arn),
        DynamoDBLease(settings.state_table, INTEGRATION_TOKENS, time.time),
        _exchange(settings),
        EventBridgeBus(settings.event_bus, SOURCE),
        journal=DynamoDBExchangeJournal(settings.state_table, EXCHANGE, time.time),
        credentials=SecretsManagerCredentials(credentials_secret_arn, SecretsManagerReader()),
        rejected=DynamoDBRejectedCredentials(settings.state_table, time.time),
    )


def _exchange(settings: IntegrationSettings) -> TokenExchange:
    return TokenExchange(settings.base_url, settings.credentials_in, HttpTransport(), clock=time.time, sleep=time.sleep)
