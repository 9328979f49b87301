"""`make show-webhook`: what to register, and what stays hidden."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import boto3
import pytest

from gatehouse.webhooks import KINDS
from ops import show_webhook
from tests.support.ops_fakes import TITLE, FakeDeployments, Outcome, runner
from tests.support.token_fakes import aws_account

BASIC = {"type": 1, "username": "the-user", "password": "the-password"}
TOKEN = {"type": 2, "token": "the-token"}
SOURCES: dict[str, Any] = {
    "broker": {"authentication": [BASIC, TOKEN]},
    "basic": {
        "authentication": [TOKEN, {**BASIC, "note": "of-nobodys-business"}],
        "delivery_id_header": "X-Delivery-Id",
    },
    "bare": {"authentication": [TOKEN], "token_header": "X-Token"},
    "smallcase": {"authentication": [TOKEN]},
    "broken": {"authentication": [{"type": 1, "username": "the-user", "password": "REPLACE_ME"}]},
    "removed": None,
    "a source": {"authentication": [TOKEN]},
}


class World(NamedTuple):
    """A deployment with sources, and the program over it."""

    deployments: FakeDeployments
    show: Callable[..., Outcome]

    def write(self, text: str) -> None:
        """Replace the secret."""
        arn = self.deployments.outputs["WebhookCredentialsSecretArn"]
        boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=text)


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with aws_account():
        text = json.dumps(SOURCES)
        arn = boto3.client("secretsmanager").create_secret(Name="webhooks", SecretString=text)["ARN"]
        outputs = {"ApiUrl": "https://api.example.com", "WebhookCredentialsSecretArn": arn}
        deployments = FakeDeployments(outputs, {"ChecksumEncoding": "base64"})
        yield World(deployments, runner(show_webhook.main, deployments, capsys))


def test_the_newest_credential_is_what_one_registers(world: World) -> None:
    outcome = world.show(SOURCE="broker")
    assert outcome.exit_code == 0
    assert json.loads(outcome.out) == {
        "host": "api.example.com",
        "path": "/v1/webhooks/integration/broker",
        "method": 2,
        "authentication": {"type": 2, "token": "***"},
    }
    assert outcome.err.splitlines() == [
        TITLE,
        "This is credential 2 of 2, the newest.",
        "SHOW_SECRETS=1 shows what stands for ***.",
    ]


def test_another_credential_is_shown_by_its_place(world: World) -> None:
    outcome = world.show(SOURCE="broker", INDEX="1")
    assert json.loads(outcome.out)["authentication"] == {"type": 1, "username": "the-user", "password": "***"}
    assert "This is credential 1 of 2.\n" in outcome.err


def test_secrets_are_shown_where_they_are_asked_for(world: World) -> None:
    assert json.loads(world.show(SOURCE="broker", SHOW_SECRETS="1").out)["authentication"] == TOKEN
    outcome = world.show(SOURCE="basic", SHOW_SECRETS="1")
    assert json.loads(outcome.out)["authentication"] == BASIC, "and no member of somebody's own"
    assert "the-password" not in outcome.err
    assert "SHOW_SECRETS" not in outcome.err


@pytest.mark.parametrize("variables", [{}, {"INDEX": "1"}, {"SHOW_SECRETS": "0"}, {"INDEX": "9"}])
def test_no_secret_is_shown_unless_it_is_asked_for(world: World, variables: dict[str, str]) -> None:
    for source in (*SOURCES, "nobody"):
        outcome = world.show(SOURCE=source, **variables)
        for secret in ("the-password", "the-token", "of-nobodys-business"):
            assert secret not in outcome.out + outcome.err


def test_a_host_has_its_port_and_a_path_what_stands_before_it(world: World) -> None:
    for url, host, prefix in (
        ("http://127.0.0.1:8700", "127.0.0.1:8700", ""),
        ("https://example.com/gatehouse/", "example.com", "/gatehouse"),
    ):
        world.deployments.outputs["ApiUrl"] = url
        shown = json.loads(world.show(SOURCE="broker").out)
        assert (shown["host"], shown["path"]) == (host, prefix + "/v1/webhooks/integration/broker")


def test_a_domain_of_the_companys_own_is_what_one_registers(world: World) -> None:
    world.deployments.outputs["CustomUrl"] = "https://hooks.example.org"
    assert json.loads(world.show(SOURCE="broker").out)["host"] == "hooks.example.org"
    assert "https://hooks.example.org/v1/webhooks/smallcase/orders" in world.show(SOURCE="smallcase").out


def test_headers_of_a_source_are_noted(world: World) -> None:
    assert "bare in the header x-token" in world.show(SOURCE="bare").err
    assert "told apart by the header x-delivery-id" in world.show(SOURCE="basic").err
    plain = world.show(SOURCE="broker").err
    assert "header" not in plain


def test_a_source_may_be_named_as_in_the_log(world: World) -> None:
    assert world.show(SOURCE="integration.broker").out == world.show(SOURCE="broker").out
    assert "integration/smallcase" in world.show(SOURCE="integration.smallcase").out


@pytest.mark.parametrize("source", ["nobody", "removed", "Broker"])
def test_an_unknown_source_is_refused_with_those_that_there_are(world: World, source: str) -> None:
    outcome = world.show(SOURCE=source)
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert f"has no source {source}. It has: a source, bare, basic, broken, broker, smallcase." in outcome.err


def test_where_there_are_no_sources_that_is_said(world: World) -> None:
    world.write("{}")
    outcome = world.show(SOURCE="broker")
    assert (outcome.exit_code, "It has none yet." in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("source", "said"),
    [("broken", "broken.password in WebhookCredentials, placeholder"), ("a source", "a source.name")],
)
def test_a_source_that_takes_no_delivery_is_not_registered(world: World, source: str, said: str) -> None:
    outcome = world.show(SOURCE=source, SHOW_SECRETS="1")
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert f"This source takes no delivery: {said}" in outcome.err


def test_a_secret_that_is_no_json_is_said_without_its_text(world: World) -> None:
    world.write("the-password: yes")
    outcome = world.show(SOURCE="broker")
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert "WebhookCredentials cannot be used: SecretString, not_json." in outcome.err
    assert "the-password" not in outcome.err


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "SOURCE is missing"),
        ({"SOURCE": "broker", "INDEX": "0"}, "INDEX is a whole number"),
        ({"SOURCE": "broker", "INDEX": "3"}, "broker has 2 credential(s): INDEX is from 1 to 2."),
        ({"SOURCE": "broker", "SHOW_SECRETS": "please"}, "SHOW_SECRETS"),
    ],
)
def test_a_wrong_command_is_refused(world: World, variables: dict[str, str], said: str) -> None:
    outcome = world.show(**variables)
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert said in outcome.err


def test_a_secret_out_of_reach_is_said(world: World) -> None:
    world.deployments.outputs["WebhookCredentialsSecretArn"] = "nothing"
    outcome = world.show(SOURCE="broker")
    assert (outcome.exit_code, "ResourceNotFoundException" in outcome.err) == (1, True)


def test_for_smallcase_there_are_four_addresses_and_the_form_of_the_checksum(world: World) -> None:
    outcome = world.show(SOURCE="smallcase")
    assert outcome.exit_code == 0
    addresses = dict(line.split() for line in outcome.lines[:4])
    assert addresses == {kind: f"https://api.example.com/v1/webhooks/smallcase/{kind}" for kind in KINDS}
    assert "HMAC-SHA256 in base64" in outcome.out
    assert "orders           timestamp + smallcaseAuthId" in outcome.lines
    assert "mf-holdings      timestamp + transactionId" in outcome.lines
    assert outcome.err == TITLE + "\n"
