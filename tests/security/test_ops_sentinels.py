"""Whatever is in the secrets, and whatever somebody wants to put there: operators' programs say none of it.

Every text in a secret is marked; nothing marked comes out on stdout or stderr, of any program, in any form.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops import configure, doctor, status
from ops.secret_questions import RealTerminal
from tests.support.ops_account import MARK, OUTPUTS, PARAMETERS, SECRETS, FakeAccount

EXAMPLES = 80
MOST_QUESTIONS = 200

MEMBERS = (
    *("gateway_name", "secret", "api_secret", "previous_secret", "previous_api_secret", "api_key", "secret_key"),
    *("access_token", "refresh_token", "token_type", "expires_at", "access_token_obtained_at"),
    *("refresh_token_obtained_at", "authentication", "token_header", "delivery_id_header"),
    *("type", "username", "password", "token", "broker", "shop"),
)
# With what makes a value usable or not, and what a terminal or a table might take for its own.
TEXTS = st.sampled_from(
    ["", " ", "\n", "[bold]", "[/]", "{configure}", "%s", "\x1b[31m", "é", "x" * 40, "<", ">"]
).flatmap(lambda more: st.sampled_from([f"{MARK}{more}", f"{more}{MARK}", f"{MARK}{more}{MARK}"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=6,
)


@st.composite
def secret_texts(draw: st.DrawFn, name: str) -> str:
    """Draw a secret: a good one with members changed, any JSON, or no JSON."""
    members = dict(SECRETS[name])
    members.update(draw(st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=3)))
    for member in draw(st.lists(st.sampled_from(sorted(members)), max_size=2, unique=True)):
        del members[member]
    return draw(st.sampled_from([json.dumps(members)] * 3 + [json.dumps(draw(VALUES)), draw(TEXTS)]))


def parsed(text: str) -> Any:
    """Return what a text says as JSON, nothing where it says nothing."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


ALL_SECRETS = st.fixed_dictionaries({name: secret_texts(name) for name in SECRETS})


@contextmanager
def silence() -> Iterator[Callable[[], str]]:
    """Yield a function that returns what was said."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield lambda: out.getvalue() + err.getvalue()


def account_with(secrets: dict[str, str]) -> FakeAccount:
    account = FakeAccount()
    account.secrets.update(secrets)
    writes: dict[str, Any] = {"put_secret_value": {}, "update_secret_version_stage": {}}
    account.answers["secretsmanager"].update(writes)
    account.answers["lambda"]["invoke"] = lambda **_: {"Payload": io.BytesIO(b'{"outcome": "unchanged"}')}
    return account


@settings(max_examples=EXAMPLES)
@given(secrets=ALL_SECRETS, as_json=st.booleans())
def test_doctor_says_no_value(secrets: dict[str, str], as_json: bool) -> None:
    account = account_with(secrets)
    with silence() as said:
        doctor.main({"OPS_STAGE": "prod", "JSON": "1" if as_json else ""}, account, account.web, account.clock)
    assert "GatewaySecret" in said()
    assert "the check itself failed" not in said()
    assert MARK not in said()


@settings(max_examples=EXAMPLES)
@given(secrets=ALL_SECRETS)
def test_status_says_no_value(secrets: dict[str, str]) -> None:
    account = account_with(secrets)
    with silence() as said:
        assert status.main({"OPS_STAGE": "prod"}, account, account.clock) == 0
    assert "Deliveries" in said()
    assert MARK not in said()


@settings(max_examples=EXAMPLES)
@given(
    secrets=ALL_SECRETS,
    wanted=st.dictionaries(
        st.sampled_from(["GatewaySecret", "IntegrationCredentials", "WebhookCredentials"]),
        st.one_of(
            *(secret_texts(name).map(parsed) for name in ("gateway", "credentials", "webhooks")),
            VALUES,
        ),
        max_size=3,
    ),
)
def test_configure_says_no_value_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, secrets: dict[str, str], wanted: dict[str, Any]
) -> None:
    account = account_with(secrets)
    path = tmp_path_factory.getbasetemp() / "wanted.json"
    path.write_text(json.dumps(wanted))
    with silence() as said:
        ended = configure.main({"OPS_STAGE": "prod", "FILE": str(path)}, account, sleep=lambda _: None)
    assert ended in (0, 1, 2)
    assert MARK not in said()


def json_or(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}


class Tired(Exception):
    """Nobody can be asked that often."""


class Typist(RealTerminal):
    """Types what it is given, and then nothing. Names of sources are no secrets, and a yes or no is a yes."""

    def __init__(self, keys: list[str], sources: list[str]) -> None:
        """`sources` is what is typed once sources are asked for."""
        self.answers = keys
        self.sources = sources
        self.asked = 0

    def ask(self, prompt: str) -> str:
        self.say(prompt)
        self.asked += 1
        if self.asked > MOST_QUESTIONS:
            raise Tired
        if "Source" in prompt:
            self.answers = self.sources
        if prompt.endswith("] "):
            return ""
        answer = self.answers.pop(0) if self.answers else ""
        return "broker" if answer and "Source" in prompt else answer

    def ask_hidden(self, prompt: str) -> str:
        return self.ask(prompt)


@settings(max_examples=2 * EXAMPLES)
@given(
    secrets=ALL_SECRETS,
    keys=st.lists(TEXTS | st.just(""), max_size=20),
    sources=st.lists(TEXTS | st.sampled_from(["", "a", "r", "1", "2", "h", "d"]), max_size=20),
)
def test_configure_says_nothing_that_was_typed(secrets: dict[str, str], keys: list[str], sources: list[str]) -> None:
    account = account_with(secrets)
    with silence() as said, suppress(Tired):
        configure.main({"OPS_STAGE": "prod"}, account, Typist(keys, sources), lambda _: None)
    assert "GatewaySecret" in said()
    assert MARK not in said()


def test_the_marks_are_where_values_are() -> None:
    account = FakeAccount()
    assert all(MARK in text for text in account.secrets.values())
    assert MARK not in json.dumps([OUTPUTS, PARAMETERS])
