"""The environment that the template gives to a function, read once into immutable settings.

Owns the names and bounds of the environment variables. It reports everything that is missing or wrong at once, and
never says a value: some of them are secrets.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from gatehouse.problems import ServiceError
from gatehouse.secret_value import Secret
from gatehouse.secrets import Extension

if TYPE_CHECKING:
    from gatehouse.webhooks import ChecksumEncoding

log = logging.getLogger(__name__)

CredentialsIn = Literal["body", "headers"]

ONE_DAY_SECONDS = 24 * 60 * 60
DEFAULT_EXTENSION_PORT = 2773
MAX_PORT = 65535


class SettingsInvalid(ServiceError):
    """The environment is not what the template should have made it. `faults` names each variable and what is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Environment:
    """Reads typed variables and remembers every fault until `check`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._faults: list[str] = []

    def text(self, name: str) -> str:
        """Return a text that must not be empty."""
        value = self._variables.get(name, "")
        if not value:
            self._faults.append(f"{name} is missing")
        return value

    def optional_text(self, *names: str) -> str:
        """Return the first of these that is set; empty where none is."""
        return next((value for name in names if (value := self._variables.get(name))), "")

    def integer(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number between `low` and `high`, both included."""
        text = self._variables.get(name, "")
        if not text and default is not None:
            return default
        if not (text.isascii() and text.isdecimal()) or not low <= int(text[:20]) <= high:
            self._faults.append(f"{name} is not a whole number from {low} to {high}")
            return low
        return int(text)

    def choice(self, name: str, yes: str, no: str) -> bool:
        """Return whether the variable is `yes`; it must be `yes` or `no`."""
        value = self._variables.get(name)
        if value not in (yes, no):
            self._faults.append(f"{name} is neither {yes} nor {no}")
        return value == yes

    def fault(self, what: str) -> None:
        """Remember a fault that was found elsewhere. `what` names variables and no value."""
        self._faults.append(what)

    def check(self) -> None:
        """Log and raise `SettingsInvalid` with all faults found so far, if there are any."""
        if self._faults:
            log.error("settings.invalid", extra={"faults": self._faults})
            raise SettingsInvalid(self._faults)


class SessionTokenSettings(NamedTuple):
    """What both token functions need."""

    gateway_secret_arn: str
    lifetime_seconds: int
    allow_short_secrets: bool
    extension: Extension | None  # None: secrets are read with boto3

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read the variables. Faults are reported by `env.check`, which the caller calls after the last variable."""
        return cls(
            gateway_secret_arn=env.text("GATEWAY_SECRET_ARN"),
            lifetime_seconds=env.integer("TOKEN_LIFETIME_SECONDS", low=1, high=ONE_DAY_SECONDS),
            allow_short_secrets=env.choice("ALLOW_SHORT_SECRETS", "true", "false"),
            extension=_read_extension(env),
        )


class IntegrationSettings(NamedTuple):
    """What both functions need that keep the Integration API's tokens."""

    base_url: str
    credentials_in: CredentialsIn
    tokens_secret_arn: str
    state_table: str
    event_bus: str

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read the variables. Faults are reported by `env.check`, which the caller calls after the last variable."""
        return cls(
            base_url=env.text("INTEGRATION_BASE_URL"),
            credentials_in="body" if env.choice("INTEGRATION_CREDENTIALS_IN", "body", "headers") else "headers",
            tokens_secret_arn=env.text("TOKENS_SECRET_ARN"),
            state_table=env.text("STATE_TABLE"),
            event_bus=env.text("EVENT_BUS"),
        )


class AwsIdentity(NamedTuple):
    """The function's own credentials, as Lambda hands them over."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret  # empty where the credentials are a user's own, and no role's
    region: str

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read the variables that Lambda itself sets. Faults are reported by `env.check`."""
        return cls(
            access_key_id=env.text("AWS_ACCESS_KEY_ID"),
            secret_access_key=Secret(env.text("AWS_SECRET_ACCESS_KEY")),
            session_token=Secret(env.optional_text("AWS_SESSION_TOKEN")),
            region=env.optional_text("AWS_REGION") or env.text("AWS_DEFAULT_REGION"),
        )


class QueueSettings(NamedTuple):
    """Where SQS is, and whom to trust there: what AWS's SDKs take from the environment, under the same names.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """

    url: str
    endpoint: str  # empty: the queue URL's own origin
    ca_bundle: str  # a file of PEM certificates; empty: those that Python trusts
    identity: AwsIdentity

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read the variables. Faults are reported by `env.check`."""
        return cls(
            url=env.text("WEBHOOK_QUEUE_URL"),
            endpoint=env.optional_text("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"),
            ca_bundle=env.optional_text("AWS_CA_BUNDLE"),
            identity=AwsIdentity.read(env),
        )


class WebhookSettings(NamedTuple):
    """What the edge of the webhooks needs."""

    gateway_secret_arn: str
    credentials_secret_arn: str
    allow_short_secrets: bool
    checksum_encoding: "ChecksumEncoding"
    queue: QueueSettings
    extension: Extension | None

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read the variables. Faults are reported by `env.check`, which the caller calls after the last variable."""
        return cls(
            gateway_secret_arn=env.text("GATEWAY_SECRET_ARN"),
            credentials_secret_arn=env.text("WEBHOOK_CREDENTIALS_ARN"),
            allow_short_secrets=env.choice("ALLOW_SHORT_SECRETS", "true", "false"),
            checksum_encoding="hex" if env.choice("CHECKSUM_ENCODING", "hex", "base64") else "base64",
            queue=QueueSettings.read(env),
            extension=_read_extension(env),
        )


def _read_extension(env: Environment) -> Extension | None:
    if not env.choice("SECRETS_EXTENSION", "on", "off"):
        return None
    # The extension's own variable, where an operator has moved its port.
    port = env.integer("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", low=1, high=MAX_PORT, default=DEFAULT_EXTENSION_PORT)
    # Lambda always sets the token. Without it the extension refuses, and the fallback reads.
    return Extension(port, Secret(env.optional_text("AWS_SESSION_TOKEN")))
