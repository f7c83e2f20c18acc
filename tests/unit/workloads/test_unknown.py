"""Statuses that no rule knows are named, so that a job that stays Pending for ever does not do so in silence."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.meta import GVR
from pkg.workloads import UNKNOWN_STATUS, JobState, read, rules_for, with_rules
from pkg.workloads.model import KindRow, convert_rules
from tests.unit.workloads.builders import cond, conds, gvr, job

GENERIC = rules_for(GVR("example.com", "v1", "widgets"))
ADVICE = ", which no rule knows; say in spec.statusRules of the WorkTemplate what it means"


def ruled(**rules: list[dict[str, Any]]) -> KindRow:
    """The generic row with rules of a template."""
    return with_rules(GENERIC, convert_rules(rules, where="spec.statusRules"))


BAKED = ruled(ok=[{"path": "status.step", "eq": "Baked"}])


@pytest.mark.parametrize(
    ("row", "status", "words"),
    [
        pytest.param(GENERIC, {"phase": "Baking"}, 'its phase is "Baking"', id="a phase of a kind without a row"),
        pytest.param(GENERIC, {"state": "Unknown"}, 'its phase is "Unknown"', id="the word Unknown is no answer"),
        pytest.param(
            GENERIC, conds(cond("Baked")), "its condition Baked is True", id="a condition that no rule reads is True"
        ),
        pytest.param(
            GENERIC,
            conds(cond("Mixed"), cond("Baked"), cond("Cooled", "False")),
            "its conditions Mixed, Baked are True",
            id="several conditions",
        ),
        pytest.param(
            GENERIC,
            {"step": "x", "oven": 3, "hot": True, "parts": [1], "startTime": "2026-01-01T00:00:00Z"},
            'its status is {step: "x", oven: 3, hot: true, parts: [...]}',
            id="other fields, without times",
        ),
        pytest.param(
            GENERIC, {"phase": "a\n" + "b" * 200}, f'its phase is "a {"b" * 97}…"', id="a long word is one short line"
        ),
        pytest.param(
            BAKED, {"step": "Mixing"}, 'status.step is "Mixing"', id="a word at a path of the template's rules"
        ),
        pytest.param(
            ruled(ok=[{"cel": "object.status.step == 'Baked'"}]),
            {"step": "Mixing", "count": 1},
            'its status is {step: "Mixing"}',
            id="with rules in CEL, the texts of the status",
        ),
        pytest.param(
            rules_for(gvr("rayjobs.v1.ray.io")),
            {"jobDeploymentStatus": "Exploring"},
            'status.jobDeploymentStatus is "Exploring"',
            id="a new word of a kind that has a row",
        ),
        pytest.param(
            rules_for(gvr("pods.v1")), {"phase": "Unknown"}, 'status.phase is "Unknown"', id="a pod on a lost node"
        ),
    ],
)
def test_a_status_that_no_rule_knows_is_quoted(row: KindRow, status: dict[str, Any], words: str) -> None:
    reading = read(row, job(status))
    assert (reading.state, reading.reason, reading.message) == (JobState.PENDING, UNKNOWN_STATUS, words + ADVICE)


@pytest.mark.parametrize(
    ("row", "status"),
    [
        pytest.param(GENERIC, {}, id="no status at all"),
        pytest.param(GENERIC, {"phase": "Queued"}, id="a word that means not yet"),
        pytest.param(GENERIC, {"observedGeneration": 1, "startTime": "2026-01-01T00:00:00Z"}, id="times alone"),
        pytest.param(GENERIC, conds(cond("Succeeded", "Unknown")), id="a known condition that is not decided"),
        pytest.param(GENERIC, conds(cond("Baked", "False")), id="a condition that is not True"),
        pytest.param(BAKED, {"step": "waiting"}, id="a word that means not yet, at a path of the rules"),
        pytest.param(BAKED, {"count": 1}, id="with rules of the template, fields that they do not read"),
        pytest.param(
            rules_for(gvr("jobs.v1.batch")), {"active": 1, "startTime": "x"}, id="a batch Job whose pod waits"
        ),
        pytest.param(rules_for(gvr("pods.v1")), {"phase": "Pending"}, id="a pod that waits for its image"),
        pytest.param(
            rules_for(gvr("pytorchjobs.v1.kubeflow.org")), conds(cond("Created")), id="a Kubeflow job at first"
        ),
    ],
)
def test_a_status_that_says_little_is_not_unknown(row: KindRow, status: dict[str, Any]) -> None:
    reading = read(row, job(status))
    assert (reading.state, reading.reason) in {
        (JobState.PENDING, ""),
        (JobState.PENDING, "Created"),
        (JobState.PENDING, "Pending"),
    }
