"""Starting a process: what is left out, and that everything is as before afterwards."""

import gc
import logging
from collections.abc import Iterator

import pytest

from gatehouse.cold_start import ColdStart

SETTINGS = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in SETTINGS:
        monkeypatch.setattr(logging, name, getattr(logging, name))
    yield
    gc.unfreeze()
    gc.enable()


def test_garbage_is_looked_for_after_the_imports_and_not_among_them() -> None:
    with ColdStart():
        assert not gc.isenabled()
        imported = [object()]
    assert gc.isenabled()
    assert not any(each is imported for each in gc.get_objects())


def test_garbage_is_looked_for_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), ColdStart():
        raise ImportError
    assert gc.isenabled()


def test_a_record_says_what_happened_and_not_where(caplog: pytest.LogCaptureFixture) -> None:
    with ColdStart(), caplog.at_level(logging.INFO):
        logging.getLogger("gatehouse").info("session_token.issued", extra={"user": "guest"})
    (record,) = caplog.records
    assert vars(record)["user"] == "guest"
    assert (record.lineno, record.thread, record.process) == (0, None, None)
