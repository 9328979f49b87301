"""What every test gets: no sockets (but for the folders that are there for them), no AWS account, no stray settings."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
FOLDERS_WITH_SOCKETS = ("e2e", "browser", "emulator")

# Reproducible in CI and here; `make verify` looks further.
settings.register_profile("gatehouse", derandomize=True, deadline=None, max_examples=200)
settings.load_profile("gatehouse")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(ROOT / "tests").parts[0] in FOLDERS_WITH_SOCKETS:
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(autouse=True)
def _no_aws_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake credentials and no endpoint, whatever the shell has."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _fresh_clients() -> Iterator[None]:
    """No client or setting made in one test is used in another."""
    yield
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("gatehouse.", "functions.")):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
