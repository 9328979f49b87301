"""The playground's files: what is served, and what a browser is told to allow it."""

import re

import pytest

from local.http_router import Request, Response
from local.playground import pages
from local.playground.guard import Guard
from local.playground.surroundings import Surroundings

HEADERS = pages.security_headers(["http://127.0.0.1:8700", "http://127.0.0.1:8702"])
HTML = (pages.FOLDER / "index.html").read_text()


def policy() -> dict[str, str]:
    (text,) = [value for name, value in HEADERS if name == "Content-Security-Policy"]
    return dict(part.split(" ", 1) for part in text.split("; "))


@pytest.mark.parametrize("path", pages.FILES)
def test_every_file_is_served_with_its_type_and_the_headers(path: str) -> None:
    answer = pages.serve(path, HEADERS)
    assert answer.status == 200
    assert answer.body
    assert answer.headers[0][0] == "Content-Type"
    assert set(HEADERS) <= set(answer.headers)


def test_every_file_of_the_page_is_served_and_none_of_the_others() -> None:
    names = {name for name, _ in pages.FILES.values()}
    suffixes = {".html", ".js", ".css", ".svg"}
    assert names == {path.name for path in pages.FOLDER.iterdir() if path.suffix in suffixes}


def test_scripts_come_from_here_and_calls_go_to_the_named_origins_alone() -> None:
    assert policy()["default-src"] == "'none'"
    assert policy()["script-src"] == "'self'"
    assert policy()["connect-src"] == "'self' http://127.0.0.1:8700 http://127.0.0.1:8702"
    assert policy()["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy())
    assert "*" not in str(policy())


def test_the_page_has_nothing_that_its_policy_forbids() -> None:
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", HTML) == []


@pytest.mark.parametrize("name", sorted({name for name, _ in pages.FILES.values()}))
def test_no_file_loads_anything_from_elsewhere(name: str) -> None:
    text = (pages.FOLDER / name).read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.findall(r"https?://|url\(|@import", text) == []


def test_no_script_writes_html_or_keeps_anything() -> None:
    for name, _ in pages.FILES.values():
        if name.endswith(".js"):
            text = (pages.FOLDER / name).read_text()
            assert re.findall(r"innerHTML|outerHTML|insertAdjacent|localStorage|sessionStorage|\.cookie", text) == []


def test_what_the_page_calls_is_what_the_run_simulates() -> None:
    known = Surroundings(
        api_url="http://127.0.0.1:8700",
        aws_endpoint_url="http://127.0.0.1:8701",
        outputs={"EventBusName": "gatehouse-local"},
        page_origins=["http://127.0.0.1:8705"],
        oidc_simulator=None,
        integration_simulator="http://127.0.0.1:8703",
        smallcase_simulator="http://127.0.0.1:8704",
    )
    assert known.called_origins() == ["http://127.0.0.1:8700", "http://127.0.0.1:8704"]
    assert Surroundings.from_environment(known.environment()) == known


def test_a_page_under_another_name_is_not_served() -> None:
    guarded = Guard.of_port(8705).page(lambda _: pages.serve("/", HEADERS))
    answer = guarded(Request("GET", "/", headers=(("Host", "evil.example.com:8705"),)))
    assert isinstance(answer, Response)
    assert answer.status == 403
    assert b"<" not in answer.body
