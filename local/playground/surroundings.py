"""What the playground is told about the run around it.

Owns its form on the way from `make run` to the playground's process: JSON in a variable of the environment. It holds no
secret; those are read from the emulated account when they are needed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self

from local.deploy import Endpoint

VARIABLE: Final = "PLAYGROUND_SURROUNDINGS"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A running stack. The simulators' URLs are None where the run uses somebody else's service instead."""

    api_url: str
    aws_endpoint_url: str
    outputs: dict[str, str]
    page_origins: list[str]
    oidc_simulator: str | None
    integration_simulator: str | None
    smallcase_simulator: str | None

    @property
    def endpoint(self) -> Endpoint:
        """The emulated account."""
        return Endpoint(self.aws_endpoint_url)

    def called_origins(self) -> list[str]:
        """Return what the page calls besides its own server."""
        return [url for url in (self.api_url, self.oidc_simulator, self.smallcase_simulator) if url is not None]

    def environment(self) -> dict[str, str]:
        """Return the variable for the playground's process."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variable. Raises KeyError, ValueError or TypeError where it is not what `environment` made."""
        return cls(**json.loads(environment[VARIABLE]))
