"""Points in time as the simulators show them: ISO 8601 in UTC, with milliseconds and `Z`."""

from datetime import UTC, datetime


def iso_time(epoch_seconds: float) -> str:
    """Write a point in time."""
    return datetime.fromtimestamp(epoch_seconds, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
