"""`make schemathesis [SEED=…]`: bring a stack up, prepare what valid requests need, and let Schemathesis have its way.

Exit code 1 where a check fails, a route never succeeds or the document is no OpenAPI 3.1; 2 where no stack could be
started.
"""

import os
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import urllib3
from rich.console import Console
from schemathesis.specs.openapi.definitions import OPENAPI_31

from local.options import Options
from local.paths import ROOT, STATE, NotInstalled
from local.ports import PortTaken, free_block
from local.processes import CommandFailed, ProcessError, Supervisor
from local.stack import LocalStack, report_to_terminal
from local.stack_file import StackFile
from local.stop_signals import StopRequested
from tests.fuzz import answers
from tests.fuzz.settings import Prepared
from tests.support.api_document import PATH, read

FOLDER: Final = STATE / "fuzz"
LOG: Final = FOLDER / "log"
ANSWERED: Final = FOLDER / "answers.jsonl"
CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
MOST_SECONDS: Final = 150  # three times what it takes
TRANSACTIONS: Final = 10
GATEWAY_SECRET: Final = {
    "gateway_name": "acme",
    "secret": "signing-key-of-a-run-0123456789-0123456789",
    "api_secret": "backend-key-of-a-run-0123456789-0123456789",
}
SOURCE, USERNAME, PASSWORD, TOKEN = "broker", "fuzz", "password-of-a-run", "token-of-a-run"
CREDENTIALS: Final = [{"type": 1, "username": USERNAME, "password": PASSWORD}, {"type": 2, "token": TOKEN}]
SECRETS: Final[dict[str, dict[str, object]]] = {
    "GatewaySecret": {**GATEWAY_SECRET},
    "WebhookCredentials": {SOURCE: {"authentication": CREDENTIALS}},
}
SMALLCASE_AUTH_ID: Final = "63f6b2c1a0d4e5f6a7b8c9d0"


def main() -> int:
    """Return the exit code."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    if faults := faults_of_form():
        console.print("docs/openapi.yaml is no OpenAPI 3.1:", *faults, sep="\n", markup=False)
        return 1
    options = Options(ports=free_block(), parameters={"RefreshRate": "rate(59 minutes)"}, secrets=SECRETS)
    try:
        with Supervisor() as supervisor:
            stack = LocalStack(options, FOLDER / "stack", report_to_terminal).start(supervisor)
            prepared = prepare(stack)
            console.print("Sending requests …")
            passed = run(supervisor, stack, prepared)
    except (NotInstalled, PortTaken, ProcessError) as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False)
        return 2
    except StopRequested as stop:
        return stop.exit_code
    console.print(results(LOG.read_text(errors="replace")), markup=False, soft_wrap=True)
    given = answers.read(ANSWERED)
    console.print(answers.table(given))
    missing = answers.never_succeeded(given)
    for route in missing:
        console.print(f"Must not be: {route} never succeeded", style="red")
    return 0 if passed and not missing else 1


def faults_of_form() -> list[str]:
    """Hold the document against the official meta-schema of OpenAPI 3.1, which Schemathesis brings."""
    errors = jsonschema_rs.validator_for(OPENAPI_31).iter_errors(read(PATH))
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


def prepare(stack: StackFile) -> Prepared:
    """Sign a user in, and have some transactions completed that the user has started."""
    with urllib3.PoolManager(retries=False, timeout=30) as http:

        def post(url: str, document: object, **headers: str) -> dict[str, Any]:
            answer = http.request("POST", url, json=document, headers=headers)
            members: dict[str, Any] = answer.json()
            return members

        token = str(post(f"{stack.oidc_issuer}/token", {"user": "asha"})["access_token"])
        ids = []
        for _ in range(TRANSACTIONS):
            started = post(f"{stack.api_url}/v1/transactions", {"intent": "CONNECT"}, Authorization=f"Bearer {token}")
            ids.append(str(started["transactionId"]))
            completion = {"transactionId": ids[-1], "smallcaseAuthId": SMALLCASE_AUTH_ID, "broker": "meadow"}
            post(f"{stack.smallcase_api_url}/_simulator/complete", completion)
    return Prepared(
        oidc_token=token,
        webhook_source=SOURCE,
        webhook_username=USERNAME,
        webhook_password=PASSWORD,
        webhook_token=TOKEN,
        secret=GATEWAY_SECRET["secret"],
        api_secret=GATEWAY_SECRET["api_secret"],
        transaction_ids=",".join(ids),
        smallcase_auth_id=SMALLCASE_AUTH_ID,
    )


def run(supervisor: Supervisor, stack: StackFile, prepared: Prepared) -> bool:
    """Run Schemathesis; return whether it found nothing. What it says goes to the log."""
    ANSWERED.unlink(missing_ok=True)
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "PATH") if name in os.environ}
    environment = {
        **kept,
        **prepared.to_environment(),
        answers.FILE: str(ANSWERED),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run", str(PATH)]
    argv += ["--url", stack.api_url, "--no-color"]
    if seed := os.environ.get("SEED"):
        argv += ["--seed", seed]
    try:
        supervisor.run("schemathesis", argv, env=environment, log=LOG, timeout=MOST_SECONDS, cwd=ROOT)
    except CommandFailed:
        return False
    return True


def results(said: str) -> str:
    """Return what Schemathesis said, from the phases on; all of it where it did not get that far."""
    return said[max(0, said.find("Examples (in")) :]


if __name__ == "__main__":
    sys.exit(main())
