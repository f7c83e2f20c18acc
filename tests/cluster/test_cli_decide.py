"""`kubectl workflow approve`, `reject` and `cron` against a real control plane: exit codes, rights, and completion."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS
from tests.cluster.conftest import make_world, token_kubeconfig
from tests.cluster.support import manifests as m
from tests.cluster.support.controller import Controller
from tests.cluster.support.crons import cron
from tests.cluster.support.history import Object
from tests.cluster.support.terminal import Done, Terminal
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

LEAP_DAY = "0 0 29 2 *"
CRONS = "/apis/flow.workflow.sh/v1alpha1/namespaces/{}/cronworkflows"
_number = itertools.count(1)


def ask(name: str, after: str, **fields: Any) -> Object:
    """A flow with approval."""
    return {"name": name, "approval": {"message": "Ship it?"}, "dependsOn": {"targets": [after]}, **fields}


def asking(name: str) -> Object:
    """A Workflow that asks about one flow, about each of three tasks, and later about a third one."""
    flows = [m.flow("build"), ask("release", "build"), ask("regions", "build", **{"for": {"replicas": 3}})]
    return m.workflow(name, *flows, ask("last", "release"), m.flow("deploy", "last"))


@pytest.fixture(scope="module")
def town(cluster: Cluster) -> Iterator[World]:
    """CronWorkflows in each state, and a Workflow that asks. No schedule is due while the tests run."""
    world = make_world(cluster.api(), "cli-decide")
    log = cluster.folder / "cli-decide.log"
    flags = [f"--namespace={world.namespace}", f"--leader-elect-resource-namespace={world.namespace}", *NO_SERVERS]
    controller = Controller(cluster, log, *flags)
    controller.wait_acting()
    one = [m.flow("only")]
    nightly = cron("nightly", LEAP_DAY, flows=one, timeZone="Europe/Berlin")
    world.create_all([m.template("step", run_for="100ms"), m.template("fail", run_for="100ms", exit_code="3")])
    for made in (
        {**nightly, "metadata": {"name": "nightly", "labels": {"team": "a"}}},
        cron("paused", LEAP_DAY, flows=one, suspend=True),
        cron("broken", "0 0 31 2 *", flows=one),
        cron("fails", LEAP_DAY, flows=[m.flow("only", of="fail")]),
    ):
        world.api.request("POST", CRONS.format(world.namespace), made)
    world.create(asking("ship"))
    world.wait_flow("ship", "release", "Waiting", reason="ApprovalNeeded")
    world.wait_flow("ship", "regions", "Waiting", reason="ApprovalNeeded")
    yield world
    controller.close()
    world.remove()
    print(log.read_text(errors="replace")[-20_000:])


@pytest.fixture
def terminal(tmp_path: Path, cluster: Cluster, town: World) -> Terminal:
    """The administrator's terminal."""
    return Terminal(tmp_path, Path(cluster.state.binaries) / "kubectl", cluster.kubeconfig, town.namespace)


@pytest.fixture
def terminal_of(tmp_path: Path, cluster: Cluster, town: World) -> Callable[..., Terminal]:
    """The terminal of a service account that has these verbs in the namespace, by resource of our group."""

    def make(**verbs: str) -> Terminal:
        api, home, name = town.api, town.namespace, f"somebody-{next(_number)}"
        api.request("POST", f"/api/v1/namespaces/{home}/serviceaccounts", {"metadata": {"name": name}})
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{home}"
        rules = [
            {"apiGroups": ["flow.workflow.sh"], "resources": [resource], "verbs": given.split()}
            for resource, given in verbs.items()
        ]
        api.request("POST", f"{rbac}/roles", {"metadata": {"name": name}, "rules": rules})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": home}],
        }
        api.request("POST", f"{rbac}/rolebindings", binding)
        config = token_kubeconfig(cluster, home, name, tmp_path / f"kubeconfig-{name}")
        return Terminal(tmp_path, Path(cluster.state.binaries) / "kubectl", config, home)

    return make


def of_cron(terminal: Terminal, *words: str) -> Done:
    """`kubectl workflow cron ...` in the namespace."""
    return terminal.run("kubectl", "workflow", "cron", *words, "-n", terminal.namespace)


def completed(terminal: Terminal, *words: str) -> list[str]:
    """What kubectl offers for the last word."""
    is_group = words[0] == "cron"
    verb, rest = words[: 1 + is_group], words[1 + is_group :]
    own = ("-n", terminal.namespace) if rest else ()  # a group by itself has no option
    done = terminal.run("kubectl", "__complete", "workflow", *verb, *own, *rest)
    *offered, directive = done.lines
    assert directive == ":4", done
    return offered


def one_line(done: Done, code: int = 1) -> str:
    """What a command that failed said."""
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done
    return done.err


def suspended(town: World, name: str) -> bool:
    found: bool = town.api.get(f"{CRONS.format(town.namespace)}/{name}")["spec"].get("suspend", False)
    return found


def test_cron_list_shows_schedules_states_and_times(terminal: Terminal, town: World) -> None:
    town.api.get(f"{CRONS.format(town.namespace)}/broken")
    done = of_cron(terminal, "list")
    assert (done.code, done.err) == (0, "")
    head, *rows = done.lines
    assert re.split(r" {3,}", head) == ["NAME", "SCHEDULES", "TIME ZONE", "STATE", "ACTIVE", "LAST", "NEXT", "WHY"]
    found = {row.split()[0]: re.split(r" {3,}", row) for row in rows}
    assert list(found) == ["broken", "fails", "nightly", "paused"]
    assert found["nightly"][1:5] == [LEAP_DAY, "Europe/Berlin", "Active", "0"]
    assert re.fullmatch(r"in \d+d.*", found["nightly"][6])
    assert found["paused"][3] == "Suspended"
    assert found["broken"][3] == "Invalid"
    assert "never fires: no month of 2 has a day 31" in found["broken"][7]


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        pytest.param(["-o", "name"], ["broken", "fails", "nightly", "paused"], id="all"),
        pytest.param(["-o", "name", "-l", "team=a"], ["nightly"], id="a label selector"),
        pytest.param(["-o", "name", "-l", "team=b"], [], id="nothing"),
    ],
)
def test_cron_list_of_names(terminal: Terminal, flags: list[str], names: list[str]) -> None:
    done = of_cron(terminal, "list", *flags)
    assert (done.code, done.lines) == (0, [f"cronworkflow.flow.workflow.sh/{name}" for name in names])


def test_cron_list_in_the_formats_of_programs(terminal: Terminal) -> None:
    assert len(json.loads(of_cron(terminal, "list", "-o", "json").out)["items"]) == 4
    assert yaml.safe_load(of_cron(terminal, "list", "-o", "yaml").out)["kind"] == "List"
    everywhere = terminal.run("kubectl-workflow", "cron", "list", "-A")
    assert everywhere.lines[0].startswith("NAMESPACE ")
    nobody = terminal.run("kubectl-workflow", "cron", "list", "-n", "kube-public")
    assert (nobody.code, nobody.out, nobody.err) == (0, "", "no CronWorkflows in namespace kube-public\n")


@pytest.mark.parametrize("columns", [80, 160])
def test_a_terminal_gets_what_fits(terminal: Terminal, columns: int) -> None:
    """`script` gives the command a terminal of its own."""
    for words in (["cron", "list"], ["why", "ship"]):
        command = shlex.join(["kubectl-workflow", *words, "-n", terminal.namespace])
        env = {"TERM": "xterm", "COLUMNS": str(columns)}
        done = terminal.run("script", "-qec", command, "/dev/null", env=env)
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in done.lines]
        assert max(map(len, lines)) <= columns
        assert any("never fires" in line for line in lines) or words[0] == "why"


def test_cron_trigger_starts_a_run_now(terminal: Terminal, town: World) -> None:
    done = of_cron(terminal, "trigger", "nightly", "--wait", "--timeout", "90s")
    assert (done.code, done.err) == (0, "")
    created, ended = done.lines
    match = re.fullmatch(r"workflow/(nightly-now-\S+) created, a run of nightly at \d{4}-\S+T\S+\+0[12]:00", created)
    assert match, created
    assert ended.startswith(f"workflow {match[1]} succeeded")
    meta = town.api.get(town.workflow_path(match[1]))["metadata"]
    assert meta["labels"]["flow.workflow.sh/cron-workflow"] == "nightly"
    assert [owner["name"] for owner in meta["ownerReferences"]] == ["nightly"]
    assert of_cron(terminal, "trigger", "cronworkflow/fails", "--wait").code == 1
    assert of_cron(terminal, "trigger", "paused").code == 0, "a person may start a run of a suspended one"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(
            ["trigger", "nope"],
            1,
            'cronworkflows.flow.workflow.sh "nope" not found; kubectl workflow cron list shows what there is',
            id="trigger: no such",
        ),
        pytest.param(
            ["trigger", "broken"], 1, "cronworkflow broken is not valid, so it has no run", id="trigger: invalid"
        ),
        pytest.param(["trigger", "Nightly"], 2, "cannot be the name of a CronWorkflow", id="trigger: no name"),
        pytest.param(["trigger"], 2, "missing argument 'NAME'", id="trigger: nothing"),
        pytest.param(["trigger", "nightly", "--watch", "--timeout", "1s"], 2, "--timeout belongs to", id="both flags"),
        pytest.param(["suspend", "nope"], 1, '"nope" not found', id="suspend: no such"),
        pytest.param(["resume", "workflow/nightly"], 2, "cannot be the name of a CronWorkflow", id="another kind"),
        pytest.param(["list", "-l", "a in b"], 1, "unable to parse requirement", id="list: no selector"),
        pytest.param(["lits"], 2, 'there is no verb "lits"; did you mean "list"?', id="no verb"),
    ],
)
def test_wrong_words_of_cron_are_one_line(terminal: Terminal, words: list[str], code: int, said: str) -> None:
    assert said in one_line(of_cron(terminal, *words), code)


def test_cron_suspend_and_resume(terminal: Terminal, town: World) -> None:
    done = of_cron(terminal, "suspend", "cronworkflow.flow.workflow.sh/fails", "paused")
    assert (done.code, done.err) == (0, "")
    assert done.lines == ["cronworkflow/fails suspended", "cronworkflow/paused is suspended already"]
    assert suspended(town, "fails")
    done = of_cron(terminal, "resume", "nope", "fails", "fails")
    assert (done.code, done.lines) == (1, ["cronworkflow/fails resumed"])
    assert done.err.count("\n") == 1
    assert not suspended(town, "fails")
    assert of_cron(terminal, "resume", "fails").lines == ["cronworkflow/fails is not suspended"]


def test_rights_on_cron_workflows(terminal_of: Callable[..., Terminal], town: World) -> None:
    reader = terminal_of(cronworkflows="get list")
    assert of_cron(reader, "list").code == 0
    assert "at the cluster scope" in one_line(reader.run("kubectl-workflow", "cron", "list", "-A"))
    assert 'cannot create resource "workflows"' in one_line(of_cron(reader, "trigger", "nightly"))
    assert 'cannot patch resource "cronworkflows"' in one_line(of_cron(reader, "suspend", "nightly"))
    assert not suspended(town, "nightly")
    nobody = terminal_of()
    assert 'cannot list resource "cronworkflows"' in one_line(of_cron(nobody, "list"))
    assert completed(nobody, "cron", "trigger", "") == []


def test_submit_makes_and_changes_cron_workflows(terminal: Terminal, town: World, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    made = cron("submitted", LEAP_DAY, flows=[m.flow("only")], workflow={"parameters": [{"name": "x", "value": "1"}]})
    file.write_text(yaml.safe_dump(made))
    flags = ["submit", "-f", str(file)]
    assert terminal.workflow(*flags, "--dry-run").lines == ["cronworkflow/submitted created (dry run)"]
    assert terminal.workflow(*flags).lines == ["cronworkflow/submitted created"]
    assert terminal.workflow(*flags).lines == ["cronworkflow/submitted unchanged"]
    assert terminal.workflow(*flags, "-p", "x=2").lines == ["cronworkflow/submitted configured"]
    path = f"{CRONS.format(town.namespace)}/submitted"
    assert town.api.get(path)["spec"]["workflowTemplate"]["spec"]["parameters"] == [{"name": "x", "value": "2"}]
    file.write_text(yaml.safe_dump({**made, "spec": {**made["spec"], "schedules": ["0 0 31 2 *"]}}))
    refused = terminal.workflow(*flags)
    assert (refused.code, refused.out) == (1, "")
    assert "never fires" in refused.err
    file.write_text(yaml.safe_dump({**made, "spec": {**made["spec"], "startingDeadlineSeconds": 4_000_000_000}}))
    tried = terminal.workflow("lint", "--server", str(file))
    assert tried.code == 1
    assert "startingDeadlineSeconds" in tried.out
    town.delete(path)


def test_approve_and_reject(terminal: Terminal, town: World) -> None:
    name = f"decided-{next(_number)}"
    town.create(asking(name))
    town.wait_flow(name, "release", "Waiting", reason="ApprovalNeeded")
    dry = terminal.workflow("approve", name, "release", "--dry-run")
    assert (dry.code, dry.out) == (0, f"workflow/{name}: flow release is approved (dry run: nothing was changed)\n")
    assert "approvals" not in town.api.get(town.workflow_path(name))["spec"]
    early = terminal.workflow("approve", f"workflow/{name}", "last", "-m", "early")
    assert (early.code, early.out) == (0, f"workflow/{name}: flow last is approved, before it asks\n")
    assert terminal.workflow("approve", name, "release").code == 0
    assert town.wait_flow(name, "last", "Succeeded")["message"].endswith("early")
    assert "flow release is Succeeded already" in one_line(terminal.workflow("reject", name, "release"))
    assert (
        terminal.workflow("approve", name, "regions/1").out == f"workflow/{name}: index 1 of flow regions is approved\n"
    )
    town.wait_flow(name, "regions", "Running", succeeded="1")
    assert "index 1 of flow regions is Succeeded already" in one_line(terminal.workflow("reject", name, "regions/1"))
    assert (
        terminal.workflow("reject", name, "regions", "-m", "no").out == f"workflow/{name}: flow regions is rejected\n"
    )
    assert town.wait_phase(name)["phase"] == "Failed"
    assert "has ended (Failed); kubectl workflow retry" in one_line(terminal.workflow("approve", name, "regions"))
    assert terminal.complete("approve", name, "") == []


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["nope", "x"], 1, '"nope" not found; kubectl workflow list shows what there is', id="no workflow"),
        pytest.param(
            ["ship", "relaese"],
            1,
            'no flow "relaese" waits for approval or has one; flows with approval: release, regions, last',
            id="no flow",
        ),
        pytest.param(
            ["ship", "build"], 1, "flow build has no approval; flows with approval: release", id="no approval"
        ),
        pytest.param(["ship", "regions/3"], 1, "no index 3 of flow regions; the highest index is 2", id="no index"),
        pytest.param(["ship", "regions/x"], 1, '"regions/x" names no task', id="no number"),
        pytest.param(["ship", "release", "-m", "x" * 5000], 1, "the comment has 5,000 characters", id="a long comment"),
        pytest.param(["ship"], 2, "missing argument 'FLOW[/INDEX]'", id="no flow given"),
        pytest.param(["../x", "release"], 2, "cannot be the name of a workflow", id="another path"),
    ],
)
def test_wrong_decisions_are_one_line(terminal: Terminal, verb: str, words: list[str], code: int, said: str) -> None:
    assert said in one_line(terminal.workflow(verb, *words), code)


def test_rights_to_decide(terminal_of: Callable[..., Terminal]) -> None:
    reader = terminal_of(workflows="get list")
    assert 'cannot patch resource "workflows"' in one_line(reader.workflow("approve", "ship", "release"))
    assert 'cannot patch resource "workflows"' in one_line(reader.workflow("reject", "ship", "release", "--dry-run"))
    assert "it waits for a person" in reader.workflow("why", "ship").out
    nobody = terminal_of(workflows="patch")
    assert 'cannot get resource "workflows"' in one_line(nobody.workflow("approve", "ship", "release"))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param(["cron", ""], ["list", "resume", "suspend", "trigger"], id="verbs of cron"),
        pytest.param(["cron", "trigger", "n"], ["nightly"], id="a CronWorkflow"),
        pytest.param(["cron", "suspend", "nightly", ""], ["broken", "fails", "paused"], id="a second CronWorkflow"),
        pytest.param(["cron", "resume", "pa"], ["paused"], id="one to resume"),
        pytest.param(["cron", "list", "-o", "n"], ["name"], id="a format"),
        pytest.param(["approve", "sh"], ["ship"], id="a workflow"),
        pytest.param(["approve", "ship", ""], ["release", "regions", "last"], id="flows, those that ask first"),
        pytest.param(
            ["reject", "ship", "regions/"], ["regions/0", "regions/1", "regions/2"], id="the indexes of a flow"
        ),
    ],
)
def test_kubectl_completes(terminal: Terminal, words: list[str], offered: list[str]) -> None:
    assert [line.split("\t")[0] for line in completed(terminal, *words)] == offered
