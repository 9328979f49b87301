"""The template as CloudFormation gets it: SAM's transform applied, intrinsics left as they are."""

import copy
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load
from samtranslator.translator.transform import transform

from tests.conftest import ROOT

PARAMETERS = {
    "OidcIssuer": "https://auth.example.com",
    "OidcAudience": "gatehouse,other",
    "IntegrationBaseUrl": "https://integration.example.com",
    "CorsOrigins": "https://a.example.com,https://b.example.com",
}


class NoManagedPolicies:
    """The template names none."""

    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="session")
def written() -> dict[str, Any]:
    """The template as it is written."""
    template: dict[str, Any] = load(str(ROOT / "template.yaml"))
    return template


@pytest.fixture(scope="session")
def expanded(written: dict[str, Any]) -> dict[str, Any]:
    """The template with SAM's transform applied."""
    return expand(written, PARAMETERS)


def expand(written: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    """Return a template with SAM's transform applied."""
    packaged = copy.deepcopy(written)
    for resource in packaged["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://bucket/key"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        result: dict[str, Any] = transform(packaged, parameters, NoManagedPolicies())
    return result


@pytest.fixture(scope="session")
def resources(expanded: dict[str, Any]) -> dict[str, Any]:
    """All resources by logical id."""
    found: dict[str, Any] = expanded["Resources"]
    return found
