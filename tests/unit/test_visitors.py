"""A foreign page in a browser on this machine, told apart from this machine's own programs and pages."""

import json

import pytest

from local.http_router import Request, Response, json_response
from local.simulator_controls import from_this_machine
from local.visitors import is_foreign_page

HERE = ["127.0.0.1:8701"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8701",
        "localhost:8701",
        "LocalHost",
        "bucket.localhost:8701",
        "0a1b2c3d.execute-api.localhost:8701",
        "sqs.ap-south-1.amazonaws.com",
    ],
)
def test_programs_of_this_machine_may_use_any_name_that_only_it_or_aws_can_have(host: str) -> None:
    assert not is_foreign_page([host], [])


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example.com:8701"],
        ["127.0.0.1.evil.example.com"],
        ["localhost.evil.example.com:8701"],
        ["evil.example.com/.localhost"],
        ["evilamazonaws.com"],
        ["127.0.0.1:8701", "evil.example.com"],
        ["127.0.0.1:8701\n"],
    ],
)
def test_a_foreign_name_that_points_here_is_a_foreign_page(hosts: list[str]) -> None:
    assert is_foreign_page(hosts, [])


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8705", "http://localhost:3000", "https://app.localhost"])
def test_a_page_of_this_machine_is_none(origin: str) -> None:
    assert not is_foreign_page(HERE, [origin])


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "null",
        "",
        "http://127.0.0.1.evil.example.com",
        "http://localhost.evil.example.com:8705",
        "http://evil@127.0.0.1:8705",
        "http://127.0.0.1:8705,https://evil.example.com",
        "https://evil.s3.amazonaws.com",
        "file://",
    ],
)
def test_a_page_of_another_origin_is_foreign(origin: str) -> None:
    assert is_foreign_page(HERE, [origin])
    assert is_foreign_page(HERE, ["http://127.0.0.1:8705", origin])


def test_a_control_call_of_a_foreign_page_does_nothing_and_tells_nothing() -> None:
    asked: list[Request] = []

    def handler(request: Request) -> Response:
        asked.append(request)
        return json_response(200, {})

    guarded = from_this_machine(handler)
    answer = guarded(Request("POST", "/", headers=(("Host", HERE[0]), ("Origin", "https://evil.example.com"))))
    assert isinstance(answer, Response)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (403, "FOREIGN_PAGE")
    assert not any(name.lower().startswith("access-control") for name, _ in answer.headers)
    assert asked == []
    own = Request("POST", "/", headers=(("Host", HERE[0]), ("Origin", "http://127.0.0.1:8705")))
    assert guarded(own) == json_response(200, {})
    assert asked == [own]
