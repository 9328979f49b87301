"""What each role of the template may, and what was used of it in a running stack.

Owns reading both, the list of what no code of this project uses itself, with who does, and the tables in
docs/privileges.md. `python -m tests.support.privileges` writes these anew (`make privileges WRITE=1`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from cfnlint.decode.cfn_yaml import load

from tests.conftest import ROOT

type Json = dict[str, Any]

DOCUMENT = ROOT / "docs" / "privileges.md"
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->\n"

# Used by AWS in the role's name. tests/template holds the template to what that needs.
BY_AWS = {
    "WriteOwnLogs": "Lambda, which writes the function's log",
    "SendTraces": "Lambda, which sends the traces",
    "TakeFromTheQueue": "Lambda, whose event source mapping takes from the queue",
    "KeepFailedInvocations": "Lambda or Scheduler, which keep what failed",
    "InvokeRefreshTokens": "Scheduler, which invokes the function",
}
# There only where an operator wants it, and then used as it says.
ONLY_WITH = {"HasKmsKey": "Secrets Manager or DynamoDB, where the operator brings a key (`KmsKeyArn`)"}
BY_ITSELF = "its own calls"


class Permission(NamedTuple):
    """One action on one resource, allowed by one statement."""

    role: str  # logical ids of the template, for the resource as well
    sid: str
    action: str
    resource: str


class Statement(NamedTuple):
    """A statement of a role's policy."""

    role: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Json
    only_with: str  # a condition of the template; empty where it is always there

    @property
    def used_by(self) -> str:
        """Who uses it."""
        return BY_AWS.get(self.sid) or ONLY_WITH.get(self.only_with) or BY_ITSELF

    def permissions(self) -> Iterator[Permission]:
        """Yield each action on each resource."""
        for action in self.actions:
            for resource in self.resources:
                yield Permission(self.role, self.sid, action, resource)


class Call(NamedTuple):
    """A check of a role's policies, as the emulator has noted it (`local.emulator.patches.iam_record`)."""

    role: str
    action: str
    resource: str
    decision: str
    sid: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line of the emulator's file."""
        return cls(**json.loads(line))

    @property
    def was_refused_by_accident(self) -> bool:
        """Whether no statement allowed it. A test that denies something on purpose does so by a statement."""
        return self.decision == "ImplicitDeny"


@cache
def statements() -> tuple[Statement, ...]:
    """Return every statement of every role in the template, in its order."""
    return tuple(read_statements(load(str(ROOT / "template.yaml"))["Resources"]))


def read_statements(resources: Mapping[str, Json]) -> Iterator[Statement]:
    """Yield the statements of the roles among these resources."""
    for role, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("Policies", []):
                for written in policy["PolicyDocument"]["Statement"]:
                    yield _statement(role, written)


def _statement(role: str, written: Json) -> Statement:
    only_with, statement = written["Fn::If"][:2] if "Fn::If" in written else ("", written)
    return Statement(
        role,
        str(statement["Sid"]),
        tuple(map(str, as_list(statement["Action"]))),
        tuple(_name(resource) for resource in as_list(statement["Resource"])),
        statement.get("Condition", {}),
        str(only_with),
    )


def _name(resource: Any) -> str:
    """Return the logical id that an ARN is taken from."""
    if isinstance(resource, str):
        return resource
    return str(resource["Ref"] if "Ref" in resource else resource["Fn::GetAtt"][0])


def as_list(value: Any) -> list[Any]:
    """Return a list of one thing or of several."""
    return value if isinstance(value, list) else [value]


def read_calls(path: Path) -> list[Call]:
    """Return what the emulator has noted so far; a line that is being written is left out."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [Call.parse(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def unused(used: Counter[Permission]) -> list[Permission]:
    """Return the permissions that should have been used and were not."""
    wanted = [each for statement in statements() if statement.used_by == BY_ITSELF for each in statement.permissions()]
    return [permission for permission in wanted if not used[permission]]


def wrongly_explained(used: Counter[Permission]) -> list[Permission]:
    """Return the permissions that a function used itself, and that are said to be used by AWS alone."""
    said = [each for statement in statements() if statement.used_by != BY_ITSELF for each in statement.permissions()]
    return [permission for permission in said if used[permission]]


def table_of_calls(used: Counter[Permission]) -> str:
    """Return every permission with the number of its calls, or with who uses it."""
    rows = [("role", "statement", "action", "resource", "calls")]
    rows += [
        (*each, str(used[each]) if statement.used_by == BY_ITSELF else f"by {statement.used_by}")
        for statement in statements()
        for each in statement.permissions()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4])) + "\n"
        for row in rows
    )


def render() -> str:
    """Return the tables of docs/privileges.md."""
    own = [each for each in statements() if each.used_by == BY_ITSELF]
    lines = ["| role | statement | may | on | only where |", "|---|---|---|---|---|"]
    for each in own:
        may, on = _marked(each.actions), _marked(each.resources)
        lines.append(f"| `{each.role}` | {each.sid} | {may} | {on} | {_where(each.conditions)} |")
    lines += ["", "| statement | may | on | of | used by |", "|---|---|---|---|---|"]
    by_aws: dict[tuple[str, str, str], list[Statement]] = {}
    for each in statements():
        if each.used_by != BY_ITSELF:
            by_aws.setdefault((each.sid, _marked(each.actions), each.used_by), []).append(each)
    for (sid, may, used_by), alike in by_aws.items():
        on = _marked(dict.fromkeys(resource for each in alike for resource in each.resources))
        lines.append(f"| {sid} | {may} | {on} | {_marked(each.role for each in alike)} | {used_by} |")
    return "\n".join(lines) + "\n"


def _marked(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _where(conditions: Json) -> str:
    return "; ".join(
        f"`{key}` {'like' if operator.endswith('Like') else 'is'} {_marked(map(_shown, as_list(values)))}"
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else str(value["Fn::Sub"])


def documented() -> str:
    """Return the tables as they stand in docs/privileges.md."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]


def write() -> None:
    """Put the tables into docs/privileges.md."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + render() + END + rest.partition(END)[2])


if __name__ == "__main__":
    write()
