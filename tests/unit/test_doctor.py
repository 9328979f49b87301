"""`make doctor`: each check on a healthy deployment and on one that is broken in one place, and what is said of it."""

import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from cfnlint.decode.cfn_yaml import load

from gatehouse import authenticator, refresher
from gatehouse.exchange_journal import INTEGRATION_TOKENS as EXCHANGE
from gatehouse.problems import BodyTooLarge, GatewayNotConfigured, SecretUnavailable
from gatehouse.rejected_credentials import Attempt
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from local.run_outcome import FAILED
from ops import doctor, look
from ops.checks.network import SECONDS as HTTP_SECONDS
from ops.deployment import NoDeployment
from ops.findings import Finding, State, ok, problem, summary, unknown, warning, worst
from ops.look import Look, run_checks
from ops.outcomes import MEANINGS
from tests.conftest import ROOT
from tests.support.ops_account import (
    API,
    DAY_SECONDS,
    EXTENSION,
    GATEWAY,
    INTEGRATION,
    ISSUER,
    MARK,
    NOW,
    OUTPUTS,
    PARAMETERS,
    FakeAccount,
    http_date,
    json_answer,
    log_event,
    problem_answer,
    refused,
    resource,
)
from tests.support.ops_fakes import Outcome, runner

PLACEHOLDER = "REPLACE_ME"
DISCOVERY = f"GET {ISSUER}/.well-known/openid-configuration"
GUEST = f"POST {API}/v1/tokens/guest"
UPSTREAM = f"GET {INTEGRATION}/api/v1/integration"
REJECTED = Attempt("credentials-version-" + "1" * 32, INTEGRATION, "body").key

Said = dict[str, tuple[str, str]]


class World(NamedTuple):
    """An account, and the program over it."""

    account: FakeAccount
    doctor: Callable[..., Outcome]

    def look(self, stage: str = "prod") -> tuple[int, dict[str, Finding]]:
        """Return the exit code, and what is not well."""
        outcome = self.doctor(OPS_STAGE=stage, JSON="1")
        assert MARK not in outcome.out + outcome.err
        checks = json.loads(outcome.out)["checks"]
        assert [each["check"] for each in checks] == list(doctor.CHECKS)
        findings = {each.pop("check"): Finding(State(each["state"]), each["found"], each["todo"]) for each in checks}
        return outcome.exit_code, {name: each for name, each in findings.items() if each.state is not State.OK}


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> World:
    account = FakeAccount()
    return World(account, runner(doctor.main, account, capsys, account.web, account.clock))


# --- a healthy one ---


def test_a_healthy_deployment_is_well_all_over(world: World) -> None:
    assert world.look() == (0, {})


def test_the_table_has_a_line_for_each_check(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    outcome = world.doctor(OPS_STAGE="prod")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert outcome.lines[0] == "gatehouse-prod (stage prod, AWS, eu-west-1)"
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in outcome.lines if line.startswith("│")]
    assert [row[0] for row in rows] == list(doctor.CHECKS)
    assert {row[1] for row in rows} == {"ok"}
    assert outcome.lines[-1] == f"{len(doctor.CHECKS)} ok."
    assert MARK not in outcome.out


def test_without_a_terminal_the_table_is_wide_enough_to_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert max(map(len, world.doctor(OPS_STAGE="prod").lines)) > 100


def test_json_is_one_object_and_the_title_is_beside_it(world: World) -> None:
    world.account.change_secret("gateway", secret=PLACEHOLDER)
    outcome = world.doctor(OPS_STAGE="prod", JSON="1")
    document = json.loads(outcome.out)
    assert (document["stage"], document["stack"], document["state"]) == ("prod", "gatehouse-prod", "problem")
    assert outcome.err == "gatehouse-prod (stage prod, AWS, eu-west-1)\n"


def test_no_credentials_are_sent_anywhere(world: World) -> None:
    world.look()
    assert {request.method + " " + request.url for request in world.account.web.sent} == set(world.account.web.answers)
    assert [request for request in world.account.web.sent if request.headers or request.body] == []


def test_the_account_in_memory_answers_as_aws_does() -> None:
    """Each answer is held against botocore's model of the operation."""
    account = FakeAccount()
    account.items["key"] = {"candidate_id": {"S": "x"}}
    account.ages = [60.0]
    arguments: dict[str, dict[str, Any]] = {
        "get_secret_value": {"SecretId": "gateway"},
        "get_item": {"Key": {"pk": {"S": "key"}}},
        "query": {"ExpressionAttributeValues": {":source": {"S": "smallcase"}}},
        "filter_log_events": {"logGroupName": "/aws/lambda/RefreshTokens"},
        "get_function_configuration": {"FunctionName": "RefreshTokens"},
        "get_queue_attributes": {"QueueUrl": OUTPUTS["WebhookQueueUrl"]},
        "get_metric_statistics": {},
    }
    for service, answers in account.answers.items():
        client = boto3.client(service)  # type: ignore[call-overload]
        for operation, answer in answers.items():
            shaped = answer(**arguments[operation]) if callable(answer) else answer
            Stubber(client).add_response(operation, shaped)


def test_the_account_in_memory_has_the_templates_names() -> None:
    template = load(str(ROOT / "template.yaml"))
    assert set(PARAMETERS) <= set(template["Parameters"])
    assert set(OUTPUTS) <= set(template["Outputs"])
    assert {name for name in template["Outputs"] if name.endswith("QueueUrl")} - set(OUTPUTS) == {
        "ConnectionDeadLetterQueueUrl"
    }
    variables = {
        name.removesuffix("Function"): each["Properties"]["Environment"]["Variables"]
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::Serverless::Function"
    }
    configurations = FakeAccount().configurations
    assert set(configurations) == set(variables)
    assert {name for name, each in variables.items() if "SECRETS_EXTENSION" in each} == {
        name for name, each in configurations.items() if len(each["Layers"]) == 2
    }


# --- and each that is broken in one place ---


def parameter(name: str, value: str) -> Callable[[FakeAccount], object]:
    return lambda account: account.parameters.update({name: value})


def secret(which: str, **members: object) -> Callable[[FakeAccount], object]:
    return lambda account: account.change_secret(which, **members)


def text(which: str, value: str) -> Callable[[FakeAccount], object]:
    return lambda account: account.secrets.update({which: value})


def tokens(**seconds: float) -> Callable[[FakeAccount], object]:
    return lambda account: account.change_tokens(**seconds)


def answer(service: str, operation: str, value: object) -> Callable[[FakeAccount], object]:
    return lambda account: account.answers[service].update({operation: value})


def web(url: str, value: UpstreamAnswer | UpstreamFault) -> Callable[[FakeAccount], object]:
    return lambda account: account.web.answers.update({url: value})


def logged(function: str, *events: dict[str, Any]) -> Callable[[FakeAccount], object]:
    return lambda account: account.logs.update({function: list(events)})


def both(*changes: Callable[[FakeAccount], object]) -> Callable[[FakeAccount], object]:
    return lambda account: [change(account) for change in changes]


def status(value: str) -> Callable[[FakeAccount], object]:
    return lambda account: account.answers["cloudformation"]["describe_stacks"]["Stacks"][0].update(StackStatus=value)


def queue(output: str, waiting: str, hidden: str = "0", *ages: float) -> Callable[[FakeAccount], object]:
    def change(account: FakeAccount) -> None:
        account.messages[account.outputs[output]] = (waiting, hidden)
        account.ages = list(ages)

    return change


def done(seconds_ago: float, outcome: str) -> dict[str, Any]:
    return log_event(seconds_ago, message="function.done", outcome=outcome)


def begun(candidate_id: str) -> dict[str, Any]:
    return {"tokens_version_id": {"S": "the-version-before"}, "candidate_id": {"S": candidate_id}}


def discovery(**members: object) -> UpstreamAnswer:
    return json_answer(200, {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **members})


NO_RULE = {"StackResourceSummaries": [resource("AWS::Scheduler::Schedule", "gatehouse-prod-refresh-tokens")]}
NO_SCHEDULE = {"StackResourceSummaries": [resource("AWS::Events::Rule", "gatehouse-prod|a-rule")]}
SCHEDULE = {"State": "ENABLED", "ScheduleExpression": "rate(5 minutes)", "FlexibleTimeWindow": {"Mode": "OFF"}}
LOCALHOST = "http://localhost:8080"


def named(change: Callable[[FakeAccount], object], said: Said, name: str) -> Any:
    return pytest.param(change, said, id=name)


BROKEN = [
    named(status("UPDATE_IN_PROGRESS"), {"stack": ("warning", "being changed")}, "stack changing"),
    named(status("UPDATE_ROLLBACK_COMPLETE"), {"stack": ("warning", "was taken back")}, "stack taken back"),
    named(status("ROLLBACK_COMPLETE"), {"stack": ("problem", "ROLLBACK_COMPLETE")}, "stack failed"),
    named(status("UPDATE_ROLLBACK_FAILED"), {"stack": ("problem", "UPDATE_ROLLBACK_FAILED")}, "stack stuck"),
    # Parameters.
    named(
        parameter("RefreshMarginSeconds", "899"),
        {"parameters: refresh rate": ("warning", "margin 14 min: at least 2 attempts")},
        "margin too small",
    ),
    named(
        both(
            parameter("RefreshRate", "rate(59 minutes)"),
            parameter("RefreshMarginSeconds", "3500"),
            answer("scheduler", "get_schedule", {**SCHEDULE, "ScheduleExpression": "rate(59 minutes)"}),
        ),
        {"parameters: refresh rate": ("warning", "margin 30 min: at least 0 attempts")},
        "rate too slow, and a margin that is more than half of a token's life",
    ),
    named(
        parameter("CorsOrigins", "https://app.company.com,https://dev.example.com"),
        {"parameters: addresses": ("problem", "CorsOrigins=https://app.company.com,https://dev.example.com")},
        "example origin",
    ),
    named(
        both(
            parameter("IntegrationBaseUrl", LOCALHOST),
            web(f"GET {LOCALHOST}/api/v1/integration", UpstreamFault("connect", sent=False)),
        ),
        {
            "parameters: addresses": ("problem", "a laptop's address: IntegrationBaseUrl"),
            "Integration API": ("problem", "cannot be reached from here: connect"),
        },
        "laptop",
    ),
    named(
        parameter("CorsOrigins", "https://app.company.com,http://localhost:3000"),
        {"parameters: addresses": ("warning", "pages of a laptop")},
        "laptop's page",
    ),
    named(
        parameter("AllowShortSecrets", "true"),
        {"parameters: short keys": ("warning", "no key needs it")},
        "short keys for nothing",
    ),
    named(
        parameter("VerifyTransactionDetails", "false"),
        {"parameters: transactions": ("warning", "not asked who completed")},
        "no verification",
    ),
    # GatewaySecret.
    named(
        secret("gateway", secret=PLACEHOLDER), {"GatewaySecret": ("problem", "secret is a placeholder")}, "placeholder"
    ),
    named(secret("gateway", gateway_name=None), {"GatewaySecret": ("problem", "gateway_name is missing")}, "missing"),
    named(secret("gateway", api_secret="short"), {"GatewaySecret": ("problem", "less than 32 bytes")}, "short"),
    named(
        lambda account: account.change_secret("gateway", api_secret=json.loads(account.secrets["gateway"])["secret"]),
        {"GatewaySecret": ("problem", "api_secret equals secret")},
        "equal keys",
    ),
    named(
        lambda account: account.change_secret("gateway", previous_secret=account_secret(account, "secret")),
        {"GatewaySecret": ("warning", "previous_secret equals secret")},
        "repeated key",
    ),
    named(text("gateway", f"{MARK} is no JSON"), {"GatewaySecret": ("problem", "the secret is no JSON")}, "no JSON"),
    named(
        both(
            secret("gateway", previous_secret=MARK + "p" * 32, previous_api_secret=MARK + "q" * 32),
            lambda account: account.changed_days_ago.update(gateway=7.1),
        ),
        {"GatewaySecret: rotation": ("warning", "for 7 day(s): previous_secret, previous_api_secret")},
        "old overlap",
    ),
    # IntegrationCredentials.
    named(
        secret("credentials", api_key="<your key>"),
        {"IntegrationCredentials": ("problem", "api_key is a placeholder")},
        "no credentials",
    ),
    named(
        secret("credentials", secret_key="k\u00e9y"),
        {"IntegrationCredentials": ("problem", "secret_key holds a character that cannot be sent in a header")},
        "credentials that cannot be sent",
    ),
    named(
        secret("credentials", secret_key=f"{MARK}-api-key"),
        {"IntegrationCredentials": ("warning", "api_key equals secret_key")},
        "equal credentials",
    ),
    named(
        lambda account: account.items.update({REJECTED: {}}),
        {"IntegrationCredentials: upstream": ("problem", "answered 401")},
        "rejected credentials",
    ),
    named(
        both(
            parameter("IntegrationCredentialsIn", "headers"),
            parameter("IntegrationBaseUrl", INTEGRATION + "/"),
            lambda account: account.items.update({REJECTED.replace("#body#", "#headers#"): {}}),
        ),
        {"IntegrationCredentials: upstream": ("problem", "answered 401")},
        "rejected credentials in headers",
    ),
    # WebhookCredentials.
    named(
        secret("webhooks", shop={"authentication": []}, late={"authentication": [{"type": 3}]}),
        {
            "WebhookCredentials": (
                "problem",
                "shop.authentication is no list of credentials, or an empty one; late.type",
            )
        },
        "unusable sources",
    ),
    named(text("webhooks", "[]"), {"WebhookCredentials": ("problem", "the secret is no JSON object")}, "no sources"),
    # Tokens.
    named(
        text("tokens", "{}"),
        {"access token": ("problem", "there are none"), "refresh token": ("unknown", "none")},
        "no tokens",
    ),
    named(
        secret("tokens", expires_at=MARK),
        {"access token": ("problem", "unreadable: expires_at"), "refresh token": ("unknown", "none")},
        "unreadable tokens",
    ),
    named(tokens(expires_at=-130), {"access token": ("problem", "expired 2 min ago")}, "expired token"),
    named(
        tokens(expires_at=800, access_token_obtained_at=-2800),
        {"access token": ("warning", "13 min left, and it should have been replaced")},
        "late refresh",
    ),
    named(
        tokens(expires_at=1790, access_token_obtained_at=-10),
        {"access token": ("warning", "30 min left, replaced 288 times a day")},
        "token that hardly outlives the margin",
    ),
    named(
        tokens(refresh_token_obtained_at=-6 * DAY_SECONDS),
        {"refresh token": ("warning", "6.0 of its 7 days old")},
        "old refresh token",
    ),
    named(
        tokens(refresh_token_obtained_at=-7 * DAY_SECONDS),
        {"refresh token": ("problem", "7.0 of its 7 days old")},
        "dead refresh token",
    ),
    named(
        lambda account: account.items.update({EXCHANGE: begun("another")}),
        {"token exchange": ("warning", "nobody knows how it ended")},
        "unsettled exchange",
    ),
    # Runs.
    named(
        logged("RefreshTokens"),
        {"token functions: last runs": ("problem", "refresh_tokens has not run in the last hours")},
        "no runs",
    ),
    named(
        logged("RefreshTokens", done(661, "unchanged")),
        {"token functions: last runs": ("problem", "refresh_tokens has not run for 11 min")},
        "late run",
    ),
    named(
        logged("RefreshTokens", done(60, "upstream_unavailable")),
        {"token functions: last runs": ("warning", "refresh_tokens: upstream_unavailable 60 s ago (the Integration")},
        "upstream was down",
    ),
    named(
        logged("Authenticate", done(10, "credentials_rejected")),
        {"token functions: last runs": ("problem", "authenticate: credentials_rejected 10 s ago")},
        "credentials were rejected",
    ),
    named(
        logged(
            "RefreshTokens", done(100, "unchanged"), log_event(50, message="function.failed", error_type="KeyError")
        ),
        {"token functions: last runs": ("problem", "refresh_tokens: failed 50 s ago")},
        "failed run",
    ),
    named(
        logged("RefreshTokens", done(50, f"{MARK}-of-the-future")),
        {"token functions: last runs": ("warning", "an unknown outcome 50 s ago")},
        "unknown outcome",
    ),
    # What makes the functions run.
    named(
        answer("scheduler", "get_schedule", {**SCHEDULE, "State": "DISABLED"}),
        {"schedule": ("problem", "DISABLED")},
        "schedule disabled",
    ),
    named(
        answer("scheduler", "get_schedule", {**SCHEDULE, "ScheduleExpression": "rate(1 hour)"}),
        {"schedule": ("warning", "rate(1 hour), flexible window OFF, and not rate(5 minutes), OFF")},
        "schedule changed",
    ),
    named(
        answer("scheduler", "get_schedule", {**SCHEDULE, "FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}),
        {"schedule": ("warning", "flexible window FLEXIBLE")},
        "schedule flexible",
    ),
    named(
        answer("cloudformation", "list_stack_resources", NO_SCHEDULE),
        {"schedule": ("problem", "the stack has none")},
        "no schedule",
    ),
    named(
        answer("events", "describe_rule", {"State": "DISABLED"}),
        {"rules": ("problem", "disabled: gatehouse-prod-Authenticate-X")},
        "rule disabled",
    ),
    named(
        answer("cloudformation", "list_stack_resources", NO_RULE),
        {"rules": ("problem", "the stack has none")},
        "no rule",
    ),
    named(
        lambda account: account.configurations["ConnectUser"].update(State="Failed"),
        {"functions": ("problem", "failed: ConnectUser")},
        "function failed",
    ),
    named(
        lambda account: account.configurations["ConnectUser"].update(LastUpdateStatus="Failed"),
        {"functions": ("problem", "failed: ConnectUser")},
        "update failed",
    ),
    named(
        lambda account: account.configurations["ConnectUser"].update(State="Pending"),
        {"functions": ("warning", "not active: ConnectUser")},
        "function pending",
    ),
    named(
        lambda account: account.configurations["ConnectUser"].update(LastUpdateStatus="InProgress"),
        {"functions": ("warning", "not active: ConnectUser")},
        "function changing",
    ),
    named(
        lambda account: account.configurations["ConnectUser"]["Layers"].pop(),
        {"secrets extension": ("problem", "not attached: ConnectUser")},
        "no extension",
    ),
    named(
        parameter("SecretsExtension", EXTENSION + "1"),
        {"secrets extension": ("problem", "not attached: ConnectUser, IssueGuestToken")},
        "another extension",
    ),
    named(
        answer("lambda", "list_event_source_mappings", {"EventSourceMappings": [{"State": "Disabled"}]}),
        {"webhook queue: event source": ("problem", "Disabled")},
        "event source disabled",
    ),
    named(
        answer("lambda", "list_event_source_mappings", {"EventSourceMappings": [{"State": "Enabling"}]}),
        {"webhook queue: event source": ("warning", "Enabling")},
        "event source on its way",
    ),
    named(
        answer("lambda", "list_event_source_mappings", {"EventSourceMappings": []}),
        {"webhook queue: event source": ("problem", "there is none")},
        "no event source",
    ),
    # Queues.
    named(
        queue("WebhookQueueUrl", "9", "1", 901.0, 30.0),
        {"webhook queue": ("warning", "about 9 waiting, 1 being looked at, the oldest 0.3 h old")},
        "deliveries waiting",
    ),
    named(
        queue("WebhookDeadLetterQueueUrl", "2", "0", 7200.0),
        {"webhook failures": ("problem", "about 2 waiting, the oldest 2.0 h old")},
        "failed deliveries",
    ),
    named(
        queue("WebhookDeadLetterQueueUrl", "0", "1"),
        {"webhook failures": ("problem", "about 0 waiting, 1 being looked at")},
        "failed deliveries that somebody looks at",
    ),
    named(queue("TokenDeadLetterQueueUrl", "1"), {"token failures": ("problem", "about 1 waiting")}, "failed runs"),
    named(
        both(
            lambda account: account.outputs.update(ConnectionDeadLetterQueueUrl="https://sqs/connection-failures"),
            queue("WebhookQueueUrl", "0"),
            lambda account: account.messages.update({"https://sqs/connection-failures": ("1", "0")}),
        ),
        {"connection failures": ("problem", "about 1 waiting")},
        "failed postbacks",
    ),
    # What can be reached.
    named(
        web(GUEST, problem_answer(GatewayNotConfigured)),
        {"API": ("problem", "a guest is answered 503 GATEWAY_NOT_CONFIGURED")},
        "API not configured",
    ),
    named(
        web(GUEST, problem_answer(SecretUnavailable)),
        {"API": ("problem", "a guest is answered 503 SECRET_UNAVAILABLE")},
        "API without secret",
    ),
    named(
        web(GUEST, json_answer(500, {"code": MARK, "message": MARK})),
        {"API": ("problem", "a guest is answered 500")},
        "API out of order",
    ),
    named(
        web(GUEST, UpstreamAnswer(403, {}, f"<h1>{MARK}</h1>".encode())),
        {"API": ("problem", "a guest is answered 403")},
        "somebody in between",
    ),
    named(web(GUEST, json_answer(429, {"message": MARK})), {"API": ("warning", "429")}, "API busy"),
    named(
        web(GUEST, UpstreamFault("timeout")), {"API": ("problem", "cannot be reached from here: timeout")}, "API gone"
    ),
    named(
        web(DISCOVERY, json_answer(404, {})),
        {"OIDC issuer": ("problem", "its discovery document is answered 404")},
        "no discovery",
    ),
    named(
        web(DISCOVERY, UpstreamAnswer(200, {"content-type": "text/html"}, b"<h1>")),
        {"OIDC issuer": ("problem", "no discovery document: content_type")},
        "discovery is a page",
    ),
    named(
        web(DISCOVERY, discovery(issuer=ISSUER + "/")),
        {"OIDC issuer": ("problem", "names another issuer")},
        "another issuer, by a slash",
    ),
    named(web(DISCOVERY, discovery(jwks_uri=None)), {"OIDC issuer": ("problem", "has no jwks_uri")}, "no keys"),
    named(
        web(DISCOVERY, UpstreamFault("tls", sent=False)),
        {"OIDC issuer": ("problem", "no discovery document: tls")},
        "issuer gone",
    ),
    named(
        web(UPSTREAM, UpstreamFault("connect_timeout", sent=False)),
        {"Integration API": ("problem", "cannot be reached from here: connect_timeout")},
        "Integration API gone",
    ),
    named(
        web(UPSTREAM, json_answer(503, {})), {"Integration API": ("warning", "answers (503)")}, "Integration API sick"
    ),
    named(
        web(f"GET {GATEWAY}", UpstreamFault("closed")),
        {"smallcase Gateway": ("problem", "cannot be reached from here: closed")},
        "smallcase gone",
    ),
    # The rest.
    named(
        answer(
            "cloudwatch",
            "describe_alarms",
            {"MetricAlarms": [{"AlarmName": "gatehouse-prod-a"}, {"AlarmName": "gatehouse-prod-b"}]},
        ),
        {"alarms": ("warning", "2 in ALARM: gatehouse-prod-a, gatehouse-prod-b")},
        "alarms",
    ),
    named(
        answer("sts", "get_caller_identity", {"ResponseMetadata": {"HTTPHeaders": {"date": http_date(NOW + 61)}}}),
        {"clock": ("warning", "this machine is 61 s behind AWS")},
        "clock behind",
    ),
    named(
        answer("sts", "get_caller_identity", {"ResponseMetadata": {"HTTPHeaders": {"date": http_date(NOW - 200)}}}),
        {"clock": ("warning", "this machine is 200 s ahead of AWS")},
        "clock ahead",
    ),
    named(
        answer("sts", "get_caller_identity", {"ResponseMetadata": {"HTTPHeaders": {}}}),
        {"clock": ("unknown", "no date")},
        "no clock",
    ),
]


def account_secret(account: FakeAccount, name: str) -> str:
    return str(json.loads(account.secrets["gateway"])[name])


@pytest.mark.parametrize(("change", "expected"), BROKEN)
def test_what_is_broken_is_said_and_nothing_else(
    world: World, change: Callable[[FakeAccount], object], expected: Said
) -> None:
    change(world.account)
    exit_code, findings = world.look()
    assert {name: str(finding.state) for name, finding in findings.items()} == {
        name: state for name, (state, _) in expected.items()
    }
    for name, (state, found) in expected.items():
        assert found in findings[name].found
        assert bool(findings[name].todo) == (state != "unknown"), "what to do"
    assert exit_code == ("problem" in {state for state, _ in expected.values()})


def test_every_check_is_seen_to_fail() -> None:
    assert set(doctor.CHECKS) == {name for case in BROKEN for name in case.values[1]}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            both(
                parameter("AllowShortSecrets", "true"),
                secret("gateway", secret="a-short-one", api_secret="another"),
            ),
            id="short keys where they are needed",
        ),
        pytest.param(parameter("AllowedIntents", "CONNECT, TRANSACTION"), id="intents"),
        pytest.param(parameter("ConnectByWebhook", "true"), id="by webhook"),
        pytest.param(parameter("SecretsExtension", "off"), id="extension off"),
        pytest.param(parameter("SecretsExtension", EXTENSION), id="an extension of one's own"),
        pytest.param(status("CREATE_COMPLETE"), id="new stack"),
        pytest.param(secret("gateway", previous_secret=MARK + "p" * 32), id="fresh overlap"),
        pytest.param(secret("gateway", previous_secret=""), id="emptied overlap"),
        pytest.param(text("webhooks", "{}"), id="no sources"),
        pytest.param(tokens(expires_at=1490, access_token_obtained_at=-2110), id="due token, not yet late"),
        pytest.param(queue("WebhookQueueUrl", "9", "1", 900.0), id="deliveries on their way"),
        pytest.param(queue("WebhookQueueUrl", "9"), id="deliveries whose age nobody knows"),
        pytest.param(web(UPSTREAM, json_answer(401, {})), id="refusing upstream"),
        pytest.param(web(UPSTREAM, UpstreamFault("too_large")), id="talkative upstream"),
        pytest.param(web(UPSTREAM, UpstreamFault("content_encoding")), id="compressing upstream"),
        pytest.param(
            lambda account: account.items.update({EXCHANGE: begun("tokens-version-" + "1" * 32)}),
            id="settled exchange",
        ),
        pytest.param(lambda account: account.items.update({REJECTED + "/other": {}}), id="rejected elsewhere"),
        pytest.param(
            both(
                logged("RefreshTokens", done(300, "reauthentication_requested")),
                logged("Authenticate", done(299, "authenticated")),
            ),
            id="asked and answered",
        ),
        pytest.param(logged("Authenticate"), id="authenticated long ago"),
        pytest.param(
            logged("RefreshTokens", done(20, "failed-once"), done(20, "unchanged")),
            id="the later of two at once",
        ),
        pytest.param(
            answer("sts", "get_caller_identity", {"ResponseMetadata": {"HTTPHeaders": {"date": http_date(NOW - 60)}}}),
            id="nearly right clock",
        ),
    ],
)
def test_what_is_as_it_may_be_is_well(world: World, change: Callable[[FakeAccount], object]) -> None:
    change(world.account)
    assert world.look() == (0, {})


def test_what_one_should_know_is_said_of_what_is_well(world: World) -> None:
    world.account.parameters.update(AllowedIntents="CONNECT,TRANSACTION", ConnectByWebhook="true")
    (found,) = [
        each["found"]
        for each in json.loads(world.doctor(OPS_STAGE="prod", JSON="1").out)["checks"]
        if each["check"] == "parameters: transactions"
    ]
    assert "CONNECT, TRANSACTION, ordered under the company's name" in found
    assert "postbacks make connections too" in found


def test_the_schedule_is_asked_for_in_its_group(world: World) -> None:
    asked: list[dict[str, str]] = []

    def get_schedule(**arguments: str) -> dict[str, Any]:
        asked.append(arguments)
        return SCHEDULE

    answer("scheduler", "get_schedule", get_schedule)(world.account)
    world.look()
    answer("cloudformation", "list_stack_resources", NO_RULE)(world.account)
    world.look()
    name = "gatehouse-prod-refresh-tokens"
    assert asked == [{"Name": name, "GroupName": "gatehouse-prod"}, {"Name": name, "GroupName": "default"}]


# --- on a laptop ---


def test_on_a_laptop_addresses_are_its_own(world: World) -> None:
    world.account.parameters["CorsOrigins"] = "http://127.0.0.1:8705,https://app.example.com"
    assert world.look("local") == (0, {})


def test_what_the_emulator_cannot_answer_is_unknown_and_no_problem(world: World) -> None:
    world.account.answers["cloudwatch"]["describe_alarms"] = refused("DescribeAlarms", "InvalidAction")
    exit_code, findings = world.look("local")
    assert (exit_code, list(findings)) == (0, ["alarms"])
    assert findings["alarms"] == unknown("the emulator does not answer it (DescribeAlarms, InvalidAction)")
    assert world.look("prod")[0] == 1, "AWS would"


def test_what_to_do_names_the_stage(world: World) -> None:
    world.account.change_secret("gateway", secret=PLACEHOLDER)
    assert world.look("prod")[1]["GatewaySecret"].todo == "Fill it in (make configure STAGE=prod)."
    assert world.look("local")[1]["GatewaySecret"].todo == "Fill it in (make configure)."


# --- what could not be looked at ---


@pytest.mark.parametrize("stage", ["prod", "local"])
def test_what_may_not_be_looked_at_is_a_problem_with_the_operations_name(world: World, stage: str) -> None:
    world.account.answers["events"]["describe_rule"] = refused("DescribeRule")
    exit_code, findings = world.look(stage)
    assert (exit_code, list(findings)) == (1, ["rules"])
    assert findings["rules"].found == "could not be looked at: DescribeRule, AccessDeniedException"
    assert "credentials" in findings["rules"].todo


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused("DescribeRule", "ResourceNotFoundException"), "DescribeRule, ResourceNotFoundException"),
        (EndpointConnectionError(endpoint_url=MARK), "EndpointConnectionError"),
    ],
)
def test_another_failure_is_one_check_alone(world: World, error: Exception, said: str) -> None:
    world.account.answers["events"]["describe_rule"] = error
    exit_code, findings = world.look()
    assert (exit_code, findings["rules"].found) == (1, f"could not be looked at: {said}")
    assert "credentials" not in findings["rules"].todo
    assert len(findings) == 1


def test_an_output_that_is_not_there_is_said(world: World) -> None:
    del world.account.outputs["EventBusName"]
    assert "has no output EventBusName" in world.look()[1]["rules"].found


def test_a_bug_in_a_check_is_said_with_its_place_and_without_its_text(world: World) -> None:
    world.account.answers["events"]["describe_rule"] = KeyError(MARK)
    (finding,) = world.look()[1].values()
    assert finding.state is State.PROBLEM
    assert finding.found.startswith("the check itself failed: KeyError at ops_account.py:")


def test_a_check_that_hangs_does_not_hold_up_the_others(world: World) -> None:
    never = threading.Event()

    def hang(_: Look) -> Finding:
        never.wait(60)
        raise AssertionError

    with Look(world.account("prod"), world.account.web, world.account.clock) as one_look:
        findings = run_checks({"slow": hang, "quick": lambda _: ok("done")}, one_look, 3)
    never.set()
    assert list(findings) == ["slow", "quick"]
    assert findings["quick"] == ok("done")
    assert findings["slow"].found == "no answer within 3 seconds"


def test_everything_ends_within_half_a_minute() -> None:
    assert doctor.SECONDS <= 28
    assert HTTP_SECONDS < doctor.SECONDS


def test_a_client_is_made_once_for_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = world.account("prod")
    made: list[str] = []

    def client(_: object, service: str) -> Any:
        made.append(service)
        return world.account.deployments.clients[service]

    monkeypatch.setattr(type(deployment), "client", client)
    with Look(deployment, world.account.web, world.account.clock) as one_look:
        run_checks(doctor.CHECKS, one_look, 10)
    assert sorted(made) == sorted(set(made))


# --- how it ends ---


def test_without_a_deployment_it_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    def nothing_there(_: str) -> Any:
        raise NoDeployment("Start one with `make run`.")

    assert doctor.main({}, nothing_there) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Start one with `make run`.\n")


def test_a_wrong_command_ends_with_2(world: World) -> None:
    outcome = world.doctor(JSON="maybe")
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert "Usage: make doctor" in outcome.err
    assert world.account.deployments.opened == []


def test_the_worst_state_counts_and_the_unknown_is_none() -> None:
    assert worst({}) is State.OK
    assert worst({"a": ok(""), "b": unknown("")}) is State.OK
    assert worst({"a": warning("", ""), "b": unknown(""), "c": ok("")}) is State.WARNING
    assert worst({"a": warning("", ""), "b": problem("", ""), "c": ok("")}) is State.PROBLEM


def test_the_summary_counts_each_state_the_worst_first() -> None:
    findings = {"a": ok(""), "b": problem("", ""), "c": problem("", ""), "d": warning("", ""), "e": unknown("")}
    assert summary(findings) == "2 problems, 1 warning, 1 unknown, 1 ok."


def test_every_outcome_has_a_meaning() -> None:
    assert set(MEANINGS) == {*get_args(refresher.Outcome), *get_args(authenticator.Outcome), FAILED}
    assert [name for name, meaning in MEANINGS.items() if bool(meaning.todo) == (meaning.state is State.OK)] == []


def test_the_codes_of_the_emulator_are_no_refusals() -> None:
    assert [code for code in look.NOT_EMULATED if look.REFUSED.search(code)] == []


def test_a_problem_of_another_route_is_known_by_its_code(world: World) -> None:
    world.account.web.answers[GUEST] = problem_answer(BodyTooLarge)
    assert world.look()[1]["API"].found == "a guest is answered 413 BODY_TOO_LARGE"
