"""What it takes to connect a user with a smallcaseAuthId.

Owns every decision before the table, as pure functions of one transaction, the clock and what the Gateway said of it.
Nothing here depends on another user's data, so that no refusal tells anything about one. It reads no clock, talks to
nobody and stores nothing.

A smallcaseAuthToken alone proves little: those that Gatehouse issues itself have the same shape. So the transaction has
to be the user's own (b), and the Gateway has to say who completed it (c).

| transaction | answer |
|---|---|
| never started here, or by somebody else | `TransactionUnknown` |
| used | the connection that it made, while its user holds that; else `TransactionUsed` |
| the Gateway says EXPIRED; or, where it is not asked, 15 minutes past `expireAt` | `TransactionExpired` |
| the Gateway says anything else but COMPLETED | `TransactionNotCompleted` |
| completed by another smallcaseAuthId, or by one that the Gateway does not name | `TransactionMismatch` |
| completed by this one | connect |
"""

from typing import NamedTuple

from gatehouse.problems import (
    TransactionExpired,
    TransactionMismatch,
    TransactionNotCompleted,
    TransactionUnknown,
    TransactionUsed,
)
from gatehouse.smallcase_answer import COMPLETED, EXPIRED, Details

# A user who began in time may finish a little later.
GRACE_SECONDS = 15 * 60


class Pending(NamedTuple):
    """A transaction that was started here. `expire_at` is in epoch seconds."""

    user_pk: str  # whose it is: the key of the connections table
    expire_at: int
    used_for: str | None  # a smallcaseAuthId


def check_owner(pending: Pending | None, user_pk: str) -> Pending:
    """Return the transaction if it is this user's. Raises `TransactionUnknown`, for somebody else's as for none."""
    if pending is None or pending.user_pk != user_pk:
        raise TransactionUnknown
    return pending


def check_repetition(used_for: str, smallcase_auth_id: str, held: str | None) -> None:
    """Check that a used transaction's connection, asked for again, is still there. Raises `TransactionUsed`.

    `held` is what the user holds now.
    """
    if not used_for == smallcase_auth_id == held:
        raise TransactionUsed


def check_time(pending: Pending, now: float) -> None:
    """Check a transaction that the Gateway is not asked about. Raises `TransactionExpired`. `now` is epoch seconds."""
    if now >= pending.expire_at + GRACE_SECONDS:
        raise TransactionExpired


def check_details(details: Details, smallcase_auth_id: str) -> None:
    """Check what the Gateway says of the transaction.

    Raises `TransactionExpired`, `TransactionNotCompleted`, `TransactionMismatch`.
    """
    if details.status == EXPIRED:
        raise TransactionExpired
    if details.status != COMPLETED:
        raise TransactionNotCompleted
    if details.smallcase_auth_id != smallcase_auth_id:
        raise TransactionMismatch
