"""The playground's files, and what a browser is told to allow them.

Owns the list of files that are served: nothing else below this folder is. Never puts anything of a run into a file;
what the page needs to know, it asks for.
"""

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from local.http_router import Headers, Response

FOLDER: Final = Path(__file__).parent
FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in (
            "gatehouse",
            "playground",
            "controls",
            "page",
            "user-card",
            "tokens-card",
            "webhooks-card",
            "vendor-stand-in",
        )
    },
}


def serve(path: str, headers: Headers) -> Response:
    """Answer with one of FILES, as it is on the disk now."""
    name, content_type = FILES[path]
    return Response(HTTPStatus.OK, (FOLDER / name).read_bytes(), (("Content-Type", content_type), *headers))


def security_headers(origins: Iterable[str]) -> Headers:
    """Return the headers of every file: scripts from here alone, and calls to here and these origins alone."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": " ".join(["'self'", *origins]),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return (
        ("Content-Security-Policy", "; ".join(f"{name} {value}" for name, value in policy.items())),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    )
