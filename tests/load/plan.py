"""What is sent under load: a seeded mix of right, forged, repeated and poisoned deliveries.

Owns what each delivery holds and what should become of it. It is pure: the same count and seed give the same plan.
"""

import base64
import hmac
import json
import random
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

FORGED_SHARE: Final = 0.10
REPEATED_SHARE: Final = 0.10
POISONED_SHARE: Final = 0.01
LATE_REPETITIONS: Final = 100
"""A repetition follows its original by up to this many deliveries, or at once."""

# Made up for the run: `secrets` is what the stack is given.
_API_SECRET = "load-backend-key-0123456789-0123456789"
_USER, _PASSWORD = "load-user", "load:password-0123456789"
_TOKEN = "load-token-0123456789"
_BARE_TOKEN = "load-bare-token-0123456789"

_REFERENCE = re.compile(r"\bload-[0-9a-f]{16}\b")
_CHECKSUM_IDS = {
    "orders": "smallcaseAuthId",
    "holdings": "smallcaseAuthId",
    "pending-actions": "smallcaseAuthId",
    "mf-holdings": "transactionId",
}
_KINDS = tuple(_CHECKSUM_IDS)

type Members = dict[str, object]


def _basic(user_and_password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(user_and_password.encode()).decode()}


_CREDENTIALS: Final[Mapping[str, Mapping[str, str]]] = {
    "basic": _basic(f"{_USER}:{_PASSWORD}"),
    "bearer": {"Authorization": f"Bearer {_TOKEN}"},
    "header": {"X-Webhook-Token": _BARE_TOKEN},
}
_FORGED_CREDENTIALS: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    ("basic", _basic(f"{_USER}:wrong")),
    ("basic", {"Authorization": "Basic ="}),
    ("basic", {}),
    ("bearer", {"Authorization": "Bearer wrong"}),
    ("bearer", _CREDENTIALS["basic"]),  # another source's
    ("header", {"X-Webhook-Token": _BARE_TOKEN[:-1]}),
    ("header", {"Authorization": f"Bearer {_BARE_TOKEN}"}),
    ("nobody", _CREDENTIALS["bearer"]),  # a source that is not known
)


class Sort(StrEnum):
    """What a delivery is."""

    RIGHT = "right"
    REPEATED = "repeated"
    FORGED = "forged"
    POISONED = "poisoned"


class Delivery(NamedTuple):
    """One delivery. Its body holds its reference, which a repetition has in common with its original."""

    sort: Sort
    reference: str
    path: str  # empty: the body is put on the queue, past the edge
    headers: Mapping[str, str]
    body: bytes

    @property
    def expected_status(self) -> int:
        """The answer with which its sender is through with it."""
        return 401 if self.sort is Sort.FORGED else 200


def secrets() -> dict[str, Mapping[str, object]]:
    """Return the secrets that the right deliveries are made with, in the form of `SECRETS_FILE`."""
    sources: dict[str, object] = {
        "basic": {"authentication": [{"type": 1, "username": _USER, "password": _PASSWORD}]},
        "bearer": {"authentication": [{"type": 2, "token": _TOKEN}]},
        "header": {
            "authentication": [{"type": 2, "token": _BARE_TOKEN}],
            "token_header": "X-Webhook-Token",
            "delivery_id_header": "X-Delivery-Id",
        },
    }
    gateway: dict[str, object] = {
        "gateway_name": "acme",
        "secret": "load-signing-key-0123456789-0123456789",
        "api_secret": _API_SECRET,
    }
    return {"GatewaySecret": gateway, "WebhookCredentials": sources}


def is_final(status: int) -> bool:
    """Whether a sender is through with this answer: on none, 429 and a failure of the server it sends again."""
    return 200 <= status < 500 and status != 429


def reference_in(body: bytes) -> str | None:
    """Return the reference that a body holds."""
    found = _REFERENCE.search(body.decode(errors="replace"))
    return found and found.group()


def make_plan(count: int, seed: int) -> list[Delivery]:
    """Return `count` deliveries in the order of sending. A repetition never comes before its original."""
    if count < 1:
        raise ValueError("there is nothing to send")
    maker = _Maker(random.Random(seed))  # noqa: S311 - a plan, no secret
    rng = maker.rng
    forged, repeated, poisoned = (round(count * share) for share in (FORGED_SHARE, REPEATED_SHARE, POISONED_SHARE))
    right = count - forged - repeated - poisoned
    makers: list[Callable[[], Delivery]] = [maker.right] * right + [maker.forged] * forged
    makers += [maker.poisoned] * poisoned
    rng.shuffle(makers)
    placed = [(float(place), make()) for place, make in enumerate(makers)]
    originals = [(place, delivery) for place, delivery in placed if delivery.sort is Sort.RIGHT]
    for place, original in rng.choices(originals, k=repeated):
        at_once = rng.random() < 0.5
        placed.append((place + (0.5 if at_once else rng.uniform(1, LATE_REPETITIONS)), maker.again(original)))
    placed.sort(key=lambda each: each[0])
    return [delivery for _, delivery in placed]


class _Maker:
    """Makes deliveries, each with content of its own."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._seconds = 0

    def right(self) -> Delivery:
        """Make a delivery as one of the senders would."""
        reference = self._reference()
        if self.rng.random() < 0.5:
            kind = self.rng.choice(_KINDS)
            return _postback(Sort.RIGHT, kind, reference, _signed(kind, self._members(kind, reference)))
        return self._integration(reference)

    def again(self, original: Delivery) -> Delivery:
        """Make a repetition: byte for byte, or, from smallcase, signed anew and written in another order."""
        kind = original.path.removeprefix("smallcase/")
        if kind == original.path or self.rng.random() < 0.5:
            return original._replace(sort=Sort.REPEATED)
        members: Members = json.loads(original.body)
        members = dict(reversed(members.items())) | {"timestamp": self._timestamp()}
        return _postback(Sort.REPEATED, kind, original.reference, _signed(kind, members))

    def forged(self) -> Delivery:
        """Make a delivery whose sender does not know the secret that it needs."""
        reference = self._reference()
        if self.rng.random() < 0.5:
            return self._forged_postback(reference)
        source, headers = self.rng.choice(_FORGED_CREDENTIALS)
        return self._opaque(Sort.FORGED, source, reference, headers)

    def _forged_postback(self, reference: str) -> Delivery:
        kind = self.rng.choice(_KINDS)
        members = self._members(kind, reference)
        signed = _signed(kind, members)
        other = "orders" if kind == "mf-holdings" else "mf-holdings"
        forgery = self.rng.choice(
            [
                {**signed, "checksum": self.rng.randbytes(32).hex()},
                _signed(kind, members, key="another-key-0123456789-0123456789"),
                {name: value for name, value in signed.items() if name != "checksum"},
                # What a genuine delivery was signed with, on another user's, another time's or another kind's.
                {**signed, _CHECKSUM_IDS[kind]: self.rng.randbytes(12).hex()},
                {**signed, "timestamp": self._timestamp()},
                {**members, "checksum": _signed(other, members)["checksum"]},
            ]
        )
        return _postback(Sort.FORGED, kind, reference, forgery)

    def poisoned(self) -> Delivery:
        """Make a message that the edge would never write."""
        reference = self._reference()
        envelope: Members = {
            "id": reference,
            "identity": reference,
            "source": "smallcase",
            "kind": "orders",
            "received_at": "2026-11-22T03:42:48Z",
            "content_type": "application/json",
            "recognised": True,
            "body": "e30=",
        }
        message = self.rng.choice(
            [
                f"no envelope: {reference}",
                f'{{"id": "{reference}", ',
                json.dumps([envelope]),
                json.dumps({"id": reference}),
                json.dumps({**envelope, "body": "no base64"}),
                json.dumps({**envelope, "recognised": "true"}),
                json.dumps({**envelope, "surplus": True}),
                json.dumps({**envelope, "identity": ""}),
            ]
        )
        return Delivery(Sort.POISONED, reference, "", {}, message.encode())

    def _integration(self, reference: str) -> Delivery:
        source = self.rng.choice(list(_CREDENTIALS))
        headers = dict(_CREDENTIALS[source])
        if source == "header":
            headers["X-Delivery-Id"] = reference
        return self._opaque(Sort.RIGHT, source, reference, headers)

    def _opaque(self, sort: Sort, source: str, reference: str, headers: Mapping[str, str]) -> Delivery:
        """Make a delivery of the brokerage: JSON, text, or bytes that are neither."""
        members: Members = {"reference": reference, "amount": self.rng.randrange(1, 10**9) / 100, "note": self._note()}
        content_type, body = self.rng.choice(
            [
                ("application/json", json.dumps(members).encode()),
                ("text/plain; charset=utf-8", f"{reference} ₹ {self._note()}".encode()),
                ("application/octet-stream", f"{reference} ".encode() + b"\xff\x00" + self.rng.randbytes(64)),
            ]
        )
        return Delivery(sort, reference, f"integration/{source}", {**headers, "Content-Type": content_type}, body)

    def _members(self, kind: str, reference: str) -> Members:
        members: Members = {
            "smallcaseAuthId": self.rng.randbytes(12).hex(),
            "transactionId": f"TRX_{self.rng.randbytes(16).hex()}",
            "reference": reference,
            "note": self._note(),
            "timestamp": self._timestamp(),
        }
        if kind == "orders":
            status = self.rng.choice(["PLACED", "PARTIALLYFILLED", "COMPLETED"])
            orders = [{"quantity": n, "averagePrice": self.rng.randrange(1, 10**6) / 20} for n in range(1, 4)]
            members |= {"batchId": self.rng.randbytes(12).hex(), "status": status, "orders": orders}
        return members

    def _note(self) -> str:
        """Return text of a length that deliveries have: mostly short, now and then some kilobytes."""
        return "₹ " + "x" * int(self.rng.paretovariate(1) * 100 % 8000)

    def _timestamp(self) -> str:
        """Return a time that no other delivery has."""
        self._seconds += 1
        minutes, seconds = divmod(self._seconds, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return f"2026-11-{1 + days:02}T{hours:02}:{minutes:02}:{seconds:02}.000Z"

    def _reference(self) -> str:
        return f"load-{self.rng.randbytes(8).hex()}"


def _signed(kind: str, members: Members, key: str = _API_SECRET) -> Members:
    covered = f"{members['timestamp']}{members[_CHECKSUM_IDS[kind]]}"
    return {**members, "checksum": hmac.digest(key.encode(), covered.encode(), "sha256").hex()}


def _postback(sort: Sort, kind: str, reference: str, members: Members) -> Delivery:
    body = json.dumps(members, ensure_ascii=False).encode()
    return Delivery(sort, reference, f"smallcase/{kind}", {"Content-Type": "application/json"}, body)
