"""The addresses that samconfig.toml comes with, and everything like them.

Owns what an example is: a host under a name that is reserved for documentation, which nobody can ever own (RFC 2606).
"""

import re
from collections.abc import Mapping
from typing import Final

NAMES: Final = ("OidcIssuer", "CorsOrigins", "IntegrationBaseUrl", "SmallcaseBaseUrl")

_HOST: Final = re.compile(r"https?://([^\s/:,]+)")
_RESERVED: Final = re.compile(r"(.+\.)?(example(\.(com|net|org))?|invalid|test)\.?", re.IGNORECASE)


def example_values(parameters: Mapping[str, str]) -> list[str]:
    """Return `Name=value` for each parameter of the stack that still has an example in it."""
    return [
        f"{name}={parameters[name]}"
        for name in NAMES
        if any(_RESERVED.fullmatch(host) for host in _HOST.findall(parameters.get(name, "")))
    ]
