"""`render` prints the jobs as kubectl would take them, with the parts that only a run knows marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner, Result

from pkg.cli.app import command
from tests.unit.cli.conftest import Golden

FILE = """apiVersion: flow.workflow.sh/v1alpha1
kind: WorkTemplate
metadata: {name: step}
spec:
  gvr: {group: batch, version: v1, resource: jobs}
  parameters: [{name: text, value: hello}, {name: tries, value: "0"}]
  jobSpec:
    backoffLimit: "{{params.tries}}"
    template:
      spec:
        restartPolicy: Never
        containers:
        - name: main
          image: busybox:1.36
          command: [sh, -c, "echo {{params.text}}\\nsleep 1\\n"]
---
apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {name: nightly}
spec:
  flows:
  - {name: one, template: step}
  - {name: two, template: step, for: {replicas: 2}, dependsOn: {targets: [one]}}
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", "nowhere")  # it must not be read
    Path("w.yaml").write_text(FILE)


def render(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(command, ["render", *arguments], input=text)


def test_yaml(golden: Golden) -> None:
    done = render("w.yaml", "--flow=two", "-p", "text=bye", "-n", "team")
    assert (done.exit_code, done.stderr) == (0, "")
    golden(done.stdout.rstrip("\n").split("\n"))


def test_yaml_and_json_are_the_same_objects() -> None:
    objects = list(yaml.safe_load_all(render("w.yaml").stdout))
    parts = render("w.yaml", "-o", "json").stdout.split("\n}\n")
    found = [msgspec.json.decode(f"{part}\n}}") for part in parts if part]
    assert found == objects
    assert render("w.yaml", "-o", "name").stdout.split() == [
        f"jobs.batch/{each['metadata']['name']}" for each in objects
    ]


def test_a_pipe_and_a_generated_name() -> None:
    done = render("-", "-o", "name", text=FILE.replace("{name: nightly}", "{generateName: n-}"))
    assert done.stdout.splitlines()[0] == "jobs.batch/n-xxxxx-one"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(
            ["w.yaml", "--flow", "tow"],
            1,
            'Workflow nightly: no flow is named "tow"; there are one, two',
            id="an unknown flow",
        ),
        pytest.param(["w.yaml", "--index", "5"], 1, "has an index 5; the highest is 1", id="an unknown index"),
        pytest.param(
            ["w.yaml", "--index", "a"], 2, '"a" is no index: write numbers and ranges, such as 0-3,7', id="no index"
        ),
        pytest.param(
            ["w.yaml", "--index", "5-2"], 2, "the range 5-2 runs backwards; write 2-5", id="a range that runs backwards"
        ),
        pytest.param(["w.yaml", "--index", ""], 2, '"" is no index: write numbers', id="an empty index"),
        pytest.param(
            ["w.yaml", "--flow", "one", "--index", "0"],
            1,
            "no flow that is asked for has indexes",
            id="an index of a flow that has none",
        ),
        pytest.param(
            ["w.yaml", "--workflow", "x"],
            2,
            'no Workflow is named "x" in these files; there are nightly',
            id="an unknown name",
        ),
        pytest.param(
            ["w.yaml", "-p", "text"], 2, '"text" is no parameter: write name=value', id="a parameter without a value"
        ),
        pytest.param(["x.yaml"], 2, "x.yaml: there is no such file or folder", id="a file that is not there"),
        pytest.param([], 2, "name a file", id="nothing"),
    ],
)
def test_wrong_calls(arguments: list[str], code: int, message: str) -> None:
    done = render(*arguments)
    assert done.exit_code == code
    assert message in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "targets: [one]",
            "targets: [none]",
            "stdin:23:75: Workflow nightly: spec.flows[1].dependsOn.targets[0]: ",
            id="faults are those of lint",
        ),
        pytest.param(
            "name: one, template: step",
            "name: one, template: stepp",
            "Workflow nightly, flow one: WorkTemplate stepp is missing",
            id="a template that is not in the files",
        ),
    ],
)
def test_faults(old: str, new: str, message: str) -> None:
    done = render("-", text=FILE.replace(old, new))
    assert done.exit_code == 1
    assert message in done.stderr


def test_several_objects_are_separated() -> None:
    found: list[Any] = list(yaml.safe_load_all(render("w.yaml").stdout))
    assert [each["metadata"]["name"] for each in found] == ["nightly-one", "nightly-two-0", "nightly-two-1"]


CRON = """apiVersion: flow.workflow.sh/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["0 3 * * *"]
  workflowTemplate:
    spec:
      parameters: [{name: text, value: "{{workflow.scheduledTime}}"}]
      flows:
      - {name: one, template: step, startDelay: 5m, mutexes: [db]}
      - {name: ask, approval: {}, dependsOn: {targets: [one]}}
"""


def test_a_cron_workflow_stands_for_a_run_of_it() -> None:
    done = render("-", text=f"{FILE.partition('---')[0]}---\n{CRON}")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "# flow one",
        "# the name of a run ends with the minutes of its scheduled time, shown as xxxxxxxx",
        "# made 5m after its dependencies are met",
        "# made once its task holds mutex db",
        "# text in the cluster if the schema that it serves says so (--server asks it): spec.backoffLimit",
    ]
    assert "# what is in angle brackets, only a run knows" in lines
    assert lines[-1] == "# flow ask: makes no job, a person approves or rejects it"
    job = yaml.safe_load(done.stdout)
    assert job["metadata"]["name"] == "nightly-xxxxxxxx-one"
    main = job["spec"]["template"]["spec"]["containers"][0]
    assert main["command"][2] == "echo <scheduled time>\nsleep 1\n"
    given = render("-", "-p", "text=bye", text=f"{FILE.partition('---')[0]}---\n{CRON}").stdout
    assert yaml.safe_load(given)["spec"]["template"]["spec"]["containers"][0]["command"][2] == "echo bye\nsleep 1\n"


def test_workflows_and_cron_workflows_are_chosen_by_their_names() -> None:
    both = f"{FILE}---\n{CRON.replace('name: nightly', 'name: other')}"
    assert render("-", "-o", "name", "--workflow", "other", text=both).stdout == "jobs.batch/other-xxxxxxxx-one\n"
    assert len(render("-", "-o", "name", text=both).stdout.splitlines()) == 4
    fault = render("-", "--workflow", "other", "--flow", "x", text=both)
    assert (fault.exit_code, fault.stderr) == (
        1,
        'error: CronWorkflow other: no flow is named "x"; there are one, ask\n',
    )


def test_a_parameter_that_nothing_uses_is_named() -> None:
    done = render("w.yaml", "-o", "name", "-p", "txet=1", "-p", "text=2")
    assert done.exit_code == 0
    (line,) = done.stderr.splitlines()
    assert "warning: Workflow nightly: spec.parameters[0].name: " in line
    assert 'parameter "txet" is given, and nothing in any flow or template uses it; did you mean "text"?' in line


def test_a_workflow_of_another_system_is_named() -> None:
    done = render("-", text="{apiVersion: flow.volcano.sh/v1alpha1, kind: JobFlow, metadata: {name: j}}")
    assert done.exit_code == 2
    assert "; JobFlow j is of flow.volcano.sh/v1alpha1, which kubectl workflow convert - translates\n" in done.stderr


def test_an_index_leaves_out_flows_without_indexes() -> None:
    assert render("w.yaml", "-o", "name", "--index", "0").stdout == "jobs.batch/nightly-two-0\n"
