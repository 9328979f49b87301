"""Over HTTP, a failed function is 500 and says nothing.

AWS: an HTTP API answers 500 `{"message":"Internal Server Error"}` when its function raises or times out.
MiniStack 1.5.33: 502 with the exception's type and text.
Here: clients are tested against that answer, and the exception's text would leak into it.
"""

from typing import Any

from ministack.services import lambda_svc

from local.emulator.patching import Patcher, Wrapper


def apply(patcher: Patcher) -> None:
    """Replace what a failed invocation becomes."""
    patcher.wrap(lambda_svc, "lambda_execute_result_to_api_proxy_response", "36f0ed215e854cb7", _response)


def _response(original: Wrapper, result: dict[str, Any]) -> object:
    if result.get("error") and not result.get("throttle"):
        return {
            "statusCode": 500,
            "headers": {"Content-Type": "application/json"},
            "body": '{"message":"Internal Server Error"}',
        }, None
    return original(result)
