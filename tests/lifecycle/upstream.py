"""The Integration API as the lifecycle meets it: the simulator's authority behind a transport, with troubles.

It also knows the truth: which tokens live, in which order they were granted, and when.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from gatehouse.upstream import UpstreamAnswer, UpstreamRequest
from local.integration_api.authority import Authority, Refusal
from local.integration_api.settings import Credentials, Settings

JSON = {"content-type": "application/json"}
SIGNING_KEY = b"the-upstreams-own-signing-key-00"

# What may be wrong with it for a while. The first three keep an exchange from taking place, the others spoil answers.
TROUBLES = ("status_503", "status_429", "status_400", "broken_json", "status_500_after", "already_expired")


class Granted(NamedTuple):
    """The truth about an access token."""

    number: int  # in the order of grants
    expires_at: float
    authenticated_at: float  # when the 7 days of its refresh token began


class Upstream:
    """Exchanges credentials and refresh tokens, in its own time."""

    def __init__(self, clock: Callable[[], float], settings: Settings) -> None:
        self._clock = clock
        self._authority = Authority(settings, clock, SIGNING_KEY)
        self._granted: dict[str, Granted] = {}
        self._authenticated_at: dict[str, float] = {}  # by refresh token
        self.trouble: str | None = None

    @property
    def settings(self) -> Settings:
        return self._authority.settings

    def accept(self, credentials: Credentials) -> None:
        """Take these credentials from now on, and no others."""
        self._authority.settings = replace(self.settings, credentials=credentials)

    def lives(self, access_token: str) -> bool:
        """Whether an access token opens a protected endpoint."""
        try:
            self._authority.check_access(access_token)
        except Refusal:
            return False
        return True

    def truth(self, access_token: str) -> Granted:
        """Return what is true of a token that was granted."""
        return self._granted[access_token]

    def take(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Answer a request that has arrived."""
        if self.trouble in {"status_503", "status_429", "status_400"}:
            return UpstreamAnswer(int(self.trouble.removeprefix("status_")), JSON, b"{}")
        call, document = request.url.rpartition("/")[2], json.loads(request.body or b"{}")
        try:
            granted = self._exchange(call, document)
        except Refusal as refusal:
            return UpstreamAnswer(refusal.status, JSON, b"{}")
        if self.trouble == "already_expired":
            granted["expires_at"] = "2020-01-01T00:00:00Z"
        answer = UpstreamAnswer(200, JSON, json.dumps(granted).encode())
        if self.trouble == "broken_json":
            return answer_of(answer.body[:-9])
        return UpstreamAnswer(500, JSON, b"{}") if self.trouble == "status_500_after" else answer

    def _exchange(self, call: str, document: dict[str, str]) -> dict[str, object]:
        now = self._clock()
        if call == "authenticate":
            granted = self._authority.authenticate(Credentials(**document))
        else:
            granted = self._authority.refresh(document["refresh_token"])
        # The 7 days begin with authenticate, and with every refresh token that is new.
        since = self._authenticated_at.setdefault(str(granted["refresh_token"]), now)
        expires_at = now + self.settings.access_token_lifetime_seconds
        self._granted[str(granted["access_token"])] = Granted(len(self._granted), expires_at, since)
        return granted


def answer_of(body: bytes) -> UpstreamAnswer:
    """Return an answer that calls itself JSON."""
    return UpstreamAnswer(200, JSON, body)
