"""The text of `plan` at two widths, its JSON, and what it says of manifests that cannot run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result
from pytest_regressions.file_regression import FileRegressionFixture

from pkg.cli.app import command
from pkg.cli.output import Screen

STEP: Final = """
apiVersion: flow.workflow.sh/v1alpha1
kind: WorkTemplate
metadata: {name: step}
spec:
  gvr: {group: batch, version: v1, resource: jobs}
  jobSpec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "busybox:1.36"}]}}}
"""
NIGHTLY: Final = f"""{STEP}---
apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {{name: nightly}}
spec:
  flows:
  - {{name: fetch, template: step}}
  - {{name: train, template: step, for: {{replicas: 4, parallelism: 2}}, dependsOn: {{targets: [fetch]}},
     retry: {{maxRetries: 2, interval: 30s}}}}
  - {{name: publish-the-trained-model-to-the-registry, template: step, dependsOn: {{targets: [train]}}}}
  - {{name: alarm, template: step,
     dependsOn: {{probe: {{taskStatusList: [{{taskName: train, phase: Failed}}]}}}}}}
  - {{name: report, template: step, finally: true}}
"""
GIVEN: Final = ["-d", "train=10m", "-d", "train/3=25m", "--fail", "train/1:1", "-d", "fetch=90s"]


def plan(tmp_path: Path, text: str, *args: str) -> Result:
    file = tmp_path / "w.yaml"
    file.write_text(text)
    return CliRunner().invoke(command, ["plan", "-f", str(file), *args])


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(GIVEN, id="with a retry"),
        pytest.param([*GIVEN, "--attempts"], id="a row for each attempt"),
        pytest.param([*GIVEN, "--fail", "train/2"], id="with a failure"),
    ],
)
def test_text(
    width: int, args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_regression: FileRegressionFixture
) -> None:
    monkeypatch.setattr("pkg.cli.verbs.plan.screen", lambda: Screen(width))
    found = plan(tmp_path, NIGHTLY, *args)
    assert found.exit_code == 0
    assert max(map(len, found.output.splitlines())) <= width
    file_regression.check(found.output)


def test_json(tmp_path: Path) -> None:
    found = json.loads(plan(tmp_path, NIGHTLY, *GIVEN, "-o", "json").output)
    assert found["makespanSeconds"] == 90 + 600 + 1500 + 60 + 60
    assert [task["flow"] for task in found["criticalPath"]] == [
        "fetch",
        "train",
        "train",
        *["publish-the-trained-model-to-the-registry"],
        "report",
    ]


def test_more_jobs_at_once(tmp_path: Path) -> None:
    found = json.loads(plan(tmp_path, NIGHTLY, "--max-parallel", "1", "-o", "json").output)
    assert found["parallelism"]["peak"] == 1


@pytest.mark.parametrize(
    ("text", "args", "code", "message"),
    [
        pytest.param(NIGHTLY, ["-d", "fetch"], 2, "'fetch': write it like flow=5m", id="a duration without ="),
        pytest.param(NIGHTLY, ["-d", "x=1m"], 1, "error: no flow is named 'x'", id="an unknown flow"),
        pytest.param(
            NIGHTLY, ["other"], 1, "have no Workflow other; they have Workflow nightly", id="another workflow"
        ),
        pytest.param(STEP, [], 1, "error: the files have no Workflow and no CronWorkflow", id="no workflow"),
        pytest.param(
            NIGHTLY.replace("targets: [fetch]", "targets: [fitch]"), [], 1, 'no flow is named "fitch"', id="a fault"
        ),
        pytest.param(
            "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: w}}",
            [],
            1,
            "no CronWorkflow; Workflow w is of argoproj.io/v1alpha1, which kubectl workflow convert ",
            id="a Workflow of Argo",
        ),
        pytest.param(
            NIGHTLY,
            ["--output-value", "train.x=1"],
            0,
            'warning: --output-value: flow train has no output "x", so nothing uses it\n',
            id="a value of no output",
        ),
        pytest.param("a: [", [], 1, "w.yaml:2:1: this is no YAML", id="no YAML"),
    ],
)
def test_faults(tmp_path: Path, text: str, args: list[str], code: int, message: str) -> None:
    found = plan(tmp_path, text, *args)
    assert found.exit_code == code
    assert message in found.output


def test_rows_of_a_large_workflow_are_left_out(tmp_path: Path) -> None:
    flows = "".join(f"  - {{name: f{at}, template: step}}\n" for at in range(60))
    head = "apiVersion: flow.workflow.sh/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n  flows:\n"
    text = f"{STEP}---\n{head}{flows}"
    few = plan(tmp_path, text, "-d", "f59=5m").output
    assert "10 more rows are not shown; --all shows them" in few
    assert "\nf59 " in few, "the critical path is always shown"
    assert "\nf58 " in plan(tmp_path, text, "--all").output


CRON = (
    NIGHTLY.partition("---")[0]
    + """---
apiVersion: flow.workflow.sh/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["0 3 * * *"]
  workflowTemplate: {spec: {flows: [{name: at, template: step, parameters: [{name: t, value: "{{workflow.uid}}"}]}]}}
"""
)


def test_a_cron_workflow_stands_for_a_run_of_it(tmp_path: Path) -> None:
    found = plan(tmp_path, CRON, "-o", "json")
    assert [attempt["flow"] for attempt in json.loads(found.stdout)["attempts"]] == ["at"]
    both = f"{NIGHTLY}---{CRON.partition('---')[2]}"
    said = plan(tmp_path, both).stderr
    assert said == "error: the files have several Workflows; name one of them: CronWorkflow nightly, Workflow nightly\n"
    assert "the files have several of that name" in plan(tmp_path, both, "nightly").stderr
    broken = plan(tmp_path, CRON.replace("flows:", "flowz:")).stderr
    assert broken.count("\n") == 1
    assert "flowz" in broken


def test_a_semaphore_takes_its_places_from_a_config_map_in_the_files(tmp_path: Path) -> None:
    limits = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits}\ndata: {db: '3'}\n"
    lock = "template: step, semaphores: [{configMapKeyRef: {name: limits, key: db}}], for: {replicas: 4}"
    text = (
        NIGHTLY.replace("name: train, template: step, for: {replicas: 4, parallelism: 2}", f"name: train, {lock}")
        + limits
    )
    assert json.loads(plan(tmp_path, text, "-o", "json").stdout)["parallelism"]["peak"] == 3
    given = plan(tmp_path, text, "-o", "json", "--semaphore", "limits/db=1").stdout
    assert json.loads(given)["parallelism"]["peak"] == 1
    wrong = plan(tmp_path, text, "--semaphore", "limits/bd=1")
    assert (wrong.exit_code, wrong.stderr) == (1, "error: no flow takes a semaphore limits/bd\n")
