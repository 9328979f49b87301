"""Versions of a secret and their staging labels, as far as a compare-and-swap on them relies on it.

AWS: GetSecretValue refuses a version and a label that do not belong together. PutSecretValue with a token that was
used is refused for another value and does nothing for the same one; a value has at most 65536 bytes; a label that the
new version gets leaves the version that had it.
MiniStack 1.5.33: the label is ignored where there is a version, a used token overwrites its version, values have any
size, and a label of one's own stays on the older version too (and is not set where AWSCURRENT is).
Here: the Integration API's tokens are written under a token and a label, so that two writers cannot both win.
"""

from typing import Any

from ministack.services import secretsmanager

from local.emulator.patching import Patcher, Wrapper

type Json = dict[str, Any]

_CURRENT = "AWSCURRENT"
_LIMIT_BYTES = 65_536
_SUCCESS = 200
_ERROR = 400


def apply(patcher: Patcher) -> None:
    """Check before MiniStack reads or writes a version, and move the labels after it."""
    patcher.wrap(secretsmanager, "_get_secret_value", "faa3eb333a8be736", _get)
    patcher.wrap(secretsmanager, "_put_secret_value", "d09b0557e1697d62", _put)


def _get(original: Wrapper, request: Json) -> object:
    version = _versions(request).get(request.get("VersionId"))
    label = request.get("VersionStage")
    if version and label and label not in version["Stages"]:
        return secretsmanager.error_response_json(
            "InvalidRequestException",
            "You provided a VersionStage that is not associated to the provided VersionId.",
            _ERROR,
        )
    return original(request)


def _put(original: Wrapper, request: Json) -> object:
    if _size(request) > _LIMIT_BYTES:
        return secretsmanager.error_response_json(
            "ValidationException",
            "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_LIMIT_BYTES}",
            _ERROR,
        )
    token = request.get("ClientRequestToken")
    if version := _versions(request).get(token):
        return _used_token(request, version)
    response = original(request)
    if response[0] != _SUCCESS:
        return response
    return _move_labels(request, secretsmanager.json.loads(response[2])["VersionId"])


def _used_token(request: Json, version: Json) -> object:
    if any(version.get(kind) != request.get(kind) for kind in ("SecretString", "SecretBinary")):
        return secretsmanager.error_response_json(
            "ResourceExistsException",
            "You can't use ClientRequestToken "
            f"{request['ClientRequestToken']} because that value is already in use for a version of secret.",
            _ERROR,
        )
    return _answer(request, request["ClientRequestToken"])


def _move_labels(request: Json, version_id: str) -> object:
    _, secret = secretsmanager._resolve(request.get("SecretId"))
    for label in request.get("VersionStages", []):
        if label != _CURRENT:
            secretsmanager._remove_stage_everywhere(secret, label, except_version_id=version_id)
            secretsmanager._add_stage(secret, version_id, label)
    return _answer(request, version_id)


def _answer(request: Json, version_id: str) -> object:
    _, secret = secretsmanager._resolve(request.get("SecretId"))
    return secretsmanager.json_response(
        {
            "ARN": secret["ARN"],
            "Name": secret["Name"],
            "VersionId": version_id,
            "VersionStages": list(secret["Versions"][version_id]["Stages"]),
        }
    )


def _versions(request: Json) -> dict[Any, Json]:
    """Return the versions of the secret that is asked for; none where it is not there or about to be deleted."""
    _, secret = secretsmanager._resolve(request.get("SecretId"))
    versions: dict[Any, Json] = {} if not secret or secret.get("DeletedDate") else secret["Versions"]
    return versions


def _size(request: Json) -> int:
    return len((request.get("SecretString") or "").encode())
