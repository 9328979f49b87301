"""A study as a picture. The same study gives the same file. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.availability.grid import MINUTE_SECONDS, Grid, Point, Setting, Study
from ops.availability.tables import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: Final = {"svg.hashsalt": "gatehouse", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
BASE_COLOUR: Final = "#c0392b"


def draw(path: Path, grid: Grid, study: Study) -> None:
    """Write the picture; the file's ending says its form."""
    import matplotlib as mpl  # noqa: PLC0415 - only the environment that plots has it
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 6.6), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        figure.suptitle(f"{grid.days} days of ticks, an outage in every {grid.every} hours", fontsize="large")
        for column, (settings, title) in enumerate(
            (
                (grid.by_margin, f"by margin, a tick every {grid.base.rate} min"),
                (grid.by_rate, f"by rate, with a margin of {grid.base.margin} min"),
            )
        ):
            colours = mpl.colormaps["viridis"].resampled(len(settings) + 1)
            lines = [colours(place) for place in range(len(settings))]
            _draw_deadly(panels[0][column], grid, study, settings, lines)
            _draw_availability(panels[1][column], grid, study, settings, lines)
            panels[0][column].set_title(title, fontsize="medium")
            panels[1][column].set_xlabel("length of the outages, minutes")
            names = [_name(setting, is_margin=column == 0) for setting in settings]
            panels[0][column].legend(names, frameon=False, fontsize="small", loc="lower right")
        panels[0][0].set_ylabel("outages that left a dead token, %")
        panels[1][0].set_ylabel("time in which the token works, %")
        form = {"metadata": {"Date": None, "Creator": None, "Description": drawn(grid, study)}}
        figure.savefig(path, dpi=120, **(form if path.suffix == ".svg" else {}))


def _draw_deadly(
    axes: "Axes", grid: Grid, study: Study, settings: Sequence[Setting], colours: Sequence[object]
) -> None:
    for setting, colour in zip(settings, colours, strict=True):
        shares = [study[Point(setting, outage)].deadly_share * 100 for outage in (0, *grid.outages)]
        _line(axes, grid, setting, shares, colour)
    safe = grid.run(Point(grid.base, 0)).safe_outage_seconds / MINUTE_SECONDS
    axes.axvline(safe, color=BASE_COLOUR, linewidth=0.8, linestyle=":")
    axes.text(safe - 0.8, 97, f"never up to\n{safe:g} minutes", color=BASE_COLOUR, ha="right", va="top", fontsize=8)


def _draw_availability(
    axes: "Axes", grid: Grid, study: Study, settings: Sequence[Setting], colours: Sequence[object]
) -> None:
    for setting, colour in zip(settings, colours, strict=True):
        _line(
            axes, grid, setting, [study[Point(setting, outage)].availability * 100 for outage in (0, *grid.outages)],
            colour,
        )  # fmt: skip


def _line(axes: "Axes", grid: Grid, setting: Setting, values: Sequence[float], colour: object) -> None:
    is_base = setting == grid.base
    style = {"color": BASE_COLOUR, "linewidth": 2.4, "zorder": 3} if is_base else {"color": colour, "linewidth": 1.2}
    axes.plot((0, *grid.outages), values, marker="o", markersize=3 if is_base else 2, **style)
    axes.grid(alpha=0.25)


def _name(setting: Setting, *, is_margin: bool) -> str:
    return f"margin {setting.margin} min" if is_margin else f"every {setting.rate} min"
