"""The IAM condition keys events:source and events:detail-type have the values of the entry that is published.

AWS: PutEvents is authorised entry by entry, with the source and the detail type of the entry.
MiniStack 1.5.33: neither key exists, so a condition on one of them denies every PutEvents.
Here: each function may publish under its own source alone, so that none can speak in the name of another.
"""

import json
from collections.abc import Iterator

from ministack.core import iam_actions

from local.emulator.patches.iam_request_keys import CheckedArn
from local.emulator.patching import Patcher, Wrapper

_KEYS = {"Source": "events:source", "DetailType": "events:detail-type"}


def apply(patcher: Patcher) -> None:
    """Have every entry checked, also where several go to one bus."""
    patcher.wrap(iam_actions, "eventbridge_resource_arns", "0615291c4d9bbe53", _resource_arns)


def _resource_arns(original: Wrapper, body: bytes, region: str, account: str) -> list[str]:
    return [
        CheckedArn.of(arn, {key: entry[name] for name, key in _KEYS.items() if isinstance(entry.get(name), str)})
        for entry in _entries(body)
        for arn in original(json.dumps({"Entries": [entry]}).encode(), region, account)
    ]


def _entries(body: bytes) -> Iterator[dict[str, object]]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return
    entries = request.get("Entries") if isinstance(request, dict) else None
    if isinstance(entries, list):
        yield from (entry for entry in entries if isinstance(entry, dict))
