"""Manifests that `convert` makes run on a real cluster as `plan` foretells, and `graph` shows them in their phases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS
from pkg.cli.app import command
from pkg.views.manifests.writing import as_yaml
from tests.cluster.conftest import make_world
from tests.cluster.support.controller import Controller
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster

ARGO = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: regions}
spec:
  entrypoint: main
  onExit: run
  templates:
  - name: main
    dag:
      tasks:
      - {name: start, template: run}
      - {name: never, template: run, dependencies: [start], when: "{{workflow.name}} == other"}
      - {name: after, template: run, dependencies: [never]}
      - {name: undo, template: run, depends: start.Failed}
      - name: region
        template: region
        dependencies: [start]
        withItems: [eu, us]
        arguments: {parameters: [{name: name, value: "{{item}}"}]}
  - name: region
    inputs: {parameters: [{name: name}]}
    steps:
    - - name: up
        template: say
        arguments: {parameters: [{name: text, value: "up {{inputs.parameters.name}}"}]}
    - - {name: down, template: run, withSequence: {count: "2"}}
  - name: run
    metadata: {annotations: {sim.workflow.sh/run-for: 0.1s}}
    container: {image: "busybox:1.36", command: ["true"]}
  - name: say
    metadata: {annotations: {sim.workflow.sh/run-for: 0.1s}}
    inputs: {parameters: [{name: text}]}
    container: {image: "busybox:1.36", command: [echo, "{{inputs.parameters.text}}"]}
"""


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    made = make_world(cluster.api(), "cli-offline")
    yield made
    made.remove()


@pytest.fixture(scope="module", autouse=True)
def controller(cluster: Cluster, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    own = [f"--namespace={world.namespace}", f"--leader-elect-resource-namespace={world.namespace}", "--workers=2"]
    made = Controller(cluster, tmp_path_factory.mktemp("controller") / "log", *own, *NO_SERVERS)
    made.wait_acting()
    yield made
    made.close()


def test_a_converted_workflow_runs_as_it_was_planned(
    cluster: Cluster, world: World, kubeconfig: Path, tmp_path: Path
) -> None:
    argo, ours = tmp_path / "argo.yaml", tmp_path / "ours.yaml"
    argo.write_text(ARGO)
    run = CliRunner()
    converted = run.invoke(command, ["convert", str(argo)])
    assert converted.exit_code == 0, converted.stderr
    ours.write_text(converted.stdout)
    planned = json.loads(run.invoke(command, ["plan", "-f", str(ours), "-o", "json"]).stdout)
    world.create_all(yaml.safe_load_all(converted.stdout))
    status = world.wait_phase("regions")
    assert status["phase"] == planned["phase"] == "Succeeded"
    ended = {flow["name"]: flow["phase"] for flow in status["flows"]}
    assert ended == {
        **{attempt["flow"]: attempt["result"] for attempt in planned["attempts"]},
        **{task["flow"]: task["phase"] for task in planned["notRun"]},
    }
    assert ended["never"] == ended["undo"] == "Skipped"
    assert ended["after"] == ended["region-1-down"] == ended["run"] == "Succeeded"
    flags = [f"--kubeconfig={kubeconfig}", f"--namespace={world.namespace}"]
    drawn = run.invoke(command, ["graph", "regions", "-o", "svg", *flags])
    assert drawn.exit_code == 0, drawn.output
    assert drawn.stdout.count('class="box Succeeded') + drawn.stdout.count('class="box Skipped') == len(ended)
    missing = run.invoke(command, ["graph", "nobody", *flags])
    assert missing.exit_code == 1
    assert "nobody" in missing.stderr


FILES = sorted((Path(__file__).parents[1] / "unit" / "convert" / "manifests").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_api_server_takes_what_convert_makes(file: Path, world: World, kubeconfig: Path) -> None:
    """Strictly, in a dry run: CronWorkflows, Workflows and WorkTemplates."""
    run = CliRunner()
    converted = run.invoke(command, ["convert", str(file)]).stdout
    ours = [one for one in yaml.safe_load_all(converted) if one["apiVersion"].startswith("flow.workflow.sh/")]
    flags = [f"--kubeconfig={kubeconfig}", f"--namespace={world.namespace}"]
    for one in ours:
        one["metadata"].pop("namespace", None)
    judged = run.invoke(command, ["lint", "--server", "-", *flags], input="---\n".join(as_yaml(one) for one in ours))
    assert judged.exit_code == 0, judged.output
    if file.stem == "argo-cron":
        assert "1 CronWorkflow" in judged.stderr
