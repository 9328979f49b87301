"""What no file of the repository may hold."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Written in parts, so that this file does not find itself.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
    )
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    return {path: path.read_text(errors="replace") for path in tracked() if path.is_file()}


@pytest.mark.parametrize("host", REGISTRIES)
def test_packages_are_named_without_a_place_to_fetch_them_from(texts: dict[Path, str], host: str) -> None:
    assert len(texts) > 100
    assert [str(path) for path, text in texts.items() if host in text] == []


def test_nothing_listens_on_every_interface(texts: dict[Path, str]) -> None:
    everywhere = ".".join(["0"] * 4)
    found = [path for path, text in texts.items() if everywhere in text and "tests" not in path.parts]
    assert [str(path) for path in found if path.suffix == ".py"] == []
