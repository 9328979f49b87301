"""What makes the functions run: their state, the schedule, the rules, the queue's event source, the extension."""

from typing import Any, Final

from ops.findings import Finding, ok, problem, warning
from ops.look import Look

EXTENSION: Final = ":layer:AWS-Parameters-and-Secrets-Lambda-Extension"

_ON_ITS_WAY: Final = {"Creating", "Enabling", "Updating"}


def functions(look: Look) -> Finding:
    """Whether every function is there and able to run."""
    states = {name: (each.get("State"), each.get("LastUpdateStatus")) for name, each in _configurations(look).items()}
    failed = [name for name, state in states.items() if "Failed" in state]
    if failed:
        return problem(f"failed: {', '.join(failed)}", f"Deploy again ({look.command('deploy')}).")
    changing = [name for name, (state, update) in states.items() if state != "Active" or update == "InProgress"]
    if changing:
        return warning(f"not active: {', '.join(changing)}", "Look again in a minute.")
    return ok(f"{len(states)} active")


def extension(look: Look) -> Finding:
    """Whether the secrets extension is attached where the functions expect it."""
    parameter = look.deployment.parameters["SecretsExtension"]
    if parameter == "off":
        return ok("off: secrets are read with boto3")
    wanted = EXTENSION if parameter == "on" else parameter
    expecting = {
        name: any(wanted in layer["Arn"] for layer in each.get("Layers", []))
        for name, each in _configurations(look).items()
        if each.get("Environment", {}).get("Variables", {}).get("SECRETS_EXTENSION") == "on"
    }
    if lacking := [name for name, is_attached in expecting.items() if not is_attached]:
        return problem(f"not attached: {', '.join(lacking)}", f"Deploy again ({look.command('deploy')}).")
    return ok(f"attached to {len(expecting)} functions")


def schedule(look: Look) -> Finding:
    """Whether the schedule ticks at the parameter's rate."""
    names = look.resources("AWS::Scheduler::Schedule")
    if not names:
        return problem("the stack has none", f"Deploy again ({look.command('deploy')}).")
    groups = look.resources("AWS::Scheduler::ScheduleGroup") or ["default"]
    found = look.client("scheduler").get_schedule(Name=names[0], GroupName=groups[0])
    rate, wanted = found["ScheduleExpression"], look.deployment.parameters["RefreshRate"]
    if found["State"] != "ENABLED":
        return problem(f"{found['State']}: no token is refreshed", "Enable it in EventBridge Scheduler.")
    if rate != wanted or found["FlexibleTimeWindow"]["Mode"] != "OFF":
        todo = f"Somebody changed it by hand: deploy again ({look.command('deploy')})."
        return warning(f"{rate}, flexible window {found['FlexibleTimeWindow']['Mode']}, and not {wanted}, OFF", todo)
    return ok(f"{rate}, enabled")


def rules(look: Look) -> Finding:
    """Whether the stack's rules on its bus are enabled."""
    # On a bus of one's own, a rule's id is `bus|name`.
    names = [each.rpartition("|")[2] for each in look.resources("AWS::Events::Rule")]
    bus, events = look.deployment.output("EventBusName"), look.client("events")
    states = {name: events.describe_rule(Name=name, EventBusName=bus)["State"] for name in names}
    if off := [name for name, state in states.items() if not state.startswith("ENABLED")]:
        return problem(f"disabled: {', '.join(off)}", "Enable it in EventBridge: authentication depends on it.")
    if not states:
        return problem("the stack has none", f"Deploy again ({look.command('deploy')}).")
    return ok(f"{len(states)} enabled")


def event_source(look: Look) -> Finding:
    """Whether `process_webhook` gets what is in the queue."""
    name = look.deployment.output("ProcessWebhookFunctionName")
    mappings = look.client("lambda").list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    states = {mapping["State"] for mapping in mappings}
    if "Enabled" in states:
        return ok("enabled")
    if states & _ON_ITS_WAY:
        return warning(", ".join(sorted(states)), "Look again in a minute.")
    todo = "Enable the event source mapping of process_webhook in Lambda: deliveries wait in the queue."
    return problem(", ".join(sorted(states)) or "there is none", todo)


def _configurations(look: Look) -> dict[str, dict[str, Any]]:
    """Return each function's configuration by its name."""
    client = look.client("lambda")
    names = [value for output, value in look.deployment.outputs.items() if output.endswith("FunctionName")]
    return {name: client.get_function_configuration(FunctionName=name) for name in sorted(names)}
