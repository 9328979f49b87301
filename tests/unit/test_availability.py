"""The simulation of the tokens' availability: its promise, its variables, its tables and picture in the document."""

import html
import itertools
import json
import os
import re
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load
from hypothesis import example, given
from hypothesis import strategies as st

from gatehouse import token_policy
from ops.availability import __main__ as program
from ops.availability import model, tables
from ops.availability.grid import DEFAULT_MARGIN, DEFAULT_RATE, Grid, Point, Setting, Study
from ops.availability.model import Outcome, Run, simulate
from ops.program import Variables
from tests.conftest import ROOT

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
DOCUMENT = (ROOT / "docs" / "token-lifecycle.md").read_text()
PICTURE = ROOT / "docs" / "images" / "token-availability.svg"
DEFAULTS = Grid.read(Variables({}))
# Enough of the document's rows to see a stale one; all of them are the program's.
LOOKED_AT = replace(DEFAULTS, margins=(25, 45), rates=(5, 15))
VERIFY_PYTHON = ROOT / ".tools" / "verify" / "bin" / "python"


def run_of(rate: float, margin: float, outage: float, **others: Any) -> Run:
    """Return a run with lengths in minutes; 30 days unless told otherwise."""
    lengths = {"rate_seconds": rate * MINUTE, "margin_seconds": margin * MINUTE, "outage_seconds": outage * MINUTE}
    return Run(**{"days": 30, "slot_seconds": 6 * HOUR, **lengths, **others})


# The promise


@given(
    rate=st.integers(1, 15),
    attempts=st.integers(2, 10),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
@example(rate=5, attempts=5, share=0.99, seed=1)
def test_an_outage_shorter_than_margin_less_rate_never_leaves_a_dead_token(
    rate: int, attempts: int, share: float, seed: int
) -> None:
    margin = rate * attempts
    if margin >= 60:
        margin = 60 // rate * rate - rate
    outcome = simulate(run_of(rate, margin, (margin - rate) * share, days=5, seed=seed))
    assert outcome.outages == 20
    assert (outcome.deadly_outages, outcome.availability) == (0, 1)


@given(
    rate=st.floats(1, 20),
    margin=st.floats(0, 80),
    lifetime=st.floats(20, 120),
    late=st.floats(0, 1),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
def test_an_outage_up_to_what_a_run_calls_safe_never_leaves_a_dead_token(
    rate: float, margin: float, lifetime: float, late: float, share: float, seed: int
) -> None:
    times = {"late_seconds": late * MINUTE, "lifetime_seconds": lifetime * MINUTE, "seed": seed, "days": 3}
    safe = run_of(rate, margin, 0, **times).safe_outage_seconds / MINUTE
    outcome = simulate(run_of(rate, margin, safe * share * 0.999, **times))  # not to the last bit of a float
    assert outcome.deadly_outages == 0
    if safe:
        assert outcome.availability == 1


@pytest.mark.parametrize(
    ("rate", "margin", "late", "safe"),
    [
        (5, 25, 0, 20),
        (1, 25, 0, 24),
        (10, 25, 0, 10),  # not 15: the rate does not divide the margin
        (15, 25, 0, 0),
        (5, 25, 60, 14),
        (5, 26, 60, 19),
        (5, 60, 0, 50),  # every tick is an exchange, and 11 follow within the token's life
        (5, 4, 0, 0),
    ],
)
def test_what_is_safe_is_one_attempt_less_than_there_are(rate: int, margin: int, late: int, safe: int) -> None:
    assert run_of(rate, margin, 0, late_seconds=late).safe_outage_seconds == safe * MINUTE


@pytest.mark.parametrize(("rate", "margin"), [(1, 10), (5, 10), (5, 25), (10, 20), (5, 45), (5, 60)])
def test_some_longer_outages_leave_a_dead_token(rate: int, margin: int) -> None:
    run = run_of(rate, margin, 0, days=200)
    longer = replace(run, outage_seconds=run.safe_outage_seconds + 0.9 * rate * MINUTE)
    assert 0 < simulate(longer).deadly_share < 1
    assert simulate(replace(longer, outage_seconds=run.safe_outage_seconds)).deadly_share == 0


def test_an_outage_of_the_tokens_whole_life_always_leaves_a_dead_one() -> None:
    outcome = simulate(run_of(5, 25, 61))
    assert outcome.deadly_share == 1
    assert outcome.availability < 0.96


def test_late_ticks_can_leave_a_dead_token_in_a_shorter_outage_for_less_than_a_minute() -> None:
    late = simulate(run_of(5, 25, 18, days=200, late_seconds=60))
    assert 0 < late.deadly_share < 0.05
    assert 0 < late.longest_dead_seconds < 60
    assert simulate(run_of(5, 26, 18, days=200, late_seconds=60)).deadly_share == 0


# Counting


def test_without_outages_the_token_always_works() -> None:
    outcome = simulate(run_of(5, 25, 0))
    assert (outcome.availability, outcome.outages, outcome.deadly_share, outcome.longest_dead_seconds) == (1, 0, 0, 0)


def test_a_margin_of_less_than_a_tick_leaves_gaps_without_any_outage_and_none_is_blamed_on_one() -> None:
    outcome = simulate(run_of(7, 1, 0, days=1))
    assert 0 < outcome.longest_dead_seconds < 7 * MINUTE
    assert 0.9 < outcome.availability < 1
    assert outcome.deadly_outages == 0


def test_a_single_outage_is_counted_to_the_second() -> None:
    run = run_of(5, 25, 120, days=0.5, slot_seconds=0.5 * DAY)
    ((begin, end),) = run.outages()
    # A token is stored every 35 minutes until the outage; the first tick after it stores the next one.
    last = begin // (35 * MINUTE) * 35 * MINUTE
    after = -(-end // (5 * MINUTE)) * 5 * MINUTE
    outcome = simulate(run)
    assert outcome.longest_dead_seconds == after - (last + HOUR)
    assert outcome.availability == pytest.approx(1 - outcome.longest_dead_seconds / run.days / DAY)
    assert (outcome.outages, outcome.deadly_outages) == (1, 1)


def test_a_run_that_ends_in_an_outage_counts_the_dead_token() -> None:
    run = run_of(5, 25, 0, days=1, slot_seconds=DAY)
    until_the_end = replace(run, outage_seconds=DAY - 5 * MINUTE)
    assert until_the_end.outages() == [(5 * MINUTE, DAY)]
    outcome = simulate(until_the_end)
    assert outcome.availability == pytest.approx(1 / 24)
    assert outcome.deadly_outages == 1


def test_authentication_is_asked_for_every_six_days() -> None:
    assert [simulate(run_of(5, 25, 0, days=days)).authentications for days in (1, 7, 13, 90)] == [1, 2, 3, 15]


def test_a_refresh_token_that_is_refused_after_its_seven_days_is_replaced() -> None:
    slot = 7 * DAY + 10 * MINUTE
    run = run_of(5, 25, 7 * 24 * 60 + 5, slot_seconds=slot, days=(slot + 30 * MINUTE) / DAY)
    assert run.outages() == [(5 * MINUTE, slot)]
    outcome = simulate(run)
    assert outcome.authentications == 2
    assert outcome.longest_dead_seconds == slot - HOUR
    assert outcome.most_versions_in_a_day == 1  # the refresh was refused, and stored nothing


def test_a_refresh_token_in_its_last_day_is_replaced_beside_a_refresh() -> None:
    always = simulate(run_of(5, 60, 0, days=7))  # every tick refreshes, so none asks for authentication alone
    assert always.authentications == 2
    assert always.exchanges == 7 * 288 + 1


def test_versions_are_those_stored_within_any_24_hours() -> None:
    assert simulate(run_of(5, 25, 0, days=1)).most_versions_in_a_day == 42
    assert simulate(run_of(5, 25, 0, days=5)).most_versions_in_a_day == 42  # not five times as many
    assert simulate(run_of(5, 60, 0, days=3)).most_versions_in_a_day == 288


def test_exchanges_in_an_outage_are_counted_though_they_are_turned_away() -> None:
    calm, stormy = simulate(run_of(5, 25, 0)), simulate(run_of(5, 25, 60))
    assert stormy.exchanges_a_day > calm.exchanges_a_day
    assert stormy.most_versions_in_a_day < calm.most_versions_in_a_day


def test_it_runs_the_real_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def on_tick(*arguments: Any) -> Any:
        asked.append(arguments)
        return token_policy.on_tick(*arguments)

    monkeypatch.setattr(model, "on_tick", on_tick)
    simulate(run_of(5, 25, 10, days=2))
    assert len(asked) == 2 * 288

    # A policy that never renews what is stored leaves it dead after its hour.
    def step(stored: Any) -> Any:
        return token_policy.Nothing() if stored else token_policy.Reauthenticate("no_tokens")

    monkeypatch.setattr(model, "on_tick", lambda stored, *_: step(stored))
    assert simulate(run_of(5, 25, 10, days=2)).availability == pytest.approx(1 / 48)


# Moments


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    run = run_of(5, 25, 40, late_seconds=60)
    assert simulate(run) == simulate(replace(run))
    assert simulate(run) != simulate(replace(run, seed=2))


@given(outage=st.floats(1, 340), rate=st.floats(1, 9), seed=st.integers(0, 1000))
def test_an_outage_is_in_each_slot_and_a_tick_is_between_two(outage: float, rate: float, seed: int) -> None:
    found = run_of(rate, 25, outage, days=2, seed=seed).outages()
    assert len(found) == 8
    for slot, (begin, end) in enumerate(found):
        assert slot * 6 * HOUR < begin
        assert end <= (slot + 1) * 6 * HOUR + 1e-6
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(found)]
    assert min(gaps) >= rate * MINUTE - 1e-6


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"late_seconds": 301}, "before the next one"), ({"outage_seconds": 6 * HOUR - 299}, "fit into a slot")],
)
def test_a_run_that_cannot_be_judged_is_refused(changed: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(run_of(5, 25, 10), **changed)  # type: ignore[arg-type]


# What it is told


def grid_of(**variables: str) -> Grid:
    return Grid.read(Variables(variables))


def test_the_defaults_are_the_templates() -> None:
    parameters: dict[str, Any] = load(str(ROOT / "template.yaml"))["Parameters"]
    assert parameters["RefreshRate"]["Default"] == f"rate({DEFAULT_RATE} minutes)"
    assert parameters["RefreshMarginSeconds"]["Default"] == DEFAULT_MARGIN * 60
    assert DEFAULTS.base == Setting(DEFAULT_RATE, DEFAULT_MARGIN)


def test_lists_are_sorted_and_repetitions_are_left_out() -> None:
    assert grid_of(OUTAGES="30, 10,10").outages == (10, 30)


def test_margins_vary_at_one_rate_and_rates_at_one_margin() -> None:
    grid = grid_of(RATES="2,10", MARGINS="15,25", OUTAGES="12")
    assert grid.base == Setting(2, 25)
    assert grid.settings == [Setting(2, 15), Setting(2, 25), Setting(10, 25)]
    assert grid_of(RATES="2", MARGINS="15").base == Setting(2, 15)


def test_every_run_has_its_units() -> None:
    grid = grid_of(DAYS="3", EVERY="4", LIFETIME="50", SEED="9")
    run = grid.run(Point(Setting(5, 25, 60), 10))
    assert run == Run(
        days=3, rate_seconds=300, margin_seconds=1500, outage_seconds=600, slot_seconds=14400, late_seconds=60,
        lifetime_seconds=3000, seed=9,
    )  # fmt: skip


def test_late_ticks_are_tried_where_a_minute_matters() -> None:
    assert DEFAULTS.late_outages == (5, 10, 15, 18, 20, 25, 30)
    assert grid_of(OUTAGES="60").late_outages == (60,)
    assert grid_of(LATE="30").late_ones == [Setting(5, 25), Setting(5, 25, 30), Setting(5, 26, 30)]


UNUSABLE = [
    ({"DAYS": "0"}, "DAYS is a whole number from 1 to 366."),
    ({"SEED": "one"}, "SEED is a whole number from 0 to 4294967296."),
    ({"EVERY": "9" * 5000}, "EVERY is a whole number from 1 to 168."),
    ({"OUTAGES": "5,,10"}, "OUTAGES is a comma list of up to 20 whole minutes from 1 to 1440."),
    ({"RATES": "60"}, "RATES is a comma list of up to 20 whole minutes from 1 to 59."),
    ({"MARGINS": ",".join(map(str, range(1, 30)))}, "MARGINS is a comma list of up to 20 whole minutes"),
    ({"EVERY": "2"}, "EVERY is too short: an outage of 120 minutes and ticks of 15 after it do not fit into 2 h."),
    ({"DAYS": "1", "EVERY": "25"}, "EVERY is too long: there would be no outage in DAYS=1."),
    ({"PLOT": "picture.gif"}, "PLOT is a file that ends in .svg or .png."),
    ({"PLOT": "nowhere/picture.svg"}, "PLOT is in a folder that is not there: nowhere."),
    ({"WRITE": "maybe"}, "WRITE is either 1 or left out."),
    ({"WRITE": "1", "DAYS": "9"}, "WRITE=1 writes the defaults into the documents: leave out DAYS."),
]


@pytest.mark.parametrize(("variables", "said"), UNUSABLE, ids=lambda each: each if isinstance(each, str) else "")
def test_what_cannot_be_used_ends_with_2_and_nothing_is_run(
    variables: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(variables, draw=never) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "Usage: make simulate" in captured.err


def test_all_faults_are_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main({"DAYS": "x", "RATES": "0", "PLOT": "x"}, draw=never) == 2
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()[:3]] == ["PLOT", "DAYS", "RATES"]


def never(path: Path, grid: Grid, study: Study) -> None:
    raise AssertionError("nothing is to be drawn")


# What it prints


SMALL = {"DAYS": "3", "OUTAGES": "10,40", "RATES": "5", "MARGINS": "25"}


def test_the_program_prints_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(SMALL, draw=never) == 0
    grid = grid_of(**SMALL)
    printed = capsys.readouterr().out
    assert "simulated 5 of 5" in printed
    rendered = tables.tables(grid, grid.study())
    assert len(rendered) == 4
    assert all(f"{name}\n\n{render()}" in printed for name, render in rendered.items())


def test_the_picture_is_drawn_where_it_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []
    wanted = tmp_path / "tokens.svg"
    assert program.main({**SMALL, "PLOT": str(wanted)}, draw=lambda *arguments: drawn.append(arguments)) == 0
    grid = grid_of(**SMALL)
    assert drawn == [(wanted, grid, grid.study())]
    assert capsys.readouterr().out.endswith("tokens.svg: drawn\n")


def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let WRITE=1, which takes the defaults, take small ones."""
    grid = grid_of(**SMALL)
    monkeypatch.setattr(Grid, "read", lambda _variables: grid)


def test_write_puts_tables_and_picture_into_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_grid(monkeypatch)
    document, picture = tmp_path / "document.md", tmp_path / "picture.svg"
    document.write_text(re.sub(r"(?<=<!-- simulated-(?:cost|late) -->\n)(?s:.*?)(?=<!-- end)", "stale\n", DOCUMENT))
    pictures: list[Path] = []
    for said in ("written", "nothing new"):
        ended = program.main(
            {"WRITE": "1"}, draw=lambda path, *_: pictures.append(path), document=document, picture=picture
        )
        assert ended == 0
        assert f"document.md: {said}\npicture.svg: drawn\n" in capsys.readouterr().out
    assert "stale" not in document.read_text()
    assert "| up to 60 s late | 5 min | 26 min | 19 min | 0 % |" in document.read_text()
    assert pictures == [picture, picture]


def test_a_document_without_a_place_for_a_table_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_grid(monkeypatch)
    document = tmp_path / "document.md"
    document.write_text("nothing")
    assert program.main({"WRITE": "1"}, draw=never, document=document) == 1
    assert "document.md: there is no place for the table simulated-cost" in capsys.readouterr().err
    assert document.read_text() == "nothing"


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 %"), (1, "100 %"), (0.00001, "0.1 %"), (0.99999, "99.9 %"), (0.161, "16.1 %")]
)
def test_only_none_is_no_percent_and_only_all_are_a_hundred(value: float, shown: str) -> None:
    assert tables.share(value) == shown


def test_more_versions_than_secrets_manager_keeps_stand_out() -> None:
    grid = grid_of(**{**SMALL, "MARGINS": "25,50"})
    assert [row.split(" | ")[-1] for row in tables.cost(grid, grid.study()).splitlines()[2:]] == ["42 |", "**144** |"]


# The document


@cache
def looked_at() -> Study:
    return LOOKED_AT.study()


@pytest.mark.parametrize("name", tables.tables(LOOKED_AT, {}))
def test_the_document_has_the_tables_of_the_model(name: str) -> None:
    (shown,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", DOCUMENT, flags=re.DOTALL)
    rendered = tables.tables(LOOKED_AT, looked_at())[name]().splitlines()
    assert len(rendered) == 5
    assert [line for line in rendered if line not in shown.splitlines()] == [], "run: make simulate WRITE=1"
    rows = len(DEFAULTS.late_ones) if name == "simulated-late" else len(DEFAULTS.settings)
    assert len(shown.splitlines()) == 2 + rows


def test_the_documents_picture_is_drawn_from_the_model() -> None:
    (described,) = re.findall(r"<dc:description>(.*?)</dc:description>", PICTURE.read_text(), flags=re.DOTALL)
    figures = json.loads(html.unescape(described))
    assert list(figures) == [f"{setting.rate}/{setting.margin}" for setting in DEFAULTS.settings]
    expected = json.loads(tables.drawn(LOOKED_AT, looked_at()))
    assert {name: figures[name] for name in expected} == expected, "run: make simulate WRITE=1"
    assert "token-availability.svg" in DOCUMENT


def default(rate: int, margin: int, **others: Any) -> Outcome:
    return simulate(replace(DEFAULTS.run(Point(Setting(rate, margin), 0)), **others))


def test_what_the_document_says_of_other_settings_is_so() -> None:
    section = " ".join(DOCUMENT[DOCUMENT.index("## Why 5 and 25 minutes") :].split())
    exchanges = {margin: f"{default(5, margin).exchanges_a_day:.1f}" for margin in (20, 25, 40, 45)}
    assert f"{exchanges[25]} a day at 25 minutes, {exchanges[40]} at 40, {exchanges[45]} at 45" in section
    assert f"{exchanges[20]} exchanges a day at 20 minutes instead of {exchanges[25]}" in section
    assert f"with 1,440 invocations a day instead of {24 * 60 // DEFAULT_RATE}" in section
    versions = tables.cost(LOOKED_AT, looked_at()).splitlines()[2:4]
    assert [row.split(" | ")[-1] for row in versions] == ["43 |", "97 |"]
    assert "At 25 minutes there are 43 within 24 hours. At 45 minutes there are 97" in section
    shorter = default(5, 45, lifetime_seconds=55 * MINUTE).most_versions_in_a_day
    assert f"with a token that lived for 55 minutes there would be {shorter}" in section
    assert f"(`RefreshMarginSeconds` {26 * 60})" in section
    safe = {
        (rate, margin, late): f"{run_of(rate, margin, 0, late_seconds=late).safe_outage_seconds / MINUTE:g}"
        for rate, margin, late in ((5, 25, 0), (1, 25, 0), (10, 25, 0), (15, 25, 0), (5, 25, 60), (5, 26, 60))
    }
    assert f"a tick every minute survives {safe[1, 25, 0]} minutes instead of {safe[5, 25, 0]}" in section
    assert f"every 10 minutes survives {safe[10, 25, 0]}, and every 15 minutes none" in section
    assert safe[15, 25, 0] == "0"
    assert f"more than {safe[5, 25, 60]} minutes can then leave one" in section
    assert f"prevents that up to {safe[5, 26, 60]} minutes" in section


@pytest.mark.skipif(not VERIFY_PYTHON.exists(), reason="matplotlib is in the environment of make verify")
def test_the_same_study_is_drawn_as_the_same_file(tmp_path: Path) -> None:
    first, second, other = tmp_path / "first.svg", tmp_path / "second.svg", tmp_path / "other.png"
    for path in (first, second, other):
        subprocess.run(
            [VERIFY_PYTHON, "-m", "ops.availability"],
            cwd=ROOT,
            env={
                **os.environ,
                **SMALL,
                "PLOT": str(path),
                "PYTHONPATH": "layers/gatehouse",
                "MPLCONFIGDIR": str(tmp_path),
            },
            check=True,
            capture_output=True,
        )
    assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in first.read_bytes()
    assert other.read_bytes().startswith(b"\x89PNG")
