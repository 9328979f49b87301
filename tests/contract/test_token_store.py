"""What holds for every store of tokens, the fake of the tests included."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from gatehouse import aws
from gatehouse.integration_tokens import IntegrationTokens, render_tokens
from gatehouse.problems import SecretUnavailable
from gatehouse.token_store import LostRace, SecretsManagerTokenStore, Stored, TokenStore
from tests.support.fakes import Clock
from tests.support.memory_aws import MemoryAccount
from tests.support.token_fakes import FakeTokenStore, aws_account, lose_answers, make_tokens, refuse

NOW = 1_800_000_000
STORED = make_tokens(NOW, name="stored")
NEW = make_tokens(NOW, name="new")
OTHER = make_tokens(NOW, name="other")


class Subject(NamedTuple):
    store: TokenStore
    write: Callable[[str], str]  # as an operator would; returns the version
    labels: Callable[[], dict[str, str]]  # which version holds which label
    versions: Callable[[], set[str]]


def over_secrets_manager() -> Subject:
    client = boto3.client("secretsmanager")
    client.create_secret(Name="tokens", SecretString="{}")

    def stages() -> dict[str, list[str]]:
        return client.describe_secret(SecretId="tokens")["VersionIdsToStages"]

    return Subject(
        SecretsManagerTokenStore("tokens"),
        lambda text: client.put_secret_value(SecretId="tokens", SecretString=text)["VersionId"],
        lambda: {label: version_id for version_id, labels in stages().items() for label in labels},
        lambda: {each["VersionId"] for each in client.list_secret_version_ids(SecretId="tokens")["Versions"]},
    )


def over_memory(account: MemoryAccount) -> Subject:
    account.secrets.create_secret(Name="tokens", SecretString="{}")
    tokens = account.secrets.secrets["tokens"]
    return Subject(
        SecretsManagerTokenStore("tokens"),
        lambda text: account.secrets.write("tokens", text),
        lambda: tokens.labels,
        lambda: set(tokens.versions),
    )


@pytest.fixture(params=["fake", "memory", "secrets manager"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeTokenStore()
        yield Subject(fake, fake.write, lambda: fake.labels, lambda: set(fake.versions))
        return
    if request.param == "memory":
        with MemoryAccount(Clock()) as account:
            yield over_memory(account)
        return
    with aws_account():
        yield over_secrets_manager()


@pytest.fixture
def secret() -> Iterator[Subject]:
    """The store in Secrets Manager alone, with tokens in it."""
    with aws_account():
        subject = over_secrets_manager()
        subject.write(text(STORED))
        yield subject


def swap(store: TokenStore, tokens: IntegrationTokens, expected: str) -> str:
    """Swap under a version of its own, and return that."""
    version_id = str(uuid.uuid4())
    store.swap(tokens, expected, version_id)
    return version_id


def text(tokens: IntegrationTokens) -> str:
    return render_tokens(tokens).reveal()


def test_what_the_template_creates_holds_no_tokens(subject: Subject) -> None:
    assert subject.store.read().tokens is None


def test_tokens_are_read_with_their_version(subject: Subject) -> None:
    version_id = subject.write(text(STORED))
    assert subject.store.read() == Stored(version_id, STORED)


def test_a_read_sees_what_was_written_a_moment_ago(subject: Subject) -> None:
    subject.write(text(STORED))
    subject.store.read()
    version_id = subject.write(text(OTHER))
    assert subject.store.read() == Stored(version_id, OTHER)


@pytest.mark.parametrize("rubbish", ["rubbish", "[]", '{"access_token": "s3cr3t"}', "[" * 100_000])
def test_what_cannot_be_read_counts_as_no_tokens_and_can_be_replaced(subject: Subject, rubbish: str) -> None:
    version_id = subject.write(rubbish)
    assert subject.store.read() == Stored(version_id, None)
    swap(subject.store, NEW, version_id)
    assert subject.store.read().tokens == NEW


def test_a_swap_makes_the_new_tokens_current_at_once(subject: Subject) -> None:
    expected = subject.write(text(STORED))
    version_id = swap(subject.store, NEW, expected)
    assert version_id != expected
    assert subject.store.read() == Stored(version_id, NEW)
    assert subject.labels()["AWSCURRENT"] == version_id


def test_a_new_version_is_put_under_a_label_of_its_own(subject: Subject) -> None:
    version_id = swap(subject.store, NEW, subject.write(text(STORED)))
    assert subject.labels()["GATEHOUSE_CANDIDATE"] == version_id


def test_the_tokens_before_are_kept(subject: Subject) -> None:
    expected = subject.write(text(STORED))
    swap(subject.store, NEW, expected)
    assert expected in subject.versions()


def test_whoever_names_a_version_that_is_no_longer_current_loses_and_changes_nothing(subject: Subject) -> None:
    expected = subject.write(text(STORED))
    winner = swap(subject.store, NEW, expected)
    with pytest.raises(LostRace):
        swap(subject.store, OTHER, expected)
    assert subject.store.read() == Stored(winner, NEW)
    assert {expected, winner} <= subject.versions()


def test_a_loser_that_reads_again_can_win(subject: Subject) -> None:
    expected = subject.write(text(STORED))
    winner = swap(subject.store, NEW, expected)
    with pytest.raises(LostRace):
        swap(subject.store, OTHER, expected)
    swap(subject.store, OTHER, winner)
    assert subject.store.read().tokens == OTHER


def test_a_version_that_never_was_current_is_no_excuse(subject: Subject) -> None:
    subject.write(text(STORED))
    with pytest.raises(LostRace):
        swap(subject.store, NEW, "00000000-0000-4000-8000-000000000000")
    assert subject.store.read().tokens == STORED


def test_an_operators_write_in_between_wins(subject: Subject) -> None:
    expected = subject.write(text(STORED))
    operators = subject.write(text(OTHER))
    with pytest.raises(LostRace):
        swap(subject.store, NEW, expected)
    assert subject.store.read() == Stored(operators, OTHER)


def test_what_could_not_be_read_is_logged_by_its_fault_alone(secret: Subject, caplog: pytest.LogCaptureFixture) -> None:
    secret.write('{"access_token": "s3cr3t"}')
    secret.store.read()
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == ("tokens.unreadable", "refresh_token")
    assert "s3cr3t" not in str(vars(record))


def test_while_two_writers_have_put_their_tokens_the_first_to_move_wins(
    secret: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second puts its candidate after the first one's, which takes the label over but not the version."""
    expected = secret.store.read().version_id
    client = aws.secretsmanager()
    put = client.put_secret_value

    def put_and_let_another_win(**options: Any) -> object:
        answer = put(**options)
        monkeypatch.setattr(client, "put_secret_value", put)
        swap(secret.store, OTHER, expected)
        return answer

    monkeypatch.setattr(client, "put_secret_value", put_and_let_another_win)
    with pytest.raises(LostRace):
        swap(secret.store, NEW, expected)
    assert secret.store.read().tokens == OTHER


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://secretsmanager"),
        ClientError({"Error": {"Code": "InternalServiceError"}}, "UpdateSecretVersionStage"),
        # The client's own second attempt finds AWSCURRENT where the first one has put it.
        ClientError({"Error": {"Code": "InvalidParameterException"}}, "UpdateSecretVersionStage"),
    ],
)
def test_a_move_whose_answer_was_lost_counts_as_won(secret: Subject, error: Exception) -> None:
    expected = secret.store.read().version_id
    lose_answers(aws.secretsmanager(), "UpdateSecretVersionStage", error)
    version_id = swap(secret.store, NEW, expected)
    assert secret.store.read() == Stored(version_id, NEW)


def test_a_move_that_did_not_take_place_for_another_reason_is_unavailable(secret: Subject) -> None:
    expected = secret.store.read().version_id
    refuse(aws.secretsmanager(), "UpdateSecretVersionStage", "InternalServiceError")
    with pytest.raises(SecretUnavailable) as caught:
        swap(secret.store, NEW, expected)
    assert caught.value.reason == "InternalServiceError"
    assert secret.store.read().version_id == expected


def test_a_move_that_nobody_can_confirm_is_unavailable_and_not_lost(secret: Subject) -> None:
    expected = secret.store.read().version_id
    refuse(aws.secretsmanager(), "UpdateSecretVersionStage", "InvalidParameterException")
    refuse(aws.secretsmanager(), "GetSecretValue", "InternalServiceError")
    with pytest.raises(SecretUnavailable) as caught:
        swap(secret.store, NEW, expected)
    assert caught.value.reason == "InternalServiceError"


def test_tokens_that_could_not_be_put_leave_everything_as_it_was(secret: Subject) -> None:
    expected, versions = secret.store.read().version_id, secret.versions()
    refuse(aws.secretsmanager(), "PutSecretValue", "LimitExceededException")
    with pytest.raises(SecretUnavailable) as caught:
        swap(secret.store, NEW, expected)
    assert caught.value.reason == "LimitExceededException"
    assert caught.value.__cause__ is None
    assert secret.store.read().version_id == expected
    assert secret.versions() == versions


def test_a_secret_that_is_not_there_is_unavailable() -> None:
    with aws_account():
        store = SecretsManagerTokenStore("tokens")
        with pytest.raises(SecretUnavailable, match="ResourceNotFoundException"):
            store.read()
        with pytest.raises(SecretUnavailable, match="ResourceNotFoundException"):
            swap(store, NEW, "00000000-0000-4000-8000-000000000000")


# --- finishing what another run has begun ---


def test_a_version_that_is_not_current_is_read_by_its_id(subject: Subject) -> None:
    expected = subject.write(text(STORED))
    version_id = swap(subject.store, NEW, expected)
    assert subject.store.read_version(expected) == STORED
    assert subject.store.read_version(version_id) == NEW


def test_a_version_that_was_never_put_has_no_tokens(subject: Subject) -> None:
    subject.write(text(STORED))
    assert subject.store.read_version("00000000-0000-4000-8000-000000000000") is None


def test_a_version_that_is_no_tokens_has_none(subject: Subject) -> None:
    assert subject.store.read_version(subject.write("rubbish")) is None


def test_a_swap_that_came_as_far_as_the_put_is_finished_by_doing_it_again(secret: Subject) -> None:
    expected, version_id = secret.store.read().version_id, str(uuid.uuid4())
    allow = refuse(aws.secretsmanager(), "UpdateSecretVersionStage", "InternalServiceError")
    with pytest.raises(SecretUnavailable):
        secret.store.swap(NEW, expected, version_id)
    allow()
    secret.store.swap(NEW, expected, version_id)
    assert secret.store.read() == Stored(version_id, NEW)


def test_a_version_that_cannot_be_looked_at_is_unavailable(secret: Subject) -> None:
    expected = secret.store.read().version_id
    refuse(aws.secretsmanager(), "GetSecretValue", "InternalServiceError")
    with pytest.raises(SecretUnavailable, match="InternalServiceError"):
        secret.store.read_version(expected)
