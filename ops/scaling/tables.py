"""The model's figures as Markdown tables, and putting them into a document between marks.

Owns the form of the figures: how many digits, which unit.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ops.scaling import assumed, limits, model, published
from ops.scaling.assumed import Function
from ops.scaling.limits import Limit
from ops.scaling.model import Load

_FIGURE: Final = re.compile(r"(\*\*)?\$?[\d,.]+( (ms|s|MB))?(\*\*)?")


class NoPlace(Exception):
    """A document has no marks for a table. The text names it."""


def dollars(value: float) -> str:
    """Return an amount: cents where they matter."""
    return f"${value:,.2f}" if value < 100 else f"${value:,.0f}"  # noqa: PLR2004 - where cents cease to matter


def number(value: float) -> str:
    """Return a count: two digits that mean something."""
    if value < 10:  # noqa: PLR2004 - below, a digit after the point says something
        return f"{value:.2g}"
    return f"{value:,.0f}"


def price(value: float) -> str:
    """Return a price, with all of its digits."""
    whole, _, cents = f"{value:.10f}".rstrip("0").partition(".")
    return f"${whole}.{cents.ljust(2, '0')}"


def _rate(value: float) -> str:
    return f"{value:,.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in which columns of figures are flush right."""
    lines = list(rows)
    are_figures = [all(_FIGURE.fullmatch(row[column]) for row in lines) for column in range(len(head))]
    rule = ["---:" if figures else "---" for figures in are_figures]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines)) + "\n"


def prices() -> str:
    """Every price with its page."""
    return _table(
        ("what", "price", "page"),
        [(each.item, f"{price(each.dollars)} per {each.per}", f"<{each.source}>") for each in published.PRICES],
    )


def quotas() -> str:
    """Every quota with its page."""
    return _table(
        ("what", "default", "can be raised", "page"),
        [
            (
                each.item,
                f"{each.value:,g} {each.unit}".strip(),
                "yes" if each.raising == "adjustable" else "no",
                f"<{each.source}>",
            )
            for each in published.QUOTAS
        ],
    )


def functions() -> str:
    """What an invocation of each function takes."""
    return _table(
        ("function", "basis", "init", "first invocation", "warm", "AWS calls waited for"),
        [
            (
                f"`{each.name.replace(', ', '`, `')}`",
                each.basis,
                f"{each.init_ms:g} ms",
                f"{each.first_ms:g} ms",
                f"{each.warm_ms:g} ms",
                f"{each.aws_calls:g}",
            )
            for each in assumed.FUNCTIONS
        ],
    )


def by_memory(function: Function) -> str:
    """Durations, environments and money of one function, by memory size and rate."""
    rates = assumed.RATES
    head = ["memory", "warm", "cold"]
    head += [f"at work at {_rate(rate)}/s" for rate in rates] + [f"a month at {_rate(rate)}/s" for rate in rates]
    return _table(
        head,
        [
            (
                f"{memory} MB",
                f"{model.warm_ms(function, memory):.1f} ms",
                f"{model.cold_ms(function, memory):,.0f} ms",
                *(number(model.at_work(function, rate, memory)) for rate in rates),
                *(dollars(model.compute_dollars(function, rate * assumed.MONTH_SECONDS, memory)) for rate in rates),
            )
            for memory in assumed.MEMORY_SIZES_MB
        ],
    )


def concurrency() -> str:
    """The quota that a rate needs, and how long Lambda takes to get there."""
    rows = []
    for rate in assumed.RATES:
        needed = max(model.quota_needed(each, rate) for each in (assumed.GUEST, assumed.RECEIVE))
        rows.append((_rate(rate), f"{needed:,}", f"{model.ramp_seconds(needed)} s"))
    return _table(("requests a second", "concurrency quota needed", "from nothing to there within"), rows)


def _limits(found: Sequence[Limit]) -> str:
    """Every limit, in the order in which they are hit."""
    rows = []
    for each in found:
        marks = ["**hit**" if each.rate < rate else "" for rate in assumed.RATES]
        rows.append((each.name, _rate(each.rate), *marks, each.then, each.raise_by))
    head = ("limit", "reached at, a second", *(_rate(rate) for rate in assumed.RATES), "what happens then", "raised by")
    return _table(head, rows)


def _costs(loads: Mapping[str, Load]) -> str:
    """What a month costs by service, for several loads side by side."""
    months = [model.month(load) for load in loads.values()]
    rows = [(service, *(dollars(each[service]) for each in months)) for service in months[0]]
    rows.append(("**together**", *(f"**{dollars(sum(each.values()))}**" for each in months)))
    return _table(("service", *loads), rows)


def sessions_cost() -> str:
    """A month of guest tokens at each rate."""
    return _costs({f"{_rate(rate)}/s": Load(guests=rate) for rate in assumed.RATES})


def webhooks_cost() -> str:
    """A month of deliveries at each rate."""
    return _costs({f"{_rate(rate)}/s": Load(deliveries=rate) for rate in assumed.RATES})


def typical() -> str:
    """A month of a typical company, and of a stack that nobody uses."""
    return _costs({"typical": model.of_company(assumed.TYPICAL), "idle": Load()})


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "typical": typical,
    "functions": functions,
    "guest": lambda: by_memory(assumed.GUEST),
    "webhook": lambda: by_memory(assumed.RECEIVE),
    "concurrency": concurrency,
    "session-limits": lambda: _limits(limits.of_sessions()),
    "webhook-limits": lambda: _limits(limits.of_webhooks()),
    "sessions-cost": sessions_cost,
    "webhooks-cost": webhooks_cost,
    "prices": prices,
    "quotas": quotas,
}


def put_into(document: str) -> str:
    """Return the document with every table that it has marks for as the model has it. Raises NoPlace."""
    for name, render in TABLES.items():
        marks = re.compile(rf"(?<=<!-- {name} -->\n)(?s:.*?)(?=<!-- end of {name} -->)")
        if not marks.search(document):
            raise NoPlace(f"there is no place for the table {name}")
        text = render()
        document = marks.sub(lambda _, text=text: text, document, count=1)  # type: ignore[misc]  # bound at once
    return document
