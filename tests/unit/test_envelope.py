import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.envelope import Envelope, NotAnEnvelope, parse, render

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
SOME_TEXT = st.text(st.characters(exclude_categories=[]), min_size=1)
ENVELOPES = st.builds(
    Envelope,
    id=SOME_TEXT,
    identity=SOME_TEXT,
    source=SOME_TEXT,
    kind=st.none() | ANY_TEXT,
    received_at=SOME_TEXT,
    content_type=ANY_TEXT,
    recognised=st.booleans(),
    body=st.binary(),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ANY_JSON = SCALARS | st.lists(SCALARS) | st.dictionaries(ANY_TEXT, SCALARS)
ENVELOPE = Envelope("id", "identity", "smallcase", "orders", "2027-01-15T08:00:00Z", "", True, b"\x00\xff{}")  # noqa: FBT003


def changed(**members: object) -> str:
    return json.dumps({**json.loads(render(ENVELOPE)), **members})


@given(ENVELOPES)
def test_an_envelope_comes_out_of_the_queue_as_it_went_in(envelope: Envelope) -> None:
    message = render(envelope)
    assert message.isascii()  # SQS refuses some characters
    assert parse(message) == envelope


@given(st.text())
def test_any_text_is_no_envelope(message: str) -> None:
    with pytest.raises(NotAnEnvelope):
        parse(message)


@given(st.sampled_from(Envelope._fields), ANY_JSON)
def test_an_envelope_with_any_member_replaced_is_one_or_is_none(member: str, value: object) -> None:
    try:
        envelope = parse(changed(**{member: value}))
    except NotAnEnvelope as error:
        assert error.args == ()  # noqa: PT017 - whether it is raised at all depends on the value
        return
    assert isinstance(envelope.body, bytes)
    assert isinstance(envelope.recognised, bool)
    assert all((envelope.id, envelope.identity, envelope.source, envelope.received_at))


@pytest.mark.parametrize(
    "message",
    [
        "",
        "poison",
        "null",
        "[]",
        "{}",
        "1" * 5000,
        "[" * 100_000,
        render(ENVELOPE) + "x",
        render(ENVELOPE)[:-1],
        json.dumps([json.loads(render(ENVELOPE))]),
        changed(further=1),
        changed(kind=1),
        changed(recognised="true"),
        changed(recognised=1),
        changed(id=None),
        changed(id=""),
        changed(identity=""),
        changed(source=""),
        changed(received_at=0),
        changed(content_type=None),
        changed(body=None),
        changed(body="!"),
        changed(body="YQ"),
        changed(body="YQ==\n"),
        changed(body="\ud800"),
    ],
)
def test_what_nobody_here_has_written_is_no_envelope(message: str) -> None:
    with pytest.raises(NotAnEnvelope) as caught:
        parse(message)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("member", Envelope._fields)
def test_an_envelope_has_all_its_members(member: str) -> None:
    members = json.loads(render(ENVELOPE))
    del members[member]
    with pytest.raises(NotAnEnvelope):
        parse(json.dumps(members))


def test_the_largest_body_fits_into_a_message_of_sqs() -> None:
    message = render(ENVELOPE._replace(body=b"\xff" * 256 * 1024, content_type="x" * 8192))
    assert len(message) < 1024 * 1024
    assert base64.b64decode(json.loads(message)["body"]) == b"\xff" * 256 * 1024
