"""The JSON body of a request.

Owns what every route asks of one: JSON and nothing else, not compressed, one strict object. What its members mean is
the route's business. Total: any body gives an object or one of two errors, and neither quotes it.
"""

from gatehouse import strict_json
from gatehouse.http import Request
from gatehouse.problems import InvalidRequest, UnsupportedMediaType
from gatehouse.strict_json import Json


def read_object(request: Request) -> dict[str, Json]:
    """Return the body's members. Raises `UnsupportedMediaType` and `InvalidRequest`."""
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType
    try:
        members = strict_json.parse(request.body())
    except ValueError:  # base64 that is none, and what is no strict JSON
        raise InvalidRequest from None
    if not isinstance(members, dict):
        raise InvalidRequest
    return members


def read_text(members: dict[str, Json], name: str, max_characters: int) -> str:
    """Return a member that must be there: a text that is not empty and not too long. Raises `InvalidRequest`."""
    value = members.get(name)
    # A number is kept as a text of its own type.
    if not isinstance(value, str) or type(value) is not str or not 0 < len(value) <= max_characters:
        raise InvalidRequest
    return value
