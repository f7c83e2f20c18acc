"""What a person reads whose CronWorkflow is refused, or is probably not meant, while the webhook runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from tests.cluster.support.crons import cron
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import API, flow, template, workflow
from tests.cluster.support.webhook import asked_webhook
from tests.cluster.support.world import World
from tests.cluster.test_admission import DENIED, Kubectl

pytestmark = pytest.mark.cluster
ROOT = "spec.workflowTemplate.spec"
SCHEDULED = "flow.workflow.sh/scheduled-time"
TIME = "2027-03-28T03:00:00+02:00"


@pytest.fixture(scope="module", autouse=True)
def _webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with asked_webhook(cluster, tmp_path_factory.mktemp("webhook")):
        yield


@pytest.fixture
def kubectl(cluster: Cluster, world: World) -> Kubectl:
    return Kubectl(cluster, world)


def nightly(*schedules: str, flows: list[Object] | None = None, **spec: Any) -> Object:
    return cron("nightly", *(schedules or ("0 2 * * *",)), flows=flows or [flow("a")], **spec)


@pytest.mark.parametrize(
    ("manifest", "line"),
    [
        pytest.param(
            nightly("0 0 30 2 *"),
            "spec.schedules[0]: never fires: no month of 2 has a day 30",
            id="a schedule that never fires",
        ),
        pytest.param(
            nightly("0 2 * *"),
            "spec.schedules[0]: has 4 fields, and needs 5: minute, hour, day of month, month and day of week, such as",
            id="a schedule with a field too few",
        ),
        pytest.param(
            nightly("61 * * * *"),
            'spec.schedules[0]: the minute "61" is none; write 0 to 59, a list (1,2), a range (1-5) or a step (*/5)',
            id="a minute that there is not",
        ),
        pytest.param(
            nightly(timeZone="Mars/Base"),
            "spec.timeZone: no time zone has this name; write one of the IANA's, such as Europe/Berlin",
            id="a time zone that is not there",
        ),
        pytest.param(
            nightly(workflow={"shutdown": "Stop"}),
            f"{ROOT}.shutdown: steers one Workflow; remove it here, and set it on the run that it is for",
            id="a field that steers one run",
        ),
        pytest.param(
            nightly(flows=[flow("a", "b")]),
            f'{ROOT}.flows[0].dependsOn.targets[0]: no flow is named "b"',
            id="a fault of the Workflow",
        ),
        pytest.param(
            nightly(flows=[flow("a", mutexes=["db"])], workflow={"mutexes": ["db"]}),
            "mutexes",
            id="locks on two levels of the Workflow",
        ),
        pytest.param(
            nightly(template={"metadata": {"labels": {"flow.workflow.sh/flow": "a"}}}),
            "spec.workflowTemplate.metadata.labels",
            id="a label of ours",
        ),
    ],
)
def test_a_cronworkflow_that_cannot_be_is_refused_with_field_and_cause(
    kubectl: Kubectl, manifest: Object, line: str
) -> None:
    said, errors = kubectl("apply", send=[template("step"), manifest])
    assert said == ["worktemplate.flow.workflow.sh/step created"]
    text = "\n".join(errors)
    print(text)
    assert DENIED in text
    assert line in text


def test_a_name_to_which_the_minute_does_not_fit_is_refused_by_the_crd(kubectl: Kubectl) -> None:
    errors = kubectl("apply", send=[cron("n" * 53, "@daily", flows=[flow("a")])])[1]
    assert "metadata.name may have at most 52 characters: the names of its runs are longer" in "".join(errors)


@pytest.mark.parametrize(
    ("manifest", "line"),
    [
        pytest.param(
            nightly(startingDeadlineSeconds=3),
            "spec.startingDeadlineSeconds: is short: a run that is made a few seconds late is missed; 10 or more",
            id="a short deadline",
        ),
        pytest.param(
            nightly("@daily", "0 0 * * *"),
            "spec.schedules[1]: says the same as spec.schedules[0]; remove one",
            id="two schedules that say the same",
        ),
        pytest.param(
            nightly(flows=[flow("a", of="nowhere")]),
            f'{ROOT}.flows[0].template: WorkTemplate "nowhere" does not exist in this namespace',
            id="a template that does not exist",
        ),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(kubectl: Kubectl, manifest: Object, line: str) -> None:
    said, warnings = kubectl("apply", send=[template("step"), manifest])
    assert said[-1] == "cronworkflow.flow.workflow.sh/nightly created"
    assert [text for text in warnings if line in text], warnings


def test_an_edit_is_judged_like_a_creation_and_a_good_one_passes_in_silence(kubectl: Kubectl) -> None:
    assert kubectl("apply", send=[template("step"), nightly()])[1] == []
    assert DENIED in "".join(kubectl("apply", send=[nightly("0 0 31 4 *")])[1])
    said, warnings = kubectl("apply", send=[nightly("0 3 * * *")])
    assert (said, warnings) == (["cronworkflow.flow.workflow.sh/nightly configured"], [])


def test_a_run_alone_has_a_scheduled_time_and_nobody_changes_it(world: World, kubectl: Kubectl) -> None:
    world.create(template("step"))
    uses = [{**flow("a"), "parameters": [{"name": "when", "value": "{{workflow.scheduledTime}}"}]}]
    by_hand = {**workflow("w"), "spec": {"flows": uses}}
    assert "{{workflow.scheduledTime}}" in "".join(kubectl("apply", send=[by_hand])[1])
    made_up = {**by_hand, "metadata": {"name": "w", "annotations": {SCHEDULED: TIME}}}
    assert DENIED not in "".join(kubectl("apply", send=[made_up])[1])
    with pytest.raises(ApiStatusError, match="cannot be changed: jobs may have been made with it"):
        world.patch(world.workflow_path("w"), {"metadata": {"annotations": {SCHEDULED: "2027-03-29T03:00:00+02:00"}}})
    late = {**workflow("late", flow("a")), "metadata": {"name": "late", "annotations": {SCHEDULED: "tomorrow"}}}
    assert "must be a time with its offset" in "".join(kubectl("apply", send=[late])[1])


def test_the_kind_is_that_of_the_crd(kubectl: Kubectl) -> None:
    assert nightly()["apiVersion"] == API
    said, _ = kubectl("explain", "cwkf.spec.schedules")
    assert any("schedules" in line for line in said)
