"""The settings of the two functions that talk to the smallcase Gateway.

Owns their environment variables, and what cannot go together.
"""

import re
from typing import NamedTuple, Self

from gatehouse.integration_call import CallRefused, checked_base
from gatehouse.settings import Environment, SessionTokenSettings

_INTENT = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class GatewaySettings(NamedTuple):
    """What both functions need."""

    session_tokens: SessionTokenSettings
    base_url: str
    connections_table: str

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read the variables. Faults are reported by `env.check`, which the caller calls after the last variable."""
        return cls(SessionTokenSettings.read(env), _base_url(env), env.text("CONNECTIONS_TABLE"))


class ConnectSettings(NamedTuple):
    """What connect_user needs."""

    gateway: GatewaySettings
    event_bus: str
    verify_details: bool
    by_webhook: bool

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read the variables. Faults are reported by `env.check`, which the caller calls after the last variable."""
        settings = cls(
            gateway=GatewaySettings.read(env),
            event_bus=env.text("EVENT_BUS"),
            verify_details=env.choice("VERIFY_TRANSACTION_DETAILS", "true", "false"),
            by_webhook=env.choice("CONNECT_BY_WEBHOOK", "true", "false"),
        )
        if settings.by_webhook and not settings.verify_details:
            # Without a token and without a question, nobody would have proved anything.
            env.fault("CONNECT_BY_WEBHOOK needs VERIFY_TRANSACTION_DETAILS")
        return settings


def read_allowed_intents(env: Environment) -> frozenset[str]:
    """Return the intents that a browser may choose, from a comma list."""
    text = env.text("ALLOWED_INTENTS")
    intents = [intent.strip() for intent in text.split(",")]
    if text and not all(_INTENT.fullmatch(intent) for intent in intents):
        env.fault("ALLOWED_INTENTS is not a comma list of names in upper case")
    return frozenset(intents)


def _base_url(env: Environment) -> str:
    text = env.text("SMALLCASE_BASE_URL")
    try:
        return checked_base(text) if text else ""
    except CallRefused as refusal:
        env.fault(f"SMALLCASE_BASE_URL {refusal.reason}")
        return ""
