"""Issuing session tokens with the current gateway secret.

Owns what both token routes answer. Who the user is, and what that user holds, is decided before.
"""

import logging
import time
from collections.abc import Callable
from typing import Self

from gatehouse.gateway_secret import GatewaySecret, parse_gateway_secret
from gatehouse.http import NO_STORE, Answer
from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_value import Secret
from gatehouse.secrets import CachedSecret, SecretReader, secret_reader
from gatehouse.session_token import Signer
from gatehouse.settings import SessionTokenSettings

log = logging.getLogger(__name__)


class TokenIssuer:
    """Issues smallcaseAuthTokens for one partner."""

    def __init__(self, settings: SessionTokenSettings, reader: SecretReader, clock: Callable[[], float]) -> None:
        """`clock` returns epoch seconds."""

        def parse(text: Secret) -> tuple[GatewaySecret, Signer]:
            secret = parse_gateway_secret(text, allow_short=settings.allow_short_secrets)
            return secret, Signer(secret.secret)

        self._signing = CachedSecret(reader, settings.gateway_secret_arn, parse, clock)
        self._lifetime_seconds = settings.lifetime_seconds
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: SessionTokenSettings) -> Self:
        """Return the issuer that reads from Secrets Manager and goes by the system's clock."""
        return cls(settings, secret_reader(settings.extension), time.time)

    def issue(self, smallcase_auth_id: str | None) -> Answer:
        """Return the answer with a token for a connected user, or for a guest where the id is None.

        Raises `SecretUnavailable` and `GatewayNotConfigured`.
        """
        try:
            secret, signer = self._signing.get()
            token = signer.issue(smallcase_auth_id, now=int(self._clock()), lifetime_seconds=self._lifetime_seconds)
        except GatewayNotConfigured as error:
            log.error("gateway.not_configured", extra={"field": error.field, "reason": error.reason})  # noqa: TRY400
            raise
        user = "guest" if smallcase_auth_id is None else "connected"
        log.info("session_token.issued", extra={"user": user})
        document = {
            "gateway": secret.gateway_name,
            "smallcaseAuthToken": token.text.reveal(),
            "user": user,
            "expiresAt": token.expires_at,
        }
        return Answer(200, document, NO_STORE)
