"""Every row of the tables in the docstring of `token_policy`, with its boundaries."""

import re
from dataclasses import replace
from typing import NamedTuple

import pytest

from gatehouse import token_policy
from gatehouse.exchange_answer import ExchangeAnswer, Refused, Unauthorized, Unavailable
from gatehouse.integration_tokens import IntegrationTokens
from gatehouse.secret_value import Secret
from gatehouse.token_policy import (
    Keep,
    LookAgain,
    Nothing,
    Reauthenticate,
    Refresh,
    Store,
    has_no_effect,
    is_refresh_token_old,
    on_authenticate_answer,
    on_refresh_answer,
    on_refresh_rejected,
    on_tick,
)
from tests.support.token_fakes import DAY_SECONDS, HOUR_SECONDS, MARGIN_SECONDS, make_grant, make_tokens

NOW = 1_800_000_000.0
SIX_DAYS = 6 * DAY_SECONDS


class Tick(NamedTuple):
    left: float | None  # None: no tokens
    age: float  # of the refresh token
    next: object
    is_unsettled: bool = False


TICKS = {
    "none": [Tick(None, 0, Reauthenticate("no_tokens"))],
    "access token with more than the margin left, refresh token younger than 6 days": [
        Tick(HOUR_SECONDS, 0, Nothing()),
        Tick(MARGIN_SECONDS + 1, 0, Nothing()),
        Tick(HOUR_SECONDS, SIX_DAYS - 1, Nothing()),
        Tick(MARGIN_SECONDS + 1, SIX_DAYS - 1, Nothing()),
        Tick(HOUR_SECONDS, -HOUR_SECONDS, Nothing()),  # a clock that went back
    ],
    "access token with more than the margin left, refresh token of 6 days or more": [
        Tick(HOUR_SECONDS, SIX_DAYS, Reauthenticate("refresh_token_old")),
        Tick(MARGIN_SECONDS + 1, SIX_DAYS, Reauthenticate("refresh_token_old")),
        Tick(HOUR_SECONDS, SIX_DAYS + 1, Reauthenticate("refresh_token_old")),
        Tick(HOUR_SECONDS, 30 * DAY_SECONDS, Reauthenticate("refresh_token_old")),
    ],
    "access token with more than the margin left, an exchange without a known end": [
        Tick(HOUR_SECONDS, 0, Reauthenticate("exchange_unsettled"), is_unsettled=True),
        Tick(MARGIN_SECONDS + 1, 0, Reauthenticate("exchange_unsettled"), is_unsettled=True),
        Tick(HOUR_SECONDS, SIX_DAYS, Reauthenticate("exchange_unsettled"), is_unsettled=True),
    ],
    "access token with the margin or less left, or expired": [
        Tick(MARGIN_SECONDS, 0, Refresh(), is_unsettled=True),
        Tick(MARGIN_SECONDS, 0, Refresh()),
        Tick(MARGIN_SECONDS - 1, 0, Refresh()),
        Tick(1, 0, Refresh()),
        Tick(0, 0, Refresh()),
        Tick(-1, 0, Refresh()),
        Tick(-DAY_SECONDS, 0, Refresh()),
        Tick(MARGIN_SECONDS, SIX_DAYS - 1, Refresh()),
        Tick(MARGIN_SECONDS, SIX_DAYS, Refresh()),
        Tick(-DAY_SECONDS, 30 * DAY_SECONDS, Refresh()),
    ],
}


def stored_with(left: float = 60, age: float = DAY_SECONDS) -> IntegrationTokens:
    return make_tokens(NOW, left=left, refresh_token_age=age)


class Answered(NamedTuple):
    left: float
    answer: ExchangeAnswer
    next: object


GRANT = make_grant(NOW - 2)


def stored_from_grant(refresh_token: str, obtained_at: float, left: float = HOUR_SECONDS - 2) -> Store:
    return Store(
        IntegrationTokens(Secret("access-granted"), Secret(refresh_token), "Bearer", NOW + left, NOW - 2, obtained_at)
    )


NO_HELP = [
    "status_429",
    "status_500",
    "status_503",
    "timeout",
    "connect",
    "not_json",
    "already_expired",
    "no_time",
    "status_302",
]

REFRESH_ANSWERS = {
    "tokens that are valid": [
        Answered(60, GRANT, stored_from_grant("refresh-stored", NOW - DAY_SECONDS)),
        Answered(-60, GRANT, stored_from_grant("refresh-stored", NOW - DAY_SECONDS)),
        Answered(60, make_grant(NOW - 2, refresh_token="refresh-other"), stored_from_grant("refresh-other", NOW - 2)),
        *(
            Answered(
                left, replace(GRANT, expires_at=NOW + new), stored_from_grant("refresh-stored", NOW - DAY_SECONDS, new)
            )
            for left, new in ((60, 30), (60, 31), (10, 10), (-1, 1))
        ),
    ],
    "tokens that work for less than 30 seconds, and less than the stored ones": [
        Answered(60, replace(GRANT, expires_at=NOW + 1), Keep("expires_too_soon")),
        Answered(60, replace(GRANT, expires_at=NOW + 29.9), Keep("expires_too_soon")),
        Answered(10, replace(GRANT, expires_at=NOW + 9), Keep("expires_too_soon")),
    ],
    "401, whatever its code": [Answered(60, Unauthorized(), LookAgain()), Answered(-60, Unauthorized(), LookAgain())],
    "another refusal (4xx), while the access token works": [
        Answered(60, Refused("status_400"), Keep("status_400")),
        Answered(1, Refused("status_403"), Keep("status_403")),
    ],
    "another refusal (4xx), when it does not work any more": [
        Answered(0, Refused("status_400"), Reauthenticate("refresh_refused")),
        Answered(-1, Refused("status_404"), Reauthenticate("refresh_refused")),
    ],
    "429, 5xx, no answer, nonsense": [
        Answered(left, Unavailable(reason), Keep(reason)) for reason in NO_HELP for left in (60, 0, -60)
    ],
}

AUTHENTICATE_ANSWERS = {
    "tokens that are valid": [
        Answered(60, GRANT, stored_from_grant("refresh-stored", NOW - 2)),
        Answered(60, make_grant(NOW - 2, refresh_token="refresh-other"), stored_from_grant("refresh-other", NOW - 2)),
    ],
    "401": [Answered(60, Unauthorized(), LookAgain())],
    "anything else": [
        *(Answered(60, Refused(reason), Keep(reason)) for reason in ("status_400", "status_403", "status_404")),
        *(Answered(60, Unavailable(reason), Keep(reason)) for reason in NO_HELP),
    ],
}


@pytest.mark.parametrize("tick", [pytest.param(tick, id=row) for row, ticks in TICKS.items() for tick in ticks])
def test_a_tick_does_what_the_table_says(tick: Tick) -> None:
    stored = None if tick.left is None else stored_with(tick.left, tick.age)
    assert on_tick(stored, NOW, MARGIN_SECONDS, is_unsettled=tick.is_unsettled) == tick.next


def test_the_margin_is_the_operators() -> None:
    assert on_tick(stored_with(61), NOW, 60) == Nothing()
    assert on_tick(stored_with(60), NOW, 60) == Refresh()


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=row) for row, cases in REFRESH_ANSWERS.items() for case in cases]
)
def test_an_answer_to_a_refresh_is_followed_by_what_the_table_says(case: Answered) -> None:
    assert on_refresh_answer(stored_with(case.left), NOW, case.answer) == case.next


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=row) for row, cases in AUTHENTICATE_ANSWERS.items() for case in cases]
)
def test_an_answer_to_authenticate_is_followed_by_what_the_table_says(case: Answered) -> None:
    assert on_authenticate_answer(case.answer) == case.next


def test_a_401_with_the_same_tokens_still_stored_asks_for_authenticate() -> None:
    assert on_refresh_rejected() == Reauthenticate("refresh_rejected")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Unauthorized(), True),
        (Refused("status_400"), True),
        (Unavailable("status_503", may_have_happened=False), True),
        (Unavailable("timeout"), False),
        (GRANT, False),
    ],
)
def test_only_an_answer_that_says_so_is_no_effect(answer: ExchangeAnswer, expected: bool) -> None:
    assert has_no_effect(answer) is expected


@pytest.mark.parametrize(("age", "is_old"), [(SIX_DAYS - 1, False), (SIX_DAYS, True), (SIX_DAYS + 1, True)])
@pytest.mark.parametrize("left", [HOUR_SECONDS, 0])
def test_a_refresh_token_is_old_from_day_6_on(left: float, age: float, is_old: bool) -> None:
    assert is_refresh_token_old(stored_with(left, age), NOW) is is_old


def test_every_row_of_the_docstrings_tables_has_a_case() -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", token_policy.__doc__ or "", re.MULTILINE)
    rows = [[line.strip("| ").split(" | ")[0] for line in table.splitlines()[2:]] for table in tables]
    assert rows == [list(TICKS), list(REFRESH_ANSWERS), list(AUTHENTICATE_ANSWERS)]
    assert sum(map(len, rows)) == 14
    assert all([*TICKS.values(), *REFRESH_ANSWERS.values(), *AUTHENTICATE_ANSWERS.values()])
