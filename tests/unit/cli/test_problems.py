"""What a user reads when a call fails: one line, with what to do."""

from __future__ import annotations

import pytest

from pkg.cli.problems import Problem, problem_of
from pkg.kube.errors import (
    Conflict,
    Exists,
    Forbidden,
    KubeError,
    NotFound,
    NotServed,
    Refused,
    Throttled,
    Transient,
    Unauthorized,
)

SERVER = "https://127.0.0.1:6443"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(Forbidden("user x cannot list", status=403), ["a right is missing", "cannot list"], id="no right"),
        pytest.param(
            Forbidden('cannot list resource "workflows" at the cluster scope', status=403),
            ["with -n"],
            id="not everywhere",
        ),
        pytest.param(NotFound('workflows "x" not found', status=404), ['"x" not found', "workflow list"], id="no such"),
        pytest.param(
            NotFound('cronworkflows.flow.workflow.sh "x" not found', status=404),
            ["workflow cron list"],
            id="no such cron",
        ),
        pytest.param(Refused("\x1b]0;x\x07no\nno", status=422), ["no no"], id="what would steer the terminal"),
        pytest.param(
            Refused("field label not supported: spec.x", status=400),
            ["spec.x; --field-selector takes metadata.name"],
            id="a field that cannot be selected",
        ),
        pytest.param(
            Refused("unable to parse requirement: found '', expected: ',' or ')'", status=400),
            ["; write a label selector like team=a,tier!=b or 'team in (a,b)'"],
            id="no selector",
        ),
        pytest.param(NotServed("not served", status=404), ["install the CRDs", SERVER], id="no CRDs"),
        pytest.param(Unauthorized("Unauthorized", status=401), ["does not accept", "log in"], id="no login"),
        pytest.param(Exists("already exists", status=409), ["another name"], id="a name that is taken"),
        pytest.param(Conflict("was modified", status=409), ["run the command again"], id="somebody else was faster"),
        pytest.param(Refused("spec is invalid", status=422), ["spec is invalid"], id="a faulty object"),
        pytest.param(Throttled("slow down", status=429), ["busy"], id="a busy server"),
        pytest.param(Transient("connection refused"), ["reachable", "--context"], id="no server"),
    ],
)
def test_one_line_says_what_to_do(error: KubeError, words: list[str]) -> None:
    problem = problem_of(error, SERVER)
    assert [word for word in words if word not in problem.message] == []
    assert "\n" not in problem.message
    assert problem.exit_code == 1


def test_lines_are_joined() -> None:
    assert Problem("one\n  two").message == "one two"
