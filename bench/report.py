"""The bench's results as values of JSON, as tables, and as a plot."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from bench.measure import Sample
from bench.ratios import FIGURES, Ratio, Round, baseline, to_bare, to_peer
from bench.subjects import BARE, GUEST, OURS, WEBHOOK, Subject
from local.paths import ROOT

MEGABYTE = 1024 * 1024
PEER_OF = {GUEST: "boto3 + PyJWT", WEBHOOK: "webhook with boto3"}


def results(rounds: Sequence[Round], subjects: Sequence[Subject], spreads: Mapping[str, float]) -> dict[str, Any]:
    """Return everything that was measured. Times are in milliseconds, sizes in units of 1,048,576 bytes."""
    others = [each.name for each in subjects if each.name != BARE]
    return {
        "machine": machine(),
        "rounds": len(rounds),
        "warm_invocations": sum(len(each.before.warm_seconds) for each in rounds),
        "bare_ms": {name: median(baseline(each, figure) for each in rounds) * 1000 for name, figure in FIGURES.items()},
        "bare_differs_by": dict(spreads),
        "to_bare": {
            name: {each: to_bare(rounds, name, figure)._asdict() for each, figure in FIGURES.items()} for name in others
        },
        "to_peer": {
            name: {each: to_peer(rounds, name, peer, figure)._asdict() for each, figure in FIGURES.items()}
            for name, peer in PEER_OF.items()
        },
        "memory_mb": {
            each.name: median(_sample(one, each.name).memory_bytes for one in rounds) / MEGABYTE for each in subjects
        },
        "unzipped_mb": {
            each.name: sum(map(size, each.search_path)) / MEGABYTE for each in subjects if each.name in OURS
        },
    }


def tables(measured: Mapping[str, Any]) -> tuple[Table, Table]:
    """Return the results for people: each against the bare handler, and ours against the peer."""
    bare = measured["bare_ms"]
    table = Table(
        title=f"Ratio to a bare handler ({', '.join(f'{name} {ms:.2f} ms' for name, ms in bare.items())})",
        caption=f"median of {measured['rounds']} rounds, in brackets the middle half; "
        f"{measured['warm_invocations']:,} warm invocations each",
    )
    for title in ("", *FIGURES, "memory MB", "unzipped MB"):
        table.add_column(title, justify="left" if not title else "right")
    for name, figures in measured["to_bare"].items():
        unzipped = measured["unzipped_mb"].get(name)
        table.add_row(
            name,
            *(str(Ratio(**figures[each])) for each in FIGURES),
            f"{measured['memory_mb'][name]:.1f}",
            f"{unzipped:.2f}" if unzipped else "",
        )
    table.add_row(BARE, *("1" for _ in FIGURES), f"{measured['memory_mb'][BARE]:.1f}", "")
    peers = Table(title="Ratio to what people write")
    for title in ("", "peer", *FIGURES):
        peers.add_column(title)
    for name, figures in measured["to_peer"].items():
        peers.add_row(name, PEER_OF[name], *(str(Ratio(**figures[each])) for each in FIGURES))
    return table, peers


def plot(measured: Mapping[str, Any], path: Path) -> None:
    """Draw the ratios to the bare handler into an SVG or PNG file. Needs matplotlib."""
    from matplotlib import rc_context  # noqa: PLC0415 - only the environment that plots has it
    from matplotlib.figure import Figure  # noqa: PLC0415

    names = list(measured["to_bare"])[::-1]
    figure = Figure(figsize=(9, 0.9 + 0.62 * len(names)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(FIGURES)
    for place, each in enumerate(FIGURES):
        values = [measured["to_bare"][name][each] for name in names]
        ys = [row - (place - 1) * height for row in range(len(names))]
        medians = [value["median"] for value in values]
        errors = [
            [value["median"] - value["low"] for value in values],
            [value["high"] - value["median"] for value in values],
        ]
        bars = axes.barh(ys, medians, height=height * 0.9, xerr=errors, label=each, error_kw={"lw": 0.8})
        axes.bar_label(bars, [f"{value:.1f}" for value in medians], padding=3, fontsize=8)
    axes.axvline(1, color="0.4", lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("times a bare handler (less is better)")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with rc_context({"svg.hashsalt": "bench"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def machine() -> dict[str, str]:
    """Return what it ran on: the processor, and the versions that the functions' environment has."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    packages = (ROOT / ".tools" / "runtime" / "lib" / "python3.13" / "site-packages").glob("*.dist-info")
    versions = dict(path.name.removesuffix(".dist-info").split("-", 1) for path in packages)
    kept = {name: versions[name] for name in ("awslambdaric", "boto3", "urllib3")}
    cores = str(os.process_cpu_count())
    return {"processor": model or platform.machine(), "cores": cores, "python": platform.python_version(), **kept}


def size(folder: Path) -> int:
    """Return how many bytes lie below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sample(one: Round, name: str) -> Sample:
    return one.before if name == BARE else one.samples[name]
