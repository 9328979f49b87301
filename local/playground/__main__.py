"""Runs the playground until SIGTERM, Ctrl-C or the end of the process that started it."""

import argparse
import os
import sys
from collections.abc import Sequence

from local.http_server import serve_until_stopped
from local.lifeline import follow_parent
from local.playground.server import PlaygroundServer
from local.playground.surroundings import Surroundings


def main(argv: Sequence[str]) -> None:
    """Serve the playground on 127.0.0.1."""
    parser = argparse.ArgumentParser(prog="python -m local.playground", description="The page for trying it all out.")
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1")
    arguments = parser.parse_args(argv)
    follow_parent()
    serve_until_stopped(PlaygroundServer(arguments.port, Surroundings.from_environment(os.environ)))


if __name__ == "__main__":
    main(sys.argv[1:])
