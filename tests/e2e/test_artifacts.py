"""What `make build` leaves for AWS: byte-compiled, without what Lambda brings itself, and light to start."""

import importlib.util
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from local import build
from local.paths import ARTIFACTS, FUNCTIONS_PYTHON
from local.processes import Supervisor
from tests.e2e.conftest import GATEWAY_SECRET
from tests.support.events import event

LAYER = ARTIFACTS / "GatehouseLayer" / "python"
SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:gateway-AbCdEf"
SESSION_TOKEN = "session-token-of-the-function"

# Loaded by the time a guest has been answered, each of these would make every cold start slower.
FORBIDDEN = (
    "boto3",
    "botocore",
    "urllib3",
    "cryptography",
    "aws_xray_sdk",
    "aws_lambda_powertools",
    "dataclasses",
    "inspect",
)

FIRST_ANSWER = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import app
answer = app.handler(json.loads(sys.argv[2]), None)
print(json.dumps([answer, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module", autouse=True)
def _built(tmp_path_factory: pytest.TempPathFactory) -> None:
    with build.exclusive(), Supervisor() as supervisor:
        build.build(supervisor, tmp_path_factory.mktemp("build") / "build.log")


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


def test_a_guest_is_answered_through_the_extension_with_nothing_heavy_loaded(extension: HTTPServer) -> None:
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
    answer, modules = json.loads(finished.stdout)
    assert answer["statusCode"] == 200
    assert Extension.asked == [(f"/secretsmanager/get?secretId={SECRET_ARN.replace(':', '%3A')}", SESSION_TOKEN)]
    assert [name for name in modules if name.split(".")[0] in FORBIDDEN] == []


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


@pytest.mark.parametrize("name", ["IssueGuestTokenFunction", "IssueUserTokenFunction"])
def test_a_functions_artifact_is_its_own_code_alone(name: str) -> None:
    assert [path.name for path in modules(ARTIFACTS / name)] == ["app.py"]


def test_nothing_is_built_again_where_nothing_has_changed(tmp_path: Path) -> None:
    with build.exclusive(), Supervisor() as supervisor:
        assert build.build(supervisor, tmp_path / "build.log") is False
    assert not (tmp_path / "build.log").exists()
