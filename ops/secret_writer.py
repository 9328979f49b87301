"""Writing secrets so that nobody's change is lost: each is replaced only while it still is the version that was read.

Owns the order: all new values are put beside the present ones, where no function reads them; then all versions are
compared; then each AWSCURRENT is moved, from the version that was read and from no other. PutSecretValue alone has no
condition: between a comparison and the write, another's change would be overwritten unseen.
"""

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from gatehouse.secret_value import Secret
from gatehouse.token_store import CANDIDATE, CURRENT
from local.stop_signals import shielded
from ops.program import AWS_ERRORS

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class ChangedMeanwhile(Exception):
    """Somebody else has changed a secret since it was read. `name` is that secret, `written` are those before it."""

    def __init__(self, name: str, written: list[str]) -> None:
        super().__init__(name)
        self.name = name
        self.written = written


class Change(NamedTuple):
    """A new value for a secret."""

    name: str
    secret_id: str
    read_version_id: str  # the one that the new value was made from
    text: Secret


def as_text(members: Mapping[str, object]) -> Secret:
    """Return a secret's text."""
    return Secret(json.dumps(members))


@shielded
def write(client: "SecretsManagerClient", changes: list[Change]) -> None:
    """Write all changes, or none where a secret has changed already. A stop signal waits until it is done.

    Raises ChangedMeanwhile, and botocore's errors: then what is written is whole, and the rest is as it was.
    """
    staged = [(change, str(uuid.uuid4())) for change in changes]
    try:
        for change, version_id in staged:
            client.put_secret_value(
                SecretId=change.secret_id,
                ClientRequestToken=version_id,
                SecretString=change.text.reveal(),
                VersionStages=[CANDIDATE],
            )
        for change in changes:
            if _current(client, change) != change.read_version_id:
                raise ChangedMeanwhile(change.name, [])
        written: list[str] = []
        for change, version_id in staged:
            _move(client, change, version_id, written)
            written.append(change.name)
    finally:
        # A version without a label is removed by Secrets Manager in time; AWSCURRENT is one.
        for change, version_id in staged:
            with suppress(*AWS_ERRORS):
                client.update_secret_version_stage(
                    SecretId=change.secret_id, VersionStage=CANDIDATE, RemoveFromVersionId=version_id
                )


def _move(client: "SecretsManagerClient", change: Change, version_id: str, written: list[str]) -> None:
    try:
        client.update_secret_version_stage(
            SecretId=change.secret_id,
            VersionStage=CURRENT,
            MoveToVersionId=version_id,
            RemoveFromVersionId=change.read_version_id,
        )
    except AWS_ERRORS:
        # Where the answer was lost, boto3's own retry finds the label moved, and fails.
        current = _current(client, change)
        if current == change.read_version_id:
            raise
        if current != version_id:
            raise ChangedMeanwhile(change.name, written) from None


def _current(client: "SecretsManagerClient", change: Change) -> str:
    return str(client.get_secret_value(SecretId=change.secret_id)["VersionId"])
