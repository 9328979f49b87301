"""Asking an operator for the members of the secrets.

Owns the questions and their order. What is secret is asked for without echo and never shown again: of what was typed,
only its length is said. It writes nothing, and whether the result can be used is the layer's to judge.
"""

import getpass
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gatehouse.gateway_secret import REQUIRED_KEYS
from gatehouse.secret_fields import FieldFault, is_set, read_text
from gatehouse.webhook_credentials import BASIC, TOKEN, Fault
from ops.secret_writer import as_text
from ops.stored_secret import GATEWAY, INTEGRATION, SET, WEBHOOKS, faults, in_words, state_of

MADE_UP_BYTES: Final = 32

Members = dict[str, Any]


class Terminal(Protocol):
    """Where questions are asked. Raises EOFError where nobody answers any more."""

    def say(self, line: str) -> None:
        """Print a line."""
        ...

    def ask(self, prompt: str) -> str:
        """Return what is typed, which may be seen."""
        ...

    def ask_hidden(self, prompt: str) -> str:
        """Return what is typed, without echo."""
        ...


class RealTerminal:
    """The operator's own."""

    def say(self, line: str) -> None:
        """See `Terminal.say`."""
        print(line, flush=True)

    def ask(self, prompt: str) -> str:
        """See `Terminal.ask`."""
        return input(prompt).strip()

    def ask_hidden(self, prompt: str) -> str:
        """See `Terminal.ask_hidden`."""
        return getpass.getpass(prompt)


def ask_gateway(terminal: Terminal, present: Mapping[str, Any]) -> Members:
    """Ask for GatewaySecret, and what becomes of the keys that are replaced."""
    members = dict(present)
    _ask_member(terminal, members, "gateway_name", hidden=False)
    for name in REQUIRED_KEYS:
        previous = f"previous_{name}"
        is_replaced = _ask_member(terminal, members, name, hidden=True) and state_of(present, name) == SET
        if is_replaced and confirm(terminal, f"  Accept the present {name} for a while, as {previous}?", default=True):
            members[previous] = present[name]
        elif is_set(members, previous) and confirm(terminal, f"  Remove {previous}?", default=False):
            del members[previous]
    return members


def ask_integration(terminal: Terminal, present: Mapping[str, Any]) -> Members:
    """Ask for IntegrationCredentials."""
    members = dict(present)
    for name in ("api_key", "secret_key"):
        _ask_member(terminal, members, name, hidden=True)
    return members


def ask_webhooks(terminal: Terminal, present: Mapping[str, Any]) -> Members:
    """Ask for changes to the sources of WebhookCredentials."""
    members = dict(present)
    while True:
        known = ", ".join(f"{name} ({_count(entry)})" for name, entry in members.items() if entry is not None)
        terminal.say(f"  Sources: {known or 'none'}")
        name = terminal.ask("  Source to add or change (empty: go on): ")
        if not name:
            return members
        if not _is_source_name(name):
            terminal.say("  A source's name has 1 to 64 letters, digits, hyphens and underscores.")
            continue
        entry = _ask_source(terminal, members.get(name))
        members.pop(name, None)
        if entry is not None:
            members[name] = entry


ASK: Final[Mapping[str, Callable[[Terminal, Mapping[str, Any]], Members]]] = {
    GATEWAY: ask_gateway,
    INTEGRATION: ask_integration,
    WEBHOOKS: ask_webhooks,
}


def confirm(terminal: Terminal, question: str, *, default: bool) -> bool:
    """Ask a yes or no; empty is the default."""
    while True:
        answer = terminal.ask(f"{question} [{'Y/n' if default else 'y/N'}] ").casefold()
        if answer in ("", "y", "yes", "n", "no"):
            return answer[0] == "y" if answer else default


def _ask_member(terminal: Terminal, members: Members, name: str, *, hidden: bool) -> bool:
    """Ask for a member until it can be used, and return whether it is another one now. Empty keeps what is there."""
    while True:
        state = state_of(members, name)
        text = _ask_text(terminal, f"  {name} ({state}; empty keeps it): ", hidden=hidden)
        if not text or text == members.get(name):
            return False
        if (fault := _fault_of(name, text)) is None:
            members[name] = text
            return True
        terminal.say(f"    {in_words(fault)}. Once more:")


def _ask_text(terminal: Terminal, prompt: str, *, hidden: bool) -> str:
    if not hidden:
        return terminal.ask(prompt)
    text = terminal.ask_hidden(prompt)
    if text:
        terminal.say(f"    {len(text)} characters")
    return text


def _fault_of(name: str, text: str) -> Fault | None:
    try:
        read_text({name: text}, name)
    except FieldFault as fault:
        return Fault(fault.field, fault.reason)
    return None


def _ask_source(terminal: Terminal, present: object) -> Members | None:
    """Ask for changes to a source, None where it is to be removed."""
    entry: Members = dict(present) if isinstance(present, dict) else {}
    credentials = entry.get("authentication")
    entry["authentication"] = credentials = list(credentials) if isinstance(credentials, list) else []
    if not credentials:
        credentials.append(_ask_credential(terminal))
    while True:
        terminal.say("    " + "  ".join(f"{place}: {_kind(each)}" for place, each in enumerate(credentials, 1)))
        match terminal.ask(
            "    a adds a credential, r removes one, h sets headers, d deletes the source (empty: done): "
        ):
            case "a":
                # At the end: the newest is what show-webhook shows.
                credentials.append(_ask_credential(terminal))
            case "r":
                _remove(terminal, credentials)
            case "h":
                for name in ("token_header", "delivery_id_header"):
                    _ask_header(terminal, entry, name)
            case "d":
                return None
            case "":
                return entry


def _ask_credential(terminal: Terminal) -> Members:
    while True:
        match terminal.ask("    Type of the credential, 1 (Basic) or 2 (token): "):
            case "1":
                username = terminal.ask("    username: ")
                return {"type": BASIC, "username": username, "password": _ask_or_make_up(terminal, "password")}
            case "2":
                return {"type": TOKEN, "token": _ask_or_make_up(terminal, "token")}


def _ask_or_make_up(terminal: Terminal, name: str) -> str:
    while True:
        text = _ask_text(terminal, f"    {name} (empty: one is made up): ", hidden=True)
        if not text:
            terminal.say(f"    {name} made up; `make show-webhook … SHOW_SECRETS=1` shows it for the sender")
            return secrets.token_hex(MADE_UP_BYTES)
        if (fault := _fault_of(name, text)) is None:
            return text
        terminal.say(f"    {in_words(fault)}. Once more:")


def _remove(terminal: Terminal, credentials: list[Any]) -> None:
    if len(credentials) == 1:
        terminal.say("    It is the last one: add another first, or delete the source.")
        return
    place = terminal.ask(f"    Which one, 1 to {len(credentials)} (empty: none)? ")
    if place.isascii() and place.isdecimal() and 1 <= int(place) <= len(credentials):
        del credentials[int(place) - 1]


def _ask_header(terminal: Terminal, entry: Members, name: str) -> None:
    state = SET if is_set(entry, name) else "not set"
    text = terminal.ask(f"    {name} ({state}; empty keeps it, - removes it): ")
    if text == "-":
        entry.pop(name, None)
    elif text:
        entry[name] = text


def _is_source_name(name: str) -> bool:
    """Ask the layer, with an entry that has no fault of its own."""
    return not faults(WEBHOOKS, as_text({name: {"authentication": [{"type": TOKEN, "token": "x"}]}}), allow_short=True)


def _count(entry: object) -> str:
    credentials = entry.get("authentication") if isinstance(entry, dict) else None
    return f"{len(credentials)} credential(s)" if isinstance(credentials, list) else "cannot be used"


def _kind(credential: object) -> str:
    kind = credential.get("type") if isinstance(credential, dict) else None
    return {BASIC: "Basic", TOKEN: "token"}.get(kind, "cannot be used") if isinstance(kind, int) else "cannot be used"
