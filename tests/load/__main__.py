"""`make load`: send a plan to a stack of its own, kill function processes meanwhile, and account for everything."""

import os
import sys

from rich.console import Console

from local.paths import STATE, NotInstalled
from local.ports import PortTaken
from local.processes import ProcessError, Supervisor
from local.stop_signals import StopRequested
from tests.load import plot, report
from tests.load.accounting import account
from tests.load.plan import make_plan
from tests.load.run import run
from tests.load.settings import InvalidSettings, Settings

FOLDER = STATE / "load"


def main() -> int:
    """Run and report; 1 where the figures are not what they must be, 2 where there are none."""
    console = Console(highlight=False)
    complaints = Console(stderr=True, highlight=False)
    try:
        settings = Settings.from_environment(os.environ)
        with Supervisor() as supervisor:
            outcome = run(supervisor, settings, FOLDER, console)
    except (InvalidSettings, NotInstalled, PortTaken, ProcessError) as error:
        complaints.print(str(error), markup=False)
        return 2
    except StopRequested as stop:
        return stop.exit_code
    figures = account(make_plan(settings.count, settings.seed), outcome.observed)
    console.print(report.table(figures, outcome.kills))
    report.write(FOLDER / "result.json", settings, figures, outcome)
    console.print(f"Figures: {(FOLDER / 'result.json').relative_to(STATE.parent)}")
    if settings.plot:
        plot.draw(FOLDER / "load.png", outcome.observed.attempts, outcome.kills, outcome.depths)
        console.print(f"Plot: {(FOLDER / 'load.png').relative_to(STATE.parent)}")
    faults = [f"{settings.kills - len(outcome.kills)} kills not done"] if len(outcome.kills) < settings.kills else []
    for fault in [*figures.faults(), *faults]:
        complaints.print(f"Must not be: {fault}", style="red")
    return 1 if figures.faults() or faults else 0


if __name__ == "__main__":
    sys.exit(main())
