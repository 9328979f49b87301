"""A secret of the stack, as an operator's program finds it, and whether the functions could use it.

Owns asking the layer's own parsers, so that a program and a function cannot disagree, and the words for what is wrong.
Neither ever holds a value.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gatehouse.gateway_secret import MIN_KEY_BYTES, OPTIONAL_KEYS, REQUIRED_KEYS, parse_gateway_secret
from gatehouse.integration_credentials import CredentialsNotConfigured, parse_credentials
from gatehouse.problems import GatewayNotConfigured, WebhooksNotConfigured
from gatehouse.secret_fields import FieldFault, is_set, read_members, read_text
from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import Fault, judge_sources
from ops.deployment import Deployment

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

GATEWAY, INTEGRATION, WEBHOOKS = "GatewaySecret", "IntegrationCredentials", "WebhookCredentials"

OUTPUTS: Final[Mapping[str, str]] = {
    GATEWAY: "GatewaySecretArn",
    INTEGRATION: "IntegrationCredentialsSecretArn",
    WEBHOOKS: "WebhookCredentialsSecretArn",
}
"""The secrets that an operator fills in, and the stack's outputs that name them."""

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    GATEWAY: ("gateway_name", *REQUIRED_KEYS, *OPTIONAL_KEYS),
    INTEGRATION: ("api_key", "secret_key"),
}
"""The members that the layer reads. Those of WebhookCredentials are the operator's own names of sources."""

SET, MISSING = "set", "missing"

_WORDS: Final = {
    "not_json": "is no JSON",
    "not_an_object": "is no JSON object",
    "missing": "is missing",
    "not_text": "is no text",
    "empty": "is empty",
    "placeholder": "is a placeholder",
    "surrounding_space": "begins or ends with a space or a line feed",
    "not_printable": "holds a character that cannot be printed",
    "not_ascii": "holds a character that cannot be sent in a header",
    "too_short": f"has less than {MIN_KEY_BYTES} bytes",
    "equals_secret": "equals secret",
    "equals_previous_secret": "equals previous_secret",
    "not_a_list": "is no list of credentials, or an empty one",
    "unknown": "is neither 1 (Basic) nor 2 (token)",
    "not_usable": "cannot be used",
    "no_header_name": "is no name of a header",
}


class StoredSecret(NamedTuple):
    """A secret's current version."""

    text: Secret
    version_id: str
    changed_at: float  # epoch seconds

    @classmethod
    def read(cls, client: "SecretsManagerClient", secret_id: str) -> "StoredSecret":
        """Read it, past every cache. Raises botocore's errors."""
        answer = client.get_secret_value(SecretId=secret_id)
        return cls(Secret(answer.get("SecretString", "")), answer["VersionId"], answer["CreatedDate"].timestamp())

    @property
    def is_object(self) -> bool:
        """Whether it is a JSON object at all."""
        try:
            read_members(self.text)
        except FieldFault:
            return False
        return True

    @property
    def members(self) -> dict[str, Any]:
        """Its members, none where it is no JSON object."""
        return read_members(self.text) if self.is_object else {}


def faults(name: str, text: Secret, *, allow_short: bool) -> list[Fault]:
    """Return all that keeps the functions from using a secret, of each member or webhook source the first fault.

    The layer's parsers name one member and stop. Here that member is taken for a good one, and they are asked again.
    """
    found: list[Fault] = []
    while new := _first_faults(name, text, allow_short=allow_short):
        found += new
        good = {each.field: f"a-good-value-in-the-place-of-{each.field}" for each in new}
        if not good.keys() <= set(FIELDS.get(name, ())):
            break  # the secret as a whole, or sources, of which each was judged
        text = Secret(json.dumps({**read_members(text), **good}))
    return found


def _first_faults(name: str, text: Secret, *, allow_short: bool) -> list[Fault]:
    try:
        match name:
            case "GatewaySecret":
                parse_gateway_secret(text, allow_short=allow_short)
            case "IntegrationCredentials":
                parse_credentials(text, "")
            case _:
                return [each for each in judge_sources(text).entries.values() if isinstance(each, Fault)]
    except (GatewayNotConfigured, CredentialsNotConfigured, WebhooksNotConfigured) as error:
        return [Fault(error.field, error.reason)]
    return []


def in_words(fault: Fault) -> str:
    """Return a fault as the end of a sentence: `api_secret equals secret`."""
    field = "the secret" if fault.field == "SecretString" else fault.field
    return f"{field} {_WORDS.get(fault.reason, fault.reason)}"


def state_of(members: Mapping[str, object], field: str) -> str:
    """Return what is to be said of a member: set, missing, or what is wrong with it."""
    if not is_set(dict(members), field):
        return MISSING
    try:
        read_text(dict(members), field)
    except FieldFault as fault:
        return _WORDS[fault.reason].removeprefix("is ")
    return SET


def allows_short(deployment: Deployment) -> bool:
    """Whether the stack accepts keys under 32 bytes."""
    return deployment.parameters.get("AllowShortSecrets") == "true"
