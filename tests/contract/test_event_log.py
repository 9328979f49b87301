"""What holds for every event log, the fake of the tests included."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from gatehouse import aws
from gatehouse.envelope import Envelope, NotAnEnvelope
from gatehouse.event_log import DynamoDBEventLog, EventLog, Known, LogUnavailable, read_entry
from tests.support.fakes import Clock
from tests.support.token_fakes import DAY_SECONDS, aws_account, lose_answers, refuse
from tests.support.webhook_fakes import FakeEventLog, create_webhooks_table, make_envelope

KEEP_SECONDS = 30 * DAY_SECONDS
ONE = make_envelope()
AGAIN = make_envelope(id="delivery-2", body=b"another")


class Subject(NamedTuple):
    log: EventLog
    entries: Callable[[], int]
    body: Callable[[str], bytes]
    fail: Callable[[str], object]


def stored_body(identity: str) -> bytes:
    return boto3.client("dynamodb").get_item(TableName="webhooks", Key={"pk": {"S": identity}})["Item"]["body"]["B"]


def refuse_everything(code: str) -> None:
    for operation in ("PutItem", "UpdateItem"):
        refuse(aws.dynamodb(), operation, code)


@pytest.fixture(params=["fake", "dynamodb"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeEventLog()
        yield Subject(
            fake,
            lambda: len(fake.entries),
            lambda identity: fake.entries[identity].body,
            lambda code: setattr(fake, "failure", code),
        )
        return
    with aws_account():
        create_webhooks_table()
        yield Subject(
            DynamoDBEventLog("webhooks", KEEP_SECONDS, Clock()),
            lambda: boto3.client("dynamodb").scan(TableName="webhooks")["Count"],
            stored_body,
            refuse_everything,
        )


def test_a_new_delivery_is_stored(subject: Subject) -> None:
    assert subject.log.add(ONE) is None
    assert subject.entries() == 1
    assert subject.body("identity-1") == ONE.body


def test_the_same_delivery_finds_itself_as_received_until_it_is_published(subject: Subject) -> None:
    subject.log.add(ONE)
    assert subject.log.add(ONE) == Known("delivery-1", "received")
    subject.log.mark_published("identity-1")
    assert subject.log.add(ONE) == Known("delivery-1", "published")
    assert subject.entries() == 1


def test_a_repeated_delivery_finds_the_first_and_changes_nothing(subject: Subject) -> None:
    subject.log.add(ONE)
    assert subject.log.add(AGAIN) == Known("delivery-1", "received")
    assert subject.body("identity-1") == ONE.body
    subject.log.mark_published("identity-1")
    assert subject.log.add(AGAIN) == Known("delivery-1", "published")
    assert subject.body("identity-1") == ONE.body
    assert subject.entries() == 1


def test_deliveries_of_different_identities_are_different(subject: Subject) -> None:
    subject.log.add(ONE)
    assert subject.log.add(make_envelope(identity="identity-2")) is None
    subject.log.mark_published("identity-2")
    assert subject.log.add(ONE) == Known("delivery-1", "received")
    assert subject.entries() == 2


def test_marking_twice_is_no_error(subject: Subject) -> None:
    subject.log.add(ONE)
    subject.log.mark_published("identity-1")
    subject.log.mark_published("identity-1")
    assert subject.log.add(ONE) == Known("delivery-1", "published")


def test_marking_what_is_not_there_is_an_error_and_makes_no_entry(subject: Subject) -> None:
    with pytest.raises(LogUnavailable, match="ConditionalCheckFailedException"):
        subject.log.mark_published("identity-1")
    assert subject.entries() == 0


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * 256 * 1024])
def test_any_body_is_stored_as_it_is(subject: Subject, body: bytes) -> None:
    subject.log.add(make_envelope(body=body, content_type="", kind=None, source="integration.shop"))
    assert subject.body("identity-1") == body


def test_a_log_out_of_reach_is_an_error_and_neither_yes_nor_no(subject: Subject) -> None:
    subject.log.add(ONE)
    subject.fail("InternalServerError")
    with pytest.raises(LogUnavailable) as adding:
        subject.log.add(ONE)
    with pytest.raises(LogUnavailable) as marking:
        subject.log.mark_published("identity-1")
    for error in (adding.value, marking.value):
        assert error.reason == "InternalServerError"
        assert error.__cause__ is None


# --- DynamoDB only ---


@pytest.fixture
def dynamodb_log() -> Iterator[DynamoDBEventLog]:
    with aws_account():
        create_webhooks_table()
        yield DynamoDBEventLog("webhooks", KEEP_SECONDS, Clock())


def stored() -> dict[str, object]:
    (item,) = boto3.client("dynamodb").scan(TableName="webhooks")["Items"]
    return dict(item)


def test_an_entry_has_the_layout_of_the_design(dynamodb_log: DynamoDBEventLog) -> None:
    dynamodb_log.add(ONE)
    assert stored() == {
        "pk": {"S": "identity-1"},
        "id": {"S": "delivery-1"},
        "source": {"S": "smallcase"},
        "kind": {"S": "orders"},
        "received_at": {"S": "2027-01-15T08:00:00Z"},
        "content_type": {"S": "application/json"},
        "recognised": {"BOOL": True},
        "body": {"B": b'{"orders":[]}'},
        "state": {"S": "received"},
        "ttl": {"N": str(int(Clock().now) + KEEP_SECONDS)},
    }


def test_a_delivery_without_kind_has_none_in_the_log(dynamodb_log: DynamoDBEventLog) -> None:
    dynamodb_log.add(make_envelope(kind=None))
    assert "kind" not in stored()


@pytest.mark.parametrize("envelope", [ONE, make_envelope(kind=None, recognised=False, content_type="", body=b"\xff")])
def test_an_entry_is_read_as_the_delivery_that_was_added(dynamodb_log: DynamoDBEventLog, envelope: Envelope) -> None:
    dynamodb_log.add(envelope)
    dynamodb_log.mark_published(envelope.identity)
    assert read_entry(stored()) == envelope


@pytest.mark.parametrize("member", ["pk", "id", "source", "received_at", "content_type", "recognised", "body"])
def test_an_entry_without_a_member_is_none(dynamodb_log: DynamoDBEventLog, member: str) -> None:
    dynamodb_log.add(ONE)
    item = stored()
    for broken in ({**item, member: {"NULL": True}}, {name: item[name] for name in item if name != member}):
        with pytest.raises(NotAnEnvelope):
            read_entry(broken)


def test_marking_changes_the_state_and_nothing_else(dynamodb_log: DynamoDBEventLog) -> None:
    dynamodb_log.add(ONE)
    before = stored()
    dynamodb_log.mark_published("identity-1")
    assert stored() == {**before, "state": {"S": "published"}}


def test_an_entry_that_vanished_between_two_calls_is_an_error(
    dynamodb_log: DynamoDBEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb_log.add(ONE)
    monkeypatch.setattr(aws.dynamodb(), "get_item", lambda **_: {}, raising=False)
    with pytest.raises(LogUnavailable, match="entry_vanished"):
        dynamodb_log.add(ONE)


def test_a_look_at_the_first_entry_that_fails_is_an_error(dynamodb_log: DynamoDBEventLog) -> None:
    dynamodb_log.add(ONE)
    refuse(aws.dynamodb(), "GetItem", "InternalServerError")
    with pytest.raises(LogUnavailable, match="InternalServerError"):
        dynamodb_log.add(AGAIN)


def test_an_answer_that_was_lost_leaves_an_entry_that_is_found_again(dynamodb_log: DynamoDBEventLog) -> None:
    lose_answers(aws.dynamodb(), "PutItem", ReadTimeoutError(endpoint_url="https://dynamodb"))
    with pytest.raises(LogUnavailable, match="ReadTimeoutError"):
        dynamodb_log.add(ONE)
    aws.dynamodb.cache_clear()
    assert dynamodb_log.add(ONE) == Known("delivery-1", "received")


def test_a_table_that_is_not_there_is_an_error() -> None:
    with aws_account():
        log = DynamoDBEventLog("webhooks", KEEP_SECONDS, Clock())
        with pytest.raises(LogUnavailable, match="ResourceNotFoundException"):
            log.add(ONE)
