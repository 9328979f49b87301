"""The bench runs, on built artifacts, and notices what is no answer."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from bench import __main__ as bench_program
from bench import stand_ins
from bench.loopback import LoopbackServer, Request, Response
from bench.measure import measure
from bench.runtime_api import FunctionFailed
from bench.subjects import BARE, GUEST, OURS, WEBHOOK, Subject, subjects

SUBJECTS = [each for each in subjects() if each.name in {BARE, *OURS}]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda each: each.name)
def test_a_process_initialises_answers_and_goes_on_answering(subject: Subject, servers: stand_ins.StandIns) -> None:
    sample = measure(subject, servers, warm=20)
    assert 0 < sample.init_seconds < sample.first_seconds
    assert len(sample.warm_seconds) == 20
    assert min(sample.warm_seconds) > 0
    assert sample.memory_bytes > 5_000_000
    assert sample.waiting_share >= 0


def test_a_process_that_shares_its_core_waits_for_it(servers: stand_ins.StandIns) -> None:
    core = max(os.sched_getaffinity(0))
    busy = subprocess.Popen([sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"])
    try:
        assert measure(SUBJECTS[0], servers, warm=20).waiting_share > 0.1
    finally:
        busy.kill()
        busy.wait()


def test_an_answer_that_is_none_is_noticed(servers: stand_ins.StandIns) -> None:
    with pytest.raises(FunctionFailed, match="bare handler answered 200"):
        measure(SUBJECTS[0]._replace(expected="something else"), servers, warm=0)


def test_a_function_that_cannot_start_is_noticed(servers: stand_ins.StandIns, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(FunctionFailed, match="nothing_of_that_name"):
        measure(SUBJECTS[0]._replace(code=tmp_path), servers, warm=0)


def test_the_program_measures_and_writes_its_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench_program, "subjects", lambda: tuple(SUBJECTS))
    monkeypatch.setattr("bench.report.PEER_OF", {WEBHOOK: GUEST})
    monkeypatch.setattr("bench.ratios.MAX_BASELINE_SPREAD", 1000)
    monkeypatch.setattr("bench.ratios.MAX_WAITING_SHARE", 1000)
    monkeypatch.setattr(bench_program, "RESULTS", tmp_path)
    assert bench_program.main(["--rounds", "2", "--warm", "5"]) == 0
    assert GUEST in capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["rounds"] == 2
    assert results["to_bare"][GUEST]["init"]["median"] > 0
    assert results["memory_mb"][GUEST] > results["memory_mb"][BARE]
    monkeypatch.setattr("bench.ratios.MAX_BASELINE_SPREAD", -1)
    assert bench_program.main(["--rounds", "1", "--warm", "5"]) == 1


def test_the_loopback_server_reads_requests_one_after_the_other() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(request.body[::-1], 201, (("x-more", "1"),))

    server = LoopbackServer(answer)
    with urllib3.PoolManager(retries=False, timeout=20) as http:
        first = http.request("POST", f"{server.url}/a?b=1", body=b"abc", headers={"X-Name": "value"})
        second = http.request("POST", f"{server.url}/c", body=(part for part in (b"de", b"fg")))
        assert (first.status, first.data, first.headers["x-more"]) == (201, b"cba", "1")
        assert second.data == b"gfed"
    assert [(each.method, each.path, each.body) for each in seen] == [
        ("POST", "/a?b=1", b"abc"),
        ("POST", "/c", b"defg"),
    ]
    assert seen[0].headers["x-name"] == "value"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        raw.sendall(b"PUT /d HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"xy")
        assert raw.recv(1000).endswith(b"yx")
    server.close()
