"""`make logs`: print the log lines of a function of the running stack, oldest first."""

import sys
from collections.abc import Iterator

from local.deploy import Endpoint
from local.invoke import function_name
from local.stack_file import NoStack, StackFile


def lines(endpoint: Endpoint, group: str) -> Iterator[str]:
    """Yield every line of a log group in the order of time."""
    for page in endpoint.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            yield event["message"].rstrip("\n")


def main(argv: list[str]) -> int:
    """Print the lines of the function that `argv` names."""
    name = argv[0] if argv else ""
    try:
        running = StackFile.read()
    except NoStack as error:
        print(error, file=sys.stderr)
        return 1
    deployed = function_name(running.outputs, name)
    if deployed is None:
        print(f"The stack has no function {name!r}. Say for instance FUNCTION=issue_guest_token.", file=sys.stderr)
        return 1
    for line in lines(running.endpoint, f"/aws/lambda/{deployed}"):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
