"""The faults that can be armed with `POST /_simulator/faults`; `local.fault_switches` says how.

`on` is `authenticate`, `refresh`, `protected` or `any` (default).

| fault | what the client sees | takes effect | further members |
|---|---|---|---|
| `html` | 200 with a web page | no | |
| `empty` | 200 with no body | no | |
| `wrong_content_type` | the right answer, declared as text/plain | yes | |
| `too_large` | the right answer with a member that makes it more than 64 KiB | yes | `bytes` |
| `redirect` | 302 to somewhere else | no | `location` |
| `hang` | no answer: the connection stays open until the client leaves | no | `seconds` (60) |
| `drip` | the right answer, one byte at a time | yes | `seconds` per byte (1) |
| `close_mid_body` | half of the body that Content-Length promises, then the end | yes | |
| `reset` | the connection reset, without an answer | no | |
| `lost_answer` | the connection closed, without an answer | yes | |
| `error_object_200` | 200 with `{"error": …}` | no | `code` |
| `unauthorized_401` | 401 with the code of that endpoint | no | `code` |
| `status_500` | 500 with `{"error": …}` | no | |
| `status_502_html` | 502 with a proxy's web page | no | |
| `status_503_retry_after` | 503 with Retry-After | no | `retry_after` (2) |
| `status_429` | 429 with Retry-After | no | `retry_after` (2) |
| `missing_field` | the right answer without one member | yes | `field` (access_token) |
| `wrong_type` | the right answer with one member of another type | yes | `field` (access_token), `value` |
| `token_type_mac` | the right answer with token_type "mac" | yes | |
| `expired_answer` | the right answer with an expires_at an hour ago | yes | |
| `bad_json` | the right answer, cut off before its last brace | yes | |
| `not_an_object` | the right answer inside a JSON array | yes | |
| `deep_json` | 200 with an access_token that is nested 20 000 deep | yes | |

`retry_after` is seconds or the text of a date. "Takes effect" means that the exchange happens: tokens are made, old
ones end where a setting says so, and only the answer is spoilt. A refusal uses a fault up, and `drip`, `close_mid_body`
and `lost_answer` spoil it too; its content stays as it is.
"""

from collections.abc import Mapping
from enum import StrEnum

from local import fault_switches
from local.fault_switches import Fault

KINDS = ("authenticate", "refresh", "protected")


class FaultName(StrEnum):
    """Every fault of the table above."""

    HTML = "html"
    EMPTY = "empty"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    TOO_LARGE = "too_large"
    REDIRECT = "redirect"
    HANG = "hang"
    DRIP = "drip"
    CLOSE_MID_BODY = "close_mid_body"
    RESET = "reset"
    LOST_ANSWER = "lost_answer"
    ERROR_OBJECT_200 = "error_object_200"
    UNAUTHORIZED_401 = "unauthorized_401"
    STATUS_500 = "status_500"
    STATUS_502_HTML = "status_502_html"
    STATUS_503_RETRY_AFTER = "status_503_retry_after"
    STATUS_429 = "status_429"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    TOKEN_TYPE_MAC = "token_type_mac"  # noqa: S105 -- a fault's name
    EXPIRED_ANSWER = "expired_answer"
    BAD_JSON = "bad_json"
    NOT_AN_OBJECT = "not_an_object"
    DEEP_JSON = "deep_json"


# Faults that keep a request from having any effect; all others spoil only its answer.
WITHOUT_EFFECT = frozenset(
    {
        FaultName.HTML,
        FaultName.EMPTY,
        FaultName.REDIRECT,
        FaultName.HANG,
        FaultName.RESET,
        FaultName.ERROR_OBJECT_200,
        FaultName.UNAUTHORIZED_401,
        FaultName.STATUS_500,
        FaultName.STATUS_502_HTML,
        FaultName.STATUS_503_RETRY_AFTER,
        FaultName.STATUS_429,
    }
)

_EXTRAS: dict[FaultName, set[str]] = {
    FaultName.TOO_LARGE: {"bytes"},
    FaultName.REDIRECT: {"location"},
    FaultName.HANG: {"seconds"},
    FaultName.DRIP: {"seconds"},
    FaultName.ERROR_OBJECT_200: {"code"},
    FaultName.UNAUTHORIZED_401: {"code"},
    FaultName.STATUS_503_RETRY_AFTER: {"retry_after"},
    FaultName.STATUS_429: {"retry_after"},
    FaultName.MISSING_FIELD: {"field"},
    FaultName.WRONG_TYPE: {"field", "value"},
}


def parse_fault(members: Mapping[str, object]) -> Fault[FaultName]:
    """Read the body of `POST /_simulator/faults`; raises InvalidControlError naming everything wrong with it."""
    return fault_switches.parse_fault(members, FaultName, _EXTRAS, KINDS)
