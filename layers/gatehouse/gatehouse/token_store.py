"""The Integration API's tokens in Secrets Manager: read, and replaced by compare-and-swap.

Owns who may replace which version. A writer names the version that its tokens were made from; when another writer was
first, it loses, and the winner's tokens stay. It never deletes a version, and it never reads through a cache.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

from gatehouse import aws
from gatehouse.integration_tokens import IntegrationTokens, TokensUnreadable, parse_tokens, render_tokens
from gatehouse.problems import SecretUnavailable, ServiceError
from gatehouse.secret_value import Secret
from gatehouse.secrets import SecretsManagerReader

log = logging.getLogger(__name__)

CANDIDATE = "GATEHOUSE_CANDIDATE"
CURRENT = "AWSCURRENT"

# What AWS answers when AWSCURRENT is no longer where the writer saw it.
_STALE = "InvalidParameterException"

_NOT_THERE = "ResourceNotFoundException"


class LostRace(ServiceError):
    """Another writer replaced the version first."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the secret holds: None where there are no tokens, or none that can be read."""

    version_id: str
    tokens: IntegrationTokens | None


class TokenStore(Protocol):
    """Keeps one set of tokens."""

    def read(self) -> Stored:
        """Return what is stored now. Raises `SecretUnavailable`."""
        ...

    def read_version(self, version_id: str) -> IntegrationTokens | None:
        """Return the tokens of a version, current or not; None where there are none. Raises `SecretUnavailable`."""
        ...

    def swap(self, tokens: IntegrationTokens, expected_version_id: str, version_id: str) -> None:
        """Replace the expected version by this one. Doing it again with the same tokens finishes what was begun.

        Raises `LostRace` where another version is current, and `SecretUnavailable`.
        """
        ...


class SecretsManagerTokenStore:
    """The tokens in a secret of Secrets Manager."""

    def __init__(self, secret_id: str) -> None:
        self._secret_id = secret_id
        self._reader = SecretsManagerReader()

    def read(self) -> Stored:
        """See `TokenStore.read`. What is there but cannot be read as tokens is said loudly."""
        current = self._reader.read_current(self._secret_id)
        return Stored(current.version_id, _parse(current.text))

    def read_version(self, version_id: str) -> IntegrationTokens | None:
        """See `TokenStore.read_version`."""
        try:
            answer = aws.secretsmanager().get_secret_value(SecretId=self._secret_id, VersionId=version_id)
        except aws.ERRORS as error:
            if aws.error_code(error) == _NOT_THERE:
                return None
            raise SecretUnavailable(aws.error_code(error)) from None
        return _parse(Secret(answer.get("SecretString", "")))

    def swap(self, tokens: IntegrationTokens, expected_version_id: str, version_id: str) -> None:
        """See `TokenStore.swap`.

        The new version is put under a label of its own; then AWSCURRENT moves, and only from the expected version.
        """
        client = aws.secretsmanager()
        try:
            client.put_secret_value(
                SecretId=self._secret_id,
                ClientRequestToken=version_id,
                SecretString=render_tokens(tokens).reveal(),
                VersionStages=[CANDIDATE],
            )
        except aws.ERRORS as error:
            raise SecretUnavailable(aws.error_code(error)) from None
        try:
            client.update_secret_version_stage(
                SecretId=self._secret_id,
                VersionStage=CURRENT,
                MoveToVersionId=version_id,
                RemoveFromVersionId=expected_version_id,
            )
        except aws.ERRORS as error:
            self._settle(version_id, aws.error_code(error))

    def _settle(self, version_id: str, code: str) -> None:
        """Find out how a move that was not confirmed ended: where its answer was lost, the retry looks stale.

        Returns where the move took place. Raises `LostRace` or `SecretUnavailable`.
        """
        if self._reader.read_current(self._secret_id).version_id == version_id:
            return
        if code == _STALE:
            raise LostRace
        raise SecretUnavailable(code)


def _parse(text: Secret) -> IntegrationTokens | None:
    try:
        return parse_tokens(text)
    except TokensUnreadable as error:
        log.error("tokens.unreadable", extra={"reason": str(error)})  # noqa: TRY400
        return None
