"""What `make run` can be told, read from the environment.

Owns the names, defaults and forms of these settings. It reports everything that is wrong at once, and never says a
value of the secrets file.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from local.paths import TEMPLATE
from local.ports import Ports

DEFAULT_PORT: Final = 8700
DEFAULT_AUDIENCE: Final = "gatehouse"
SECRET_NAMES: Final = ("GatewaySecret", "IntegrationCredentials", "WebhookCredentials")


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
            parameters=_parameters(environment.get("PARAMETERS", ""), faults),
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


def _parameters(text: str, faults: list[str]) -> dict[str, str]:
    parameters = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isalnum():
            faults.append("PARAMETERS must be of the form Name=value;Name=value")
            break
        parameters[name.strip()] = value.strip()
    declared = TEMPLATE.read_text(encoding="utf-8").partition("\nParameters:\n")[2].partition("\n\n")[0]
    known = set(re.findall(r"^  (\w+):$", declared, re.MULTILINE))
    faults.extend(f"PARAMETERS: the template has no parameter {name}" for name in sorted(parameters.keys() - known))
    return parameters


def _secrets(path: str, faults: list[str]) -> dict[str, Mapping[str, object]]:
    if not path:
        return {}
    try:
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(f"SECRETS_FILE cannot be read: {error.strerror}")
        return {}
    except (ValueError, RecursionError):
        faults.append("SECRETS_FILE is not JSON")
        return {}
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        faults.append("SECRETS_FILE must hold a JSON object of objects")
        return {}
    unknown = sorted(set(content) - set(SECRET_NAMES))
    if unknown:
        faults.append(f"SECRETS_FILE knows {', '.join(SECRET_NAMES)}, and not {', '.join(unknown)}")
    return content
