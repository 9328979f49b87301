"""The simulator's authority: who may have tokens, which tokens live, and until when.

Owns every rule about tokens, as far as it is documented: an access token lives an hour, a refresh token 7 days from the
*authenticate* that made it, and a refresh answers a new access token with the same refresh token. Pure: the clock and
the signing key are arguments. Never touches a socket, and never keeps or shows a token where it is not asked for one.

Documented error codes are INVALID_API_KEY and REFRESH_TOKEN_EXPIRED. All others here (INVALID_REQUEST, INVALID_TOKEN,
TOKEN_EXPIRED, TOKEN_STILL_VALID, RATE_LIMITED, …) and the claims inside the JWT are the simulator's own.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal

import jwt

from local.integration_api.settings import Credentials, Settings
from local.iso_time import iso_time

if TYPE_CHECKING:
    from jwt.types import Options

type Revocable = Literal["access", "refresh", "all", "older"]

REFRESH_TOKEN_BYTES = 32
# The offset that the documentation's samples would have where they were written: India.
SAMPLE_OFFSET = timezone(timedelta(hours=5, minutes=30))


class Refusal(Exception):
    """A request that is answered with `{"error": {"code", "message", "details"?}}`; `retry_after` is in seconds."""

    def __init__(
        self, status: int, code: str, message: str, *, details: object = None, retry_after: int | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.retry_after = retry_after


@dataclass(slots=True)
class _Login:
    """What one authenticate began: a refresh token, and the last access token made under it."""

    api_key: str = field(repr=False)
    began_at: float
    expires_at: float
    newest_access_id: str = ""


@dataclass(frozen=True, slots=True)
class _Access:
    api_key: str = field(repr=False)
    expires_at: float


class Authority:
    """Exchanges credentials and refresh tokens for token objects, and checks access tokens.

    `clock` gives epoch seconds. `settings` may be replaced at any time; it applies to what is asked from then on.
    Not safe for several threads at once: its caller holds a lock.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float], signing_key: bytes) -> None:
        self.settings = settings
        self._clock = clock
        self._signing_key = signing_key
        self._logins: dict[str, _Login] = {}  # by refresh token
        self._access: dict[str, _Access] = {}  # by the JWT's id
        self._newest: _Login | None = None

    def authenticate(self, presented: Credentials) -> dict[str, object]:
        """Give a token object for the right credentials; raises Refusal 401 INVALID_API_KEY for any others."""
        expected = self.settings.credentials
        # Both comparisons always run, so that the time of an answer says nothing about which part was wrong.
        key_fits = _same(presented.api_key, expected.api_key)
        secret_fits = _same(presented.secret_key, expected.secret_key)
        if not (key_fits and secret_fits):
            raise Refusal(401, "INVALID_API_KEY", "The API key or its secret is not valid.")
        if self.settings.invalidate_old_tokens_on_exchange:
            self.revoke("all")
        return self._token_object(*self._new_login(presented.api_key))

    def refresh(self, refresh_token: str) -> dict[str, object]:
        """Give a token object for a live refresh token: the same one again, unless a setting rotates it.

        Raises Refusal 401 REFRESH_TOKEN_EXPIRED for one that is unknown, revoked or too old; and 400 TOKEN_STILL_VALID
        where a setting refuses what the documentation leaves open, a refresh before the access token has expired.
        """
        login = self._logins.get(refresh_token)
        if login is None or login.expires_at <= self._clock():
            raise Refusal(401, "REFRESH_TOKEN_EXPIRED", "The refresh token has expired.")
        if self.settings.refuse_refresh_while_valid and self._lives(login.newest_access_id):
            raise Refusal(400, "TOKEN_STILL_VALID", "The access token has not expired yet.")
        if self.settings.invalidate_old_tokens_on_exchange:
            self.revoke("access")
        if self.settings.rotate_refresh_token:
            del self._logins[refresh_token]
            return self._token_object(*self._new_login(login.api_key))
        return self._token_object(refresh_token, login)

    def check_access(self, access_token: str) -> str:
        """Give the API key that a live access token belongs to; raises Refusal 401 TOKEN_EXPIRED or INVALID_TOKEN."""
        try:
            # The clock is ours, so PyJWT must not look at its own.
            options: Options = {"verify_exp": False, "verify_iat": False}
            claims = jwt.decode(access_token, self._signing_key, algorithms=["HS256"], options=options)
        except jwt.InvalidTokenError:
            raise Refusal(401, "INVALID_TOKEN", "The access token is not valid.") from None
        if self._lives(claims["jti"]):
            return self._access[claims["jti"]].api_key
        if claims["exp"] <= self._clock():
            raise Refusal(401, "TOKEN_EXPIRED", "The access token has expired.")
        raise Refusal(401, "INVALID_TOKEN", "The access token has been revoked.")

    def holder(self, refresh_token: str) -> str | None:
        """Give the API key that a refresh token belongs to, expired or not; None where nobody is known to hold it."""
        login = self._logins.get(refresh_token)
        return None if login is None else login.api_key

    def revoke(self, what: Revocable) -> None:
        """End the life of all access tokens, of all refresh tokens, or of both; `older`: of both, but the newest."""
        if what == "older":
            newest = self._newest
            self._logins = {token: login for token, login in self._logins.items() if login is newest}
            newest_id = newest.newest_access_id if newest else None
            self._access = {name: access for name, access in self._access.items() if name == newest_id}
        if what in {"access", "all"}:
            self._access.clear()
        if what in {"refresh", "all"}:
            self._logins.clear()

    def overview(self) -> dict[str, object]:
        """Give what may be shown about the newest tokens: times and numbers, no token. None where there is none."""
        now = self._clock()
        login = next((login for login in self._logins.values() if login is self._newest), None)
        access = self._access.get(self._newest.newest_access_id) if self._newest else None
        return {
            "access_token_expires_at": None if access is None else iso_time(access.expires_at),
            "refresh_token_obtained_at": None if login is None else iso_time(login.began_at),
            "refresh_token_expires_at": None if login is None else iso_time(login.expires_at),
            "live_access_tokens": sum(access.expires_at > now for access in self._access.values()),
            "live_refresh_tokens": sum(login.expires_at > now for login in self._logins.values()),
        }

    def _lives(self, access_id: str) -> bool:
        access = self._access.get(access_id)
        return access is not None and access.expires_at > self._clock()

    def _new_login(self, api_key: str) -> tuple[str, _Login]:
        now = self._clock()
        self._logins = {token: login for token, login in self._logins.items() if login.expires_at > now}
        refresh_token = secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
        self._newest = _Login(api_key, now, now + self.settings.refresh_token_lifetime_seconds)
        self._logins[refresh_token] = self._newest
        return refresh_token, self._newest

    def _token_object(self, refresh_token: str, login: _Login) -> dict[str, object]:
        now = self._clock()
        self._newest = login
        self._access = {name: access for name, access in self._access.items() if access.expires_at > now}
        lifetime = self.settings.access_token_lifetime_seconds
        login.newest_access_id = secrets.token_hex(16)
        self._access[login.newest_access_id] = _Access(login.api_key, now + lifetime)
        claims = {
            "iss": "integration-api-simulator",
            "iat": int(now),
            "exp": int(now) + lifetime,
            "jti": login.newest_access_id,
        }
        return {
            "access_token": jwt.encode(claims, self._signing_key, algorithm="HS256"),
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": lifetime,
            "expires_at": expires_at_text(
                now + lifetime + self.settings.expires_at_skew_seconds, self.settings.expires_at_format
            ),
        }


def expires_at_text(epoch_seconds: float, text_format: str) -> str:
    """Write a point in time in one of the forms in which `expires_at` has been seen, or in a form to guard against.

    `z`, `offset` and `microseconds` have been seen; `no_zone` leaves open which zone is meant (it is UTC here).
    """
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    if text_format == "offset":
        return moment.astimezone(SAMPLE_OFFSET).isoformat(timespec="seconds")
    if text_format == "microseconds":
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    plain = moment.replace(tzinfo=None).isoformat(timespec="seconds")
    return plain if text_format == "no_zone" else plain + "Z"


def _same(one: str, other: str) -> bool:
    # Bytes, because compare_digest refuses text beyond ASCII; surrogates, because JSON can hold lone ones.
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))
