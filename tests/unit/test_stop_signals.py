import signal
import threading
import time
from collections.abc import Iterator

import pytest

from local.stop_signals import StopRequested, StopSignals, shielded

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers_stay_as_they_were() -> Iterator[None]:
    before = [signal.getsignal(signum) for signum in SIGNALS]
    yield
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_stop_signal_interrupts_what_is_going_on(signum: signal.Signals) -> None:
    with pytest.raises(StopRequested) as stop, StopSignals():
        signal.raise_signal(signum)
    assert (stop.value.signum, stop.value.exit_code) == (signum, 128 + signum)


def test_what_handles_errors_does_not_handle_a_stop() -> None:
    assert not issubclass(StopRequested, Exception)
    assert issubclass(StopRequested, KeyboardInterrupt)


def test_a_second_stop_interrupts_too() -> None:
    with StopSignals():
        for _ in range(2):
            with pytest.raises(StopRequested):
                signal.raise_signal(signal.SIGINT)


@shielded
def shielded_work(done: list[str]) -> None:
    def inner() -> None:
        signal.raise_signal(signal.SIGTERM)

    inner()
    done.append("all of it")


def test_a_stop_in_a_shielded_function_waits_for_its_end() -> None:
    done: list[str] = []
    with StopSignals() as signals:
        shielded_work(done)
        assert done == ["all of it"]
        with pytest.raises(StopRequested):
            signals.check()


def test_waiting_returns_a_stop_that_came_in_a_shielded_function() -> None:
    with StopSignals() as signals:
        shielded_work([])
        assert signals.wait() is signal.SIGTERM


def test_a_stop_is_raised_once() -> None:
    with StopSignals() as signals:
        with pytest.raises(StopRequested):
            signal.raise_signal(signal.SIGTERM)
        signals.check()
        shielded_work([])
        with pytest.raises(StopRequested):
            signals.check()
        signals.check()


@pytest.mark.parametrize("to_main_thread", [True, False])
def test_waiting_ends_with_the_signal_whichever_thread_the_system_hands_it_to(
    monkeypatch: pytest.MonkeyPatch, *, to_main_thread: bool
) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(StopSignals, "check", lambda _: waiting.set())

    def send() -> None:
        waiting.wait()
        time.sleep(0.05)  # into the sleep; a signal before it ends the waiting too
        thread = threading.main_thread() if to_main_thread else threading.current_thread()
        signal.pthread_kill(thread.ident or 0, signal.SIGHUP)

    with StopSignals() as signals:
        sender = threading.Thread(target=send)
        sender.start()
        assert signals.wait() is signal.SIGHUP
        sender.join()


def test_under_nohup_a_hangup_stays_ignored(request: pytest.FixtureRequest) -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request.addfinalizer(lambda: signal.signal(signal.SIGHUP, previous))
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGHUP)
        signals.check()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.signal(signal.SIGHUP, previous)


def test_an_interrupt_that_a_script_ignores_for_its_jobs_stops_nevertheless() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(StopRequested), StopSignals():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)


def test_in_another_thread_nothing_is_installed() -> None:
    seen = []

    def enter() -> None:
        with StopSignals():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
