"""From samples to ratios.

Owns how numbers are compared: within one round only, where the machine's mood is the same, then the median over the
rounds with its spread. A run whose baseline does not agree with itself, or had to wait for its core, says nothing, and
is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import NamedTuple

from bench.measure import Sample

# The bare handler is measured twice in each round. Where the two differ by more than this, in the median of the rounds,
# something else is using the machine.
MAX_BASELINE_SPREAD = 0.15
# What uses it all the time makes no difference between the two, but they wait for it: on a quiet machine for a tenth of
# their short lives at most, beside one busy process for a third.
MAX_WAITING_SHARE = 0.2


class TooNoisy(Exception):
    """Something else was using the machine."""


class Ratio(NamedTuple):
    """A ratio over the rounds: its median, and the middle half."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def init_seconds(sample: Sample) -> float:
    """From the process's start until it asks for an event."""
    return sample.init_seconds


def first_seconds(sample: Sample) -> float:
    """From the process's start until its first answer."""
    return sample.first_seconds


def warm_seconds(sample: Sample) -> float:
    """A warm invocation: the lower quartile, which leaves out what the machine did in between."""
    return quantiles(sample.warm_seconds, n=4)[0]


FIGURES: Mapping[str, Callable[[Sample], float]] = {
    "init": init_seconds,
    "first answer": first_seconds,
    "warm": warm_seconds,
}


class Round(NamedTuple):
    """One round: each subject once, the bare handler at its beginning and at its end."""

    before: Sample
    after: Sample
    samples: Mapping[str, Sample]


def baseline(each: Round, figure: Callable[[Sample], float]) -> float:
    """Return the bare handler's figure in a round, in seconds."""
    return (figure(each.before) + figure(each.after)) / 2


def to_bare(rounds: Sequence[Round], name: str, figure: Callable[[Sample], float]) -> Ratio:
    """Return a subject's ratio to the bare handler."""
    return _ratio([figure(each.samples[name]) / baseline(each, figure) for each in rounds])


def to_peer(rounds: Sequence[Round], name: str, peer: str, figure: Callable[[Sample], float]) -> Ratio:
    """Return a subject's ratio to a peer."""
    return _ratio([figure(each.samples[name]) / figure(each.samples[peer]) for each in rounds])


def check_baseline(rounds: Sequence[Round]) -> dict[str, float]:
    """Return by how much the baseline differs from itself, for each figure. Raises TooNoisy."""
    waiting = median((each.before.waiting_share + each.after.waiting_share) / 2 for each in rounds)
    if waiting > MAX_WAITING_SHARE:
        raise TooNoisy(
            f"The bare handler waited for a core for {waiting:.0%} of its time (at most {MAX_WAITING_SHARE:.0%}): "
            "something else is using this machine. Nothing is reported."
        )
    spreads = {}
    for name, figure in FIGURES.items():
        differences = [abs(figure(each.before) - figure(each.after)) / baseline(each, figure) for each in rounds]
        spreads[name] = median(differences)
    if worst := [f"{name} by {spread:.0%}" for name, spread in spreads.items() if spread > MAX_BASELINE_SPREAD]:
        raise TooNoisy(
            f"The bare handler differs from itself ({', '.join(worst)}; at most {MAX_BASELINE_SPREAD:.0%}): "
            "something else is using this machine. Nothing is reported."
        )
    return spreads


def _ratio(values: Sequence[float]) -> Ratio:
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return Ratio(middle, low, high)
