"""IAM conditions can look at the part of a request that a check is about.

AWS: a batch, a transaction or a PutEvents with several entries is authorised part by part, each with the condition
keys of that part.
MiniStack 1.5.33: one set of condition keys for the whole request, none for further EventBridge entries.
Here: `leading-keys` and `event-source-keys` give the values; this lets them travel with the ARN that is checked.
"""

from collections.abc import Mapping

from ministack.core import iam_evaluator

from local.emulator.patching import Patcher, Wrapper


class CheckedArn(str):
    """A resource's ARN, with the condition keys of the part of the request that it is checked for."""

    __slots__ = ("keys",)

    keys: Mapping[str, object]

    @classmethod
    def of(cls, arn: str, keys: Mapping[str, object]) -> "CheckedArn":
        """Return the ARN with these keys. A key that the request does not have is left out, not None."""
        checked = cls(arn)
        checked.keys = keys
        return checked


def apply(patcher: Patcher) -> None:
    """Add an ARN's own keys to a check of it."""
    patcher.wrap(iam_evaluator, "enforce", "cf64b1ee5b099c8f", _enforce)


def _enforce(
    original: Wrapper,
    access_key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: Mapping[str, object] | None = None,
) -> object:
    if isinstance(resource_arn, CheckedArn):
        service_context = {**(service_context or {}), **resource_arn.keys}
    return original(access_key, action, service, region, resource_arn=resource_arn, service_context=service_context)
