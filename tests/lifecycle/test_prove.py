"""`make prove`: it counts what it tried, and says what it found."""

import pytest

from tests.lifecycle import __main__ as program


def run(monkeypatch: pytest.MonkeyPatch, fault: str = "", **variables: str) -> int:
    for name in ("STEPS", "SEED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return program.main(schedules=20, fault=fault)


def test_as_many_steps_are_taken_as_were_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, STEPS="100", SEED="3") == 0
    row = capsys.readouterr().out.splitlines()[-2].replace(",", "").strip("│ ").split("│")
    schedules, steps, effects, broken, _, first = map(int, row)
    assert schedules >= 20
    assert steps >= 100
    assert effects > steps
    assert (broken, first) == (0, 3)


def test_what_breaks_is_said_with_the_seed_that_finds_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "expires_at_alone", STEPS="2000", SEED="1") == 1
    said = capsys.readouterr().out
    assert "make prove SEED=" in said
    assert "truthful: the access token is said to live longer than it does" in said
    assert "state.begin(" in said


@pytest.mark.parametrize("variables", [{"STEPS": "0"}, {"STEPS": "many"}, {"SEED": "-1"}])
def test_variables_that_cannot_be_used_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variables: dict[str, str]
) -> None:
    assert run(monkeypatch, **variables) == 2
    assert "STEPS" in capsys.readouterr().err
