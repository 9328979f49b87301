"""docs/security-review.md: every finding has a test, and the test is there."""

import re

import pytest

from tests.conftest import ROOT
from tests.unit import test_security_document
from tests.unit.test_docs import table

DOCUMENT = (ROOT / "docs" / "security-review.md").read_text()
FINDINGS = table(DOCUMENT, "finding")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT)))


def test_every_finding_says_how_bad_it_is_what_was_done_and_what_holds_it() -> None:
    assert len(FINDINGS) >= 5
    for finding, (severity, done, test) in FINDINGS.items():
        assert severity, finding
        assert done, finding
        assert re.fullmatch(r"tests/[\w/]+\.py::test_\w+", test), finding


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_review_names_exists(path: str, name: str) -> None:
    test_security_document.test_a_named_test_exists_and_would_be_collected(path, name)
