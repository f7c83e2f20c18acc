"""explain-kind prints every row, plainly when piped, and answers a wrong name with the right form."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pkg.apis.meta import GVR
from pkg.controllers.app import command
from pkg.controllers.explain import _CALLS, parse_kind, sections
from pkg.workloads import registry
from pkg.workloads.functions import FUNCTIONS


def explain(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, ["explain-kind", *arguments], prog_name="workflow-controller")
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("text", "gvr"),
    [
        pytest.param("jobs.v1.batch", GVR("batch", "v1", "jobs"), id="as status has it"),
        pytest.param("pods.v1", GVR("", "v1", "pods"), id="of the core group"),
        pytest.param("batch/v1/jobs", GVR("batch", "v1", "jobs"), id="as a path"),
        pytest.param("v1/pods", GVR("", "v1", "pods"), id="as a path of the core group"),
        pytest.param(
            "jobs.v1alpha1.batch.volcano.sh", GVR("batch.volcano.sh", "v1alpha1", "jobs"), id="a group with dots"
        ),
    ],
)
def test_forms(text: str, gvr: GVR) -> None:
    assert parse_kind(text) == gvr


@pytest.mark.parametrize("text", ["", "Job", "jobs", "jobs.batch", "batch/v1/jobs/status", "batch/v1/Job"])
def test_a_name_that_is_no_resource_says_what_would_be_right(text: str) -> None:
    code, output = explain(text)
    assert code == 2
    assert "as in jobs.v1.batch or pods.v1" in " ".join(output.split())


@pytest.mark.parametrize("row", registry().kinds, ids=lambda row: f"{row.resource}.{row.version or 'v1'}.{row.group}")
def test_every_row_can_be_printed(row: object) -> None:
    from pkg.workloads import KindRow

    assert isinstance(row, KindRow)
    found = dict(sections(GVR(row.group, row.version or "v1", row.resource)))
    texts = [text for lines in found.values() for _, text in lines]
    assert all(texts)
    assert (len(found) == 1) is bool(row.refused)


def test_every_function_has_words() -> None:
    assert _CALLS.keys() == FUNCTIONS.keys()


def test_piped_it_is_plain_lines() -> None:
    code, output = explain("batch/v1/jobs")
    assert code == 0
    assert "  kind: Job\n" in output
    assert "  Failed: condition Failed is True\n" in output
    assert "\x1b" not in output


def test_a_kind_without_a_row_is_said_to_be_judged_by_the_generic_rules() -> None:
    code, output = explain("widgets.v1.example.com")
    assert code == 0
    assert "without a row here" in output
    assert "generic rules" in output


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        pytest.param("jobs.v1.batch", "found by: the labels flow.workflow.sh/*", id="labels reach its templates"),
        pytest.param(
            "trainjobs.v1alpha1.trainer.kubeflow.org",
            "found by: jobset.sigs.k8s.io/jobset-name={name}",
            id="its operator marks them",
        ),
        pytest.param(
            "jobflows.v1alpha1.flow.volcano.sh",
            "found by: nothing: its pods are not found, so probes and podIP get no address",
            id="unknown",
        ),
    ],
)
def test_how_its_pods_are_found_is_said(kind: str, line: str) -> None:
    assert line in explain(kind)[1]


def test_a_refused_kind_says_why_and_nothing_else() -> None:
    code, output = explain("cronjobs.v1.batch")
    assert code == 0
    assert "refused: a CronJob never finishes" in output
    assert "How its state is read" not in output


def test_the_command_without_a_command_still_checks_its_flags() -> None:
    done = CliRunner().invoke(command, ["--workers=0"], prog_name="workflow-controller")
    assert done.exit_code == 2
    assert "1<=x<=256" in done.output
