"""`make doctor`, `make status` and `make configure` against the deployed template: healthy, and broken in five ways.

Every test leaves the stack as it found it.
"""

import json
import os
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gatehouse.exchange_journal import INTEGRATION_TOKENS as EXCHANGE
from local.paths import ROOT
from local.ports import LOOPBACK, Ports
from ops import configure, doctor, status
from ops.deployment import Deployment
from tests.e2e.conftest import GATEWAY_SECRET, INTEGRATION_CREDENTIALS, WEBHOOK_CREDENTIALS, Stack
from tests.e2e.token_lifecycle import Lifecycle, session, until
from tests.support.ops_fakes import Outcome, runner

ALL_SECRETS: Mapping[str, Mapping[str, Any]] = {
    "GatewaySecret": GATEWAY_SECRET,
    "IntegrationCredentials": INTEGRATION_CREDENTIALS,
    "WebhookCredentials": WEBHOOK_CREDENTIALS,
}
ARN_OUTPUTS = {
    "GatewaySecret": "GatewaySecretArn",
    "IntegrationCredentials": "IntegrationCredentialsSecretArn",
    "WebhookCredentials": "WebhookCredentialsSecretArn",
}
MARK = "SENTINEL"
# The tests' own stack ticks every 59 minutes, so that nothing but a test runs a tick.
ALWAYS = {"parameters: refresh rate": "warning"}
QUEUES = ("WebhookDeadLetterQueueUrl", "TokenDeadLetterQueueUrl")

Operate = Callable[..., Outcome]


class Found:
    """What the doctor found, and how it ended."""

    def __init__(self, outcome: Outcome) -> None:
        assert MARK not in outcome.out + outcome.err
        document = json.loads(outcome.out)
        self.exit_code = outcome.exit_code
        self.checks = {each["check"]: each for each in document["checks"]}

    @property
    def states(self) -> dict[str, str]:
        """The state of each check that is not well."""
        return {name: each["state"] for name, each in self.checks.items() if each["state"] != "ok"}

    def said(self, check: str) -> str:
        text: str = self.checks[check]["found"]
        return text


@pytest.fixture
def operate(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operate:
    """Run a program as make does, with make's variables."""
    stack.file.write(tmp_path)

    def call(main: Callable[..., int], **variables: str) -> Outcome:
        return runner(main, partial(Deployment.open, state=tmp_path), capsys)(OPS_STAGE="local", **variables)

    return call


@pytest.fixture
def look(operate: Operate, tmp_path: Path) -> Callable[[], Found]:
    def call() -> Found:
        table = operate(doctor.main)
        assert MARK not in table.out
        with (tmp_path / "doctor.txt").open("a") as kept:  # what an operator sees, for whoever wants to look
            kept.write(table.out)
        found = Found(operate(doctor.main, JSON="1"))
        assert found.exit_code == table.exit_code
        return found

    return call


@pytest.fixture(autouse=True)
def _healthy(stack: Stack, life: Lifecycle) -> Iterator[None]:
    """A stack that nothing is wrong with: what other tests leave behind is no part of these."""
    heal(stack, life)
    yield
    heal(stack, life)


def heal(stack: Stack, life: Lifecycle) -> None:
    life.start_over()
    # What an exchange leaves whose end nobody knows; a tick would ask for new tokens because of it.
    dynamodb = stack.file.endpoint.client("dynamodb")
    dynamodb.delete_item(TableName=stack.file.outputs["StateTableName"], Key={"pk": {"S": EXCHANGE}})
    for name, value in ALL_SECRETS.items():
        write(stack, name, value)
    for output in QUEUES:
        stack.file.endpoint.client("sqs").purge_queue(QueueUrl=stack.file.outputs[output])
    until(lambda: functions_are_ready(stack), "all functions have started anew")
    assert life.refresh_tokens() == "unchanged"


def functions_are_ready(stack: Stack) -> bool:
    client = stack.file.endpoint.client("lambda")
    names = [value for name, value in stack.file.outputs.items() if name.endswith("FunctionName")]
    states = {client.get_function_configuration(FunctionName=name)["LastUpdateStatus"] for name in names}
    return states == {"Successful"}


def write(stack: Stack, name: str, value: object) -> None:
    client = stack.file.endpoint.client("secretsmanager")
    client.put_secret_value(SecretId=stack.file.outputs[ARN_OUTPUTS[name]], SecretString=json.dumps(value))


def stored(stack: Stack, name: str) -> object:
    client = stack.file.endpoint.client("secretsmanager")
    return json.loads(client.get_secret_value(SecretId=stack.file.outputs[ARN_OUTPUTS[name]])["SecretString"])


# --- healthy ---


def test_a_healthy_stack_is_well(look: Callable[[], Found]) -> None:
    found = look()
    assert (found.exit_code, found.states) == (0, ALWAYS)
    assert found.said("schedule") == "rate(59 minutes), enabled"
    assert found.said("WebhookCredentials") == "1 source(s) with 2 credential(s)"
    assert found.said("access token").endswith("min left")


def test_the_status_is_one_screen_without_a_value(operate: Operate, life: Lifecycle) -> None:
    outcome = operate(status.main)
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert MARK not in outcome.out
    assert all(token not in outcome.out for token in life.seen)
    assert len(outcome.lines) < 40
    assert any(line.split()[:2] == ["refresh_tokens", "unchanged"] for line in outcome.lines)
    assert "unknown" not in outcome.out


# --- broken ---


def test_1_equal_keys(stack: Stack, look: Callable[[], Found]) -> None:
    write(stack, "GatewaySecret", {**GATEWAY_SECRET, "api_secret": GATEWAY_SECRET["secret"]})
    stack.start_anew("IssueGuestToken")  # what it has cached is good for a minute
    until(lambda: functions_are_ready(stack), "it has started anew")
    try:
        found = look()
    finally:
        write(stack, "GatewaySecret", GATEWAY_SECRET)
        stack.start_anew("IssueGuestToken")
    until(lambda: functions_are_ready(stack), "it has started anew")
    assert (found.exit_code, found.states) == (1, {**ALWAYS, "GatewaySecret": "problem", "API": "problem"})
    assert found.said("GatewaySecret") == "api_secret equals secret"
    assert found.said("API") == "a guest is answered 503 GATEWAY_NOT_CONFIGURED"
    assert look().states == ALWAYS, "and well again"


def test_2_credentials_that_the_upstream_rejects(look: Callable[[], Found], life: Lifecycle) -> None:
    life.write_credentials(secret_key="SENTINEL-wrong")
    assert life.authenticate() == "credentials_rejected"
    found = look()
    expected = {"IntegrationCredentials: upstream": "problem", "token functions: last runs": "problem"}
    assert (found.exit_code, found.states) == (1, {**ALWAYS, **expected})
    assert "401" in found.said("IntegrationCredentials: upstream")
    assert "authenticate: credentials_rejected" in found.said("token functions: last runs")
    life.write_credentials()
    assert life.authenticate() == "authenticated"
    assert look().states == ALWAYS, "and well again"


def test_3_a_message_in_a_dead_letter_queue(stack: Stack, look: Callable[[], Found]) -> None:
    sqs = stack.file.endpoint.client("sqs")
    for output in QUEUES:
        sqs.send_message(QueueUrl=stack.file.outputs[output], MessageBody=MARK)
    found = look()
    expected = {"webhook failures": "problem", "token failures": "problem"}
    assert (found.exit_code, found.states) == (1, {**ALWAYS, **expected})
    assert found.said("webhook failures") == "about 1 waiting"


@contextmanager
def event_source_off(stack: Stack) -> Iterator[None]:
    client = stack.file.endpoint.client("lambda")
    name = stack.file.outputs["ProcessWebhookFunctionName"]
    (mapping,) = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@contextmanager
def schedule_off(stack: Stack) -> Iterator[None]:
    client = session().client("scheduler", endpoint_url=stack.file.aws_endpoint_url)
    (listed,) = client.list_schedules(NamePrefix=stack.file.stack_name)["Schedules"]
    schedule: Any = client.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
    kept = {
        name: schedule[name] for name in ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    }
    client.update_schedule(**kept, State="DISABLED")
    try:
        yield
    finally:
        client.update_schedule(**kept, State="ENABLED")


def test_4_what_makes_the_functions_run_is_switched_off(stack: Stack, look: Callable[[], Found]) -> None:
    with event_source_off(stack), schedule_off(stack):
        found = look()
    expected = {"webhook queue: event source": "problem", "schedule": "problem"}
    assert (found.exit_code, found.states) == (1, {**ALWAYS, **expected})
    assert found.said("schedule") == "DISABLED: no token is refreshed"
    assert look().states == ALWAYS, "and well again"


def test_5_an_upstream_that_is_down_and_tokens_that_have_expired(look: Callable[[], Found], life: Lifecycle) -> None:
    life.seed(seconds_left=-90)
    life.upstream.arm("status_503_retry_after", "any")
    assert life.refresh_tokens() == "upstream_unavailable"
    found = look()
    states = found.states
    # Whether an exchange with this answer counts as one without a known end is not this test's business.
    assert states.pop("token exchange", "warning") == "warning"
    expected = {"access token": "problem", "token functions: last runs": "warning"}
    assert (found.exit_code, states) == (1, {**ALWAYS, **expected})
    assert found.said("access token").startswith("expired ")
    assert "refresh_tokens: upstream_unavailable" in found.said("token functions: last runs")


def test_upstreams_and_an_issuer_that_are_gone(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.file.write(tmp_path)
    port = Ports(urlsplit(stack.file.api_url).port or 0).base + 9
    names = ("IntegrationBaseUrl", "SmallcaseBaseUrl", "OidcIssuer")
    gone = dict.fromkeys(names, f"http://{LOOPBACK}:{port}")  # of this stack's block, and nobody listens there

    def deployment(stage: str) -> Deployment:
        found = Deployment.open(stage, state=tmp_path)
        return replace(found, parameters={**found.parameters, **gone})

    found = Found(runner(doctor.main, deployment, capsys)(JSON="1"))
    expected = dict.fromkeys(("Integration API", "smallcase Gateway", "OIDC issuer"), "problem")
    assert (found.exit_code, found.states) == (1, {**ALWAYS, **expected})
    assert found.said("Integration API") == "cannot be reached from here: connect"


def test_tokens_that_cannot_be_read_are_said(look: Callable[[], Found], life: Lifecycle) -> None:
    life.write(json.dumps({"access_token": MARK}))
    found = look()
    assert found.exit_code == 1
    assert found.said("access token") == "unreadable: refresh_token"


def test_what_is_not_deployed_is_no_bill_of_health(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = runner(doctor.main, partial(Deployment.open, state=tmp_path), capsys)(OPS_STAGE="local")
    assert (outcome.exit_code, "make run" in outcome.err) == (2, True)


# --- configure ---


def unconfigure(stack: Stack, life: Lifecycle) -> None:
    """Put back what a deployment begins with."""
    write(stack, "GatewaySecret", dict.fromkeys(GATEWAY_SECRET, "REPLACE_ME"))
    write(stack, "IntegrationCredentials", dict.fromkeys(INTEGRATION_CREDENTIALS, "REPLACE_ME"))
    write(stack, "WebhookCredentials", {})
    life.write("{}")


def test_a_new_deployment_is_configured_from_a_file(
    stack: Stack, operate: Operate, look: Callable[[], Found], life: Lifecycle, tmp_path: Path
) -> None:
    unconfigure(stack, life)
    before = look()
    assert before.exit_code == 1
    assert {"GatewaySecret", "IntegrationCredentials", "access token"} <= before.states.keys()
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(ALL_SECRETS))
    path.chmod(0o600)
    outcome = operate(configure.main, FILE=str(path))
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert MARK not in outcome.out
    assert (
        "Written: GatewaySecret, IntegrationCredentials, WebhookCredentials. In use within 1 minute(s)." in outcome.out
    )
    assert "  authenticate: authenticated (new tokens are stored)" in outcome.lines
    assert {name: stored(stack, name) for name in ALL_SECRETS} == ALL_SECRETS
    assert life.upstream.accepts(life.stored().document["access_token"])
    # The line of the last run is in the log a moment after the run.
    until(lambda: look().states == ALWAYS, "well all over")
    again = operate(configure.main, FILE=str(path))
    assert "Nothing is to be written: it is there already." in again.lines


def test_credentials_that_are_wrong_are_said_at_once(
    stack: Stack, operate: Operate, life: Lifecycle, tmp_path: Path
) -> None:
    unconfigure(stack, life)
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"IntegrationCredentials": {**INTEGRATION_CREDENTIALS, "api_key": "SENTINEL-wrong"}}))
    outcome = operate(configure.main, FILE=str(path))
    assert outcome.exit_code == 1
    assert "authenticate: credentials_rejected" in outcome.out
    assert MARK not in outcome.out + outcome.err


PROGRAM = """
import fcntl, sys, termios
from functools import partial
from pathlib import Path
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal is this session's own, as in a shell
from ops import configure
from ops.deployment import Deployment
raise SystemExit(configure.main({{}}, partial(Deployment.open, state=Path({state!r}))))
"""


class Terminal:
    """A program on a terminal of its own, and all that the terminal showed."""

    def __init__(self, state: Path) -> None:
        self._own, theirs = os.openpty()
        attributes = termios.tcgetattr(theirs)
        assert attributes[3] & termios.ECHO, "a terminal that shows what is typed"
        self.shown = ""
        self._program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(state=str(state))],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'gatehouse'}"},
        )
        os.close(theirs)

    def type(self, prompt: str, text: str) -> None:
        """Wait for a prompt that has not been answered yet, and type a line."""
        seen = len(self.shown)
        while prompt not in self.shown[seen:]:
            assert self._read(), f"{prompt!r} was not asked for: {self.shown[-500:]!r}"
        os.write(self._own, f"{text}\n".encode())

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        while self._read():
            pass
        os.close(self._own)
        return self._program.wait(30)

    def _read(self) -> bool:
        try:
            more = os.read(self._own, 4096)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.shown += more.decode(errors="replace")
        return bool(more)


def test_on_a_terminal_nothing_secret_is_shown(stack: Stack, life: Lifecycle, tmp_path: Path) -> None:
    unconfigure(stack, life)
    stack.file.write(tmp_path)
    terminal = Terminal(tmp_path)
    terminal.type("gateway_name", GATEWAY_SECRET["gateway_name"])
    terminal.type("secret (a placeholder", GATEWAY_SECRET["secret"])
    terminal.type("api_secret (a placeholder", GATEWAY_SECRET["api_secret"])
    terminal.type("api_key", INTEGRATION_CREDENTIALS["api_key"])
    terminal.type("secret_key", INTEGRATION_CREDENTIALS["secret_key"])
    terminal.type("Source to add", "")
    terminal.type("Write this?", "y")
    assert terminal.end() == 0, terminal.shown
    assert MARK not in terminal.shown
    assert GATEWAY_SECRET["gateway_name"] in terminal.shown, "what is not secret is shown as it is typed"
    assert "authenticate: authenticated" in terminal.shown
    assert stored(stack, "GatewaySecret") == GATEWAY_SECRET
    assert stored(stack, "IntegrationCredentials") == INTEGRATION_CREDENTIALS
