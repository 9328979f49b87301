import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gatehouse.http import Answer, Request, respond
from tests.support.events import event, user_event

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[]))
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))
PATHS = [
    ("body",),
    ("isBase64Encoded",),
    ("headers",),
    ("requestContext",),
    ("requestContext", "requestId"),
    ("requestContext", "authorizer"),
    ("requestContext", "authorizer", "jwt"),
    ("requestContext", "authorizer", "jwt", "claims"),
]


def fine(request: Request) -> Answer:
    return Answer(200, {"claims": len(request.claims)})


@given(JSON)
def test_any_event_at_all_is_answered(anything: Any) -> None:
    assert respond(anything, fine)["statusCode"] in (200, 413)


@given(st.sampled_from(PATHS), JSON)
def test_an_event_with_any_member_replaced_is_answered(path: tuple[str, ...], anything: Any) -> None:
    call = user_event()
    place = call
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = anything
    assert respond(call, fine)["statusCode"] in (200, 413)


@given(st.text(st.characters(exclude_categories=[])), st.booleans())
def test_a_body_that_nobody_asked_for_changes_nothing(body: str, encoded: bool) -> None:
    plain = respond(event("issue_guest_token"), fine)
    assert respond(event("issue_guest_token", body=body, isBase64Encoded=encoded), fine) == plain
    assert json.loads(str(plain["body"])) == {"claims": 0}
