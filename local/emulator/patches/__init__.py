"""The differences between MiniStack 1.5.33 and AWS that this project would notice, one module each.

Owns their list. A patch is here only as long as a test shows that it is needed.
"""

from types import MappingProxyType
from typing import Final

MODULES: Final = MappingProxyType(
    {
        name: f"{__name__}.{name.replace('-', '_')}"
        for name in (
            "openapi-body",
            "python-functions",
            "whole-logs",
            "event-targets",
            "function-errors",
            "http-event",
            "invalid-utf8-bodies",
            "jwt-authorizer",
            "secret-ref",
            "secret-versions",
            "table-settings",
            "iam-request-keys",
            "iam-record",
            "leading-keys",
            "event-source-keys",
        )
    }
)
"""Each patch's name and its module, whose `apply` takes a `Patcher`; in the order in which they are applied."""

NAMES: Final = tuple(MODULES)
