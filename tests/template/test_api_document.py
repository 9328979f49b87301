"""docs/openapi.yaml against the template and the limits in the code: the same routes, and the same words."""

import json
import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gatehouse import webhook_credentials
from gatehouse.session_token import MAX_ID_CHARACTERS
from gatehouse.transaction_starter import CONNECT, MAX_INTENT_CHARACTERS, MAX_NOTES_CHARACTERS
from gatehouse.webhook_receiver import INTEGRATION_ROUTE, SMALLCASE_ROUTE
from gatehouse.webhooks import KINDS
from tests.conftest import ROOT
from tests.support.api_document import PATH, Json, documented, members, read

# The template's name of an authorizer to the document's.
SCHEMES = {"OidcAuthorizer": "oidc"}


@pytest.fixture(scope="module")
def deployed(resources: dict[str, Any]) -> dict[str, Json]:
    """The operations of the API by route, as CloudFormation gets them."""
    (api,) = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::ApiGatewayV2::Api"]
    found: dict[str, Json] = {}
    for path, methods in api["Body"]["paths"].items():
        found |= {f"{method.upper()} {path}": operation for method, operation in methods.items()}
    return found


def test_the_document_has_every_route_and_no_other(deployed: dict[str, Json]) -> None:
    assert set(documented()) == set(deployed)


def test_what_the_template_verifies_is_what_the_document_says(deployed: dict[str, Json]) -> None:
    for route, operation in deployed.items():
        expected = [{SCHEMES[name]: scopes for name, scopes in each.items()} for each in operation.get("security", [])]
        said = [each for each in documented()[route]["security"] if set(each) & set(SCHEMES.values())]
        assert said == expected, route


def test_every_authorizer_has_a_scheme(resources: dict[str, Any]) -> None:
    (api,) = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::ApiGatewayV2::Api"]
    authorizers = api["Body"]["components"]["securitySchemes"]
    assert set(authorizers) == set(SCHEMES)
    assert set(read(PATH)["components"]["securitySchemes"]) == {*SCHEMES.values(), "webhookBasic", "webhookToken"}


def test_only_the_brokerages_webhooks_show_a_credential_to_their_function() -> None:
    assert documented()[INTEGRATION_ROUTE]["security"] == [{"webhookBasic": []}, {"webhookToken": []}]
    assert documented()[SMALLCASE_ROUTE]["security"] == []


def test_cors_is_described_as_it_is_configured(resources: dict[str, Any]) -> None:
    (api,) = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::ApiGatewayV2::Api"]
    cors, said = api["Body"]["x-amazon-apigateway-cors"], read(PATH)["info"]["description"]
    for name in (*cors["allowHeaders"], *cors["exposeHeaders"], cors["allowOrigins"]["Ref"]):
        assert f"`{name}`" in said
    assert {method.partition(" ")[0] for method in documented()} == set(cors["allowMethods"])


def request(route: str) -> Json:
    schema: Json = documented()[route]["requestBody"]["content"]["application/json"]["schema"]
    return schema


def parameter(route: str) -> Json:
    (only,) = documented()[route]["parameters"]
    schema: Json = only["schema"]
    return schema


def test_the_limits_are_those_of_the_code() -> None:
    started, connected = members(request("POST /v1/transactions")), members(request("POST /v1/connections"))
    assert started["intent"]["maxLength"] == MAX_INTENT_CHARACTERS
    assert started["intent"]["examples"] == [CONNECT]
    assert started["notes"]["maxLength"] == MAX_NOTES_CHARACTERS
    assert connected["transactionId"]["maxLength"] == MAX_ID_CHARACTERS
    answered = documented()["POST /v1/transactions"]["responses"]["201"]["content"]["application/json"]["schema"]
    assert members(answered)["transactionId"]["maxLength"] == MAX_ID_CHARACTERS


def test_kinds_and_names_of_sources_are_those_of_the_code() -> None:
    assert set(parameter(SMALLCASE_ROUTE)["enum"]) == KINDS
    assert parameter(INTEGRATION_ROUTE)["pattern"] == f"^{webhook_credentials._NAME.pattern}$"


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert read(PATH)["info"]["version"] == project["version"]


def test_the_recorded_calls_are_what_the_document_asks_for() -> None:
    seen = 0
    for path in sorted((ROOT / "events").glob("*.json")):
        event = json.loads(path.read_text())
        content = documented().get(event.get("routeKey"), {}).get("requestBody", {}).get("content", {})
        if schema := content.get("application/json", {}).get("schema"):
            Draft202012Validator(schema).validate(json.loads(event["body"]))
            seen += 1
    assert seen >= 3
