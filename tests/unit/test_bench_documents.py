"""The figures that the documents show are those of runs that are kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import document
from local.paths import ROOT
from ops.document_tables import put_into

FOLDER = ROOT / "docs" / "bench"


@pytest.mark.parametrize(
    ("path", "tables"), [("README.md", document.readme_tables), ("docs/performance.md", document.page_tables)]
)
def test_the_tables_are_those_of_the_runs_that_are_kept(path: str, tables: Any) -> None:
    text = (ROOT / path).read_text()
    assert put_into(text, tables(document.kept(FOLDER))) == text


def test_three_runs_are_kept_each_long_enough_to_count() -> None:
    runs = document.kept(FOLDER)
    assert len(runs) == document.KEPT
    assert len({json.dumps(run) for run in runs}) == document.KEPT, "three runs, not one three times"
    for run in runs:
        assert run["rounds"] >= 20
        assert run["warm_invocations"] >= 2000


def test_a_new_run_takes_the_place_of_the_oldest(tmp_path: Path) -> None:
    for number in range(5):
        document.keep({"number": number}, tmp_path)
    assert [run["number"] for run in document.kept(tmp_path)] == [4, 3, 2]
    assert len(list(tmp_path.iterdir())) == document.KEPT


def test_the_documents_are_written_and_the_newest_run_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, drawn = document.kept(FOLDER), []
    monkeypatch.setattr(document, "plot", lambda run, path: drawn.append((run, path)))
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/performance.md"):
        (tmp_path / name).write_text((ROOT / name).read_text().replace("| ", "| out of date "))
    document.write(runs, tmp_path)
    assert drawn == [(runs[0], tmp_path / "docs" / "images" / "bench.svg")]
    assert "| **issue_guest_token** | " in (tmp_path / "README.md").read_text()
    assert "webhook with boto3" in (tmp_path / "docs" / "performance.md").read_text()
