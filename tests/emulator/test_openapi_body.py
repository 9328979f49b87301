"""HTTP APIs as AWS::Serverless::HttpApi makes them: everything in an OpenAPI document."""

import pytest

from tests.emulator.emulators import Emulator, Json, Response, http_request
from tests.emulator.issuer import Issuer

ORIGIN = "http://localhost:3000"
API_ID = "4d3c2b1a"


def _template(emulator: Emulator, issuer: Issuer, *paths: str, security: str = "Oidc") -> Json:
    function = emulator.client("lambda").get_function(FunctionName="echo")["Configuration"]["FunctionArn"]
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    integration = {"type": "aws_proxy", "httpMethod": "POST", "payloadFormatVersion": "2.0", "uri": uri}
    operation: Json = {"x-amazon-apigateway-integration": integration}
    authorizer = {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {"issuer": {"Ref": "Issuer"}, "audience": {"Ref": "Audience"}},
    }
    body = {
        "openapi": "3.0.1",
        "info": {"title": "by-title", "version": "1"},
        "tags": [{"name": "ms-custom-id", "x-amazon-apigateway-tag-value": API_ID}],
        "x-amazon-apigateway-cors": {
            "allowOrigins": {"Ref": "Origins"},
            "allowMethods": ["POST"],
            "allowHeaders": ["authorization"],
            "maxAge": 600,
        },
        "components": {"securitySchemes": {"Oidc": {"x-amazon-apigateway-authorizer": authorizer}}},
        "paths": {path: {"post": operation} for path in paths}
        | {"/protected": {"x-amazon-apigateway-any-method": {**operation, "security": [{security: []}]}}},
    }
    return {
        "Parameters": {
            "Issuer": {"Type": "String", "Default": issuer.url},
            "Audience": {"Type": "CommaDelimitedList", "Default": "gatehouse,other"},
            "Origins": {"Type": "CommaDelimitedList", "Default": f"{ORIGIN},https://app.localhost"},
        },
        "Resources": {
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body, "FailOnWarnings": True}},
            "Stage": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "dev", "AutoDeploy": True},
            },
        },
        "Outputs": {"Id": {"Value": {"Ref": "Api"}}},
    }


def _call(emulator: Emulator, method: str, path: str, *headers: tuple[str, str]) -> Response:
    host = ("Host", f"{API_ID}.execute-api.localhost:{emulator.ports.aws}")
    return http_request(emulator.ports.aws, method, f"/dev{path}", [host, *headers])


def test_is_still_needed_the_body_of_an_api_is_ignored(plain: Emulator, issuer: Issuer) -> None:
    api_id = plain.deploy("body", _template(plain, issuer, "/v1/a"))["Id"]
    assert plain.client("apigatewayv2").get_routes(ApiId=api_id)["Items"] == []


@pytest.fixture(scope="module")
def api(patched: Emulator, issuer: Issuer) -> Emulator:
    assert patched.deploy("body", _template(patched, issuer, "/v1/a", "/v1/{kind}/b"))["Id"] == API_ID
    return patched


def test_the_body_gives_an_api_its_name_and_routes(api: Emulator) -> None:
    assert api.client("apigatewayv2").get_api(ApiId=API_ID)["Name"] == "by-title"
    assert _call(api, "POST", "/v1/a").json["routeKey"] == "POST /v1/a"
    assert _call(api, "POST", "/v1/x/b").json["pathParameters"] == {"kind": "x"}
    assert _call(api, "POST", "/v1/c").status == _call(api, "GET", "/v1/a").status == 404


def test_the_body_gives_a_route_its_authorizer(api: Emulator, issuer: Issuer) -> None:
    assert _call(api, "GET", "/protected").status == 401
    for audience in ("gatehouse", "other"):
        token = issuer.token(aud=audience)
        assert _call(api, "PUT", "/protected", ("Authorization", f"Bearer {token}")).status == 200


def test_the_body_gives_an_api_its_cors(api: Emulator) -> None:
    asked = ("Access-Control-Request-Method", "POST")
    for origin in (ORIGIN, "https://app.localhost"):
        preflight = _call(api, "OPTIONS", "/v1/a", ("Origin", origin), asked)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        assert preflight.headers["access-control-allow-methods"] == "POST"
        assert preflight.headers["access-control-max-age"] == "600"
        assert _call(api, "POST", "/v1/a", ("Origin", origin)).headers["access-control-allow-origin"] == origin
    foreign = _call(api, "OPTIONS", "/v1/a", ("Origin", "http://foreign.localhost"), asked)
    assert "access-control-allow-origin" not in foreign.headers


def test_an_update_replaces_the_routes(api: Emulator, issuer: Issuer) -> None:
    template = _template(api, issuer, "/v1/new")
    assert api.deploy("body", template)["Id"] == API_ID
    assert _call(api, "POST", "/v1/new").status == 200
    assert _call(api, "POST", "/v1/a").status == 404
    assert len(api.client("apigatewayv2").get_authorizers(ApiId=API_ID)["Items"]) == 1


def test_an_api_without_a_body_is_left_to_ministack(api: Emulator) -> None:
    def template(description: str) -> Json:
        properties = {"Name": "bare", "ProtocolType": "HTTP", "Description": description}
        bare = {"Type": "AWS::ApiGatewayV2::Api", "Properties": properties}
        return {"Resources": {"Api": bare}, "Outputs": {"Id": {"Value": {"Ref": "Api"}}}}

    api_id = api.deploy("bare", template("first"))["Id"]
    assert api.deploy("bare", template("second"))["Id"] == api_id
    assert api.client("apigatewayv2").get_api(ApiId=api_id)["Description"] == "second"


def test_a_route_with_an_unknown_authorizer_fails_the_deployment(api: Emulator, issuer: Issuer) -> None:
    with pytest.raises(AssertionError, match="Typo"):
        api.deploy("body", _template(api, issuer, "/v1/a", security="Typo"))
