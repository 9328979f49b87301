"""`make configure`: fill in the secrets, have them judged, write them, and run the first tick.

Owns the order: everything is asked for and judged before anything is written, and what is written is either asked for
on a terminal or read from a file. It never shows or logs a value.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from gatehouse.http_transport import HttpTransport
from gatehouse.secrets import CACHE_SECONDS
from ops.deployment import Deployment
from ops.findings import State
from ops.first_tick import first_tick
from ops.look import Look
from ops.outcomes import MEANINGS
from ops.program import DONE, NOT_DONE, WRONG, OpenDeployment, Variables, WrongUsage, run
from ops.secret_changes import Stored, Wanted, changes, read_file, say_changes, show, unusable
from ops.secret_questions import ASK, RealTerminal, Terminal, confirm
from ops.secret_writer import Change, ChangedMeanwhile, as_text, write
from ops.stored_secret import INTEGRATION, OUTPUTS, WEBHOOKS, allows_short, faults, in_words

USAGE: Final = "make configure [FILE=<secrets.json>|-] [STAGE=…]"

EXTENSION_SECONDS: Final = 180
"""How long the secrets extension keeps a secret (SECRETS_MANAGER_TTL in the template)."""


def ask(terminal: Terminal, stored: Stored, *, allow_short: bool) -> Wanted:
    """Ask for every secret until it can be used, or is left as it is."""
    wanted: Wanted = {}
    for name, each in stored.items():
        terminal.say(f"\n{name}")
        present = members = each.members
        while True:
            # Keys are asked for anew; what was entered of the sources is long and stays.
            members = ASK[name](terminal, members if name == WEBHOOKS else present)
            found = faults(name, as_text(members), allow_short=allow_short)
            if members == present or not found:
                break
            terminal.say(f"  This cannot be used: {'; '.join(map(in_words, found))}. Once more:")
        if found:
            terminal.say(f"  It stays as it is, and cannot be used: {'; '.join(map(in_words, found))}.")
        wanted[name] = members
    return wanted


def _write(look: Look, to_write: list[Change]) -> bool:
    """Write, say what was, and return whether all was."""
    try:
        write(look.client("secretsmanager"), to_write)
    except ChangedMeanwhile as error:
        done = f"Written: {', '.join(error.written)}. The rest was not." if error.written else "Nothing was written."
        _say_error(f"Somebody else has changed {error.name} in the meantime. {done} Run it again.")
        return False
    is_cached = look.deployment.parameters.get("SecretsExtension") != "off"
    minutes = (CACHE_SECONDS + (EXTENSION_SECONDS if is_cached else 0)) // 60
    print(f"Written: {', '.join(change.name for change in to_write)}. In use within {minutes} minute(s).", flush=True)
    return True


def _tick(look: Look, sleep: Callable[[float], object], *, new_credentials: bool) -> int:
    """Run the first tick, say what came of it, and return the exit code."""
    print("Running refresh_tokens …", flush=True)
    outcomes = first_tick(look, sleep)
    last = MEANINGS[outcomes[-1]]
    for name, outcome in zip(("refresh_tokens", "authenticate"), outcomes, strict=False):
        print(f"  {name}: {outcome} ({MEANINGS[outcome].text})")
    if last.state is State.OK:
        if new_credentials and len(outcomes) == 1:
            function = look.deployment.output("AuthenticateFunctionName")
            command = f"aws lambda invoke --function-name {function} /dev/stdout"
            print("  The stored tokens are good, so the new credentials have not been tried yet. To try them now:")
            print(f"    {'make invoke FUNCTION=authenticate' if look.is_local else command}")
        print(f"Next: {look.command('doctor')}")
        return DONE
    print(f"  {last.todo.format(configure=look.command('configure'))}")
    print(f"See {look.command('status')} and {look.command('doctor')}.")
    return NOT_DONE


def _say_error(text: str) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def _ask(terminal: Terminal, stored: Stored, deployment: Deployment) -> tuple[Wanted, list[Change]] | None:
    """Ask, and have it confirmed; None where it is not. Nothing has been written when it is interrupted."""
    allow_short = allows_short(deployment)
    try:
        terminal.say("Empty keeps what is there. What is secret is not shown while you type.")
        wanted = ask(terminal, stored, allow_short=allow_short)
        to_write = changes(deployment, stored, wanted, allow_short=allow_short)
        terminal.say("\nTo be written:" if to_write else "\nNothing is to be written.")
        say_changes(to_write, stored, wanted, terminal.say)
        if not to_write or confirm(terminal, "Write this?", default=True):
            return wanted, to_write
    except (EOFError, KeyboardInterrupt) as ended:
        terminal.say("\nNothing was written.")
        if isinstance(ended, KeyboardInterrupt):
            raise
        return None
    terminal.say("Nothing was written.")
    return None


def _configure(look: Look, wanted: Wanted | None, terminal: Terminal, sleep: Callable[[float], object]) -> int:
    deployment = look.deployment
    allow_short = allows_short(deployment)
    stored = {name: look.secret(output) for name, output in OUTPUTS.items()}
    show(stored)
    if wanted is None:
        if (answered := _ask(terminal, stored, deployment)) is None:
            return NOT_DONE
        wanted, to_write = answered
    elif found := unusable(wanted, allow_short=allow_short):
        _say_error("\n".join(["FILE cannot be used, and nothing of it was written:", *(f"  {each}" for each in found)]))
        return WRONG
    else:
        to_write = changes(deployment, stored, wanted, allow_short=allow_short)
        print("To be written:" if to_write else "Nothing is to be written: it is there already.")
        say_changes(to_write, stored, wanted, print)
    if to_write and not _write(look, to_write):
        return NOT_DONE
    if faults(INTEGRATION, as_text(wanted.get(INTEGRATION, stored[INTEGRATION].members)), allow_short=allow_short):
        print("IntegrationCredentials cannot be used yet: there is nothing to refresh.")
        return DONE
    return _tick(look, sleep, new_credentials=INTEGRATION in {change.name for change in to_write})


def main(
    environment: Mapping[str, str],
    open_deployment: OpenDeployment = Deployment.open,
    terminal: Terminal | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Configure what the variables ask for, and return the exit code."""

    def work() -> int:
        variables = Variables(environment)
        file = variables.text("FILE")
        wanted = read_file(file) if file else None
        if wanted is None and terminal is None and not sys.stdin.isatty():
            raise WrongUsage("There is no terminal to ask on: name a FILE, or - for stdin.")
        deployment = open_deployment(variables.stage)
        print(deployment.title, flush=True)
        with Look(deployment, HttpTransport(), time.time) as look:
            return _configure(look, wanted, terminal or RealTerminal(), sleep)

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
