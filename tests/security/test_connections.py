"""What must not be possible: each attack on a connection by its name, through the functions' own front door.

Ravi attacks. He has an account of the company like everybody else, and whatever a test puts into his hands.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from functions.connect_user import app as connect_app
from functions.issue_user_token import app as user_token_app
from gatehouse import aws
from gatehouse.caller import User
from gatehouse.connections import user_key
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.connection_fakes import (
    ASHA,
    ASHAS_ID,
    RAVI,
    RAVIS_ID,
    ConnectionAccount,
    api_event,
    auth_token,
    code,
    connection_account,
    scan,
    sign,
)
from tests.support.events import GATEWAY_SECRET, ISSUER, gateway_secret, user_event
from tests.support.token_fakes import Context, one_call_at_a_time


@pytest.fixture(params=["true", "false"], ids=["the Gateway is asked", "the Gateway is not asked"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionAccount]:
    """An account with `VerifyTransactionDetails` on, and one with it off."""
    with connection_account(monkeypatch) as fresh:
        fresh.environment(VERIFY_TRANSACTION_DETAILS=request.param)
        yield fresh


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionAccount]:
    with connection_account(monkeypatch) as fresh:
        yield fresh


def connections() -> dict[str, Any]:
    """The connections, without transactions."""
    return {key: item for key, item in scan().items() if not key.startswith("TXN#")}


def asha_is_connected(account: ConnectionAccount) -> dict[str, Any]:
    """Let Asha be connected as she should be."""
    assert code(account.connect_by(ASHA, auth_token(), account.started(ASHA, ASHAS_ID))) == (200, "")
    return connections()


def issued_token(user: User) -> str:
    """The session token that Gatehouse itself issues for a user."""
    answer: dict[str, Any] = user_token_app.handler(user_event(iss=user.issuer, sub=user.subject), None)
    return str(json.loads(answer["body"])["smallcaseAuthToken"])


# --- Connecting with a token that Gatehouse itself issued ---


def test_a_token_that_gatehouse_issued_for_somebody_connects_nobody_else(either: ConnectionAccount) -> None:
    before = asha_is_connected(either)
    stolen = issued_token(ASHA)
    status, problem = code(either.connect_by(RAVI, stolen, either.started(RAVI)))
    assert (status, problem) in {(409, "TRANSACTION_NOT_COMPLETED"), (409, "AUTH_ID_TAKEN")}
    assert connections() == before


def test_a_token_that_gatehouse_issued_does_not_go_with_a_transaction_that_somebody_else_completed(
    account: ConnectionAccount,
) -> None:
    before = asha_is_connected(account)
    stolen = issued_token(ASHA)
    account.disconnect_by(ASHA)
    own = account.started(RAVI, RAVIS_ID)
    assert code(account.connect_by(RAVI, stolen, own)) == (409, "TRANSACTION_MISMATCH")
    assert connections() != before
    assert connections() == {}


def test_a_guests_token_that_gatehouse_issued_connects_nobody(either: ConnectionAccount) -> None:
    guest = issued_token(RAVI)
    assert code(either.connect_by(RAVI, guest, either.started(RAVI, RAVIS_ID))) == (400, "INVALID_SMALLCASE_TOKEN")
    assert connections() == {}


# --- Connecting with another user's transactionId ---


@pytest.mark.parametrize("completed_by", [None, ASHAS_ID, RAVIS_ID])
def test_another_users_transaction_connects_nobody(either: ConnectionAccount, completed_by: str | None) -> None:
    ashas = either.started(ASHA, completed_by)
    for token in (auth_token(ASHAS_ID), auth_token(RAVIS_ID)):
        assert code(either.connect_by(RAVI, token, ashas)) == (404, "TRANSACTION_UNKNOWN")
    assert connections() == {}
    assert "used_for" not in scan()[f"TXN#{ashas}"]


@pytest.mark.parametrize(
    "almost", [User(ISSUER, "user-ash"), User(ISSUER, "user-asha "), User(ISSUER + "/", "user-asha")]
)
def test_a_user_of_almost_the_same_name_is_another_user(either: ConnectionAccount, almost: User) -> None:
    ashas = either.started(ASHA, ASHAS_ID)
    assert code(either.connect_by(almost, auth_token(), ashas)) == (404, "TRANSACTION_UNKNOWN")


# --- ... with an expired, unknown or used one ---


@pytest.mark.parametrize("transaction_id", ["TRX_9", "TRX_1 ", "trx_1", "USER#x", "AUTHID#x", "../TRX_1", "x" * 256])
def test_an_unknown_transaction_connects_nobody(either: ConnectionAccount, transaction_id: str) -> None:
    either.started(RAVI, RAVIS_ID)
    either.api.complete(transaction_id, RAVIS_ID)
    assert code(either.connect_by(RAVI, auth_token(RAVIS_ID), transaction_id)) == (404, "TRANSACTION_UNKNOWN")
    assert connections() == {}


def test_an_expired_transaction_connects_nobody(either: ConnectionAccount) -> None:
    own = either.started(RAVI)
    either.api.transactions[own] = {"status": "EXPIRED", "smallcaseAuthId": RAVIS_ID}
    either.clock.advance(900 + 900)
    assert code(either.connect_by(RAVI, auth_token(RAVIS_ID), own)) == (409, "TRANSACTION_EXPIRED")
    assert connections() == {}


def test_a_used_transaction_connects_with_no_other_id(either: ConnectionAccount) -> None:
    own = either.started(RAVI, RAVIS_ID)
    assert code(either.connect_by(RAVI, auth_token(RAVIS_ID), own)) == (200, "")
    before = connections()
    either.api.complete(own, ASHAS_ID)
    assert code(either.connect_by(RAVI, auth_token(ASHAS_ID), own)) == (409, "TRANSACTION_USED")
    assert connections() == before


def test_a_used_transaction_connects_nobody_after_the_connection_has_ended(either: ConnectionAccount) -> None:
    own = either.started(RAVI, RAVIS_ID)
    either.connect_by(RAVI, auth_token(RAVIS_ID), own)
    either.disconnect_by(RAVI)
    assert code(either.connect_by(RAVI, auth_token(RAVIS_ID), own)) == (409, "TRANSACTION_USED")
    assert connections() == {}


@pytest.mark.parametrize("status", ["INITIALIZED", "USED", "PROCESSING", "ACTION_REQUIRED", "ERRORED", "CANCELLED"])
def test_a_transaction_that_nobody_has_completed_connects_nobody(account: ConnectionAccount, status: str) -> None:
    own = account.started(RAVI)
    account.api.transactions[own] = {"transactionId": own, "status": status, "smallcaseAuthId": RAVIS_ID}
    assert code(account.connect_by(RAVI, auth_token(RAVIS_ID), own)) == (409, "TRANSACTION_NOT_COMPLETED")
    assert connections() == {}


# --- ... with a token signed by somebody else ---


def unsecured(algorithm: str) -> str:
    head = urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).rstrip(b"=").decode()
    payload = urlsafe_b64encode(json.dumps({"smallcaseAuthId": RAVIS_ID}).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}."


PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"


def signed_by_public_key() -> str:
    """HS256 with a public key for the shared secret, which PyJWT itself would not sign with."""
    import hmac  # noqa: PLC0415 - for this forgery

    signed = auth_token(RAVIS_ID).rpartition(".")[0]
    signature = hmac.digest(PUBLIC_KEY.encode(), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


FORGED: dict[str, Callable[[], str]] = {
    "api_secret": lambda: sign({"smallcaseAuthId": RAVIS_ID}, GATEWAY_SECRET["api_secret"]),
    "previous_api_secret": lambda: sign({"smallcaseAuthId": RAVIS_ID}, "old-backend-key-0123456789-0123456789"),
    "a public key": signed_by_public_key,
    "none": lambda: unsecured("none"),
    "NONE": lambda: unsecured("NONE"),
    "RS256": lambda: unsecured("RS256") + "AAAA",
    "another key": lambda: sign({"smallcaseAuthId": RAVIS_ID}, "another-key-0123456789-0123456789-ok"),
    "the secret's ARN": lambda: sign({"smallcaseAuthId": RAVIS_ID}, "arn:aws:secretsmanager:eu-west-1:1:secret:x"),
    "a key of an earlier rotation": lambda: sign({"smallcaseAuthId": RAVIS_ID}, "older-key-0123456789-0123456789-ok"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_token_signed_with_anything_but_the_signing_keys_connects_nobody(
    either: ConnectionAccount, forge: Callable[[], str]
) -> None:
    either.write_secret(
        gateway_secret(
            previous_secret="previous-key-0123456789-0123456789-x",
            previous_api_secret="old-backend-key-0123456789-0123456789",
        )
    )
    own = either.started(RAVI, RAVIS_ID)
    assert code(either.connect_by(RAVI, forge(), own)) == (400, "INVALID_SMALLCASE_TOKEN")
    assert connections() == {}


# --- ... with claims that are none ---

CLAIMS: dict[str, dict[str, object]] = {
    "both claims": {"guest": True, "smallcaseAuthId": RAVIS_ID},
    "both claims, no guest": {"guest": False, "smallcaseAuthId": RAVIS_ID},
    "guest in quotes": {"guest": "true"},
    "guest in quotes with an id": {"guest": "true", "smallcaseAuthId": RAVIS_ID},
    "an empty id": {"smallcaseAuthId": ""},
    "an id of 10 kB": {"smallcaseAuthId": "x" * 10_240},
    "an id of 100 kB": {"smallcaseAuthId": "x" * 102_400},
    "an id that is a list": {"smallcaseAuthId": [RAVIS_ID]},
    "an expired token": {"smallcaseAuthId": RAVIS_ID, "exp": 1},
    "another claim": {"smallcaseAuthId": RAVIS_ID, "sub": "user-asha"},
    "no claim": {},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
def test_a_token_that_does_not_say_exactly_one_id_connects_nobody(
    either: ConnectionAccount, claims: dict[str, object]
) -> None:
    own = either.started(RAVI)
    named = claims.get("smallcaseAuthId")
    either.api.transactions[own] = {"transactionId": own, "status": "COMPLETED", "smallcaseAuthId": named}
    assert code(either.connect_by(RAVI, sign(claims), own)) == (400, "INVALID_SMALLCASE_TOKEN")
    assert connections() == {}


def test_an_id_is_taken_from_nowhere_but_the_token(either: ConnectionAccount) -> None:
    own = either.started(RAVI, RAVIS_ID)
    call = api_event(
        "connect_user",
        RAVI,
        {"smallcaseAuthToken": auth_token(RAVIS_ID), "transactionId": own, "smallcaseAuthId": ASHAS_ID, "user": "asha"},
        smallcaseAuthId=ASHAS_ID,
    )
    call["queryStringParameters"] = {"smallcaseAuthId": ASHAS_ID, "sub": ASHA.subject}
    call["headers"] = {**call["headers"], "x-smallcase-auth-id": ASHAS_ID, "x-sub": ASHA.subject}
    assert connect_app.handler(call, Context())["statusCode"] == 200
    assert connections() == {
        user_key(RAVI): connections()[user_key(RAVI)],
        f"AUTHID#{RAVIS_ID}": {"user_pk": user_key(RAVI)},
    }


# --- ... with a completed transaction of another smallcaseAuthId ---


@pytest.mark.parametrize("completed_by", [RAVIS_ID, "", None, 7, [ASHAS_ID], ASHAS_ID.upper(), ASHAS_ID + " "])
def test_a_transaction_that_another_id_completed_connects_nobody(
    account: ConnectionAccount, completed_by: object
) -> None:
    own = account.started(RAVI)
    account.api.transactions[own] = {"transactionId": own, "status": "COMPLETED", "smallcaseAuthId": completed_by}
    assert code(account.connect_by(RAVI, auth_token(ASHAS_ID), own)) == (409, "TRANSACTION_MISMATCH")
    assert connections() == {}


def test_the_details_of_another_transaction_prove_nothing(account: ConnectionAccount) -> None:
    own, other = account.started(RAVI), account.started(RAVI, ASHAS_ID)
    account.api.transactions[own] = account.api.transactions[other]
    assert code(account.connect_by(RAVI, auth_token(ASHAS_ID), own)) == (503, "GATEWAY_UNAVAILABLE")
    assert connections() == {}


# --- Taking an id over ---


def test_an_id_that_somebody_holds_cannot_be_taken_over_even_with_every_proof(either: ConnectionAccount) -> None:
    """Ravi browses as a guest in a browser that is still logged in to Asha's broker: the vendor's own example."""
    before = asha_is_connected(either)
    own = either.started(RAVI, ASHAS_ID)
    assert code(either.connect_by(RAVI, auth_token(ASHAS_ID), own)) == (409, "AUTH_ID_TAKEN")
    assert connections() == before
    assert "used_for" not in scan()[f"TXN#{own}"]


def test_a_disconnection_ends_ones_own_connection_alone(either: ConnectionAccount) -> None:
    before = asha_is_connected(either)
    assert either.disconnect_by(RAVI)["statusCode"] == 204
    assert connections() == before


def check_one_to_one(items: dict[str, Any]) -> dict[str, str]:
    """Check that both directions say the same, and return who holds what."""
    held = {key: str(item["smallcase_auth_id"]) for key, item in items.items() if key.startswith("USER#")}
    holders = {
        key.removeprefix("AUTHID#"): str(item["user_pk"]) for key, item in items.items() if key.startswith("AUTHID#")
    }
    assert held == {user: smallcase_auth_id for smallcase_auth_id, user in holders.items()}
    assert len(set(held.values())) == len(held) == len(holders)
    used = [item for key, item in items.items() if key.startswith("TXN#") and "used_for" in item]
    for item in used:
        assert held[item["user_pk"]] == item["used_for"]
    return held


def test_of_two_browsers_that_race_for_one_id_one_wins(
    either: ConnectionAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_call_at_a_time(monkeypatch)
    attempts = [(user, either.started(user, ASHAS_ID)) for user in (ASHA, RAVI)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: code(either.connect_by(each[0], auth_token(), each[1])), attempts))
    assert sorted(answers) == [(200, ""), (409, "AUTH_ID_TAKEN")]
    assert list(check_one_to_one(scan()).values()) == [ASHAS_ID]


def test_200_attempts_at_once_of_40_users_for_20_ids_leave_a_one_to_one_table(
    account: ConnectionAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_call_at_a_time(monkeypatch)
    users = [User(ISSUER, f"user-{number}") for number in range(40)]
    # Five attempts of each user, for five different ids; ten attempts for each id.
    wanted = [
        (user, f"id-{(number * 7 + attempt * 3) % 20}") for number, user in enumerate(users) for attempt in range(5)
    ]
    attempts = [(user, auth_id, account.started(user, auth_id)) for user, auth_id in wanted]
    assert len(attempts) == 200
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda each: code(account.connect_by(each[0], auth_token(each[1]), each[2])), attempts))
    held = check_one_to_one(scan())
    assert set(answers) <= {(200, ""), (409, "ALREADY_CONNECTED"), (409, "AUTH_ID_TAKEN")}
    for (user, auth_id, _), (status, _) in zip(attempts, answers, strict=True):
        assert (status == 200) == (held.get(user_key(user)) == auth_id)
        # Whoever was refused holds another id, or sees it with somebody else.
        assert user_key(user) in held or auth_id in held.values()
    published = {(event["subject"], event["smallcase_auth_id"]) for event in account.published("connections.connected")}
    assert len(published) == len(held) == answers.count((200, ""))


# --- Learning from an answer whether an id is known ---

UNPROVED: dict[str, Callable[[ConnectionAccount], dict[str, Any]]] = {
    "a forged token": lambda aws: aws.connect_by(
        RAVI, sign({"smallcaseAuthId": ASHAS_ID}, "x" * 40), aws.started(RAVI)
    ),
    "a guest's token": lambda aws: aws.connect_by(RAVI, sign({"guest": True}), aws.started(RAVI)),
    "an unknown transaction": lambda aws: aws.connect_by(RAVI, auth_token(), "TRX_9"),
    "another user's transaction": lambda aws: aws.connect_by(RAVI, auth_token(), aws.started(ASHA, ASHAS_ID)),
    "a transaction that nobody completed": lambda aws: aws.connect_by(RAVI, auth_token(), aws.started(RAVI)),
    "a transaction of another id": lambda aws: aws.connect_by(RAVI, auth_token(), aws.started(RAVI, RAVIS_ID)),
    "a Gateway that refuses": lambda aws: refused_by_gateway(aws, UpstreamAnswer(400)),
    "a Gateway that is away": lambda aws: refused_by_gateway(aws, UpstreamFault("too_large")),
}


def refused_by_gateway(account: ConnectionAccount, reply: UpstreamAnswer | UpstreamFault) -> dict[str, Any]:
    own = account.started(RAVI, ASHAS_ID)
    account.api.replies.append(reply)
    return account.connect_by(RAVI, auth_token(), own)


@pytest.mark.parametrize("attempt", UNPROVED.values(), ids=UNPROVED)
def test_before_the_proof_no_answer_depends_on_whether_an_id_is_known(
    account: ConnectionAccount, attempt: Callable[[ConnectionAccount], dict[str, Any]]
) -> None:
    touched: list[str] = []

    def look(params: dict[str, Any], **_: object) -> None:
        request = json.loads(params["body"])
        touched.append(str(request.get("Key", request)))

    unknown = attempt(account)
    asha_is_connected(account)
    for operation in ("GetItem", "TransactWriteItems"):
        aws.dynamodb().meta.events.register(f"before-call.dynamodb.{operation}", look)
    known = attempt(account)
    assert unknown == known
    assert known["statusCode"] in {400, 404, 409, 502, 503}
    assert not [item for item in touched if "AUTHID#" in item or ASHA.subject in item]


def test_a_user_who_holds_an_id_learns_nothing_of_others_even_with_a_proof(account: ConnectionAccount) -> None:
    account.connect_by(RAVI, auth_token(RAVIS_ID), account.started(RAVI, RAVIS_ID))
    own = account.started(RAVI, ASHAS_ID)
    unknown = account.connect_by(RAVI, auth_token(), own)
    asha_is_connected(account)
    assert account.connect_by(RAVI, auth_token(), own) == unknown
    assert code(unknown) == (409, "ALREADY_CONNECTED")


# --- By webhook ---


@pytest.fixture
def by_webhook(account: ConnectionAccount) -> ConnectionAccount:
    account.environment(CONNECT_BY_WEBHOOK="true")
    return account


def test_a_genuine_postback_with_another_transaction_put_into_it_connects_nobody(by_webhook: ConnectionAccount) -> None:
    """The checksum covers the smallcaseAuthId and the timestamp alone, so a captured one goes with any transaction."""
    own = by_webhook.started(RAVI, RAVIS_ID)
    outcome = by_webhook.postback(transactionId=own, smallcaseAuthId=ASHAS_ID)
    assert outcome == {"outcome": "refused", "code": "TRANSACTION_MISMATCH"}
    assert connections() == {}


@pytest.mark.parametrize("status", ["INITIALIZED", "PROCESSING", "EXPIRED", "CANCELLED"])
def test_a_postback_does_not_complete_a_transaction(by_webhook: ConnectionAccount, status: str) -> None:
    own = by_webhook.started(RAVI)
    by_webhook.api.transactions[own] = {"status": status, "smallcaseAuthId": RAVIS_ID}
    outcome = by_webhook.postback(transactionId=own, smallcaseAuthId=RAVIS_ID, status="COMPLETED")
    assert outcome["outcome"] == "refused"
    assert connections() == {}


def test_a_postback_takes_no_id_over(by_webhook: ConnectionAccount) -> None:
    before = asha_is_connected(by_webhook)
    own = by_webhook.started(RAVI, ASHAS_ID)
    outcome = by_webhook.postback(transactionId=own, smallcaseAuthId=ASHAS_ID)
    assert outcome == {"outcome": "refused", "code": "AUTH_ID_TAKEN"}
    assert connections() == before


def test_a_postback_of_a_transaction_that_was_not_started_here_connects_nobody(by_webhook: ConnectionAccount) -> None:
    by_webhook.api.complete("TRX_9", ASHAS_ID)
    outcome = by_webhook.postback(transactionId="TRX_9", smallcaseAuthId=ASHAS_ID)
    assert outcome == {"outcome": "ignored", "reason": "transaction_unknown"}
    assert scan() == {}


def test_a_request_cannot_pass_for_a_postback(by_webhook: ConnectionAccount) -> None:
    own = by_webhook.started(RAVI, RAVIS_ID)
    call = api_event("connect_user", RAVI, {"transactionId": own, "smallcaseAuthId": RAVIS_ID})
    call |= {"detail-type": "smallcase.orders.received", "source": "gatehouse.webhooks"}
    call["detail"] = {"body": {"transactionId": own, "smallcaseAuthId": RAVIS_ID}}
    assert code(connect_app.handler(call, Context())) == (400, "INVALID_REQUEST")
    assert connections() == {}


# --- The search above can find something ---


def test_the_check_of_the_table_finds_an_id_that_two_users_hold(account: ConnectionAccount) -> None:
    asha_is_connected(account)
    item = {"pk": {"S": user_key(RAVI)}, "smallcase_auth_id": {"S": ASHAS_ID}}
    boto3.client("dynamodb").put_item(TableName="connections", Item=item)
    with pytest.raises(AssertionError):
        check_one_to_one(scan())
