"""The secrets that an operator fills in: filled, well-formed, distinct, and no overlap for longer than it is needed."""

from typing import TYPE_CHECKING, Any, Final

from gatehouse.gateway_secret import OPTIONAL_KEYS
from gatehouse.rejected_credentials import Attempt
from gatehouse.secret_fields import is_set
from ops.findings import Finding, ok, problem, warning
from ops.look import Look
from ops.stored_secret import GATEWAY, INTEGRATION, OUTPUTS, WEBHOOKS, StoredSecret, allows_short, faults, in_words

if TYPE_CHECKING:
    from gatehouse.settings import CredentialsIn

DAY_SECONDS: Final = 24 * 60 * 60

OVERLAP_DAYS: Final = 7
"""After it, whatever was signed or sent with the previous key has long come in."""


def gateway_secret(look: Look) -> Finding:
    """Whether the functions can use GatewaySecret."""
    stored = look.secret(OUTPUTS[GATEWAY])
    if finding := _fault(look, GATEWAY, stored):
        return finding
    members = stored.members
    same = [f"previous_{name} equals {name}" for name in ("secret", "api_secret") if _is_repeated(members, name)]
    if same:
        return warning("; ".join(same), f"Remove it ({look.command('configure')}).")
    return ok("filled, well-formed, distinct")


def gateway_overlap(look: Look) -> Finding:
    """Whether a rotation has come to its end."""
    stored = look.secret(OUTPUTS[GATEWAY])
    previous = [name for name in OPTIONAL_KEYS if is_set(stored.members, name)]
    if not previous:
        return ok("no previous key is accepted")
    days = (look.clock() - stored.changed_at) / DAY_SECONDS
    found = f"accepted for {days:.0f} day(s): {', '.join(previous)}"
    if days <= OVERLAP_DAYS:
        return ok(found)
    return warning(found, f"Remove what nobody uses any more ({look.command('configure')}).")


def integration_credentials(look: Look) -> Finding:
    """Whether `authenticate` can use IntegrationCredentials."""
    stored = look.secret(OUTPUTS[INTEGRATION])
    if finding := _fault(look, INTEGRATION, stored):
        return finding
    if stored.members["api_key"] == stored.members["secret_key"]:
        return warning("api_key equals secret_key", f"Look at what was handed to you ({look.command('configure')}).")
    return ok("filled, well-formed, distinct")


def rejected_credentials(look: Look) -> Finding:
    """Whether the Integration API has rejected the credentials that are there now."""
    if not is_rejected(look, look.secret(OUTPUTS[INTEGRATION]).version_id):
        return ok("not rejected")
    todo = f"Replace them ({look.command('configure')}); to try them once more: invoke authenticate with"
    return problem("the Integration API answered 401; they are not tried again", todo + ' {"force": true}.')


def is_rejected(look: Look, version_id: str) -> bool:
    """Whether `authenticate` remembers that this version was rejected."""
    deployment = look.deployment
    way = deployment.parameters["IntegrationCredentialsIn"]
    credentials_in: CredentialsIn = "headers" if way == "headers" else "body"
    attempt = Attempt(version_id, deployment.parameters["IntegrationBaseUrl"].rstrip("/"), credentials_in)
    answer = look.client("dynamodb").get_item(
        TableName=deployment.output("StateTableName"), Key={"pk": {"S": attempt.key}}, ConsistentRead=True
    )
    return "Item" in answer


def webhook_credentials(look: Look) -> Finding:
    """Whether `receive_webhook` can use every source of WebhookCredentials."""
    stored = look.secret(OUTPUTS[WEBHOOKS])
    if finding := _fault(look, WEBHOOKS, stored):
        return finding
    sources = {name: entry for name, entry in stored.members.items() if entry is not None}
    if not sources:
        return ok("no sources: the brokerage cannot deliver here")
    credentials = sum(len(entry["authentication"]) for entry in sources.values())
    return ok(f"{len(sources)} source(s) with {credentials} credential(s)")


def _fault(look: Look, name: str, stored: StoredSecret) -> Finding | None:
    found = faults(name, stored.text, allow_short=allows_short(look.deployment))
    if not found:
        return None
    return problem("; ".join(map(in_words, found)), f"Fill it in ({look.command('configure')}).")


def _is_repeated(members: dict[str, Any], name: str) -> bool:
    return bool(members.get(f"previous_{name}") == members[name])
