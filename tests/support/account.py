"""An AWS account in memory (moto) that holds what the token functions read, and the functions' environment."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws

from gatehouse.caller import User
from gatehouse.connections import user_key
from tests.support.events import gateway_secret
from tests.support.fakes import Clock


class Account:
    """The account, with its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self._monkeypatch = monkeypatch
        monkeypatch.setattr("time.time", self.clock)
        self.secret_arn = boto3.client("secretsmanager").create_secret(Name="gateway", SecretString="{}")["ARN"]
        self.write_secret(gateway_secret())
        boto3.client("dynamodb").create_table(
            TableName="connections",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.environment(
            GATEWAY_SECRET_ARN=self.secret_arn,
            TOKEN_LIFETIME_SECONDS="900",
            ALLOW_SHORT_SECRETS="false",
            SECRETS_EXTENSION="off",
            CONNECTIONS_TABLE="connections",
        )

    def environment(self, **variables: str) -> None:
        """Set environment variables of the functions."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def write_secret(self, text: str) -> None:
        """Write the gateway secret."""
        boto3.client("secretsmanager").put_secret_value(SecretId=self.secret_arn, SecretString=text)

    def delete_secret(self) -> None:
        """Remove the gateway secret."""
        boto3.client("secretsmanager").delete_secret(SecretId=self.secret_arn, ForceDeleteWithoutRecovery=True)

    def connect(self, user: User, smallcase_auth_id: str) -> None:
        """Write a connection by hand, as an operator would."""
        item = {"pk": {"S": user_key(user)}, "smallcase_auth_id": {"S": smallcase_auth_id}}
        boto3.client("dynamodb").put_item(TableName="connections", Item=item)

    def delete_table(self) -> None:
        """Remove the connections table."""
        boto3.client("dynamodb").delete_table(TableName="connections")


@contextmanager
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Yield a fresh account."""
    with mock_aws():
        yield Account(monkeypatch)
