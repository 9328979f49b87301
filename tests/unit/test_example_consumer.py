import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from examples.consumer.count_holdings import app
from gatehouse.integration import MAX_ANSWER_BYTES, NoTokens
from gatehouse.problems import SecretUnavailable
from gatehouse.settings import SettingsInvalid
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest

TOKENS = {
    "access_token": "SENTINEL-access",
    "refresh_token": "SENTINEL-refresh",
    "token_type": "Bearer",
    "expires_at": "2999-01-01T00:00:00Z",
    "access_token_obtained_at": "2026-01-01T00:00:00Z",
    "refresh_token_obtained_at": "2026-01-01T00:00:00Z",
}
HOLDINGS = UpstreamAnswer(200, {}, b'{"holdings": [{"symbol": "A"}, {"symbol": "B"}]}')


class Upstream:
    """Stands for `HttpTransport`: gives one answer and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: UpstreamAnswer | UpstreamFault = HOLDINGS
        self.asked: list[UpstreamRequest] = []
        self.max_answer_bytes = 0

    def __call__(self, *, max_answer_bytes: int) -> "Upstream":
        self.max_answer_bytes = max_answer_bytes
        return self

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        assert timeout_seconds > 0
        self.asked.append(request)
        if isinstance(self.answer, UpstreamFault):
            raise self.answer
        return self.answer


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """The function's whole surroundings: the secret in an account in memory, its environment, the API."""
    fake = Upstream()
    monkeypatch.setattr("gatehouse.integration.HttpTransport", fake)
    with mock_aws():
        created = boto3.client("secretsmanager").create_secret(Name="tokens", SecretString=json.dumps(TOKENS))
        monkeypatch.setenv("TOKENS_SECRET_ARN", created["ARN"])
        monkeypatch.setenv("INTEGRATION_BASE_URL", "https://integration.example.com")
        app._client.cache_clear()
        yield fake
        app._client.cache_clear()


def test_it_counts_the_holdings(upstream: Upstream) -> None:
    assert app.handler({}, None) == {"count": 2}
    [request] = upstream.asked
    assert (request.method, request.url) == ("GET", "https://integration.example.com/api/v1/integration/holdings")
    assert request.headers["Authorization"] == "Bearer SENTINEL-access"
    assert upstream.max_answer_bytes == MAX_ANSWER_BYTES


def test_a_run_is_in_the_log_with_its_count_alone(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    app.handler({}, None)
    (record,) = [each for each in caplog.records if each.name == app.__name__]
    assert (record.message, vars(record)["count"]) == ("holdings.counted", 2)
    assert "SENTINEL" not in str(vars(record))


def test_it_reads_the_secret_once_for_calls_that_follow_each_other(upstream: Upstream) -> None:
    app.handler({}, None)
    boto3.client("secretsmanager").put_secret_value(SecretId="tokens", SecretString="{}")
    assert app.handler({}, None) == {"count": 2}
    assert len(upstream.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        UpstreamAnswer(403, {}, b'{"error": {"code": "SENTINEL"}}'),
        UpstreamAnswer(302, {"location": "https://SENTINEL.example"}),
        UpstreamAnswer(200, {}, b'{"error": {"code": "SENTINEL"}}'),
        UpstreamAnswer(200, {}, b'{"holdings": "SENTINEL"}'),
        UpstreamAnswer(200, {}, b'["SENTINEL"]'),
    ],
)
def test_another_answer_is_not_counted_and_not_quoted(upstream: Upstream, answer: UpstreamAnswer) -> None:
    upstream.answer = answer
    with pytest.raises(app.HoldingsUnavailable) as caught:
        app.handler({}, None)
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>SENTINEL", b"\xff"])
def test_an_answer_that_is_no_json_is_a_known_fault(upstream: Upstream, body: bytes) -> None:
    upstream.answer = UpstreamAnswer(200, {}, body)
    with pytest.raises(UpstreamFault, match=r"^upstream: not_json$"):
        app.handler({}, None)


def test_without_tokens_it_says_what_to_do(upstream: Upstream) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="tokens", SecretString="{}")
    with pytest.raises(NoTokens, match="authenticate"):
        app.handler({}, None)
    assert upstream.asked == []


def test_without_the_secret_it_says_so(upstream: Upstream) -> None:
    boto3.client("secretsmanager").delete_secret(SecretId="tokens", ForceDeleteWithoutRecovery=True)
    with pytest.raises(SecretUnavailable, match="ResourceNotFoundException"):
        app.handler({}, None)
    assert upstream.asked == []


def test_everything_that_the_environment_lacks_is_said_at_once(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOKENS_SECRET_ARN")
    monkeypatch.setenv("INTEGRATION_BASE_URL", "")
    with pytest.raises(SettingsInvalid) as caught:
        app.handler({}, None)
    assert caught.value.faults == ["TOKENS_SECRET_ARN is missing", "INTEGRATION_BASE_URL is missing"]


def test_no_answer_is_the_transports_fault(upstream: Upstream) -> None:
    upstream.answer = UpstreamFault("too_large")
    with pytest.raises(UpstreamFault, match=r"^upstream: too_large$"):
        app.handler({}, None)
