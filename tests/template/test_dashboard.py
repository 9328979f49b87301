"""The dashboard answers "is it working?": it is JSON, and everything on it exists."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gatehouse.background import metric_name
from tests.template.metrics import OUTCOMES, OWN, Metric, counted, emitted
from tests.template.test_template import Resources, of_type

FIRST_SCREEN_ROWS = 12
COLUMNS = 24
MOST_WIDGETS = 500  # CloudWatch's

PSEUDO = {"AWS::StackName", "AWS::Region"}


def substitute(value: Any, variables: dict[str, str]) -> str:
    """Fill in a Fn::Sub: what stands in `variables` as it is, a resource or parameter as its own name in <>."""
    return re.sub(r"\$\{([\w:.]+)\}", lambda found: variables.get(found[1], f"<{found[1]}>"), value)


def render(resources: Resources, *, connects_by_webhook: bool) -> dict[str, Any]:
    """The dashboard as CloudWatch gets it."""
    (dashboard,) = of_type(resources, "AWS::CloudWatch::Dashboard").values()
    body, variables = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    filled = {}
    for name, value in variables.items():
        condition, then, otherwise = value["Fn::If"]
        assert condition == "ConnectsByWebhook"
        chosen = then if connects_by_webhook else otherwise
        filled[name] = substitute(chosen["Fn::Sub"], {}) if isinstance(chosen, dict) else chosen
    result: dict[str, Any] = json.loads(substitute(body, filled))
    return result


@pytest.fixture(params=[True, False], ids=["connecting by webhook", "by default"])
def connects_by_webhook(request: pytest.FixtureRequest) -> bool:
    by_webhook: bool = request.param
    return by_webhook


@pytest.fixture
def widgets(resources: Resources, connects_by_webhook: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = render(resources, connects_by_webhook=connects_by_webhook)["widgets"]
    return found


def expand(rows: list[list[Any]]) -> Iterator[list[str]]:
    """The rows of a metrics widget written out: "." is what stands above, "..." as many of these as are missing."""
    above: list[str] = []
    for row in rows:
        cells = [cell for cell in row if isinstance(cell, str)]
        if cells:
            if cells[0] == "...":
                cells = above[: len(above) - len(cells) + 1] + cells[1:]
            above = [above[place] if cell == "." else cell for place, cell in enumerate(cells)]
            yield above


def of_row(cells: list[str]) -> Metric:
    namespace, name, *dimensions = cells
    return Metric(namespace.replace("<AWS::StackName>", "${AWS::StackName}"), name, frozenset(dimensions[::2]))


SEARCH = re.compile(
    r"""SEARCH\('\{"?([^",}]+)"?,([\w,]+)\} (?:ApiId="<Api>" )?MetricName="(\w+)"', '(Sum|p99|Maximum)', 300\)"""
)


def searched(widget: dict[str, Any]) -> Iterator[Metric]:
    for row in widget["properties"].get("metrics", []):
        if isinstance(row[0], dict):
            namespace, dimensions, name, statistic = SEARCH.fullmatch(row[0]["expression"]).groups()  # type: ignore[union-attr]  # no match is a failure, too
            assert statistic == widget["properties"]["stat"]
            namespace = namespace.replace("<AWS::StackName>", "${AWS::StackName}")
            yield Metric(namespace, name, frozenset(dimensions.split(",")))


def shown(widgets: list[dict[str, Any]]) -> set[Metric]:
    """Every metric on these widgets."""
    rows = [cells for widget in widgets for cells in expand(widget["properties"].get("metrics", []))]
    return {of_row(cells) for cells in rows} | {metric for widget in widgets for metric in searched(widget)}


def test_it_is_named_by_the_stack(resources: Resources) -> None:
    (dashboard,) = of_type(resources, "AWS::CloudWatch::Dashboard").values()
    assert dashboard["Properties"]["DashboardName"] == {"Ref": "AWS::StackName"}


def test_what_is_filled_in_exists(written: dict[str, Any], resources: Resources, widgets: list[dict[str, Any]]) -> None:
    named = set(re.findall(r"<([\w:]+)(?:\.\w+)?>", json.dumps(widgets)))
    assert named <= PSEUDO | resources.keys() | written["Parameters"].keys()


def test_every_alarm_of_the_stack_is_on_it(
    resources: Resources,
    widgets: list[dict[str, Any]],
    connects_by_webhook: bool,
) -> None:
    (widget,) = [each for each in widgets if each["type"] == "alarm"]
    there = {
        f"<{name}.Arn>"
        for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items()
        if connects_by_webhook or "Condition" not in alarm
    }
    assert sorted(widget["properties"]["alarms"]) == sorted(there)
    assert len(there) <= 100, "CloudWatch shows no more in a widget"


def test_every_metric_on_it_exists(resources: Resources, widgets: list[dict[str, Any]]) -> None:
    assert shown(widgets) - emitted(resources) == set()


def test_every_function_and_service_on_it_exists(resources: Resources, widgets: list[dict[str, Any]]) -> None:
    for widget in widgets:
        for cells in expand(widget["properties"].get("metrics", [])):
            values = dict(zip(cells[2::2], cells[3::2], strict=True))
            if "service" in values:
                assert (values["service"], cells[1]) in counted()
            if "FunctionName" in values:
                assert resources[values["FunctionName"].strip("<>")]["Type"] == "AWS::Lambda::Function"


def test_every_outcome_is_on_it(widgets: list[dict[str, Any]]) -> None:
    rows = [cells for widget in widgets for cells in expand(widget["properties"].get("metrics", []))]
    there = {(cells[3], cells[1]) for cells in rows if cells[2:3] == ["service"]}
    assert {(service, metric_name(each)) for service, outcomes in OUTCOMES.items() for each in outcomes} <= there


@pytest.mark.parametrize("metric", ["Errors", "Throttles", "Duration"])
def test_every_function_is_on_it(resources: Resources, widgets: list[dict[str, Any]], metric: str) -> None:
    rows = [cells for widget in widgets for cells in expand(widget["properties"].get("metrics", []))]
    there = {cells[3] for cells in rows if cells[:2] == ["AWS/Lambda", metric]}
    assert there == {f"<{name}>" for name in of_type(resources, "AWS::Lambda::Function")}


def test_the_first_screen_answers_whether_it_is_working(widgets: list[dict[str, Any]]) -> None:
    first = [each for each in widgets if each["y"] + each["height"] <= FIRST_SCREEN_ROWS]
    assert [each["type"] for each in first].count("alarm") == 1
    by_route = frozenset({"ApiId", "Stage", "Method", "Resource"})
    assert shown(first) >= {
        Metric(OWN, "AccessTokenSecondsLeft", frozenset({"service"})),
        Metric("AWS/ApiGateway", "Count", by_route),
        Metric("AWS/ApiGateway", "5xx", by_route),
        Metric(OWN, "WebhooksReceived", frozenset({"source"})),
        Metric(OWN, "Published", frozenset({"service"})),
        Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", frozenset({"QueueName"})),
        Metric("AWS/Lambda", "Errors", frozenset({"FunctionName"})),
    }


def test_widgets_fit_and_do_not_overlap(widgets: list[dict[str, Any]]) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in widgets:
        places = {
            (column, row)
            for column in range(widget["x"], widget["x"] + widget["width"])
            for row in range(widget["y"], widget["y"] + widget["height"])
        }
        assert max(column for column, _ in places) < COLUMNS
        assert not places & taken, widget["properties"]["title"]
        taken |= places
    assert len(widgets) <= MOST_WIDGETS


def test_every_graph_says_its_region_period_and_statistic(widgets: list[dict[str, Any]]) -> None:
    for widget in widgets:
        properties = widget["properties"]
        assert properties["title"]
        if widget["type"] == "metric":
            assert properties["region"] == "<AWS::Region>"
            assert (properties["period"], bool(properties["stat"])) == (300, True)


def test_lines_that_mark_an_alarm_are_where_it_rings(resources: Resources, widgets: list[dict[str, Any]]) -> None:
    thresholds = {
        alarm["Properties"]["MetricName"]: alarm["Properties"]["Threshold"]
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
    }
    marked = 0
    for widget in widgets:
        for line in widget["properties"].get("annotations", {}).get("horizontal", []):
            if line["label"] == "alarm":
                (cells,) = expand(widget["properties"]["metrics"])
                assert line["value"] == thresholds[cells[1]]
                marked += 1
    assert marked == 2
