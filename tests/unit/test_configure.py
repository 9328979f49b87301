"""`make configure`: what is asked, what is refused, what is written, and what nobody ever sees."""

import io
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from cfnlint.decode.cfn_yaml import load

from gatehouse.rejected_credentials import Attempt
from ops import configure, secret_questions
from ops.configure import EXTENSION_SECONDS
from ops.first_tick import WAIT_SECONDS
from ops.secret_questions import RealTerminal
from ops.stored_secret import FIELDS, OUTPUTS
from tests.conftest import ROOT
from tests.support.ops_fakes import FakeDeployments, Outcome, runner
from tests.support.token_fakes import aws_account, create_state_table, lose_answers, refuse

MARK = "SENTINEL"
SECRET, API_SECRET = MARK + "s" * 32, MARK + "a" * 32
OTHER, NEW = MARK + "o" * 32, MARK + "n" * 32
GATEWAY = {"gateway_name": f"{MARK}-acme", "secret": SECRET, "api_secret": API_SECRET}
CREDENTIALS = {"api_key": f"{MARK}-key", "secret_key": f"{MARK}-secret-key"}
TOKEN = {"type": 2, "token": f"{MARK}-token"}
PLACEHOLDERS: dict[str, Any] = {
    "GatewaySecret": {"gateway_name": "REPLACE_ME", "secret": "REPLACE_ME", "api_secret": "REPLACE_ME"},
    "IntegrationCredentials": {"api_key": "REPLACE_ME", "secret_key": "REPLACE_ME"},
    "WebhookCredentials": {},
}
FILLED: dict[str, Any] = {
    "GatewaySecret": GATEWAY,
    "IntegrationCredentials": CREDENTIALS,
    "WebhookCredentials": {"broker": {"authentication": [TOKEN]}},
}
BASE_URL = "https://integration.company.com"


class FakeLambda:
    """Answers with an outcome, after doing what the function would do."""

    def __init__(self) -> None:
        self.outcome: object = {"outcome": "unchanged"}
        self.error: str | None = None
        self.does: Callable[[], object] = lambda: None
        self.invoked: list[tuple[str, bytes]] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self.invoked.append((FunctionName, Payload))
        self.does()
        answer: dict[str, Any] = {"Payload": io.BytesIO(json.dumps(self.outcome).encode())}
        return {**answer, "FunctionError": self.error} if self.error else answer

    def close(self) -> None:
        """Nothing is open."""


class FakeTerminal:
    """An operator who answers each question of a script. `prompts` has what was asked, hidden ones with a star."""

    def __init__(self, script: list[tuple[str, str | BaseException]]) -> None:
        self.script = list(script)
        self.prompts: list[str] = []
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def ask(self, prompt: str) -> str:
        return self._answer(prompt, prompt)

    def ask_hidden(self, prompt: str) -> str:
        return self._answer(f"*{prompt}", prompt)

    def _answer(self, kept: str, prompt: str) -> str:
        self.prompts.append(kept.strip())
        assert self.script, f"nobody was to be asked: {prompt}"
        expected, answer = self.script.pop(0)
        assert expected in prompt, f"{expected!r} was to be asked for"
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class World:
    """Secrets, a function, and the program over them."""

    deployments: FakeDeployments
    client: Any
    another: Any  # somebody else's client, without what a test puts into ours
    function: FakeLambda
    capsys: pytest.CaptureFixture[str]
    folder: Path
    pauses: list[float] = field(default_factory=list)
    terminal: FakeTerminal = field(default_factory=lambda: FakeTerminal([]))

    def write(self, **secrets: object) -> None:
        """Put values into secrets, as somebody else would."""
        for name, value in secrets.items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.another.put_secret_value(SecretId=self.arn(name), SecretString=text)

    def arn(self, name: str) -> str:
        return self.deployments.outputs[OUTPUTS.get(name, "IntegrationTokensSecretArn")]

    def stored(self, name: str) -> Any:
        return json.loads(self.client.get_secret_value(SecretId=self.arn(name))["SecretString"])

    @property
    def all_stored(self) -> dict[str, Any]:
        return {name: self.stored(name) for name in OUTPUTS}

    def versions(self, name: str) -> dict[str, list[str]]:
        """Return the labels by version."""
        found: dict[str, list[str]] = self.client.describe_secret(SecretId=self.arn(name))["VersionIdsToStages"]
        return found

    def configure(self, content: object = None, mode: int = 0o600, **variables: str) -> Outcome:
        """Run it with a file of this content."""
        path = self.folder / "secrets.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)
        return self._run(FILE=str(path), **variables)

    def answer(self, *script: tuple[str, str | BaseException]) -> Outcome:
        """Run it with an operator who answers this, and leaves the rest as it is."""
        self.terminal = FakeTerminal(list(script))
        return self._run()

    def _run(self, **variables: str) -> Outcome:
        program = runner(configure.main, self.deployments, self.capsys, self.terminal, self.pauses.append)
        outcome = program(**{"OPS_STAGE": "prod", **variables})
        assert self.terminal.script == [], "not asked"
        # Neither what is there nor what is typed is ever said.
        everything = outcome.out + outcome.err + "\n".join([*self.terminal.said, *self.terminal.prompts])
        assert MARK not in everything
        return outcome

    def reject(self) -> None:
        """Do what `authenticate` does with credentials that the upstream does not take."""
        version = self.client.get_secret_value(SecretId=self.arn("IntegrationCredentials"))["VersionId"]
        key = Attempt(version, BASE_URL, "body").key
        boto3.client("dynamodb").put_item(TableName="state", Item={"pk": {"S": key}})


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[World]:
    with aws_account():
        create_state_table()
        client = boto3.client("secretsmanager")
        outputs = {
            output: client.create_secret(Name=name, SecretString=json.dumps(PLACEHOLDERS[name]))["ARN"]
            for name, output in OUTPUTS.items()
        }
        outputs["IntegrationTokensSecretArn"] = client.create_secret(Name="tokens", SecretString="{}")["ARN"]
        names = {"StateTableName": "state", "RefreshTokensFunctionName": "refresh", "AuthenticateFunctionName": "auth"}
        parameters = {"IntegrationBaseUrl": BASE_URL, "IntegrationCredentialsIn": "body", "SecretsExtension": "on"}
        deployments = FakeDeployments(outputs | names, parameters)
        function = FakeLambda()
        deployments.clients |= {"secretsmanager": client, "lambda": function}
        yield World(deployments, client, boto3.client("secretsmanager"), function, capsys, tmp_path)


# --- from a file ---


def test_a_file_is_written_and_the_first_tick_run(world: World) -> None:
    outcome = world.configure(FILLED)
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert world.all_stored == FILLED
    assert world.function.invoked == [("refresh", b"{}")]
    assert outcome.lines == [
        "gatehouse-prod (stage prod, AWS, eu-west-1)",
        "  GatewaySecret           gateway_name: a placeholder, secret: a placeholder, api_secret: a placeholder",
        "  IntegrationCredentials  api_key: a placeholder, secret_key: a placeholder",
        "  WebhookCredentials      sources: none",
        "To be written:",
        "  GatewaySecret: gateway_name, secret, api_secret",
        "  IntegrationCredentials: api_key, secret_key",
        "  WebhookCredentials: broker",
        "Written: GatewaySecret, IntegrationCredentials, WebhookCredentials. In use within 4 minute(s).",
        "Running refresh_tokens …",
        "  refresh_tokens: unchanged (the access token is good)",
        "  The stored tokens are good, so the new credentials have not been tried yet. To try them now:",
        "    aws lambda invoke --function-name auth /dev/stdout",
        "Next: make doctor STAGE=prod",
    ]


def test_what_is_taken_away_is_said_to_be(world: World) -> None:
    world.write(WebhookCredentials={"broker": {"authentication": [TOKEN]}})
    outcome = world.configure({"WebhookCredentials": {"shop": {"authentication": [TOKEN]}}})
    assert "  WebhookCredentials: broker (removed), shop" in outcome.lines


def test_what_was_there_is_the_previous_version_and_no_label_of_ours_is_left(world: World) -> None:
    (before,) = world.versions("GatewaySecret")
    world.configure(FILLED)
    labels = world.versions("GatewaySecret")
    assert labels.pop(before) == ["AWSPREVIOUS"]
    assert list(labels.values()) == [["AWSCURRENT"]]


def test_secrets_that_a_file_does_not_name_stay(world: World) -> None:
    outcome = world.configure({"GatewaySecret": GATEWAY})
    assert outcome.exit_code == 0
    assert world.all_stored == {**PLACEHOLDERS, "GatewaySecret": GATEWAY}
    assert outcome.lines[-1] == "IntegrationCredentials cannot be used yet: there is nothing to refresh."
    assert world.function.invoked == []


def test_what_is_there_already_is_not_written_again(world: World) -> None:
    world.configure(FILLED)
    before = {name: world.versions(name) for name in OUTPUTS}
    outcome = world.configure(FILLED)
    assert (outcome.exit_code, "Nothing is to be written: it is there already." in outcome.lines) == (0, True)
    assert {name: world.versions(name) for name in OUTPUTS} == before
    assert len(world.function.invoked) == 2, "the tick is run all the same"
    assert "have not been tried" not in outcome.out


def test_stdin_is_a_file_as_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(FILLED)))
    assert world._run(FILE="-").exit_code == 0
    assert world.all_stored == FILLED


def test_a_file_that_others_can_read_is_warned_of(world: World) -> None:
    assert world.configure(FILLED, mode=0o600).err == ""
    outcome = world.configure(FILLED, mode=0o640)
    assert (outcome.exit_code, outcome.err.startswith("Careful: ")) == (0, True)
    assert "chmod 600" in outcome.err


UNUSABLE = [
    ({"GatewaySecret": {**GATEWAY, "secret": "todo"}}, ["GatewaySecret: secret is a placeholder"]),
    ({"GatewaySecret": {**GATEWAY, "api_secret": SECRET}}, ["GatewaySecret: api_secret equals secret"]),
    ({"GatewaySecret": {**GATEWAY, "previous_secret": "x"}}, ["GatewaySecret: previous_secret has less than 32 bytes"]),
    ({"GatewaySecret": {**GATEWAY, "secret": 5}}, ["GatewaySecret: secret is no text"]),
    ({"GatewaySecret": {**GATEWAY, "secret": SECRET + "\n"}}, ["GatewaySecret: secret begins or ends with a space"]),
    (
        {"WebhookCredentials": {"a b": {"authentication": [TOKEN]}, "shop": {"authentication": [{"type": True}]}}},
        ["WebhookCredentials: a b.name cannot be used", "WebhookCredentials: shop.type is neither 1 (Basic) nor 2"],
    ),
    (
        {**FILLED, "IntegrationCredentials": {"api_key": f"{MARK}-key"}, "GatewaySecret": {}},
        ["GatewaySecret: gateway_name is missing", "IntegrationCredentials: secret_key is missing"],
    ),
]


@pytest.mark.parametrize(("content", "said"), UNUSABLE)
def test_what_the_functions_could_not_use_is_not_written_and_nothing_else_is(
    world: World, content: object, said: list[str]
) -> None:
    outcome = world.configure(content)
    assert outcome.exit_code == 2
    assert outcome.err.splitlines()[0] == "FILE cannot be used, and nothing of it was written:"
    assert all(f"\n  {each}" in outcome.err for each in said)
    assert world.all_stored == PLACEHOLDERS
    assert world.function.invoked == []


def test_short_keys_are_taken_where_the_stack_takes_them(world: World) -> None:
    world.deployments.parameters["AllowShortSecrets"] = "true"
    assert world.configure({"GatewaySecret": {**GATEWAY, "secret": "short", "api_secret": "another"}}).exit_code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (MARK, "FILE is not JSON."),
        ("[]", "FILE must hold a JSON object of objects."),
        (GATEWAY, "FILE must hold a JSON object of objects."),
        ({"GatewaySecrets": {}}, "FILE knows GatewaySecret, IntegrationCredentials, WebhookCredentials, and not"),
        ({}, "FILE names no secret."),
    ],
)
def test_a_file_that_is_none_is_refused_before_anything_is_opened(world: World, content: object, said: str) -> None:
    outcome = world.configure(content)
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert outcome.err.startswith(said)
    assert "Usage: make configure" in outcome.err
    assert world.deployments.opened == []


def test_a_file_that_is_not_there_is_said(world: World) -> None:
    outcome = world._run(FILE=str(world.folder / "none.json"))
    assert (outcome.exit_code, outcome.err.startswith("FILE cannot be read: No such file")) == (2, True)


def test_a_file_that_is_no_text_is_said(world: World) -> None:
    (world.folder / "binary").write_bytes(b"\xff\xfe")
    (world.folder / "binary").chmod(0o600)
    assert world._run(FILE=str(world.folder / "binary")).err.startswith("FILE is not UTF-8.")


def test_members_that_nobody_reads_are_counted_and_not_named(world: World) -> None:
    outcome = world.configure({"GatewaySecret": {**GATEWAY, f"{MARK}-previous": 1, "x": 2}})
    assert "  GatewaySecret: gateway_name, secret, api_secret, 2 member(s) that nobody reads" in outcome.lines
    again = world.configure({"GatewaySecret": {**GATEWAY, f"{MARK}-previous": 2, "x": 2}})
    assert "  GatewaySecret: 2 member(s) that nobody reads" in again.lines


def test_what_is_no_json_is_replaced(world: World) -> None:
    world.write(WebhookCredentials=MARK)
    outcome = world.configure({"WebhookCredentials": {}})
    assert "  WebhookCredentials: nothing that is read" in outcome.lines
    assert world.stored("WebhookCredentials") == {}


# --- somebody else at the same time ---


def when(client: Any, operation: str, does: Callable[[int], object]) -> None:
    """Do something before each call of an operation; `does` gets its number."""
    count = 0

    def before(**_: object) -> None:
        nonlocal count
        count += 1
        does(count)

    client.meta.events.register(f"before-call.secrets-manager.{operation}", before)


def test_another_change_before_the_write_is_not_overwritten(world: World) -> None:
    theirs = {**CREDENTIALS, "api_key": f"{MARK}-theirs"}

    def change(number: int) -> None:
        if number == 1:
            world.write(IntegrationCredentials=theirs)

    when(world.client, "PutSecretValue", change)
    outcome = world.configure(FILLED)
    assert outcome.exit_code == 1
    assert outcome.err == (
        "Somebody else has changed IntegrationCredentials in the meantime. Nothing was written. Run it again.\n"
    )
    assert world.all_stored == {**PLACEHOLDERS, "IntegrationCredentials": theirs}
    assert all("GATEHOUSE_CANDIDATE" not in labels for name in OUTPUTS for labels in world.versions(name).values())
    assert world.function.invoked == []


def test_another_change_in_the_last_moment_is_not_overwritten_either(world: World) -> None:
    theirs = {**CREDENTIALS, "api_key": f"{MARK}-theirs"}

    def change(number: int) -> None:
        if number == 1:
            world.write(IntegrationCredentials=theirs)

    when(world.client, "UpdateSecretVersionStage", change)
    outcome = world.configure(FILLED)
    assert outcome.exit_code == 1
    assert "IntegrationCredentials in the meantime. Written: GatewaySecret. The rest was not." in outcome.err
    assert world.all_stored == {**PLACEHOLDERS, "GatewaySecret": GATEWAY, "IntegrationCredentials": theirs}


def test_nothing_is_current_before_all_is_there(world: World) -> None:
    seen: list[dict[str, Any]] = []
    when(world.client, "PutSecretValue", lambda _: seen.append(world.all_stored))
    world.configure(FILLED)
    assert seen == [PLACEHOLDERS] * 3


def test_what_aws_refuses_leaves_everything_as_it_was(world: World) -> None:
    allow = refuse(world.client, "UpdateSecretVersionStage", "AccessDeniedException", MARK)
    outcome = world.configure(FILLED)
    allow()
    assert (outcome.exit_code, outcome.err) == (
        1,
        "AWS did not do it: UpdateSecretVersionStage, AccessDeniedException.\n",
    )
    assert world.all_stored == PLACEHOLDERS


def test_a_lost_answer_is_no_failure(world: World) -> None:
    lose_answers(world.client, "UpdateSecretVersionStage", ReadTimeoutError(endpoint_url=MARK))
    assert world.configure(FILLED).exit_code == 0
    assert world.all_stored == FILLED


def test_a_stop_signal_waits_until_the_write_is_done(world: World) -> None:
    def stop(number: int) -> None:
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)

    when(world.client, "PutSecretValue", stop)
    world.configure(FILLED)
    assert world.all_stored == FILLED


# --- the first tick ---


@pytest.mark.parametrize(
    ("outcome", "exit_code", "said"),
    [
        ("refreshed", 0, "refresh_tokens: refreshed (a new access token is stored)"),
        ("upstream_unavailable", 1, "refresh_tokens: upstream_unavailable (the Integration API had no usable answer)"),
        ("aws_unavailable", 1, "refresh_tokens: aws_unavailable (Secrets Manager"),
        (MARK, 1, "refresh_tokens: failed (the run failed unexpectedly)"),
    ],
)
def test_the_ticks_outcome_is_said_with_its_meaning(world: World, outcome: str, exit_code: int, said: str) -> None:
    world.function.outcome = {"outcome": outcome}
    ended = world.configure(FILLED)
    assert (ended.exit_code, said in ended.out) == (exit_code, True)


@pytest.mark.parametrize("answer", [{"errorMessage": MARK}, MARK, None])
def test_a_run_that_failed_is_said_without_its_text(world: World, answer: object) -> None:
    world.function.outcome, world.function.error = answer, "Unhandled"
    ended = world.configure(FILLED)
    assert (ended.exit_code, "refresh_tokens: failed" in ended.out) == (1, True)


def asks_for_authentication(world: World) -> None:
    world.function.outcome = {"outcome": "reauthentication_requested"}


def test_what_authenticate_stores_is_waited_for(world: World) -> None:
    asks_for_authentication(world)
    world.pauses = Pauses(
        lambda: world.write(IntegrationTokens={"access_token": MARK}) if len(world.pauses) == 3 else None
    )
    outcome = world.configure(FILLED)
    assert (outcome.exit_code, outcome.lines[-3:]) == (
        0,
        [
            "  refresh_tokens: reauthentication_requested (authenticate was asked for new tokens)",
            "  authenticate: authenticated (new tokens are stored)",
            "Next: make doctor STAGE=prod",
        ],
    )
    assert len(world.pauses) == 3


def test_credentials_that_are_rejected_are_said(world: World) -> None:
    asks_for_authentication(world)
    world.pauses = Pauses(world.reject)
    outcome = world.configure(FILLED)
    assert outcome.exit_code == 1
    assert "  authenticate: credentials_rejected (the Integration API does not take the credentials)" in outcome.lines
    assert "  Replace IntegrationCredentials (make configure STAGE=prod)." in outcome.lines


def test_nobody_waits_for_ever(world: World) -> None:
    asks_for_authentication(world)
    outcome = world.configure(FILLED)
    assert (outcome.exit_code, sum(world.pauses)) == (1, WAIT_SECONDS)
    assert outcome.lines[-1] == "See make status STAGE=prod and make doctor STAGE=prod."


class Pauses(list[float]):
    """Pauses in which something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens

    def append(self, seconds: float) -> None:
        super().append(seconds)
        self._happens()


# --- on a terminal ---

KEEP = ""
KEEP_GATEWAY = [("gateway_name", KEEP), ("secret", KEEP), ("api_secret", KEEP)]
KEEP_CREDENTIALS = [("api_key", KEEP), ("secret_key", KEEP)]
KEEP_WEBHOOKS = [("Source to add", KEEP)]
WRITE = ("Write this?", "")


def test_everything_is_asked_for_and_what_is_secret_without_echo(world: World) -> None:
    outcome = world.answer(
        ("gateway_name (a placeholder", f"{MARK}-acme"),
        ("secret (a placeholder", SECRET),
        ("api_secret (a placeholder", API_SECRET),
        ("api_key", f"{MARK}-key"),
        ("secret_key", f"{MARK}-secret-key"),
        ("Source to add", "broker"),
        ("Type of the credential", "2"),
        ("token (empty: one is made up)", f"{MARK}-token"),
        ("a adds a credential", ""),
        ("Source to add", ""),
        WRITE,
    )
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert world.all_stored == FILLED
    hidden = [prompt.strip("* ").partition(" ")[0] for prompt in world.terminal.prompts if prompt.startswith("*")]
    assert hidden == ["secret", "api_secret", "api_key", "secret_key", "token"]
    assert f"    {len(SECRET)} characters" in world.terminal.said, "so that a cut-off paste is seen"
    assert "  GatewaySecret: gateway_name, secret, api_secret" in world.terminal.said


def test_empty_keeps_everything(world: World) -> None:
    world.write(**FILLED)
    outcome = world.answer(*KEEP_GATEWAY, *KEEP_CREDENTIALS, *KEEP_WEBHOOKS)
    assert outcome.exit_code == 0
    assert world.all_stored == FILLED
    assert len(world.versions("GatewaySecret")) == 2, "no new version"
    assert "\nNothing is to be written." in world.terminal.said


def test_what_stays_unusable_is_said(world: World) -> None:
    outcome = world.answer(*KEEP_GATEWAY, *KEEP_CREDENTIALS, *KEEP_WEBHOOKS)
    assert outcome.exit_code == 0
    wrong = "gateway_name is a placeholder; secret is a placeholder; api_secret is a placeholder"
    assert f"  It stays as it is, and cannot be used: {wrong}." in world.terminal.said
    assert world.all_stored == PLACEHOLDERS


def test_a_rotation_keeps_the_present_key_as_the_previous_one(world: World) -> None:
    world.write(**FILLED)
    world.answer(
        ("gateway_name (set", KEEP),
        ("secret (set", NEW),
        ("Accept the present secret for a while, as previous_secret?", ""),
        ("api_secret", OTHER),
        ("Accept the present api_secret for a while, as previous_api_secret?", "n"),
        *KEEP_CREDENTIALS,
        *KEEP_WEBHOOKS,
        WRITE,
    )
    assert world.stored("GatewaySecret") == {
        **GATEWAY,
        "secret": NEW,
        "previous_secret": SECRET,
        "api_secret": OTHER,
    }
    assert "  GatewaySecret: secret, api_secret, previous_secret" in world.terminal.said


def test_an_overlap_is_ended_where_one_says_so(world: World) -> None:
    world.write(**FILLED)
    world.write(GatewaySecret={**GATEWAY, "previous_secret": OTHER, "previous_api_secret": NEW})
    world.answer(
        ("gateway_name", KEEP),
        ("secret", KEEP),
        ("Remove previous_secret?", "y"),
        ("api_secret", KEEP),
        ("Remove previous_api_secret?", ""),
        *KEEP_CREDENTIALS,
        *KEEP_WEBHOOKS,
        WRITE,
    )
    assert world.stored("GatewaySecret") == {**GATEWAY, "previous_api_secret": NEW}


def test_the_same_key_again_is_no_rotation(world: World) -> None:
    world.write(**FILLED)
    world.answer(("gateway_name", KEEP), ("secret", SECRET), ("api_secret", KEEP), *KEEP_CREDENTIALS, *KEEP_WEBHOOKS)
    assert world.stored("GatewaySecret") == GATEWAY


@pytest.mark.parametrize("typed", ["REPLACE_ME", "<the key>", f" {SECRET}", f"{MARK}\u0007{SECRET}"])
def test_a_member_that_cannot_be_used_is_asked_for_again_at_once(world: World, typed: str) -> None:
    world.write(**FILLED)
    world.answer(
        ("gateway_name", KEEP),
        ("secret", typed),
        ("secret (set", KEEP),
        ("api_secret", KEEP),
        *KEEP_CREDENTIALS,
        *KEEP_WEBHOOKS,
    )
    assert any(line.endswith(". Once more:") for line in world.terminal.said)


def test_a_secret_that_cannot_be_used_as_a_whole_is_asked_for_again(world: World) -> None:
    world.write(**FILLED)
    world.answer(
        ("gateway_name", KEEP),
        ("secret", API_SECRET),
        ("Accept the present secret", "y"),
        ("api_secret", KEEP),
        # Again from what is there, and not from the mistake.
        ("gateway_name", KEEP),
        ("secret", NEW),
        ("Accept the present secret", "y"),
        ("api_secret", KEEP),
        *KEEP_CREDENTIALS,
        *KEEP_WEBHOOKS,
        WRITE,
    )
    assert "  This cannot be used: api_secret equals secret. Once more:" in world.terminal.said
    assert world.stored("GatewaySecret") == {**GATEWAY, "secret": NEW, "previous_secret": SECRET}


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), EOFError(), "n", "no"])
def test_nothing_is_written_unless_all_is_answered(world: World, ending: str | BaseException) -> None:
    script: list[tuple[str, str | BaseException]] = [
        ("gateway_name", f"{MARK}-acme"),
        ("secret", SECRET),
        ("api_secret", API_SECRET),
        *KEEP_CREDENTIALS,
        *KEEP_WEBHOOKS,
        ("Write this?", ending),
    ]
    if isinstance(ending, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            world.answer(*script)
    else:
        assert world.answer(*script).exit_code == 1
    assert world.terminal.said[-1].strip() == "Nothing was written."
    assert world.all_stored == PLACEHOLDERS
    assert world.function.invoked == []


def test_a_yes_or_no_is_asked_for_until_it_is_one(world: World) -> None:
    world.answer(
        *KEEP_GATEWAY,
        ("api_key", "a-key"),
        ("secret_key", "another"),
        *KEEP_WEBHOOKS,
        ("Write this?", "perhaps"),
        ("Write this?", "YES"),
    )
    assert world.stored("IntegrationCredentials") == {"api_key": "a-key", "secret_key": "another"}


# --- sources of webhooks on a terminal ---


def webhooks(world: World, *script: tuple[str, str]) -> Any:
    """Answer only about the sources, and return what is stored then."""
    world.write(**FILLED)
    world.answer(*KEEP_GATEWAY, *KEEP_CREDENTIALS, *script, WRITE)
    return world.stored("WebhookCredentials")


BASIC = {"type": 1, "username": "the-user", "password": f"{MARK}-password"}
ADD_BASIC = [
    ("a adds", "a"),
    ("Type of the credential", "3"),
    ("Type of the credential", "1"),
    ("username", "the-user"),
    ("password", f"{MARK}-password"),
]
DONE = ("a adds", "")


def test_a_new_credential_is_added_at_the_end(world: World) -> None:
    stored = webhooks(world, ("Source", "broker"), *ADD_BASIC, DONE, ("Source", ""))
    assert stored == {"broker": {"authentication": [TOKEN, BASIC]}}
    assert "    1: token  2: Basic" in world.terminal.said


def test_a_credential_is_removed_by_its_place(world: World) -> None:
    stored = webhooks(
        world, ("Source", "broker"), *ADD_BASIC, ("a adds", "r"), ("Which one, 1 to 2", "1"), DONE, ("Source", "")
    )
    assert stored == {"broker": {"authentication": [BASIC]}}


@pytest.mark.parametrize("place", ["", "0", "3", "x", "٢"])
def test_a_place_that_is_none_removes_nothing(world: World, place: str) -> None:
    stored = webhooks(
        world, ("Source", "broker"), *ADD_BASIC, ("a adds", "r"), ("Which one", place), DONE, ("Source", "")
    )
    assert stored == {"broker": {"authentication": [TOKEN, BASIC]}}


def test_the_last_credential_goes_with_its_source(world: World) -> None:
    stored = webhooks(world, ("Source", "broker"), ("a adds", "r"), ("a adds", "d"), ("Source", ""))
    assert stored == {}
    assert any("It is the last one" in line for line in world.terminal.said)


def test_a_token_is_made_up_where_none_is_given(world: World) -> None:
    stored = webhooks(world, ("Source", "shop"), ("Type", "2"), ("token", ""), DONE, ("Source", ""))
    made_up = stored["shop"]["authentication"][0]["token"]
    assert len(made_up) == 64
    assert made_up not in "\n".join(world.terminal.said)
    assert "  Sources: broker (1 credential(s)), shop (1 credential(s))" in world.terminal.said


def test_a_credential_that_cannot_be_used_is_asked_for_again(world: World) -> None:
    stored = webhooks(world, ("Source", "shop"), ("Type", "2"), ("token", "todo"), ("token", "x"), DONE, ("Source", ""))
    assert stored["shop"] == {"authentication": [{"type": 2, "token": "x"}]}


def test_headers_are_set_kept_and_removed(world: World) -> None:
    stored = webhooks(
        world,
        ("Source", "broker"),
        ("a adds", "h"),
        ("token_header (not set", "X-Token"),
        ("delivery_id_header (not set", "X-Id"),
        ("a adds", "h"),
        ("token_header (set", ""),
        ("delivery_id_header (set", "-"),
        DONE,
        ("Source", ""),
    )
    assert stored["broker"] == {"authentication": [TOKEN], "token_header": "X-Token"}


def test_what_was_entered_of_the_sources_stays_when_something_cannot_be_used(world: World) -> None:
    stored = webhooks(
        world,
        ("Source", "broker"),
        ("a adds", "h"),
        ("token_header", "X Token"),
        ("delivery_id_header", ""),
        *ADD_BASIC,
        DONE,
        ("Source", ""),
        ("Source", "broker"),
        ("a adds", "h"),
        ("token_header (set", "X-Token"),
        ("delivery_id_header", ""),
        DONE,
        ("Source", ""),
    )
    assert stored["broker"] == {"authentication": [TOKEN, BASIC], "token_header": "X-Token"}
    assert "  This cannot be used: broker.token_header is no name of a header. Once more:" in world.terminal.said


def test_a_name_that_no_source_can_have_is_refused_at_once(world: World) -> None:
    stored = webhooks(
        world, ("Source", "a source"), ("Source", "shop"), ("Type", "2"), ("token", "x"), DONE, ("Source", "")
    )
    assert set(stored) == {"broker", "shop"}


@pytest.mark.parametrize("entry", [None, 5, {}, {"authentication": 5}])
def test_an_entry_that_is_none_is_begun_anew(world: World, entry: object) -> None:
    world.write(**FILLED)
    world.write(WebhookCredentials={"shop": entry})
    world.answer(
        *KEEP_GATEWAY,
        *KEEP_CREDENTIALS,
        ("Source", "shop"),
        ("Type", "2"),
        ("token", "x"),
        DONE,
        ("Source", ""),
        WRITE,
    )
    assert world.stored("WebhookCredentials") == {"shop": {"authentication": [{"type": 2, "token": "x"}]}}


@pytest.mark.parametrize("credential", [None, {}, {"type": "1"}, {"type": 9}])
def test_a_credential_that_is_none_can_be_seen_and_removed(world: World, credential: object) -> None:
    world.write(**FILLED)
    world.write(WebhookCredentials={"shop": {"authentication": [credential, TOKEN]}})
    world.answer(
        *KEEP_GATEWAY,
        *KEEP_CREDENTIALS,
        ("Source", "shop"),
        ("a adds", "r"),
        ("Which one", "1"),
        DONE,
        ("Source", ""),
        WRITE,
    )
    assert "    1: cannot be used  2: token" in world.terminal.said
    assert world.stored("WebhookCredentials") == {"shop": {"authentication": [TOKEN]}}


# --- the rest ---


def test_without_a_terminal_a_file_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert configure.main({}, world.deployments) == 2
    assert world.capsys.readouterr().err.startswith("There is no terminal to ask on: name a FILE, or - for stdin.")
    assert world.deployments.opened == []


def test_on_a_laptop_the_hint_is_makes_own(world: World) -> None:
    outcome = world.configure(FILLED, OPS_STAGE="local")
    assert "    make invoke FUNCTION=authenticate" in outcome.lines


def test_without_the_extension_secrets_are_in_use_sooner(world: World) -> None:
    world.deployments.parameters["SecretsExtension"] = "off"
    assert "In use within 1 minute(s)." in world.configure(FILLED).out


def test_the_extension_keeps_secrets_as_long_as_the_template_says() -> None:
    functions = load(str(ROOT / "template.yaml"))["Resources"].values()
    variables = [each["Properties"].get("Environment", {}).get("Variables", {}) for each in functions]
    assert {int(each["SECRETS_MANAGER_TTL"]) for each in variables if "SECRETS_MANAGER_TTL" in each} == {
        EXTENSION_SECONDS
    }


def test_the_readme_lists_the_members_that_are_asked_for() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, members in FIELDS.items():
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{name}` |")]
        assert [member for member in members if f"`{member}`" not in row] == []


def test_the_name_that_is_tried_is_judged_by_the_layer() -> None:
    assert secret_questions._is_source_name("broker-1_x")
    assert not secret_questions._is_source_name("a/b")


def test_the_real_terminal_asks_for_secrets_with_getpass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return f" {prompt}"

    monkeypatch.setattr("getpass.getpass", answer)
    monkeypatch.setattr("builtins.input", answer)
    terminal = RealTerminal()
    terminal.say("a line")
    assert (terminal.ask_hidden("hidden? "), terminal.ask("shown? ")) == (" hidden? ", "shown?")
    assert asked == ["hidden? ", "shown? "]
    assert capsys.readouterr().out == "a line\n"
