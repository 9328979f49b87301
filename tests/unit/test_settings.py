import pytest

from gatehouse.secret_value import Secret
from gatehouse.secrets import Extension
from gatehouse.settings import Environment, SessionTokenSettings, SettingsInvalid

GOOD = {
    "GATEWAY_SECRET_ARN": "arn:secret",
    "TOKEN_LIFETIME_SECONDS": "900",
    "ALLOW_SHORT_SECRETS": "false",
    "SECRETS_EXTENSION": "off",
}


def read(**changes: str) -> SessionTokenSettings:
    env = Environment({**GOOD, **changes})
    settings = SessionTokenSettings.read(env)
    env.check()
    return settings


def test_the_templates_variables_become_settings() -> None:
    assert read() == SessionTokenSettings("arn:secret", 900, allow_short_secrets=False, extension=None)
    assert read(ALLOW_SHORT_SECRETS="true").allow_short_secrets


def test_the_extension_listens_where_aws_says_unless_it_was_moved() -> None:
    extension = {"SECRETS_EXTENSION": "on", "AWS_SESSION_TOKEN": "token"}
    assert read(**extension).extension == Extension(2773, Secret("token"))
    assert read(**extension, PARAMETERS_SECRETS_EXTENSION_HTTP_PORT="4000").extension == Extension(
        4000, Secret("token")
    )


def test_everything_that_is_wrong_is_reported_at_once_and_no_value_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        read(
            GATEWAY_SECRET_ARN="",
            TOKEN_LIFETIME_SECONDS="v4lue",
            ALLOW_SHORT_SECRETS="v4lue",
            SECRETS_EXTENSION="v4lue",
        )
    assert caught.value.faults == [
        "GATEWAY_SECRET_ARN is missing",
        "TOKEN_LIFETIME_SECONDS is not a whole number from 1 to 86400",
        "ALLOW_SHORT_SECRETS is neither true nor false",
        "SECRETS_EXTENSION is neither on nor off",
    ]
    assert "v4lue" not in str(caught.value)
    (record,) = caplog.records
    assert vars(record)["faults"] == caught.value.faults


def test_the_extension_needs_the_functions_session_token() -> None:
    with pytest.raises(SettingsInvalid, match="AWS_SESSION_TOKEN is missing"):
        read(SECRETS_EXTENSION="on")


@pytest.mark.parametrize("lifetime", ["", "0", "86401", "-1", "1.5", "\u0661", "9" * 30])
def test_a_lifetime_outside_its_bounds_is_refused(lifetime: str) -> None:
    with pytest.raises(SettingsInvalid, match="TOKEN_LIFETIME_SECONDS"):
        read(TOKEN_LIFETIME_SECONDS=lifetime)
