"""A change of the API that breaks a client fails here, until the baseline says that it is meant."""

import copy
import re
from collections.abc import Callable

import pytest

from tests.support.api_changes import breaking_changes
from tests.support.api_document import BASELINE, PATH, Json, document, expand, read

GUEST = "/v1/tokens/guest"
START = "/v1/transactions"
CONNECT = "/v1/connections"
SMALLCASE = "/v1/webhooks/smallcase/{kind}"
INTEGRATION = "/v1/webhooks/integration/{source}"


def test_nothing_has_broken_since_the_baseline() -> None:
    assert breaking_changes(expand(read(BASELINE)), document()) == [], (
        "clients rely on this; CONTRIBUTING.md says what to do where it is meant"
    )


def test_the_baseline_is_no_newer_than_the_document() -> None:
    def version(written: Json) -> tuple[int, ...]:
        return tuple(map(int, written["info"]["version"].split(".")))

    assert version(read(BASELINE)) <= version(read(PATH))


class Planted:
    """A document to change: the operations, and the shared parts of the written one."""

    def __init__(self) -> None:
        self.written = copy.deepcopy(read(PATH))
        self.schemas: Json = self.written["components"]["schemas"]
        self.responses: Json = self.written["components"]["responses"]

    def of(self, path: str, method: str = "post") -> Json:
        """Return an operation."""
        operation: Json = self.written["paths"][path][method]
        return operation

    def answer(self, path: str, status: str, media: str = "application/json") -> Json:
        """Return the schema of an answer."""
        schema: Json = self.of(path)["responses"][status]["content"][media]["schema"]
        return schema


type Change = Callable[[Planted], object]

BREAKING: dict[str, Change] = {
    r"DELETE /v1/connections: the route is gone": lambda doc: doc.written["paths"][CONNECT].pop("delete"),
    r"POST /v1/tokens/guest: the route is gone": lambda doc: doc.written["paths"].pop(GUEST),
    r"guest: no credential is no longer enough": lambda doc: doc.of(GUEST).update(security=[{"oidc": []}]),
    r"source\}: webhookBasic is no longer enough": lambda doc: doc.of(INTEGRATION)["security"].pop(0),
    r"parameter source is gone": lambda doc: doc.of(INTEGRATION)["parameters"].pop(),
    r"transactions: parameter X-Key is required": lambda doc: doc.of(START).update(
        parameters=[{"name": "X-Key", "in": "header", "required": True, "schema": {}}]
    ),
    r"parameter kind: the value holdings is gone": lambda doc: doc.of(SMALLCASE)["parameters"][0]["schema"][
        "enum"
    ].remove("holdings"),
    r"parameter source: its pattern has changed": lambda doc: doc.of(INTEGRATION)["parameters"][0]["schema"].update(
        pattern="^[a-z]+$"
    ),
    r"source\}: a body is required": lambda doc: doc.of(INTEGRATION)["requestBody"].update(required=True),
    r"guest: a body is required": lambda doc: doc.of(GUEST).update(requestBody={"required": True, "content": {}}),
    r"body of type application/json is no longer taken": lambda doc: doc.of(START)["requestBody"]["content"].update(
        {"text/plain": doc.of(START)["requestBody"]["content"].pop("application/json")}
    ),
    r"source\}: body of type \*/\* is no longer taken": lambda doc: doc.of(INTEGRATION).pop("requestBody"),
    r"json: member notes is required": lambda doc: doc.schemas["TransactionRequest"]["required"].append("notes"),
    r"json: member assetConfig is gone": lambda doc: doc.schemas["TransactionRequest"]["properties"].pop("assetConfig"),
    r"member notes: maxLength was 1024 and is 512": lambda doc: doc.schemas["TransactionRequest"]["properties"][
        "notes"
    ].update(maxLength=512),
    r"member notes: minLength was None and is 1": lambda doc: doc.schemas["TransactionRequest"]["properties"][
        "notes"
    ].update(minLength=1),
    r"member intent: it had any value and has one of CONNECT": lambda doc: doc.schemas["TransactionRequest"][
        "properties"
    ]["intent"].update(enum=["CONNECT"]),
    r"json: its additionalProperties has changed": lambda doc: doc.schemas["TransactionRequest"].update(
        additionalProperties=False
    ),
    r"timestamp: its type was number, string and is string": lambda doc: doc.schemas["Postback"]["properties"][
        "timestamp"
    ].update(type="string"),
    r"member orders\[\]: its type was object and is string": lambda doc: doc.schemas["Postback"]["properties"][
        "orders"
    ].update(items={"type": "string"}),
    r"POST /v1/connections: 409 is gone": lambda doc: doc.of(CONNECT)["responses"].pop("409"),
    r"guest: 200: header Cache-Control is gone": lambda doc: doc.of(GUEST)["responses"]["200"]["headers"].pop(
        "Cache-Control"
    ),
    r"200: header Cache-Control is no longer promised": lambda doc: doc.written["components"]["headers"][
        "NoStore"
    ].update(required=False),
    r"guest: 503: application/problem\+json is gone": lambda doc: doc.of(GUEST)["responses"]["503"]["content"].pop(
        "application/problem+json"
    ),
    r"201: application/json: member expiresAt is no longer promised": lambda doc: doc.schemas["Transaction"][
        "required"
    ].remove("expiresAt"),
    r"200: application/json: member broker is gone": lambda doc: doc.schemas["Connection"]["properties"].pop("broker"),
    r"409: application/problem\+json: member code: the value AUTH_ID_TAKEN is gone": lambda doc: doc.answer(
        CONNECT, "409", "application/problem+json"
    )["allOf"][1]["properties"]["code"]["enum"].remove("AUTH_ID_TAKEN"),
    r"guest: 200: application/json: member user: the value guest is gone": lambda doc: doc.schemas["GuestToken"][
        "allOf"
    ][1]["properties"]["user"].update(const="nobody"),
    r"member expiresAt: its type was integer and is string": lambda doc: doc.schemas["SessionToken"]["properties"][
        "expiresAt"
    ].update(type="string"),
    r"member broker: its type was string and is null, string": lambda doc: doc.schemas["Connection"]["properties"][
        "broker"
    ].update(type=["string", "null"]),
    r"member broker: its type was string and is anything": lambda doc: doc.schemas["Connection"]["properties"][
        "broker"
    ].pop("type"),
    r"201: application/json: member transactionId: maxLength was 256 and is None": lambda doc: doc.schemas[
        "Transaction"
    ]["properties"]["transactionId"].pop("maxLength"),
    r"member id: its format has changed": lambda doc: doc.schemas["Receipt"]["properties"]["id"].pop("format"),
    r"member request_id is no longer promised": lambda doc: doc.schemas["Problem"]["required"].remove("request_id"),
}

HARMLESS: dict[str, Change] = {
    "a new route": lambda doc: doc.written["paths"].update({"/v1/more": {"post": doc.of(GUEST)}}),
    "a new status": lambda doc: doc.of(GUEST)["responses"].update({"418": doc.of(GUEST)["responses"]["429"]}),
    "a new code": lambda doc: doc.answer(CONNECT, "409", "application/problem+json")["allOf"][1]["properties"]["code"][
        "enum"
    ].append("SOMETHING_NEW"),
    "a new member of an answer": lambda doc: (
        doc.schemas["Connection"]["properties"].update(since={"type": "integer"}),
        doc.schemas["Connection"]["required"].append("since"),
    ),
    "a new optional member of a request": lambda doc: doc.schemas["ConnectionRequest"]["properties"].update(
        hint={"type": "string", "minLength": 3}
    ),
    "a member of a request that is no longer required": lambda doc: doc.schemas["ConnectionRequest"]["required"].remove(
        "transactionId"
    ),
    "a limit of a request that is raised": lambda doc: doc.schemas["TransactionRequest"]["properties"]["notes"].update(
        maxLength=2048
    ),
    "a limit of an answer that is lowered": lambda doc: doc.schemas["Transaction"]["properties"][
        "transactionId"
    ].update(maxLength=64, pattern="^TRX_"),
    "another type that a request may have": lambda doc: doc.schemas["TransactionRequest"]["properties"]["notes"].update(
        type=["string", "null"]
    ),
    "another way in": lambda doc: doc.of(START)["security"].append({"webhookToken": []}),
    "an optional parameter": lambda doc: doc.of(START).update(
        parameters=[{"name": "X-Key", "in": "header", "schema": {"type": "string"}}]
    ),
    "another type of body": lambda doc: doc.of(START)["requestBody"]["content"].update({"text/json": {}}),
    "another kind": lambda doc: doc.of(SMALLCASE)["parameters"][0]["schema"]["enum"].append("more"),
    "other words": lambda doc: doc.schemas["Problem"].update(description="Other words."),
}


@pytest.mark.parametrize(("expected", "plant"), BREAKING.items())
def test_a_planted_break_is_found(expected: str, plant: Change) -> None:
    changed = Planted()
    plant(changed)
    found = breaking_changes(document(), expand(changed.written))
    assert [line for line in found if re.search(f"{expected}$", line)], found


@pytest.mark.parametrize("plant", HARMLESS.values(), ids=HARMLESS)
def test_a_planted_addition_is_none(plant: Change) -> None:
    changed = Planted()
    plant(changed)
    assert changed.written != read(PATH)
    assert breaking_changes(document(), expand(changed.written)) == []
