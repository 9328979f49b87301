"""docs/openapi.yaml by itself: well-formed, complete, and what holds answers against it notices."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.support.api_document import (
    JSON,
    METHODS,
    PATH,
    PROBLEM,
    HttpAnswer,
    Json,
    Undocumented,
    assert_api_documented,
    assert_documented,
    documented,
    expand,
    held,
    problems,
    read,
    route_of,
)

ROUTES = pytest.mark.parametrize("route", documented())


@pytest.fixture(scope="module")
def written() -> Json:
    return read(PATH)


# --- The document ---


def test_it_is_openapi_3_1(written: Json) -> None:
    # `make schemathesis` holds it against the official meta-schema.
    assert re.fullmatch(r"3\.1\.\d+", written["openapi"])
    assert set(written) <= {"openapi", "info", "servers", "paths", "components", "tags"}
    assert {"title", "version", "description", "license"} <= set(written["info"])


def duplicates(node: yaml.Node) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        names = [key.value for key, _ in node.value]
        yield from {name for name in names if names.count(name) > 1}
        for _, value in node.value:
            yield from duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from duplicates(each)


def test_no_name_stands_twice_in_an_object() -> None:
    node = yaml.compose(PATH.read_text())
    assert node is not None
    assert list(duplicates(node)) == []
    twice = yaml.compose("a: [{b: 1, b: 2}]")
    assert twice is not None
    assert list(duplicates(twice)) == ["b"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            assert set(node) == {"$ref"}, node
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_component_is_used(written: Json) -> None:
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in written["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert components == set(references(written))
    schemes = {name for operation in documented().values() for each in operation["security"] for name in each}
    assert schemes == set(written["components"]["securitySchemes"])


def test_a_reference_that_leads_nowhere_or_to_itself_is_found() -> None:
    for reference in ("#/components/schemas/None", "#/a"):
        with pytest.raises(LookupError):
            expand({"a": {"$ref": reference}})


def schemas(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        if isinstance(node.get("schema"), dict):
            yield node["schema"]
        for each in node.values():
            yield from schemas(each)
    elif isinstance(node, list):
        for each in node:
            yield from schemas(each)


def test_every_schema_is_one_of_json_schema_2020_12() -> None:
    found = [schema for operation in documented().values() for schema in schemas(operation)]
    assert len(found) > 50
    for schema in found:
        Draft202012Validator.check_schema(schema)


def test_every_example_fits_its_schema() -> None:
    seen = 0
    for operation in documented().values():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for example in content.get("examples", {}).values():
                Draft202012Validator(content["schema"]).validate(example["value"])
                seen += 1
        for schema in schemas(operation):
            for example in schema.get("examples", []):
                Draft202012Validator(schema).validate(example)
                seen += 1
    assert seen >= 3


def test_names_of_operations_are_unique() -> None:
    names = [operation["operationId"] for operation in documented().values()]
    assert len(set(names)) == len(names)


def test_a_path_has_nothing_but_operations(written: Json) -> None:
    for item in written["paths"].values():
        assert set(item) <= set(METHODS)


@ROUTES
def test_every_operation_says_what_it_is(route: str) -> None:
    operation = documented()[route]
    for name in ("operationId", "summary", "description", "tags", "security"):
        assert name in operation
    assert set(re.findall(r"\{(\w+)\}", route)) == {
        each["name"] for each in operation.get("parameters", []) if each["in"] == "path" and each["required"] is True
    }


@ROUTES
def test_every_answer_is_described_with_its_headers_and_content(route: str) -> None:
    for status, response in documented()[route]["responses"].items():
        assert re.fullmatch(r"[2-5]\d\d", status)
        assert response["description"].endswith(".")
        content = response.get("content", {})
        assert ("content" in response) == (status != "204")
        assert set(content) <= {JSON, PROBLEM}
        expected = {"Access-Control-Allow-Origin"}
        if PROBLEM in content or ("/tokens/" in route and status == "200"):
            expected.add("Cache-Control")
        if PROBLEM in content and status == "503":
            expected.add("Retry-After")
        assert set(response["headers"]) == expected


@ROUTES
def test_api_gateways_own_answers_are_where_it_can_give_them(route: str) -> None:
    operation = documented()[route]
    own = {
        int(status)
        for status, response in operation["responses"].items()
        if int(status) >= 400 and JSON in response["content"]
    }
    verified, variable = {"oidc": []} in operation["security"], "{" in route
    assert own == {413, 429, 500, 503} | ({401} if verified else set()) | ({404} if variable else set())
    for status in own:
        schema = operation["responses"][str(status)]["content"][JSON]["schema"]
        assert (schema["required"], set(schema["properties"])) == (["message"], {"message"})


# --- Holding answers against it ---

GUEST = "POST /v1/tokens/guest"
CONNECT = "POST /v1/connections"
TOKEN = {"gateway": "acme", "smallcaseAuthToken": "a.b.c", "user": "guest", "expiresAt": 1}
NOT_CONFIGURED = {
    "type": "urn:gatehouse:problem:gateway-not-configured",
    "title": "t",
    "status": 503,
    "detail": "d",
    "code": "GATEWAY_NOT_CONFIGURED",
    "request_id": "r",
}
OF_TOKEN = {"content-type": JSON, "cache-control": "no-store"}
OF_PROBLEM = {"content-type": PROBLEM, "cache-control": "no-store", "retry-after": "60"}


def answer(status: int, headers: dict[str, str], document: object) -> HttpAnswer:
    return HttpAnswer(status, headers, json.dumps(document).encode())


@pytest.mark.parametrize(
    "fine",
    [
        answer(200, OF_TOKEN, TOKEN),
        answer(200, {**OF_TOKEN, "date": "today", "content-type": "application/json; charset=utf-8"}, TOKEN),
        answer(503, OF_PROBLEM, NOT_CONFIGURED),
        answer(503, {"content-type": JSON}, {"message": "Service Unavailable"}),
        answer(429, {"content-type": JSON}, {"message": "Too Many Requests"}),
    ],
)
def test_an_answer_as_documented_passes(fine: HttpAnswer) -> None:
    assert_documented(GUEST, fine)


@pytest.mark.parametrize(
    ("strange", "fault"),
    [
        (answer(202, OF_TOKEN, TOKEN), "this status"),
        (answer(200, {**OF_TOKEN, "content-type": "text/html"}, TOKEN), "this type of content"),
        (answer(200, {"cache-control": "no-store"}, TOKEN), "this type of content"),
        (HttpAnswer(200, OF_TOKEN, b"{"), "no JSON"),
        (answer(200, OF_TOKEN, [TOKEN]), "the body is not as its type"),
        (answer(200, OF_TOKEN, {**TOKEN, "expiresAt": "1"}), "expiresAt is not as its type"),
        (answer(200, OF_TOKEN, {**TOKEN, "user": "connected"}), "user is not as its const"),
        (answer(200, OF_TOKEN, {name: TOKEN[name] for name in TOKEN if name != "user"}), "required"),
        (answer(200, OF_TOKEN, {**TOKEN, "broker": "kite"}), r"\['broker'\]"),
        (answer(200, {"content-type": JSON}, TOKEN), "no Cache-Control"),
        (answer(200, {**OF_TOKEN, "cache-control": "private"}, TOKEN), "Cache-Control is not"),
        (answer(503, OF_PROBLEM, {**NOT_CONFIGURED, "code": "QUEUE_UNAVAILABLE"}), "code is not as its enum"),
        (answer(503, OF_PROBLEM, {**NOT_CONFIGURED, "status": 500}), "status is not as its const"),
        (answer(503, {**OF_PROBLEM, "retry-after": "soon"}, NOT_CONFIGURED), "Retry-After is not"),
        (answer(503, {**OF_PROBLEM, "retry-after": "0"}, NOT_CONFIGURED), "Retry-After is not"),
        (answer(503, {"content-type": PROBLEM, "cache-control": "no-store"}, NOT_CONFIGURED), "Retry-After belongs"),
        (answer(503, {"content-type": PROBLEM, "retry-after": "5"}, NOT_CONFIGURED), "without Cache-Control"),
        (answer(401, {"content-type": JSON}, {"message": "Unauthorized"}), "this status"),
    ],
)
def test_an_answer_that_is_not_as_documented_is_named_without_its_values(strange: HttpAnswer, fault: str) -> None:
    with pytest.raises(Undocumented, match=f"^POST /v1/tokens/guest: {strange.status} .*{fault}") as caught:
        assert_documented(GUEST, strange)
    assert "a.b.c" not in str(caught.value)


def test_a_body_where_none_is_documented_is_a_fault() -> None:
    assert_documented("DELETE /v1/connections", HttpAnswer(204, {}, b""))
    with pytest.raises(Undocumented, match="a body where none"):
        assert_documented("DELETE /v1/connections", answer(204, {}, {}))


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/tokens/guest?x=/v1", GUEST),
        ("GET", "/v1/tokens/guest", None),
        ("POST", "/v1/tokens/guest/", None),
        ("POST", "/v1/webhooks/smallcase/orders", "POST /v1/webhooks/smallcase/{kind}"),
        ("POST", "/v1/webhooks/smallcase/", None),
        ("POST", "/v1/webhooks/smallcase/a/b", None),
        ("DELETE", "/v1/connections", "DELETE /v1/connections"),
    ],
)
def test_the_route_of_a_request_is_found(method: str, path: str, route: str | None) -> None:
    assert route_of(method, path) == route


def test_what_is_no_route_is_api_gateways_404() -> None:
    not_found = answer(404, {"content-type": JSON}, {"message": "Not Found"})
    assert_api_documented("GET", "/v1/tokens/guest", not_found)
    assert_api_documented("OPTIONS", "/anything", HttpAnswer(204, {}, b""))
    assert_api_documented("POST", "/v1/tokens/guest", answer(200, OF_TOKEN, TOKEN))
    for strange in (not_found._replace(status=200), not_found._replace(body=b"{}"), answer(404, OF_PROBLEM, {})):
        with pytest.raises(Undocumented):
            assert_api_documented("GET", "/v1/tokens/guest", strange)
    with pytest.raises(Undocumented):
        assert_api_documented("POST", "/v1/tokens/guest", not_found)


def test_a_functions_answers_are_held_to_the_document_as_they_are_given() -> None:
    given: dict[str, Any] = {"statusCode": 200, "headers": {**OF_TOKEN}, "body": json.dumps(TOKEN)}
    respond = held(lambda _event, _handle: given)
    assert respond({"routeKey": GUEST}, None) is given
    given["headers"]["x-more"] = "1"
    with pytest.raises(Undocumented, match=r"headers that are not documented: \['x-more'\]"):
        respond({"routeKey": GUEST}, None)
    given["statusCode"] = 418
    with pytest.raises(Undocumented, match="418"):
        respond({"routeKey": GUEST}, None)
    others: list[object] = [{"routeKey": "$default"}, {}, None, {"routeKey": []}]
    for event in others:
        assert respond(event, None) is given  # no call of the API


def test_problems_are_listed_with_their_status() -> None:
    assert set(problems(documented()[GUEST])) == {
        (413, "BODY_TOO_LARGE"),
        (500, "INTERNAL_ERROR"),
        (503, "GATEWAY_NOT_CONFIGURED"),
        (503, "SECRET_UNAVAILABLE"),
    }
