"""The integration tokens in the playground: what is shown of them, and its two switches."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import urllib3

from local.playground.token_controls import AGED_SECONDS, TokenControls
from local.simulator_controls import ControlRefusedError, InvalidControlError

NOW = 1795318968.0  # 2026-11-22T03:42:48Z
SIMULATOR = "http://127.0.0.1:8703"
STORED = {
    "access_token": "SENTINEL-access",
    "refresh_token": "SENTINEL-refresh",
    "token_type": "Bearer",
    "expires_at": "2026-11-22T04:32:48Z",
    "access_token_obtained_at": "2026-11-22T03:32:48Z",
    "refresh_token_obtained_at": "2026-11-21T03:42:48Z",
}
RIGHT = json.dumps({"api_key": "SENTINEL-key", "secret_key": "SENTINEL-secret"})


class FakeAccount:
    """Secrets and logs in memory; invoking says what a test has set."""

    def __init__(self) -> None:
        self.secrets = {"IntegrationTokens": json.dumps(STORED), "IntegrationCredentials": RIGHT}
        self.logs: dict[str, list[tuple[float, str]]] = {"refresh_tokens": [], "authenticate": []}
        self.answer: object = {"outcome": "unchanged"}
        self.invoked: list[str] = []

    def secret(self, name: str) -> str:
        return self.secrets[name]

    def write_secret(self, name: str, text: str) -> None:
        self.secrets[name] = text

    def invoke(self, function: str) -> object:
        self.invoked.append(function)
        return self.answer

    def environment(self, function: str) -> Mapping[str, str]:
        assert function == "refresh_tokens"
        return {"REFRESH_MARGIN_SECONDS": "1500"}

    def log_lines(self, function: str, since: float) -> list[tuple[float, str]]:
        return [(when, line) for when, line in self.logs[function] if when >= since]


class Answer:
    def __init__(self, status: int, value: object) -> None:
        self.status = status
        self._value = value

    def json(self) -> object:
        return self._value


class FakeSimulator:
    """Stands for the pool and for the simulator behind it."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"faults": [], "settings": {"access_token_lifetime_seconds": 3600}}
        self.calls: list[tuple[str, str, object]] = []
        self.status = 200
        self.gone = False

    def request(self, method: str, url: str, *, json: Mapping[str, object]) -> Answer:
        if self.gone:
            raise urllib3.exceptions.ProtocolError
        assert url.startswith(f"{SIMULATOR}/_simulator/")
        what = url.rpartition("/")[2]
        self.calls.append((method, what, dict(json)))
        if what == "faults":
            self.state["faults"] = [dict(json)] if method == "POST" else []
        if what == "settings":
            self.state["settings"] |= json
        return Answer(self.status, self.state)


@pytest.fixture
def account() -> FakeAccount:
    return FakeAccount()


@pytest.fixture
def simulator() -> FakeSimulator:
    return FakeSimulator()


@pytest.fixture
def controls(account: FakeAccount, simulator: FakeSimulator) -> TokenControls:
    return TokenControls(account, simulator, SIMULATOR, lambda: NOW)  # type: ignore[arg-type]  # it needs `request` alone


@pytest.fixture
def elsewhere(account: FakeAccount, simulator: FakeSimulator) -> TokenControls:
    """The controls of a run with an Integration API that is not ours."""
    return TokenControls(account, simulator, None, lambda: NOW)  # type: ignore[arg-type]  # as above


def test_times_are_shown_and_nothing_else_of_the_tokens(controls: TokenControls) -> None:
    status = controls.status()
    assert status == {
        "seconds_left": 3000,
        "refresh_token_age_seconds": 86_400,
        "margin_seconds": 1500,
        "last": None,
        "upstream_down": False,
        "credentials_wrong": False,
    }
    assert "SENTINEL" not in json.dumps(status)


def test_no_tokens_have_no_times(controls: TokenControls, account: FakeAccount) -> None:
    account.secrets["IntegrationTokens"] = "{}"
    status = controls.status()
    assert (status["seconds_left"], status["refresh_token_age_seconds"]) == (None, None)


def done(outcome: object) -> str:
    return json.dumps({"message": "function.done", "outcome": outcome})


def test_the_last_outcome_is_the_newest_of_both_functions(controls: TokenControls, account: FakeAccount) -> None:
    account.logs["refresh_tokens"] = [
        (NOW - 400, done("refreshed")),
        (NOW - 100, done("reauthentication_requested")),
        (NOW - 99, "REPORT RequestId"),
        (NOW - 98, "[]"),
        (NOW - 97, json.dumps({"message": "tokens.refreshed", "outcome": "no"})),
        (NOW - 96, done(7)),
    ]
    account.logs["authenticate"] = [(NOW - 90, done("authenticated"))]
    assert controls.status()["last"] == {"function": "authenticate", "outcome": "authenticated", "seconds_ago": 90}
    account.logs["authenticate"].append((NOW - 5, json.dumps({"message": "function.failed", "error_type": "x"})))
    assert controls.status()["last"] == {"function": "authenticate", "outcome": "failed", "seconds_ago": 5}


def test_what_a_function_answers_is_said(controls: TokenControls, account: FakeAccount) -> None:
    assert controls.run("refresh_tokens") == {"function": "refresh_tokens", "outcome": "unchanged"}
    account.answer = None
    assert controls.run("refresh_tokens")["outcome"] is None
    assert account.invoked == ["refresh_tokens"] * 2


def test_an_aged_token_comes_from_an_upstream_that_hands_out_short_ones_for_a_moment(
    controls: TokenControls, account: FakeAccount, simulator: FakeSimulator
) -> None:
    lived = []

    def invoke(function: str) -> object:
        lived.append((function, simulator.state["settings"]["access_token_lifetime_seconds"]))
        return {"outcome": "authenticated"}

    account.invoke = invoke  # type: ignore[method-assign]  # to look in the middle
    assert controls.age()["outcome"] == "authenticated"
    assert lived == [("authenticate", AGED_SECONDS)]
    assert simulator.state["settings"]["access_token_lifetime_seconds"] == 3600


def test_the_lifetime_is_put_back_when_the_function_fails(
    controls: TokenControls, account: FakeAccount, simulator: FakeSimulator
) -> None:
    def invoke(function: str) -> object:
        raise ControlRefusedError(502, "FUNCTION_FAILED", function)

    account.invoke = invoke  # type: ignore[method-assign]  # to fail in the middle
    with pytest.raises(ControlRefusedError):
        controls.age()
    assert simulator.state["settings"]["access_token_lifetime_seconds"] == 3600


def test_the_upstream_is_down_until_it_is_up(controls: TokenControls, simulator: FakeSimulator) -> None:
    assert controls.set_upstream({"down": True}) == {"down": True}
    assert controls.set_upstream({"down": True}) == {"down": True}
    assert len(simulator.state["faults"]) == 1
    assert controls.status()["upstream_down"] is True
    controls.set_upstream({"down": False})
    assert controls.status()["upstream_down"] is False


def test_a_fault_that_somebody_else_armed_is_no_outage(controls: TokenControls, simulator: FakeSimulator) -> None:
    simulator.state["faults"] = [{"fault": "html", "on": "any", "times": 1}]
    assert controls.status()["upstream_down"] is False


def test_wrong_credentials_are_put_in_and_the_right_ones_back(controls: TokenControls, account: FakeAccount) -> None:
    for _ in range(2):  # a second time must not take the wrong ones for right
        controls.set_credentials({"wrong": True})
        written = json.loads(account.secrets["IntegrationCredentials"])
        assert written.keys() == {"api_key", "secret_key"}
        assert "SENTINEL" not in str(written)
        assert controls.status()["credentials_wrong"] is True
    for _ in range(2):
        controls.set_credentials({"wrong": False})
        assert account.secrets["IntegrationCredentials"] == RIGHT
        assert controls.status()["credentials_wrong"] is False


def test_credentials_that_were_replaced_meanwhile_are_what_is_put_back(
    controls: TokenControls, account: FakeAccount
) -> None:
    controls.set_credentials({"wrong": True})
    controls.set_credentials({"wrong": False})
    account.secrets["IntegrationCredentials"] = "{}"
    controls.set_credentials({"wrong": True})
    controls.set_credentials({"wrong": False})
    assert account.secrets["IntegrationCredentials"] == "{}"


def test_right_credentials_that_were_never_seen_are_not_made_up(controls: TokenControls, account: FakeAccount) -> None:
    controls.set_credentials({"wrong": True})
    newcomer = TokenControls(account, None, SIMULATOR, lambda: NOW)  # type: ignore[arg-type]  # it calls nobody
    with pytest.raises(ControlRefusedError) as refused:
        newcomer.set_credentials({"wrong": False})
    assert (refused.value.status, refused.value.code) == (409, "NOT_KNOWN")


def test_an_upstream_of_somebody_else_is_left_alone(elsewhere: TokenControls, account: FakeAccount) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: elsewhere.set_upstream({"down": True}),
        lambda: elsewhere.set_credentials({"wrong": True}),
        elsewhere.age,
    ]
    for attempt in attempts:
        with pytest.raises(ControlRefusedError) as refused:
            attempt()
        assert (refused.value.status, refused.value.code) == (409, "NOT_SIMULATED")
    assert account.secrets["IntegrationCredentials"] == RIGHT
    assert account.invoked == []
    assert elsewhere.status()["upstream_down"] is False


@pytest.mark.parametrize("members", [{}, {"down": 1}, {"down": "true"}, {"down": None}, {"down": True, "up": True}])
def test_a_switch_is_on_or_off(controls: TokenControls, simulator: FakeSimulator, members: dict[str, object]) -> None:
    with pytest.raises(InvalidControlError):
        controls.set_upstream(members)
    assert simulator.calls == []


@pytest.mark.parametrize(("status", "gone"), [(400, False), (500, False), (200, True)])
def test_a_simulator_that_does_not_do_it_is_said(
    controls: TokenControls, simulator: FakeSimulator, status: int, gone: bool
) -> None:
    simulator.status, simulator.gone = status, gone
    with pytest.raises(ControlRefusedError) as refused:
        controls.set_upstream({"down": True})
    assert (refused.value.status, refused.value.code) == (502, "SIMULATOR")
