"""A text that must not be seen.

Owns the type that every secret has from the moment it is read until the call that needs it. It never prints itself.
"""

import hmac
from typing import NoReturn


class Secret:
    """A text that must not be seen. It prints as `***`, compares in constant time, and cannot be pickled or hashed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself. Called where it is needed, and the result is not kept."""
        return self._value

    def reveal_bytes(self) -> bytes:
        """Return the text as UTF-8, as HMAC keys are used."""
        return self._value.encode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal_bytes(), other.reveal_bytes())

    __hash__ = None  # type: ignore[assignment]  # a hash would be a trace of the value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
