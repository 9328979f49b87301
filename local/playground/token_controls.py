"""The integration tokens as the page shows them, and what it can do to them.

Owns the switches "upstream down" and "wrong credentials". Never gives out a token or a key: of the stored tokens only
the times, of a function's log only the outcome.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

import urllib3

from local.run_outcome import outcome_in
from local.simulator_controls import ControlRefusedError, InvalidControlError

FUNCTIONS: Final = ("refresh_tokens", "authenticate")
AGED_SECONDS: Final = 600
"""What an aged token has left: less than the refresh margin, so that the next tick has something to do."""

_LIFETIME: Final = "access_token_lifetime_seconds"
_DOWN: Final = {"fault": "status_503_retry_after", "on": "any", "times": None}
_LOOK_BACK_SECONDS: Final = 3600  # ticks come every few minutes
_WRONG: Final = "wrong-on-purpose-"


class TokenAccount(Protocol):
    """What it needs of `account.Account`."""

    def secret(self, name: str) -> str: ...  # noqa: D102
    def write_secret(self, name: str, text: str) -> None: ...  # noqa: D102
    def invoke(self, function: str) -> object: ...  # noqa: D102
    def environment(self, function: str) -> Mapping[str, str]: ...  # noqa: D102
    def log_lines(self, function: str, since: float) -> list[tuple[float, str]]: ...  # noqa: D102


class TokenControls:
    """Reads and acts on one stack, for several threads at once."""

    def __init__(
        self, account: TokenAccount, http: urllib3.PoolManager, simulator: str | None, clock: Callable[[], float]
    ) -> None:
        """`simulator` is the URL of the simulated Integration API, where it is one; `clock` returns epoch seconds."""
        self._account = account
        self._http = http
        self._simulator = simulator
        self._clock = clock
        self._right_credentials: str | None = None  # while wrong ones are in their place

    def status(self) -> dict[str, object]:
        """Return times, last outcome and switches."""
        times = _times(self._account.secret("IntegrationTokens"))
        now = self._clock()
        return {
            "seconds_left": round(times[0] - now) if times else None,
            "refresh_token_age_seconds": round(now - times[1]) if times else None,
            "margin_seconds": int(self._account.environment("refresh_tokens")["REFRESH_MARGIN_SECONDS"]),
            "last": self._last_outcome(),
            "upstream_down": self._is_down(),
            "credentials_wrong": _is_wrong(self._account.secret("IntegrationCredentials")),
        }

    def run(self, function: str) -> dict[str, object]:
        """Invoke a function and return its outcome."""
        answer = self._account.invoke(function)
        return {"function": function, "outcome": answer.get("outcome") if isinstance(answer, dict) else None}

    def age(self) -> dict[str, object]:
        """Authenticate while the simulator hands out tokens that live ten minutes."""
        with self._simulated_lifetime(AGED_SECONDS):
            return self.run("authenticate")

    def set_upstream(self, members: Mapping[str, object]) -> dict[str, object]:
        """Let the simulator answer everything with 503, or as it should."""
        down = _flag(members, "down")
        self._control("DELETE", "faults")
        if down:
            self._control("POST", "faults", _DOWN)
        return {"down": down}

    def set_credentials(self, members: Mapping[str, object]) -> dict[str, object]:
        """Put wrong credentials into the secret, or back what was there."""
        wrong = _flag(members, "wrong")
        self._simulator_url()  # nobody else's credentials are touched
        present = self._account.secret("IntegrationCredentials")
        if wrong and not _is_wrong(present):
            self._right_credentials = present
            made_up = {name: _WRONG + secrets.token_hex(16) for name in ("api_key", "secret_key")}
            self._account.write_secret("IntegrationCredentials", json.dumps(made_up))
        elif not wrong and _is_wrong(present):
            if self._right_credentials is None:
                message = "The right credentials are not known here any more."
                raise ControlRefusedError(HTTPStatus.CONFLICT, "NOT_KNOWN", message)
            self._account.write_secret("IntegrationCredentials", self._right_credentials)
        return {"wrong": wrong}

    def _last_outcome(self) -> dict[str, object] | None:
        """Return the newest outcome in the functions' logs."""
        now = self._clock()
        ended = [
            (when, function, outcome)
            for function in FUNCTIONS
            for when, line in self._account.log_lines(function, now - _LOOK_BACK_SECONDS)
            if (outcome := outcome_in(line)) is not None
        ]
        if not ended:
            return None
        when, function, outcome = max(ended)
        return {"function": function, "outcome": outcome, "seconds_ago": max(0, round(now - when))}

    def _is_down(self) -> bool:
        if self._simulator is None:
            return False
        armed = self._control("GET", "state")["faults"]
        return any({name: fault.get(name) for name in _DOWN} == _DOWN for fault in armed)

    @contextmanager
    def _simulated_lifetime(self, seconds: int) -> Iterator[None]:
        before = self._control("GET", "state")["settings"][_LIFETIME]
        self._control("POST", "settings", {_LIFETIME: seconds})
        try:
            yield
        finally:
            self._control("POST", "settings", {_LIFETIME: before})

    def _control(self, method: str, what: str, members: Mapping[str, object] | None = None) -> dict[str, Any]:
        url = f"{self._simulator_url()}/_simulator/{what}"
        try:
            answer = self._http.request(method, url, json=members or {})
        except urllib3.exceptions.HTTPError:
            answer = None
        if answer is None or answer.status != HTTPStatus.OK:
            raise ControlRefusedError(HTTPStatus.BAD_GATEWAY, "SIMULATOR", "The simulator did not do it.")
        document: dict[str, Any] = answer.json()
        return document

    def _simulator_url(self) -> str:
        if self._simulator is None:
            message = "This run's Integration API is not the simulator."
            raise ControlRefusedError(HTTPStatus.CONFLICT, "NOT_SIMULATED", message)
        return self._simulator


def _times(text: str) -> tuple[float, float] | None:
    """Return when the access token ends and when the refresh token was got; None where no tokens can be read."""
    try:
        members = json.loads(text)
        return _epoch(members["expires_at"]), _epoch(members["refresh_token_obtained_at"])
    except (ValueError, LookupError, TypeError):
        return None


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _flag(members: Mapping[str, object], name: str) -> bool:
    value = members.get(name)
    if members.keys() != {name} or not isinstance(value, bool):
        raise InvalidControlError([f"{name}: must be true or false, and nothing else"])
    return value


def _is_wrong(credentials: str) -> bool:
    return _WRONG in credentials
