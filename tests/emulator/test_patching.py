import importlib
import inspect
import types
from pathlib import Path

import pytest

from local.emulator import patches, patching
from local.emulator.patching import PatchDoesNotFit, Patcher, source_digest
from local.emulator.settings import Settings

SETTINGS = Settings(aws_port=1, api_port=2, functions_python=Path("/python"))


def greet(name: str) -> str:
    return f"hello {name}"


def _changed(name: str) -> str:
    return f"good morning {name}"


def _shout(original: patching.Wrapper, name: str) -> str:
    return str(original(name)).upper()


@pytest.fixture
def patcher() -> Patcher:
    return Patcher("shout", SETTINGS)


@pytest.fixture
def module() -> types.ModuleType:
    made = types.ModuleType("somewhere")
    made.__dict__["greet"] = greet
    return made


def test_a_patch_stands_in_the_place_of_the_function_it_was_written_for(
    patcher: Patcher, module: types.ModuleType
) -> None:
    patcher.wrap(module, "greet", source_digest(greet), _shout)
    assert module.greet("asha") == "HELLO ASHA"


def test_a_function_can_be_patched_twice(patcher: Patcher, module: types.ModuleType) -> None:
    for _ in range(2):
        patcher.wrap(module, "greet", source_digest(greet), _shout)
    assert module.greet("asha") == "HELLO ASHA"


def test_a_function_in_a_table_is_patched_there(patcher: Patcher) -> None:
    table = {"create": greet}
    patcher.wrap_item(table, "create", source_digest(greet), _shout)
    assert table["create"]("asha") == "HELLO ASHA"


def test_a_changed_function_is_not_patched_and_the_error_says_where_to_look(
    patcher: Patcher, module: types.ModuleType
) -> None:
    module.__dict__["greet"] = _changed
    with pytest.raises(PatchDoesNotFit, match=r"'shout' does not fit MiniStack 1\.5\.33: .*somewhere\.greet"):
        patcher.wrap(module, "greet", source_digest(greet), _shout)
    assert module.greet is _changed


def test_a_function_that_is_gone_is_an_error(patcher: Patcher) -> None:
    with pytest.raises(PatchDoesNotFit, match=r"'shout' does not fit .*: handler 'create' is not there"):
        patcher.wrap_item({}, "create", "0" * 16, _shout)


@pytest.mark.parametrize("name", patches.NAMES)
def test_every_patch_refuses_a_function_that_it_was_not_written_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(patches.MODULES[name])
    monkeypatch.setattr(patching, "source_digest", lambda _: "another source")
    with pytest.raises(PatchDoesNotFit, match=f"'{name}'"):
        module.apply(Patcher(name, SETTINGS))


@pytest.mark.parametrize("name", patches.NAMES)
def test_every_patch_says_what_aws_does_what_ministack_does_and_why_it_is_here(name: str) -> None:
    text = inspect.getdoc(importlib.import_module(patches.MODULES[name])) or ""
    assert [part for part in ("\nAWS: ", "\nMiniStack 1.5.33: ", "\nHere: ") if part not in text] == []


def test_every_patch_module_is_in_the_list() -> None:
    modules = {path.stem for path in Path(patches.__path__[0]).glob("*.py")} - {"__init__"}
    assert modules == {name.replace("-", "_") for name in patches.NAMES}
