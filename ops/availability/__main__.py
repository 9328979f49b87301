"""`make simulate`: run months of ticks against outages, and print what came of it, draw it, or put it into the docs."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from local.paths import ROOT
from ops.availability import plot
from ops.availability.grid import LISTS, NUMBERS, Grid, Study, read_picture
from ops.availability.tables import tables
from ops.document_tables import NoPlace, write_into
from ops.program import DONE, NOT_DONE, Variables, run
from ops.progress import Progress

USAGE: Final = (
    "make simulate [OUTAGES=10,20,30] [RATES=5] [MARGINS=25] [LIFETIME=60] [LATE=60] [EVERY=6] [DAYS=90] [SEED=1] "
    "[PLOT=file.svg] [WRITE=1]"
)
DOCUMENT: Final = ROOT / "docs" / "token-lifecycle.md"
PICTURE: Final = ROOT / "docs" / "images" / "token-availability.svg"

Draw = Callable[[Path, Grid, Study], None]


def main(
    environment: Mapping[str, str], *, draw: Draw = plot.draw, document: Path = DOCUMENT, picture: Path = PICTURE
) -> int:
    """Simulate; 2 where the variables cannot be used, and then nothing was run."""
    return run(USAGE, lambda: _simulate(Variables(environment), draw, document, picture))


def _simulate(variables: Variables, draw: Draw, document: Path, picture: Path) -> int:
    is_written = variables.flag("WRITE")
    if is_written and (others := [name for name in (*NUMBERS, *LISTS) if variables.text(name)]):
        variables.faults.append(f"WRITE=1 writes the defaults into the documents: leave out {', '.join(others)}.")
    wanted = read_picture(variables)
    grid = Grid.read(variables)
    with Progress("simulated", len(grid.points())) as progress:
        study = grid.study(progress.advance)
    rendered = tables(grid, study)
    if is_written:
        try:
            is_new = write_into(document, rendered)
        except NoPlace as error:
            print(f"{document.name}: {error}", file=sys.stderr)
            return NOT_DONE
        print(f"{document.name}: {'written' if is_new else 'nothing new'}")
    else:
        for name, render in rendered.items():
            print(f"\n{name}\n\n{render()}", end="")
    for path in [path for path in (picture if is_written else None, wanted) if path is not None]:
        draw(path, grid, study)
        print(f"{path.name}: drawn")
    return DONE


if __name__ == "__main__":
    sys.exit(main(os.environ))
