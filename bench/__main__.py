"""`make bench` and `make bench-quick`."""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from bench import document, report, stand_ins
from bench.measure import Sample, measure
from bench.ratios import Round, TooNoisy, check_baseline
from bench.runtime_api import FunctionFailed
from bench.subjects import Subject, subjects
from local import build
from local.paths import ROOT, STATE
from local.processes import CommandFailed, Supervisor

RESULTS = STATE / "bench"
DOCUMENTED = ROOT / "docs" / "bench"
SEED = 20260
REPORT_COLUMNS = 130


def run(rounds: int, warm: int, console: Console) -> list[Round]:
    """Measure everything `rounds` times, in another order each time. Raises FunctionFailed."""
    bare, *others = subjects()
    order = random.Random(SEED)  # noqa: S311 - an order, no secret
    with tempfile.TemporaryDirectory() as folder:
        servers = stand_ins.start(Path(folder))
        try:

            def sample(subject: Subject) -> Sample:
                return measure(subject, servers, warm=warm)

            for each in (bare, *others):  # the files into memory
                measure(each, servers, warm=2)
            done = []
            for _ in track(range(rounds), "Measuring", console=console, disable=not console.is_terminal):
                before = sample(bare)
                order.shuffle(others)
                samples = {each.name: sample(each) for each in others}
                done.append(Round(before, sample(bare), samples))
            return done
        finally:
            servers.close()


def main(argv: list[str]) -> int:
    """Measure, print the tables, write the JSON and, if asked, the plot."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--warm", type=int, default=100, help="warm invocations of each in each round")
    parser.add_argument("--plot", type=Path, help="an SVG or PNG file")
    parser.add_argument("--write", action="store_true", help="keep the run, and put it into the documents")
    options = parser.parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else REPORT_COLUMNS)
    RESULTS.mkdir(parents=True, exist_ok=True)
    try:
        with build.exclusive(), Supervisor() as supervisor:
            build.build(supervisor, STATE / "logs" / "build.log")
        rounds = run(options.rounds, options.warm, console)
        measured = report.results(rounds, subjects(), check_baseline(rounds))
    except (CommandFailed, FunctionFailed, TooNoisy) as error:
        console.print(str(error), style="red")
        return 1
    path = RESULTS / "results.json"
    path.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    for table in report.tables(measured):
        console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in measured["machine"].items()))
    console.print(f"Written to {path}")
    if options.plot:
        report.plot(measured, options.plot)
        console.print(f"Drawn into {options.plot}")
    if options.write:
        document.write(document.keep(measured, DOCUMENTED))
        console.print("Written into README.md and docs/performance.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
