"""The API key of the Integration API, as kept in the secret `IntegrationCredentials`.

Owns reading it afresh, past every cache, and judging it before it is sent anywhere.
"""

from gatehouse.problems import ServiceError
from gatehouse.secret_fields import FieldFault, read_members, read_text
from gatehouse.secret_value import Secret
from gatehouse.secrets import SecretsManagerReader
from gatehouse.token_exchange import Credentials


class CredentialsNotConfigured(ServiceError):
    """The credentials are placeholders or cannot be used. `field` and `reason` say where and what, never a value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"IntegrationCredentials: {field}: {reason}")
        self.field = field
        self.reason = reason


def parse_credentials(text: Secret, version_id: str) -> Credentials:
    """Judge the secret's JSON. Raises `CredentialsNotConfigured`."""
    try:
        members = read_members(text)
        api_key, secret_key = (_header_text(members, field) for field in ("api_key", "secret_key"))
    except FieldFault as fault:
        raise CredentialsNotConfigured(fault.field, fault.reason) from None
    return Credentials(api_key, secret_key, version_id)


def _header_text(members: dict[str, object], field: str) -> Secret:
    value = read_text(members, field)
    if not value.isascii():
        raise FieldFault(field, "not_ascii")
    return Secret(value)


class SecretsManagerCredentials:
    """The credentials in Secrets Manager."""

    def __init__(self, secret_id: str, reader: SecretsManagerReader) -> None:
        self._secret_id = secret_id
        self._reader = reader

    def read(self) -> Credentials:
        """Return the current credentials. Raises `SecretUnavailable` and `CredentialsNotConfigured`."""
        current = self._reader.read_current(self._secret_id)
        return parse_credentials(current.text, current.version_id)
