import json

import pytest

from gatehouse.problems import GatewayRefused, GatewayUnavailable
from gatehouse.smallcase_answer import Details, Started, read_details, read_started
from gatehouse.upstream import UpstreamAnswer
from tests.support.token_fakes import json_answer

NOW = 1_800_000_000


def started(**data: object) -> UpstreamAnswer:
    return json_answer(
        {"success": True, "data": {"transactionId": "TRX_1", "expireAt": "2027-01-15T08:00:00Z", **data}}
    )


def details(**data: object) -> UpstreamAnswer:
    members = {"transactionId": "TRX_1", "status": "COMPLETED", "smallcaseAuthId": "63f6", "broker": "meadow", **data}
    return json_answer({"success": True, "data": members})


# --- Started ---


@pytest.mark.parametrize(
    ("expire_at", "seconds"),
    [
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T08:00:00.999Z", NOW),
        ("2027-01-15T13:30:00+05:30", NOW),
        ("2027-01-15T08:00:00", NOW),
        (1_800_000_000_000, NOW),
        (1_800_000_000_999, NOW),
        (1_800_000_000_000.0, NOW),
        ("1800000000000", NOW),
        (0, 0),
        (253_402_300_799_000, 253_402_300_799),
    ],
)
def test_an_expiry_is_read_in_every_known_form_as_epoch_seconds(expire_at: object, seconds: int) -> None:
    answer = read_started(started(expireAt=expire_at))
    assert answer == Started("TRX_1", seconds)
    assert type(answer.expire_at) is int


@pytest.mark.parametrize(
    "expire_at",
    [
        *(None, "", "soon", "2027-01-15", True, [], {}, -1, "-1", 10**400, 1e300, 253_402_300_800_000),
        *(
            "9" * 20,
            "9" * 5000,
            "\u0661800000000000",
            "1800000000000.0",
            "0000-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
        ),
    ],
)
def test_an_expiry_that_cannot_be_read_is_no_answer(expire_at: object) -> None:
    with pytest.raises(GatewayUnavailable, match=r": expire_at$"):
        read_started(started(expireAt=expire_at))


def test_a_transaction_without_an_expiry_is_no_answer() -> None:
    with pytest.raises(GatewayUnavailable, match=r": expire_at$"):
        read_started(json_answer({"success": True, "data": {"transactionId": "TRX_1"}}))


@pytest.mark.parametrize("transaction_id", ["TRX_1", "a b", "é/#?&", "x" * 256])
def test_an_id_is_opaque(transaction_id: str) -> None:
    assert read_started(started(transactionId=transaction_id)).transaction_id == transaction_id


@pytest.mark.parametrize("transaction_id", [None, "", "x" * 257, 7, True, [], "a\nb", "\x00", "\ud800"])
def test_an_id_that_is_none_is_no_answer(transaction_id: object) -> None:
    with pytest.raises(GatewayUnavailable, match=r": transaction_id$"):
        read_started(started(transactionId=transaction_id))


def test_a_created_transaction_may_come_with_201() -> None:
    answer = started()
    assert read_started(UpstreamAnswer(201, answer.headers, answer.body)).transaction_id == "TRX_1"


# --- Details ---


def test_the_details_are_read() -> None:
    assert read_details(details(), "TRX_1") == Details("COMPLETED", "63f6", "meadow")


@pytest.mark.parametrize("member", ["smallcaseAuthId", "broker"])
@pytest.mark.parametrize("value", [None, "", 7, True, ["63f6"], {"id": "63f6"}, "x" * 257, "a\x00"])
def test_what_is_not_known_yet_is_none(member: str, value: object) -> None:
    read = read_details(details(**{member: value}), "TRX_1")
    assert read == Details("COMPLETED", *(("63f6", None) if member == "broker" else (None, "meadow")))


def test_what_is_missing_is_none() -> None:
    answer = json_answer({"success": True, "data": {"status": "INITIALIZED"}})
    assert read_details(answer, "TRX_1") == Details("INITIALIZED", None, None)


def test_a_transaction_id_may_be_missing_but_not_another() -> None:
    assert read_details(details(transactionId=None), "TRX_1").status == "COMPLETED"
    for other in ("TRX_2", "", "trx_1", 1, ["TRX_1"]):
        with pytest.raises(GatewayUnavailable, match=r": another_transaction$"):
            read_details(details(transactionId=other), "TRX_1")


@pytest.mark.parametrize("status", [None, 1, True, ["COMPLETED"], {"COMPLETED": True}])
def test_a_status_that_is_no_text_is_no_answer(status: object) -> None:
    with pytest.raises(GatewayUnavailable, match=r": status$"):
        read_details(details(status=status), "TRX_1")


# --- Both ---


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 428, 430, 499])
@pytest.mark.parametrize("body", [b'{"success": false, "errors": ["SENTINEL"]}', b"<h1>SENTINEL</h1>", b""])
def test_a_4xx_is_a_refusal_whatever_it_says(status: int, body: bytes) -> None:
    for read in (read_started, lambda answer: read_details(answer, "TRX_1")):
        with pytest.raises(GatewayRefused) as caught:
            read(UpstreamAnswer(status, {"content-type": "application/json"}, body))
        assert caught.value.reason == f"status_{status}"
        assert "SENTINEL" not in str(caught.value)


def test_no_success_is_a_refusal() -> None:
    with pytest.raises(GatewayRefused, match=r": no_success$"):
        read_started(json_answer({"success": False, "errors": ["SENTINEL"]}))


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 429, 500, 502, 503, 504, 599])
def test_a_status_that_is_neither_success_nor_refusal_is_no_answer(status: int) -> None:
    answer = UpstreamAnswer(status, {"content-type": "application/json"}, started().body)
    with pytest.raises(GatewayUnavailable, match=f"status_{status}"):
        read_started(answer)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"\xff", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"success": NaN}', "not_json"),
        (b"[]", "not_an_object"),
        (b"{}", "no_data"),
        (b'{"success": true}', "no_data"),
        (b'{"success": true, "data": []}', "no_data"),
        (b'{"success": true, "data": "TRX_1"}', "no_data"),
        (b'{"success": "true", "data": {}}', "no_data"),
        (b'{"success": 1, "data": {}}', "no_data"),
    ],
)
def test_nonsense_is_no_answer(body: bytes, reason: str) -> None:
    for read in (read_started, lambda answer: read_details(answer, "TRX_1")):
        with pytest.raises(GatewayUnavailable) as caught:
            read(UpstreamAnswer(200, {"content-type": "application/json"}, body))
        assert caught.value.reason == reason


@pytest.mark.parametrize("said", [{}, {"success": None}, {"success": True}])
def test_a_transaction_is_made_whether_or_not_its_answer_says_success(said: dict[str, object]) -> None:
    data = json.loads(started().body)["data"]
    assert read_started(json_answer({**said, "data": data})) == read_started(started())


@pytest.mark.parametrize("said", [{}, {"success": None}, {"success": 1}, {"success": "true"}])
def test_details_that_do_not_say_success_are_no_answer(said: dict[str, object]) -> None:
    data = json.loads(details().body)["data"]
    with pytest.raises(GatewayUnavailable, match="no_data"):
        read_details(json_answer({**said, "data": data}), "TRX_1")


def test_another_content_type_is_no_answer() -> None:
    with pytest.raises(GatewayUnavailable, match="content_type"):
        read_started(UpstreamAnswer(200, {"content-type": "text/html"}, started().body))


def test_the_shape_without_a_success_in_it_is_refused_even_if_all_else_is_there() -> None:
    with pytest.raises(GatewayUnavailable, match="no_data"):
        read_details(json_answer(json.loads(details().body)["data"]), "TRX_1")
