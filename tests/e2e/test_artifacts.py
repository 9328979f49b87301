"""What `make build` leaves for AWS: byte-compiled, without what Lambda brings itself, and light to start."""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench import stand_ins
from bench.report import size
from bench.runtime_api import RuntimeApi
from bench.subjects import BARE, GUEST, WEBHOOK, Subject, environment, subjects
from local import build
from local.paths import ARTIFACTS, FUNCTIONS_PYTHON, ROOT
from local.processes import Supervisor
from tests.e2e.conftest import GATEWAY_SECRET
from tests.support.built import artifacts_of_functions
from tests.support.events import event
from tests.support.webhook_fakes import smallcase_body

pytestmark = pytest.mark.usefixtures("built")

LAYER = ARTIFACTS / "GatehouseLayer" / "python"
SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:gateway-AbCdEf"
SESSION_TOKEN = "session-token-of-the-function"

# What somebody waits for is smaller than what nobody waits for. AWS brings the extension's layer, which is not counted.
MAX_HOT_BYTES = 2_500_000
MAX_BYTES = 10_000_000
HOT = {"IssueGuestTokenFunction", "ReceiveWebhookFunction"}

# Lambda brings the first ones itself, and whatever needs the others has no place in a function.
NOT_SHIPPED = {"boto3", "botocore", "s3transfer", "awslambdaric", "cryptography", "pip", "setuptools", "tests", "test"}

# Loaded by the time the first request has been answered, each of these would make every cold start slower.
HEAVY = {"aws_lambda_powertools", "aws_xray_sdk", "boto3", "cryptography", "gatehouse.aws"}
OF_A_CLIENT = ("client", "config", "credentials", "endpoint", "loaders", "model", "parsers", "session")
FORBIDDEN = {
    GUEST: HEAVY | {"botocore", "dataclasses", "inspect", "urllib3"},
    WEBHOOK: HEAVY | {f"botocore.{name}" for name in OF_A_CLIENT},
}

# The route of the webhooks that the bench does not take.
POSTBACK = event("receive_webhook", body=smallcase_body(stand_ins.GATEWAY_API_SECRET))

# A function's handler around the real one, which tells what is loaded when it is asked.
TELLING_HANDLER = """
import sys
import app

def handler(event, context):
    if event != "modules":
        return app.handler(event, context)
    specs = {name: getattr(module, "__spec__", None) for name, module in sys.modules.items()}
    return {name: spec.origin or "" for name, spec in specs.items() if spec}
"""
ACCEPTED = ROOT / "tests" / "e2e" / "modules"
OURS = {"app", "gatehouse", "telling"}

FIRST_ANSWER = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import app
print(json.dumps(app.handler(json.loads(sys.argv[2]), None)))
"""


class Extension(BaseHTTPRequestHandler):
    """Stands for the AWS Parameters and Secrets Lambda Extension."""

    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers["X-Aws-Parameters-Secrets-Token"]))
        answer = json.dumps({"ARN": SECRET_ARN, "SecretString": json.dumps(GATEWAY_SECRET)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def extension() -> Iterator[HTTPServer]:
    Extension.asked = []
    with HTTPServer(("127.0.0.1", 0), Extension) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_guest_is_answered_through_the_extension(extension: HTTPServer) -> None:
    finished = subprocess.run(
        [
            str(FUNCTIONS_PYTHON),
            "-c",
            FIRST_ANSWER,
            json.dumps([str(ARTIFACTS / "IssueGuestTokenFunction"), str(LAYER)]),
            json.dumps(event("issue_guest_token")),
        ],
        env={
            "GATEWAY_SECRET_ARN": SECRET_ARN,
            "TOKEN_LIFETIME_SECONDS": "900",
            "ALLOW_SHORT_SECRETS": "false",
            "SECRETS_EXTENSION": "on",
            "AWS_SESSION_TOKEN": SESSION_TOKEN,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(extension.server_port),
        },
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert json.loads(finished.stdout)["statusCode"] == 200
    assert Extension.asked == [(f"/secretsmanager/get?secretId={SECRET_ARN.replace(':', '%3A')}", SESSION_TOKEN)]


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_every_module_is_byte_compiled_for_lambdas_python_without_a_look_at_its_source() -> None:
    sources = [path for artifact in ARTIFACTS.iterdir() if artifact.is_dir() for path in modules(artifact)]
    assert len(sources) > 20
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        head = compiled.read_bytes()[:16]
        assert head[:4] == importlib.util.MAGIC_NUMBER
        assert head[4] == 0b01, "unchecked hash"
        assert head[8:] == importlib.util.source_hash(source.read_bytes()), f"{source} has changed since"


def test_the_layer_holds_the_package_and_its_two_dependencies() -> None:
    packages = {path.name for path in LAYER.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert packages - {"__pycache__"} == {"gatehouse", "jwt", "urllib3"}


def test_a_functions_artifact_is_its_own_code_alone() -> None:
    codes = [code for code, *_ in artifacts_of_functions().values()]
    assert len(set(codes)) == len(list((ROOT / "functions").glob("*/app.py")))
    for code in codes:
        files = {str(path.relative_to(code)) for path in code.rglob("*") if path.is_file()}
        assert files == {"app.py", "__pycache__/app.cpython-313.pyc"}, code


def test_every_function_with_its_layers_is_small() -> None:
    sizes = {name: sum(map(size, artifacts)) for name, artifacts in artifacts_of_functions().items()}
    assert sizes.keys() > HOT
    assert {name: each for name, each in sizes.items() if each > (MAX_HOT_BYTES if name in HOT else MAX_BYTES)} == {}


def test_no_artifact_holds_what_lambda_brings_or_what_only_tests_need() -> None:
    for artifact in {each for artifacts in artifacts_of_functions().values() for each in artifacts}:
        assert {path for path in artifact.rglob("*") if path.stem.lower() in NOT_SHIPPED} == set()


def loaded(subject: Subject, servers: stand_ins.StandIns, folder: Path) -> dict[str, str]:
    """Return the modules that the real runtime client has loaded after one answer of the function, and their files."""
    (folder / "telling.py").write_text(TELLING_HANDLER)
    with RuntimeApi() as api:
        variables = environment(subject, api.address, servers)
        variables["PYTHONPATH"] += f":{folder}"
        command = [str(FUNCTIONS_PYTHON), "-m", "awslambdaric", "telling.handler"]
        with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                api.wait_initialised()
                answer = json.loads(api.invoke(json.dumps(subject.event).encode()).body)
                assert answer["statusCode"] == 200
                api.wait_initialised()
                modules: dict[str, str] = json.loads(api.invoke(b'"modules"').body)
            finally:
                process.kill()
    return modules


@pytest.fixture(scope="module")
def by_name() -> dict[str, Subject]:
    return {subject.name: subject for subject in subjects()}


@pytest.fixture(scope="module")
def runtime(
    by_name: dict[str, Subject], servers: stand_ins.StandIns, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the runtime client itself loads."""
    return loaded(by_name[BARE], servers, tmp_path_factory.mktemp("bare"))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param(GUEST, {}, id="guest"),
        pytest.param(WEBHOOK, {}, id="a delivery of the brokerage"),
        pytest.param(WEBHOOK, {"event": POSTBACK}, id="a delivery of smallcase"),
    ],
)
def test_the_first_answer_has_loaded_nothing_that_was_not_weighed(
    name: str,
    change: dict[str, Any],
    by_name: dict[str, Subject],
    runtime: dict[str, str],
    servers: stand_ins.StandIns,
    tmp_path: Path,
) -> None:
    found = loaded(by_name[name]._replace(**change), servers, tmp_path)
    files = {each: file for each, file in found.items() if each not in runtime}
    assert {each for each in files if each in FORBIDDEN[name] or each.split(".")[0] in FORBIDDEN[name]} == set()
    # Packages by their first name. Of the standard library the public modules that are written in Python, by their
    # whole name: what else it loads differs between builds.
    packages = {each.split(".")[0] for each in files} - sys.stdlib_module_names - OURS
    in_python = {each for each, file in files.items() if file.endswith(".py") and "._" not in f".{each}"}
    standard = {each for each in in_python if each.split(".")[0] in sys.stdlib_module_names}
    path = ACCEPTED / f"{name}.txt"
    accepted = {line for line in path.read_text().splitlines() if line and not line.startswith("#")}
    new = sorted((packages | standard) - accepted)
    assert not new, (
        f"{name} has loaded {', '.join(new)} by its first answer, and every cold start pays for it. Look for a way "
        f"around it, or weigh it with `make bench` and add it to {path.relative_to(ROOT)}."
    )
    # What the standard library loads differs between releases of Python; the other packages are locked.
    gone = sorted({each for each in accepted if each.split(".")[0] not in sys.stdlib_module_names} - packages)
    assert not gone, f"{name} does not load {', '.join(gone)}: take it from {path.relative_to(ROOT)}."


def test_nothing_is_built_again_where_nothing_has_changed(tmp_path: Path) -> None:
    with build.exclusive(), Supervisor() as supervisor:
        assert build.build(supervisor, tmp_path / "build.log") is False
    assert not (tmp_path / "build.log").exists()
