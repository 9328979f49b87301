"""In which accounts and regions the stack deploys, and under which name it answers."""

import re
import tomllib
from typing import Any

import boto3
import pytest

from tests.conftest import ROOT
from tests.template.test_template import Resources, of_type

TEMPLATE = (ROOT / "template.yaml").read_text()
NOTHING = {"Ref": "AWS::NoValue"}

# Services that the resources belong to, as botocore calls them.
SERVICES = (
    "apigatewayv2", "cloudwatch", "dynamodb", "events", "lambda", "logs", "scheduler", "secretsmanager", "sns", "sqs",
    "xray",
)  # fmt: skip


# --- Regions ---------------------------------------------------------------------------------------------------------


def commercial(service: str) -> set[str]:
    """The commercial regions that have a service, as botocore knows them."""
    return set(boto3.Session(region_name="us-east-1").get_available_regions(service, partition_name="aws"))


def test_the_extension_is_known_in_every_commercial_region(written: dict[str, Any]) -> None:
    assert written["Mappings"]["SecretsExtensionLayer"].keys() == commercial("lambda")


@pytest.mark.parametrize("service", SERVICES)
def test_every_commercial_region_has_what_the_stack_needs(service: str) -> None:
    assert commercial(service) >= commercial("lambda")


def test_no_region_is_named_but_in_the_list_of_the_extension() -> None:
    before, _, rest = TEMPLATE.partition("\nMappings:\n")
    mappings, _, after = rest.partition("\nConditions:\n")
    region = re.compile(r"\b(?:af|ap|ca|cn|eu|il|me|mx|sa|us)(?:-gov)?-[a-z]+-\d\b")
    assert len(region.findall(mappings)) >= 34
    assert region.findall(before + after) == []


def test_no_arn_names_a_partition() -> None:
    assert re.findall(r"arn:aws[a-z-]*:", TEMPLATE) == []


# --- Accounts --------------------------------------------------------------------------------------------------------


def test_nothing_is_reserved_unless_it_is_asked_for(written: dict[str, Any], resources: Resources) -> None:
    assert written["Parameters"]["ReservedConcurrency"]["Default"] == 0
    condition = {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReservedConcurrency"}, "0"]}]}
    assert written["Conditions"]["ReservesConcurrency"] == condition
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        asked, _, otherwise = function["Properties"]["ReservedConcurrentExecutions"]["Fn::If"]
        assert (asked, otherwise) == ("ReservesConcurrency", NOTHING), name


def test_what_is_reserved_is_the_operators_number_for_requests_and_fixed_for_the_rest(resources: Resources) -> None:
    reserved = {
        name: each["Properties"]["ReservedConcurrentExecutions"]["Fn::If"][1]
        for name, each in of_type(resources, "AWS::Lambda::Function").items()
    }
    of_requests = {name for name, number in reserved.items() if number == {"Ref": "ReservedConcurrency"}}
    assert of_requests == {
        "IssueGuestTokenFunction",
        "IssueUserTokenFunction",
        "StartTransactionFunction",
        "ConnectUserFunction",
        "ReceiveWebhookFunction",
    }
    (source,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert reserved["ProcessWebhookFunction"] >= source["Properties"]["ScalingConfig"]["MaximumConcurrency"]
    assert sum(number for name, number in reserved.items() if name not in of_requests) == 14


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_everything_of_a_stage_is_tagged(stage: str) -> None:
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text())[stage]["deploy"]["parameters"]
    assert configured["tags"] == f"service=gatehouse stage={stage}"


# --- Names -----------------------------------------------------------------------------------------------------------


def given(parameter: str) -> dict[str, Any]:
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}


@pytest.mark.parametrize(
    ("parameter", "needs"),
    [("DomainName", "CertificateArn"), ("CertificateArn", "DomainName"), ("HostedZoneId", "DomainName")],
)
def test_what_belongs_to_a_domain_is_refused_alone(written: dict[str, Any], parameter: str, needs: str) -> None:
    (rule,) = [each for each in written["Rules"].values() if each["RuleCondition"] == given(parameter)]
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == given(needs)
    assert {parameter, needs} <= set(re.findall(r"\w+", assertion["AssertDescription"]))


def test_the_whole_api_answers_under_the_domain(written: dict[str, Any], resources: Resources) -> None:
    assert written["Conditions"]["HasDomain"] == given("DomainName")
    (domain,) = of_type(resources, "AWS::ApiGatewayV2::DomainName").values()
    (mapping,) = of_type(resources, "AWS::ApiGatewayV2::ApiMapping").values()
    (stage,) = of_type(resources, "AWS::ApiGatewayV2::Stage")
    assert domain["Condition"] == mapping["Condition"] == "HasDomain"
    (endpoint,) = domain["Properties"]["DomainNameConfigurations"]
    assert endpoint["SecurityPolicy"] == "TLS_1_2"
    assert mapping["Properties"]["Stage"] == {"Ref": stage}
    assert "ApiMappingKey" not in mapping["Properties"]
    output = written["Outputs"]["CustomUrl"]
    assert (output["Condition"], output["Value"]) == ("HasDomain", {"Fn::Sub": "https://${DomainName}"})


def test_the_record_is_made_where_the_zone_is_ours(written: dict[str, Any], resources: Resources) -> None:
    assert written["Conditions"]["HasHostedZone"] == given("HostedZoneId")
    (record,) = of_type(resources, "AWS::Route53::RecordSet").values()
    assert record["Condition"] == "HasHostedZone"
    assert record["Properties"]["AliasTarget"] == {
        "DNSName": {"Fn::GetAtt": ["CustomDomain", "RegionalDomainName"]},
        "HostedZoneId": {"Fn::GetAtt": ["CustomDomain", "RegionalHostedZoneId"]},
    }


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("AlarmEmail", ["", "ops@example.com"], ["ops", "a@b.c,d@e.f", "ops@example", "a b@example.com"]),
        (
            "DomainName",
            ["", "api.example.com"],
            ["https://api.example.com", "API.example.com", "com", "a..b", "api.example.com/x", "-a.com"],
        ),
        (
            "CertificateArn",
            ["", "arn:aws:acm:eu-west-1:123456789012:certificate/1-2"],
            ["1-2", "arn:aws:iam::123456789012:server-certificate/x"],
        ),
        ("HostedZoneId", ["", "Z23FDCHU2721MV"], ["example.com", "/hostedzone/Z23FDCHU2721MV"]),
    ],
)
def test_a_parameter_takes_what_is_meant_and_nothing_else(
    written: dict[str, Any], name: str, good: list[str], bad: list[str]
) -> None:
    pattern = written["Parameters"][name]["AllowedPattern"]
    assert [value for value in good if not re.search(pattern, value)] == []
    assert [value for value in bad if re.search(pattern, value)] == []
