"""The simulator's rules about tokens, limits, faults and its log: no sockets, and a clock that moves when told."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.fault_switches import ArmedFaults, Fault
from local.http_router import Request, Response
from local.integration_api import faults
from local.integration_api.authority import Authority, Refusal, expires_at_text
from local.integration_api.credentials import (
    bearer_token,
    credentials_in,
    presented_credentials,
    presented_refresh_token,
)
from local.integration_api.faults import KINDS, WITHOUT_EFFECT, FaultName, parse_fault
from local.integration_api.journal import Journal
from local.integration_api.rate_limit import RateLimit
from local.integration_api.settings import Credentials, Settings
from local.integration_api.simulator import Simulator
from local.integration_api.spoiling import sending
from local.simulator_controls import InvalidControlError

RIGHT = Credentials("key-1", "secret-1")
HOUR = 3_600
DAY = 24 * HOUR
START = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC).timestamp()
JSON_TYPE = {"content-type": "application/json"}
SIGNING_KEY = b"k" * 32
FAULT_EXTRAS = ["bytes", "location", "seconds", "code", "retry_after", "field", "value"]


@dataclass(slots=True)
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(clock: Clock) -> Authority:
    return Authority(Settings(RIGHT), clock, SIGNING_KEY)


def tokens(answer: Mapping[str, object]) -> tuple[str, str]:
    return str(answer["access_token"]), str(answer["refresh_token"])


def refused(error: pytest.ExceptionInfo[Refusal]) -> tuple[int, str]:
    return error.value.status, error.value.code


def set_switches(authority: Authority, **changes: object) -> None:
    authority.settings = authority.settings.changed(changes)


# Exchanges


def test_authenticating_answers_the_documented_token_object(authority: Authority) -> None:
    answer = authority.authenticate(RIGHT)
    assert answer.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "expires_at"}
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == HOUR
    assert answer["expires_at"] == "2026-01-02T04:04:05Z"


def test_an_access_token_is_a_jwt_that_says_when_it_expires(authority: Authority) -> None:
    access, _ = tokens(authority.authenticate(RIGHT))
    claims = jwt.decode(access, SIGNING_KEY, algorithms=["HS256"], options={"verify_exp": False})
    assert claims["exp"] == int(START) + HOUR


def test_every_access_token_is_another_one_within_the_same_second(authority: Authority) -> None:
    _, refresh = tokens(authority.authenticate(RIGHT))
    made = {tokens(authority.refresh(refresh))[0] for _ in range(5)}
    assert len(made) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        Credentials("key-2", "secret-1"),
        Credentials("key-1", "secret-2"),
        Credentials("key-1", ""),
        Credentials("kéy-1", "secret-1"),
        Credentials("\ud800", "secret-1"),
    ],
    ids=["key", "secret", "empty", "beyond ASCII", "lone surrogate"],
)
def test_wrong_credentials_are_refused_whatever_is_wrong_with_them(authority: Authority, wrong: Credentials) -> None:
    with pytest.raises(Refusal) as error:
        authority.authenticate(wrong)
    assert refused(error) == (401, "INVALID_API_KEY")


def test_refreshing_answers_a_new_access_token_and_the_same_refresh_token(authority: Authority, clock: Clock) -> None:
    access, refresh = tokens(authority.authenticate(RIGHT))
    clock.now += 1_800
    answer = authority.refresh(refresh)
    assert tokens(answer)[0] != access
    assert tokens(answer)[1] == refresh
    assert answer["expires_at"] == "2026-01-02T04:34:05Z"


def test_the_life_of_a_refresh_token_runs_from_authenticate_however_often_it_is_used(
    authority: Authority, clock: Clock
) -> None:
    _, refresh = tokens(authority.authenticate(RIGHT))
    for _ in range(6):
        clock.now += DAY
        authority.refresh(refresh)
    clock.now = START + 7 * DAY - 1
    authority.refresh(refresh)
    clock.now += 1
    with pytest.raises(Refusal) as error:
        authority.refresh(refresh)
    assert refused(error) == (401, "REFRESH_TOKEN_EXPIRED")


def test_an_unknown_refresh_token_is_refused_like_an_expired_one(authority: Authority) -> None:
    with pytest.raises(Refusal) as error:
        authority.refresh("unknown")
    assert refused(error) == (401, "REFRESH_TOKEN_EXPIRED")


def test_tokens_from_before_an_exchange_stay_good_unless_a_switch_ends_them(authority: Authority) -> None:
    old_access, old_refresh = tokens(authority.authenticate(RIGHT))
    authority.authenticate(RIGHT)
    authority.check_access(old_access)
    authority.refresh(old_refresh)


def test_with_the_switch_authenticating_ends_every_earlier_token(authority: Authority) -> None:
    set_switches(authority, invalidate_old_tokens_on_exchange=True)
    old_access, old_refresh = tokens(authority.authenticate(RIGHT))
    authority.authenticate(RIGHT)
    with pytest.raises(Refusal, match="INVALID_TOKEN"):
        authority.check_access(old_access)
    with pytest.raises(Refusal, match="REFRESH_TOKEN_EXPIRED"):
        authority.refresh(old_refresh)


def test_with_the_switch_refreshing_ends_earlier_access_tokens_but_not_its_own_refresh_token(
    authority: Authority,
) -> None:
    set_switches(authority, invalidate_old_tokens_on_exchange=True)
    old_access, refresh = tokens(authority.authenticate(RIGHT))
    new_access, _ = tokens(authority.refresh(refresh))
    with pytest.raises(Refusal, match="INVALID_TOKEN"):
        authority.check_access(old_access)
    authority.check_access(new_access)
    authority.refresh(refresh)


def test_a_refused_authenticate_ends_no_token_even_with_the_switch(authority: Authority) -> None:
    set_switches(authority, invalidate_old_tokens_on_exchange=True)
    access, _ = tokens(authority.authenticate(RIGHT))
    with pytest.raises(Refusal):
        authority.authenticate(Credentials("key-1", "wrong"))
    authority.check_access(access)


def test_a_rotated_refresh_token_replaces_the_old_one_and_starts_its_own_seven_days(
    authority: Authority, clock: Clock
) -> None:
    set_switches(authority, rotate_refresh_token=True)
    _, first = tokens(authority.authenticate(RIGHT))
    clock.now += 6 * DAY
    _, second = tokens(authority.refresh(first))
    assert second != first
    with pytest.raises(Refusal, match="REFRESH_TOKEN_EXPIRED"):
        authority.refresh(first)
    clock.now += 6 * DAY
    authority.refresh(second)


def test_with_the_switch_a_refresh_before_expiry_is_refused_and_the_old_token_stays(
    authority: Authority, clock: Clock
) -> None:
    set_switches(authority, refuse_refresh_while_valid=True)
    access, refresh = tokens(authority.authenticate(RIGHT))
    clock.now += HOUR - 1
    with pytest.raises(Refusal) as error:
        authority.refresh(refresh)
    assert refused(error) == (400, "TOKEN_STILL_VALID")
    authority.check_access(access)
    clock.now += 1
    authority.refresh(refresh)


def test_lifetimes_are_switches(authority: Authority, clock: Clock) -> None:
    set_switches(authority, access_token_lifetime_seconds=60, refresh_token_lifetime_seconds=120)
    access, refresh = tokens(authority.authenticate(RIGHT))
    clock.now += 60
    with pytest.raises(Refusal, match="TOKEN_EXPIRED"):
        authority.check_access(access)
    authority.refresh(refresh)
    clock.now += 60
    with pytest.raises(Refusal, match="REFRESH_TOKEN_EXPIRED"):
        authority.refresh(refresh)


# Access tokens


def test_an_access_token_ends_after_an_hour_and_is_then_called_expired(authority: Authority, clock: Clock) -> None:
    access, _ = tokens(authority.authenticate(RIGHT))
    clock.now += HOUR - 0.001
    assert authority.check_access(access) == "key-1"
    clock.now += 0.001
    with pytest.raises(Refusal) as error:
        authority.check_access(access)
    assert refused(error) == (401, "TOKEN_EXPIRED")


def test_only_the_clock_it_was_given_counts(authority: Authority, clock: Clock) -> None:
    clock.now = datetime(2150, 1, 1, tzinfo=UTC).timestamp()
    access, _ = tokens(authority.authenticate(RIGHT))
    authority.check_access(access)


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_an_access_token_of_another_maker_is_not_valid(authority: Authority, algorithm: str) -> None:
    key = "" if algorithm == "none" else "x" * 32
    forged = jwt.encode({"exp": START + HOUR, "jti": "a"}, key, algorithm=algorithm)
    with pytest.raises(Refusal) as error:
        authority.check_access(forged)
    assert refused(error) == (401, "INVALID_TOKEN")


@given(st.text())
def test_any_text_as_an_access_token_is_refused_and_breaks_nothing(text: str) -> None:
    authority = Authority(Settings(RIGHT), Clock(), SIGNING_KEY)
    with pytest.raises(Refusal, match="INVALID_TOKEN"):
        authority.check_access(text)


@pytest.mark.parametrize(
    ("what", "access_lives", "refresh_lives"),
    [("access", False, True), ("refresh", True, False), ("all", False, False)],
)
def test_revoking_ends_what_it_names(
    authority: Authority, what: str, *, access_lives: bool, refresh_lives: bool
) -> None:
    authority.authenticate(RIGHT)
    authority.revoke(what)  # type: ignore[arg-type]  # one of the three, from the table above
    overview = authority.overview()
    assert overview["live_access_tokens"] == access_lives
    assert overview["live_refresh_tokens"] == refresh_lives


def test_revoking_the_older_leaves_the_newest(authority: Authority) -> None:
    old_access, old_refresh = tokens(authority.authenticate(RIGHT))
    stale_access, new_refresh = tokens(authority.authenticate(RIGHT))
    new_access, _ = tokens(authority.refresh(new_refresh))
    authority.revoke("older")
    authority.check_access(new_access)
    authority.refresh(new_refresh)
    for access in (old_access, stale_access):
        with pytest.raises(Refusal, match="INVALID_TOKEN"):
            authority.check_access(access)
    with pytest.raises(Refusal, match="REFRESH_TOKEN_EXPIRED"):
        authority.refresh(old_refresh)


def test_revoking_the_older_where_there_are_none_is_nothing(authority: Authority) -> None:
    authority.revoke("older")
    assert authority.overview()["live_access_tokens"] == 0


def test_the_overview_shows_times_of_the_newest_tokens_and_none_of_them(authority: Authority, clock: Clock) -> None:
    assert authority.overview()["access_token_expires_at"] is None
    access, refresh = tokens(authority.authenticate(RIGHT))
    clock.now += 60
    authority.refresh(refresh)
    overview = authority.overview()
    assert overview == {
        "access_token_expires_at": "2026-01-02T04:05:05.678Z",
        "refresh_token_obtained_at": "2026-01-02T03:04:05.678Z",
        "refresh_token_expires_at": "2026-01-09T03:04:05.678Z",
        "live_access_tokens": 2,
        "live_refresh_tokens": 1,
    }
    assert access not in str(overview)
    assert refresh not in str(overview)


def test_dead_tokens_are_forgotten(authority: Authority, clock: Clock) -> None:
    for _ in range(20):
        authority.authenticate(RIGHT)
        clock.now += 8 * DAY
    assert len(authority._access) == 1
    assert len(authority._logins) == 1


@pytest.mark.parametrize(
    ("text_format", "text"),
    [
        ("z", "2026-01-02T03:04:05Z"),
        ("offset", "2026-01-02T08:34:05+05:30"),
        ("microseconds", "2026-01-02T03:04:05.678901Z"),
        ("no_zone", "2026-01-02T03:04:05"),
    ],
)
def test_expires_at_comes_in_each_form_that_was_seen_and_in_one_to_guard_against(text_format: str, text: str) -> None:
    assert expires_at_text(START, text_format) == text


def test_a_skew_moves_what_is_told_and_not_what_is_true(authority: Authority, clock: Clock) -> None:
    set_switches(authority, expires_at_skew_seconds=-2 * HOUR)
    answer = authority.authenticate(RIGHT)
    assert answer["expires_at"] == "2026-01-02T02:04:05Z"
    clock.now += HOUR - 1
    authority.check_access(tokens(answer)[0])


# What a request presents

BODY = json.dumps({"api_key": "k", "secret_key": "s"}).encode()
HEADERS = {"api-key": "k", "api-secret": "s"}


@pytest.mark.parametrize(("headers", "body", "way"), [(JSON_TYPE, BODY, "body"), (HEADERS, b"", "headers")])
def test_credentials_come_in_the_body_or_in_headers(headers: dict[str, str], body: bytes, way: str) -> None:
    assert presented_credentials(headers, body, Settings(RIGHT)) == Credentials("k", "s")
    assert credentials_in(headers, body) == way


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (JSON_TYPE | HEADERS, BODY, 400),
        (HEADERS, b"{}", 400),
        ({"api-key": "k"}, BODY, 400),
        ({}, b"", 400),
        ({"api-key": "k"}, b"", 400),
        ({"api-secret": "s"}, b"", 400),
        ({"api-key": "k", "api-secret": ""}, b"", 400),
        ({}, BODY, 415),
        ({"content-type": "text/plain"}, BODY, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, b"api_key=k&secret_key=s", 415),
        (JSON_TYPE, b"{", 400),
        (JSON_TYPE, b"\xff", 400),
        (JSON_TYPE, b"[" * 100_000, 400),
        (JSON_TYPE, b"[]", 400),
        (JSON_TYPE, b"NaN", 400),
        (JSON_TYPE, b'{"api_key": "k"}', 400),
        (JSON_TYPE, b'{"api_key": "k", "secret_key": 1}', 400),
        (JSON_TYPE, b'{"api_key": "k", "secret_key": ""}', 400),
        (JSON_TYPE, b'{"api_key": "k", "secret_key": "s", "more": 1}', 400),
        (JSON_TYPE, b'{"api_key": "k", "secret_key": "s", "secret_key": "t"}', 400),
    ],
)
def test_credentials_in_both_ways_in_neither_or_in_another_form_are_refused(
    headers: dict[str, str], body: bytes, status: int
) -> None:
    with pytest.raises(Refusal) as error:
        presented_credentials(headers, body, Settings(RIGHT))
    assert error.value.status == status


@pytest.mark.parametrize(
    ("switch", "headers", "body"), [("accept_body", JSON_TYPE, BODY), ("accept_headers", HEADERS, b"")]
)
def test_a_way_that_is_switched_off_is_as_good_as_no_credentials(
    switch: str, headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(Refusal) as error:
        presented_credentials(headers, body, Settings(RIGHT).changed({switch: False}))
    assert refused(error) == (400, "INVALID_REQUEST")


def test_a_charset_beside_the_content_type_is_fine() -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert presented_refresh_token(headers, b'{"refresh_token": "r"}') == "r"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"refresh_token": null}', b'{"refresh_token": "r", "api_key": "k"}'])
def test_a_refresh_without_exactly_a_refresh_token_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as error:
        presented_refresh_token(JSON_TYPE, body)
    assert refused(error) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_an_authorization_that_is_no_bearer_token_is_refused(header: str) -> None:
    with pytest.raises(Refusal, match="INVALID_TOKEN"):
        bearer_token({"authorization": header})


# Settings


def test_a_change_of_settings_is_all_or_nothing_and_names_everything_wrong_with_it() -> None:
    with pytest.raises(InvalidControlError) as error:
        Settings(RIGHT).changed(
            {"latency_seconds": -1, "surprise": 1, "accept_body": False, "rate_limit_per_minute": 0}
        )
    assert [problem.partition(":")[0] for problem in error.value.problems] == [
        "surprise",
        "latency_seconds",
        "rate_limit_per_minute",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access_token_lifetime_seconds", True),
        ("access_token_lifetime_seconds", "60"),
        ("refresh_token_lifetime_seconds", 1.5),
        ("refresh_token_lifetime_seconds", 10**12),
        ("rate_limit_per_minute", 2.5),
        ("accept_headers", 1),
        ("expires_at_format", "rfc822"),
        ("expires_at_format", []),
        ("expires_at_skew_seconds", float("nan")),
        ("latency_seconds", float("inf")),
        ("latency_seconds", 10**400),
        ("credentials", {"api_key": "k"}),
        ("credentials", {"api_key": "k", "secret_key": ""}),
        ("credentials", None),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidControlError, match=name):
        Settings(RIGHT).changed({name: value})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SWITCHES = [name.name for name in dataclasses.fields(Settings)]


@given(st.dictionaries(st.sampled_from(SWITCHES) | st.text(), JSON_VALUES, max_size=4))
def test_any_change_of_settings_is_either_made_or_refused(members: dict[str, object]) -> None:
    with suppress(InvalidControlError):
        changed = Settings(RIGHT).changed(members).public()
        assert all(changed[name] == value for name, value in members.items() if name != "credentials")


@given(st.dictionaries(st.sampled_from(["on", "times", *FAULT_EXTRAS]), JSON_VALUES), st.sampled_from(FaultName))
def test_any_fault_is_either_armed_or_refused(members: dict[str, object], name: FaultName) -> None:
    with suppress(InvalidControlError):
        assert parse_fault(members | {"fault": name.value}).name is name


def test_settings_show_neither_credential_in_any_form() -> None:
    settings = Settings(RIGHT).changed({"credentials": {"api_key": "key-9", "secret_key": "secret-9"}})
    assert settings.credentials == Credentials("key-9", "secret-9")
    shown = repr(settings) + str(settings.public())
    assert "key-9" not in shown
    assert "secret-9" not in shown


# Rate limit


def test_the_limit_holds_for_every_sliding_minute_and_for_each_key_alone() -> None:
    limit = RateLimit()
    assert [limit.admit("a", 2, now) for now in (0.0, 30.0)] == [None, None]
    assert limit.admit("a", 2, 45.5) == 15  # seconds until the first one is a minute old, rounded up
    assert limit.admit("b", 2, 45.5) is None
    assert limit.admit("a", 2, 60.0) is None
    assert limit.admit("a", 2, 60.0) == 30


def test_a_refused_request_uses_nothing_up_and_no_limit_refuses_nothing() -> None:
    limit = RateLimit()
    assert [limit.admit("a", None, 0.0) for _ in range(100)] == [None] * 100
    assert [limit.admit("a", 3, 1.0) for _ in range(5)] == [59] * 5
    assert limit.admit("a", 3, 60.0) is None


def test_the_wait_is_never_zero_seconds() -> None:
    limit = RateLimit()
    limit.admit("a", 1, 0.0)
    assert limit.admit("a", 1, 59.9999) == 1


# Faults


def test_the_oldest_fault_that_fits_a_request_hits_it_as_often_as_it_was_armed_for() -> None:
    armed = ArmedFaults[FaultName]()
    for members in (
        {"fault": "html", "on": "refresh"},
        {"fault": "empty", "times": 2},
        {"fault": "reset", "on": "authenticate", "times": None},
    ):
        armed.arm(parse_fault(members))
    kinds = ["authenticate", "refresh", "refresh", "authenticate", "authenticate", "refresh"]
    hits = [armed.take(kind) for kind in kinds]
    assert [hit and hit.name.value for hit in hits] == ["empty", "html", "empty", "reset", "reset", None]
    assert armed.public() == [{"fault": "reset", "on": "authenticate", "times": None}]
    armed.clear()
    assert armed.take("authenticate") is None


def test_what_is_armed_shows_how_often_it_will_still_hit() -> None:
    armed = ArmedFaults[FaultName]()
    armed.arm(parse_fault({"fault": "status_429", "times": 3, "retry_after": 7}))
    armed.take("protected")
    assert armed.public() == [{"fault": "status_429", "on": "any", "times": 2, "retry_after": 7}]


def test_the_table_of_faults_says_of_each_whether_the_request_takes_effect() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (yes|no) \| .*\|$", faults.__doc__ or "", re.MULTILINE)
    assert dict(rows) == {name.value: "no" if name in WITHOUT_EFFECT else "yes" for name in FaultName}


@pytest.mark.parametrize("name", FaultName)
@pytest.mark.parametrize("target", [*KINDS, "any"])
def test_every_fault_can_be_armed_on_every_kind_of_request(name: FaultName, target: str) -> None:
    assert parse_fault({"fault": name.value, "on": target}) == Fault(name, target, 1, {})


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({}, "fault"),
        ({"fault": "flood"}, "fault"),
        ({"fault": ["html"]}, "fault"),
        ({"fault": "html", "on": "settings"}, "on"),
        ({"fault": "html", "on": None}, "on"),
        ({"fault": "html", "times": 0}, "times"),
        ({"fault": "html", "times": True}, "times"),
        ({"fault": "html", "times": 1.0}, "times"),
        ({"fault": "html", "retry_after": 1}, "retry_after"),
        ({"fault": "status_429", "retry_after": -1}, "retry_after"),
        ({"fault": "status_429", "retry_after": 1.5}, "retry_after"),
        ({"fault": "status_429", "retry_after": "1\r\nX: y"}, "retry_after"),
        ({"fault": "redirect", "location": "/\n"}, "location"),
        ({"fault": "hang", "seconds": "1"}, "seconds"),
        ({"fault": "too_large", "bytes": 64 * 1024}, "bytes"),
        ({"fault": "missing_field", "field": ""}, "field"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_the_name_of_what_is_wrong(members: dict[str, object], wrong: str) -> None:
    with pytest.raises(InvalidControlError) as error:
        parse_fault(members)
    assert error.value.problems[0].partition(":")[0] == wrong


# The log


def connected() -> bool:
    return True


def test_exchanges_one_after_another_do_not_overlap() -> None:
    journal = Journal()
    for now in range(3):
        journal.finish(journal.begin("refresh", now, connected), now + 0.5)
    assert journal.public()["max_concurrent_exchanges"] == 1


def test_exchanges_at_the_same_time_are_seen_and_marked() -> None:
    journal = Journal()
    first = journal.begin("authenticate", 0, connected)
    second = journal.begin("refresh", 1, connected)
    journal.finish(first, 2)
    journal.finish(first, 3)
    third = journal.begin("refresh", 3, connected)
    assert [exchange.overlapped for exchange in (first, second, third)] == [False, True, True]
    assert first.finished_at == 2
    assert journal.public()["max_concurrent_exchanges"] == 2


def test_an_exchange_whose_client_has_left_overlaps_with_nothing_that_comes_later() -> None:
    journal = Journal()
    journal.begin("refresh", 0, lambda: False)
    assert not journal.begin("authenticate", 1, connected).overlapped
    assert journal.public()["max_concurrent_exchanges"] == 1


def test_the_log_keeps_the_newest_exchanges_while_the_counts_go_on() -> None:
    journal = Journal()
    for now in range(1_500):
        journal.finish(journal.begin("refresh", now, connected), now)
        journal.count("refresh", "ok")
    shown = journal.public()
    log = shown["exchanges"]
    assert isinstance(log, list)
    assert [log[0]["number"], log[-1]["number"], shown["exchanges_total"]] == [501, 1_500, 1_500]
    assert shown["requests"] == {"refresh": {"total": 1_500, "outcomes": {"ok": 1_500}}}


# Answers that are late or never come


@dataclass(slots=True)
class RecordingWire:
    """Remembers what is done with a connection, and what `look` sees at the moment something is sent."""

    look: Callable[[], object] = lambda: None
    pauses: list[float] = dataclasses.field(default_factory=list)
    seen: list[object] = dataclasses.field(default_factory=list)

    def send(self, data: bytes) -> None:
        self.seen.append((self.look(), data[:15]))

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def reset(self) -> None:
        raise AssertionError


def test_an_exchange_with_a_late_answer_is_over_before_its_client_can_have_the_answer(clock: Clock) -> None:
    simulator = Simulator(RIGHT, clock=clock, client_probe=lambda: connected)
    simulator.change_settings({"latency_seconds": 2})
    authenticate = simulator.endpoints[0]
    answer = simulator.answer(authenticate, Request("POST", "/", headers=(("X-Target-Server", "authentication"),)))
    assert simulator.state()["exchanges_open"] == 1
    wire = RecordingWire(lambda: simulator.state()["exchanges_open"])
    assert not isinstance(answer, Response)
    answer(wire)
    assert sum(wire.pauses) == pytest.approx(2)
    assert wire.seen == [(0, b"HTTP/1.1 400 Ba")]


def test_a_hanging_answer_ends_as_soon_as_its_client_has_left() -> None:
    fault = parse_fault({"fault": "hang", "seconds": 3_600})
    still_there = iter([True, True, False])
    send = sending(fault, Response(200), lambda: next(still_there))
    wire = RecordingWire()
    assert send is not None
    send(wire)
    assert len(wire.pauses) == 2
    assert wire.seen == []
