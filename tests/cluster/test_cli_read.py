"""`kubectl workflow` against a real control plane: every verb that reads, with exit codes, rights and completion."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS
from hack.manifests.sources import LOGS
from pkg.version import VERSION
from pkg.views.log_address import HOME
from tests.cluster.conftest import make_world, token_kubeconfig
from tests.cluster.support import manifests as m
from tests.cluster.support.controller import Controller
from tests.cluster.support.terminal import Terminal
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def town(cluster: Cluster) -> Iterator[World]:
    """Workflows in each state: done, broken (one retry), stuck (no template), long (it runs for ever)."""
    world = make_world(cluster.api(), "cli-read")
    log = cluster.folder / "cli-read.log"
    flags = [f"--namespace={world.namespace}", f"--leader-elect-resource-namespace={world.namespace}", *NO_SERVERS]
    controller = Controller(cluster, log, *flags)
    controller.wait_acting()
    world.create_all(
        [
            m.template("step", run_for="100ms", parameters={"text": "hello"}),
            m.template("fail", run_for="100ms", exit_code="3"),
            m.template("forever", run_for="forever"),
            {**m.workflow("done", *m.chain("one", "two")), "metadata": {"name": "done", "labels": {"team": "a"}}},
            m.workflow("broken", m.flow("bad", of="fail", retry={"maxRetries": 1, "interval": "1s"})),
            m.workflow("stuck", m.flow("lost", of="nosuch"), m.flow("after", "lost")),
            m.workflow("long", {**m.flow("many", of="forever"), "for": {"replicas": 3}}, m.flow("last", "many")),
        ]
    )
    world.wait_phase("done")
    world.wait_phase("broken")
    world.wait_flow("long", "many", "Running", running="0-2")
    world.wait_message("stuck", "lost", "no WorkTemplate")
    # How the pods of a failed job ended is looked up after the verdict.
    world.wait_message("broken", "bad", "exit code 3")
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
    """Makes the terminal of a service account that has nothing but these rules in the namespace."""

    def make(name: str, *rules: dict[str, list[str]]) -> Terminal:
        world = town
        api, home = world.api, world.namespace
        api.request("POST", f"/api/v1/namespaces/{home}/serviceaccounts", {"metadata": {"name": name}})
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{home}"
        api.request("POST", f"{rbac}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": home}],
        }
        api.request("POST", f"{rbac}/rolebindings", binding)
        config = token_kubeconfig(cluster, home, name, tmp_path / f"kubeconfig-{name}")
        return Terminal(tmp_path, Path(cluster.state.binaries) / "kubectl", config, home)

    return make


WORKFLOWS = {"apiGroups": ["flow.workflow.sh"], "resources": ["workflows"], "verbs": ["get", "list", "watch"]}


def test_list_shows_phase_progress_times_and_why(terminal: Terminal) -> None:
    done = terminal.workflow("list")
    assert (done.code, done.err) == (0, "")
    head, *rows = done.lines
    assert head.split() == ["NAME", "PHASE", "PROGRESS", "AGE", "DURATION", "WHY"]
    found = {row.split()[0]: row for row in rows}
    assert list(found) == ["broken", "done", "long", "stuck"]
    assert re.search(
        r"Failed +1/1 +\S+ +\S+ +TaskFailed: flow bad failed: Failed, job broken-bad-r1, pod", found["broken"]
    )
    assert re.search(r"Succeeded +2/2 +\S+ +\S+$", found["done"])
    assert "TemplateNotFound: flow lost: there is no WorkTemplate nosuch" in found["stuck"]
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        pytest.param(["-l", "team=a"], ["done"], id="a label selector"),
        pytest.param(["--field-selector", "metadata.name=long"], ["long"], id="a field selector"),
        pytest.param(["--phase", "failed", "--phase", "Succeeded"], ["broken", "done"], id="phases"),
        pytest.param(["--blocked"], ["stuck"], id="those that wait for a person"),
        pytest.param(["-l", "team=b"], [], id="nothing"),
    ],
)
def test_list_chooses(terminal: Terminal, flags: list[str], names: list[str]) -> None:
    done = terminal.workflow("list", "-o", "name", *flags)
    assert (done.code, done.lines) == (0, [f"workflow.flow.workflow.sh/{name}" for name in names])


def test_list_in_the_formats_of_programs(terminal: Terminal) -> None:
    as_json = json.loads(terminal.workflow("list", "-o", "json").out)
    assert as_json["kind"] == "List"
    assert [item["metadata"]["name"] for item in as_json["items"]] == ["broken", "done", "long", "stuck"]
    as_yaml = yaml.safe_load(terminal.workflow("list", "-o", "yaml", "--phase", "Running").out)
    assert {item["status"]["phase"] for item in as_yaml["items"]} == {"Running"}
    assert "RUNNING   FAILED" in terminal.workflow("list", "-o", "wide").lines[0]


def test_list_of_all_namespaces(terminal: Terminal) -> None:
    done = terminal.workflow("list", "-A")
    assert done.lines[0].startswith("NAMESPACE ")
    assert any(line.split()[:2] == [terminal.namespace, "done"] for line in done.lines)


def test_an_empty_list_says_so(terminal: Terminal) -> None:
    done = terminal.run("kubectl-workflow", "list", "-n", "kube-public")
    assert (done.code, done.out, done.err) == (0, "", "no Workflows in namespace kube-public\n")


def test_get_is_a_tree_with_replicas_and_attempts(terminal: Terminal) -> None:
    broken = terminal.workflow("get", "broken")
    assert broken.code == 0
    assert re.search(r"✖ bad +Failed +2 +\S+ +Failed: job broken-bad-r1, pod", broken.out)
    assert re.search(r"├─ ✖ attempt 0 +Failed +\S+ +job broken-bad$", broken.out, re.MULTILINE)
    assert re.search(r"└─ ✖ attempt 1 +Failed +\S+ +job broken-bad-r1$", broken.out, re.MULTILINE)
    long = terminal.workflow("get", "long")
    assert re.search(r"● many +Running +0/3", long.out)
    assert long.out.count("─ ● ") == 3
    assert json.loads(terminal.workflow("get", "long", "-o", "json").out)["metadata"]["name"] == "long"
    assert "AFTER" in terminal.workflow("get", "long", "-o", "wide").out


@pytest.mark.parametrize("verb", ["get", "why", "events", "logs", "watch"])
def test_what_does_not_exist_is_one_line(terminal: Terminal, verb: str) -> None:
    done = terminal.workflow(verb, "nope")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert 'workflows.flow.workflow.sh "nope" not found' in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["done"], 0, "workflow done succeeded", id="succeeded"),
        pytest.param(["broken"], 1, "workflow broken failed", id="failed"),
        pytest.param(["done", "broken"], 1, "workflow broken failed", id="one of two failed"),
        pytest.param(["long", "--timeout", "1s"], 2, "has not ended within 1s", id="the time is up"),
        pytest.param(["nope"], 3, '"nope" not found', id="no such workflow"),
        pytest.param(["done", "--timeout", "soon"], 3, "is not a duration", id="wrong usage"),
    ],
)
def test_wait(terminal: Terminal, words: list[str], code: int, said: str) -> None:
    done = terminal.workflow("wait", *words)
    assert done.code == code
    assert said in done.out + done.err


def test_wait_sees_the_end_when_it_comes(terminal: Terminal, town: World) -> None:
    town.create(m.workflow("soon", m.flow("only")))
    done = terminal.workflow("wait", "soon", "--timeout", "90s")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(("template", "code"), [("step", 0), ("fail", 1)], ids=["succeeds", "fails"])
def test_watch_prints_each_change_and_ends_with_the_workflow(
    terminal: Terminal, town: World, template: str, code: int
) -> None:
    name = f"watched-{template}"
    town.create(m.workflow(name, m.flow("only", of=template)))
    done = terminal.workflow("watch", name)
    assert (done.code, done.err) == (code, "")
    assert re.fullmatch(rf"\d\d:\d\d:\d\d workflow/{name} (Succeeded|Failed) 1/1 .*", done.lines[-1])
    assert [line for line in done.lines if re.search(r" only (Succeeded|Failed)", line)]


def test_why_says_what_to_do(terminal: Terminal) -> None:
    stuck = terminal.workflow("why", "stuck")
    assert stuck.code == 0
    assert "it waits for a person" in stuck.out
    assert re.search(r"flow lost, Waiting, since \S+: TemplateNotFound", stuck.out)
    assert f"What to do: create the WorkTemplate: kubectl apply -n {terminal.namespace}" in stuck.out
    broken = terminal.workflow("why", "broken").out
    assert "it failed; nothing more will run" in broken
    assert "exit code 3" in broken


def test_events_of_the_workflow_its_jobs_and_pods(terminal: Terminal) -> None:
    found = terminal.workflow("events", "broken")
    assert found.code == 0
    kinds = {re.split(r" {3,}", line)[3].partition("/")[0] for line in found.lines[1:]}
    assert {"workflow", "job", "pod"} <= kinds
    warnings = terminal.workflow("events", "broken", "bad", "--warnings")
    assert {re.split(r" {3,}", line)[1] for line in warnings.lines[1:]} == {"Warning"}
    assert terminal.workflow("events", "broken", "nosuch").code == 1


def test_logs_that_are_gone_leave_their_last_words_and_an_address(terminal: Terminal, town: World) -> None:
    """Simulated pods have no logs. tests/cluster/test_containers.py reads real ones."""
    town.delete(f"/api/v1/namespaces/{town.namespace}/pods?labelSelector=flow.workflow.sh/workflow=broken")
    done = terminal.workflow("logs", "broken", "bad")
    assert (done.code, done.out) == (1, "")
    assert "bad, attempt 1: Failed" in done.err
    assert "last words: job broken-bad-r1, pod broken-bad-r1-" in done.err
    assert "where logs are kept is not known" in done.err
    data = {"logUrlTemplate": "https://logs.example/{namespace}/{job}?attempt={attempt}"}
    path = f"/api/v1/namespaces/{town.namespace}/configmaps"
    town.api.request("POST", path, {"metadata": {"name": "kubectl-workflow"}, "data": data})
    address = f"its log: https://logs.example/{town.namespace}/broken-bad-r1?attempt=1"
    assert address in terminal.workflow("logs", "broken", "bad").err
    own = terminal.workflow("logs", "broken", "bad", "--attempt", "0", env={"WORKFLOW_LOG_URL_TEMPLATE": "x:{job}"})
    assert "its log: x:broken-bad\n" in own.err
    assert "bad, attempt 0: Failed, and its pods are gone" in own.err
    never = terminal.workflow("logs", "broken", "bad", "--attempt", "7")
    assert (never.code, never.err) == (1, "bad has no attempt 7; the newest is 1\n")
    assert "has {cluster}; it may have" in terminal.workflow("logs", "broken", "--log-url-template", "{cluster}").err


def test_the_address_of_the_installation_is_read_by_who_may_read_no_other_configmap(
    terminal: Terminal, terminal_of: Callable[..., Terminal], cluster: Cluster
) -> None:
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}
    cluster.kubectl("apply", "--filename=-", input=json.dumps(home))  # another test may have made it
    cluster.kubectl("apply", f"--filename={LOGS}")
    pods = {"apiGroups": ["", "batch"], "resources": ["pods", "jobs"], "verbs": ["list"]}
    reader = terminal_of("log-reader", WORKFLOWS, pods)
    assert "where logs are kept is not known" in reader.workflow("logs", "done").err, "an empty address counts as none"
    data = {"data": {"logUrlTemplate": "https://logs.example/{namespace}/{workflow}/{flow}"}}
    cluster.kubectl("patch", "configmap", "kubectl-workflow", f"--namespace={HOME}", f"--patch={json.dumps(data)}")
    said = reader.workflow("logs", "done").err
    assert f"its log: https://logs.example/{terminal.namespace}/done/one\n" in said


def test_logs_of_what_has_not_run_say_why(terminal: Terminal) -> None:
    done = terminal.workflow("logs", "stuck", "after")
    assert done.code == 1
    assert "flow after has not run, it is Waiting: WaitingForDependencies" in done.err
    assert "did you mean 'after'" in terminal.workflow("logs", "stuck", "aftr").err


def test_templates(terminal: Terminal) -> None:
    head, *rows = terminal.run("kubectl", "workflow", "template", "list", "-n", terminal.namespace).lines
    assert head.split() == ["NAME", "KIND", "USED", "BY", "AGE", "PARAMETERS"]
    assert [row.split()[0] for row in rows] == ["fail", "forever", "step"]
    found = terminal.run("kubectl-workflow", "template", "get", "step", "-n", terminal.namespace)
    assert "text=hello" in found.out
    assert "Makes: jobs.v1.batch" in found.out
    missing = terminal.run("kubectl-workflow", "template", "get", "nope", "-n", terminal.namespace)
    assert (missing.code, missing.err.count("\n")) == (1, 1)


def test_version(terminal: Terminal) -> None:
    done = terminal.run("kubectl", "workflow", "version")
    assert done.lines[0] == f"Client: {VERSION}"
    assert "API: flow.workflow.sh/v1alpha1" in done.lines
    assert any(line.startswith("Controller: ") for line in done.lines)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param(["get", "st"], ["stuck"], id="a workflow"),
        pytest.param(["wait", "done", "br"], ["broken"], id="a second workflow"),
        pytest.param(["logs", "long", "m"], ["many"], id="a flow"),
        pytest.param(["logs", "long", "many/"], ["many/0", "many/1", "many/2"], id="the indexes of a flow"),
        pytest.param(["get", "-o", "ya"], ["yaml"], id="a format"),
        pytest.param(["get", "nope"], [], id="nothing"),
    ],
)
def test_kubectl_completes(terminal: Terminal, words: list[str], offered: list[str]) -> None:
    assert terminal.complete(*words) == offered


def test_kubectl_completes_templates_and_namespaces(terminal: Terminal) -> None:
    done = terminal.run("kubectl", "__complete", "workflow", "template", "get", "-n", terminal.namespace, "fo")
    assert done.lines[0] == "forever"
    done = terminal.run("kubectl", "__complete", "workflow", "list", "-n", "kube-p")
    assert done.lines[0] == "kube-public"


def test_a_missing_right_is_named(terminal_of: Callable[..., Terminal]) -> None:
    nobody = terminal_of("nobody")
    done = nobody.workflow("list")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert 'cannot list resource "workflows" in API group "flow.workflow.sh"' in done.err
    assert nobody.complete("get", "") == []


def test_a_reader_sees_what_may_be_seen_and_hears_what_may_not(terminal_of: Callable[..., Terminal]) -> None:
    reader = terminal_of("reader", WORKFLOWS)
    assert reader.workflow("list").code == 0
    assert "at the cluster scope" in reader.workflow("list", "-A").err
    tree = reader.workflow("get", "broken")
    assert tree.code == 0
    assert "✖ bad" in tree.out
    assert "attempts are not shown of jobs.batch" in tree.err
    assert reader.workflow("why", "stuck").code == 0
    assert reader.workflow("wait", "done").code == 0
    logs = reader.workflow("logs", "long", "many")
    assert logs.code == 1
    assert 'cannot list resource "pods"' in logs.err
    version = reader.run("kubectl", "workflow", "version")
    assert (version.code, version.lines[-1]) == (
        0,
        "Controller: not known: listing Deployments in all namespaces is not allowed",
    )


def test_no_server_is_one_line(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "other"
    cluster = {"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "a", "context": {"cluster": "a"}}
    file.write_text(yaml.safe_dump({"current-context": "a", "clusters": [cluster], "contexts": [context]}))
    done = terminal.run("kubectl-workflow", "list", "--kubeconfig", str(file))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "is the API server http://127.0.0.1:1 reachable?" in done.err
    unknown = terminal.run("kubectl-workflow", "list", "--context", "nope")
    assert (unknown.code, unknown.err.count("\n")) == (1, 1)


def test_colours_only_on_a_terminal_and_without_no_color(terminal: Terminal) -> None:
    """`script` gives the command a terminal of its own."""
    command = shlex.join(["kubectl-workflow", "list", "-n", terminal.namespace])
    on_terminal = terminal.run("script", "-qec", command, "/dev/null", env={"TERM": "xterm", "COLUMNS": "80"})
    assert "\x1b[32mSucceeded" in on_terminal.out
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in on_terminal.lines) <= 80
    without = terminal.run("script", "-qec", command, "/dev/null", env={"TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b" not in without.out
