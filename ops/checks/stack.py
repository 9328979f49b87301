"""The stack itself and its parameters.

Owns what is sane there. What follows from a bad one is for other checks to find.
"""

import re
from email.utils import parsedate_to_datetime
from typing import Final

from ops.example_values import example_values
from ops.findings import Finding, ok, problem, unknown, warning
from ops.look import Look
from ops.stored_secret import GATEWAY, OUTPUTS, allows_short, faults

GOOD: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}
TAKEN_BACK: Final = {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}

ATTEMPTS_WANTED: Final = 3
"""Looks at a token between its margin and its end: two of them may fail."""

# H: the brokerage's documentation. A token is not replaced in the first half of its life (token_policy).
LONGEST_MARGIN_SECONDS: Final = 3600 // 2

SKEW_SECONDS: Final = 60
"""AWS refuses signatures from 5 minutes on; times of tokens are compared to the second."""

_ADDRESSES: Final = ("OidcIssuer", "IntegrationBaseUrl", "SmallcaseBaseUrl")


def stack(look: Look) -> Finding:
    """Whether the stack is in a state to rely on."""
    name = look.deployment.stack_name
    status = look.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    if status in GOOD:
        return ok(status)
    if status.endswith("IN_PROGRESS"):
        return warning(f"{status}: it is being changed", "Look again when that is done.")
    if status in TAKEN_BACK:
        todo = f"See its events in CloudFormation, and deploy again ({look.command('deploy')})."
        return warning(f"{status}: the last deployment failed and was taken back", todo)
    return problem(status, "See its events in CloudFormation.")


def refresh_rate(look: Look) -> Finding:
    """Whether several looks fall between a token's margin and its end."""
    parameters = look.deployment.parameters
    margin = min(int(parameters["RefreshMarginSeconds"]), LONGEST_MARGIN_SECONDS)
    interval = interval_seconds(look)
    attempts = margin // interval
    found = f"{parameters['RefreshRate']}, margin {margin // 60} min: at least {attempts} attempts before a token ends"
    if attempts >= ATTEMPTS_WANTED:
        return ok(found)
    return warning(found, "Lower RefreshRate or raise RefreshMarginSeconds, and deploy.")


def interval_seconds(look: Look) -> int:
    """Return how often the tokens are looked at."""
    (minutes,) = re.findall(r"\d+", look.deployment.parameters["RefreshRate"])
    return int(minutes) * 60


def addresses(look: Look) -> Finding:
    """Whether the addresses are real ones, and over https."""
    if look.is_local:
        return ok("this machine's own")
    parameters = look.deployment.parameters
    if examples := example_values(parameters):
        return problem(f"example values: {', '.join(examples)}", "Put yours into samconfig.toml, and deploy.")
    if laptops := [name for name in _ADDRESSES if parameters.get(name, "").startswith("http://")]:
        return problem(f"a laptop's address: {', '.join(laptops)}", "Put the real one into samconfig.toml, and deploy.")
    if "http://" in parameters.get("CorsOrigins", ""):
        return warning("CorsOrigins lets pages of a laptop call this API", "Leave them out where users are.")
    return ok("https, and no examples")


def short_keys(look: Look) -> Finding:
    """Whether short keys are accepted only where there are some."""
    if not allows_short(look.deployment):
        return ok(f"{GATEWAY}: 32 bytes at least")
    if faults(GATEWAY, look.secret(OUTPUTS[GATEWAY]).text, allow_short=False):
        return ok("AllowShortSecrets is on, for a key under 32 bytes")
    return warning("AllowShortSecrets is on, and no key needs it", "Set it to false, and deploy.")


def transactions(look: Look) -> Finding:
    """What pages may start, and what makes a connection."""
    parameters = look.deployment.parameters
    intents = [each.strip() for each in parameters["AllowedIntents"].split(",")]
    notes = [f"pages may start {', '.join(intents)}"]
    if set(intents) != {"CONNECT"}:
        notes[0] += ", ordered under the company's name"
    if parameters["ConnectByWebhook"] == "true":
        notes.append("postbacks make connections too (docs/security.md)")
    if parameters["VerifyTransactionDetails"] != "true":
        found = "; ".join([*notes, "the Gateway is not asked who completed a transaction"])
        return warning(found, "Switch VerifyTransactionDetails on, if your partner account can.")
    return ok("; ".join(notes))


def clock(look: Look) -> Finding:
    """Whether this machine's clock is AWS's."""
    before = look.clock()
    headers = look.client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
    if "date" not in headers:
        return unknown("the answer has no date")
    skew = parsedate_to_datetime(headers["date"]).timestamp() - (before + look.clock()) / 2
    if abs(skew) <= SKEW_SECONDS:
        return ok("as AWS's, within a minute")
    found = f"this machine is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} AWS"
    return warning(found, "Set its clock: what is said here of ages is wrong by as much.")


def alarms(look: Look) -> Finding:
    """Whether any alarm of the stack rings."""
    ringing = ringing_alarms(look)
    if not ringing:
        return ok("none rings")
    return warning(f"{len(ringing)} in ALARM: {', '.join(ringing)}", "See its section in docs/runbook.md.")


def ringing_alarms(look: Look) -> list[str]:
    """Return the names of the stack's alarms that are in ALARM."""
    pages = look.client("cloudwatch").get_paginator("describe_alarms")
    found = pages.paginate(AlarmNamePrefix=f"{look.deployment.stack_name}-", StateValue="ALARM")
    return [alarm["AlarmName"] for page in found for alarm in page["MetricAlarms"]]
