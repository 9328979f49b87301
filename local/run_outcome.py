"""What a log line of a function that runs in the background tells of a run's end.

Owns the form of that line, for the page and for the operators' programs: of a line it takes nothing but the outcome.
"""

import json
from typing import Final

FAILED: Final = "failed"
"""The outcome of a run that ended with an error."""


def outcome_in(line: str) -> str | None:
    """Return the outcome, or None for every line that is no run's last."""
    try:
        members = json.loads(line)
    except ValueError:
        return None
    match members:
        case {"message": "function.done", "outcome": str(outcome)}:
            return outcome
        case {"message": "function.failed"}:
            return FAILED
    return None
