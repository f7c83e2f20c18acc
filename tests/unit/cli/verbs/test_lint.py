"""`lint` prints each fault with its place, and exits 1 if there is one. Both commands have the same `lint`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pkg.cli.app import command as kubectl_workflow
from pkg.controllers.app import command as workflow_controller
from tests.unit.views.test_lint import STEP, workflow

CRON = """apiVersion: flow.workflow.sh/v1alpha1
kind: CronWorkflow
metadata: {name: c}
spec:
  workflowTemplate: {spec: {flows: [{name: a, template: step}]}}
  schedules: ["0 3 * * *"]
"""
GOOD = f"{STEP % 'x'}---{workflow()}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "command", [kubectl_workflow, workflow_controller], ids=["kubectl workflow", "workflow-controller"]
)
@pytest.mark.parametrize(
    ("text", "code", "lines", "summary"),
    [
        pytest.param(GOOD, 0, [], "1 file, 1 Workflow, 1 WorkTemplate: no faults, no warnings", id="0 without faults"),
        pytest.param(
            workflow(),
            0,
            ["w.yaml:7:15: warning: Workflow w: spec.flows[0].template: "],
            "1 file, 1 Workflow, no WorkTemplates: no faults, 1 warning",
            id="0 with warnings alone",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('dependsOn: {targets: [b]}')}",
            1,
            ["w.yaml:14:53: Workflow w: spec.flows[0].dependsOn.targets[0]: "],
            "1 file, 1 Workflow, 1 WorkTemplate: 1 fault, no warnings",
            id="1 with a fault",
        ),
        pytest.param(
            "a: [",
            1,
            ["w.yaml:2:1: this is no YAML: "],
            "1 file, no Workflows, no WorkTemplates: 1 fault, no warnings",
            id="1 where it is no YAML",
        ),
        pytest.param(
            f"{STEP % 'x'}---\n{CRON}",
            0,
            [],
            "1 file, no Workflows, 1 WorkTemplate, 1 CronWorkflow: no faults, no warnings",
            id="0 with a CronWorkflow",
        ),
        pytest.param(
            CRON.replace("0 3 * * *", "\\x1b[2J"),
            1,
            ["w.yaml:5:47: warning: CronWorkflow c: ", "w.yaml:6:15: CronWorkflow c: spec.schedules[0]: "],
            "1 file, no Workflows, no WorkTemplates, 1 CronWorkflow: 1 fault, 1 warning",
            id="1 with a schedule that would clear the screen",
        ),
        pytest.param(
            "kind: Pod\n",
            0,
            [],
            "1 file: no Workflow, no WorkTemplate and no CronWorkflow in it",
            id="0 where nothing is ours, and it says so",
        ),
        pytest.param(
            "{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: p}}",
            0,
            [],
            "1 file: no Workflow, no WorkTemplate and no CronWorkflow in it; Pipeline p is of tekton.dev/v1, which"
            " kubectl workflow convert w.yaml translates",
            id="0 with a Pipeline of Tekton, and it says what to do",
        ),
    ],
)
def test_what_is_printed(command: click.Command, text: str, code: int, lines: list[str], summary: str) -> None:
    Path("w.yaml").write_text(text)
    done = CliRunner().invoke(command, ["lint", "w.yaml"])
    assert done.exit_code == code
    assert "\x1b" not in done.stdout
    found = done.stdout.splitlines()
    assert len(found) == len(lines)
    assert all(line.startswith(beginning) for line, beginning in zip(found, lines, strict=True))
    assert done.stderr == f"{summary}\n"


def test_files_folders_and_a_pipe() -> None:
    Path("d").mkdir()
    Path("d/t.yaml").write_text(STEP % "x")
    done = CliRunner().invoke(kubectl_workflow, ["lint", "d", "-f", "-"], input=workflow("dependsOn: {targets: [b]}"))
    assert (done.exit_code, done.stdout[:40]) == (1, "stdin:7:53: Workflow w: spec.flows[0].de")
    assert done.stderr == "2 files, 1 Workflow, 1 WorkTemplate: 1 fault, no warnings\n"


def test_a_change_of_what_runs() -> None:
    Path("new.yaml").write_text(f"{STEP % 'x'}---{workflow('continueOnFail: true')}")
    Path("old.yaml").write_text(workflow())
    done = CliRunner().invoke(kubectl_workflow, ["lint", "new.yaml", "--running", "old.yaml"])
    assert (done.exit_code, done.stdout[:66]) == (
        1,
        "new.yaml:14:31: Workflow w: spec.flows[0].continueOnFail: cannot c",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["nowhere.yaml"], "error: nowhere.yaml: there is no such file or folder\n", id="a file that is not there"
        ),
        pytest.param(
            [],
            "error: name a file, a folder, or - for what comes through a pipe; command lint --help says more\n",
            id="nothing",
        ),
    ],
)
def test_a_wrong_call(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(kubectl_workflow, ["lint", *arguments])
    assert done.exit_code == 2
    assert done.stderr.endswith(message)
