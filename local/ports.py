"""The ten ports of a run, and whether they are free.

Owns which service listens where relative to the base port. Holds no port that a service has: between looking and
using, somebody else may take it, and the server that wants it then says so.
"""

import secrets
import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

LOOPBACK: Final = "127.0.0.1"
BLOCK: Final = 10
"""How many ports a run has, the reserved ones included."""

SERVICES: Final = ("api", "aws", "oidc", "integration_api", "smallcase_api", "playground")
"""The services in the order of their ports, from the base port on."""

_FIRST_UNPRIVILEGED = 1024
_LAST = 65_535
# Where blocks for tests are looked for: below the ports that systems hand out to outgoing connections (Linux from
# 32768, macOS from 49152), and above 10080, the highest port there that browsers refuse to open.
_FREE_FROM = 11_000
_FREE_TO = 32_700
_ATTEMPTS = 200


class PortTaken(Exception):
    """A port that the run needs is in use, or no block of free ports was found."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one run: ten in a row from `base`. Raises ValueError where these are no ten unprivileged ports."""

    base: int

    def __post_init__(self) -> None:
        if not _FIRST_UNPRIVILEGED <= self.base <= _LAST - BLOCK + 1:
            raise ValueError(f"PORT must be from {_FIRST_UNPRIVILEGED} to {_LAST - BLOCK + 1}, not {self.base}")

    @property
    def api(self) -> int:
        """The HTTP API, as on AWS."""
        return self.base

    @property
    def aws(self) -> int:
        """The emulated AWS services."""
        return self.base + 1

    @property
    def oidc(self) -> int:
        """The simulated OpenID Connect issuer."""
        return self.base + 2

    @property
    def integration_api(self) -> int:
        """The simulated Integration API."""
        return self.base + 3

    @property
    def smallcase_api(self) -> int:
        """The simulated smallcase Gateway API."""
        return self.base + 4

    @property
    def playground(self) -> int:
        """The web page for trying it all out."""
        return self.base + 5

    def check_free(self, services: Iterable[str] = SERVICES) -> None:
        """Raise PortTaken for the first of these services whose port is in use; says what to do about it.

        `services` are names from SERVICES: a service that a run does not start needs no port.
        """
        for service in services:
            port = self.base + SERVICES.index(service)
            if not _is_free(port):
                raise PortTaken(
                    f"Port {port} on {LOOPBACK}, which the run needs for {service}, is in use. Stop what uses it, or "
                    f"choose another block of {BLOCK} ports: make run PORT={_suggestion(self.base)}"
                )


def free_block() -> Ports:
    """Find ten ports in a row that are free now, for a run of tests; PortTaken if there are none.

    The last one, which no service has, is held until this process ends: nobody else who looks for ports finds these,
    however long it takes until they are used.
    """
    for _ in range(_ATTEMPTS):
        base = _FREE_FROM + BLOCK * secrets.randbelow((_FREE_TO - _FREE_FROM) // BLOCK)
        *ports, last = range(base, base + BLOCK)
        if all(_is_free(port) for port in ports) and _hold(last):
            return Ports(base)
    raise PortTaken(f"No {BLOCK} free ports in a row between {_FREE_FROM} and {_FREE_TO} on {LOOPBACK}")


def _is_free(port: int) -> bool:
    """Bind as the servers do: with SO_REUSEADDR, connections in TIME_WAIT do not count, and listeners do."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _hold(port: int) -> bool:
    """Keep the port for as long as this process lives, without listening on it; False where it is in use."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as holder:
        try:
            holder.bind((LOOPBACK, port))
        except OSError:
            return False
        holder.detach()
    return True


def _suggestion(base: int) -> int:
    """Name a base whose block does not touch this one."""
    return base + BLOCK if base + 2 * BLOCK - 1 <= _LAST else base - BLOCK
