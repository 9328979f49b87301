from collections.abc import Iterator

import pytest

from local.emulator.patches import NAMES
from tests.emulator.emulators import Emulator
from tests.emulator.issuer import Issuer

ECHO = """
import json, os

def handler(event, context):
    if event.get("rawPath") == "/fails":
        raise ValueError("what went wrong is nobody's business")
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with Issuer.start() as running:
        yield running


def _with_an_api(emulator: Emulator, issuer: Issuer) -> Emulator:
    emulator.http_api(emulator.function("echo", ECHO), {"Issuer": issuer.url, "Audience": ["gatehouse"]})
    return emulator


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Emulator]:
    """MiniStack as it is."""
    with Emulator.start(tmp_path_factory.mktemp("plain"), disabled=NAMES) as emulator:
        yield _with_an_api(emulator, issuer)


@pytest.fixture(scope="session")
def patched(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Emulator]:
    """The emulator as the project uses it."""
    with Emulator.start(tmp_path_factory.mktemp("patched")) as emulator:
        yield _with_an_api(emulator, issuer)
