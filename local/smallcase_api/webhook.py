"""The delivery by which the Gateway tells the partner's back end that something has happened.

Owns its body and its checksum: HMAC-SHA256 under `api_secret` over timestamp + smallcaseAuthId, in hex or base64 (H for
the ingredients, M for how they are joined and written). The members are those that deliveries of every kind have in
common (H/M); what else an order's or a pending action's delivery holds is not made up here.

No delivery is documented for a CONNECT. This one stands for whichever names its transaction, at the URL of the
partner's choice.
"""

import base64
import hmac
import json
from typing import Final

import urllib3

from local.iso_time import iso_time

TIMEOUT_SECONDS: Final = 10


def delivery(transaction_id: str, smallcase_auth_id: str, *, api_secret: str, encoding: str, now: float) -> bytes:
    """Write the body. `now` is in epoch seconds."""
    timestamp = iso_time(now)
    digest = hmac.digest(api_secret.encode(), f"{timestamp}{smallcase_auth_id}".encode(), "sha256")
    members = {
        "transactionId": transaction_id,
        "smallcaseAuthId": smallcase_auth_id,
        "timestamp": timestamp,
        "checksum": digest.hex() if encoding == "hex" else base64.b64encode(digest).decode(),
    }
    return json.dumps(members).encode()


def send(url: str, body: bytes) -> str:
    """Deliver, and give the answer's status or the name of what went wrong; follows no redirect, repeats nothing."""
    try:
        answer = urllib3.request(
            "POST",
            url,
            body=body,
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT_SECONDS,
            retries=False,
            redirect=False,
        )
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__
    return str(answer.status)
