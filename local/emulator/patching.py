"""How a patch replaces a function of MiniStack, and only the one it was written for.

Owns the check that what is replaced is still what it was: a patch of a private function is right for one version of
it, and a silent misfit would be found as a strange behaviour of some test. Never decides what is patched.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.emulator import patches
from local.emulator.settings import Settings

type Wrapper = Callable[..., Any]
"""Takes the function that it replaces, then that function's own arguments."""

_DIGEST_CHARACTERS = 16


class PatchDoesNotFit(Exception):
    """MiniStack has changed what a patch replaces. Names the patch, the function and the version."""


@dataclass(frozen=True, slots=True)
class Patcher:
    """Applies one patch."""

    name: str
    settings: Settings

    def wrap(self, owner: object, attribute: str, digest: str, wrapper: Wrapper) -> None:
        """Put `wrapper` in the place of a function of a module or class; PatchDoesNotFit if that is another one now."""
        place = getattr(owner, "__name__", repr(owner))
        setattr(
            owner, attribute, self._wrapped(getattr(owner, attribute, None), f"{place}.{attribute}", digest, wrapper)
        )

    def wrap_item(self, table: dict[str, Any], key: str, digest: str, wrapper: Wrapper) -> None:
        """Do the same for a function in a table of functions, such as CloudFormation's handlers of a resource type."""
        table[key] = self._wrapped(table.get(key), f"handler {key!r}", digest, wrapper)

    def _wrapped(self, original: object, place: str, digest: str, wrapper: Wrapper) -> Wrapper:
        if not callable(original):
            raise PatchDoesNotFit(f"{self._what_failed()}: {place} is not there.")
        found = source_digest(original)
        if found != digest:
            raise PatchDoesNotFit(
                f"{self._what_failed()}: the source of {place} has the digest {found}, and the patch was written for "
                f"{digest}. See whether the patch is still needed and still right, then adapt or remove it."
            )
        function = original

        @functools.wraps(function)
        def replacement(*args: object, **keywords: object) -> object:
            return wrapper(function, *args, **keywords)

        return replacement

    def _what_failed(self) -> str:
        return f"Patch '{self.name}' does not fit MiniStack {importlib.metadata.version('ministack')}"


def source_digest(function: Wrapper) -> str:
    """Return the start of the SHA-256 of a function's source text, that of the original where it was wrapped before."""
    source = inspect.getsource(inspect.unwrap(function))
    return hashlib.sha256(source.encode()).hexdigest()[:_DIGEST_CHARACTERS]


def apply_all(settings: Settings) -> None:
    """Apply every patch that is not disabled, in their order; raises PatchDoesNotFit. Imports MiniStack."""
    for name, module in patches.MODULES.items():
        if name not in settings.disabled_patches:
            importlib.import_module(module).apply(Patcher(name, settings))
