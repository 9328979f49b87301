"""`make invoke`: invoke a function of the running stack with an event from a file."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from local.stack_file import NoStack, StackFile


def function_name(outputs: Mapping[str, str], name: str) -> str | None:
    """Return the deployed name of the function in folder `functions/<name>`."""
    return outputs.get("".join(part.capitalize() for part in name.split("_")) + "FunctionName")


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
    deployed = function_name(running.outputs, arguments.function)
    if deployed is None:
        print(f"The stack has no function {arguments.function!r}.", file=sys.stderr)
        return 1
    answer = running.endpoint.client("lambda").invoke(FunctionName=deployed, Payload=json.dumps(event))
    print(json.dumps(json.loads(answer["Payload"].read()), indent=2))
    return 1 if answer.get("FunctionError") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
