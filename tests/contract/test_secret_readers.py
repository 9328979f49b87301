"""What holds for every way of reading a secret, the fake of the tests included."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import boto3
import pytest
from moto import mock_aws

from gatehouse.problems import SecretUnavailable
from gatehouse.secrets import SecretReader, SecretsManagerReader
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


def test_a_binary_secret_has_an_empty_text() -> None:
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="gateway", SecretBinary=b"x")
        assert SecretsManagerReader().read("gateway").reveal() == ""
