"""From the secrets that are there, and those that an operator wants, to what is to be written.

Owns reading a file of secrets, and saying what is there and what changes: by the names of the members, never a value.
"""

import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local import secrets_file
from ops.deployment import Deployment
from ops.program import WrongUsage
from ops.secret_writer import Change, as_text
from ops.stored_secret import FIELDS, MISSING, OUTPUTS, WEBHOOKS, StoredSecret, faults, in_words, state_of

Stored = Mapping[str, StoredSecret]
Wanted = dict[str, Mapping[str, Any]]


def read_file(name: str) -> Wanted:
    """Return the secrets that a file, or stdin, names. Raises WrongUsage."""
    found: list[str] = []
    try:
        text = sys.stdin.read() if name == "-" else _read_private(Path(name).expanduser())
    except OSError as error:
        raise WrongUsage(f"FILE cannot be read: {error.strerror}.") from None
    except ValueError:
        raise WrongUsage("FILE is not UTF-8.") from None
    wanted = secrets_file.parse(text, "FILE", found)
    if not found and not wanted:
        found.append("FILE names no secret")
    if found:
        raise WrongUsage("\n".join(f"{fault}." for fault in found))
    return wanted


def _read_private(path: Path) -> str:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        text = f"Careful: {path} can be read by others on this machine (chmod 600), and outlives this command."
        print(text, file=sys.stderr, flush=True)
    return path.read_text(encoding="utf-8")


def show(stored: Stored) -> None:
    """Print what is there, by the names of the members."""
    for name, each in stored.items():
        members = each.members
        if name == WEBHOOKS:
            sources = [source for source, entry in members.items() if entry is not None]
            said = f"sources: {', '.join(sources) or 'none'}"
        else:
            said = ", ".join(
                f"{field}: {state}"
                for field in FIELDS[name]
                if (state := state_of(members, field)) != MISSING or not field.startswith("previous_")
            )
        print(f"  {name:24}{said}")


def unusable(wanted: Wanted, *, allow_short: bool) -> list[str]:
    """Return what is wrong with the secrets of a file."""
    return [
        f"{name}: {in_words(fault)}"
        for name, members in wanted.items()
        for fault in faults(name, as_text(members), allow_short=allow_short)
    ]


def changes(deployment: Deployment, stored: Stored, wanted: Wanted, *, allow_short: bool) -> list[Change]:
    """Return what is to be written: what is something else now, and what was nothing that could be read."""
    return [
        Change(name, deployment.output(OUTPUTS[name]), stored[name].version_id, text)
        for name, members in wanted.items()
        if members != stored[name].members
        or (not stored[name].is_object and not faults(name, as_text(members), allow_short=allow_short))
        for text in [as_text(members)]
    ]


def say_changes(to_write: list[Change], stored: Stored, wanted: Wanted, say: Callable[[str], object]) -> None:
    """Say what is to be written, by the names of the members. Those of a file that nobody reads are only counted."""
    for change in to_write:
        present, new = stored[change.name].members, wanted[change.name]
        known = FIELDS.get(change.name, sorted(present.keys() | new.keys()))
        changed = [each if each in new else f"{each} (removed)" for each in known if present.get(each) != new.get(each)]
        unread = len(new.keys() - set(known))
        changed += [f"{unread} member(s) that nobody reads"] if unread else []
        say(f"  {change.name}: {', '.join(changed) or 'nothing that is read'}")
