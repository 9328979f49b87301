"""What holds for every way of reading a secret, the fake of the tests included."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from gatehouse.problems import SecretUnavailable
from gatehouse.secrets import RESTORE, SecretReader, SecretsManagerReader
from tests.conftest import ROOT
from tests.support.fakes import FakeSecrets


class Subject(NamedTuple):
    reader: SecretReader
    put: Callable[[str, str], None]


@pytest.fixture(params=["fake", "secrets manager"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeSecrets()
        yield Subject(fake, fake.texts.__setitem__)
        return
    with mock_aws():
        client = boto3.client("secretsmanager")

        def put(secret_id: str, text: str) -> None:
            try:
                client.put_secret_value(SecretId=secret_id, SecretString=text)
            except client.exceptions.ResourceNotFoundException:
                client.create_secret(Name=secret_id, SecretString=text)

        yield Subject(SecretsManagerReader(), put)


def test_the_text_is_returned_as_it_was_written(subject: Subject) -> None:
    subject.put("gateway", '{"é": "\\n"}')
    assert subject.reader.read("gateway").reveal() == '{"é": "\\n"}'


def test_the_current_text_is_returned(subject: Subject) -> None:
    subject.put("gateway", "old")
    subject.reader.read("gateway")
    subject.put("gateway", "new")
    assert subject.reader.read("gateway").reveal() == "new"


def test_a_secret_that_is_not_there_is_unavailable(subject: Subject) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        subject.reader.read("gateway")
    assert caught.value.reason == "ResourceNotFoundException"
    assert caught.value.__cause__ is None


def test_a_secret_that_is_gone_or_about_to_be_is_said_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with mock_aws():
        client = boto3.client("secretsmanager")
        client.create_secret(Name="marked", SecretString="text")
        client.delete_secret(SecretId="marked", RecoveryWindowInDays=7)
        reasons = {"marked": "InvalidRequestException", "gone": "ResourceNotFoundException"}
        for secret_id, reason in reasons.items():
            with pytest.raises(SecretUnavailable) as caught:
                SecretsManagerReader().read(secret_id)
            assert caught.value.reason == reason
    said = [(each.levelname, each.message, vars(each)["secret"], vars(each)["reason"]) for each in caplog.records]
    assert said == [("ERROR", "secret.deleted", secret_id, reason) for secret_id, reason in reasons.items()]
    assert {vars(each)["runbook"] for each in caplog.records} == {RESTORE}


def test_a_secret_that_is_out_of_reach_for_a_while_is_not_said_to_be_deleted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Throttled:
        def get_secret_value(self, **_: str) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetSecretValue")

    monkeypatch.setattr("gatehouse.aws.secretsmanager", Throttled)
    with pytest.raises(SecretUnavailable) as caught:
        SecretsManagerReader().read("gateway")
    assert caught.value.reason == "ThrottlingException"
    assert caplog.records == []


def test_what_a_deleted_secret_points_to_is_in_the_runbook() -> None:
    path, _, anchor = RESTORE.partition("#")
    headings = [line.lower() for line in (ROOT / path).read_text().splitlines() if line.startswith("### ")]
    assert f"### {anchor.replace('-', ' ')}" in headings


def test_a_binary_secret_has_an_empty_text() -> None:
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="gateway", SecretBinary=b"x")
        assert SecretsManagerReader().read("gateway").reveal() == ""
