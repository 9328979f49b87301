"""What may be asked of the Integration API: a method, a path that stays below its place, a query and a JSON body.

Owns the confinement of paths. It sends nothing, and its errors quote nothing.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from urllib.parse import quote, unquote_to_bytes, urlencode

from gatehouse.problems import ServiceError

API_PATH = "/api/v1/integration"

MAX_PATH_CHARACTERS = 2048

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
METHODS = IDEMPOTENT | {"POST", "PATCH"}

type Parameters = Mapping[str, str | int | Sequence[str | int]]

# RFC 3986: what a path may hold, with or without a slash in front.
_PATH = re.compile(r"/?(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})+")
_BASE = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9\-._]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9\-_~][A-Za-z0-9\-._~]*)*"
)
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class CallRefused(ServiceError):
    """A call that this client does not make. `part` names the argument, `reason` says why; neither quotes it."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may be made, without the token."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    @property
    def is_idempotent(self) -> bool:
        """Whether making it twice is as good as making it once."""
        return self.method in IDEMPOTENT


def build_call(api_url: str, method: str, path: str, document: object | None, params: Parameters | None) -> Call:
    """Return the call. Raises `CallRefused`."""
    if method not in METHODS:
        raise CallRefused("method", f"must be one of {', '.join(sorted(METHODS))}")
    url = f"{api_url}/{_confined(path)}"
    if query := _query(params or {}):
        url += f"?{query}"
    if document is None:
        return Call(method, url, {}, None)
    return Call(method, url, {"Content-Type": "application/json"}, _body(document))


def _confined(path: str) -> str:
    """Return the path without a slash in front. Raises `CallRefused` where it could lead anywhere but below.

    Whatever stands between here and the endpoint may decode the path, even twice, fold its characters to ASCII, or
    leave empty and dot segments out. So every form that it can take is looked at.
    """
    if len(path) > MAX_PATH_CHARACTERS:
        raise CallRefused("path", f"is longer than {MAX_PATH_CHARACTERS} characters")
    if not _PATH.fullmatch(path):
        raise CallRefused("path", "holds what RFC 3986 allows in no path: quote it, and give a query in params")
    text = relative = path.removeprefix("/")
    if not path.startswith("/") and ":" in text.partition("/")[0]:
        raise CallRefused("path", "looks like a URL")
    while True:
        *segments, last = text.split("/")
        if not all(map(_is_name, segments if segments and not last else [*segments, last])):
            raise CallRefused("path", "has an empty segment or one of dots")
        try:
            decoded = unicodedata.normalize("NFKC", unquote_to_bytes(text).decode())
        except UnicodeDecodeError:
            raise CallRefused("path", "is not UTF-8 when it is decoded") from None
        if "\\" in decoded or any(unicodedata.category(character) == "Cc" for character in decoded):
            raise CallRefused("path", "has a backslash or a control character when it is decoded")
        if decoded == text:
            return relative
        text = decoded


def _is_name(segment: str) -> bool:
    """Whether something is left of a segment without its parameters, dots and spaces, which some servers drop."""
    return segment.partition(";")[0].replace(".", " ").strip() != ""


def _query(params: Parameters) -> str:
    pairs = []
    for name, value in params.items():
        given: object = value
        several = given if isinstance(given, Sequence) and not isinstance(given, str | bytes) else [given]
        for each in several:
            if isinstance(each, bool) or not isinstance(each, str | int):
                raise CallRefused("params", "values are texts, whole numbers or lists of these")
            pairs.append((name, str(each)))
    try:
        return urlencode(pairs, quote_via=quote, safe="")
    except UnicodeEncodeError:
        raise CallRefused("params", "holds half a character") from None


def _body(document: object) -> bytes:
    try:
        return dumps(document, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise CallRefused("json", "cannot be written as JSON") from None


def checked_base(base_url: str) -> str:
    """Return the base without a slash at its end. Raises `CallRefused`."""
    base = base_url.rstrip("/")
    parts = _BASE.fullmatch(base)
    if parts is None or (parts["scheme"] == "http" and parts["host"] not in _LOOPBACK):
        raise CallRefused("base_url", "must be an https origin (http on this machine) with an optional prefix")
    return base
