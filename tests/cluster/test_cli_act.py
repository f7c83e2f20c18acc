"""The verbs of `kubectl workflow` that act, on a real cluster with one controller for all of them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS
from pkg.cli.app import command
from pkg.views.manifests.writing import as_yaml
from pkg.views.rendering import UID
from tests.cluster.conftest import make_world, token_kubeconfig
from tests.cluster.support import manifests as m
from tests.cluster.support.controller import Controller
from tests.cluster.support.history import Object
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster

_number = itertools.count(1)


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """One namespace, in which each test uses names of its own."""
    made = make_world(cluster.api(), "cli-act")
    quick = m.template("step", parameters={"fail": "0"}, run_for="0.1s", fail_until_attempt="{{params.fail}}")
    made.create(quick)
    made.create(m.template("long", run_for="forever"))
    yield made
    made.remove()


@pytest.fixture(scope="module", autouse=True)
def controller(cluster: Cluster, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """The controller of that namespace."""
    own = [f"--namespace={world.namespace}", f"--leader-elect-resource-namespace={world.namespace}", "--workers=4"]
    log = tmp_path_factory.mktemp("controller") / "log"
    made = Controller(cluster, log, *own, *NO_SERVERS)
    made.wait_acting()
    yield made
    made.close()
    print(log.read_text(errors="replace")[-20_000:])


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"w{next(_number)}"


Run = Callable[..., Result]


@pytest.fixture
def run(kubeconfig: Path, world: World) -> Run:
    """Runs `kubectl workflow` in this process; `stdin` is what it reads from a pipe."""

    def call(*arguments: str, stdin: str = "", config: Path = kubeconfig, namespace: str = world.namespace) -> Result:
        flags = [f"--kubeconfig={config}", f"--namespace={namespace}"]
        return CliRunner().invoke(command, [*arguments, *flags], input=stdin)

    return call


def done(result: Result, code: int = 0) -> str:
    """What it printed on standard output, if it ended with that code."""
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def said(result: Result, code: int = 1) -> str:
    """The one line on standard error of a command that failed."""
    assert result.exit_code == code, (result.output, result.exception)
    assert result.stderr.startswith("error: "), result.output
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.removeprefix("error: ").rstrip("\n")


def text(*objects: Object) -> str:
    """The manifests as YAML 1.1, which needs quotes around texts such as y."""
    return "---\n".join(as_yaml(one) for one in objects)


def test_submit(run: Run, world: World, name: str) -> None:
    own = m.template(f"{name}-step", run_for="0.1s")
    file = text(m.workflow(name, m.flow("a", of=f"{name}-step")), own)
    assert done(run("submit", "-f", "-", stdin=file)).splitlines() == [
        f"worktemplate/{name}-step created",
        f"workflow/{name} created",
    ]
    assert world.wait_phase(name)["phase"] == "Succeeded"
    # The same again: the template stays as it is, and the workflow is left alone.
    again = run("submit", "-f", "-", stdin=file)
    assert (again.exit_code, again.stdout) == (1, f"worktemplate/{name}-step unchanged\n")
    assert f"a workflow {name} exists already in {world.namespace} (Succeeded); add --generate-name" in again.stderr
    printed = done(run("submit", "-f", "-", "--generate-name", "-o", "name", stdin=file))
    assert printed.startswith(f"workflow.flow.workflow.sh/{name}-")


def test_submit_waits(run: Run, name: str) -> None:
    good = m.workflow(name, m.flow("a"), parameters=[{"name": "fail", "value": "0"}])
    waited = run("submit", "-f", "-", "--wait", stdin=text(good))
    assert f"workflow/{name} created\nworkflow {name} succeeded after " in done(waited)
    done(run("submit", "-f", "-", "--wait", "--generate-name", "-p", "fail=9", stdin=text(good)), 1)
    stuck = text(m.workflow(f"{name}-stuck", m.flow("a", of="long")))
    done(run("submit", "-f", "-", "--timeout=100ms", stdin=stuck), 2)
    two = text(m.workflow(f"{name}-x", m.flow("a")), m.workflow(f"{name}-y", m.flow("a")))
    assert "--watch shows one workflow, and these are 2; use --wait" in said(
        run("submit", "-f", "-", "--watch", stdin=two), 2
    )
    assert "not found" in said(run("stop", f"{name}-x")), "nothing was made"


def test_submit_shows_the_run_until_its_end(run: Run, name: str) -> None:
    good = text(m.workflow(name, *m.chain("a", "b")))
    shown = done(run("submit", "-f", "-", "--watch", stdin=good)).splitlines()
    assert shown[0] == f"workflow/{name} created"
    assert re.fullmatch(rf"\d\d:\d\d:\d\d workflow/{name} Succeeded 2/2 .*", shown[-1])
    done(run("submit", "-f", "-", "--watch", "--generate-name", "-p", "fail=9", stdin=good), 1)


def test_submit_gives_parameters_and_changes_templates(run: Run, world: World, name: str) -> None:
    own = m.template(f"{name}-step", parameters={"text": "x"}, run_for="0.1s", note="{{params.text}}")
    flows = m.workflow(name, m.flow("a", of=f"{name}-step"), parameters=[{"name": "text", "value": "old"}])
    done(run("submit", "-f", "-", "-p", "text=new", stdin=text(own, flows)))
    job = world.wait_job(f"{name}-a")
    assert job["spec"]["template"]["metadata"]["annotations"]["sim.workflow.sh/note"] == "new"
    own["spec"]["parameters"][0]["value"] = "y"
    assert done(run("submit", "-f", "-", stdin=text(own))) == f"worktemplate/{name}-step configured\n"


def test_submit_stores_nothing_in_a_dry_run_or_with_a_fault(run: Run, world: World, name: str) -> None:
    good = m.workflow(name, m.flow("a"))
    assert done(run("submit", "-f", "-", "--dry-run", stdin=text(good))) == f"workflow/{name} created (dry run)\n"
    bad = m.workflow(f"{name}-bad", m.flow("a", "nosuch"))
    result = run("submit", "-f", "-", stdin=text(good, bad))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no flow is named" in result.stderr
    assert f'"{name}" not found' in said(run("stop", name))


def test_submit_says_that_a_template_is_nowhere(run: Run, name: str) -> None:
    result = run("submit", "-f", "-", stdin=text(m.workflow(name, m.flow("a", of="nosuch"))))
    assert done(result) == f"workflow/{name} created\n"
    assert result.stderr == "warning: there is no WorkTemplate nosuch; flows that use it wait until it exists\n"


def test_submit_leaves_what_another_program_manages(run: Run, world: World, name: str) -> None:
    theirs = m.template(name, run_for="1s")
    path = f"{world.path(theirs, name)}?fieldManager=theirs"
    world.api.request("PATCH", path, theirs, content_type="application/apply-patch+yaml")
    ours = text(m.template(name, run_for="2s"), m.workflow(name, m.flow("a", of=name)))
    refused = said(run("submit", "-f", "-", stdin=ours))
    assert "theirs" in refused
    assert refused.endswith("--force-conflicts changes its fields all the same. No Workflow was submitted")
    assert f"workflow/{name} created" in done(run("submit", "-f", "-", "--force-conflicts", stdin=ours))


def test_suspend_and_resume(run: Run, world: World, name: str) -> None:
    world.create(m.workflow(name, m.flow("a"), suspend=True))
    world.wait_phase(name, ("Suspended",))
    assert done(run("suspend", name)) == f"workflow/{name} is suspended already\n"
    assert done(run("resume", f"wkf/{name}")) == f"workflow/{name} resumed\n"
    assert world.wait_phase(name)["phase"] == "Succeeded"
    assert done(run("resume", name)) == f"workflow/{name} is not suspended\n"
    assert said(run("suspend", name)) == f"{name} has ended (Succeeded), so there is nothing to suspend"


def test_stop_then_terminate(run: Run, world: World, name: str) -> None:
    world.create(m.workflow(name, m.flow("a", of="long"), m.flow("b", "a")))
    world.wait_flow(name, "a", "Running")
    assert done(run("stop", name)).startswith(f"workflow/{name} stopping: jobs that run may end")
    world.wait_phase(name, ("Terminating",))
    assert "is being stopped already" in done(run("stop", name))
    assert done(run("terminate", name)).startswith(f"workflow/{name} terminating: its unfinished jobs are deleted")
    assert world.wait_phase(name)["reason"] == "Stopped", "what was decided stays decided"
    assert "has ended (Failed)" in said(run("terminate", name))


def test_many_are_chosen_by_labels(run: Run, world: World, name: str) -> None:
    for number in range(3):
        made = m.workflow(f"{name}-{number}", m.flow("a", of="long"))
        made["metadata"]["labels"] = {"batch": name}
        world.create(made)
    chosen = f"--selector=batch={name}"
    assert "Suspend 3 workflows? There is no terminal to ask on: add --yes" in said(run("suspend", chosen), 2)
    assert len(done(run("suspend", chosen, "--yes")).splitlines()) == 3
    result = run("suspend", chosen, "--yes")
    assert (result.exit_code, result.stderr) == (0, "no workflow to suspend\n")
    assert len(done(run("terminate", chosen, "--yes")).splitlines()) == 3
    for number in range(3):
        world.wait_phase(f"{name}-{number}")
    listed = run("delete", chosen, "--phase=failed", "--dry-run")
    assert (len(done(listed).splitlines()), listed.stderr) == (3, "3 workflows would be deleted\n")
    assert "Delete 3 workflows with their jobs? There is no terminal" in said(
        run("delete", chosen, "--phase=failed"), 2
    )
    assert len(done(run("delete", chosen, "--older=0s", "--yes")).splitlines()) == 3
    world.history.wait(lambda: not world.jobs(f"{name}-0"), 60, "its jobs are gone")
    result = run("delete", chosen, "--all", "--yes")
    assert (result.exit_code, result.output) == (0, "no workflow to delete\n")


def test_retry(run: Run, world: World, name: str) -> None:
    sound = [{"name": "fail", "value": "0"}]
    flows = [
        m.flow("a", parameters=sound),
        m.flow("b", "a"),
        m.flow("c", "b", parameters=sound),
        {**m.flow("end", parameters=sound), "finally": True},
    ]
    world.create(m.workflow(name, *flows, parameters=[{"name": "fail", "value": "9"}]))
    assert world.wait_phase(name)["phase"] == "Failed"
    table = ["FLOW   INDEX   WAS", "b              Failed", "c              Skipped", "end            Succeeded"]
    again = "1 of them Succeeded before, and would run again all the same: end"
    listed = done(run("retry", name, "--dry-run")).splitlines()
    assert listed == [f"{name}: 3 tasks would run again", *table, again]
    assert "There is no terminal to ask on: add --yes to do it" in run("retry", name).stderr
    assert said(run("retry", name, "--flow=x")) == f"workflow {name} has no flow 'x'; there are a, b, c, end"
    retried = done(run("retry", name, "--yes", "-p", "fail=0", "--wait"))
    assert f"\nworkflow/{name} retried: 3 tasks run again\nworkflow {name} succeeded after " in retried
    assert world.attempts(name) == {"a": 1, "b": 2, "c": 1, "end": 2}
    assert "nothing of it is left to run; name a flow with --flow" in said(run("retry", name))
    done(run("retry", name, "--flow=b", "--yes"))
    world.history.wait(lambda: world.flow(name, "b").get("attempts") == 3, 60, "the third attempt of b")
    world.wait_phase(name, ("Succeeded",))
    assert world.attempts(name)["a"] == 1


def test_retry_after_terminate_takes_the_shutdown_back(run: Run, world: World, name: str) -> None:
    world.create(m.workflow(name, m.flow("a", of="long")))
    world.wait_flow(name, "a", "Running")
    assert f"{name} has not ended (Running)" in said(run("retry", name))
    done(run("terminate", name))
    world.wait_phase(name)
    done(run("retry", name, "--yes"))
    world.wait_flow(name, "a", "Running")
    done(run("delete", name))
    assert "is being deleted" in run("suspend", name).output or "not found" in run("suspend", name).output


def test_resubmit(run: Run, world: World, name: str) -> None:
    made = m.workflow(name, m.flow("a"), suspend=True, parameters=[{"name": "fail", "value": "0"}])
    made["metadata"]["labels"] = {"team": "a", "app.kubernetes.io/managed-by": "Helm"}
    world.create(made)
    printed = done(run("resubmit", name, "-p", "fail=1")).split()
    copy = printed[0].removeprefix("workflow/")
    assert printed[1:] == ["created,", "a", "copy", "of", name]
    assert copy.startswith(f"{name}-")
    stored = json.loads(world.api.request("GET", world.workflow_path(copy)))
    assert stored["metadata"]["labels"] == {"team": "a"}
    assert stored["spec"]["parameters"] == [{"name": "fail", "value": "1"}]
    assert "suspend" not in stored["spec"]
    world.wait_phase(copy)
    assert f"a workflow {name} exists already" in said(run("resubmit", name, f"--name={name}"))
    shown = yaml.safe_load(done(run("resubmit", name, "--name=other", "--dry-run")))
    assert (shown["metadata"]["name"], shown["metadata"]["namespace"]) == ("other", world.namespace)


def test_render_shows_what_the_controller_makes(run: Run, world: World, name: str) -> None:
    own = m.template(f"{name}-step", parameters={"n": "3"}, run_for="0.1s", index="{{index}}")
    own["spec"]["jobSpec"]["backoffLimit"] = "{{params.n}}"
    own["spec"]["jobSpec"]["template"]["spec"]["serviceAccountName"] = "{{params.n}}"
    flows = m.workflow(name, {**m.flow("a", of=f"{name}-step"), "for": {"replicas": 2}})
    file = text(own, flows)
    world.create(own)
    world.create(flows)
    made = [world.wait_job(f"{name}-a-{index}") for index in range(2)]
    shown = list(yaml.safe_load_all(done(run("render", "-", "--server", stdin=file))))
    for job, rendered in zip(made, shown, strict=True):
        uid = job["metadata"]["ownerReferences"][0]["uid"]
        expected = json.loads(json.dumps(rendered).replace(UID, uid))
        assert covers(job, expected), (job, expected)
        assert job["spec"]["template"]["spec"]["serviceAccountName"] == "3"


def covers(stored: Any, sent: Any) -> bool:
    """Whether a stored object has all that was sent: the API server adds defaults."""
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(
            value in ({}, []) or (key in stored and covers(stored[key], value)) for key, value in sent.items()
        )
    if isinstance(sent, list):
        return isinstance(stored, list) and len(stored) == len(sent) and all(map(covers, stored, sent))
    return bool(stored == sent)


def test_lint_asks_the_server(run: Run, world: World, name: str) -> None:
    good = m.workflow(name, m.flow("a"))
    assert done(run("lint", "-", "--server", stdin=text(good))) == ""
    marked = m.workflow(name, m.flow("a"))
    marked["metadata"]["labels"] = {"team": "of a"}
    result = run("lint", "-", "--server", stdin=text(marked))
    assert done(result, 1).startswith(f"stdin:5:3: Workflow {name}: API server: ")
    assert "metadata.labels" in result.stdout
    assert 'namespaces "nowhere" not found' in said(run("lint", "-", "--server", stdin=text(good), namespace="nowhere"))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["suspend", "w"], id="suspend"),
        pytest.param(["delete", "w"], id="delete"),
        pytest.param(["delete", "--all"], id="delete of all"),
        pytest.param(["retry", "w"], id="retry"),
        pytest.param(["resubmit", "w"], id="resubmit"),
        pytest.param(["submit", "-f", "-"], id="submit"),
    ],
)
def test_without_rights(run: Run, cluster: Cluster, world: World, tmp_path: Path, arguments: list[str]) -> None:
    config = token_kubeconfig(cluster, world.namespace, "default", tmp_path / "config")
    result = run(*arguments, config=config, stdin=text(m.workflow("w", m.flow("a"))))
    assert "is forbidden" in said(result)


@pytest.mark.parametrize("verb", ["suspend", "resume", "stop", "terminate", "retry", "resubmit", "delete"])
def test_a_workflow_that_is_not_there(run: Run, verb: str) -> None:
    assert '"nowhere" not found' in said(run(verb, "nowhere"))


def test_one_of_several_names_is_wrong(run: Run, world: World, name: str) -> None:
    world.create(m.workflow(name, m.flow("a", of="long")))
    result = run("suspend", "nowhere", name)
    assert (result.exit_code, result.stdout[: len(name) + 19]) == (1, f"workflow/{name} suspended")
    assert '"nowhere" not found' in result.stderr


def test_under_deletion(run: Run, world: World, name: str) -> None:
    made = m.workflow(name, m.flow("a", of="long"))
    made["metadata"]["finalizers"] = ["example.com/hold"]
    world.create(made)
    world.wait_flow(name, "a", "Running")
    assert done(run("delete", name)) == f"workflow/{name} deleted\n"
    for verb in ("suspend", "stop", "terminate", "retry"):
        assert said(run(verb, name)) == f"{name} is being deleted; its jobs go with it"
    assert done(run("delete", name)) == f"workflow/{name} is being deleted already\n"
    world.patch(world.workflow_path(name), {"metadata": {"finalizers": None}})


def test_keep_jobs(run: Run, world: World, name: str) -> None:
    world.create(m.workflow(name, m.flow("a", of="long")))
    world.wait_flow(name, "a", "Running")
    assert done(run("delete", name, "--keep-jobs")) == f"workflow/{name} deleted\n"
    world.history.wait(lambda: world.history.get("workflows", name) is None, 60, "the workflow is gone")
    assert [job["metadata"]["name"] for job in world.latest_jobs(name)] == [f"{name}-a"]
