"""What the simulator remembers about the requests it saw: counts per endpoint and outcome, and a log of them.

Owns what of a request is kept: whether its two headers were there and what they were worth, the claim of a session that
was verified, the intent, the names of the body's members. Never keeps a header, a body, a key or a token. Its caller
holds a lock.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from local.iso_time import iso_time
from local.smallcase_api.presented import body_members, session, which_secret
from local.smallcase_api.session_jwt import InvalidJwtError
from local.smallcase_api.settings import Identity

LONGEST_LOG: Final = 1_000  # the oldest requests go first; numbers and counts go on


@dataclass(slots=True)
class Entry:
    """One request; `outcome` is `ok`, a refusal's code or `fault:NAME`."""

    number: int
    kind: str
    received_at: float
    gateway_secret: str  # current, previous, wrong or missing
    session: str  # guest, connected, invalid or missing
    smallcase_auth_id: str | None  # of a connected session
    body_members: list[str] | None  # None where the body is no JSON object
    transaction_id: str | None = None
    outcome: str = ""
    took_effect: bool = False

    def public(self) -> dict[str, object]:
        """Give the request as `GET /_simulator/state` shows it, times in ISO 8601 UTC."""
        return {
            "number": self.number,
            "kind": self.kind,
            "received_at": iso_time(self.received_at),
            "gateway_secret": self.gateway_secret,
            "session": self.session,
            "smallcaseAuthId": self.smallcase_auth_id,
            "body_members": self.body_members,
            "transactionId": self.transaction_id,
            "outcome": self.outcome,
            "took_effect": self.took_effect,
        }


class Journal:
    """Counts and logs."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._log: deque[Entry] = deque(maxlen=LONGEST_LOG)
        self._requests = 0

    def count(self, endpoint: str, outcome: str) -> None:
        """Count one request."""
        self._counts.setdefault(endpoint, Counter())[outcome] += 1

    def begin(self, kind: str, headers: Mapping[str, str], body: bytes, identity: Identity, now: float) -> Entry:
        """Log a request. Each thing about it is told whatever becomes of the others."""
        self._requests += 1
        holder_id = None
        try:
            holder = session(headers, identity, now)
            which = "missing" if holder is None else "guest"
            if holder is not None and holder.smallcase_auth_id is not None:
                which, holder_id = "connected", holder.smallcase_auth_id
        except InvalidJwtError:
            which = "invalid"
        members = body_members(body)
        names = None if members is None else sorted(members)
        entry = Entry(self._requests, kind, now, which_secret(headers, identity), which, holder_id, names)
        self._log.append(entry)
        return entry

    def public(self) -> dict[str, object]:
        """Give the counts and the log as `GET /_simulator/state` shows them."""
        return {
            "requests": {
                endpoint: {"total": outcomes.total(), "outcomes": dict(outcomes)}
                for endpoint, outcomes in self._counts.items()
            },
            "requests_total": self._requests,
            "log": [entry.public() for entry in self._log],
        }
