"""Who is behind a request to a port of this machine: its own programs and pages, or a foreign page in a browser.

Every page that a browser on this machine has open can send requests to 127.0.0.1, and a foreign name that is made to
point there makes it the same origin. Owns telling these apart by what browsers alone say: `Origin` and `Host`. Pure: it
looks at headers and at nothing else. What a port does that only its own page may do is `playground.guard`'s.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

# Names that only the owner of this machine, or AWS, can make point here. Programs use AWS's for an API or a bucket.
_OURS: Final = r"(127\.0\.0\.1|localhost|[a-z0-9.-]+\.localhost)"
_HOST: Final = re.compile(rf"({_OURS}|[a-z0-9.-]+\.amazonaws\.com)(:\d+)?", re.IGNORECASE)
_ORIGIN: Final = re.compile(rf"https?://{_OURS}(:\d+)?", re.IGNORECASE)


def is_foreign_page(hosts: Sequence[str], origins: Iterable[str]) -> bool:
    """Say whether a page that is not of this machine is behind a request with these `Host` and `Origin` headers.

    Programs send no `Origin`. Without one `Host`, nobody knows under which name the request was made.
    """
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return True
    return any(not _ORIGIN.fullmatch(origin) for origin in origins)
