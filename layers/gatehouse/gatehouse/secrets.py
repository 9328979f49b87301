"""Reading secrets from Secrets Manager.

Owns the two ways of reading (the AWS Parameters and Secrets Lambda Extension where it is attached, boto3 otherwise) and
the short cache. It never writes a secret and never logs one.
"""

import http.client
import json
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol
from urllib.parse import quote

from gatehouse.problems import SecretUnavailable
from gatehouse.secret_value import Secret

log = logging.getLogger(__name__)

# With the extension's own 180 seconds (SECRETS_MANAGER_TTL in the template), a rotated secret is used within 4 minutes.
CACHE_SECONDS = 60

EXTENSION_HOST = "127.0.0.1"  # a name would be two addresses, each with a time limit of its own
EXTENSION_TIMEOUT_SECONDS = 2.0
OK = 200

# What AWS answers about a secret that is marked for deletion, and about one that is gone. Neither passes by itself.
DELETED = frozenset({"InvalidRequestException", "ResourceNotFoundException"})
RESTORE = "docs/runbook.md#restore-a-deleted-secret"


class SecretReader(Protocol):
    """Reads the current text of a secret."""

    def read(self, secret_id: str) -> Secret:
        """Return the text of the version labelled AWSCURRENT.

        Raises `SecretUnavailable` when it cannot be had, for whatever reason.
        """
        ...


class Extension(NamedTuple):
    """Where the AWS Parameters and Secrets Lambda Extension listens, and what authenticates the function to it."""

    port: int
    session_token: Secret  # AWS_SESSION_TOKEN


class ExtensionReader:
    """Reads through the Lambda extension, a process beside the function that answers on loopback.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html
    """

    def __init__(
        self,
        extension: Extension,
        connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection,
    ) -> None:
        self._extension = extension
        self._connect = connect

    def read(self, secret_id: str) -> Secret:
        """See `SecretReader.read`."""
        connection = self._connect(EXTENSION_HOST, self._extension.port, timeout=EXTENSION_TIMEOUT_SECONDS)
        try:
            connection.request(
                "GET",
                "/secretsmanager/get?secretId=" + quote(secret_id, safe=""),
                headers={"X-Aws-Parameters-Secrets-Token": self._extension.session_token.reveal()},
            )
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            raise SecretUnavailable("extension_unreachable") from None
        finally:
            connection.close()
        if response.status != OK:
            raise SecretUnavailable(f"extension_status_{response.status}")
        try:
            value = json.loads(body)["SecretString"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise SecretUnavailable("extension_answer") from None
        if not isinstance(value, str):
            raise SecretUnavailable("no_text")
        return Secret(value)


class SecretsManagerReader:
    """Reads from Secrets Manager with boto3, which is imported at the first read."""

    def read(self, secret_id: str) -> Secret:
        """See `SecretReader.read`."""
        return self.read_current(secret_id).text

    def read_current(self, secret_id: str) -> "VersionedSecret":
        """Return the current text with its version. Raises `SecretUnavailable`."""
        from gatehouse import aws  # noqa: PLC0415 - boto3 costs more than all the rest: only where it is needed

        try:
            answer = aws.secretsmanager().get_secret_value(SecretId=secret_id)
        except aws.ERRORS as error:
            code = aws.error_code(error)
            if code in DELETED:
                log.error("secret.deleted", extra={"secret": secret_id, "reason": code, "runbook": RESTORE})  # noqa: TRY400
            raise SecretUnavailable(code) from None
        # A binary secret has no text. It is there, and it is no use: that is for whoever reads the text to say.
        return VersionedSecret(Secret(answer.get("SecretString", "")), answer["VersionId"])


class VersionedSecret(NamedTuple):
    """A secret's text and the version that it is."""

    text: Secret
    version_id: str


class FallbackReader:
    """Reads from `first`, and from `second` when that fails: the extension is a convenience, not a dependency."""

    def __init__(self, first: SecretReader, second: SecretReader) -> None:
        self._first = first
        self._second = second

    def read(self, secret_id: str) -> Secret:
        """See `SecretReader.read`."""
        try:
            return self._first.read(secret_id)
        except SecretUnavailable as error:
            log.warning("secret.extension_failed", extra={"reason": error.reason})
            return self._second.read(secret_id)


def secret_reader(extension: Extension | None) -> SecretReader:
    """Return the reader through `extension` with boto3 behind it, or boto3 alone where no extension is attached."""
    if extension is None:
        return SecretsManagerReader()
    return FallbackReader(ExtensionReader(extension), SecretsManagerReader())


class CachedSecret[T]:
    """A secret's parsed value, read again when it is older than `CACHE_SECONDS`.

    What could not be read or parsed is not kept.
    """

    def __init__(
        self, reader: SecretReader, secret_id: str, parse: Callable[[Secret], T], clock: Callable[[], float]
    ) -> None:
        """`clock` returns seconds of wall time: while Lambda freezes a process, a monotonic clock may stand still."""
        self._reader = reader
        self._secret_id = secret_id
        self._parse = parse
        self._clock = clock
        self._kept: tuple[float, T] | None = None

    def get(self) -> T:
        """Return the parsed value. Raises `SecretUnavailable`, and what `parse` raises."""
        now = self._clock()
        if self._kept is not None and 0 <= now - self._kept[0] < CACHE_SECONDS:
            return self._kept[1]
        try:
            text = self._reader.read(self._secret_id)
        except SecretUnavailable as error:
            log.error("secret.unavailable", extra={"secret": self._secret_id, "reason": error.reason})  # noqa: TRY400
            raise
        value = self._parse(text)
        self._kept = (now, value)
        return value
