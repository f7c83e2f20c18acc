"""The annotation of the scheduled time: it is judged when a Workflow is created, and changed by nobody afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.labels import SCHEDULED
from pkg.webhooks.admit.scheduled import annotation_fault
from pkg.webhooks.review import Operation
from tests.unit.webhooks.objects import request, workflow

TIME = "2027-03-28T03:00:00+02:00"


def run(time: str | None = TIME, **meta: Any) -> dict[str, Any]:
    notes = {SCHEDULED: time} if time is not None else {}
    return workflow({"name": "a"}, meta={"annotations": notes, **meta})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(None, run(), "", id="a creation with a time"),
        pytest.param(None, run(None), "", id="a creation without one"),
        pytest.param(None, run("2027-03-28"), "must be a time with its offset", id="a creation with a day alone"),
        pytest.param(None, run("2027-03-28T03:00:00"), "must be a time with its offset", id="one without an offset"),
        pytest.param(None, run("tomorrow"), 'not "tomorrow"', id="a creation with something else"),
        pytest.param(run(), run(), "", id="an update that leaves it"),
        pytest.param(run(), run("2027-03-29T03:00:00+02:00"), "cannot be changed", id="an update that changes it"),
        pytest.param(run(), run(None), "cannot be changed", id="an update that takes it off"),
        pytest.param(run(None), run(), "cannot be changed", id="an update that adds it"),
        pytest.param(run("old"), run("old"), "", id="one that is not read as a time, but is left"),
        pytest.param(
            run(),
            run(None, deletionTimestamp="2027-03-28T04:00:00Z"),
            "",
            id="a Workflow under deletion: its finalizers must go",
        ),
    ],
)
def test_the_annotation(old: dict[str, Any] | None, new: dict[str, Any], message: str) -> None:
    found = annotation_fault(request(new, old))
    assert (found is not None) == bool(message)
    if found is not None:
        assert found.path == "metadata.annotations"
        assert message in found.message


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.UPDATE])
def test_a_request_that_cannot_be_read_is_judged_elsewhere(operation: Operation) -> None:
    assert annotation_fault(request({"metadata": {"annotations": 5}}, {"metadata": 3}, operation)) is None
