"""The details of an HTTP API's event, payload format 2.0.

AWS: cookies are a list of their own and no header, `x-forwarded-for` and `domainPrefix` are there, and what a request
does not have (`pathParameters`) is left out.
MiniStack 1.5.33: cookies stay a header, the others are missing, `pathParameters` is null.
Here: functions parse the event strictly, and the events under `events/` have the shape of AWS.
"""

from typing import Any

from ministack.services import lambda_svc

from local.emulator.patching import Patcher, Wrapper

type Json = dict[str, Any]


def apply(patcher: Patcher) -> None:
    """Complete the event on its way to the function."""
    patcher.wrap(lambda_svc, "_execute_function_with_config_scope", "26a9d5f64e175204", _execute)


def _execute(original: Wrapper, function: Json, event: object) -> object:
    if isinstance(event, dict) and event.get("version") == "2.0" and "http" in event.get("requestContext", {}):
        event = completed(event)
    return original(function, event)


def completed(event: Json) -> Json:
    """Return an event as AWS has it. An event that is complete already stays as it is."""
    context, headers = dict(event["requestContext"]), dict(event["headers"])
    event = event | {"requestContext": context, "headers": headers}
    if cookie := headers.pop("cookie", None):
        event["cookies"] = [part.strip() for part in cookie.split(";")]
    headers.setdefault("x-forwarded-for", context["http"]["sourceIp"])
    context.setdefault("domainPrefix", context["apiId"])
    if event.get("pathParameters") is None:
        event.pop("pathParameters", None)
    return event
