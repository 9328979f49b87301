"""The simulated API, without sockets: a request in, an answer out, and everything remembered on the way.

Owns the two endpoints, what a user does in the vendor's dialog, and the order of what happens to a request: the log,
the fault that hits it, the checks, the effect, the latency. Never knows how a session is verified (`session_jwt`) or
what a fault looks like (`spoiling`).
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from local.fault_switches import ArmedFaults, Fault
from local.http_faults import delayed
from local.http_router import Answer, Request, Response, Wire
from local.iso_time import iso_time
from local.simulator_controls import ControlRefusedError
from local.smallcase_api import presented, session_jwt, webhook
from local.smallcase_api.dialog import DIALOG, LOGIN_FAILED, parse_dialog
from local.smallcase_api.faults import WITHOUT_EFFECT, FaultName
from local.smallcase_api.journal import Entry, Journal
from local.smallcase_api.presented import Refusal
from local.smallcase_api.session_jwt import Holder, InvalidJwtError
from local.smallcase_api.settings import Identity, Settings
from local.smallcase_api.spoiling import errors_response, sending, spoilt, stand_in, status_response, success
from local.smallcase_api.transactions import (
    BROKERS,
    Login,
    Status,
    Transaction,
    TransactionEndedError,
    Transactions,
    TransactionUnknownError,
    UserMismatchError,
)

OK: Final = "ok"
_MOST_WEBHOOKS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; `kind` is what faults and the log call it, `action` gives the data of its answer."""

    method: str
    path: str
    kind: str
    action: Callable[[Request, Holder, Entry], object]


class Simulator:
    """Answers requests and control calls, from several threads at once.

    `clock` gives epoch seconds. `send_webhook` delivers a body to a URL and gives what came of it.
    """

    _settings: Settings

    def __init__(
        self, identity: Identity, *, clock: Callable[[], float], send_webhook: Callable[[str, bytes], str]
    ) -> None:
        self._initial = Settings(identity)
        self._clock = clock
        self._send_webhook = send_webhook
        self._lock = threading.Lock()
        self.endpoints = (
            Endpoint("POST", "/gateway/{gateway}/transaction", "transaction", self._create),
            Endpoint("GET", "/v1/{gateway}/engine/transactiondetails", "details", self._details),
        )
        self.reset()

    def answer(self, endpoint: Endpoint, request: Request) -> Answer:
        """Answer a request to one of the endpoints."""
        headers = presented.headers_by_name(request)
        with self._lock:
            identity = self._settings.identity
            entry = self._journal.begin(endpoint.kind, headers, request.body, identity, self._clock())
            fault = self._faults.take(endpoint.kind)
            response, result = self._handle(endpoint, request, entry, fault)
            entry.outcome, entry.took_effect = f"fault:{fault.name}" if fault else result, result == OK
            self._journal.count(endpoint.kind, entry.outcome)
            latency = self._settings.latency_seconds
        broken = sending(fault, response) if fault else None
        if broken is not None:
            return _later(latency, broken)
        return delayed(response, latency) if latency else response

    def error(self, status: int) -> Response:
        """Answer, and count, a request that reaches no endpoint: an unknown path, a wrong method, a body too large."""
        with self._lock:
            self._journal.count("other", str(int(status)))
        return status_response(status)

    def state(self) -> dict[str, object]:
        """Give everything that may be shown."""
        with self._lock:
            return {
                "settings": self._settings.public(),
                "faults": self._faults.public(),
                "brokers": list(BROKERS),
                "transactions": self._transactions.public(),
                "webhooks": list(self._webhooks),
                **self._journal.public(),
            }

    def change_settings(self, members: Mapping[str, object]) -> None:
        """Change settings; raises InvalidControlError, and then nothing has changed."""
        with self._lock:
            self._settings = self._settings.changed(members)

    def arm(self, fault: Fault[FaultName]) -> None:
        """Queue a fault; raises InvalidControlError where too many wait already."""
        with self._lock:
            self._faults.arm(fault)

    def disarm(self) -> None:
        """Forget every armed fault."""
        with self._lock:
            self._faults.clear()

    def reset(self) -> None:
        """Make everything as it was at the start."""
        with self._lock:
            self._settings = self._initial
            self._transactions = Transactions()
            self._journal = Journal()
            self._faults = ArmedFaults[FaultName]()
            self._webhooks: list[dict[str, object]] = []

    def dialog(self, action: str, members: Mapping[str, object]) -> dict[str, object]:
        """Do what a user does in the vendor's dialog (`action` of DIALOG), and give what the page's SDK hands back.

        A completed transaction is told to `webhook_url` before this returns. Raises InvalidControlError and
        ControlRefusedError.
        """
        status, logs_in = DIALOG[action]
        texts = parse_dialog(action, members)
        with self._lock:
            settings, now = self._settings, self._clock()
            try:
                transaction = self._transactions.find(texts["transactionId"], now)
                login = self._login(transaction, texts, now) if logs_in else None
                error = texts.get("error", LOGIN_FAILED) if status is Status.ERRORED else None
                self._transactions.move(transaction, status, login, error)
            except TransactionUnknownError:
                raise ControlRefusedError(404, "TRANSACTION_UNKNOWN", "No transaction has this id.") from None
            except TransactionEndedError as ended:
                raise ControlRefusedError(409, "TRANSACTION_ENDED", f"The transaction is {ended.status}.") from None
            except UserMismatchError:
                # The vendor's own code (H). What becomes of the transaction is not documented: it stays as it is.
                raise ControlRefusedError(409, "user_mismatch", "Another smallcaseAuthId is connected.") from None
        result: dict[str, object] = {"transactionId": transaction.id}
        if login is None:
            return result
        if status is Status.COMPLETED and settings.webhook_url is not None:
            self._tell(settings.webhook_url, transaction.id, login, settings, now)
        lifetime = settings.auth_token_lifetime_seconds
        token = session_jwt.issue(login.smallcase_auth_id, settings.identity.secret, now, lifetime)
        # A result that failed carries these "sometimes" (M): here, wherever somebody has logged in.
        return {"smallcaseAuthToken": token, **result, "broker": login.broker}

    def _handle(
        self, endpoint: Endpoint, request: Request, entry: Entry, fault: Fault[FaultName] | None
    ) -> tuple[Response, str]:
        """Give the answer and, faults apart, the result; only where that is OK has anything happened."""
        if fault is not None and fault.name in WITHOUT_EFFECT:
            return stand_in(fault), "no effect"
        headers, identity = presented.headers_by_name(request), self._settings.identity
        try:
            holder = presented.authorize(request.params["gateway"], headers, identity, self._clock())
            response = success(endpoint.action(request, holder, entry))
        except Refusal as refusal:
            return errors_response(refusal.status, refusal.text), refusal.code
        return (spoilt(fault, response) if fault else response), OK

    def _create(self, request: Request, holder: Holder, entry: Entry) -> object:
        intent = presented.intent_of(presented.headers_by_name(request), request.body, holder)
        lifetime = self._settings.transaction_lifetime_seconds
        transaction = self._transactions.create(intent, holder, self._clock(), lifetime)
        entry.transaction_id = transaction.id
        expires_at: object = iso_time(transaction.expires_at)
        if self._settings.expire_at_format == "epoch_milliseconds":
            expires_at = int(transaction.expires_at * 1000)
        return {"transactionId": transaction.id, "expireAt": expires_at}

    def _details(self, request: Request, _holder: Holder, entry: Entry) -> object:
        entry.transaction_id = presented.transaction_id_in(request.query)
        try:
            return self._transactions.find(entry.transaction_id, self._clock()).details()
        except TransactionUnknownError:
            raise Refusal(404, "unknown_transaction", "There is no such transaction.") from None

    def _login(self, transaction: Transaction, texts: Mapping[str, str], now: float) -> Login:
        identity, holder = self._settings.identity, transaction.holder
        if texts.get("gateway", identity.gateway_name) != identity.gateway_name:
            raise ControlRefusedError(409, "unknown_gateway", "The page names another gateway.")
        if "smallcaseAuthToken" in texts:
            try:
                holder = session_jwt.verify(texts["smallcaseAuthToken"], identity.signing_keys, now)
            except InvalidJwtError:  # the vendor's own code, for a wrong key as well as for an expired token (H)
                raise ControlRefusedError(409, "invalid_jwt", "The page's session does not do.") from None
        return self._transactions.login(
            transaction,
            holder,
            broker=texts.get("broker"),
            account=texts.get("account"),
            smallcase_auth_id=texts.get("smallcaseAuthId"),
        )

    def _tell(self, url: str, transaction_id: str, login: Login, settings: Settings, now: float) -> None:
        """Deliver a webhook, without the lock: who receives it may ask for the details before it answers."""
        body = webhook.delivery(
            transaction_id,
            login.smallcase_auth_id,
            api_secret=settings.identity.api_secret,
            encoding=settings.checksum_encoding,
            now=now,
        )
        outcome = self._send_webhook(url, body)
        with self._lock:
            self._webhooks.append({"transactionId": transaction_id, "sent_at": iso_time(now), "outcome": outcome})
            del self._webhooks[:-_MOST_WEBHOOKS]


def _later(seconds: float, send: Callable[[Wire], None]) -> Callable[[Wire], None]:
    def answer(wire: Wire) -> None:
        wire.pause(seconds)
        send(wire)

    return answer
