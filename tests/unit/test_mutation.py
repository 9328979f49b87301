"""What `make mutation` decides: which changes went unnoticed, and whether the list of those that may is right."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.mutation import __main__ as program
from tests.mutation.mutants import Mutant, Outcome, Result, changed_lines, read_results
from tests.mutation.survivors import Verdict, judge, read_listed, render, table

FOLDER = ROOT / "tests" / "mutation"
LAYER = ROOT / "layers" / "gatehouse" / "gatehouse"
TARGETS = tomllib.loads((FOLDER / "targets.toml").read_text())
LISTED = read_listed(tomllib.loads((FOLDER / "survivors.toml").read_text()))

# As mutmut writes a module: every function as it was, and once for each change.
MUTATED = """
def x_limit__mutmut_orig(value):
    # why
    return value < 3

def x_limit__mutmut_1(value):
    # why
    return value <= 3

class Door:
    def xǁDoorǁopen__mutmut_orig(self, key=None):
        return self.check(
            key,
            "now",
        )

    def xǁDoorǁopen__mutmut_1(self, key=""):
        return self.check(
            key,
            "now",
        )

    def xǁDoorǁopen__mutmut_2(self, key=None):
        return self.check(
            key,
            "XXnowXX",
        )

    def close(self):
        pass
"""
LIMIT = Mutant("door", "limit", "return value < 3", "return value <= 3")
SIGNATURE = Mutant("door", "Door.open", "def (self, key=None):", 'def (self, key=""):')
ARGUMENT = Mutant("door", "Door.open", '"now",', '"XXnowXX",')


def write_results(folder: Path, *exit_codes: int | None) -> list[Result]:
    keys = ("door.x_limit__mutmut_1", "door.xǁDoorǁopen__mutmut_1", "door.xǁDoorǁopen__mutmut_2")
    (folder / "door.py").write_text(MUTATED)
    notes = {f"gatehouse.{key}": code for key, code in zip(keys, exit_codes, strict=True)}
    (folder / "door.py.meta").write_text(json.dumps({"exit_code_by_key": notes, "more": {}}))
    return read_results(folder, "door")


def test_a_mutant_is_told_by_its_function_and_its_lines_without_numbers(tmp_path: Path) -> None:
    results = write_results(tmp_path, 0, 1, 1)
    assert results == [Result(LIMIT, "survived"), Result(SIGNATURE, "killed"), Result(ARGUMENT, "killed")]


@pytest.mark.parametrize(
    ("exit_code", "outcome"),
    [
        (0, "survived"),
        (1, "killed"),
        (3, "killed"),
        (5, "untested"),
        (33, "untested"),
        (-24, "timeout"),
        (36, "timeout"),
        (None, "unfinished"),
        (-11, "unfinished"),
        (2, "unfinished"),
    ],
)
def test_an_exit_code_is_an_outcome_and_what_is_not_known_is_no_kill(
    tmp_path: Path, exit_code: int | None, outcome: Outcome
) -> None:
    assert write_results(tmp_path, exit_code, exit_code, 0)[:2] == [Result(LIMIT, outcome), Result(SIGNATURE, outcome)]


def test_only_the_lines_that_differ_are_kept() -> None:
    assert changed_lines(["a", "b", "c", "d"], ["a", "x", "c", "y"]) == ("b\nd", "x\ny")
    assert changed_lines(["a", "case 1:", "b", "c"], ["a", "c"]) == ("case 1:\nb", "")


def test_a_survivor_that_is_listed_is_accepted_and_nothing_is_wrong() -> None:
    results = [Result(LIMIT, "survived"), Result(ARGUMENT, "killed")]
    assert judge(results, [LIMIT], ["door"]) == Verdict([], [])


def test_a_survivor_that_is_not_listed_is_reported() -> None:
    results = [Result(LIMIT, "survived"), Result(ARGUMENT, "survived")]
    assert judge(results, [LIMIT], ["door"]) == Verdict([results[1]], [])


@pytest.mark.parametrize("field", Mutant._fields)
def test_a_survivor_is_accepted_only_as_it_is_listed(field: str) -> None:
    other = LIMIT._replace(**{field: "other"})
    verdict = judge([Result(LIMIT, "survived")], [other], ["door", "other"])
    assert verdict == Verdict([Result(LIMIT, "survived")], [other])


@pytest.mark.parametrize("results", [[], [Result(LIMIT, "killed")], [Result(LIMIT, "timeout")]])
def test_an_entry_that_does_not_survive_is_stale(results: list[Result]) -> None:
    assert judge(results, [LIMIT], ["door"]) == Verdict([], [LIMIT])


@pytest.mark.parametrize("outcome", ["untested", "unfinished"])
def test_what_was_not_run_to_its_end_is_reported_even_where_it_is_listed(outcome: Outcome) -> None:
    assert judge([Result(LIMIT, outcome)], [LIMIT], ["door"]) == Verdict([Result(LIMIT, outcome)], [LIMIT])


def test_an_entry_stands_for_one_mutant() -> None:
    twice = [Result(LIMIT, "survived")] * 2
    assert judge(twice, [LIMIT], ["door"]) == Verdict([twice[0]], [])
    assert judge(twice, [LIMIT, LIMIT], ["door"]) == Verdict([], [])
    assert judge(twice[:1], [LIMIT, LIMIT], ["door"]) == Verdict([], [LIMIT])


def test_entries_of_modules_that_were_not_run_do_not_count() -> None:
    assert judge([], [LIMIT], ["window"]) == Verdict([], [])


def test_a_table_has_a_row_for_each_module_and_one_for_all() -> None:
    outcomes: list[Outcome] = ["killed", "killed", "timeout", "survived", "untested", "unfinished"]
    results = [Result(LIMIT, outcome) for outcome in outcomes]
    results.append(Result(LIMIT._replace(module="window"), "killed"))
    assert [line.split() for line in table(results).splitlines()] == [
        ["module", "mutants", "killed", "timeout", "survived"],
        ["door", "6", "2", "1", "3"],
        ["window", "1", "1", "0", "0"],
        ["all", "7", "3", "1", "3"],
    ]


CODE = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\n")).filter(
    lambda text: "'''" not in text
)


@given(CODE.map(str.strip), CODE.map(str.strip))
def test_an_entry_is_read_as_it_was_rendered(was: str, becomes: str) -> None:
    mutant = Mutant("door", "Door.open", was, becomes)
    rendered = f'[[group]]\nreason = "why"\n{render(mutant)}'
    assert read_listed(tomllib.loads(rendered)) == [mutant]


@pytest.mark.parametrize("group", [{"reason": " ", "mutant": [LIMIT._asdict()]}, {"reason": "why", "mutant": []}])
def test_a_group_has_a_reason_and_mutants(group: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a reason and mutants"):
        read_listed({"group": [group]})


@pytest.mark.parametrize(
    ("outcomes", "exit_code", "said"),
    [
        (["survived", "killed"], 0, "killed"),
        (["survived", "survived"], 1, "XXnowXX"),
        (["killed", "killed"], 1, "do not survive any more"),
        ([], 1, "mutmut did not finish"),
    ],
)
def test_the_exit_code_says_whether_the_list_is_right(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    outcomes: list[Outcome],
    exit_code: int,
    said: str,
) -> None:
    results = [Result(mutant, outcome) for mutant, outcome in zip((LIMIT, ARGUMENT), outcomes, strict=False)]
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "log").write_text("the log")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "WORK", tmp_path / ".local")
    monkeypatch.setattr(program, "HERE", tmp_path)
    monkeypatch.setattr(program, "prepare", lambda *_: None)
    monkeypatch.setattr(program, "run_mutmut", lambda _: 0 if outcomes else 1)
    monkeypatch.setattr(program, "read_results", lambda *_: results)
    (tmp_path / "targets.toml").write_text('needs = []\n[tests]\ndoor = ["unit/test_door.py"]\n')
    (tmp_path / "survivors.toml").write_text(f'[[group]]\nreason = "why"\n{render(LIMIT)}')
    assert program.main([]) == exit_code
    assert said in capsys.readouterr().out


def test_a_module_that_is_no_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["nonsense"])
    assert "no targets: nonsense" in capsys.readouterr().err


def test_mutmut_finds_the_package_the_tests_and_its_settings(tmp_path: Path) -> None:
    program.prepare(tmp_path / "work", TARGETS, ["webhooks"])
    settings = tomllib.loads((tmp_path / "work" / "pyproject.toml").read_text())["tool"]["mutmut"]
    assert settings["only_mutate"] == ["gatehouse/webhooks.py"]
    assert set(settings["pytest_add_cli_args_test_selection"]) == {f"tests/{t}" for t in TARGETS["tests"]["webhooks"]}
    selected = [*settings["only_mutate"], *settings["pytest_add_cli_args_test_selection"], *settings["also_copy"]]
    assert [name for name in (*selected, "tests/conftest.py") if not (tmp_path / "work" / name).exists()] == []


def test_every_target_is_a_module_with_tests() -> None:
    assert [name for name in TARGETS["tests"] if not (LAYER / f"{name}.py").is_file()] == []
    named = {test for tests in TARGETS["tests"].values() for test in tests}
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
    assert all(TARGETS["tests"].values())


@pytest.mark.parametrize("mutant", LISTED, ids=lambda mutant: f"{mutant.module}.{mutant.function}")
def test_what_is_listed_stands_in_the_code(mutant: Mutant) -> None:
    assert mutant.module in TARGETS["tests"]
    lines = [line.strip() for line in (LAYER / f"{mutant.module}.py").read_text().splitlines()]
    assert [line for line in mutant.was.splitlines() if line not in lines and not line.startswith("def (")] == []
