"""`make deploy`: what is said before anything is built, and what is refused."""

import re
import subprocess
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import NoCredentialsError
from moto import mock_aws

from ops import deploy_plan
from ops.deploy_plan import caller, parameters
from ops.example_values import example_values
from ops.program import WrongUsage
from tests.conftest import ROOT

OWN = '"OidcIssuer=https://auth.company.com", "CorsOrigins=https://app.company.com,https://www.company.com"'
SAMCONFIG = """
[dev.global.parameters]
stack_name = "gatehouse-dev"
{more}
[dev.deploy.parameters]
parameter_overrides = [{overrides}]

[nameless.global.parameters]
region = "eu-west-1"
"""


def plan(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, overrides: str, stage: str = "dev", more: str = ""
) -> tuple[int, str, str, list[str | None]]:
    """Return exit code, stdout, stderr, and the regions for which the account was asked."""
    samconfig = tmp_path / "samconfig.toml"
    samconfig.write_text(SAMCONFIG.format(overrides=overrides, more=more))
    asked: list[str | None] = []

    def who(region: str | None) -> tuple[str, str]:
        asked.append(region)
        return "123456789012", region or "eu-west-1"

    exit_code = deploy_plan.main({"OPS_STAGE": stage}, samconfig, who)
    captured = capsys.readouterr()
    return exit_code, captured.out, captured.err, asked


def test_what_goes_where_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    exit_code, out, err, _ = plan(capsys, tmp_path, OWN)
    assert (exit_code, err) == (0, "")
    assert out.splitlines() == [
        "Deploying gatehouse-dev (stage dev) to the AWS account 123456789012, eu-west-1:",
        "  OidcIssuer   https://auth.company.com",
        "  CorsOrigins  https://app.company.com,https://www.company.com",
        "  every other parameter as the template has it, or as it was deployed last",
    ]


def test_a_stage_without_overrides_is_deployed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert plan(capsys, tmp_path, "")[0] == 0


def test_the_stages_region_is_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert plan(capsys, tmp_path, OWN, more='region = "ap-south-1"')[3] == ["ap-south-1"]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_repositorys_own_samconfig_is_refused_untouched(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    def nobody(_: str | None) -> tuple[str, str]:
        raise AssertionError("nobody is asked for an account")

    assert deploy_plan.main({"OPS_STAGE": stage}, who=nobody) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"samconfig.toml still has example values for the stage {stage}:" in captured.err
    assert re.findall(r"^  (\w+)=https://[a-z.]+example\.com$", captured.err, re.MULTILINE) == [
        "OidcIssuer",
        "CorsOrigins",
        "IntegrationBaseUrl",
    ]


def test_make_deploy_looks_before_it_builds_and_names_the_next_step() -> None:
    made = subprocess.run(["make", "-n", "deploy", "STAGE=prod"], cwd=ROOT, capture_output=True, text=True, check=True)
    steps = ["-m ops.deploy_plan", "-m local.build", 'deploy --config-env "prod"', "make configure STAGE=prod"]
    places = [made.stdout.index(step) for step in steps]
    assert places == sorted(places)
    assert "\ndeploy: export OPS_STAGE = $(STAGE)\n" in (ROOT / "Makefile").read_text(), "dev where none is given"


@pytest.mark.parametrize(
    ("value", "example"),
    [
        ("https://auth.example.com", True),
        ("https://EXAMPLE.org/realm", True),
        ("https://app.company.com,https://dev.example.net:8443", True),
        ("https://auth.example", True),
        ("https://auth.invalid.", True),
        ("http://api.test:8080/prefix", True),
        ("https://auth.company.com", False),
        ("https://example.com.company.com", False),
        ("https://myexample.com", False),
        ("https://company.com/example.com", False),
        ("https://test.company.com", False),
        ("", False),
    ],
)
def test_an_example_is_a_host_that_nobody_can_own(value: str, example: bool) -> None:
    assert example_values({"CorsOrigins": value}) == ([f"CorsOrigins={value}"] if example else [])


def test_only_addresses_are_looked_at() -> None:
    assert example_values({"OidcAudience": "https://api.example.com"}) == []


@pytest.mark.parametrize(
    "written",
    [
        ["A=1", 'B="two, three"', "C='x y'", "D=a=b"],
        "A=1 B=\"two, three\" C='x y' D=a=b",
        "ParameterKey=A,ParameterValue=1 ParameterKey=B,ParameterValue=\"two, three\" C='x y' D=a=b",
        {"A": 1, "B": "two, three", "C": "x y", "D": "a=b"},
        [["A=1", {"B": "two, three"}], "C='x y'", "D=a=b"],
    ],
)
def test_overrides_are_read_in_every_form_of_sam_cli(written: object) -> None:
    assert parameters(written) == {"A": "1", "B": "two, three", "C": "x y", "D": "a=b"}


def test_what_is_no_override_is_none() -> None:
    assert parameters(["file://params.yaml", "A="]) == {}


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("local", "the stack of `make run`"),
        ("staging", "has no stage 'staging'"),
        ("nameless", "has no stage 'nameless' with a stack_name"),
    ],
)
def test_a_stage_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stage: str, said: str
) -> None:
    exit_code, out, err, asked = plan(capsys, tmp_path, OWN, stage)
    assert (exit_code, out, asked) == (2, "", [])
    assert said in err
    assert "Usage: make deploy" in err


def test_without_credentials_it_ends_before_the_build(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    samconfig = tmp_path / "samconfig.toml"
    samconfig.write_text(SAMCONFIG.format(overrides=OWN, more=""))

    def nobody(_: str | None) -> tuple[str, str]:
        raise NoCredentialsError

    assert deploy_plan.main({"OPS_STAGE": "dev"}, samconfig, nobody) == 1
    assert capsys.readouterr().err == "AWS did not do it: NoCredentialsError.\n"


def test_the_caller_is_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        account = boto3.client("sts").get_caller_identity()["Account"]
        assert caller(None) == (account, "eu-west-1")
        assert caller("ap-south-1") == (account, "ap-south-1")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(WrongUsage, match="AWS_REGION"):
            caller(None)
