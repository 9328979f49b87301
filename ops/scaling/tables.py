"""The model's figures as Markdown tables.

Owns the form of the figures: how many digits, which unit.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from ops.document_tables import Tables, table
from ops.scaling import assumed, limits, model, published
from ops.scaling.assumed import Function
from ops.scaling.limits import Limit
from ops.scaling.model import Load


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


def prices() -> str:
    """Every price with its page."""
    return table(
        ("what", "price", "page"),
        [(each.item, f"{price(each.dollars)} per {each.per}", f"<{each.source}>") for each in published.PRICES],
    )


def quotas() -> str:
    """Every quota with its page."""
    return table(
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
    return table(
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
    return table(
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
    return table(("requests a second", "concurrency quota needed", "from nothing to there within"), rows)


def _limits(found: Sequence[Limit]) -> str:
    """Every limit, in the order in which they are hit."""
    rows = []
    for each in found:
        marks = ["**hit**" if each.rate < rate else "" for rate in assumed.RATES]
        rows.append((each.name, _rate(each.rate), *marks, each.then, each.raise_by))
    head = ("limit", "reached at, a second", *(_rate(rate) for rate in assumed.RATES), "what happens then", "raised by")
    return table(head, rows)


def _costs(loads: Mapping[str, Load]) -> str:
    """What a month costs by service, for several loads side by side."""
    months = [model.month(load) for load in loads.values()]
    rows = [(service, *(dollars(each[service]) for each in months)) for service in months[0]]
    rows.append(("**together**", *(f"**{dollars(sum(each.values()))}**" for each in months)))
    return table(("service", *loads), rows)


def sessions_cost() -> str:
    """A month of guest tokens at each rate."""
    return _costs({f"{_rate(rate)}/s": Load(guests=rate) for rate in assumed.RATES})


def webhooks_cost() -> str:
    """A month of deliveries at each rate."""
    return _costs({f"{_rate(rate)}/s": Load(deliveries=rate) for rate in assumed.RATES})


def typical() -> str:
    """A month of a typical company, and of a stack that nobody uses."""
    return _costs({"typical": model.of_company(assumed.TYPICAL), "idle": Load()})


TABLES: Final[Tables] = {
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
