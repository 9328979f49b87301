import copy
import http.client
import io
import json
import pickle
from typing import Any

import pytest

from gatehouse.problems import SecretUnavailable
from gatehouse.secret_value import Secret
from gatehouse.secrets import (
    CACHE_SECONDS,
    CachedSecret,
    Extension,
    ExtensionReader,
    FallbackReader,
    SecretsManagerReader,
    secret_reader,
)
from tests.support.fakes import Clock, FakeSecrets

VALUE = "s3cr3t-value"


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(VALUE)),
        repr(Secret(VALUE)),
        f"{Secret(VALUE)}",
        f"{Secret(VALUE)!r:>20}",
        "%s" % Secret(VALUE),  # noqa: UP031 - the old form prints too
        repr([Secret(VALUE)]),
        repr({"key": Secret(VALUE)}),
        json.dumps({"key": Secret(VALUE)}, default=str),
    ],
)
def test_a_secret_never_prints_itself(shown: str) -> None:
    assert VALUE not in shown
    assert "***" in shown


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, hash, vars])
def test_a_secret_is_not_copied_out_by_accident(leak: Any) -> None:
    with pytest.raises(TypeError):
        leak(Secret(VALUE))


def test_secrets_compare_by_value_and_only_with_each_other() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret("é") != Secret("e")
    assert Secret(VALUE) != VALUE
    assert Secret(VALUE).reveal_bytes() == VALUE.encode()


def test_any_text_has_bytes() -> None:
    assert Secret("é").reveal_bytes() == b"\xc3\xa9"
    assert Secret("\ud800").reveal_bytes() == b"\xed\xa0\x80"
    assert Secret("\ud800") != Secret("\udfff")


def test_a_secret_shows_three_stars_and_says_why_it_is_not_pickled() -> None:
    assert repr(Secret(VALUE)) == "***"
    with pytest.raises(TypeError, match=r"^a secret is not pickled$"):
        pickle.dumps(Secret(VALUE))


class FakeConnection:
    """Stands for `http.client.HTTPConnection` to the extension."""

    def __init__(self, status: int = 200, body: bytes = b"", error: Exception | None = None) -> None:
        self.status, self.body, self.error = status, body, error
        self.asked: list[tuple[Any, ...]] = []
        self.closed = False

    def __call__(self, host: str, port: int, timeout: float) -> Any:
        self.asked.append((host, port, timeout))
        return self

    def request(self, method: str, path: str, headers: dict[str, str]) -> None:
        self.asked.append((method, path, headers))
        if self.error:
            raise self.error

    def getresponse(self) -> Any:
        answer = io.BytesIO(self.body)
        answer.status = self.status  # type: ignore[attr-defined]  # just enough of an HTTPResponse
        return answer

    def close(self) -> None:
        self.closed = True


def reader(connection: FakeConnection) -> ExtensionReader:
    return ExtensionReader(Extension(2773, Secret("session-token")), connection)


def test_the_extension_is_asked_on_loopback_with_the_functions_own_token() -> None:
    connection = FakeConnection(body=json.dumps({"SecretString": VALUE}).encode())
    assert reader(connection).read("arn:aws:x:secret:a/b").reveal() == VALUE
    (host, port, timeout), (method, path, headers) = connection.asked
    assert (host, port) == ("127.0.0.1", 2773)
    assert 0 < timeout <= 2
    assert (method, path) == ("GET", "/secretsmanager/get?secretId=arn%3Aaws%3Ax%3Asecret%3Aa%2Fb")
    assert headers == {"X-Aws-Parameters-Secrets-Token": "session-token"}
    assert connection.closed


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (FakeConnection(error=ConnectionRefusedError("secret text")), "extension_unreachable"),
        (FakeConnection(error=TimeoutError("secret text")), "extension_unreachable"),
        (FakeConnection(error=http.client.BadStatusLine("secret text")), "extension_unreachable"),
        (FakeConnection(status=400, body=b"secret text"), "extension_status_400"),
        (FakeConnection(status=500, body=b"secret text"), "extension_status_500"),
        (FakeConnection(body=b""), "extension_answer"),
        (FakeConnection(body=b"secret text"), "extension_answer"),
        (FakeConnection(body=b"\xff\xfe\xfa"), "extension_answer"),
        (FakeConnection(body=b"[" * 100_000), "extension_answer"),
        (FakeConnection(body=b"[]"), "extension_answer"),
        (FakeConnection(body=b'{"SecretBinary": "secret text"}'), "extension_answer"),
        (FakeConnection(body=b'{"SecretString": null}'), "no_text"),
    ],
)
def test_whatever_the_extension_does_wrong_is_one_known_error_without_its_text(
    connection: FakeConnection, reason: str
) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        reader(connection).read("id")
    assert caught.value.reason == reason
    assert "secret text" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert connection.closed


def test_where_the_extension_fails_secrets_manager_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    behind = FakeSecrets()
    behind.texts["id"] = VALUE
    failing = reader(FakeConnection(error=ConnectionRefusedError()))
    assert FallbackReader(failing, behind).read("id").reveal() == VALUE
    assert [record.message for record in caplog.records] == ["secret.extension_failed"]


def test_where_the_extension_answers_nobody_else_is_asked() -> None:
    first, second = FakeSecrets(), FakeSecrets()
    first.texts["id"] = VALUE
    assert FallbackReader(first, second).read("id").reveal() == VALUE
    assert second.reads == 0


def test_the_reader_goes_through_the_extension_only_where_one_is_attached() -> None:
    assert isinstance(secret_reader(None), SecretsManagerReader)
    assert isinstance(secret_reader(Extension(2773, Secret(""))), FallbackReader)


class Cached:
    def __init__(self) -> None:
        self.secrets, self.clock = FakeSecrets(), Clock()
        self.secrets.texts["id"] = "1"
        self.value = CachedSecret(self.secrets, "id", lambda text: int(text.reveal()), self.clock)


def test_a_secret_is_read_once_while_it_is_young() -> None:
    cached = Cached()
    assert cached.value.get() == 1
    cached.clock.now += CACHE_SECONDS - 1
    assert cached.value.get() == 1
    assert cached.secrets.reads == 1


@pytest.mark.parametrize("passed", [CACHE_SECONDS, CACHE_SECONDS * 1000, -1])
def test_an_old_secret_is_read_again_and_so_is_one_from_the_future(passed: int) -> None:
    cached = Cached()
    cached.value.get()
    cached.secrets.texts["id"] = "2"
    cached.clock.now += passed
    assert cached.value.get() == 2


def test_a_secret_that_cannot_be_read_is_an_error_even_where_an_old_value_is_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cached = Cached()
    cached.value.get()
    cached.clock.now += CACHE_SECONDS
    del cached.secrets.texts["id"]
    with pytest.raises(SecretUnavailable):
        cached.value.get()
    (record,) = caplog.records
    assert record.message == "secret.unavailable"
    assert vars(record)["secret"] == "id"


def test_what_could_not_be_parsed_is_read_again_at_the_next_request() -> None:
    cached = Cached()
    cached.secrets.texts["id"] = "placeholder"
    with pytest.raises(ValueError, match="placeholder"):
        cached.value.get()
    cached.secrets.texts["id"] = "3"
    assert cached.value.get() == 3
