"""When the job of an attempt ended, and whose attempt it is."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.meta import GVR, Job
from pkg.views.attempts import by_task, ended_at
from pkg.views.durations import seconds_of
from tests.manifests import decoded

END = "2027-01-15T08:00:07Z"
FAILED = {"type": "Failed", "status": "True", "lastTransitionTime": END}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param({"completionTime": END}, END, id="a Job that succeeded"),
        pytest.param({"conditions": [FAILED]}, END, id="a Job that failed"),
        pytest.param({"conditions": [{**FAILED, "status": "False"}]}, None, id="a condition that is not true"),
        pytest.param({"finishedAt": END}, END, id="an Argo Workflow"),
        pytest.param({"endTime": "soon", "conditions": "none"}, None, id="a custom resource with other words"),
        pytest.param(
            {"containerStatuses": [{"state": {"terminated": {"finishedAt": END}}}]}, END, id="the container of a Pod"
        ),
        pytest.param({}, None, id="a job that runs"),
    ],
)
def test_ended_at(status: dict[str, Any], text: str | None) -> None:
    assert ended_at(status) == seconds_of(text)


def test_attempts_are_ordered_and_those_without_our_labels_left_out() -> None:
    def job(name: str, **tags: str) -> tuple[GVR, Job]:
        found = {f"flow.workflow.sh/{key}": value for key, value in tags.items()}
        return GVR("batch", "v1", "jobs"), decoded(
            {"metadata": {"name": name, "creationTimestamp": END, "labels": found}}, Job
        )

    jobs = [job("b", flow="f", index="2", attempt="10"), job("a", flow="f", index="2", attempt="9"), job("c", flow="f")]
    found = by_task([*jobs, job("d", flow="g", attempt="0"), job("e", flow="g", attempt="x")])
    assert {task: [one.job for one in some] for task, some in found.items()} == {("f", 2): ["a", "b"], ("g", 0): ["d"]}
