"""Points in time as text.

Owns the forms of ISO 8601 that the outside systems are known to send, and the one form that Gatehouse writes: UTC with
`Z`, in whole seconds. Inside, times are epoch seconds.
"""

import re
from datetime import UTC, datetime

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}(:?\d{2})?)?", re.ASCII)

# Of the years 1 to 9999: what `render` can write. An offset, or rounding, can lead out of them.
_FIRST_SECOND = -62_135_596_800
_END_SECOND = 253_402_300_800


def parse(text: str) -> float:
    """Return the epoch seconds of a date with a time; without a zone it is UTC. Raises ValueError."""
    if not _FORM.fullmatch(text):
        raise ValueError("no date and time of ISO 8601")
    moment = datetime.fromisoformat(text.upper())
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not _FIRST_SECOND <= seconds < _END_SECOND:
        raise ValueError("out of range")
    return seconds


def render(seconds: float) -> str:
    """Return epoch seconds as `2026-11-22T04:05:06Z`; a fraction is cut off."""
    return datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None).isoformat() + "Z"
