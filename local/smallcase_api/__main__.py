"""Runs the simulator until SIGTERM, Ctrl-C or the end of the process that started it."""

import argparse
import os
import sys
from collections.abc import Sequence

from local.http_server import serve_until_stopped
from local.lifeline import follow_parent
from local.smallcase_api.server import SmallcaseApiServer
from local.smallcase_api.settings import Identity


def main(argv: Sequence[str]) -> None:
    """Serve the simulator on 127.0.0.1; its address is the first line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m local.smallcase_api",
        description="A simulated smallcase Gateway API.",
        epilog="The partner's identity is read from SMALLCASE_GATEWAY_NAME, SMALLCASE_SECRET, SMALLCASE_API_SECRET, "
        "and where there are any SMALLCASE_PREVIOUS_SECRET and SMALLCASE_PREVIOUS_API_SECRET: arguments can be read by "
        "everybody on the machine.",
    )
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1; 0 for any free one")
    arguments = parser.parse_args(argv)
    follow_parent()
    server = SmallcaseApiServer(arguments.port, Identity.from_environment(os.environ))
    print(f"smallcase_api: listening on {server.url}", file=sys.stderr, flush=True)
    serve_until_stopped(server)


if __name__ == "__main__":
    main(sys.argv[1:])
