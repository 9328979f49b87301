import pytest

from gatehouse.connection_settings import ConnectSettings, GatewaySettings, read_allowed_intents
from gatehouse.settings import Environment, SettingsInvalid

GOOD = {
    "GATEWAY_SECRET_ARN": "arn:secret",
    "TOKEN_LIFETIME_SECONDS": "900",
    "ALLOW_SHORT_SECRETS": "false",
    "SECRETS_EXTENSION": "off",
    "SMALLCASE_BASE_URL": "https://gatewayapi.smallcase.com",
    "CONNECTIONS_TABLE": "connections",
    "EVENT_BUS": "gatehouse",
    "VERIFY_TRANSACTION_DETAILS": "true",
    "CONNECT_BY_WEBHOOK": "false",
}


def read(**changes: str) -> ConnectSettings:
    env = Environment({**GOOD, **changes})
    settings = ConnectSettings.read(env)
    env.check()
    return settings


def test_the_templates_variables_become_settings() -> None:
    settings = read()
    assert settings.gateway == GatewaySettings(
        settings.gateway.session_tokens, "https://gatewayapi.smallcase.com", "connections"
    )
    assert settings.gateway.session_tokens.gateway_secret_arn == "arn:secret"
    assert settings[1:] == ("gatehouse", True, False)


@pytest.mark.parametrize(
    "url",
    ["https://gw.example.com", "https://gw.example.com:8443/prefix", "http://localhost:1", "http://127.0.0.1:8704"],
)
def test_a_base_url_is_https_or_on_this_machine(url: str) -> None:
    assert read(SMALLCASE_BASE_URL=url).gateway.base_url == url
    assert read(SMALLCASE_BASE_URL=url + "/").gateway.base_url == url


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "http://gw.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "gw.example.com",
        ),
        *("ftp://localhost", "https://user@gw.example.com", "https://gw.example.com?a=b", "https://gw.example.com#a"),
        *("https://", "https://gw.example.com/../x", "http://0x7f.1", "https://gw.example.com\n"),
    ],
)
def test_any_other_base_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="SMALLCASE_BASE_URL") as caught:
        read(SMALLCASE_BASE_URL=url)
    assert not url or url not in str(caught.value)


def test_connecting_by_webhook_needs_the_question() -> None:
    assert read(CONNECT_BY_WEBHOOK="true").by_webhook
    assert not read(VERIFY_TRANSACTION_DETAILS="false").verify_details
    with pytest.raises(SettingsInvalid) as caught:
        read(CONNECT_BY_WEBHOOK="true", VERIFY_TRANSACTION_DETAILS="false")
    assert caught.value.faults == ["CONNECT_BY_WEBHOOK needs VERIFY_TRANSACTION_DETAILS"]


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    env = Environment({})
    ConnectSettings.read(env)
    read_allowed_intents(env)
    with pytest.raises(SettingsInvalid) as caught:
        env.check()
    named = [fault.split()[0] for fault in caught.value.faults]
    assert sorted(named) == sorted([*GOOD, "ALLOWED_INTENTS"])


def intents(text: str) -> frozenset[str]:
    env = Environment({"ALLOWED_INTENTS": text})
    allowed = read_allowed_intents(env)
    env.check()
    return allowed


def test_intents_are_a_comma_list() -> None:
    assert intents("CONNECT") == {"CONNECT"}
    assert intents("CONNECT, HOLDINGS_IMPORT,TRANSACTION") == {"CONNECT", "HOLDINGS_IMPORT", "TRANSACTION"}


@pytest.mark.parametrize(
    "text", ["", ",", "CONNECT,", "connect", "*", "CON NECT", "1A", "A" * 65, "CONNECT;TRANSACTION"]
)
def test_what_is_no_list_of_intents_is_refused(text: str) -> None:
    with pytest.raises(
        SettingsInvalid, match=r"^ALLOWED_INTENTS is (missing|not a comma list of names in upper case)$"
    ):
        intents(text)
