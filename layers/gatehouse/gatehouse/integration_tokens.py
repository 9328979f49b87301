"""The Integration API's tokens, as kept in the secret `IntegrationTokens`.

Owns the value and its form as JSON. It never judges whether a token should be renewed: that is `token_policy`.
"""

import json
from dataclasses import dataclass

from gatehouse import iso8601
from gatehouse.secret_value import Secret


class TokensUnreadable(ValueError):
    """The text is neither tokens nor the empty object. Says which member is at fault, never a value."""


@dataclass(frozen=True, slots=True)
class IntegrationTokens:
    """One set of tokens. Times are epoch seconds."""

    access_token: Secret
    refresh_token: Secret
    token_type: str
    expires_at: float  # the effective expiry of the access token
    access_token_obtained_at: float
    refresh_token_obtained_at: float  # its 7 days run from here: nothing that the upstream answers reports them

    def is_valid(self, now: float) -> bool:
        """Whether the access token is still alive."""
        return now < self.expires_at


_TEXTS = ("access_token", "refresh_token", "token_type")
_TIMES = ("expires_at", "access_token_obtained_at", "refresh_token_obtained_at")


def parse_tokens(text: Secret) -> IntegrationTokens | None:
    """Read the secret; None where there are none yet (`{}`). Raises `TokensUnreadable`."""
    try:
        members = json.loads(text.reveal())
    except (ValueError, RecursionError):
        raise TokensUnreadable("not_json") from None
    if not isinstance(members, dict):
        raise TokensUnreadable("not_an_object")
    if not members:
        return None
    for name in (*_TEXTS, *_TIMES):
        if not isinstance(members.get(name), str) or not members[name].strip():
            raise TokensUnreadable(name)
    times = {}
    for name in _TIMES:
        try:
            times[name] = iso8601.parse(members[name])
        except ValueError:
            raise TokensUnreadable(name) from None
    return IntegrationTokens(
        Secret(members["access_token"]), Secret(members["refresh_token"]), members["token_type"], **times
    )


def render_tokens(tokens: IntegrationTokens) -> Secret:
    """Return the secret's text for a set of tokens."""
    members = {
        "access_token": tokens.access_token.reveal(),
        "refresh_token": tokens.refresh_token.reveal(),
        "token_type": tokens.token_type,
        **{name: iso8601.render(getattr(tokens, name)) for name in _TIMES},
    }
    return Secret(json.dumps(members))
