"""`make invoke`: invoke a function of the running stack with an event from a file."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from local.deploy import EXAMPLE_PREFIX, Endpoint
from local.stack_file import NoStack, StackFile


def function_name(outputs: Mapping[str, str], name: str) -> str | None:
    """Return the deployed name of the function in folder `functions/<name>`; an example's goes by its deployed name."""
    if name.startswith(EXAMPLE_PREFIX):
        return name
    return outputs.get("".join(part.capitalize() for part in name.split("_")) + "FunctionName")


def invoke(endpoint: Endpoint, outputs: Mapping[str, str], name: str, event: object) -> tuple[object, bool]:
    """Invoke a function and return its answer, and whether it is one (and not an error). Raises KeyError."""
    deployed = function_name(outputs, name)
    if deployed is None:
        raise KeyError(name)
    client = endpoint.client("lambda")
    try:
        answer = client.invoke(FunctionName=deployed, Payload=json.dumps(event))
    except client.exceptions.ResourceNotFoundException:
        raise KeyError(name) from None
    return json.loads(answer["Payload"].read()), not answer.get("FunctionError")


def main(argv: list[str]) -> int:
    """Print the function's answer."""
    parser = argparse.ArgumentParser(prog="make invoke", description="FUNCTION=<folder below functions/> EVENT=<file>")
    parser.add_argument("function")
    parser.add_argument("event", nargs="?", type=Path)
    arguments = parser.parse_args(argv)
    path: Path | None = arguments.event
    try:
        running = StackFile.read()
        event = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (NoStack, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        answer, succeeded = invoke(running.endpoint, running.outputs, arguments.function, event)
    except KeyError:
        print(f"The stack has no function {arguments.function!r}.", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2))
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
