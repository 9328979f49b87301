"""The model of cost and quotas: its arithmetic, its settings against the template, its tables in the document."""

import math
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load
from hypothesis import given
from hypothesis import strategies as st

from ops.document_tables import put_into
from ops.scaling import __main__ as program
from ops.scaling import assumed, limits, model, published, tables
from ops.scaling.assumed import GUEST, PROCESS, RECEIVE, USER, Function
from ops.scaling.limits import Limit
from ops.scaling.model import Load
from ops.scaling.published import Price, Quota
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "scaling.md"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    written: dict[str, Any] = load(str(ROOT / "template.yaml"))
    return written


def of_type(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


# What it starts from


def test_functions_have_the_memory_that_the_model_takes(template: dict[str, Any]) -> None:
    assert template["Globals"]["Function"]["MemorySize"] == assumed.MEMORY_MB
    assert template["Globals"]["Function"]["Architectures"] == ["arm64"]
    assert template["Globals"]["Function"]["Tracing"] == "Active"
    assert not [each for each in of_type(template, "AWS::Serverless::Function") if "MemorySize" in each]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("TokenRouteRateLimit", assumed.TOKEN_ROUTE_RATE),
        ("ConnectionRouteRateLimit", assumed.CONNECTION_ROUTE_RATE),
        ("WebhookRouteRateLimit", assumed.WEBHOOK_ROUTE_RATE),
        ("EventLogDays", assumed.EVENT_LOG_DAYS),
        ("LogRetentionDays", assumed.LOG_DAYS),
        ("RefreshRate", f"rate({assumed.TICK_MINUTES} minutes)"),
    ],
)
def test_parameters_have_the_defaults_that_the_model_takes(
    template: dict[str, Any], parameter: str, value: object
) -> None:
    assert template["Parameters"][parameter]["Default"] == value


def test_the_queue_is_worked_off_as_the_model_takes_it(template: dict[str, Any]) -> None:
    events = template["Resources"]["ProcessWebhookFunction"]["Properties"]["Events"]
    (source,) = [event["Properties"] for event in events.values()]
    assert source["ScalingConfig"]["MaximumConcurrency"] == assumed.QUEUE_CONCURRENCY
    assert source["BatchSize"] == assumed.BATCH


def test_there_are_as_many_secrets_and_routes_as_the_model_takes(template: dict[str, Any]) -> None:
    assert len(of_type(template, "AWS::SecretsManager::Secret")) == assumed.SECRETS
    (api,) = of_type(template, "AWS::Serverless::HttpApi")
    assert len(api["RouteSettings"]) == assumed.ROUTES
    assert all(settings["DetailedMetricsEnabled"] for settings in api["RouteSettings"].values())


def test_there_are_no_more_alarm_metrics_than_the_model_takes(template: dict[str, Any]) -> None:
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    watched = sum(sum("MetricStat" in each for each in alarm.get("Metrics", [])) or 1 for alarm in alarms)
    assert watched <= assumed.ALARMS


def test_an_environment_reads_a_secret_as_seldom_as_the_model_takes_it(template: dict[str, Any]) -> None:
    kept = {
        each["Environment"]["Variables"]["SECRETS_MANAGER_TTL"]
        for each in of_type(template, "AWS::Serverless::Function")
        if "SECRETS_MANAGER_TTL" in each["Environment"]["Variables"]
    }
    assert kept == {str(assumed.EXTENSION_TTL_SECONDS)}


def test_the_index_is_written_twice_for_a_delivery_because_it_has_the_state(template: dict[str, Any]) -> None:
    (index,) = template["Resources"]["WebhooksTable"]["Properties"]["GlobalSecondaryIndexes"]
    assert "state" in index["Projection"]["NonKeyAttributes"]
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["source", "received_at"]
    assert model.INDEX_WRITES == 2


@pytest.mark.parametrize(("kind", "listed"), [(Price, published.PRICES), (Quota, published.QUOTAS)])
def test_every_number_of_aws_is_listed_with_a_page_of_aws(kind: type[Any], listed: tuple[Any, ...]) -> None:
    assert {value for value in vars(published).values() if isinstance(value, kind)} == set(listed)
    for each in listed:
        assert each.source.startswith(("https://aws.amazon.com/", "https://docs.aws.amazon.com/"))


# Durations and environments


def test_work_takes_longer_with_a_share_of_a_vcpu_and_waiting_does_not() -> None:
    work = Function("work", "assumed", 0, 0, warm_ms=10, aws_calls=0, secrets=0)
    waiting = Function("waiting", "assumed", 0, 0, warm_ms=0, aws_calls=3, secrets=0)
    whole = published.MEMORY_OF_ONE_VCPU_MB
    assert model.warm_ms(work, whole) == 10 * assumed.SLOWER
    assert model.warm_ms(work, whole * 2) == model.warm_ms(work, whole)
    assert model.warm_ms(work, 128) == pytest.approx(10 * assumed.SLOWER * whole / 128)
    assert model.warm_ms(waiting, 128) == model.warm_ms(waiting, whole) == 3 * assumed.AWS_CALL_MS


def test_a_cold_start_takes_init_the_first_invocation_and_the_secrets() -> None:
    function = Function("one", "assumed", init_ms=70, first_ms=5, warm_ms=1, aws_calls=1, secrets=2)
    assert model.cold_ms(function, published.MEMORY_OF_ONE_VCPU_MB) == 75 * assumed.SLOWER + 3 * assumed.AWS_CALL_MS


def test_environments_at_work_are_rate_times_duration() -> None:
    steady = Function("steady", "assumed", 0, 0, 0, aws_calls=20, secrets=0)  # 200 ms, cold or warm
    assert model.at_work(steady, 50) == pytest.approx(10)


@pytest.mark.parametrize(("calls", "rate", "needed"), [(50, 100, 50), (1, 100, 10), (0, 3, 1)])
def test_a_quota_is_needed_for_what_is_at_work_and_for_a_tenth_of_the_rate(
    calls: int, rate: float, needed: int
) -> None:
    assert model.quota_needed(Function("one", "assumed", 0, 0, 0, aws_calls=calls, secrets=0), rate) == needed


@pytest.mark.parametrize(("environments", "seconds"), [(1, 10), (1000, 10), (1001, 20), (10_000, 100)])
def test_environments_come_by_the_thousand(environments: int, seconds: int) -> None:
    assert model.ramp_seconds(environments) == seconds


def test_the_queue_is_worked_off_by_as_many_as_may_be_at_it() -> None:
    assert model.queue_rate() == pytest.approx(
        assumed.QUEUE_CONCURRENCY * 1000 / model.mean_ms(PROCESS, assumed.MEMORY_MB)
    )


# Money


def test_an_invocation_is_billed_by_the_begun_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "COLD_SHARE", 0.0)
    function = Function("one", "assumed", 0, 0, warm_ms=0.6, aws_calls=0, secrets=0)  # 1.2 ms
    cost = model.compute_dollars(function, 1_000_000, published.MEMORY_OF_ONE_VCPU_MB)
    gb_seconds = 1_000_000 * 0.002 * published.MEMORY_OF_ONE_VCPU_MB / 1024
    assert cost == pytest.approx(0.20 + gb_seconds * 0.0000133334)


def test_init_is_paid_for_by_the_share_of_cold_starts() -> None:
    without = RECEIVE._replace(init_ms=0)
    gb = assumed.MEMORY_MB / 1024
    billed = math.ceil(model.cold_ms(RECEIVE, assumed.MEMORY_MB)) - math.ceil(model.cold_ms(without, assumed.MEMORY_MB))
    extra = model.compute_dollars(RECEIVE, 1_000_000) - model.compute_dollars(without, 1_000_000)
    assert extra == pytest.approx(1_000_000 * published.COLD_SHARE * billed / 1000 * gb * 0.0000133334)


def test_requests_beyond_300_million_are_cheaper() -> None:
    month = assumed.MONTH_SECONDS
    at_the_edge, beyond = 300_000_000 / month, 400_000_000 / month
    assert model.month(Load(guests=at_the_edge))["API Gateway"] == pytest.approx(300)
    assert model.month(Load(guests=beyond))["API Gateway"] == pytest.approx(390)


def test_a_delivery_is_written_twice_to_the_table_and_to_the_index() -> None:
    assert model.LOG_ITEM_BYTES == 2498
    assert (model.TABLE_WRITES, model.INDEX_WRITES) == (6, 2)
    million = Load(deliveries=1_000_000 / assumed.MONTH_SECONDS)
    storage_gb = (2598 + 500) / 1000
    assert model.month(million)["DynamoDB"] == pytest.approx(8 * 0.625 + storage_gb * 0.25 + 2.598 * 0.20)


def test_one_trace_a_second_and_a_twentieth_of_the_rest() -> None:
    def traced(guests: float) -> float:
        idle = model.month(Load())["X-Ray"]
        return (model.month(Load(guests=guests))["X-Ray"] - idle) / 5 * 1_000_000 / assumed.MONTH_SECONDS

    assert traced(0.5) == pytest.approx(0.5)
    assert traced(21) == pytest.approx(2)


def test_a_stack_that_nobody_uses_costs_its_secrets_metrics_alarms_and_ticks() -> None:
    idle = model.month(Load())
    assert idle["Secrets Manager"] > 1.60
    assert idle["API Gateway"] == idle["DynamoDB"] == idle["Data transfer out"] == 0
    assert idle["SQS"] == pytest.approx(5 / 20 * assumed.MONTH_SECONDS / 1_000_000 * 0.40)


def test_a_companys_day_becomes_a_rate() -> None:
    found = model.of_company(assumed.TYPICAL)
    assert (found.guests + found.users) * 86400 == pytest.approx(100_000)
    assert found.deliveries * 86400 == pytest.approx(20_000)
    assert found.requests * 86400 == pytest.approx(100_000 + 20_000 + 2 * 500)


@given(st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 100), st.floats(0, 1000), st.floats(1, 3))
def test_more_never_costs_less(guests: float, users: float, connections: float, deliveries: float, more: float) -> None:
    load = Load(guests, users, connections, deliveries)
    larger = Load(*(each * more for each in load))
    before, after = model.month(load), model.month(larger)
    assert all(after[service] >= cost * (1 - 1e-9) for service, cost in before.items())


# What is hit first


def test_limits_come_in_the_order_in_which_they_are_hit() -> None:
    for found in (limits.of_sessions(), limits.of_webhooks()):
        assert [limit.rate for limit in found] == sorted(limit.rate for limit in found)


def names(found: Any) -> list[str]:
    return [limit.name for limit in found]


def test_ten_requests_a_second_meet_no_limit() -> None:
    assert limits.hit(limits.of_sessions(), 10) == []
    assert limits.hit(limits.of_webhooks(), 10) == []


def test_a_thousand_sessions_a_second_meet_the_routes_limit_and_a_new_accounts_concurrency() -> None:
    assert names(limits.hit(limits.of_sessions(), 1_000)) == [
        "Lambda concurrency of a new account (10)",
        "`TokenRouteRateLimit`",
    ]


def test_a_thousand_deliveries_a_second_from_one_source_meet_its_index_as_well() -> None:
    found = {limit.name: limit.rate for limit in limits.hit(limits.of_webhooks(), 1_000)}
    assert found["`WebhookRouteRateLimit`"] == 100
    assert found["Index `by_source`, one partition for each source"] == 500
    assert found["Webhooks table when new, writes"] == pytest.approx(4000 / 6)
    assert 100 < found["`process_webhook`, 10 at once"] < 500


def test_a_short_function_is_limited_by_invocations_a_second_and_a_long_one_by_what_is_at_work() -> None:
    new = published.CONCURRENCY_NEW
    assert limits._concurrency(new, GUEST) == 100
    slow = Function("slow", "assumed", 0, 0, 0, aws_calls=20, secrets=0)  # 200 ms
    assert limits._concurrency(new, slow) == pytest.approx(50)


def test_reading_secrets_is_limited_far_beyond_anything_else() -> None:
    rate = {limit.name: limit.rate for limit in limits.of_sessions()}["Secrets Manager reads"]
    assert model.secret_reads(GUEST, rate) == pytest.approx(published.SECRET_READS.value)
    assert rate > 100_000


def test_an_environment_that_reads_no_secret_reads_none() -> None:
    assert model.secret_reads(PROCESS, 1000) == 0
    assert model.secret_reads(USER, 0) == pytest.approx(1 / assumed.EXTENSION_TTL_SECONDS)


# The tables


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.001, "$0.00"), (9.876, "$9.88"), (99.99, "$99.99"), (100, "$100"), (1234567.8, "$1,234,568")],
)
def test_an_amount_shows_cents_where_they_matter(value: float, shown: str) -> None:
    assert tables.dollars(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.2, "$0.20"), (0.0000133334, "$0.0000133334"), (5, "$5.00")])
def test_a_price_shows_all_of_its_digits(value: float, shown: str) -> None:
    assert tables.price(value) == shown


def test_a_limit_that_is_reached_exactly_is_not_hit() -> None:
    limit = Limit("one", 1_000, "", "")
    assert limits.hit([limit], 1_000) == []
    assert tables._limits([limit]).count("**hit**") == 1


def test_the_document_has_the_tables_of_the_model() -> None:
    text = DOCUMENT.read_text()
    assert put_into(text, tables.TABLES) == text, "run: make scaling WRITE=1"


def test_the_document_says_when_the_pages_were_read_and_the_bench_was_run() -> None:
    text = DOCUMENT.read_text()
    assert published.READ_ON in text
    assert assumed.MEASURED_ON in text


def test_a_document_without_a_place_for_a_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.md"
    empty.write_text("nothing")
    assert program.main(["--write"], empty) == 1
    assert "no place for the table typical" in capsys.readouterr().err
    assert empty.read_text() == "nothing"


def test_a_stale_table_is_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    current = DOCUMENT.read_text()
    stale = tmp_path / "scaling.md"
    stale.write_text(current.replace("**together**", "**of last year**"))
    assert program.main(["--write"], stale) == 0
    assert stale.read_text() == current
    assert program.main(["--write"], stale) == 0
    assert capsys.readouterr().out == "scaling.md: written\nscaling.md: nothing new\n"


def test_without_a_document_every_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}\n\n{render()}" in printed for name, render in tables.TABLES.items())
