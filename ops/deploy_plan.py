"""The first step of `make deploy`: say what goes where, and refuse what was never filled in.

Owns reading the stage's settings as SAM CLI will, and the account that the shell's credentials lead to. It deploys
nothing itself, and is there so that nobody waits for a build that ends in the wrong account.
"""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from local.paths import ROOT
from ops.deployment import LOCAL
from ops.example_values import example_values
from ops.program import DONE, WRONG, Variables, WrongUsage, run

USAGE: Final = "make deploy STAGE=dev|prod"

# The two forms that SAM CLI knows; a value with spaces is quoted.
_OVERRIDE: Final = re.compile(r"""(?:^|\s)(?:ParameterKey=)?(\w+)(?:,ParameterValue)?=("[^"]*"|'[^']*'|[^\s"']\S*)""")

_CONFIG: Final = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})


def parameters(written: object) -> dict[str, str]:
    """Return samconfig's `parameter_overrides` by name: `Name=value` as one text or as a list, or a table.

    What SAM CLI would read from yet another file is not looked at.
    """
    if isinstance(written, Mapping):
        return {str(name): str(value) for name, value in written.items()}
    if isinstance(written, list):
        return {name: value for each in written for name, value in parameters(each).items()}
    return {name: value[1:-1] if value[0] in "\"'" else value for name, value in _OVERRIDE.findall(str(written))}


def caller(region: str | None) -> tuple[str, str]:
    """Return the account and the region of the shell's credentials. Raises WrongUsage and botocore's errors."""
    session = boto3.Session(region_name=region)
    if session.region_name is None:
        raise WrongUsage("No AWS region: set AWS_REGION, or `region` for this stage in samconfig.toml.")
    identity = session.client("sts", config=_CONFIG).get_caller_identity()
    return identity["Account"], session.region_name


def _settings(stage: str, samconfig: Path) -> dict[str, Any]:
    """Return what samconfig says of a stage. Raises WrongUsage."""
    if stage == LOCAL:
        raise WrongUsage("The stage local is the stack of `make run`: it is not deployed to AWS.")
    try:
        settings: dict[str, Any] = tomllib.loads(samconfig.read_text(encoding="utf-8"))[stage]
        settings["global"]["parameters"]["stack_name"]
    except KeyError:
        raise WrongUsage(f"samconfig.toml has no stage {stage!r} with a stack_name.") from None
    return settings


def main(
    environment: Mapping[str, str],
    samconfig: Path = ROOT / "samconfig.toml",
    who: Callable[[str | None], tuple[str, str]] = caller,
) -> int:
    """Say what is to be deployed, and return whether it may be, as the exit code."""

    def work() -> int:
        stage = Variables(environment).stage
        settings = _settings(stage, samconfig)
        everywhere, deploy = settings["global"]["parameters"], settings.get("deploy", {}).get("parameters", {})
        given = parameters(deploy.get("parameter_overrides", []))
        if examples := example_values(given):
            print(f"samconfig.toml still has example values for the stage {stage}:", file=sys.stderr)
            print("\n".join(f"  {each}" for each in examples), file=sys.stderr)
            print("Put your own issuer, origins and addresses there, then deploy again.", file=sys.stderr)
            return WRONG
        account, region = who(deploy.get("region") or everywhere.get("region"))
        print(f"Deploying {everywhere['stack_name']} (stage {stage}) to the AWS account {account}, {region}:")
        width = max(map(len, given), default=0)
        for name, value in given.items():
            print(f"  {name:{width}}  {value}")
        print("  every other parameter as the template has it, or as it was deployed last", flush=True)
        return DONE

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
