"""What Schemathesis cannot know of a request: a checksum, a token of the Gateway, an intent that is allowed.

Owns making valid requests ones that get further than the first refusal. Requests that are wrong on purpose are left as
they are. Besides, every answer has to be documented as strictly as in the other tests.
"""

import hmac
import json
import os
from typing import Any

import jwt
import schemathesis

from tests.fuzz.answers import FILE, Given, note
from tests.fuzz.settings import Prepared
from tests.support.api_document import HttpAnswer, assert_api_documented

CHECKSUM_IDS = {"mf-holdings": "transactionId"}


@schemathesis.hook  # type: ignore[untyped-decorator]  # it is not in the environment that mypy runs in
def before_call(_context: object, case: Any, _kwargs: dict[str, Any]) -> None:
    """Complete a valid request."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    prepared = Prepared.from_environment(os.environ)
    match case.operation.label:
        case "POST /v1/webhooks/smallcase/{kind}":
            case.body["checksum"] = checksum(case.body, case.path_parameters["kind"], prepared.api_secret)
        case "POST /v1/webhooks/integration/{source}" if is_chosen(case.path_parameters):
            case.path_parameters["source"] = prepared.webhook_source
        case "POST /v1/transactions" if is_chosen(case.body):
            case.body["intent"] = "CONNECT"
        case "POST /v1/connections":
            complete(case.body, prepared)


def checksum(body: dict[str, Any], kind: str, key: str) -> str:
    """Return the checksum of a postback (docs/api.md)."""
    timestamp = body["timestamp"]
    covered = timestamp if isinstance(timestamp, str) else json.dumps(timestamp)
    covered += str(body.get(CHECKSUM_IDS.get(kind, "smallcaseAuthId"), ""))
    return hmac.digest(key.encode(), covered.encode("utf-8", "surrogatepass"), "sha256").hex()


def complete(body: dict[str, Any], prepared: Prepared) -> None:
    """Show what the vendor's SDK would hand back: of a transaction that was completed, or of some other one."""
    body["smallcaseAuthToken"] = jwt.encode({"smallcaseAuthId": prepared.smallcase_auth_id}, prepared.secret, "HS256")
    # That an id is printable cannot be said in a pattern that every validator reads.
    if is_chosen(body) or not body["transactionId"].isprintable():
        ids = prepared.transaction_ids.split(",")
        body["transactionId"] = ids[mark(body) // 2 % len(ids)]


def is_chosen(part: dict[str, Any]) -> bool:
    """Choose about half of the requests."""
    return mark(part) % 2 == 0


def mark(part: dict[str, Any]) -> int:
    """Return a number that depends on the request alone: the same in every run with one seed."""
    return sum(json.dumps(part, default=str).encode())


@schemathesis.hook  # type: ignore[untyped-decorator]  # see above
def after_call(_context: object, case: Any, response: Any) -> None:
    """Note what a request was answered with, for the table at the end."""
    note(os.environ[FILE], Given.of(case.operation.label, response.status_code, response.content))


@schemathesis.check  # type: ignore[untyped-decorator]  # see above
def documented(_context: object, response: Any, _case: object) -> None:
    """Hold an answer against the document: no member, and no status, that it does not name."""
    headers = {name.lower(): ", ".join(values) for name, values in response.headers.items()}
    path = response.request.path_url
    assert_api_documented(response.request.method, path, HttpAnswer(response.status_code, headers, response.content))
