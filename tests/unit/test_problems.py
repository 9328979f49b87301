import json
import re

import pytest

from gatehouse import problems
from gatehouse.problems import INTERNAL_ERROR, PROBLEMS, GatehouseError, Problem, problem_document, problem_for

ALL_PROBLEMS = [*PROBLEMS.values(), INTERNAL_ERROR]


def leaves(cls: type[GatehouseError]) -> list[type[GatehouseError]]:
    below = [leaf for child in cls.__subclasses__() for leaf in leaves(child)]
    return below or [cls]


@pytest.mark.parametrize("error", [leaf for leaf in leaves(GatehouseError) if leaf.__module__ == problems.__name__])
def test_every_error_of_the_tree_has_its_row(error: type[GatehouseError]) -> None:
    assert error in PROBLEMS


@pytest.mark.parametrize("problem", ALL_PROBLEMS, ids=lambda problem: problem.code)
def test_codes_are_upper_snake_case_and_stand_for_an_error_status(problem: Problem) -> None:
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", problem.code)
    assert 400 <= problem.status < 600


def test_no_two_rows_share_a_code() -> None:
    assert len({problem.code for problem in ALL_PROBLEMS}) == len(ALL_PROBLEMS)


@pytest.mark.parametrize("problem", [row for row in ALL_PROBLEMS if row.status == 503], ids=lambda row: row.code)
def test_whoever_gets_a_503_is_told_when_to_try_again(problem: Problem) -> None:
    assert problem.retry_after_seconds is not None
    assert 1 <= problem.retry_after_seconds <= 60


def test_an_error_without_a_row_gets_the_row_of_its_base() -> None:
    class VeryLarge(problems.BodyTooLarge):
        pass

    assert problem_for(VeryLarge()) is PROBLEMS[problems.BodyTooLarge]


@pytest.mark.parametrize("error", [ValueError("x"), GatehouseError("x"), problems.ServiceError()])
def test_an_error_without_any_row_is_internal(error: Exception) -> None:
    assert problem_for(error) is INTERNAL_ERROR


def test_the_document_has_the_members_of_rfc_9457_and_ours() -> None:
    document = problem_document(PROBLEMS[problems.GatewayNotConfigured], "req-1")
    assert set(document) == {"type", "title", "status", "detail", "code", "request_id"}
    assert document["type"] == "urn:gatehouse:problem:gateway-not-configured"
    assert json.loads(json.dumps(document)) == document
