from tests.emulator.emulators import Emulator, Json

PROPERTIES: Json = {
    "TableName": "settings",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": "true"},
}


def _deploy(emulator: Emulator, **changed: Json) -> tuple[str, str]:
    """Deploy the table and return the status of its expiry and of its recovery."""
    table = {"Type": "AWS::DynamoDB::Table", "Properties": PROPERTIES | changed}
    emulator.deploy("table", {"Resources": {"Table": table}})
    client = emulator.client("dynamodb")
    expiry = client.describe_time_to_live(TableName="settings")["TimeToLiveDescription"]
    backups = client.describe_continuous_backups(TableName="settings")["ContinuousBackupsDescription"]
    return expiry["TimeToLiveStatus"], backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]


def test_is_still_needed_a_tables_expiry_and_recovery_are_dropped(plain: Emulator) -> None:
    assert _deploy(plain) == ("DISABLED", "DISABLED")


def test_a_tables_expiry_and_recovery_come_from_the_template(patched: Emulator) -> None:
    assert _deploy(patched) == ("ENABLED", "ENABLED")
    assert patched.client("dynamodb").describe_time_to_live(TableName="settings")["TimeToLiveDescription"] == {
        "AttributeName": "ttl",
        "TimeToLiveStatus": "ENABLED",
    }
    off = {"AttributeName": "ttl", "Enabled": False}
    assert _deploy(patched, TimeToLiveSpecification=off) == ("DISABLED", "ENABLED")
