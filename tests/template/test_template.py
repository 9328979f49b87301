"""What must hold for every resource, whatever is added later."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gatehouse import exchange_journal, lease
from gatehouse.lease import LEASE_SECONDS
from tests.conftest import ROOT

Resources = dict[str, Any]

# Actions that know no resources, each with the reason it is needed.
WITHOUT_RESOURCES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}

# What may call a function without anybody waiting for the answer.
ASYNCHRONOUS = {"AWS::Scheduler::Schedule", "AWS::Events::Rule"}


def of_type(resources: Resources, type_name: str) -> dict[str, Any]:
    return {name: each for name, each in resources.items() if each["Type"] == type_name}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                # One that is there under a condition is judged as if it were always there.
                yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_every_function_has_a_role_of_its_own(resources: Resources) -> None:
    roles = [json.dumps(each["Properties"]["Role"]) for each in of_type(resources, "AWS::Lambda::Function").values()]
    assert roles
    assert len(set(roles)) == len(roles)


def test_no_role_takes_a_managed_policy(resources: Resources) -> None:
    assert not [
        name for name, role in of_type(resources, "AWS::IAM::Role").items() if "ManagedPolicyArns" in role["Properties"]
    ]


def test_every_statement_says_what_it_is_for_and_names_its_actions(resources: Resources) -> None:
    found = list(statements(resources))
    assert found
    for role, statement in found:
        assert re.fullmatch(r"[A-Z][A-Za-z]+", statement["Sid"]), role
        assert statement["Effect"] == "Allow"
        assert "NotAction" not in statement
        assert "NotResource" not in statement
        for action in as_list(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9-]+:[A-Z][A-Za-z]+", action), (role, action)


def test_only_actions_that_know_no_resources_have_a_wildcard_for_one(resources: Resources) -> None:
    for role, statement in statements(resources):
        if any("*" in json.dumps(resource) for resource in as_list(statement["Resource"])):
            assert set(as_list(statement["Action"])) <= WITHOUT_RESOURCES, (role, statement["Sid"])


def test_the_sids_of_a_role_are_unique(resources: Resources) -> None:
    found = [(role, statement["Sid"]) for role, statement in statements(resources)]
    assert len(set(found)) == len(found)


def test_only_lambda_assumes_a_functions_role(resources: Resources) -> None:
    for function in of_type(resources, "AWS::Lambda::Function").values():
        role = resources[function["Properties"]["Role"]["Fn::GetAtt"][0]]
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_a_function_that_issues_guest_tokens_reads_one_secret_and_nothing_else(resources: Resources) -> None:
    may = allowed(resources, "IssueGuestTokenRole")
    assert may.pop(READS) == [{"Ref": "GatewaySecret"}]
    assert {action.partition(":")[0] for action in may} == {"logs", "xray"}


def allowed(resources: Resources, role: str) -> dict[str, list[Any]]:
    """What a role may do: action to resources. What a key of the company's asks for is tested in test_encryption."""
    found: dict[str, list[Any]] = {}
    for name, statement in statements(resources):
        if name == role:
            for action in as_list(statement["Action"]):
                if not action.startswith("kms:"):
                    found.setdefault(action, []).extend(as_list(statement["Resource"]))
    return found


READS = "secretsmanager:GetSecretValue"


def test_authenticate_alone_reads_the_api_key(resources: Resources) -> None:
    readers = {
        role
        for role in of_type(resources, "AWS::IAM::Role")
        if {"Ref": "IntegrationCredentials"} in allowed(resources, role).get(READS, [])
    }
    assert readers == {"AuthenticateRole"}


def test_only_the_lifecycle_of_the_tokens_writes_a_secret_and_only_that_one(resources: Resources) -> None:
    for role in of_type(resources, "AWS::IAM::Role"):
        may = allowed(resources, role)
        writes = {action for action in may if action.startswith("secretsmanager:")} - {READS}
        if role in ("RefreshTokensRole", "AuthenticateRole"):
            assert writes == {"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"}
            assert all(may[action] == [{"Ref": "IntegrationTokens"}] for action in writes)
        else:
            assert not writes, role


def test_whoever_publishes_does_so_under_one_name(resources: Resources) -> None:
    names = {
        "RefreshTokensRole": "gatehouse.tokens",
        "AuthenticateRole": "gatehouse.tokens",
        "ProcessWebhookRole": "gatehouse.webhooks",
        "ConnectUserRole": "gatehouse.connections",
    }
    for role, statement in statements(resources):
        if "events:PutEvents" in as_list(statement["Action"]):
            assert statement["Condition"] == {"StringEquals": {"events:source": names[role]}}


def rules_of(resources: Resources, function: str) -> list[dict[str, Any]]:
    """The properties of the rules on the bus that invoke a function."""
    rules = [each["Properties"] for each in of_type(resources, "AWS::Events::Rule").values()]
    arn = {"Fn::GetAtt": [function, "Arn"]}
    found = [rule for rule in rules if any(target["Arn"] == arn for target in rule["Targets"])]
    assert found
    return found


def test_what_a_webhook_brings_cannot_ask_for_an_authentication(resources: Resources) -> None:
    assert "events:PutEvents" not in allowed(resources, "ReceiveWebhookRole")
    for rule in rules_of(resources, "AuthenticateFunction"):
        assert rule["EventPattern"]["source"] == ["gatehouse.tokens"]


def test_the_edge_of_the_webhooks_sends_to_one_queue_and_reads_two_secrets(resources: Resources) -> None:
    may = allowed(resources, "ReceiveWebhookRole")
    assert may.pop("sqs:SendMessage") == [{"Fn::GetAtt": ["WebhookQueue", "Arn"]}]
    assert may.pop(READS) == [{"Ref": "GatewaySecret"}, {"Ref": "WebhookCredentials"}]
    assert {action.partition(":")[0] for action in may} == {"logs", "xray"}


def test_a_delivery_that_cannot_be_processed_comes_back_and_then_is_kept(resources: Resources) -> None:
    (source,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["Properties"]["ScalingConfig"]["MaximumConcurrency"] >= 2
    queue = resources["WebhookQueue"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["WebhookDeadLetterQueue", "Arn"]}


def test_a_delivery_is_hidden_for_six_times_the_functions_timeout(
    written: dict[str, Any], resources: Resources
) -> None:
    timeout = resources["ProcessWebhookFunction"]["Properties"]["Timeout"]
    assert written["Parameters"]["WebhookVisibilitySeconds"]["Default"] == 6 * timeout
    assert written["Parameters"]["WebhookVisibilitySeconds"]["MinValue"] == timeout


def test_the_index_of_the_event_log_holds_no_bodies(resources: Resources) -> None:
    (index,) = resources["WebhooksTable"]["Properties"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by_source"
    assert index["Projection"]["ProjectionType"] == "INCLUDE"
    assert "body" not in index["Projection"]["NonKeyAttributes"]


def test_the_state_table_is_shared_by_keys(resources: Resources) -> None:
    for role, statement in statements(resources):
        if {"Fn::GetAtt": ["StateTable", "Arn"]} in as_list(statement["Resource"]):
            assert list(statement["Condition"].values())[0].keys() == {"dynamodb:LeadingKeys"}, role  # noqa: RUF015


@pytest.mark.parametrize("role", ["RefreshTokensRole", "AuthenticateRole"])
def test_the_token_functions_reach_the_lease_and_the_trace_under_the_names_in_the_code(
    resources: Resources, role: str
) -> None:
    may: dict[str, set[str]] = {}
    for name, statement in statements(resources):
        if name == role and "ForAllValues:StringEquals" in statement.get("Condition", {}):
            (key,) = statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]
            may[key] = set(statement["Action"])
    assert may == {
        lease.INTEGRATION_TOKENS: {"dynamodb:PutItem", "dynamodb:DeleteItem"},
        exchange_journal.INTEGRATION_TOKENS: {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"},
    }


def test_a_tick_comes_at_the_operators_rate_and_never_late(resources: Resources) -> None:
    (schedule,) = of_type(resources, "AWS::Scheduler::Schedule").values()
    properties = schedule["Properties"]
    assert properties["ScheduleExpression"] == {"Ref": "RefreshRate"}
    assert properties["FlexibleTimeWindow"] == {"Mode": "OFF"}
    target = properties["Target"]
    assert target["Arn"] == {"Fn::GetAtt": ["RefreshTokensFunction", "Arn"]}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["TokenDeadLetterQueue", "Arn"]}
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] < 300


def test_only_a_request_for_reauthentication_from_gatehouse_invokes_authenticate(resources: Resources) -> None:
    (properties,) = rules_of(resources, "AuthenticateFunction")
    assert properties["EventBusName"] == {"Ref": "Bus"}
    assert properties["EventPattern"] == {
        "source": ["gatehouse.tokens"],
        "detail-type": ["tokens.reauthentication-required"],
    }
    (target,) = properties["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["AuthenticateFunction", "Arn"]}
    assert "DeadLetterConfig" in target


def test_the_lease_outlives_the_functions_that_hold_it(resources: Resources) -> None:
    for name in ("RefreshTokensFunction", "AuthenticateFunction"):
        assert resources[name]["Properties"]["Timeout"] < LEASE_SECONDS


def test_queues_are_encrypted_and_keep_messages_for_as_long_as_sqs_can(resources: Resources) -> None:
    for name, queue in of_type(resources, "AWS::SQS::Queue").items():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True, name
        assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600, name


def test_every_function_says_its_time_and_memory(written: dict[str, Any], resources: Resources) -> None:
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        assert "Timeout" in written["Resources"][name]["Properties"], name
        assert function["Properties"]["MemorySize"] >= 256, name
        assert 1 <= function["Properties"]["Timeout"] <= 30, name


def test_every_function_runs_the_one_runtime_with_json_logs(resources: Resources) -> None:
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        properties = function["Properties"]
        assert properties["Runtime"] == "python3.13", name
        assert properties["Architectures"] == ["arm64"], name
        assert properties["LoggingConfig"]["LogFormat"] == "JSON", name


def test_every_function_logs_to_a_group_of_its_own_that_forgets(resources: Resources) -> None:
    groups = [
        each["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        for each in of_type(resources, "AWS::Lambda::Function").values()
    ]
    assert len(set(groups)) == len(groups)
    for name, group in of_type(resources, "AWS::Logs::LogGroup").items():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_a_function_invoked_asynchronously_has_somewhere_for_its_failures(resources: Resources) -> None:
    targets = json.dumps([each["Properties"] for each in resources.values() if each["Type"] in ASYNCHRONOUS])
    assert targets != "[]"
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        if f'"{name}"' in targets:
            configured = json.dumps(
                [each["Properties"] for each in of_type(resources, "AWS::Lambda::EventInvokeConfig").values()]
            )
            assert "DeadLetterConfig" in function["Properties"] or f'"{name}"' in configured


def test_whoever_may_call_a_function_is_named(resources: Resources) -> None:
    permissions = of_type(resources, "AWS::Lambda::Permission")
    assert permissions
    for name, permission in permissions.items():
        assert "SourceArn" in permission["Properties"], name


def api(resources: Resources) -> dict[str, Any]:
    (only,) = of_type(resources, "AWS::ApiGatewayV2::Api").values()
    properties: dict[str, Any] = only["Properties"]
    return properties


def operations(resources: Resources) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in api(resources)["Body"]["paths"].items()
        for method, operation in methods.items()
    }


def test_a_wrong_issuer_fails_the_deployment(resources: Resources) -> None:
    assert api(resources)["FailOnWarnings"] is True


def test_cors_is_the_operators_list_and_nothing_else(resources: Resources) -> None:
    assert api(resources)["Body"]["x-amazon-apigateway-cors"] == {
        "allowOrigins": {"Ref": "CorsOrigins"},
        "allowMethods": ["POST", "DELETE"],
        "allowHeaders": ["authorization", "content-type"],
        "exposeHeaders": ["retry-after"],
        "maxAge": 600,
    }


def test_only_the_guest_route_and_the_webhooks_are_open(resources: Resources) -> None:
    found = operations(resources)
    assert {route for route, operation in found.items() if "security" not in operation} == {
        "POST /v1/tokens/guest",
        "POST /v1/webhooks/smallcase/{kind}",  # authenticated by their function
        "POST /v1/webhooks/integration/{source}",
    }
    assert found["POST /v1/tokens/user"]["security"] == [{"OidcAuthorizer": []}]


def test_the_authorizer_checks_the_operators_issuer_and_audiences(resources: Resources) -> None:
    authorizer = api(resources)["Body"]["components"]["securitySchemes"]["OidcAuthorizer"][
        "x-amazon-apigateway-authorizer"
    ]
    assert authorizer["jwtConfiguration"] == {"issuer": {"Ref": "OidcIssuer"}, "audience": {"Ref": "OidcAudience"}}
    assert authorizer["identitySource"] == "$request.header.Authorization"


def test_every_route_is_throttled(resources: Resources) -> None:
    (stage,) = of_type(resources, "AWS::ApiGatewayV2::Stage").values()
    settings = stage["Properties"]["RouteSettings"]
    assert set(settings) == set(operations(resources))
    for each in (*settings.values(), stage["Properties"]["DefaultRouteSettings"]):
        assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(each)


def test_the_access_log_is_json_without_anything_that_a_caller_wrote(resources: Resources) -> None:
    (stage,) = of_type(resources, "AWS::ApiGatewayV2::Stage").values()
    line = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "\n" not in line.strip()
    assert json.loads(line)["request_id"] == "$context.requestId"
    allowed = {
        "requestId", "requestTimeEpoch", "routeKey", "status", "responseLatency", "integrationLatency",
        "integrationStatus", "responseLength", "identity.sourceIp", "error.responseType",
    }  # fmt: skip
    assert set(re.findall(r"\$context\.([A-Za-z.]+)", line)) == allowed


@pytest.mark.parametrize("type_name", ["AWS::SecretsManager::Secret", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"])
def test_what_happens_to_data_when_the_stack_goes_is_written_down(resources: Resources, type_name: str) -> None:
    for name, resource in of_type(resources, type_name).items():
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"], name


def test_secrets_connections_and_deliveries_outlive_the_stack(resources: Resources) -> None:
    layers = of_type(resources, "AWS::Lambda::LayerVersion")
    kept = {name for name, each in resources.items() if each.get("DeletionPolicy") == "Retain"} - layers.keys()
    data = {"ConnectionsTable", "WebhooksTable", "WebhookQueue", "WebhookDeadLetterQueue"}
    assert kept == {*of_type(resources, "AWS::SecretsManager::Secret"), *data}


def test_tables_are_encrypted_recoverable_and_forget(resources: Resources) -> None:
    for name, table in of_type(resources, "AWS::DynamoDB::Table").items():
        properties = table["Properties"]
        assert properties["SSESpecification"]["SSEEnabled"] is True, name
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True, name
        assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}, name


def test_names_that_are_given_begin_with_the_stacks(resources: Resources) -> None:
    naming = re.compile(
        r"^(FunctionName|LayerName|LogGroupName|TableName|QueueName|RoleName|MetricNamespace|AlarmName|TopicName)$"
    )
    for name, resource in resources.items():
        for property_name, value in resource["Properties"].items():
            if naming.match(property_name) and "Ref" not in value:
                assert "${AWS::StackName}" in value["Fn::Sub"], (name, property_name)


def test_every_parameter_is_described_and_constrained(written: dict[str, Any]) -> None:
    constraints = {"AllowedPattern", "AllowedValues", "MinValue"}
    for name, parameter in written["Parameters"].items():
        assert parameter["Description"], name
        assert constraints & set(parameter), name
        if "AllowedPattern" in parameter:
            assert parameter["ConstraintDescription"], name


def test_what_depends_on_the_company_has_no_default(written: dict[str, Any]) -> None:
    without = {name for name, parameter in written["Parameters"].items() if "Default" not in parameter}
    assert without == {"OidcIssuer", "OidcAudience", "CorsOrigins", "IntegrationBaseUrl"}


def test_every_parameter_is_shown_in_a_group(written: dict[str, Any]) -> None:
    groups = written["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert {name for group in groups for name in group["Parameters"]} == set(written["Parameters"])


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "OidcIssuer",
            [
                "https://auth.example.com",
                "https://auth.example.com/tenant/",
                "http://localhost:9000",
                "http://127.0.0.1/x",
            ],
            [
                "",
                "http://auth.example.com",
                "auth.example.com",
                "https://a b",
                "https://a?b",
                "http://localhost.evil.com",
            ],
        ),
        ("OidcAudience", ["gatehouse", "a,b", "a, b", "api://default"], ["", " ", ",", "a,"]),
        (
            "CorsOrigins",
            ["https://app.example.com", "https://a.example.com,https://b.example.com:8443", "http://localhost:3000"],
            ["", "*", "https://*", "https://a.example.com/", "http://a.example.com", "https://a.example.com,*"],
        ),
        (
            "SecretsExtension",
            [
                "on",
                "off",
                "arn:aws:lambda:eu-west-1:015030872274:layer:AWS-Parameters-and-Secrets-Lambda-Extension-Arm64:101",
            ],
            ["", "yes", "arn:aws:lambda:eu-west-1:015030872274:layer:X"],
        ),
    ],
)
def test_a_parameter_takes_what_is_meant_and_nothing_else(
    written: dict[str, Any], name: str, good: list[str], bad: list[str]
) -> None:
    pattern = written["Parameters"][name]["AllowedPattern"]
    assert [value for value in good if not re.search(pattern, value)] == []
    assert [value for value in bad if re.search(pattern, value)] == []


def test_the_lifetime_is_at_most_a_day(written: dict[str, Any]) -> None:
    assert written["Parameters"]["TokenLifetimeSeconds"]["MaxValue"] == 86400
    assert written["Parameters"]["TokenLifetimeSeconds"]["Default"] == 900


def test_a_version_of_the_extension_is_an_account_and_a_number(written: dict[str, Any]) -> None:
    for region, layer in written["Mappings"]["SecretsExtensionLayer"].items():
        assert re.fullmatch(r"\d{12}", layer["Account"]), region
        assert re.fullmatch(r"\d+", layer["Version"]), region


def test_the_extension_and_the_function_together_notice_a_rotation_within_five_minutes(resources: Resources) -> None:
    from gatehouse.secrets import CACHE_SECONDS  # noqa: PLC0415 - for this comparison

    for function in of_type(resources, "AWS::Lambda::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]
        if "SECRETS_EXTENSION" in variables:
            assert int(variables["SECRETS_MANAGER_TTL"]) + CACHE_SECONDS < 300


@pytest.mark.parametrize("name", sorted(each.name for each in (ROOT / "functions").iterdir() if each.is_dir()))
def test_every_functions_folder_is_deployed(written: dict[str, Any], name: str) -> None:
    uris = [each["Properties"].get("CodeUri") for each in written["Resources"].values()]
    assert uris.count(f"functions/{name}") == 1


def test_outputs_name_every_function(written: dict[str, Any]) -> None:
    functions = [name for name, each in written["Resources"].items() if each["Type"] == "AWS::Serverless::Function"]
    for name in functions:
        assert written["Outputs"][f"{name}Name"]["Value"] == {"Ref": name}
