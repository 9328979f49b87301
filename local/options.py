"""What `make run` can be told, read from the environment.

Owns the names, defaults and forms of these settings. It reports everything that is wrong at once, and never says a
value of the secrets file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from local import parameters, secrets_file
from local.paths import TEMPLATE
from local.ports import Ports

DEFAULT_PORT: Final = 8700
DEFAULT_AUDIENCE: Final = "gatehouse"


class InvalidOptions(Exception):
    """The environment asks for something that cannot be. The text has one line for each fault."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run's settings. None stands for the simulator that the run brings itself."""

    ports: Ports
    oidc_issuer: str | None = None
    oidc_audience: str = DEFAULT_AUDIENCE
    integration_base_url: str | None = None
    smallcase_base_url: str | None = None
    cors_origins: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings. Raises InvalidOptions."""
        faults: list[str] = []
        options = cls(
            ports=_ports(environment.get("PORT", ""), faults),
            oidc_issuer=_url("OIDC_ISSUER", environment, faults),
            oidc_audience=environment.get("OIDC_AUDIENCE") or DEFAULT_AUDIENCE,
            integration_base_url=_base_url("INTEGRATION_BASE_URL", environment, faults),
            smallcase_base_url=_base_url("SMALLCASE_BASE_URL", environment, faults),
            cors_origins=tuple(filter(None, (part.strip() for part in environment.get("CORS_ORIGINS", "").split(",")))),
            parameters=parameters.parse(environment.get("PARAMETERS", ""), TEMPLATE, faults),
            secrets=_secrets(environment.get("SECRETS_FILE", ""), faults),
        )
        if faults:
            raise InvalidOptions("\n".join(faults))
        return options

    @property
    def page_origins(self) -> tuple[str, ...]:
        """The origins that may call the API: those asked for, or else this run's own page."""
        own = (f"http://127.0.0.1:{self.ports.playground}", f"http://localhost:{self.ports.playground}")
        return self.cors_origins or own

    @property
    def issuer(self) -> str:
        """The issuer of the users' tokens, the simulated one included."""
        return self.oidc_issuer or f"http://127.0.0.1:{self.ports.oidc}"

    @property
    def integration_api(self) -> str:
        """The base URL of the Integration API, the simulated one included."""
        return self.integration_base_url or f"http://127.0.0.1:{self.ports.integration_api}"

    @property
    def smallcase_api(self) -> str:
        """The base URL of the Gateway API, the simulated one included."""
        return self.smallcase_base_url or f"http://127.0.0.1:{self.ports.smallcase_api}"


def _ports(text: str, faults: list[str]) -> Ports:
    try:
        return Ports(int(text) if text else DEFAULT_PORT)
    except ValueError as error:
        faults.append(str(error) if text.isdecimal() else "PORT is not a number")
        return Ports(DEFAULT_PORT)


def _url(name: str, environment: Mapping[str, str], faults: list[str]) -> str | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        parts = urlsplit(text)
        loopback = parts.hostname in ("localhost", "127.0.0.1")
        known = parts.scheme == "https" or (parts.scheme == "http" and loopback)
    except ValueError:
        known = False
    if not known:
        faults.append(f"{name} must be an https URL, or http on localhost or 127.0.0.1")
    return text


def _base_url(name: str, environment: Mapping[str, str], faults: list[str]) -> str | None:
    """Return a URL to append paths to. An issuer is none: it is compared to the letter."""
    url = _url(name, environment, faults)
    return url.rstrip("/") if url else None


def _secrets(path: str, faults: list[str]) -> dict[str, Mapping[str, object]]:
    if not path:
        return {}
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        faults.append(f"SECRETS_FILE cannot be read: {error.strerror}")
        return {}
    except ValueError:
        faults.append("SECRETS_FILE is not UTF-8")
        return {}
    return secrets_file.parse(text, "SECRETS_FILE", faults)
