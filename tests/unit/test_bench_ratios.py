"""What the bench makes of its samples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import report
from bench.measure import Sample
from bench.ratios import (
    FIGURES,
    Ratio,
    Round,
    TooNoisy,
    check_baseline,
    first_seconds,
    init_seconds,
    to_bare,
    to_peer,
    warm_seconds,
)
from bench.subjects import BARE, subjects


def sample(times: float, *, memory: int = 20 * report.MEGABYTE, waiting: float = 0.1) -> Sample:
    """A process that is `times` as slow as one of 10 ms, 12 ms and 1 ms."""
    warm = (0.001 * times, 0.001 * times, 0.003 * times, 0.009 * times)
    return Sample(0.010 * times, 0.012 * times, warm, memory, waiting)


def rounds(*, bare: tuple[float, float] = (1, 1), others: float = 2, count: int = 3) -> list[Round]:
    names = [each.name for each in subjects() if each.name != BARE]
    return [Round(sample(bare[0]), sample(bare[1]), {name: sample(others) for name in names}) for _ in range(count)]


@pytest.mark.parametrize("figure", [init_seconds, first_seconds, warm_seconds])
def test_a_ratio_is_taken_within_a_round_and_the_rounds_median_is_reported(figure: Callable[[Sample], float]) -> None:
    samples = [
        Round(sample(mood), sample(mood), {"it": sample(mood * ratio)}) for mood, ratio in ((1, 2), (9, 3), (4, 8))
    ]
    found = to_bare(samples, "it", figure)
    assert found.median == pytest.approx(3)
    assert [found.low, found.high] == pytest.approx([2.5, 5.5])


def test_the_baseline_of_a_round_is_the_mean_of_its_beginning_and_its_end() -> None:
    (one,) = rounds(bare=(1, 3), others=4, count=1)
    assert list(to_bare([one], "issue_guest_token", init_seconds)) == pytest.approx([2, 2, 2])


def test_a_peer_is_compared_in_the_same_round() -> None:
    samples = [Round(sample(1), sample(1), {"it": sample(1), "peer": sample(4)})]
    assert to_peer(samples, "it", "peer", first_seconds).median == pytest.approx(0.25)


def test_the_warm_figure_is_the_lower_quartile() -> None:
    assert warm_seconds(sample(1)) == pytest.approx(0.001)


def test_a_baseline_that_differs_from_itself_is_refused_by_figure_and_by_how_much() -> None:
    with pytest.raises(TooNoisy, match="init by 40%, first answer by 40%, warm by 40%; at most 15%"):
        check_baseline(rounds(bare=(1, 1.5)))


def test_a_quiet_baseline_is_reported_with_its_spread() -> None:
    assert check_baseline(rounds(bare=(1, 1.1))) == dict.fromkeys(FIGURES, pytest.approx(0.1 / 1.05))


def test_a_baseline_that_had_to_wait_for_its_core_is_refused_however_steadily_it_did() -> None:
    busy = [Round(sample(2, waiting=0.3), sample(2, waiting=0.4), {}) for _ in range(3)]
    with pytest.raises(TooNoisy, match=r"waited for a core for 35% of its time \(at most 20%\)"):
        check_baseline(busy)
    check_baseline([*busy, *rounds(count=4)])


def test_one_loud_round_among_quiet_ones_is_no_reason_to_refuse() -> None:
    check_baseline([*rounds(count=4), *rounds(bare=(1, 9), count=1)])


def test_a_ratio_prints_with_its_middle_half() -> None:
    assert str(Ratio(2.144, 2.1, 2.2)) == "2.14 (2.10 to 2.20)"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(report, "machine", lambda: {"processor": "a processor"})
    samples = rounds()
    return report.results(samples, subjects(), check_baseline(samples))


def test_the_report_has_every_subject_and_both_comparisons(measured: dict[str, Any]) -> None:
    assert measured["to_bare"]["receive_webhook"]["init"]["median"] == pytest.approx(2)
    assert measured["to_peer"]["issue_guest_token"]["first answer"]["median"] == pytest.approx(1)
    assert measured["memory_mb"][BARE] == pytest.approx(20)
    assert measured["bare_ms"] == {"init": 10, "first answer": 12, "warm": pytest.approx(1)}
    assert measured["warm_invocations"] == 12
    console = Console(width=140, record=True, quiet=False, file=Path("/dev/null").open("w"))  # noqa: SIM115
    for table in report.tables(measured):
        console.print(table)
    console.file.close()
    text = console.export_text()
    assert all(each.name in text for each in subjects())
    assert "2.00 (2.00 to 2.00)" in text


def test_the_machine_is_named_with_the_versions_that_ran() -> None:
    found = report.machine()
    assert found["processor"]
    assert found["boto3"].startswith("1.")


def test_a_folders_size_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"1")
    assert report.size(tmp_path) == 6
