"""The Gateway's transactions: made by the partner's back end, moved on by a user in the vendor's dialog.

Owns their states and who logs in as whom. States are INITIALIZED → USED → PROCESSING → COMPLETED | ACTION_REQUIRED |
ERRORED | CANCELLED | EXPIRED (L). Pure: the time is an argument. Its caller holds a lock.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from local.iso_time import iso_time
from local.smallcase_api.session_jwt import Holder

BROKERS: Final = ("meadow", "harbour")  # made up; a broker's name is an opaque text
DEFAULT_ACCOUNT: Final = "demo"
MOST_REMEMBERED: Final = 10_000  # the oldest transactions are forgotten
MOST_SHOWN: Final = 200  # the newest


class Status(StrEnum):
    """The states of a transaction (H for the names that a check meets, L for their order)."""

    INITIALIZED = "INITIALIZED"
    USED = "USED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    ERRORED = "ERRORED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


_OPEN: Final = (Status.INITIALIZED, Status.USED, Status.PROCESSING)  # in their order


class TransactionUnknownError(Exception):
    """No transaction has this id."""


class TransactionEndedError(Exception):
    """The transaction has left the state that was asked for behind. `status` is the one it is in."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


class UserMismatchError(Exception):
    """A connected user has logged in with an account that belongs to another smallcaseAuthId (H)."""


@dataclass(frozen=True, slots=True)
class Login:
    """One person at one broker: what a smallcaseAuthId stands for (H)."""

    broker: str
    smallcase_auth_id: str


@dataclass(slots=True)
class Transaction:
    """One transaction. Times are in epoch seconds."""

    id: str
    intent: str
    holder: Holder
    expires_at: float
    status: Status = Status.INITIALIZED
    login: Login | None = None
    error: str | None = None

    def details(self) -> dict[str, object]:
        """Give what the check of the partner's back end is told (M).

        Whether members that have no value yet are left out is not known; here they are null.
        """
        details: dict[str, object] = {
            "transactionId": self.id,
            "status": self.status.value,
            "smallcaseAuthId": self.login.smallcase_auth_id if self.login else None,
            "broker": self.login.broker if self.login else None,
        }
        return details if self.error is None else {**details, "error": self.error}

    def public(self) -> dict[str, object]:
        """Give the transaction as the state shows it."""
        made_for = "guest" if self.holder.smallcase_auth_id is None else "connected"
        return {
            **self.details(),
            "intent": self.intent,
            "madeFor": made_for,
            "expireAt": iso_time(self.expires_at),
        }


class Transactions:
    """All transactions of one gateway."""

    def __init__(self) -> None:
        self._by_id: dict[str, Transaction] = {}
        self._brokers: dict[str, str] = {}  # by the smallcaseAuthId that came of it

    def create(self, intent: str, holder: Holder, now: float, lifetime_seconds: float) -> Transaction:
        """Make a transaction for the holder of a session."""
        # Lengths and alphabets of ids vary between the vendor's samples (H), so they do here.
        transaction_id = "TRX_" + secrets.token_urlsafe(12 + secrets.randbelow(13))
        transaction = Transaction(transaction_id, intent, holder, now + lifetime_seconds)
        self._by_id[transaction.id] = transaction
        if len(self._by_id) > MOST_REMEMBERED:
            del self._by_id[next(iter(self._by_id))]
        return transaction

    def find(self, transaction_id: str, now: float) -> Transaction:
        """Give a transaction in its state of this moment. Raises TransactionUnknownError."""
        transaction = self._by_id.get(transaction_id)
        if transaction is None:
            raise TransactionUnknownError
        if transaction.status in _OPEN and transaction.expires_at <= now:
            transaction.status = Status.EXPIRED
        return transaction

    def move(self, transaction: Transaction, status: Status, login: Login | None, error: str | None = None) -> None:
        """Move a transaction on; a login stays with it. Raises TransactionEndedError where it can only go back."""
        order = [*_OPEN, status] if status not in _OPEN else list(_OPEN)
        if transaction.status not in order or order.index(transaction.status) >= order.index(status):
            raise TransactionEndedError(transaction.status)
        transaction.status, transaction.error = status, error
        if login is not None:
            transaction.login = login
            self._brokers[login.smallcase_auth_id] = login.broker

    def login(
        self,
        transaction: Transaction,
        holder: Holder,
        *,
        broker: str | None = None,
        account: str | None = None,
        smallcase_auth_id: str | None = None,
    ) -> Login:
        """Log somebody in; whoever has logged in to this transaction already stays where nobody else is named.

        A guest chooses among the brokers, a connected user is sent straight to the broker of their smallcaseAuthId (H).
        Raises UserMismatchError.
        """
        held = holder.smallcase_auth_id
        if broker is None and account is None and smallcase_auth_id is None:
            if transaction.login is not None:
                return transaction.login
            if held is not None:
                return Login(self._brokers.get(held, BROKERS[0]), held)
        broker = broker or self._brokers.get(smallcase_auth_id or "", BROKERS[0])
        login = Login(broker, smallcase_auth_id or auth_id_of(broker, account or DEFAULT_ACCOUNT))
        if held is not None and login.smallcase_auth_id != held:
            raise UserMismatchError
        return login

    def public(self) -> list[dict[str, object]]:
        """Give the newest transactions as the state shows them."""
        return [each.public() for each in list(self._by_id.values())[-MOST_SHOWN:]]


def auth_id_of(broker: str, account: str) -> str:
    """Give the smallcaseAuthId of a broker's account: always the same one, 24 hex characters as in samples (H)."""
    return hashlib.sha256(f"{broker}\0{account}".encode(errors="surrogatepass")).hexdigest()[:24]
