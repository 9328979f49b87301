"""The browser client's own tests (`gatehouse.test.mjs`), which Node runs, and what its files may say."""

import json
import re
import subprocess

from local.paths import ROOT

NODE = ROOT / ".tools" / "node" / "bin" / "node"
CLIENT = ROOT / "local" / "playground" / "gatehouse.js"
SECONDS = 120
# The rest is the end of a loop that is never left.
BRANCHES_PERCENT = 98


def test_the_client_does_what_its_tests_say_and_they_reach_every_line() -> None:
    assert NODE.exists(), "Node is missing: run `make test`, which installs it."
    coverage = [
        "--experimental-test-coverage",
        f"--test-coverage-include={CLIENT.relative_to(ROOT)}",
        "--test-coverage-lines=100",
        "--test-coverage-functions=100",
        f"--test-coverage-branches={BRANCHES_PERCENT}",
    ]
    finished = subprocess.run(
        [
            str(NODE),
            "--test",
            "--test-reporter=spec",
            "--test-timeout=10000",
            *coverage,
            "tests/unit/gatehouse.test.mjs",
        ],
        cwd=ROOT,
        env={"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert re.search(r"pass [1-9]\d", finished.stdout), "no test was run"


def test_the_client_imports_nothing_and_writes_nothing_down() -> None:
    code = re.sub(r"/\*.*?\*/|//.*", "", CLIENT.read_text(), flags=re.DOTALL)
    for word in ("import", "Storage", "indexedDB", "cookie", "console", "caches", "eval", "document", "window"):
        assert not re.search(rf"\b\w*{word}\b", code), word


def test_the_lock_file_has_a_hash_for_everything_and_no_address() -> None:
    text = (CLIENT.parent / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert len(packages) > 1
    assert all(each.get("integrity", "").startswith("sha512-") for name, each in packages.items() if name)
    assert "resolved" not in text
    assert "http" not in text
