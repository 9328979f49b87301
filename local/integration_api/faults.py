"""The faults that can be armed with `POST /_simulator/faults`, and the queue in which they wait.

`{"fault": NAME, "times": N, "on": KIND, …}`: `times` is how many requests it hits (default 1; null: until deleted),
`on` is `authenticate`, `refresh`, `protected` or `any` (default). Among those armed for a request, the oldest one hits.

| fault | what the client sees | takes effect | further members |
|---|---|---|---|
| `html` | 200 with a web page | no | |
| `empty` | 200 with no body | no | |
| `wrong_content_type` | the right answer, declared as text/plain | yes | |
| `too_large` | the right answer with a member that makes it more than 64 KiB | yes | `bytes` |
| `redirect` | 302 to somewhere else | no | `location` |
| `hang` | no answer: the connection stays open until the client leaves | no | `seconds` (60) |
| `drip` | the right answer, one byte at a time | yes | `seconds` per byte (1) |
| `close_mid_body` | half of the body that Content-Length promises, then the end | yes | |
| `reset` | the connection reset, without an answer | no | |
| `lost_answer` | the connection closed, without an answer | yes | |
| `error_object_200` | 200 with `{"error": …}` | no | `code` |
| `unauthorized_401` | 401 with the code of that endpoint | no | `code` |
| `status_500` | 500 with `{"error": …}` | no | |
| `status_502_html` | 502 with a proxy's web page | no | |
| `status_503_retry_after` | 503 with Retry-After | no | `retry_after` (2) |
| `status_429` | 429 with Retry-After | no | `retry_after` (2) |
| `missing_field` | the right answer without one member | yes | `field` (access_token) |
| `wrong_type` | the right answer with one member of another type | yes | `field` (access_token), `value` |
| `token_type_mac` | the right answer with token_type "mac" | yes | |
| `expired_answer` | the right answer with an expires_at an hour ago | yes | |
| `bad_json` | the right answer, cut off before its last brace | yes | |
| `not_an_object` | the right answer inside a JSON array | yes | |
| `deep_json` | 200 with an access_token that is nested 20 000 deep | yes | |

`retry_after` is seconds or the text of a date. "Takes effect" means that the exchange happens: tokens are made, old
ones end where a setting says so, and only the answer is spoilt. A refusal uses a fault up, and `drip`, `close_mid_body`
and `lost_answer` spoil it too; its content stays as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from local.integration_api.settings import InvalidControlError, is_number

TARGETS = ("authenticate", "refresh", "protected", "any")
LONGEST_FAULT_SECONDS = 3_600
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
MOST_ARMED = 1_000
SMALLEST_TOO_LARGE_BYTES = 64 * 1024 + 1


class FaultName(StrEnum):
    """Every fault of the table above."""

    HTML = "html"
    EMPTY = "empty"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    TOO_LARGE = "too_large"
    REDIRECT = "redirect"
    HANG = "hang"
    DRIP = "drip"
    CLOSE_MID_BODY = "close_mid_body"
    RESET = "reset"
    LOST_ANSWER = "lost_answer"
    ERROR_OBJECT_200 = "error_object_200"
    UNAUTHORIZED_401 = "unauthorized_401"
    STATUS_500 = "status_500"
    STATUS_502_HTML = "status_502_html"
    STATUS_503_RETRY_AFTER = "status_503_retry_after"
    STATUS_429 = "status_429"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    TOKEN_TYPE_MAC = "token_type_mac"  # noqa: S105 -- a fault's name
    EXPIRED_ANSWER = "expired_answer"
    BAD_JSON = "bad_json"
    NOT_AN_OBJECT = "not_an_object"
    DEEP_JSON = "deep_json"


# Faults that keep a request from having any effect; all others spoil only its answer.
WITHOUT_EFFECT = frozenset(
    {
        FaultName.HTML,
        FaultName.EMPTY,
        FaultName.REDIRECT,
        FaultName.HANG,
        FaultName.RESET,
        FaultName.ERROR_OBJECT_200,
        FaultName.UNAUTHORIZED_401,
        FaultName.STATUS_500,
        FaultName.STATUS_502_HTML,
        FaultName.STATUS_503_RETRY_AFTER,
        FaultName.STATUS_429,
    }
)

_EXTRAS: dict[str, set[str]] = {
    FaultName.TOO_LARGE: {"bytes"},
    FaultName.REDIRECT: {"location"},
    FaultName.HANG: {"seconds"},
    FaultName.DRIP: {"seconds"},
    FaultName.ERROR_OBJECT_200: {"code"},
    FaultName.UNAUTHORIZED_401: {"code"},
    FaultName.STATUS_503_RETRY_AFTER: {"retry_after"},
    FaultName.STATUS_429: {"retry_after"},
    FaultName.MISSING_FIELD: {"field"},
    FaultName.WRONG_TYPE: {"field", "value"},
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One armed fault: what happens, to which requests, how often (None: always), and its further members."""

    name: FaultName
    on: str
    times: int | None
    extras: Mapping[str, object]

    @property
    def has_effect(self) -> bool:
        """Whether the request it hits still happens upstream."""
        return self.name not in WITHOUT_EFFECT

    def public(self) -> dict[str, object]:
        """Give the fault as it was asked for."""
        return {"fault": self.name.value, "on": self.on, "times": self.times, **self.extras}


def parse_fault(members: Mapping[str, object]) -> Fault:
    """Read the body of `POST /_simulator/faults`; raises InvalidControlError naming everything wrong with it."""
    members = dict(members)
    name, on, times = members.pop("fault", None), members.pop("on", "any"), members.pop("times", 1)
    if not isinstance(name, str) or name not in FaultName:
        raise InvalidControlError([f"fault: must be one of {', '.join(FaultName)}"])
    problems = [f"{extra}: {name} has no such member" for extra in members if extra not in _EXTRAS.get(name, ())]
    if not isinstance(on, str) or on not in TARGETS:
        problems.append(f"on: must be one of {', '.join(TARGETS)}")
    if times is not None and not (isinstance(times, int) and is_number(times, 1, 1_000_000)):
        problems.append("times: must be a whole number of at least 1, or null for always")
    problems += [f"{extra}: not usable" for extra, value in members.items() if not _is_usable(extra, value)]
    if problems:
        raise InvalidControlError(problems)
    return Fault(FaultName(name), on, times, members)  # type: ignore[arg-type]  # checked just above, problem by problem


class ArmedFaults:
    """The faults that wait for a request, oldest first. Its caller holds a lock."""

    def __init__(self) -> None:
        self._armed: list[tuple[Fault, int | None]] = []  # with how many hits are left

    def arm(self, fault: Fault) -> None:
        """Queue a fault behind the others; raises InvalidControlError where too many wait already."""
        if len(self._armed) >= MOST_ARMED:
            raise InvalidControlError([f"at most {MOST_ARMED} faults can be armed at once"])
        self._armed.append((fault, fault.times))

    def take(self, kind: str) -> Fault | None:
        """Give the fault that hits a request of this kind, using up one of its times."""
        for index, (fault, left) in enumerate(self._armed):
            if fault.on in {kind, "any"}:
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
    match extra:
        case "bytes":
            return isinstance(value, int) and is_number(value, SMALLEST_TOO_LARGE_BYTES, LARGEST_ANSWER_BYTES)
        case "seconds":
            return is_number(value, 0, LONGEST_FAULT_SECONDS)
        case "retry_after" if not isinstance(value, str):
            return isinstance(value, int) and is_number(value, 0, LONGEST_FAULT_SECONDS)
        case "retry_after" | "location":  # both become a header
            return isinstance(value, str) and value.isascii() and value.isprintable() and value != ""
        case "code" | "field":
            return isinstance(value, str) and value != ""
        case _:
            return True
