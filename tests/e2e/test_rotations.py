"""The runbook's rotations, walked through step by step under a steady trickle of requests that sees no error.

Where the runbook waits until nobody uses what was read before, these tests end the functions' processes, while the
trickle stands still: a minute is too long for a test. With `REAL_WAITS=1` they wait instead, as an operator does, and
the trickle goes on. (What is shown and registered for a webhook's sender is in test_operations.)
"""

import hmac
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import jwt
import pytest

from gatehouse.http_transport import HttpTransport
from gatehouse.integration import KEEP_SECONDS, IntegrationClient
from gatehouse.secrets import CACHE_SECONDS
from gatehouse.token_store import SecretsManagerTokenStore
from local.smallcase_api.settings import Identity
from tests.e2e.conftest import GATEWAY_SECRET, Stack
from tests.e2e.test_connections import BROKER, Gateway, User, new_id
from tests.e2e.test_operations import NEW as NEW_SENDER
from tests.e2e.test_operations import OLD as OLD_SENDER
from tests.e2e.test_operations import deliver, header, write_sources
from tests.e2e.token_lifecycle import Lifecycle
from tests.support.trickle import Trickle

REAL_WAITS = os.environ.get("REAL_WAITS") == "1"

OLD = {name: GATEWAY_SECRET[name] for name in ("secret", "api_secret")}
NEW = {
    "secret": "SENTINEL-new-signing-key-0123456789-0123456789",
    "api_secret": "SENTINEL-new-backend-key-0123456789-0123456789",
}
NAME = {"gateway_name": GATEWAY_SECRET["gateway_name"]}
# Those that read the gateway secret, in two groups: between the two, some have read the new value and some have not.
READERS = (("IssueGuestToken", "StartTransaction"), ("IssueUserToken", "ConnectUser", "ReceiveWebhook"))
NEW_CREDENTIALS = {"api_key": "SENTINEL-rotated-api-key", "secret_key": "SENTINEL-rotated-secret-key"}


def wait(stack: Stack, trickle: Trickle, *groups: tuple[str, ...]) -> None:
    """Wait until these functions have read their secrets anew: one group of them after another."""
    if REAL_WAITS:
        time.sleep(CACHE_SECONDS + 1)
        trickle.flow()
        return
    for functions in groups:
        with trickle.paused():
            for function in functions:
                stack.start_anew(function)
        trickle.flow(1)


def previous(keys: dict[str, str]) -> dict[str, str]:
    """Return the keys as those that are accepted beside the current ones."""
    return {f"previous_{name}": key for name, key in keys.items()}


class Partnership:
    """The two sides of the gateway secret: the deployed functions, and the simulated smallcase."""

    def __init__(self, stack: Stack, gateway: Gateway) -> None:
        self.stack = stack
        self._gateway = gateway
        self._at_smallcase = Identity(**NAME, **OLD)

    def requests(self) -> dict[str, Any]:
        """Return the trickle: everything that the two say to each other, in both directions."""
        return {"guest": self.guest, "connect": self.connect, "postback": self.postback}

    def write(self, **keys: str) -> None:
        """Write our secret."""
        client, arn = self.stack.file.endpoint.client("secretsmanager"), self.stack.file.outputs["GatewaySecretArn"]
        client.put_secret_value(SecretId=arn, SecretString=json.dumps({**NAME, **keys}))

    def switch_smallcase(self, **keys: str) -> None:
        """Change what smallcase signs with, and what it accepts beside that."""
        self._gateway.control("settings", identity={**NAME, **keys})
        self._at_smallcase = Identity(**NAME, **keys)

    def wait(self, trickle: Trickle) -> None:
        """Wait until every function has read the secret anew."""
        wait(self.stack, trickle, *READERS)

    def guest(self) -> None:
        """A page gets a guest's token, and smallcase can verify it."""
        answer = self.stack.call("POST", "/v1/tokens/guest")
        assert answer.status == 200, answer.data
        token, keys = answer.json()["smallcaseAuthToken"], self._at_smallcase.signing_keys
        is_verified = any(_is_signed_with(token, key) for key in keys)
        assert is_verified, "smallcase refuses the session token"

    def connect(self) -> None:
        """A user connects: session token, transaction, the vendor's dialog, its postback to us, our asking back."""
        user = User(self.stack)
        page = self.stack.user_token(user.bearer)
        assert page.status == 200, page.data
        shown = {name: page.json()[name] for name in ("gateway", "smallcaseAuthToken")}
        result = self._gateway.control(
            "complete", transactionId=user.started(), smallcaseAuthId=new_id(), broker=BROKER, **shown
        )
        answer = user.connect(result)
        assert answer.status == 200, answer.data

    def postback(self) -> None:
        """Smallcase tells of something, signed with what it signs with now."""
        status = self.deliver({"api_secret": self._at_smallcase.api_secret})
        assert status == 200

    def deliver(self, keys: dict[str, str]) -> int:
        """Send a postback that is signed with these keys, and return its status."""
        body = {"smallcaseAuthId": new_id(), "transactionId": uuid.uuid4().hex, "timestamp": "2026-11-22T03:42:48.000Z"}
        covered = f"{body['timestamp']}{body['smallcaseAuthId']}".encode()
        body["checksum"] = hmac.digest(keys["api_secret"].encode(), covered, "sha256").hex()
        return self.stack.call("POST", "/v1/webhooks/smallcase/orders", json=body).status

    def refused_postbacks(self) -> list[dict[str, Any]]:
        """Return the dialog's own postbacks that we did not take."""
        state = self.stack.http.request("GET", f"{self.stack.file.smallcase_api_url}/_simulator/state").json()
        assert state["webhooks"], "there were some"
        return [each for each in state["webhooks"] if each["outcome"] != "200"]


def _is_signed_with(token: str, key: str) -> bool:
    try:
        jwt.decode(token, key, algorithms=["HS256"])
    except jwt.InvalidSignatureError:
        return False
    return True


@pytest.fixture
def partnership(stack: Stack) -> Iterator[Partnership]:
    gateway = Gateway(stack)
    gateway.control("reset")
    gateway.control("settings", webhook_url=f"{stack.file.api_url}/v1/webhooks/smallcase/orders")
    made = Partnership(stack, gateway)
    yield made
    gateway.control("reset")
    made.write(**OLD)
    for functions in READERS:
        for function in functions:
            stack.start_anew(function)


def test_the_gateways_keys_are_rotated_and_nobody_notices(partnership: Partnership) -> None:
    with Trickle(partnership.requests()) as trickle:
        trickle.flow()
        # 1. The new keys are accepted here, and the old ones still used.
        partnership.write(**OLD, **previous(NEW))
        trickle.flow()
        # 2. Every function knows them.
        partnership.wait(trickle)
        # 3. Smallcase signs with the new ones, and accepts the old ones as well.
        partnership.switch_smallcase(**NEW, **previous(OLD))
        trickle.flow()
        # 4. The new ones are used here.
        partnership.write(**NEW, **previous(OLD))
        trickle.flow()
        partnership.wait(trickle)
        repeated = partnership.deliver(OLD)
        assert repeated == 200, "smallcase may repeat what it signed before"
        # 5. Smallcase forgets the old ones, once no session token signed with them is left.
        partnership.switch_smallcase(**NEW)
        trickle.flow()
        # 6. And so do we, once smallcase has repeated its last delivery.
        partnership.write(**NEW)
        trickle.flow()
        partnership.wait(trickle)
    assert partnership.refused_postbacks() == []
    refused = partnership.deliver(OLD)
    assert refused == 401
    sys.stdout.write(f"\n{trickle.counts}, no error\n")


@pytest.fixture
def consumer(life: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> Iterator[IntegrationClient]:
    """One of the company's own functions."""
    for name, value in life.endpoint.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert life.stack.file.integration_api_url is not None
    store = SecretsManagerTokenStore(life.output("IntegrationTokensSecretArn"))
    yield IntegrationClient(
        store, life.stack.file.integration_api_url, HttpTransport(), clock=time.time, sleep=time.sleep
    )
    life.start_over()


def test_the_api_key_is_rotated_and_no_consumer_notices(life: Lifecycle, consumer: IntegrationClient) -> None:
    def call() -> None:
        status = consumer.request("GET", "/holdings").status
        assert status == 200, status

    def tick() -> None:
        outcome = life.refresh_tokens()
        assert outcome in ("unchanged", "busy"), outcome

    life.upstream.change(rate_limit_per_minute=None)
    with Trickle({"call": call, "tick": tick}) as trickle:
        trickle.flow()
        # 1. The brokerage has made a new key. It takes the old one for no new authentication: the stricter way.
        life.upstream.change(credentials=NEW_CREDENTIALS)
        trickle.flow()
        # 2. It is written.
        old = life.stored()
        life.write_credentials(**NEW_CREDENTIALS)
        trickle.flow()
        # 3. New tokens are got with it.
        outcome = "busy"
        while outcome == "busy":
            outcome = life.authenticate({"force": True})
        assert outcome == "authenticated"
        trickle.flow()
        assert life.stored().version_id != old.version_id
        # 4. Consumers use them.
        if REAL_WAITS:
            time.sleep(KEEP_SECONDS + 1)
        # 5. The old key is revoked, and with it perhaps all that was got with it.
        life.upstream.revoke("older")
        is_alive = life.upstream.accepts(old.document["access_token"])
        assert not is_alive
        trickle.flow(10)
    is_alive = life.upstream.accepts(life.stored().document["access_token"])
    assert is_alive
    sys.stdout.write(f"\n{trickle.counts}, no error\n")


def test_a_webhook_credential_is_rotated_and_no_delivery_is_refused(stack: Stack) -> None:
    senders = [header(OLD_SENDER)]

    def delivery() -> None:
        statuses = {deliver(stack, "trickling", sender)[0] for sender in senders}
        assert statuses == {200}

    def write(*credentials: dict[str, Any]) -> None:
        write_sources(stack, trickling={"authentication": credentials})

    write(OLD_SENDER)
    stack.start_anew("ReceiveWebhook")
    with Trickle({"delivery": delivery}) as trickle:
        trickle.flow()
        # 1. The new credential is added.
        write(OLD_SENDER, NEW_SENDER)
        trickle.flow()
        # 2. The function knows it.
        wait(stack, trickle, ("ReceiveWebhook",))
        # 3. The sender is switched; for a while it sends both.
        senders[:] = [header(OLD_SENDER), header(NEW_SENDER)]
        trickle.flow()
        # 4. It sends the new one alone.
        senders[:] = [header(NEW_SENDER)]
        trickle.flow()
        # 5. The old one is removed.
        write(NEW_SENDER)
        trickle.flow()
        wait(stack, trickle, ("ReceiveWebhook",))
    refused, _ = deliver(stack, "trickling", header(OLD_SENDER))
    write_sources(stack)
    stack.start_anew("ReceiveWebhook")
    assert refused == 401
    sys.stdout.write(f"\n{trickle.counts}, no error\n")
