"""`make logs`: print the log lines of a function of the running stack, oldest first."""

import sys
from collections.abc import Iterator, Mapping

from local.deploy import Endpoint
from local.invoke import function_name
from local.stack_file import NoStack, StackFile


def lines(endpoint: Endpoint, group: str) -> Iterator[str]:
    """Yield every line of a log group in the order of time. Raises KeyError where there is no such group."""
    client = endpoint.client("logs")
    try:
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=group):
            for event in page["events"]:
                yield event["message"].rstrip("\n")
    except client.exceptions.ResourceNotFoundException:
        raise KeyError(group) from None


def group_of(outputs: Mapping[str, str], name: str) -> str:
    """Return the log group of a function (see `function_name`). Raises KeyError where there is no such function."""
    deployed = function_name(outputs, name)
    if deployed is None:
        raise KeyError(name)
    return f"/aws/lambda/{deployed}"


def main(argv: list[str]) -> int:
    """Print the lines of the function that `argv` names."""
    name = argv[0] if argv else ""
    try:
        running = StackFile.read()
    except NoStack as error:
        print(error, file=sys.stderr)
        return 1
    try:
        for line in lines(running.endpoint, group_of(running.outputs, name)):
            print(line)
    except KeyError:
        print(f"The stack has no function {name!r}. Say for instance FUNCTION=issue_guest_token.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
