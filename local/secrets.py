"""The secrets of a local run: those of SECRETS_FILE, and made-up ones for the rest.

Owns writing them into the emulated Secrets Manager, as `make configure` does on AWS. It prints none of them.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Final

from local.deploy import Endpoint
from local.options import Options

# Output of the stack that names each secret.
OUTPUTS: Final = {
    "GatewaySecret": "GatewaySecretArn",
    "IntegrationCredentials": "IntegrationCredentialsSecretArn",
    "WebhookCredentials": "WebhookCredentialsSecretArn",
}
KEY_BYTES: Final = 32


def local_secrets(options: Options) -> dict[str, Mapping[str, object]]:
    """Return the secrets to write, by name.

    What is made up lasts as long as the run. Nothing is made up for an Integration API that is not ours: its
    credentials stay placeholders until somebody names them.
    """
    made_up: dict[str, Mapping[str, object]] = {
        "GatewaySecret": {
            "gateway_name": "gatehouse-local",
            "secret": secrets.token_hex(KEY_BYTES),
            "api_secret": secrets.token_hex(KEY_BYTES),
        },
        "WebhookCredentials": {
            "broker": {
                "authentication": [
                    {"type": 1, "username": "broker", "password": secrets.token_hex(KEY_BYTES)},
                    {"type": 2, "token": secrets.token_hex(KEY_BYTES)},
                ]
            }
        },
    }
    if options.integration_base_url is None:
        made_up["IntegrationCredentials"] = {
            "api_key": secrets.token_hex(KEY_BYTES),
            "secret_key": secrets.token_hex(KEY_BYTES),
        }
    return {**made_up, **options.secrets}


def write(endpoint: Endpoint, outputs: Mapping[str, str], values: Mapping[str, Mapping[str, object]]) -> None:
    """Write each secret where the stack keeps it."""
    client = endpoint.client("secretsmanager")
    for name, value in values.items():
        client.put_secret_value(SecretId=outputs[OUTPUTS[name]], SecretString=json.dumps(value))
