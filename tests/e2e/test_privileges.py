"""No role may more than it needs: every function is driven down each path that takes a permission, and none is left.

What the emulated IAM has noted of the other tests counts as well; nothing here depends on them. That no function lacks
a permission in any test is looked at when the stack ends (tests/support/running_stack.py).
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.integration_api.faults import FaultName
from tests.e2e.conftest import ARRIVAL_SECONDS, Stack
from tests.e2e.test_connections import Gateway, User, gateway, new_id
from tests.e2e.test_webhooks import BEARER, arrived, deliver, has_id, postback, send
from tests.e2e.token_lifecycle import Lifecycle
from tests.support.privileges import (
    Call,
    Permission,
    as_list,
    read_calls,
    statements,
    table_of_calls,
    unused,
    wrongly_explained,
)

__all__ = ["gateway"]  # the fixture

DUE_SECONDS = 600  # of an access token, below the margin
FUNCTIONS = ("IssueGuestToken", "IssueUserToken", "StartTransaction", "ConnectUser", "ReceiveWebhook")


class Deployed:
    """The roles and resources of the running stack, by their names in the template."""

    def __init__(self, stack: Stack) -> None:
        self._path = stack.local.calls_file
        found = stack.file.endpoint.client("cloudformation").describe_stack_resources(StackName=stack.file.stack_name)
        roles = {
            each["PhysicalResourceId"]: each["LogicalResourceId"]
            for each in found["StackResources"]
            if each["ResourceType"] == "AWS::IAM::Role"
        }
        self._roles = roles
        self._names = dict(self._arns(stack))

    def _arns(self, stack: Stack) -> Iterator[tuple[tuple[str, str, str], str]]:
        """Yield role, Sid and ARN of each resource that a deployed statement names, with the resource's name."""
        iam = stack.file.endpoint.client("iam")
        written = {(each.role, each.sid): each for each in statements()}
        for deployed, role in self._roles.items():
            for policy in iam.list_role_policies(RoleName=deployed)["PolicyNames"]:
                document: Any = iam.get_role_policy(RoleName=deployed, PolicyName=policy)["PolicyDocument"]
                for statement in document["Statement"]:
                    resources = written[role, statement["Sid"]].resources
                    for name, arn in zip(resources, as_list(statement["Resource"]), strict=True):
                        yield (role, statement["Sid"], arn), name

    def calls(self) -> list[Call]:
        """Return what these roles were allowed and denied so far."""
        return [call for call in read_calls(self._path) if call.role in self._roles]

    def used(self) -> Counter[Permission]:
        """Count the calls that were allowed, by what allowed them."""
        found = Counter[Permission]()
        for call in self.calls():
            if call.decision == "Allow":
                role = self._roles[call.role]
                # A test may have deployed a statement for a while that is not there now.
                name = self._names.get((role, call.sid, call.resource), call.resource)
                found[Permission(role, call.sid, call.action, name)] += 1
        return found


@pytest.fixture(scope="module")
def deployed(stack: Stack) -> Deployed:
    return Deployed(stack)


def issue_and_connect(stack: Stack, gateway: Gateway, life: Lifecycle) -> None:
    for function in FUNCTIONS:
        stack.start_anew(function)  # no secret is cached
    assert stack.call("POST", "/v1/tokens/guest").status == 200
    asha = User(stack)
    assert asha.session() == {"guest": True}
    assert asha.connect(gateway.complete(asha.started(), new_id())).status == 200
    assert asha.disconnect().status == 204
    with life.environment("StartTransaction", ALLOWED_INTENTS="TRANSACTION"):
        assert asha.start(intent="TRANSACTION").status == 201  # in the name of what the user holds


def receive_and_process(stack: Stack) -> None:
    document = postback()
    first = send(stack, document)
    assert first.status == 200
    arrived(stack, has_id(first.json()["id"]))
    assert send(stack, document).status == 200  # a duplicate finds the first
    assert deliver(stack, os.urandom(16), BEARER).status == 200


def refresh_and_authenticate(life: Lifecycle) -> None:
    life.seed(seconds_left=DUE_SECONDS)
    assert life.refresh_tokens() == "refreshed"
    life.upstream.arm(FaultName.UNAUTHORIZED_401, "authenticate", code="INVALID_API_KEY")
    assert life.authenticate() == "credentials_rejected"
    life.upstream.disarm()
    assert life.authenticate({"force": True}) == "authenticated"


def test_every_permission_is_used_and_no_call_lacks_one(
    stack: Stack, gateway: Gateway, life: Lifecycle, deployed: Deployed
) -> None:
    issue_and_connect(stack, gateway, life)
    receive_and_process(stack)
    refresh_and_authenticate(life)
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while unused(deployed.used()) and time.monotonic() < deadline:
        time.sleep(0.5)  # the duplicate is still on the queue
    used = deployed.used()
    if path := os.environ.get("PRIVILEGES"):
        Path(path).write_text(table_of_calls(used))
    left = unused(used)
    assert left == [], f"remove these from the template, or drive the functions to where they are used: {left}"
    assert wrongly_explained(used) == [], "these are used by the functions themselves"
    assert [call for call in deployed.calls() if call.was_refused_by_accident] == []
