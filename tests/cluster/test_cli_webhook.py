"""`kubectl workflow` where the admission webhook is installed: what it refuses and warns of is one line for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS
from pkg.apis.flow.v1alpha1 import people
from tests.cluster.conftest import make_world
from tests.cluster.support import manifests as m
from tests.cluster.support.controller import Controller
from tests.cluster.support.history import Object
from tests.cluster.support.terminal import Done, Terminal
from tests.cluster.support.webhook import asked_webhook
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """A namespace with a controller. One Workflow is older than the webhook, which would have refused it."""
    made = make_world(cluster.api(), "cli-webhook")
    own = [f"--namespace={made.namespace}", f"--leader-elect-resource-namespace={made.namespace}", *NO_SERVERS]
    controller = Controller(cluster, cluster.folder / "cli-webhook.log", *own)
    controller.wait_acting()
    made.create_all([m.template("step", run_for="0.1s"), m.template("long", run_for="forever")])
    made.create(m.workflow("faulty", m.flow("a", "nowhere")))
    yield made
    controller.close()
    made.remove()


@pytest.fixture(scope="module", autouse=True)
def _webhook(cluster: Cluster, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with asked_webhook(cluster, tmp_path_factory.mktemp("webhook")):
        yield


@pytest.fixture
def terminal(tmp_path: Path, cluster: Cluster, world: World) -> Terminal:
    return Terminal(tmp_path, Path(cluster.state.binaries) / "kubectl", cluster.kubeconfig, world.namespace)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own.yaml"


def good(done: Done) -> str:
    assert (done.code, done.err) == (0, ""), done
    return done.out


def one_line(done: Done) -> str:
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    return done.err


def spec(world: World, name: str) -> Object:
    found: Object = world.api.get(world.workflow_path(name))["spec"]
    return found


def test_a_run_from_its_submission_to_its_deletion(terminal: Terminal, world: World, file: Path) -> None:
    """Every verb that acts sends changes that the webhook takes."""
    file.write_text(yaml.safe_dump(m.workflow("run", m.flow("a", of="long"), m.flow("b", "a"))))
    terminal.workflow("submit", "-f", str(file))
    made = world.api.get(world.workflow_path("run"))
    assert people.CREATED_BY in made["metadata"]["annotations"]
    for verb, field, value in (
        ("suspend", "suspend", True),
        ("resume", "suspend", False),
        ("stop", "shutdown", "Stop"),
    ):
        assert good(terminal.workflow(verb, "run")).startswith("workflow/run ")
        assert spec(world, "run")[field] == value
    good(terminal.workflow("terminate", "run"))
    assert terminal.workflow("wait", "run", "--timeout", "90s").code == 1
    again = terminal.workflow("retry", "run", "--yes")
    assert (again.code, again.lines[-1]) == (0, "workflow/run retried: 2 tasks run again")
    copy = good(terminal.workflow("resubmit", "run", "--name", "copy"))
    assert copy == "workflow/copy created, a copy of run\n"
    assert "shutdown" not in spec(world, "copy")
    assert good(terminal.workflow("delete", "run", "copy", "--yes")).count(" deleted\n") == 2


def test_what_the_webhook_refuses_is_one_line(terminal: Terminal) -> None:
    refused = one_line(terminal.workflow("resubmit", "faulty"))
    assert 'no flow is named "nowhere"' in refused


def test_what_the_webhook_warns_of_is_one_line_for_each(terminal: Terminal, world: World) -> None:
    world.create(m.workflow("warned", m.flow("a", of="long"), parameters=[{"name": "unused", "value": "1"}]))
    done = terminal.workflow("resubmit", "warned", "--name", "warned-2")
    assert (done.code, done.out) == (0, "workflow/warned-2 created, a copy of warned\n")
    assert [line for line in done.err.splitlines() if not line.startswith("warning: ")] == []
    assert 'parameter "unused" is given' in done.err


def test_a_fault_is_found_once_by_lint_with_the_server(terminal: Terminal, file: Path) -> None:
    file.write_text(yaml.safe_dump(m.workflow("bad", m.flow("a", "nowhere", of="step"))))
    done = terminal.workflow("lint", str(file), "--server")
    assert (done.code, done.out.count("nowhere")) == (1, 1), done
    sent = terminal.workflow("submit", "-f", str(file))
    assert (sent.code, sent.out, sent.err.splitlines()[-1]) == (
        1,
        "",
        "error: nothing was submitted: correct these faults first",
    )


def test_a_dry_run_is_judged_by_the_webhook_and_stores_nothing(terminal: Terminal, file: Path) -> None:
    file.write_text(yaml.safe_dump(m.workflow("dry", m.flow("a", of="step"))))
    assert good(terminal.workflow("submit", "-f", str(file), "--dry-run")) == "workflow/dry created (dry run)\n"
    names = [item["metadata"]["name"] for item in json.loads(terminal.workflow("list", "-o", "json").out)["items"]]
    assert "dry" not in names
