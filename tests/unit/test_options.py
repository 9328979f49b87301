import json
from pathlib import Path

import pytest

from local.options import InvalidOptions, Options


def test_without_anything_said_everything_has_a_default() -> None:
    options = Options.from_environment({})
    assert options.ports.base == 8700
    assert options.issuer == "http://127.0.0.1:8702"
    assert options.oidc_audience == "gatehouse"
    assert options.page_origins == ("http://127.0.0.1:8705", "http://localhost:8705")
    assert options.parameters == {}
    assert options.secrets == {}
    assert options.integration_base_url is None
    assert options.smallcase_base_url is None
    assert (options.integration_api, options.smallcase_api) == ("http://127.0.0.1:8703", "http://127.0.0.1:8704")


def test_everything_can_be_said(tmp_path: Path) -> None:
    secrets = {"GatewaySecret": {"gateway_name": "acme"}, "WebhookCredentials": {}}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    options = Options.from_environment(
        {
            "PORT": "9000",
            "OIDC_ISSUER": "https://auth.example.com/tenant/",
            "OIDC_AUDIENCE": "a,b",
            "INTEGRATION_BASE_URL": "http://127.0.0.1:9100/prefix/",
            "SMALLCASE_BASE_URL": "http://localhost:9200",
            "CORS_ORIGINS": "http://localhost:3000, https://app.example.com ,",
            "PARAMETERS": "TokenLifetimeSeconds=60; RefreshRate=rate(1 minute);",
            "SECRETS_FILE": str(tmp_path / "secrets.json"),
        }
    )
    assert options.ports.api == 9000
    assert options.issuer == "https://auth.example.com/tenant/"
    assert options.page_origins == ("http://localhost:3000", "https://app.example.com")
    assert options.integration_api == "http://127.0.0.1:9100/prefix"
    assert options.smallcase_api == "http://localhost:9200"
    assert options.parameters == {"TokenLifetimeSeconds": "60", "RefreshRate": "rate(1 minute)"}
    assert options.secrets == secrets


@pytest.mark.parametrize("port", ["x", "-1", "80", "65530", "70000", "1.5"])
def test_a_port_without_room_for_ten_is_refused(port: str) -> None:
    with pytest.raises(InvalidOptions, match="PORT"):
        Options.from_environment({"PORT": port})


@pytest.mark.parametrize("name", ["OIDC_ISSUER", "INTEGRATION_BASE_URL", "SMALLCASE_BASE_URL"])
@pytest.mark.parametrize(
    "url", ["x", "ftp://localhost", "http://example.com", "http://localhost.example.com", "http://["]
)
def test_a_url_is_https_or_on_this_machine(name: str, url: str) -> None:
    with pytest.raises(InvalidOptions, match=name):
        Options.from_environment({name: url})


@pytest.mark.parametrize("text", ["x", "=1", "A B=1", "A=1;x"])
def test_parameters_have_a_form(text: str) -> None:
    with pytest.raises(InvalidOptions, match="PARAMETERS"):
        Options.from_environment({"PARAMETERS": text})


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("no json, k3y", "is not JSON"),
        ("[]", "must hold"),
        ('{"GatewaySecret": "k3y"}', "must hold"),
        ('{"gateway": {"secret": "k3y"}}', "knows GatewaySecret"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_secrets_file_that_will_not_do_is_not_quoted(tmp_path: Path, content: str, fault: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(InvalidOptions, match=fault) as caught:
        Options.from_environment({"SECRETS_FILE": str(tmp_path / "secrets.json")})
    assert "k3y" not in str(caught.value)


def test_a_secrets_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptions, match="cannot be read: No such file"):
        Options.from_environment({"SECRETS_FILE": str(tmp_path / "none.json")})


def test_a_secrets_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidOptions, match="SECRETS_FILE is not UTF-8"):
        Options.from_environment({"SECRETS_FILE": str(tmp_path / "secrets.json")})


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(InvalidOptions) as caught:
        Options.from_environment({"PORT": "x", "OIDC_ISSUER": "x", "PARAMETERS": "x", "SECRETS_FILE": "/none"})
    assert len(str(caught.value).splitlines()) == 4


def test_options_do_not_print_secrets(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"GatewaySecret": {"secret": "k3y"}}')
    assert "k3y" not in repr(Options.from_environment({"SECRETS_FILE": str(tmp_path / "secrets.json")}))


def test_a_parameter_that_would_have_no_effect_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="no parameter Nope"):
        Options.from_environment({"PARAMETERS": "TokenLifetimeSeconds=60;Nope=1"})
