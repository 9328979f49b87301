from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.emulator.emulators import Emulator, Json

LIMIT_BYTES = 65_536
TEMPLATE: Json = {
    "Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "{}"}}},
    "Outputs": {"Ref": {"Value": {"Ref": "Secret"}}},
}
# Client request tokens have at least 32 characters.
FIRST, SECOND, THIRD = ("1" * 32, "2" * 32, "3" * 32)
_names: Iterator[str] = (f"secret-{number}" for number in range(1_000))


def _secret(emulator: Emulator) -> str:
    arn: str = emulator.client("secretsmanager").create_secret(Name=next(_names), SecretString="{}")["ARN"]
    return arn


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response.get("Error", {}).get("Code"))


def test_is_still_needed_ref_of_a_secret_is_its_name(plain: Emulator) -> None:
    assert not plain.deploy("ref", TEMPLATE)["Ref"].startswith("arn:")


def test_ref_of_a_secret_is_its_arn_also_after_an_update(patched: Emulator) -> None:
    arn = patched.deploy("ref", TEMPLATE)["Ref"]
    assert patched.client("secretsmanager").get_secret_value(SecretId=arn)["ARN"] == arn

    properties = {"SecretString": "{}", "Description": "changed"}
    changed = {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": properties}}
    assert patched.deploy("ref", {**TEMPLATE, "Resources": changed})["Ref"] == arn
    assert patched.client("secretsmanager").describe_secret(SecretId=arn)["Description"] == "changed"


def test_a_stacks_secret_goes_with_the_stack(patched: Emulator) -> None:
    arn = patched.deploy("goes", TEMPLATE)["Ref"]
    patched.client("cloudformation").delete_stack(StackName="goes")
    patched.client("cloudformation").get_waiter("stack_delete_complete").wait(
        StackName="goes", WaiterConfig={"Delay": 0.05, "MaxAttempts": 1_000}
    )
    with pytest.raises(ClientError) as error:
        patched.client("secretsmanager").get_secret_value(SecretId=arn)
    assert _code(error) == "ResourceNotFoundException"


def _version_under_a_label_of_its_own(emulator: Emulator) -> str:
    secret = _secret(emulator)
    emulator.client("secretsmanager").put_secret_value(
        SecretId=secret, ClientRequestToken=FIRST, SecretString="new", VersionStages=["candidate"]
    )
    return secret


def test_is_still_needed_a_version_is_read_under_a_label_that_it_does_not_have(plain: Emulator) -> None:
    secret = _version_under_a_label_of_its_own(plain)
    read = plain.client("secretsmanager").get_secret_value(SecretId=secret, VersionId=FIRST, VersionStage="AWSCURRENT")
    assert read["SecretString"] == "new"


def test_a_version_is_not_read_under_a_label_that_it_does_not_have(patched: Emulator) -> None:
    secret, client = _version_under_a_label_of_its_own(patched), patched.client("secretsmanager")
    with pytest.raises(ClientError) as error:
        client.get_secret_value(SecretId=secret, VersionId=FIRST, VersionStage="AWSCURRENT")
    assert _code(error) == "InvalidRequestException"
    read = client.get_secret_value(SecretId=secret, VersionId=FIRST, VersionStage="candidate")
    assert read["SecretString"] == "new"


def test_is_still_needed_a_used_token_overwrites_its_version(plain: Emulator) -> None:
    secret, client = _secret(plain), plain.client("secretsmanager")
    client.put_secret_value(SecretId=secret, ClientRequestToken=FIRST, SecretString="a")
    client.put_secret_value(SecretId=secret, ClientRequestToken=FIRST, SecretString="b")
    assert client.get_secret_value(SecretId=secret)["SecretString"] == "b"


def test_a_used_token_is_refused_for_another_value(patched: Emulator) -> None:
    secret, client = _secret(patched), patched.client("secretsmanager")
    client.put_secret_value(SecretId=secret, ClientRequestToken=FIRST, SecretString="a")
    for other in ({"SecretString": "b"}, {"SecretBinary": b"a"}):
        with pytest.raises(ClientError) as error:
            client.put_secret_value(SecretId=secret, ClientRequestToken=FIRST, **other)
        assert _code(error) == "ResourceExistsException"
    assert client.get_secret_value(SecretId=secret)["SecretString"] == "a"


def test_a_token_repeated_with_its_value_changes_nothing(patched: Emulator) -> None:
    secret, client = _secret(patched), patched.client("secretsmanager")
    client.put_secret_value(SecretId=secret, ClientRequestToken=FIRST, SecretString="a")
    client.put_secret_value(SecretId=secret, ClientRequestToken=SECOND, SecretString="b")
    answer = client.put_secret_value(SecretId=secret, ClientRequestToken=FIRST, SecretString="a")
    assert (answer["VersionId"], answer["VersionStages"]) == (FIRST, ["AWSPREVIOUS"])
    assert client.get_secret_value(SecretId=secret)["SecretString"] == "b"


def test_is_still_needed_a_value_has_any_size(plain: Emulator) -> None:
    plain.client("secretsmanager").put_secret_value(SecretId=_secret(plain), SecretString="x" * (LIMIT_BYTES + 1))


def test_a_value_has_at_most_64_kib(patched: Emulator) -> None:
    secret, client = _secret(patched), patched.client("secretsmanager")
    client.put_secret_value(SecretId=secret, SecretString="x" * LIMIT_BYTES)
    with pytest.raises(ClientError) as error:
        client.put_secret_value(SecretId=secret, SecretString="x" * (LIMIT_BYTES - 1) + "é")
    assert _code(error) == "ValidationException"


def test_a_secret_that_is_not_there_gets_no_value(patched: Emulator) -> None:
    with pytest.raises(ClientError) as error:
        patched.client("secretsmanager").put_secret_value(SecretId="nowhere", SecretString="x")
    assert _code(error) == "ResourceNotFoundException"


def _holders_of_a_label_put_twice(emulator: Emulator) -> dict[str, list[str]]:
    secret, client = _version_under_a_label_of_its_own(emulator), emulator.client("secretsmanager")
    client.put_secret_value(
        SecretId=secret, ClientRequestToken=SECOND, SecretString="newer", VersionStages=["candidate"]
    )
    held: dict[str, list[str]] = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
    return held


def test_is_still_needed_a_label_stays_on_the_older_version(plain: Emulator) -> None:
    held = _holders_of_a_label_put_twice(plain)
    assert held[FIRST] == held[SECOND] == ["candidate"]


def test_a_label_moves_to_the_newer_version(patched: Emulator) -> None:
    held = _holders_of_a_label_put_twice(patched)
    assert held[SECOND] == ["candidate"]
    assert not held.get(FIRST)


def test_a_label_can_be_put_together_with_awscurrent(patched: Emulator) -> None:
    secret, client = _version_under_a_label_of_its_own(patched), patched.client("secretsmanager")
    answer = client.put_secret_value(
        SecretId=secret, ClientRequestToken=THIRD, SecretString="both", VersionStages=["AWSCURRENT", "candidate"]
    )
    assert sorted(answer["VersionStages"]) == ["AWSCURRENT", "candidate"]
    assert client.get_secret_value(SecretId=secret, VersionStage="candidate")["SecretString"] == "both"
    assert client.get_secret_value(SecretId=secret)["SecretString"] == "both"
