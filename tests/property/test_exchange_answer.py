import json

from hypothesis import given
from hypothesis import strategies as st

from gatehouse.exchange_answer import ExchangeAnswer, Grant, Refused, Unauthorized, Unavailable, judge
from gatehouse.upstream import UpstreamAnswer
from tests.support.token_fakes import token_object

STARTED = 1_800_000_000.0
NOW = STARTED + 2
MARK = "SENTINEL"

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
MEMBERS = list(token_object(NOW))
STATUSES = st.sampled_from([200, 200, 200, 201, 302, 400, 401, 429, 500]) | st.integers(100, 599)
TIMES = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
TOKENS = st.text(st.characters(codec="ascii"), min_size=1)
TOKEN_OBJECTS = st.fixed_dictionaries(
    {
        "access_token": TOKENS,
        "refresh_token": TOKENS,
        "token_type": st.sampled_from(["Bearer", "bearer"]),
        "expires_in": st.integers(-10, 10_000),
        "expires_at": TIMES | st.integers(1, 9).map(lambda hours: f"2027-01-15T{8 + hours:02}:00:00.25+00:00"),
    }
)


def judged(status: int, body: bytes) -> ExchangeAnswer:
    answer = judge(UpstreamAnswer(status, {"content-type": "application/json"}, body), STARTED, NOW)
    assert isinstance(answer, Grant | Unauthorized | Refused | Unavailable)
    if isinstance(answer, Grant):
        assert status == 200
        assert NOW < answer.expires_at <= STARTED + 366 * 24 * 3600
        for token in (answer.access_token.reveal(), answer.refresh_token.reveal()):
            assert token
            assert all(0x21 <= ord(character) <= 0x7E for character in token)
    return answer


@given(STATUSES, st.binary())
def test_any_bytes_are_judged(status: int, body: bytes) -> None:
    judged(status, body)


@given(STATUSES, ANY_JSON)
def test_any_json_is_judged(status: int, document: object) -> None:
    judged(status, json.dumps(document).encode())


@given(st.sampled_from(MEMBERS), ANY_JSON)
def test_an_answer_with_any_member_replaced_is_judged(member: str, value: object) -> None:
    judged(200, json.dumps({**token_object(STARTED), member: value}).encode())


@given(TOKEN_OBJECTS)
def test_a_grant_is_alive_and_fits_into_a_header(document: dict[str, object]) -> None:
    judged(200, json.dumps(document).encode())


def test_grants_are_among_what_is_tried() -> None:
    assert isinstance(judged(200, json.dumps(token_object(STARTED)).encode()), Grant)


@given(STATUSES, st.sampled_from(MEMBERS), ANY_JSON)
def test_no_reason_and_no_repr_ever_holds_a_token(status: int, member: str, value: object) -> None:
    document = {**token_object(STARTED, access_token=f"{MARK}-a", refresh_token=f"{MARK}-r"), member: value, MARK: MARK}
    answer = judged(status, json.dumps(document).encode())
    assert MARK not in repr(answer)
