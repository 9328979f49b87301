"""Licences: of what is deployed, and the page that lists them."""

from email.message import Message
from importlib.metadata import PackageMetadata
from pathlib import Path
from typing import cast

import pytest

from ops import licences
from ops.licences import DEPLOYED, Locked, installed, is_permissive, licence_of, read_locked


def about(*, expression: str = "", licence: str = "", classifiers: tuple[str, ...] = ()) -> PackageMetadata:
    message = Message()
    if expression:
        message["License-Expression"] = expression
    if licence:
        message["License"] = licence
    for classifier in classifiers:
        message["Classifier"] = classifier
    return cast("PackageMetadata", message)


MIT_CLASSIFIER = "License :: OSI Approved :: MIT License"
BSD_CLASSIFIER = "License :: OSI Approved :: BSD License"


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        (about(expression="Apache-2.0 OR BSD-2-Clause", licence="whatever"), "Apache-2.0 OR BSD-2-Clause"),
        (about(classifiers=("Framework :: Pytest", MIT_CLASSIFIER)), "MIT"),
        (about(licence="Apache License 2.0"), "Apache-2.0"),
        (about(licence="MIT\n\nPermission is hereby granted …"), "MIT"),
        (about(licence="BSD 2-Clause License", classifiers=(BSD_CLASSIFIER,)), "BSD-2-Clause"),
        (about(licence="Dual License", classifiers=(BSD_CLASSIFIER, MIT_CLASSIFIER)), "BSD, MIT"),
        (about(), "unknown"),
        (about(licence="ask us"), "unknown"),
    ],
)
def test_a_licence_is_read_from_where_it_is_said(metadata: PackageMetadata, licence: str) -> None:
    assert licence_of(metadata) == licence


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("MIT, MIT-0", True),
        ("(MIT AND PSF-2.0) OR Apache-2.0", True),
        ("BSD", False),  # with how many clauses?
        ("MIT AND MPL-2.0", False),
        ("GPL-3.0-only", False),
        ("unknown", False),
    ],
)
def test_permissive_is_what_is_on_the_list(licence: str, permissive: bool) -> None:
    assert is_permissive(licence) is permissive


def test_everything_that_is_deployed_is_under_a_permissive_licence() -> None:
    for file in DEPLOYED.values():
        locked = read_locked(file)
        found = installed(locked)
        assert [package for package, _ in found] == locked, "what is deployed is installed here, too"
        assert [(package.name, licence) for package, licence in found if not is_permissive(licence)] == []


def test_what_is_deployed_is_what_is_tested_here() -> None:
    development = set(read_locked(licences.DEVELOPMENT))
    for file in DEPLOYED.values():
        assert set(read_locked(file)) <= development


def test_the_page_of_licences_is_up_to_date() -> None:
    assert licences.DOCUMENT.read_text() == licences.render(), "run: make sbom"


def test_a_package_for_another_system_is_left_out() -> None:
    assert installed([Locked("no-such-package-of-anybody", "1")]) == []


def test_the_page_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "licences.md"
    assert licences.main([], page) == 0
    assert capsys.readouterr().out == licences.render() + "\n"
    assert not page.exists()
    assert licences.main(["--write"], page) == 0
    assert page.read_text() == licences.render()


def test_a_licence_that_may_not_be_deployed_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(licences, "PERMISSIVE", licences.PERMISSIVE - {"PSF-2.0"})
    assert licences.main([]) == 1
    assert capsys.readouterr().err == "Deployed, and not under a permissive licence: typing-extensions: PSF-2.0\n"
