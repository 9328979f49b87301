import pytest

from gatehouse.secret_value import Secret
from gatehouse.secrets import Extension
from gatehouse.settings import AwsIdentity, Environment, QueueSettings, SessionTokenSettings, SettingsInvalid

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


def test_without_a_session_token_the_extension_is_asked_without_one() -> None:
    assert read(SECRETS_EXTENSION="on").extension == Extension(2773, Secret(""))


QUEUE = {
    "WEBHOOK_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/queue",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "key",
    "AWS_SESSION_TOKEN": "token",
    "AWS_REGION": "eu-west-1",
}


def read_queue(**changes: str) -> QueueSettings:
    env = Environment({**QUEUE, **changes})
    settings = QueueSettings.read(env)
    env.check()
    return settings


def test_of_a_queue_the_url_is_enough() -> None:
    identity = AwsIdentity("AKIDEXAMPLE", Secret("key"), Secret("token"), "eu-west-1")
    assert read_queue() == QueueSettings(QUEUE["WEBHOOK_QUEUE_URL"], endpoint="", ca_bundle="", identity=identity)


def test_the_endpoint_of_the_service_goes_before_that_of_all_services() -> None:
    assert read_queue(AWS_ENDPOINT_URL="https://all").endpoint == "https://all"
    assert read_queue(AWS_ENDPOINT_URL="https://all", AWS_ENDPOINT_URL_SQS="https://sqs").endpoint == "https://sqs"
    assert read_queue(AWS_CA_BUNDLE="/opt/authorities.pem").ca_bundle == "/opt/authorities.pem"


def test_the_region_has_two_names_and_one_of_them_is_needed() -> None:
    assert read_queue(AWS_DEFAULT_REGION="ap-south-1").identity.region == "eu-west-1"
    assert read_queue(AWS_REGION="", AWS_DEFAULT_REGION="ap-south-1").identity.region == "ap-south-1"
    with pytest.raises(SettingsInvalid, match="AWS_DEFAULT_REGION is missing"):
        read_queue(AWS_REGION="")


@pytest.mark.parametrize("name", ["WEBHOOK_QUEUE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_without_a_queue_or_credentials_nothing_can_be_sent(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name} is missing"):
        read_queue(**{name: ""})


@pytest.mark.parametrize("lifetime", ["", "0", "86401", "-1", "1.5", "\u0661", "9" * 30])
def test_a_lifetime_outside_its_bounds_is_refused(lifetime: str) -> None:
    with pytest.raises(SettingsInvalid, match="TOKEN_LIFETIME_SECONDS"):
        read(TOKEN_LIFETIME_SECONDS=lifetime)
