"""The routes, authorizers and CORS of an HTTP API come from the OpenAPI document in its `Body`.

AWS: `Body` of AWS::ApiGatewayV2::Api is imported, at creation and at every update.
MiniStack 1.5.33: `Body` is ignored, so the API has no route at all.
Here: AWS::Serverless::HttpApi is expanded to exactly that.
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from local.emulator.patching import Patcher, Wrapper

type Json = dict[str, Any]

_ANY_METHOD = "x-amazon-apigateway-any-method"
_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", _ANY_METHOD})
_FIRST_ERROR_STATUS = 400


def apply(patcher: Patcher) -> None:
    """Import the body wherever CloudFormation creates or updates an HTTP API."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    patcher.wrap_item(handlers, "create", "0002e18b41984434", _create)
    patcher.wrap_item(handlers, "update", "d12d60c12ed7d9aa", _update)


def _create(original: Wrapper, logical_id: str, properties: Json, stack_name: str) -> object:
    body = properties.get("Body")
    if not body:
        return original(logical_id, properties, stack_name)
    result = original(logical_id, _with_name_and_tags(properties, body), stack_name)
    _import(result[0], body)
    return result


def _update(
    original: Wrapper, physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
) -> object:
    body = new.get("Body")
    if not body:
        return original(physical_id, old, new, stack_name, logical_id)
    before = _with_name_and_tags(old, old["Body"]) if old.get("Body") else old
    result = original(physical_id, before, _with_name_and_tags(new, body), stack_name, logical_id)
    for store in (apigateway._routes, apigateway._integrations, apigateway._authorizers):
        store[result[0]] = {}
    _import(result[0], body)
    return result


def _with_name_and_tags(properties: Json, body: Json) -> Json:
    tags = {tag["name"]: tag.get("x-amazon-apigateway-tag-value", "") for tag in body.get("tags") or []}
    name = properties.get("Name") or (body.get("info") or {}).get("title")
    return properties | {"Name": name, "Tags": (properties.get("Tags") or {}) | tags}


def _import(api_id: str, body: Json) -> None:
    if cors := body.get("x-amazon-apigateway-cors"):
        apigateway._apis[api_id]["corsConfiguration"] = dict(cors)
    authorizers = {
        name: _create_authorizer(api_id, name, scheme["x-amazon-apigateway-authorizer"])
        for name, scheme in ((body.get("components") or {}).get("securitySchemes") or {}).items()
        if "x-amazon-apigateway-authorizer" in scheme
    }
    for path, operations in (body.get("paths") or {}).items():
        for method in _METHODS & operations.keys():
            operation = operations[method]
            route = {
                "routeKey": f"{'ANY' if method == _ANY_METHOD else method.upper()} {path}",
                "target": f"integrations/{_create_integration(api_id, operation)}",
            } | _authorization(operation, authorizers)
            _created(apigateway._create_route(api_id, route))


def _create_authorizer(api_id: str, name: str, authorizer: Json) -> str:
    sources = authorizer.get("identitySource") or []
    created = _created(
        apigateway._create_authorizer(
            api_id,
            {
                "name": name,
                "authorizerType": authorizer.get("type", "jwt").upper(),
                "identitySource": [sources] if isinstance(sources, str) else sources,
                "jwtConfiguration": authorizer.get("jwtConfiguration", {}),
            },
        )
    )
    return str(created["authorizerId"])


def _create_integration(api_id: str, operation: Json) -> str:
    integration = operation["x-amazon-apigateway-integration"]
    created = _created(
        apigateway._create_integration(
            api_id,
            {
                "integrationType": integration["type"].upper(),
                "integrationUri": integration["uri"],
                "integrationMethod": integration.get("httpMethod", "POST"),
                "payloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
            },
        )
    )
    return str(created["integrationId"])


def _authorization(operation: Json, authorizers: Mapping[str, str]) -> Json:
    for requirement in operation.get("security") or []:
        for name, scopes in requirement.items():
            # A name without an authorizer is a KeyError and fails the deployment: the route must not be open.
            return {"authorizationType": "JWT", "authorizerId": authorizers[name], "authorizationScopes": scopes}
    return {}


def _created(response: tuple[int, object, bytes]) -> Json:
    status, _, content = response
    if status >= _FIRST_ERROR_STATUS:
        raise ValueError(f"the import of the API's body failed: {content!r}")
    created: Json = json.loads(content)
    return created
