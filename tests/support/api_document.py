"""docs/openapi.yaml, and holding answers against it.

Owns what "documented" means: the status, the type of the content, every member and its form, and the headers. It is
stricter than a client has to be: a member that the document does not name is a fault here.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from tests.conftest import ROOT

type Json = dict[str, Any]
type Respond = Callable[..., dict[str, object]]

PATH = ROOT / "docs" / "openapi.yaml"
BASELINE = ROOT / "docs" / "openapi.baseline.yaml"

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
JSON, PROBLEM = "application/json", "application/problem+json"
MOST_DEPTH = 50  # of references within references: nothing here refers to itself


class Undocumented(AssertionError):
    """An answer is not as the document says. Names the route, the status and the fault, and no value."""


class HttpAnswer(NamedTuple):
    """An answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The type without its parameters; empty where there is no content."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def read(path: Path) -> Json:
    """Return a document as it is written."""
    document: Json = yaml.safe_load(path.read_text())
    return document


@cache
def document() -> Json:
    """Return docs/openapi.yaml with every reference replaced by what it refers to."""
    return expand(read(PATH))


@cache
def documented() -> dict[str, Json]:
    """Return the operations of docs/openapi.yaml by route."""
    return operations(document())


def expand(written: Json) -> Json:
    """Return a document with every reference replaced. Raises `LookupError` for one that leads nowhere."""
    expanded: Json = _expanded(written, written, 0)
    return expanded


def _expanded(node: Any, root: Json, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise LookupError("a reference that leads to itself")
    if isinstance(node, list):
        return [_expanded(each, root, depth + 1) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _expanded(find(root, node["$ref"]), root, depth + 1)
    return {name: _expanded(each, root, depth + 1) for name, each in node.items()}


def find(root: Json, reference: str) -> Any:
    """Return what a reference of the form `#/a/b` refers to. Raises `LookupError`."""
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def operations(expanded: Json) -> dict[str, Json]:
    """Return the operations by route, written as API Gateway does: `POST /v1/tokens/guest`."""
    found: dict[str, Json] = {}
    for path, item in expanded["paths"].items():
        found |= {f"{method.upper()} {path}": item[method] for method in METHODS if method in item}
    return found


def problems(operation: Json) -> Iterator[tuple[int, str]]:
    """Yield the status and code of every problem that an operation may be answered with."""
    for status, response in operation["responses"].items():
        if PROBLEM in response.get("content", {}):
            for code in members(response["content"][PROBLEM]["schema"])["code"]["enum"]:
                yield int(status), code


def successes(operation: Json) -> list[int]:
    """Return the statuses of an operation's successes."""
    return [int(status) for status in operation["responses"] if status.startswith("2")]


def members(schema: Json) -> dict[str, Json]:
    """Return the members that an object may have with their schemas; what `allOf` says last counts."""
    found: dict[str, Json] = {}
    for part in schema.get("allOf", []):
        found |= members(part)
    found |= schema.get("properties", {})
    return found


def route_of(method: str, path: str) -> str | None:
    """Return the route that API Gateway finds for a request, None where it has none."""
    plain = path.partition("?")[0]
    for route in documented():
        of_method, _, template = route.partition(" ")
        if of_method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
            return route
    return None


def assert_documented(route: str, answer: HttpAnswer) -> None:
    """Hold an answer against the document. Raises `Undocumented`."""
    operation = documented()[route]
    if fault := _fault(operation, answer):
        raise Undocumented(f"{route}: {answer.status} {answer.content_type or 'without content'}: {fault}")


def _fault(operation: Json, answer: HttpAnswer) -> str | None:
    response = operation["responses"].get(str(answer.status))
    if response is None:
        return "this status is not documented"
    content = response.get("content", {})
    if not content:
        return "a body where none is documented" if answer.body else _fault_of_headers(response, answer)
    if answer.content_type not in content:
        return "this type of content is not documented"
    return _fault_of_body(content[answer.content_type]["schema"], answer) or _fault_of_headers(response, answer)


def _fault_of_body(schema: Json, answer: HttpAnswer) -> str | None:
    try:
        value = json.loads(answer.body)
    except ValueError:
        return "the body is no JSON"
    error = next(validator(schema).iter_errors(value), None)
    if error is not None:
        return f"{'/'.join(map(str, error.absolute_path)) or 'the body'} is not as its {error.validator} says"
    if more := set(value) - set(members(schema)):
        return f"members that are not documented: {sorted(more)}"
    if answer.content_type == PROBLEM and value["status"] != answer.status:
        return "the member status is another one"
    return None


def validator(schema: Json) -> Draft202012Validator:
    """Return a validator of a schema, formats included."""
    return Draft202012Validator(schema, format_checker=FormatChecker(("uuid",)))


def _fault_of_headers(response: Json, answer: HttpAnswer) -> str | None:
    for name, header in response.get("headers", {}).items():
        value = answer.headers.get(name.lower())
        if value is None:
            if header.get("required"):
                return f"no {name}"
        elif not validator(header["schema"]).is_valid(_of_type(header["schema"]["type"], value)):
            return f"{name} is not as documented"
    if answer.content_type == PROBLEM:
        # What the document can say in words only: API Gateway's own answer of the same status has neither.
        if "cache-control" not in answer.headers:
            return "a problem without Cache-Control"
        if ("retry-after" in answer.headers) != ("Retry-After" in response["headers"]):
            return "Retry-After belongs on a 503 and nowhere else"
    return None


def _of_type(kind: str, value: str) -> object:
    return int(value) if kind == "integer" and value.isdecimal() else value


def of_function(given: Mapping[str, Any]) -> HttpAnswer:
    """Read what a function hands to API Gateway."""
    return HttpAnswer(given["statusCode"], dict(given["headers"]), str(given.get("body", "")).encode())


def held(respond: Respond) -> Respond:
    """Wrap `gatehouse.http.respond`: what it returns for a route of the API has to be documented.

    A function adds no header that the document does not name.
    """

    def respond_as_documented(event: object, handle: object) -> dict[str, object]:
        given = respond(event, handle)
        route = event.get("routeKey") if isinstance(event, dict) else None
        if isinstance(route, str) and route in documented():
            answer = of_function(given)
            assert_documented(route, answer)
            named = documented()[route]["responses"][str(answer.status)].get("headers", {})
            if more := set(answer.headers) - {"content-type"} - {name.lower() for name in named}:
                raise Undocumented(f"{route}: {answer.status}: headers that are not documented: {sorted(more)}")
        return given

    return respond_as_documented


def assert_api_documented(method: str, path: str, answer: HttpAnswer) -> None:
    """Hold an answer of the running API against the document, one for a path that is no route included.

    API Gateway answers a preflight itself; that is no operation of the document.
    """
    if method == "OPTIONS":
        return
    route = route_of(method, path)
    if route is not None:
        assert_documented(route, answer)
    elif answer.status != 404 or answer.content_type != JSON or set(json.loads(answer.body)) != {"message"}:
        raise Undocumented(f"{method} on no route: {answer.status} {answer.content_type}")
