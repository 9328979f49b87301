"""`make example`: build an example and deploy it beside the running stack, as on AWS beside the real one.

Owns where an example is, what its stack is called, and which of its parameters Gatehouse fills in: those with the name
of one of Gatehouse's outputs, and `IntegrationBaseUrl`. It starts no process that stays; what it deploys ends with the
emulator.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from local import build, parameters
from local.build import Project
from local.deploy import EXAMPLE_PREFIX, deploy
from local.paths import ARTIFACTS, ROOT, STATE, NotInstalled, check_installed
from local.processes import CommandFailed, Supervisor
from local.stack_file import NoStack, StackFile
from local.stop_signals import StopRequested

EXAMPLES = ROOT / "examples"


class UnknownExample(Exception):
    """There is no example of this name. The text lists those that there are."""

    def __init__(self, name: str) -> None:
        known = ", ".join(sorted(template.parent.name for template in EXAMPLES.glob("*/template.yaml")))
        super().__init__(f"There is no example {name!r}. Say NAME= and one of: {known}")


def project(name: str) -> Project:
    """Return what an example is built of. Raises UnknownExample."""
    folder = EXAMPLES / name
    if not name.isidentifier() or not (folder / "template.yaml").is_file():
        raise UnknownExample(name)
    return Project(folder / "template.yaml", (folder,), ARTIFACTS.parent / "examples" / name)


def filled_in(template: Path, running: StackFile) -> dict[str, str]:
    """Return the parameters of an example's template that the running Gatehouse knows."""
    known = {**running.outputs, "IntegrationBaseUrl": running.integration_api_url or ""}
    return {name: known[name] for name in sorted(parameters.declared(template)) if name in known}


def deploy_example(
    supervisor: Supervisor, running: StackFile, name: str, told: Mapping[str, str], logs: Path
) -> dict[str, str]:
    """Build and deploy an example beside the running stack, and return its outputs.

    `told` are parameters beside those that Gatehouse fills in. Raises UnknownExample and CommandFailed.
    """
    example = project(name)
    values = {**filled_in(example.template, running), **told}
    with build.exclusive():
        build.build(supervisor, logs / f"example-{name}-build.log", example)
        log = logs / f"example-{name}-deploy.log"
        stack_name = EXAMPLE_PREFIX + name
        return deploy(supervisor, running.endpoint, values, log, project=example, stack_name=stack_name)


def main(argv: list[str]) -> int:
    """Deploy the example that `argv` names, and say what it has made."""
    name = argv[0] if argv else ""
    faults: list[str] = []
    try:
        check_installed()
        told = parameters.parse(os.environ.get("PARAMETERS", ""), project(name).template, faults)
        if faults:
            print("\n".join(faults), file=sys.stderr)
            return 1
        running = StackFile.read()
        print(f"Deploying examples/{name} beside {running.stack_name} …", flush=True)
        with Supervisor() as supervisor:
            outputs = deploy_example(supervisor, running, name, told, STATE / "logs")
    except (CommandFailed, NoStack, NotInstalled, UnknownExample) as error:
        print(error, file=sys.stderr)
        return 1
    except StopRequested as stop:
        return stop.exit_code
    print(summary(EXAMPLE_PREFIX + name, outputs))
    return 0


def summary(stack_name: str, outputs: Mapping[str, str]) -> str:
    """Return what is printed once it is deployed: the outputs, and how to watch its functions."""
    width = max(map(len, outputs), default=0)
    lines = [f"Deployed {stack_name}:", *(f"  {key:<{width}}  {value}" for key, value in outputs.items())]
    functions = [value for key, value in outputs.items() if key.endswith("FunctionName")]
    return "\n".join([*lines, *(f"Watch it: make logs FUNCTION={function}" for function in functions)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
