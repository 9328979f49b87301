"""The faults of a simulator: reading one that is to be armed, and the queue in which it waits for a request.

`{"fault": NAME, "times": N, "on": KIND, …}`: `times` is how many requests it hits (default 1; null: until deleted),
`on` is a kind of request or `any` (default). Among those armed for a request, the oldest one hits.

Owns the forms and limits of what can be said about a fault. Which faults there are, and what each does to an answer, is
the simulator's own.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from local.simulator_controls import InvalidControlError, is_number

ANY: Final = "any"
LONGEST_FAULT_SECONDS: Final = 3_600
LARGEST_ANSWER_BYTES: Final = 64 * 1024 * 1024
SMALLEST_TOO_LARGE_BYTES: Final = 64 * 1024 + 1
MOST_ARMED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Fault[Name: StrEnum]:
    """One armed fault: what happens, to which requests, how often (None: always), and its further members."""

    name: Name
    on: str
    times: int | None
    extras: Mapping[str, object]

    def seconds(self, default: float) -> float:
        """How long it lasts, where it lasts."""
        return cast("float", self.extras.get("seconds", default))

    def public(self) -> dict[str, object]:
        """Give the fault as it was asked for."""
        return {"fault": self.name.value, "on": self.on, "times": self.times, **self.extras}


def parse_fault[Name: StrEnum](
    members: Mapping[str, object], names: type[Name], extras: Mapping[Name, Collection[str]], kinds: Collection[str]
) -> Fault[Name]:
    """Read what is to be armed; raises InvalidControlError naming everything wrong with it.

    `extras` has the further members of the faults that have any, `kinds` the kinds of requests.
    """
    members = dict(members)
    name, on, times = members.pop("fault", None), members.pop("on", ANY), members.pop("times", 1)
    if not isinstance(name, str) or name not in names:
        raise InvalidControlError([f"fault: must be one of {', '.join(names)}"])
    allowed = extras.get(names(name), ())
    problems = [f"{extra}: {name} has no such member" for extra in members if extra not in allowed]
    if not isinstance(on, str) or (on not in kinds and on != ANY):
        problems.append(f"on: must be one of {', '.join((*kinds, ANY))}")
    if times is not None and not (isinstance(times, int) and is_number(times, 1, 1_000_000)):
        problems.append("times: must be a whole number of at least 1, or null for always")
    problems += [f"{extra}: not usable" for extra, value in members.items() if not _is_usable(extra, value)]
    if problems:
        raise InvalidControlError(problems)
    return Fault(names(name), cast("str", on), cast("int | None", times), members)


class ArmedFaults[Name: StrEnum]:
    """The faults that wait for a request, oldest first. Its caller holds a lock."""

    def __init__(self) -> None:
        self._armed: list[tuple[Fault[Name], int | None]] = []  # with how many hits are left

    def arm(self, fault: Fault[Name]) -> None:
        """Queue a fault behind the others; raises InvalidControlError where too many wait already."""
        if len(self._armed) >= MOST_ARMED:
            raise InvalidControlError([f"at most {MOST_ARMED} faults can be armed at once"])
        self._armed.append((fault, fault.times))

    def take(self, kind: str) -> Fault[Name] | None:
        """Give the fault that hits a request of this kind, using up one of its times."""
        for index, (fault, left) in enumerate(self._armed):
            if fault.on in {kind, ANY}:
                if left == 1:
                    del self._armed[index]
                elif left is not None:
                    self._armed[index] = (fault, left - 1)
                return fault
        return None

    def clear(self) -> None:
        """Disarm all of them."""
        self._armed.clear()

    def public(self) -> list[dict[str, object]]:
        """Give what is armed, `times` being what is left."""
        return [{**fault.public(), "times": left} for fault, left in self._armed]


def _is_usable(extra: str, value: object) -> bool:
    return _RULES.get(extra, _is_text)(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_in_a_header(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and value != ""


def _is_whole(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and is_number(value, lowest, highest)


# What is not here is a text.
_RULES: Final[dict[str, Callable[[object], bool]]] = {
    "bytes": lambda value: _is_whole(value, SMALLEST_TOO_LARGE_BYTES, LARGEST_ANSWER_BYTES),
    "seconds": lambda value: is_number(value, 0, LONGEST_FAULT_SECONDS),
    "retry_after": lambda value: _is_whole(value, 0, LONGEST_FAULT_SECONDS) or _is_in_a_header(value),
    "location": _is_in_a_header,
    "http_status": lambda value: _is_whole(value, 400, 499),
    "value": lambda _: True,
}
