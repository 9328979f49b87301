"""Which runs are made: what `make simulate` can be told, read from its variables. Everything is bounded.

The margins are tried at one rate and the rates at one margin: the template's defaults, or the first that are named.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from ops.availability.model import HOUR_SECONDS, Outcome, Run, simulate
from ops.program import Variables

MINUTE_SECONDS: Final = 60
# The template's, of RefreshRate and RefreshMarginSeconds.
DEFAULT_RATE, DEFAULT_MARGIN = 5, 25
# EventBridge Scheduler invokes its target within a minute.
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
LATE_SECONDS: Final = 60

NUMBERS: Final = {
    "DAYS": (90, 1, 366),
    "EVERY": (6, 1, 168),
    "LIFETIME": (60, 1, 1440),
    "LATE": (LATE_SECONDS, 0, LATE_SECONDS),
    "SEED": (1, 0, 2**32),
}
"""Each number's default, least and greatest value."""

LISTS: Final = {
    "OUTAGES": ((5, 10, 15, 18, 20, 25, 30, 35, 40, 45, 50, 60, 90, 120), 1440),
    "RATES": ((1, 5, 10, 15), 59),
    "MARGINS": ((5, 10, 15, 20, 25, 30, 40, 45), 1440),
}
"""Each list's default, in minutes, and the greatest value; the least is 1."""

LONGEST_LIST: Final = 20
PICTURES: Final = (".svg", ".png")


class Setting(NamedTuple):
    """What an operator can choose, in minutes, and how late a tick may come, in seconds."""

    rate: int
    margin: int
    late: int = 0


class Point(NamedTuple):
    """One run: a setting, and the length of the outages in minutes; 0 are none."""

    setting: Setting
    outage: int


Study = Mapping[Point, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Every run of a study. Lengths are in minutes."""

    days: int
    every: int  # hours from one outage to the next, on average
    lifetime: int
    late: int
    seed: int
    outages: tuple[int, ...]
    rates: tuple[int, ...]
    margins: tuple[int, ...]

    @classmethod
    def read(cls, variables: Variables) -> Self:
        """Read it from make's variables. Raises WrongUsage, which says all that is wrong."""
        numbers = {name.lower(): _number(variables, name) for name in NUMBERS}
        lists = {name.lower(): _minutes(variables, name) for name in LISTS}
        variables.check()
        grid = cls(**numbers, **lists)  # type: ignore[arg-type]  # the fields are named like the variables
        grid._find_faults(variables)
        variables.check()
        return grid

    def _find_faults(self, variables: Variables) -> None:
        """Say what does not fit together."""
        needed = max(self.outages) + 2 * max(self.rates)
        if needed > self.every * 60:
            variables.faults.append(
                f"EVERY is too short: an outage of {max(self.outages)} minutes and ticks of {max(self.rates)} after it "
                f"do not fit into {self.every} h."
            )
        if self.every > self.days * 24:
            variables.faults.append(f"EVERY is too long: there would be no outage in DAYS={self.days}.")

    @property
    def base(self) -> Setting:
        """The setting that the others are compared with."""
        rate = DEFAULT_RATE if DEFAULT_RATE in self.rates else self.rates[0]
        return Setting(rate, DEFAULT_MARGIN if DEFAULT_MARGIN in self.margins else self.margins[0])

    @property
    def by_margin(self) -> list[Setting]:
        """All margins at one rate."""
        return [self.base._replace(margin=margin) for margin in self.margins]

    @property
    def by_rate(self) -> list[Setting]:
        """All rates at one margin."""
        return [self.base._replace(rate=rate) for rate in self.rates]

    @property
    def late_ones(self) -> list[Setting]:
        """The base with ticks that are late, and with a minute more of margin against that."""
        late = self.base._replace(late=self.late)
        return [self.base, late, late._replace(margin=late.margin + 1)]

    @property
    def settings(self) -> list[Setting]:
        """Every setting with ticks on time, once."""
        return list(dict.fromkeys([*self.by_margin, *self.by_rate]))

    @property
    def late_outages(self) -> tuple[int, ...]:
        """The lengths where a minute matters, or all if there are none."""
        return tuple(outage for outage in self.outages if outage <= self.base.margin + self.base.rate) or self.outages

    def points(self) -> list[Point]:
        """Return every run that is to be made, once."""
        on_time = [Point(setting, outage) for setting in self.settings for outage in (0, *self.outages)]
        late = [Point(setting, outage) for setting in self.late_ones for outage in self.late_outages]
        return list(dict.fromkeys([*on_time, *late]))

    def run(self, point: Point) -> Run:
        """Return a run with its units."""
        return Run(
            days=self.days,
            rate_seconds=point.setting.rate * MINUTE_SECONDS,
            margin_seconds=point.setting.margin * MINUTE_SECONDS,
            outage_seconds=point.outage * MINUTE_SECONDS,
            slot_seconds=self.every * HOUR_SECONDS,
            late_seconds=point.setting.late,
            lifetime_seconds=self.lifetime * MINUTE_SECONDS,
            seed=self.seed,
        )

    def study(self, advance: Callable[[], None] = lambda: None) -> Study:
        """Make every run; `advance` is called after each."""
        return dict(self._outcomes(advance))

    def _outcomes(self, advance: Callable[[], None]) -> Iterator[tuple[Point, Outcome]]:
        for point in self.points():
            yield point, simulate(self.run(point))
            advance()


def read_picture(variables: Variables) -> Path | None:
    """Return the file to draw into, None where none is wanted."""
    if not (text := variables.text("PLOT")):
        return None
    path = Path(text)
    if path.suffix not in PICTURES:
        variables.faults.append(f"PLOT is a file that ends in {' or '.join(PICTURES)}.")
    elif not path.parent.is_dir():
        variables.faults.append(f"PLOT is in a folder that is not there: {path.parent}.")
    return path


def _number(variables: Variables, name: str) -> int:
    default, low, high = NUMBERS[name]
    if not (text := variables.text(name)):
        return default
    if (number := _whole(text, low, high)) is None:
        variables.faults.append(f"{name} is a whole number from {low} to {high}.")
    return default if number is None else number


def _minutes(variables: Variables, name: str) -> tuple[int, ...]:
    default, high = LISTS[name]
    if not (text := variables.text(name)):
        return default
    numbers = [_whole(part.strip(), 1, high) for part in text.split(",")]
    found = tuple(sorted({number for number in numbers if number is not None}))
    if None in numbers or len(found) > LONGEST_LIST:
        variables.faults.append(f"{name} is a comma list of up to {LONGEST_LIST} whole minutes from 1 to {high}.")
        return default
    return found


def _whole(text: str, low: int, high: int) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(high)) else None
    return number if number is not None and low <= number <= high else None
