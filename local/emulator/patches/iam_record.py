"""Which role was allowed or denied what, and by which statement of its policies, is written down.

AWS: CloudTrail tells which role called what; IAM tells which of its permissions were used, and when.
MiniStack 1.5.33: a call that is allowed leaves no trace of the role and the statement that allowed it.
Here: a test holds what the functions do against what they may, so that no role may more than it needs.

A line of the file for each check of a role: the role's name, action, resource, decision and the statement's Sid.
"""

import json
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from ministack.core import iam_evaluator

from local.emulator.patching import Patcher, Wrapper

type Judged = list[tuple[Any, Any]]

_ROLE: Final = "AssumedRole"
_judged: ContextVar[Judged | None] = ContextVar("judged", default=None)
_lock: Final = threading.Lock()


def apply(patcher: Patcher) -> None:
    """Have every check of a role's policies noted, where the settings name a file for it."""
    file = patcher.settings.calls_file

    def enforce(original: Wrapper, *arguments: object, **keywords: object) -> object:
        judged: Judged = []
        token = _judged.set(judged)
        try:
            denied = original(*arguments, **keywords)
        finally:
            _judged.reset(token)
        if file is not None and judged:
            _note(file, *judged[0])
        return denied

    patcher.wrap(iam_evaluator, "enforce", "cf64b1ee5b099c8f", enforce)
    patcher.wrap(iam_evaluator, "evaluate", "2a5dd6932d1aca6a", _evaluate)


def _evaluate(original: Wrapper, context: object, *policies: object) -> object:
    result = original(context, *policies)
    judged = _judged.get()
    if judged is not None:
        judged.append((context, result))  # the caller's own policies come first, those of the resource after them
    return result


def _note(file: Path, context: Any, result: Any) -> None:  # noqa: ANN401 -- MiniStack's own, without types
    if context.principal_type != _ROLE:
        return
    line = json.dumps(
        {
            "role": context.principal_arn.split("/")[1],
            "action": context.action,
            "resource": str(context.resource_arn),
            "decision": result.decision,
            "sid": result.matched_sid,
        }
    )
    with _lock, file.open("a", encoding="utf-8") as calls:
        calls.write(line + "\n")
