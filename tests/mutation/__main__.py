"""Run mutmut over the targets in a folder of its own, and hold what survived against the list.

`python -m tests.mutation [module …]`, with the interpreter of `.tools/verify`. Exit code 1: a survivor is not listed,
or a listed one does not survive any more.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from tests.mutation.mutants import read_results
from tests.mutation.survivors import judge, read_listed, render, table

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WORK = ROOT / ".local" / "mutation"
TIME_LIMIT_SECONDS = 40 * 60  # many times what it takes
SPINNER = tuple("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")  # what mutmut draws while it works


def prepare(work: Path, targets: dict[str, Any], modules: list[str]) -> None:
    """Lay out what mutmut needs: the package must be found under the name by which the tests import it."""
    shutil.rmtree(work, ignore_errors=True)
    without_caches = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "layers" / "gatehouse" / "gatehouse", work / "gatehouse", ignore=without_caches)
    tests = sorted({f"tests/{test}" for module in modules for test in targets["tests"][module]})
    for name in ["tests/conftest.py", *targets["needs"], *tests]:
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, work / name, ignore=without_caches)
        else:
            shutil.copy(ROOT / name, work / name)
    settings = {
        "source_paths": ["gatehouse"],
        "only_mutate": [f"gatehouse/{module}.py" for module in modules],
        "also_copy": [name for name in targets["needs"] if not name.startswith("tests/")],
        "pytest_add_cli_args_test_selection": tests,
    }
    lines = [f"{name} = {json.dumps(values)}" for name, values in settings.items()]
    project = [(ROOT / "pyproject.toml").read_text(), "[tool.mutmut]", "use_git_change_detection = false", *lines]
    (work / "pyproject.toml").write_text("\n".join(project) + "\n")


def run_mutmut(work: Path) -> int:
    """Return mutmut's exit code. It and its workers end within the time limit."""
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "mutation", "PYTHONHASHSEED": "0"}
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(os.cpu_count() or 2)]
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=work, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return process.wait(TIME_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return 1
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    targets = tomllib.loads((HERE / "targets.toml").read_text())
    listed = read_listed(tomllib.loads((HERE / "survivors.toml").read_text()))
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help="of the targets; all of them where none is named")
    modules = parser.parse_args(arguments).modules or list(targets["tests"])
    if unknown := sorted(set(modules) - set(targets["tests"])):
        parser.error(f"no targets: {', '.join(unknown)}")

    started = time.monotonic()
    prepare(WORK, targets, modules)
    print(f"Changing {len(modules)} modules and running their tests … (progress in {WORK.relative_to(ROOT)}/log)")
    if run_mutmut(WORK) != 0:
        said = (WORK / "log").read_text(errors="replace").splitlines()
        print("\n".join([line for line in said if not line.startswith(SPINNER)][-50:]))
        print("mutmut did not finish.")
        return 1
    results = [result for module in modules for result in read_results(WORK / "mutants" / "gatehouse", module)]
    print(table(results))
    print(f"{time.monotonic() - started:.0f} seconds")
    verdict = judge(results, listed, modules)
    if verdict.unlisted:
        print(
            "\nNo test noticed these changes. Write the test, or list them in tests/mutation/survivors.toml with why:"
        )
        for result in verdict.unlisted:
            print(f"\n# {result.outcome}\n{render(result.mutant)}", end="")
    if verdict.stale:
        print("\nThese stand in tests/mutation/survivors.toml and do not survive any more. Remove them:")
        for mutant in verdict.stale:
            print(f"\n{render(mutant)}", end="")
    return 1 if verdict.unlisted or verdict.stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
