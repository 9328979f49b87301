"""The runs that the documents show: kept as JSON, put into README.md and docs/performance.md as tables.

The last three are kept, each a run of its own. README has the middle one of the three for each figure.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.ratios import FIGURES, Ratio
from bench.report import PEER_OF, plot
from bench.subjects import BARE, OURS
from local.paths import ROOT
from ops.document_tables import Tables, table, write_into

KEPT: Final = 3

type Run = Mapping[str, Any]
"""What `bench.report.results` returns."""


def keep(measured: Run, folder: Path) -> list[Run]:
    """Keep a run as the newest, forget the oldest of too many, and return those that are kept, newest first."""
    runs = [measured, *kept(folder)][:KEPT]
    folder.mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs, start=1):
        (folder / f"run-{number}.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    return runs


def kept(folder: Path) -> list[Run]:
    """Return the runs that are kept, newest first."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("run-*.json"))]


def write(runs: Sequence[Run], root: Path = ROOT) -> None:
    """Put the tables into the documents, and draw the newest run. Needs matplotlib."""
    write_into(root / "README.md", readme_tables(runs))
    write_into(root / "docs" / "performance.md", page_tables(runs))
    plot(runs[0], root / "docs" / "images" / "bench.svg")


def readme_tables(runs: Sequence[Run]) -> Tables:
    """Return the tables of README.md."""
    return {"bench": lambda: _in_short(runs), "bench-machine": lambda: _machine(runs)}


def page_tables(runs: Sequence[Run]) -> Tables:
    """Return the tables of docs/performance.md."""
    numbered = {f"bench-run-{number}": _run_of(run) for number, run in enumerate(runs, start=1)}
    return {**numbered, "bench-machine": lambda: _machine(runs)}


def _run_of(run: Run) -> Callable[[], str]:
    return lambda: _in_full(run)


def _in_short(runs: Sequence[Run]) -> str:
    rows = [
        (
            _name(name),
            *(f"{_middle(runs, 'to_bare', name, figure, 'median'):.2f}" for figure in FIGURES),
            f"{_middle(runs, 'memory_mb', name):.1f} MB",
            f"{runs[0]['unzipped_mb'][name]:.1f} MB" if name in OURS else "",
        )
        for name in runs[0]["to_bare"]
        if all(name in run["to_bare"] for run in runs)
    ]
    bare = (BARE, *("1" for _ in FIGURES), f"{_middle(runs, 'memory_mb', BARE):.1f} MB", "")
    return table(("", *FIGURES, "memory", "unzipped"), [*rows, bare])


def _in_full(run: Run) -> str:
    rows = [
        (_name(name), *(str(Ratio(**figures[each])) for each in FIGURES), f"{run['memory_mb'][name]:.1f}")
        for name, figures in run["to_bare"].items()
    ]
    rows += [
        (f"{_name(name)} to {PEER_OF[name]}", *(str(Ratio(**figures[each])) for each in FIGURES), "")
        for name, figures in run["to_peer"].items()
    ]
    bare = ", ".join(f"{figure} {run['bare_ms'][figure]:.1f} ms" for figure in FIGURES)
    differs = ", ".join(f"{figure} {run['bare_differs_by'][figure]:.0%}" for figure in FIGURES)
    counts = f"{run['rounds']} rounds, {run['warm_invocations']:,} warm invocations each."
    noise = f"The bare handler: {bare}. It differs from itself by: {differs}."
    return f"{table(('', *FIGURES, 'memory MB'), rows)}\n{counts}\n{noise}\n"


def _machine(runs: Sequence[Run]) -> str:
    machine = runs[0]["machine"]
    versions = ", ".join(f"{name} {value}" for name, value in machine.items() if name not in ("processor", "cores"))
    return f"{machine['processor']}, {machine['cores']} cores; {versions}.\n"


def _name(subject: str) -> str:
    return f"**{subject}**" if subject in OURS else subject


def _middle(runs: Sequence[Run], *path: str) -> float:
    values = []
    for run in runs:
        value: Any = run
        for member in path:
            value = value[member]
        values.append(value)
    return float(median(values))
