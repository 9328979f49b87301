from pathlib import Path

import pytest

from local.emulator.patches import NAMES
from local.emulator.settings import (
    API_PORT,
    AWS_PORT,
    CALLS_FILE,
    DISABLE_PATCHES,
    FUNCTIONS_PYTHON,
    InvalidSettings,
    Settings,
    ministack_environment,
)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    python = tmp_path / "python"
    python.touch(mode=0o755)
    return {AWS_PORT: "4566", API_PORT: "4567", FUNCTIONS_PYTHON: str(python)}


def test_settings_come_from_the_environment(given: dict[str, str]) -> None:
    settings = Settings.from_environment({**given, DISABLE_PATCHES: "secret-ref,http-event"})
    assert (settings.aws_port, settings.api_port) == (4566, 4567)
    assert settings.functions_python == Path(given[FUNCTIONS_PYTHON])
    assert settings.disabled_patches == {"secret-ref", "http-event"}
    assert settings.calls_file is None


def test_calls_are_noted_in_the_file_that_is_named(given: dict[str, str]) -> None:
    assert Settings.from_environment({**given, CALLS_FILE: "/x/calls"}).calls_file == Path("/x/calls")
    with pytest.raises(InvalidSettings, match=CALLS_FILE):
        Settings.from_environment({**given, CALLS_FILE: "calls"})


@pytest.mark.parametrize(("text", "disabled"), [("", set()), ("all", set(NAMES))])
def test_patches_are_on_unless_they_are_named(given: dict[str, str], text: str, disabled: set[str]) -> None:
    assert Settings.from_environment({**given, DISABLE_PATCHES: text}).disabled_patches == disabled


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(InvalidSettings) as error:
        Settings.from_environment({AWS_PORT: "65536", API_PORT: "²", FUNCTIONS_PYTHON: "python3", DISABLE_PATCHES: "x"})
    for name in (AWS_PORT, API_PORT, FUNCTIONS_PYTHON, DISABLE_PATCHES):
        assert name in str(error.value)


def test_the_two_ports_differ(given: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match="same port"):
        Settings.from_environment({**given, API_PORT: given[AWS_PORT]})


def test_ministack_is_told_everything_anew(given: dict[str, str]) -> None:
    strange = {"LAMBDA_EXECUTOR": "docker", "BIND_HOST": "0.0.0.0", "COVERAGE_PROCESS_START": "x", "AWS_REGION": "r"}
    told = ministack_environment(given | strange | {"PATH": "/bin"}, Settings.from_environment(given), Path("/nowhere"))
    assert told["BIND_HOST"] == "127.0.0.1"
    assert told["GATEWAY_PORT"] == "4566"
    assert (told["MINISTACK_REGION"], told["AUTH"], told["PATH"]) == ("r", "true", "/bin")
    assert not {"LAMBDA_EXECUTOR", "COVERAGE_PROCESS_START", AWS_PORT, API_PORT, FUNCTIONS_PYTHON} & told.keys()


def test_ministack_finds_no_container_engine(given: dict[str, str]) -> None:
    told = ministack_environment({}, Settings.from_environment(given), Path("/nowhere"))
    assert told["DOCKER_HOST"] == "unix:///nowhere/no-docker"
