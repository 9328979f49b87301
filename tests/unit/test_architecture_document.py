"""docs/architecture.md, held against the template and the import rules."""

import json
import re
import tomllib
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load

from tests.conftest import ROOT
from tests.template.conftest import PARAMETERS, expand
from tests.template.test_template import as_list, statements
from tests.unit.test_docs import table

DOCUMENT = (ROOT / "docs" / "architecture.md").read_text()
# Every role has these, and the document says so once.
ORDINARY = {"logs", "xray", "kms"}


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    template: dict[str, Any] = load(str(ROOT / "template.yaml"))
    return template


def of_type(written: dict[str, Any], kind: str) -> set[str]:
    return {name for name, each in written["Resources"].items() if each["Type"] == kind}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@pytest.fixture(scope="module")
def functions(written: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = of_type(written, "AWS::Serverless::Function")
    return {snake(name.removesuffix("Function")): written["Resources"][name]["Properties"] for name in found}


def test_it_lists_every_function(functions: dict[str, Any]) -> None:
    assert set(table(DOCUMENT, "function")) == set(functions)


def test_it_names_every_route_with_the_function_behind_it(functions: dict[str, Any]) -> None:
    for name, cells in table(DOCUMENT, "function").items():
        routes = {
            f"{event['Properties']['Method']} {event['Properties']['Path']}"
            for event in functions[name].get("Events", {}).values()
            if event["Type"] == "HttpApi"
        }
        assert set(re.findall(r"(?:POST|DELETE) /[a-z0-9/{}]+", cells[0])) == routes, name


def test_it_says_what_every_functions_role_may(written: dict[str, Any]) -> None:
    allowed: dict[str, dict[str, set[str]]] = {}
    for role, statement in statements(expand(written, PARAMETERS)["Resources"]):
        for action in as_list(statement["Action"]):
            service, _, name = action.partition(":")
            if service not in ORDINARY:
                for resource in as_list(statement["Resource"]):
                    target = resource.get("Ref") or resource["Fn::GetAtt"][0]
                    allowed.setdefault(snake(role.removesuffix("Role")), {}).setdefault(target, set()).add(name)
    allowed.pop("refresh_schedule")  # the schedule's, no function's
    documented = {
        function: {
            resource: set(actions.split(", "))
            for resource, _, actions in (entry.partition(": ") for entry in cells[-1].split("; "))
        }
        for function, cells in table(DOCUMENT, "function").items()
    }
    assert documented == allowed


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("secret", "AWS::SecretsManager::Secret"),
        ("table", "AWS::DynamoDB::Table"),
        ("queue", "AWS::SQS::Queue"),
    ],
)
def test_it_lists_everything_that_holds_data(written: dict[str, Any], heading: str, kind: str) -> None:
    assert set(table(DOCUMENT, heading)) - {""} == of_type(written, kind)


def test_it_says_who_reads_which_secret(written: dict[str, Any]) -> None:
    readers: dict[str, int] = {}
    for _, statement in statements(expand(written, PARAMETERS)["Resources"]):
        if "secretsmanager:GetSecretValue" in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                readers[resource["Ref"]] = readers.get(resource["Ref"], 0) + 1
    assert readers == {"GatewaySecret": 5, "IntegrationCredentials": 1, "IntegrationTokens": 2, "WebhookCredentials": 1}


def test_its_keys_are_those_that_the_roles_are_held_to(written: dict[str, Any]) -> None:
    held = set(re.findall(r'"([A-Za-z-]+#)[^"]*"', json.dumps(written)))
    assert {"USER#", "AUTHID#", "TXN#", "lease#", "rejected#"} <= held
    assert [each for each in held if f"`{each}" not in DOCUMENT] == []


def test_it_lists_every_rule_about_imports() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert set(re.findall(r"^- \*\*(.+?)\*\*", DOCUMENT.partition("## Layers of the code")[2], flags=re.MULTILINE)) == {
        contract["name"] for contract in contracts
    }
