"""A body that is no UTF-8 arrives byte for byte, whatever its content type says.

AWS: a body that cannot be passed as text is passed as base64, with `isBase64Encoded`.
MiniStack 1.5.33: bodies of application/json, application/xml and text/* are decoded with replacement characters.
Here: a webhook's checksum is computed over the bytes that were sent, and a sender may send any.
"""

from contextvars import ContextVar
from typing import Final

from ministack.services import apigateway

from local.emulator.patching import Patcher, Wrapper

_BODY = 6
"""The body's position among the arguments of MiniStack's function."""
_IS_UTF8: Final = ContextVar("body_is_utf8", default=True)
"""Whether the body of the request that is being answered can be text: MiniStack decides by the content type alone."""


def apply(patcher: Patcher) -> None:
    """Let the decision between text and base64 see the body."""
    patcher.wrap(apigateway, "_invoke_lambda_proxy", "fbe5024fcd36643f", _invoke)
    patcher.wrap(apigateway, "_v2_request_body_is_text", "507d7acaf07fb2e4", _is_text)


async def _invoke(original: Wrapper, *arguments: object, **keywords: object) -> object:
    body = arguments[_BODY]
    token = _IS_UTF8.set(not isinstance(body, bytes) or _is_utf8(body))
    try:
        return await original(*arguments, **keywords)
    finally:
        _IS_UTF8.reset(token)


def _is_text(original: Wrapper, content_type: str | None) -> bool:
    return _IS_UTF8.get() and bool(original(content_type))


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
