"""How many requests an API key may make in a minute: a sliding window. Documented are 50 per minute and key.

Owns the windows. Never decides what the answer says beyond the seconds to wait. Pure: the time is an argument.
"""

import math
from collections import deque

WINDOW_SECONDS = 60


class RateLimit:
    """Counts admitted requests per API key; its caller holds a lock, and asks for known keys only."""

    def __init__(self) -> None:
        self._admitted: dict[str, deque[float]] = {}

    def admit(self, api_key: str, limit: int | None, now: float) -> int | None:
        """Admit a request, giving None, or give the whole seconds (at least 1) after which the next one will be.

        `now` is in epoch seconds; a `limit` of None admits everything. A refused request uses nothing up.
        """
        window = self._admitted.setdefault(api_key, deque())
        while window and window[0] <= now - WINDOW_SECONDS:
            window.popleft()
        if limit is not None and len(window) >= limit:
            return max(1, math.ceil(window[-limit] + WINDOW_SECONDS - now))
        window.append(now)
        return None
