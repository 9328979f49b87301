"""With a key of the company's own, everything that holds data is under it, and each role may use it as it has to."""

import re
from typing import Any

import pytest

from tests.template.test_template import Resources, allowed, as_list, of_type, statements

NOTHING = {"Ref": "AWS::NoValue"}
THE_KEY = {"Fn::If": ["HasKmsKey", {"Ref": "KmsKeyArn"}, NOTHING]}


def statement(sid: str, actions: str | list[str], service: str) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": actions,
        "Resource": {"Ref": "KmsKeyArn"},
        "Condition": {"StringEquals": {"kms:ViaService": {"Fn::Sub": f"{service}.${{AWS::Region}}.amazonaws.com"}}},
    }


DECRYPT_SECRETS = statement("DecryptSecrets", "kms:Decrypt", "secretsmanager")
ENCRYPT_SECRETS = statement("EncryptSecrets", ["kms:Decrypt", "kms:GenerateDataKey"], "secretsmanager")
DECRYPT_TABLES = statement("DecryptTables", "kms:Decrypt", "dynamodb")


def needed(resources: Resources, role: str) -> list[dict[str, Any]]:
    """What a role needs of the key, going by what it may do."""
    may = allowed(resources, role)
    found = []
    if "secretsmanager:PutSecretValue" in may:
        found.append(ENCRYPT_SECRETS)
    elif "secretsmanager:GetSecretValue" in may:
        found.append(DECRYPT_SECRETS)
    if any(action.startswith("dynamodb:") for action in may):
        found.append(DECRYPT_TABLES)
    return found


def test_without_a_key_aws_manages_them(written: dict[str, Any]) -> None:
    assert written["Parameters"]["KmsKeyArn"]["Default"] == ""
    assert written["Conditions"]["HasKmsKey"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "KmsKeyArn"}, ""]}]}


def test_every_secret_is_under_the_key(resources: Resources) -> None:
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret").items():
        assert secret["Properties"]["KmsKeyId"] == THE_KEY, name


def test_every_table_is_under_the_key(resources: Resources) -> None:
    for name, table in of_type(resources, "AWS::DynamoDB::Table").items():
        encryption = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": THE_KEY}
        assert table["Properties"]["SSESpecification"] == encryption, name


def test_every_role_uses_the_key_as_it_has_to_and_no_further(resources: Resources) -> None:
    using = 0
    for role in of_type(resources, "AWS::IAM::Role"):
        of_the_key = [
            each
            for name, each in statements(resources)
            if name == role and any(action.startswith("kms:") for action in as_list(each["Action"]))
        ]
        assert of_the_key == needed(resources, role), role
        using += bool(of_the_key)
    assert using == len(of_type(resources, "AWS::Lambda::Function"))


def test_without_a_key_no_role_says_anything_about_one(resources: Resources) -> None:
    for role, properties in of_type(resources, "AWS::IAM::Role").items():
        for policy in properties["Properties"].get("Policies", []):
            for each in policy["PolicyDocument"]["Statement"]:
                if "Fn::If" not in each:
                    assert "kms:" not in str(each["Action"]), role
                elif "kms:" in str(each):
                    assert (each["Fn::If"][0], each["Fn::If"][2]) == ("HasKmsKey", NOTHING), role


@pytest.mark.parametrize(
    "unfit",
    [
        "alias/aws/secretsmanager",
        "arn:aws:kms:eu-west-1:123456789012:alias/mine",
        "6c3c2f2e-0000-4000-8000-000000000000",
        "arn:aws:kms:eu-west-1:123456789012:key/",
    ],
)
def test_a_key_is_named_by_its_arn_because_a_policy_does_so(written: dict[str, Any], unfit: str) -> None:
    pattern = written["Parameters"]["KmsKeyArn"]["AllowedPattern"]
    assert re.search(pattern, "arn:aws:kms:eu-west-1:123456789012:key/6c3c2f2e-0000-4000-8000-000000000000")
    assert re.search(pattern, "")
    assert not re.search(pattern, unfit)
