"""The examples with real containers: real commands, exit codes and servers; nothing is simulated."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.containers import packages
from hack.cluster.processes import wait_until
from hack.controller_process import NO_SERVERS
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import seconds
from tests.cluster.conftest import CRDS, install_crds, make_world, wait_established
from tests.cluster.support import manifests as m
from tests.cluster.support.controller import Controller
from tests.cluster.support.dashboard import Stream, serving
from tests.cluster.support.examples import EXAMPLES, apply, outcome, verify
from tests.cluster.support.history import Object
from tests.cluster.support.terminal import Terminal
from tests.cluster.support.world import World, attempt_of
from tests.unit.examples.loading import load
from tests.waiting import until

_reason = packages.unavailable()
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.containers,
    pytest.mark.skipif(bool(_reason), reason=_reason or "real containers can run here"),
    pytest.mark.timeout(600),
]

# A job of two seconds takes four from its creation to Complete here, and all examples run at once.
SECONDS = 240
_number = itertools.count(1)


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane with one real kubelet."""
    with Cluster.start(tmp_path_factory.mktemp("containers"), runtime="containers") as started:
        install_crds(started.api())
        yield started


@pytest.fixture(scope="module")
def controller(containers: Cluster) -> Iterator[Controller]:
    """One for the whole module; its log is printed if something failed."""
    started = Controller(containers, containers.folder / "controller.log", "--workers=8", *NO_SERVERS)
    started.wait_acting()
    yield started
    started.close()
    print(started.log_file.read_text(errors="replace")[-20_000:])


@pytest.fixture(scope="module")
def real(containers: Cluster, controller: Controller) -> Iterator[World]:
    """The namespace where all of it runs, pods included."""
    world = make_world(containers.api(), f"containers-{next(_number)}")
    world.follow("api/v1/pods")
    yield world
    world.remove()


def pods(world: World, workflow: str, flow: str) -> list[Object]:
    """All pods ever seen of a flow, as last seen, the oldest first."""
    found: dict[str, Object] = {}
    for seen in world.history.sightings("pods"):
        about = seen.object["metadata"].get("labels", {})
        if (about.get(labels.WORKFLOW), about.get(labels.FLOW)) == (workflow, flow):
            found[seen.object["metadata"]["uid"]] = seen.object
    return list(found.values())


def exit_code(pod: Object) -> int | None:
    """The exit code of the pod's only container, once it has ended."""
    (container,) = pod["status"].get("containerStatuses", [{}])
    code: int | None = container.get("state", {}).get("terminated", {}).get("exitCode")
    return code


@pytest.fixture(scope="module")
def examples(real: World) -> World:
    """The namespace once the main examples have ended as they state."""
    applied = {name: apply(real, name) for name in EXAMPLES}
    for name, example in applied.items():
        verify(real, name, example, SECONDS)
    return real


def test_the_main_examples_end_as_they_announce(examples: World) -> None:
    assert {name: examples.status(name)["phase"] for name in ("sequential", "retry", "probe-branch", "advanced")} == {
        "sequential": "Succeeded",
        "retry": "Succeeded",
        "probe-branch": "Succeeded",
        "advanced": "Succeeded",
    }


def test_real_exit_codes_decided_about_retries(examples: World) -> None:
    codes = {attempt_of(pod).number: exit_code(pod) for pod in pods(examples, "retry", "download")}
    assert codes == {0: 1, 1: 1, 2: 0}
    shards = {
        (attempt_of(pod).index, attempt_of(pod).number): exit_code(pod) for pod in pods(examples, "retry", "shards")
    }
    assert shards == {("0", 0): 0, ("1", 0): 1, ("1", 1): 0, ("2", 0): 1, ("2", 1): 1, ("2", 2): 0}


def test_a_real_exit_code_decided_about_the_branch(examples: World) -> None:
    assert [exit_code(pod) for pod in pods(examples, "probe-branch", "check")] == [3]
    assert pods(examples, "probe-branch", "on-success") == []
    assert [exit_code(pod) for pod in pods(examples, "probe-branch", "on-failure")] == [0]


def test_a_real_server_opened_the_gates(examples: World, containers: Cluster) -> None:
    (server,) = pods(examples, "probe-branch", "server")
    assert server["status"]["phase"] == "Running"
    assert exit_code(server) is None
    at = f"http://{server['status']['podIP']}:8080/index.html"
    name = server["metadata"]["name"]
    said = containers.kubectl("exec", "-n", examples.namespace, name, "--", "wget", "-q", "-O", "-", at)
    assert said.strip() == "hello"
    assert examples.flow("probe-branch", "late-gate")["reason"] == "ProbeTimeout"
    (tester,) = pods(examples, "advanced", "smoke-test")
    assert exit_code(tester) == 0, "a pod reached the address that it was rendered with"


def test_a_gate_stays_shut_until_the_server_says_so(real: World) -> None:
    """The server answers 404 to the probe for three seconds, and listens on the second port only then."""
    script = (
        "mkdir -p /tmp/www; httpd -p 8080 -h /tmp/www; sleep 3; date +%s > /tmp/www/ready; "
        "httpd -p 9000 -h /tmp/www; exec sleep 600"
    )
    real.create(server_template("slow-server", script))
    real.create(m.template("slow-step"))
    probe = {"periodSeconds": 1, "httpGetList": [{"taskName": "server", "path": "/ready", "port": 8080}]}
    tcp = {"periodSeconds": 1, "tcpSocketList": [{"taskName": "server", "port": 9000}]}
    real.create(
        m.workflow(
            "slow",
            m.flow("server", of="slow-server"),
            {**m.flow("http", of="slow-step"), "dependsOn": {"probe": probe}},
            {**m.flow("tcp", of="slow-step"), "dependsOn": {"probe": tcp}},
            jobRetainPolicy="delete",
        )
    )
    assert real.wait_phase("slow", seconds=SECONDS)["phase"] == "Succeeded"
    (server,) = pods(real, "slow", "server")
    (gated,) = pods(real, "slow", "http")
    ran = server["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert seconds(gated["metadata"]["creationTimestamp"]) - seconds(ran) >= 2


def test_a_failed_flow_says_how_its_real_container_ended(real: World) -> None:
    """The exit code of a kill, an exit code with last words, and an init container, as a real kubelet reports them."""
    scripts = {
        "killed": "exit 137",
        "said": "echo one > /dev/termination-log; echo 'no rows in table x' >> /dev/termination-log; exit 3",
    }
    for name, script in scripts.items():
        real.create(shell_template(name, {"containers": [container("main", script)]}))
    early = {"initContainers": [container("setup", "exit 7")], "containers": [container("main", "true")]}
    real.create(shell_template("early", early))
    policy = {"type": "All", "remaining": "Continue"}
    flows = [m.flow(name, of=name) for name in (*scripts, "early")]
    real.create(m.workflow("words", *flows, successPolicy=policy))
    assert real.wait_phase("words", seconds=SECONDS)["phase"] == "Failed"
    wanted = {
        "killed": "container main: exit code 137 (SIGKILL)",
        "said": 'container main: exit code 3: "no rows in table x"',
        "early": "init container setup: exit code 7",
    }
    for name, words in wanted.items():
        (pod,) = {pod["metadata"]["name"] for pod in pods(real, "words", name)}
        start = f"job words-{name}, pod {pod}, {words}"
        real.wait_message("words", name, f"^{re.escape(start)}", SECONDS)


def test_logs_of_real_containers(real: World, containers: Cluster, tmp_path: Path) -> None:
    """`kubectl workflow logs`: replicas, containers, attempts, the container before its restart, and following."""
    terminal = Terminal(tmp_path, Path(containers.state.binaries) / "kubectl", containers.kubeconfig, real.namespace)
    two = [container("main", "echo one $WORKFLOW_FLOW/$WORKFLOW_INDEX; echo two"), container("side", "echo aside")]
    real.create(shell_template("talk", {"containers": two}))
    attempt = container("main", "echo attempt $WORKFLOW_ATTEMPT; exit $((1 - WORKFLOW_ATTEMPT))")
    real.create(shell_template("again", {"containers": [attempt]}))
    real.create(
        m.workflow(
            "talks",
            {**m.flow("talk", of="talk"), "for": {"replicas": 2}},
            m.flow("again", of="again", retry={"maxRetries": 1, "interval": "1s"}),
        )
    )
    followed = terminal.workflow("logs", "talks", "again", "-f")
    assert (followed.code, followed.lines, followed.err) == (0, ["attempt 0", "attempt 1"], "")
    assert real.wait_phase("talks", seconds=SECONDS)["phase"] == "Succeeded"

    talk = terminal.workflow("logs", "talks", "talk")
    assert talk.lines == ["[talk/0] one talk/0", "[talk/0] two", "[talk/1] one talk/1", "[talk/1] two"]
    assert "also there: container side" in talk.err
    assert terminal.workflow("logs", "talks", "talk/1", "-c", "side").out == "aside\n"
    every = terminal.workflow("logs", "talks", "talk/1", "--all-containers")
    assert every.lines == ["[talk/1 main] one talk/1", "[talk/1 main] two", "[talk/1 side] aside"]
    assert terminal.workflow("logs", "talks", "talk/0", "--tail", "1").out == "two\n"
    assert re.fullmatch(
        r"\d{4}-\S+Z two\n", terminal.workflow("logs", "talks", "talk/0", "--tail=1", "--timestamps").out
    )
    assert terminal.workflow("logs", "talks", "again").out == "attempt 1\n"
    assert terminal.workflow("logs", "talks", "again", "--attempt", "0").out == "attempt 0\n"
    missing = terminal.workflow("logs", "talks", "again", "-c", "nope")
    assert missing.code == 1
    assert "container nope is not valid" in missing.err


def test_the_dashboard_streams_the_log_of_a_real_container_from_its_last_lines_on(
    real: World, containers: Cluster
) -> None:
    """Somebody who connects anew gets the lines that were written meanwhile, and the end of the log ends the stream."""
    script = "for i in $(seq 1 8); do echo line $i; sleep 1; done"
    real.create(shell_template("count", {"containers": [container("main", script)]}))
    real.create(m.workflow("counts", m.flow("count", of="count")))
    path = f"/api/workflows/{real.namespace}/counts/logs"
    with serving(containers.kubeconfig) as dashboard:

        def task() -> Object:
            found: Object = dashboard.get(f"{path}?flow=count&follow=1")
            return found

        real.history.wait(lambda: bool(task()["pods"]), SECONDS, "the pod of the task is there")
        pod = task()["pod"]

        def lines(stream: Stream) -> list[str]:
            return [line for name, found in stream.events if name == "lines" for line in found]

        def has_begun() -> bool:
            with dashboard.stream(f"{path}/stream?pod={pod}") as first:
                until(lambda: bool(lines(first)) or first.has_ended, SECONDS)
                return bool(lines(first))

        real.history.wait(has_begun, SECONDS, "the stream has a line of the container")
        with dashboard.stream(f"{path}/stream?pod={pod}") as again:
            assert again.wait("end", SECONDS) == {"message": ""}
            assert again.events[0] == ("begin", {})
            assert lines(again) == [f"line {number}" for number in range(1, 9)]
        with dashboard.stream(f"{path}/stream?pod={pod}&tail=2") as tail:
            tail.wait("end", SECONDS)
            assert lines(tail) == ["line 7", "line 8"]
        real.wait_phase("counts", seconds=SECONDS)
        assert task()["lines"] == [f"line {number}" for number in range(1, 9)]
        assert not task()["follows"]


def test_the_log_before_a_restart_is_there(real: World, containers: Cluster, tmp_path: Path) -> None:
    """A kubelet keeps the container before the last restart while the pod runs."""
    terminal = Terminal(tmp_path, Path(containers.state.binaries) / "kubectl", containers.kubeconfig, real.namespace)
    main = container("main", "test -e /kept/x && echo second && exec sleep 600; touch /kept/x; echo first; exit 1")
    main["volumeMounts"] = [{"name": "kept", "mountPath": "/kept"}]
    pod = {"restartPolicy": "OnFailure", "containers": [main], "volumes": [{"name": "kept", "emptyDir": {}}]}
    made = shell_template("restarts", pod)
    made["spec"]["jobSpec"]["backoffLimit"] = 3
    real.create(made)
    real.create(m.workflow("restarting", m.flow("restarts", of="restarts")))

    def restarted() -> bool:
        statuses = [one["status"].get("containerStatuses") or [{}] for one in pods(real, "restarting", "restarts")]
        return any(status.get("restartCount") == 1 and "running" in status["state"] for (status,) in statuses)

    real.history.wait(restarted, SECONDS, "the container runs again")
    assert terminal.workflow("logs", "restarting", "restarts", "-p").out == "first\n"
    assert terminal.workflow("logs", "restarting", "restarts").out == "second\n"


def test_the_pipeline_counts_real_words_and_its_server_outlives_the_runs(real: World, containers: Cluster) -> None:
    """Lists, numbers and pages are real here; the second run finds other files, and updates page and server."""
    example = load("pipeline")
    real.create_all(example.documents)
    status = real.wait_phase("pipeline", seconds=SECONDS)
    assert outcome(real, "pipeline", example.expected) == example.expected
    assert status["progress"] == "8/8"
    assert [values(real, "pipeline", flow) for flow in ("list", "process", "collect")] == [
        ['["one.txt", "two.txt", "three.txt"]'],
        ["10", "20", "30"],
        ["60"],
    ]
    assert sorted(len(pods(real, "pipeline", flow)) for flow in ("list", "process", "collect")) == [1, 1, 3]
    assert log(containers, real, "pipeline-check") == "60 words"
    uid = real.api.get(WEB.format(real.namespace))["metadata"]["uid"]

    real.delete(real.workflow_path("pipeline"))
    again = example.documents[-1]
    again["metadata"]["name"] = "again"
    again["spec"]["flows"][0]["parameters"][0]["value"] = """echo '["a", "b; exit 9"]' > /dev/termination-log"""
    real.create(again)
    assert real.wait_phase("again", seconds=SECONDS)["progress"] == "7/7"
    assert values(real, "again", "collect") == ["30"]
    assert log(containers, real, "again-check") == "30 words"
    web = real.api.get(WEB.format(real.namespace))
    assert web["metadata"]["uid"] == uid
    assert "ownerReferences" not in web["metadata"]


WEB = "/apis/apps/v1/namespaces/{}/deployments/pipeline-web"


def values(world: World, workflow: str, flow: str) -> list[str]:
    """What the tasks of a flow handed out, in the order of their indexes."""
    (output,) = world.flow(workflow, flow)["outputs"]
    return [output["value"]] if "value" in output else output["values"]


def log(cluster: Cluster, world: World, job: str) -> str:
    return cluster.kubectl("logs", "-n", world.namespace, f"job/{job}").strip()


def test_logs_of_pods_that_bear_no_label_of_ours(real: World, containers: Cluster, tmp_path: Path) -> None:
    """Of an object that a flow applied, and of a kind whose operator makes a pod and labels it in its own way."""
    terminal = Terminal(tmp_path, Path(containers.state.binaries) / "kubectl", containers.kubeconfig, real.namespace)
    containers.api().request("POST", CRDS, m.crd("runs.example.com", "TaskRun"))
    wait_established(containers.api(), "taskruns.runs.example.com")
    stays = server_template("stays", "echo I serve; exec sleep 600")
    stays["spec"] |= {"action": "Apply", "metadata": {"name": "greeter"}}
    words = {"gvr": {"version": "v1", "resource": "configmaps"}, "action": "Apply", "jobSpec": {"data": {"a": "b"}}}
    settings = {**stays, "metadata": {"name": "settings"}, "spec": {**words, "metadata": {"name": "greeter"}}}
    for made in (stays, settings, m.custom("run", "runs.example.com", "taskruns")):
        real.create(made)
    real.create(
        m.workflow("strange", m.flow("stays", of="stays"), m.flow("settings", of="settings"), m.flow("run", of="run"))
    )
    real.wait_flow("strange", "run", "Waiting", "Pending", "Running", seconds=SECONDS)
    runs = f"/apis/runs.example.com/v1/namespaces/{real.namespace}/taskruns"
    assert wait_until(lambda: bool(containers.api().get(runs)["items"]), SECONDS, 0.5)
    (run,) = containers.api().get(runs)["items"]
    meta = {key: run["metadata"][key] for key in ("name", "uid")}
    owner = {"apiVersion": "runs.example.com/v1", "kind": "TaskRun", "controller": True, **meta}
    pod = {"restartPolicy": "Never", "containers": [container("step", "echo I run")]}
    about = {"name": "odd-name", "ownerReferences": [owner]}
    real.create({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": pod})
    real.wait_flow("strange", "stays", "Succeeded", seconds=SECONDS)
    assert wait_until(lambda: terminal.workflow("logs", "strange", "run").out == "I run\n", SECONDS, 1)
    assert terminal.workflow("logs", "strange", "stays").out == "I serve\n"
    assert sorted(terminal.workflow("logs", "strange").lines) == ["[run] I run", "[stays] I serve"]
    without = terminal.workflow("logs", "strange", "settings")
    assert (without.code, without.out, without.err) == (
        1,
        "",
        "settings applied configmaps/greeter, which has no pods\n",
    )
    assert "deployment/greeter" in terminal.workflow("events", "strange", "stays").out


def container(name: str, script: str) -> Object:
    return {"name": name, "image": "busybox:1.36", "command": ["sh", "-c", script]}


def shell_template(name: str, pod: Object) -> Object:
    """A batch Job of one pod without retries."""
    made = m.template(name)
    made["spec"]["jobSpec"]["template"] = {"spec": {"restartPolicy": "Never", **pod}}
    return made


def server_template(name: str, script: str) -> Object:
    """A Deployment of one pod that runs a shell script; ready once its container runs."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", script]}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    gvr = {"group": "apps", "version": "v1", "resource": "deployments"}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {
        "apiVersion": m.API,
        "kind": "WorkTemplate",
        "metadata": {"name": name},
        "spec": {"gvr": gvr, "jobSpec": spec},
    }
