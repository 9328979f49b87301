"""What `make load` can be told, read from the environment. Everything is bounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

BOUNDS: Final = {
    "COUNT": (5000, 20, 100_000),
    "SEED": (1, 0, 2**32),
    "KILLS": (20, 0, 1000),
    "USERS": (8, 1, 64),
}
"""Each number's default, least and greatest value."""

SECONDS_PER_DELIVERY: Final = 0.2
"""Far more than one takes: what is not sent by then is given up."""
START_SECONDS: Final = 60


class InvalidSettings(Exception):
    """The environment asks for something that cannot be. The text has one line for each fault."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings."""

    count: int
    seed: int
    kills: int
    users: int
    plot: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings. Raises InvalidSettings."""
        faults: list[str] = []
        numbers = {name.lower(): _number(name, environment.get(name, ""), faults) for name in BOUNDS}
        if faults:
            raise InvalidSettings("\n".join(faults))
        return cls(**numbers, plot=environment.get("PLOT", "") not in ("", "0"))

    @property
    def send_seconds(self) -> int:
        """When sending is given up."""
        return START_SECONDS + round(self.count * SECONDS_PER_DELIVERY)


def _number(name: str, text: str, faults: list[str]) -> int:
    default, low, high = BOUNDS[name]
    value = int(text) if text.isascii() and text.isdecimal() else None if text else default
    if value is None or not low <= value <= high:
        faults.append(f"{name} must be a number from {low} to {high}")
        return default
    return value
