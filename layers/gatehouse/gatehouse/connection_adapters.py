"""Transactions and connections, put together for Lambda.

Owns which adapters the two functions run on, how much of an invocation's time the Gateway may take, and saying in the
log which field of the gateway secret is at fault.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gatehouse.bus import EventBridgeBus
from gatehouse.connection_settings import ConnectSettings, GatewaySettings
from gatehouse.connection_writer import ConnectionWriterTable
from gatehouse.connections import ConnectionsTable
from gatehouse.connector import SOURCE, Connector, Stores
from gatehouse.gateway_secret import GatewaySecret, parse_gateway_secret
from gatehouse.http_transport import HttpTransport
from gatehouse.lambda_context import LambdaContext
from gatehouse.pending_transactions import PendingTransactionsTable
from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_value import Secret
from gatehouse.secrets import CachedSecret, secret_reader
from gatehouse.smallcase import SmallcaseGateway
from gatehouse.transaction_starter import TransactionStarter

log = logging.getLogger(__name__)

# Kept back from the Gateway: one slow write, or one after others at the same items, and one slow event.
RESERVE_SECONDS = 14


def gateway_deadline(context: LambdaContext) -> float:
    """Return until when the Gateway may be waited for, in epoch seconds."""
    return time.time() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS


@contextmanager
def faults_of_the_secret_logged() -> Iterator[None]:
    """Log which field of the gateway secret cannot be used, where that is what goes wrong."""
    try:
        yield
    except GatewayNotConfigured as error:
        log.error("gateway.not_configured", extra={"field": error.field, "reason": error.reason})  # noqa: TRY400
        raise


def transaction_starter(settings: GatewaySettings) -> TransactionStarter:
    """Return a starter on AWS."""
    return TransactionStarter(
        ConnectionsTable(settings.connections_table),
        PendingTransactionsTable(settings.connections_table, time.time),
        _secret(settings),
        _gateway(settings),
    )


def connector(settings: ConnectSettings) -> Connector:
    """Return a connector on AWS."""
    table = settings.gateway.connections_table
    connections = ConnectionsTable(table)
    return Connector(
        Stores(
            connections,
            PendingTransactionsTable(table, time.time),
            ConnectionWriterTable(table, connections, time.time, time.sleep),
        ),
        _secret(settings.gateway),
        _gateway(settings.gateway) if settings.verify_details else None,
        EventBridgeBus(settings.event_bus, SOURCE),
        time.time,
    )


def _gateway(settings: GatewaySettings) -> SmallcaseGateway:
    return SmallcaseGateway(
        settings.base_url,
        HttpTransport(),
        token_lifetime_seconds=settings.session_tokens.lifetime_seconds,
        clock=time.time,
        sleep=time.sleep,
    )


def _secret(settings: GatewaySettings) -> CachedSecret[GatewaySecret]:
    tokens = settings.session_tokens

    def parse(text: Secret) -> GatewaySecret:
        return parse_gateway_secret(text, allow_short=tokens.allow_short_secrets)

    return CachedSecret(secret_reader(tokens.extension), tokens.gateway_secret_arn, parse, time.time)
