"""What a run prepares for its requests, handed over in the environment.

Owns the names of the variables. A secret is in no argument: those are there for everybody on the machine to read.
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

PREFIX = "FUZZ_"


class Prepared(NamedTuple):
    """Credentials that the stack takes, and transactions that the user has completed."""

    oidc_token: str
    webhook_source: str
    webhook_username: str
    webhook_password: str
    webhook_token: str
    secret: str
    api_secret: str
    transaction_ids: str  # a comma list
    smallcase_auth_id: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read what `to_environment` wrote. Raises `KeyError`."""
        return cls(*(environment[PREFIX + name.upper()] for name in cls._fields))

    def to_environment(self) -> dict[str, str]:
        """Return the variables."""
        return {PREFIX + name.upper(): value for name, value in self._asdict().items()}
