import pytest

from gatehouse.connection_policy import (
    GRACE_SECONDS,
    Pending,
    check_details,
    check_owner,
    check_repetition,
    check_time,
)
from gatehouse.problems import (
    TransactionExpired,
    TransactionMismatch,
    TransactionNotCompleted,
    TransactionUnknown,
    TransactionUsed,
)
from gatehouse.smallcase_answer import Details

ASHA = "USER#https://auth.example.com#asha"
PENDING = Pending(ASHA, 1_800_000_000, None)


def test_a_transaction_of_ones_own_is_ones_own() -> None:
    assert check_owner(PENDING, ASHA) is PENDING


@pytest.mark.parametrize(
    "pending", [None, Pending(ASHA + "x", 1, None), Pending(ASHA[:-1], 1, None), Pending("", 1, "")]
)
def test_a_transaction_of_nobody_or_of_somebody_else_is_unknown(pending: Pending | None) -> None:
    with pytest.raises(TransactionUnknown):
        check_owner(pending, ASHA)


def test_a_used_transaction_stands_for_what_its_user_still_holds() -> None:
    check_repetition("id", "id", "id")


@pytest.mark.parametrize(
    ("used_for", "shown", "held"),
    [("id", "id", None), ("id", "id", "other"), ("id", "other", "id"), ("id", "other", "other"), ("a", "b", "c")],
)
def test_a_used_transaction_stands_for_nothing_else(used_for: str, shown: str, held: str | None) -> None:
    with pytest.raises(TransactionUsed):
        check_repetition(used_for, shown, held)


def test_fifteen_minutes_are_left_past_the_expiry() -> None:
    assert GRACE_SECONDS == 900
    check_time(PENDING, PENDING.expire_at + 899.9)


@pytest.mark.parametrize("late", [900, 900.1, 10**9])
def test_after_fifteen_minutes_a_transaction_has_expired(late: float) -> None:
    with pytest.raises(TransactionExpired):
        check_time(PENDING, PENDING.expire_at + late)


def test_a_completed_transaction_of_this_id_is_proof() -> None:
    check_details(Details("COMPLETED", "id", None), "id")


@pytest.mark.parametrize("other", [None, "ID", "id ", "other"])
def test_a_completed_transaction_of_another_id_is_none(other: str | None) -> None:
    with pytest.raises(TransactionMismatch):
        check_details(Details("COMPLETED", other, None), "id")


@pytest.mark.parametrize("smallcase_auth_id", ["id", "other", None])
def test_what_the_gateway_calls_expired_has_expired(smallcase_auth_id: str | None) -> None:
    with pytest.raises(TransactionExpired):
        check_details(Details("EXPIRED", smallcase_auth_id, None), "id")


@pytest.mark.parametrize(
    "status",
    [
        "INITIALIZED",
        "USED",
        "PROCESSING",
        "ACTION_REQUIRED",
        "ERRORED",
        "CANCELLED",
        "",
        "completed",
        "COMPLETED ",
        "X",
    ],
)
@pytest.mark.parametrize("smallcase_auth_id", ["id", "other", None])
def test_any_other_status_is_not_completed(status: str, smallcase_auth_id: str | None) -> None:
    with pytest.raises(TransactionNotCompleted):
        check_details(Details(status, smallcase_auth_id, None), "id")
