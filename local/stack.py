"""The whole stack on this machine: simulators, emulator, build, deployment, secrets.

Owns the order in which these come up. Each of them lives in a module of its own.
"""

import http.client
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local import build, secrets
from local.deploy import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, STACK_NAME, Endpoint, deploy
from local.invoke import invoke
from local.options import Options
from local.paths import FUNCTIONS_PYTHON, PYTHON, ROOT, check_installed
from local.playground.surroundings import Surroundings
from local.ports import LOOPBACK
from local.processes import Process, Supervisor
from local.smallcase_api.settings import Identity
from local.stack_file import StackFile

READY_SECONDS: Final = 30

Report = Callable[[str], None]


class LocalStack:
    """Brings one stack up. Its processes belong to the supervisor, and end with it."""

    def __init__(self, options: Options, folder: Path, report: Report) -> None:
        """Logs and other state go to `folder`; `report` gets a line for every step."""
        self.options = options
        self.folder = folder
        self.logs = folder / "logs"
        # Which role was allowed what, of this run alone.
        self.calls_file = folder.resolve() / "calls.jsonl"
        self.endpoint = Endpoint(_url(options.ports.aws))
        self._report = report

    def start(self, supervisor: Supervisor) -> StackFile:
        """Start everything and return what is running.

        Raises PortTaken, NotInstalled, and the errors of `local.processes`.
        """
        options, ports = self.options, self.options.ports
        check_installed()
        needed = ["api", "aws", "playground"]
        needed += ["oidc"] if options.oidc_issuer is None else []
        needed += ["integration_api"] if options.integration_base_url is None else []
        needed += ["smallcase_api"] if options.smallcase_base_url is None else []
        ports.check_free(needed)
        values = secrets.local_secrets(options)

        waiting = [(self._start_emulator(supervisor), f"{self.endpoint.url}/_ministack/health")]
        if options.oidc_issuer is None:
            waiting.append((self._start_oidc(supervisor), f"{options.issuer}/.well-known/openid-configuration"))
        if options.integration_base_url is None:
            simulator = self._start_integration_api(supervisor, values["IntegrationCredentials"])
            waiting.append((simulator, f"{options.integration_api}/_simulator/state"))
        if options.smallcase_base_url is None:
            simulator = self._start_smallcase_api(supervisor, values["GatewaySecret"])
            waiting.append((simulator, f"{options.smallcase_api}/_simulator/state"))
        with build.exclusive():
            with self._step("Building the functions (sam build)"):
                build.build(supervisor, self.logs / "build.log")
            with self._step("Starting " + ", ".join(process.name for process, _ in waiting)):
                for process, url in waiting:
                    supervisor.wait_until_ready(process, lambda url=url: _answers(url), READY_SECONDS)  # type: ignore[misc]  # mypy sees no type in a lambda's default
            with self._step("Deploying template.yaml (sam deploy)"):
                outputs = deploy(supervisor, self.endpoint, self._parameters(), self.logs / "deploy.log")
        if options.oidc_issuer is not None and not has_discovery(options.issuer):
            # On AWS the deployment fails here.
            self._report(f"Careful: {options.issuer} gives no discovery document. No user's token will be accepted.")
        with self._step("Writing the secrets"):
            secrets.write(self.endpoint, outputs, values)
        with self._step("Asking for the first Integration API tokens"):
            invoke(self.endpoint, outputs, "refresh_tokens", {})
        with self._step("Starting the playground"):
            playground = self._start_playground(supervisor, outputs)
            supervisor.wait_until_ready(playground, lambda: _answers(_url(ports.playground)), READY_SECONDS)
        return StackFile(
            api_url=_url(ports.api),
            aws_endpoint_url=self.endpoint.url,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            region=REGION,
            stack_name=STACK_NAME,
            outputs=outputs,
            integration_api_url=options.integration_api,
            smallcase_api_url=options.smallcase_api,
            oidc_issuer=options.issuer,
            oidc_audience=options.oidc_audience,
            playground_url=_url(ports.playground),
            pids=[os.getpid(), *supervisor.pids],
        )

    def _parameters(self) -> dict[str, str]:
        """What differs on a laptop (the README lists it), and what the run was told on top."""
        return {
            "OidcIssuer": self.options.issuer,
            "OidcAudience": self.options.oidc_audience,
            "CorsOrigins": ",".join(self.options.page_origins),
            "IntegrationBaseUrl": self.options.integration_api,
            "SmallcaseBaseUrl": self.options.smallcase_api,
            "SecretsExtension": "off",
            "WebhookVisibilitySeconds": "30",
            **self.options.parameters,
        }

    def _start_emulator(self, supervisor: Supervisor) -> Process:
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self.calls_file.unlink(missing_ok=True)
        environment = _environment() | self.endpoint.environment()
        del environment["AWS_ENDPOINT_URL"]
        environment |= {
            "GATEHOUSE_AWS_PORT": str(self.options.ports.aws),
            "GATEHOUSE_API_PORT": str(self.options.ports.api),
            "GATEHOUSE_FUNCTIONS_PYTHON": str(FUNCTIONS_PYTHON),
            "GATEHOUSE_CALLS_FILE": str(self.calls_file),
            "TMPDIR": str(temporary),
        }
        return self._start(supervisor, "emulator", ["local.emulator"], environment)

    def _start_oidc(self, supervisor: Supervisor) -> Process:
        arguments = ["--port", str(self.options.ports.oidc), "--audience", self.options.oidc_audience.split(",")[0]]
        return self._start(supervisor, "oidc", ["local.oidc", *arguments], _environment())

    def _start_integration_api(self, supervisor: Supervisor, credentials: Mapping[str, object]) -> Process:
        environment = _environment()
        for name in ("api_key", "secret_key"):
            # Not an argument: those are there for everybody on the machine to read.
            environment[f"INTEGRATION_{name.upper()}"] = str(credentials.get(name, ""))
        arguments = ["--port", str(self.options.ports.integration_api)]
        return self._start(supervisor, "integration_api", ["local.integration_api", *arguments], environment)

    def _start_smallcase_api(self, supervisor: Supervisor, gateway_secret: Mapping[str, object]) -> Process:
        environment = _environment() | Identity.to_environment(gateway_secret)
        arguments = ["--port", str(self.options.ports.smallcase_api)]
        return self._start(supervisor, "smallcase_api", ["local.smallcase_api", *arguments], environment)

    def _start_playground(self, supervisor: Supervisor, outputs: dict[str, str]) -> Process:
        options = self.options
        surroundings = Surroundings(
            api_url=_url(options.ports.api),
            aws_endpoint_url=self.endpoint.url,
            outputs=outputs,
            page_origins=list(options.page_origins),
            oidc_simulator=options.issuer if options.oidc_issuer is None else None,
            integration_simulator=options.integration_api if options.integration_base_url is None else None,
            smallcase_simulator=options.smallcase_api if options.smallcase_base_url is None else None,
        )
        environment = _environment() | surroundings.environment()
        arguments = ["--port", str(options.ports.playground)]
        return self._start(supervisor, "playground", ["local.playground", *arguments], environment)

    def _start(self, supervisor: Supervisor, name: str, module: list[str], environment: dict[str, str]) -> Process:
        argv = [str(PYTHON), "-m", *module]
        return supervisor.start(name, argv, env=environment, log=self.logs / f"{name}.log", cwd=ROOT)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        self._report(f"{what} …")
        yield
        self._report(f"{what}: {time.monotonic() - started:.1f} s")


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _environment() -> dict[str, str]:
    """A clean environment: what the shell has set for other AWS accounts must reach neither emulator nor functions."""
    kept = ("HOME", "LANG", "LC_ALL", "PATH", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in kept if name in os.environ}


def has_discovery(issuer: str) -> bool:
    """Whether an OIDC issuer answers where its discovery document has to be (OpenID Connect Discovery, 4)."""
    try:
        return _answers(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except (OSError, http.client.HTTPException):
        return False


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - http or https, as the options see to
        return bool(response.status == 200)  # noqa: PLR2004


def report_to_terminal(line: str) -> None:
    """Print a step; a finished one overwrites its own beginning on a terminal."""
    begun = line.endswith("…")
    if sys.stdout.isatty():
        print(f"\r\033[K  {line}", end="" if begun else "\n", flush=True)
    elif not begun:
        print(f"  {line}", flush=True)
