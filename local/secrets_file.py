"""A file of secrets: one JSON object with an object for each secret that it names.

Owns that form, which `make run` (SECRETS_FILE) and `make configure` (FILE) share. What is in a secret is the layer's to
judge. It never says a value.
"""

import json
from collections.abc import Mapping
from typing import Final

NAMES: Final = ("GatewaySecret", "IntegrationCredentials", "WebhookCredentials")


def parse(text: str, variable: str, faults: list[str]) -> dict[str, Mapping[str, object]]:
    """Return the secrets by name; what is wrong with the file that `variable` names is added to `faults`."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        faults.append(f"{variable} is not JSON")
        return {}
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        faults.append(f"{variable} must hold a JSON object of objects")
        return {}
    unknown = sorted(set(content) - set(NAMES))
    if unknown:
        faults.append(f"{variable} knows {', '.join(NAMES)}, and not {', '.join(unknown)}")
    return content
