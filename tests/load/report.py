"""What is printed at the end of a load run, and written beside it.

Owns the words of the table. It computes nothing that `accounting` does not say.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from tests.load.accounting import Account
from tests.load.kills import Kill
from tests.load.plan import Sort
from tests.load.settings import Settings

if TYPE_CHECKING:
    from tests.load.run import Outcome


def rows(account: Account, kills: Sequence[Kill]) -> list[tuple[str, str]]:
    """Return the table's rows: what, and how many."""
    sent, latencies = account.sent, account.latencies
    answers = ", ".join(f"{status or 'no answer'}: {count}" for status, count in sorted(account.answers.items()))
    killed = ", ".join(f"{name}: {count}" for name, count in sorted(Counter(kill.function for kill in kills).items()))
    return [
        ("sent", f"{sum(sent.values())} ({', '.join(f'{sent.get(sort, 0)} {sort.value}' for sort in Sort)})"),
        ("answers", answers),
        ("answered with 200", f"{account.accepted}, {account.distinct} of them distinct"),
        ("in the log", str(account.logged)),
        ("lost", str(account.lost)),
        ("doubled in the log", str(account.doubled)),
        ("stored, answer lost", f"{account.answers_lost} sent again, {account.stored_never_accepted} not"),
        ("forged sent / accepted", f"{sent.get(Sort.FORGED, 0)} / {account.forged_accepted}"),
        ("poisoned sent / set aside", f"{sent.get(Sort.POISONED, 0)} / {account.poisoned_dead}"),
        ("others set aside", str(account.dead_others)),
        ("processes killed", f"{len(kills)}{f' ({killed})' if killed else ''}"),
        ("events", f"{account.events}, {account.events_doubled} of them doubled, {account.events_missing} missing"),
        ("throughput", f"{account.throughput:.0f} accepted a second, for {account.seconds:.0f} s"),
        ("latency of a 200", ", ".join(f"{name} {value * 1000:.0f} ms" for name, value in latencies.items())),
    ]


def table(account: Account, kills: Sequence[Kill]) -> Table:
    """Return the table for a terminal."""
    made = Table(show_header=False)
    for row in rows(account, kills):
        made.add_row(*row)
    return made


def write(path: Path, settings: Settings, account: Account, outcome: "Outcome") -> None:
    """Write everything as JSON: the figures, and what a plot is made of."""
    figures = {
        "settings": asdict(settings),
        "account": {**asdict(account), "throughput": account.throughput, "faults": account.faults()},
        "kills": outcome.kills,
        "depths": outcome.depths,
        "attempts": [[round(each.began, 3), round(each.seconds, 4), each.status] for each in outcome.observed.attempts],
    }
    path.write_text(json.dumps(figures) + "\n", encoding="utf-8")
