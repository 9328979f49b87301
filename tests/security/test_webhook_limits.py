"""What smallcase's checksum cannot keep out, each written down in docs/security-review.md.

These are properties of the vendor's scheme. A test that fails here says that the scheme, or what is made of it, has
changed, and that the documents have to.
"""

import hmac
import json
from typing import Any

import pytest

from gatehouse.delivery_event import detail
from gatehouse.envelope import Envelope
from gatehouse.problems import DeliveryNotAuthentic
from gatehouse.secret_value import Secret
from gatehouse.webhooks import CHECKSUM_IDS, KINDS, authenticate_smallcase

KEY = Secret("backend-key-0123456789-0123456789")
ASHA, RAVI = "63f6b2c1a0d4e5f6a7b8c9d0", "75a1c3e5b7d9f1a3c5e7b9d1"
CAPTURED: dict[str, Any] = {"timestamp": "1790000000000", "smallcaseAuthId": ASHA}
CAPTURED["checksum"] = hmac.digest(KEY.reveal_bytes(), b"1790000000000" + ASHA.encode(), "sha256").hex()


def recognised(kind: str, **changes: object) -> bool:
    return authenticate_smallcase(kind, json.dumps({**CAPTURED, **changes}).encode(), [KEY], "hex").recognised


@pytest.mark.parametrize("kind", sorted(kind for kind, covered in CHECKSUM_IDS.items() if covered == "smallcaseAuthId"))
def test_a_captured_checksum_is_good_for_every_kind_of_its_form(kind: str) -> None:
    recognised(kind, transactionId="TRX_1")


def test_a_captured_checksum_of_one_form_is_none_of_the_other() -> None:
    with pytest.raises(DeliveryNotAuthentic):
        recognised("mf-holdings", transactionId="TRX_1")


def test_where_the_transaction_is_covered_the_user_is_not() -> None:
    # The id that was covered as a user's is sent as a transaction's: whose holdings they are is anybody's word.
    assert recognised("mf-holdings", transactionId=ASHA, smallcaseAuthId=RAVI)


def test_a_character_can_move_between_the_two_parts() -> None:
    recognised("orders", timestamp="1790000000000" + ASHA[0], smallcaseAuthId=ASHA[1:])
    with pytest.raises(DeliveryNotAuthentic):
        recognised("orders", timestamp="1790000000000" + ASHA[0])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_so_no_event_of_smallcases_says_that_its_body_is_authentic(kind: str) -> None:
    body = json.dumps(CAPTURED).encode()
    received = ("2026-11-22T00:00:00Z", "application/json")
    envelope = Envelope("id", "identity", "smallcase", kind, *received, recognised=True, body=body)
    assert json.loads(detail(envelope))["body_authenticated"] is False
