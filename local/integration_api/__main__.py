"""Runs the simulator until SIGTERM, Ctrl-C or the end of the process that started it."""

import argparse
import os
import sys
from collections.abc import Sequence

from local.http_server import serve_until_stopped
from local.integration_api.server import IntegrationApiServer
from local.integration_api.settings import Credentials
from local.lifeline import follow_parent


def main(argv: Sequence[str]) -> None:
    """Serve the simulator on 127.0.0.1; its address is the first line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m local.integration_api", description="A simulated brokerage Integration API."
    )
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1; 0 for any free one")
    for name, what in (("--api-key", "the API key that it accepts"), ("--secret-key", "the secret key of that")):
        variable = "INTEGRATION" + name.replace("-", "_")[1:].upper()
        value = os.environ.get(variable)
        parser.add_argument(name, default=value, required=value is None, help=f"{what} (or {variable})")
    arguments = parser.parse_args(argv)
    follow_parent()
    server = IntegrationApiServer(arguments.port, Credentials(arguments.api_key, arguments.secret_key))
    print(f"integration_api: listening on {server.url}", file=sys.stderr, flush=True)
    serve_until_stopped(server)


if __name__ == "__main__":
    main(sys.argv[1:])
