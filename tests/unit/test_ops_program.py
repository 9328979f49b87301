"""What the operators' programs do alike: variables, exit codes, progress."""

import io
import os
import signal
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from gatehouse.event_log import LogUnavailable
from ops.deployment import NoDeployment
from ops.program import Variables, WrongUsage, run
from ops.progress import Progress
from tests.conftest import ROOT


@pytest.mark.parametrize(("text", "yes"), [("1", True), ("yes", True), ("TRUE", True), ("", False), ("0", False)])
def test_a_flag_is_yes_or_no(text: str, yes: bool) -> None:
    variables = Variables({"DRY_RUN": text})
    assert variables.flag("DRY_RUN") is yes
    variables.check()


def test_a_flag_that_is_not_set_is_no() -> None:
    assert Variables({}).flag("DRY_RUN") is False


@pytest.mark.parametrize("text", ["ye", "2", "nope"])
def test_a_flag_that_is_neither_is_a_fault_and_no_guess(text: str) -> None:
    variables = Variables({"DRY_RUN": text})
    variables.flag("DRY_RUN")
    with pytest.raises(WrongUsage, match="DRY_RUN"):
        variables.check()


@pytest.mark.parametrize("text", ["0", "-1", "a", "1.5", "٣"])
def test_a_number_is_from_one_on(text: str) -> None:
    variables = Variables({"MAX": text})
    assert variables.count("MAX") is None
    with pytest.raises(WrongUsage, match="MAX"):
        variables.check()


def test_a_number_is_read_and_may_be_left_out() -> None:
    variables = Variables({"MAX": " 12 "})
    assert (variables.count("MAX"), variables.count("INDEX")) == (12, None)
    variables.check()


def test_all_faults_are_said_at_once() -> None:
    variables = Variables({"MAX": "none"})
    variables.required("SOURCE", "a source")
    variables.count("MAX")
    with pytest.raises(WrongUsage) as caught:
        variables.check()
    assert str(caught.value).splitlines() == ["SOURCE is missing: a source.", "MAX is a whole number from 1 on."]


def test_the_stage_is_local_unless_make_says_another() -> None:
    assert Variables({}).stage == "local"
    assert Variables({"OPS_STAGE": "prod"}).stage == "prod"


ENDINGS = [
    (WrongUsage("SOURCE is missing."), 2, "SOURCE is missing.\n\nUsage: make it"),
    (NoDeployment("Nothing there."), 1, "Nothing there."),
    (
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "quoted"}}, "PutEvents"),
        1,
        "AWS did not do it: PutEvents, AccessDeniedException.",
    ),
    (ClientError({}, "PutEvents"), 1, "AWS did not do it: PutEvents, ClientError."),
    (EndpointConnectionError(endpoint_url="quoted"), 1, "AWS did not do it: EndpointConnectionError."),
    (LogUnavailable("unprocessed_keys"), 1, "AWS did not do it: unprocessed_keys."),
]


@pytest.mark.parametrize(("error", "exit_code", "said"), ENDINGS)
def test_a_known_error_is_said_on_stderr_without_its_text(
    error: Exception, exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    assert run("make it", work) == exit_code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said + "\n")


def test_the_works_own_exit_code_is_returned() -> None:
    assert run("make it", lambda: 7) == 7


def test_a_bug_is_not_hidden() -> None:
    def work() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run("make it", work)


@pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_signal_ends_the_work(
    signum: signal.Signals, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        os.kill(os.getpid(), signum)
        raise AssertionError("not stopped")

    assert run("make it", work) == exit_code
    assert capsys.readouterr().err == "Stopped.\n"


PRINTING = """
from ops.program import run
def work():
    for number in range({lines}):
        print("a line", flush={flush})
    return 0
raise SystemExit(run("make it", work))
"""


@pytest.mark.parametrize(("lines", "flush"), [(10_000, True), (10_000, False), (1, False)])
def test_a_reader_that_goes_away_ends_the_program_quietly(lines: int, flush: bool) -> None:
    argv = [sys.executable, "-c", PRINTING.format(lines=lines, flush=flush)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'gatehouse'}"}
    reading, writing = os.pipe()
    os.close(reading)  # before there is a line: one alone may be written before anybody could go away
    program = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert (program.returncode, program.stderr) == (128 + signal.SIGPIPE, b"")


def test_without_a_terminal_there_is_a_line_at_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("published", 1000) as progress:
        for _ in range(500):
            progress.advance()
        progress.say("  failed one")
        progress.advance(500)
    assert capsys.readouterr().out.splitlines() == [
        "  published 100 of 1000",
        "  published 200 of 1000",
        "  published 300 of 1000",
        "  published 400 of 1000",
        "  published 500 of 1000",
        "  failed one",
        "  published 1000 of 1000",
    ]


def test_nothing_done_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("published", 10) as progress:
        progress.show(0, 20)
    assert capsys.readouterr().out == ""


def test_on_a_terminal_there_is_a_bar_and_lines_stand_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Progress("published", 20) as progress:
        progress.advance(5)
        progress.say("  failed [delivery] " + "x" * 120)
        progress.advance(15)
    shown = terminal.getvalue()
    assert "  failed [delivery] " + "x" * 120 + "\n" in shown, "as it is, and in one line"
    assert "20/20" in shown
    assert "\x1b[" in shown
