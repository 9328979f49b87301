"""EventBridge rules and schedules invoke their functions asynchronously, with retries and a place for failures.

AWS: a rule's or schedule's function is invoked like `InvocationType=Event`: a failing function runs three times, and
the event then goes to its OnFailure destination.
MiniStack 1.5.33: the function runs once and a failure is forgotten; only a direct asynchronous invocation retries.
Here: what becomes of a failing background function is part of the design.
"""

import json

from ministack.services import eventbridge, lambda_svc

from local.emulator.patching import Patcher, Wrapper


def apply(patcher: Patcher) -> None:
    """Replace the delivery to a function, which rules and schedules share."""
    patcher.wrap(eventbridge, "_dispatch_to_lambda", "1f95adbaed3a966a", _dispatch)


def _dispatch(original: Wrapper, arn: str, payload: str) -> None:
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    if not function or not config:
        original(arn, payload)  # which says so
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), json.loads(payload))
