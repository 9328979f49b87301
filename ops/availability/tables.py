"""A study as Markdown tables, and as the figures of its picture.

Owns the form of the figures: how many digits, which unit.
"""

import json
import math
from collections.abc import Sequence
from typing import Final

from ops.availability.grid import MINUTE_SECONDS, Grid, Point, Setting, Study
from ops.document_tables import Tables, table

# Secrets Manager removes old versions above this number, but none that is younger than a day.
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
MOST_VERSIONS: Final = 100


def tables(grid: Grid, study: Study) -> Tables:
    """Return what renders each table, by its name in a document."""
    return {
        "simulated-cost": lambda: cost(grid, study),
        "simulated-deadly": lambda: deadly(grid, study),
        "simulated-availability": lambda: availability(grid, study),
        "simulated-late": lambda: late(grid, study),
    }


def cost(grid: Grid, study: Study) -> str:
    """What each setting promises, and what it takes."""
    rows = []
    for setting in grid.settings:
        without = study[Point(setting, 0)]
        safe = grid.run(Point(setting, 0)).safe_outage_seconds / MINUTE_SECONDS
        most = max(study[Point(setting, outage)].most_versions_in_a_day for outage in (0, *grid.outages))
        ticks = 24 * 60 // setting.rate
        versions = f"**{most}**" if most > MOST_VERSIONS else str(most)
        rows.append((*_names(setting), f"{safe:g} min", f"{ticks:,}", f"{without.exchanges_a_day:.1f}", versions))
    head = ("rate", "margin", "never dead by an outage up to", "ticks a day", "exchanges a day", "versions in 24 h")
    return table(head, rows)


def deadly(grid: Grid, study: Study) -> str:
    """Share of the outages that left a dead token, by their length."""
    rows = [
        (*_names(setting), *(share(study[Point(setting, outage)].deadly_share) for outage in grid.outages))
        for setting in grid.settings
    ]
    return table(_head(grid.outages), rows)


def availability(grid: Grid, study: Study) -> str:
    """Share of the time in which the stored token works, by the outages' length."""
    rows = [
        (*_names(setting), *(_percent_of_time(study[Point(setting, outage)].availability) for outage in grid.outages))
        for setting in grid.settings
    ]
    return table(_head(grid.outages), rows)


def late(grid: Grid, study: Study) -> str:
    """The base once more with ticks that come late: deadly outages, and for how long a token was dead at most."""
    rows = []
    for setting in grid.late_ones:
        found = [study[Point(setting, outage)] for outage in grid.late_outages]
        cells = [_with_longest(each.deadly_share, each.longest_dead_seconds) for each in found]
        ticks = f"up to {setting.late} s late" if setting.late else "on time"
        safe = grid.run(Point(setting, 0)).safe_outage_seconds / MINUTE_SECONDS
        rows.append((ticks, *_names(setting), f"{safe:g} min", *cells))
    return table(("ticks", "rate", "margin", "never dead by an outage up to", *_columns(grid.late_outages)), rows)


def drawn(grid: Grid, study: Study) -> str:
    """Return the figures of the picture as JSON: what it was drawn from is written into it."""
    return json.dumps(
        {
            f"{setting.rate}/{setting.margin}": [
                [outage, round(found.deadly_share, 6), round(found.availability, 6)]
                for outage in (0, *grid.outages)
                for found in [study[Point(setting, outage)]]
            ]
            for setting in grid.settings
        }
    )


def share(value: float) -> str:
    """Return a share in percent. Nothing but none is 0 %, and nothing but all is 100 %."""
    if value in (0, 1):
        return f"{value:.0%}".replace("%", " %")
    return f"{min(max(value * 100, 0.1), 99.9):.1f} %"


def _percent_of_time(value: float) -> str:
    """Return an availability, rounded down: 100 % is no second less."""
    return "100 %" if value == 1 else f"{math.floor(value * 100_000) / 1000:.3f} %"


def _with_longest(deadly_share: float, longest_seconds: float) -> str:
    return f"{share(deadly_share)}, {math.ceil(longest_seconds):,} s" if deadly_share else share(deadly_share)


def _names(setting: Setting) -> tuple[str, str]:
    return f"{setting.rate} min", f"{setting.margin} min"


def _head(outages: Sequence[int]) -> tuple[str, ...]:
    return ("rate", "margin", *_columns(outages))


def _columns(outages: Sequence[int]) -> list[str]:
    return [f"{outage} min" for outage in outages]
