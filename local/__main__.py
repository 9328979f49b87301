"""`make run`: bring the stack up, say how to use it, and stay until asked to stop."""

import os
import sys
from pathlib import Path

from local.options import InvalidOptions, Options
from local.paths import ROOT, STATE, NotInstalled
from local.ports import PortTaken
from local.processes import ProcessEnded, ProcessError, Supervisor
from local.stack import LocalStack, report_to_terminal
from local.stack_file import StackFile
from local.stop_signals import StopRequested


def main() -> int:
    """Run until Ctrl-C, SIGTERM, or the end of a process that the stack needs."""
    try:
        options = Options.from_environment(os.environ)
        stack = LocalStack(options, STATE / f"run-{options.ports.base}", report_to_terminal)
        print("Gatehouse on this machine", flush=True)
        with Supervisor() as supervisor:
            running = stack.start(supervisor)
            try:
                running.write()
                print(how_to_use(running, options, stack.logs), flush=True)
                ended = supervisor.watch()
            finally:
                running.remove()
                print("\nStopping …", flush=True)
    except (InvalidOptions, NotInstalled, PortTaken, ProcessError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except StopRequested as stop:
        print("Stopped.")
        return stop.exit_code
    if isinstance(ended, ProcessEnded):
        print(ended, file=sys.stderr)
        return 1
    print("Stopped.")
    return 0


def how_to_use(running: StackFile, options: Options, logs: Path) -> str:
    """Return what is printed when the stack is ready: addresses, logs, and commands to copy."""
    api = running.api_url
    lines = [
        "",
        f"  Playground {running.playground_url}",
        f"  API        {api}",
        f"  AWS        {running.aws_endpoint_url}  (access key and secret: {running.aws_access_key_id})",
        f"  OIDC       {running.oidc_issuer}",
        f"  Upstreams  {running.integration_api_url}  (Integration API)",
        f"             {running.smallcase_api_url}  (smallcase Gateway API)",
        f"  Origins    {', '.join(options.page_origins)}",
        f"  Logs       {logs.relative_to(ROOT)}/ ; a function's: make logs FUNCTION=issue_guest_token",
        "  Details    .local/stack.json",
        "",
        "A guest's session token:",
        "",
        f"  curl -s -X POST {api}/v1/tokens/guest",
        "",
    ]
    if options.oidc_issuer is None:
        lines += [
            "Sign in as asha (or ravi), and get a user's session token:",
            "",
            f'  TOKEN=$(curl -s {running.oidc_issuer}/token -d \'{{"user": "asha"}}\' \\',
            """    | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')""",
        ]
    else:
        lines += ["A user's session token, with an access token of your issuer in TOKEN:", ""]
    lines += [
        f'  curl -s -X POST {api}/v1/tokens/user -H "Authorization: Bearer $TOKEN"',
        "",
        "Ready. Ctrl-C stops everything.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
