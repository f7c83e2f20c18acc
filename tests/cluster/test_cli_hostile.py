"""`kubectl workflow` where things are wrong: hostile words, no CRDs or old ones, no server, no login, closed pipes."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from hack.cluster import Cluster
from tests.cluster.conftest import CRDS, ROOT, make_world, token_kubeconfig, wait_established
from tests.cluster.support import manifests as m
from tests.cluster.support.history import Object
from tests.cluster.support.terminal import Done, Terminal
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

#: Clears the screen, sets the title of the window, moves the cursor, and does it with the other kind of control too.
EVIL: Final = "\x1b[2J\x1b]0;owned\x07\x1b[1;1H\r\u009b31m\u202eevil"
START: Final = "2027-01-15T08:00:00Z"


def statuses() -> dict[str, Object]:
    """The status of a Workflow that runs, waits for ever, and says hostile things; and of one that has failed so."""
    flows: list[dict[str, Any]] = [
        {"name": "a", "phase": "Running", "attempts": 1, "startTime": START, "reason": "Hm", "message": f"a {EVIL}"},
        {"name": "b", "phase": "Waiting", "reason": f"Odd{EVIL}", "message": f"waits {EVIL} " + "long words " * 60},
    ]
    failed = {"name": "a", "phase": "Failed", "attempts": 1, "reason": "Failed", "message": f"job x: {EVIL}"}
    out = {"name": "out", "value": f"value {EVIL}"}
    whole = {"startTime": START, "reason": f"Odd{EVIL}", "message": f"flow b: {EVIL}", "progress": "0/2"}
    return {
        "runs": {"phase": "Running", **whole, "flows": [{**flows[0], "outputs": [out]}, flows[1]]},
        "failed": {"phase": "Failed", **whole, "flows": [failed, {**flows[1], "phase": "Skipped"}]},
    }


@pytest.fixture(scope="module")
def town(cluster: Cluster) -> Iterator[World]:
    """Workflows with hostile words in their status. No controller runs: they stay as they are."""
    world = make_world(cluster.api(), "cli-hostile")
    world.create(m.template("step", parameters={"text": f"x {EVIL}"}))
    for name, status in statuses().items():
        world.create(m.workflow(name, m.flow("a"), m.flow("b", "a")))
        world.patch(f"{world.workflow_path(name)}/status", {"status": status})
    yield world
    world.remove()


@pytest.fixture
def terminal(tmp_path: Path, cluster: Cluster, town: World) -> Terminal:
    """The administrator's terminal."""
    return Terminal(tmp_path, Path(cluster.state.binaries) / "kubectl", cluster.kubeconfig, town.namespace)


def one_line(done: Done, code: int = 1) -> str:
    """What a command that failed said."""
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done
    return done.err


VERBS = [
    ["list"],
    ["list", "-o", "wide"],
    ["get", "runs"],
    ["get", "failed", "-o", "wide"],
    ["why", "runs"],
    ["why", "failed"],
    ["logs", "failed", "--log-url-template", "https://logs.example/{flow}"],
    ["logs", "runs", "b"],
    ["events", "runs"],
    ["wait", "failed"],
    ["wait", "runs", "--timeout", "0s"],
    ["watch", "failed"],
    ["retry", "failed", "--dry-run"],
    ["graph", "runs"],
    ["delete", "failed", "--dry-run"],
]
OF_TEMPLATES = [["template", "list"], ["template", "get", "step"]]


def is_harmless(text: str, *, colours: bool) -> bool:
    """Whether a text has no control characters but line ends, and on a terminal colours."""
    if colours:
        text = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    return all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("words", [*VERBS, *OF_TEMPLATES], ids=" ".join)
def test_words_of_others_do_not_steer_the_terminal(terminal: Terminal, words: list[str]) -> None:
    command = ["kubectl-workflow", *words, "-n", terminal.namespace]
    piped = terminal.run(*command)
    assert "Traceback" not in piped.err
    assert is_harmless(piped.out, colours=False), repr(piped.out)
    assert is_harmless(piped.err, colours=False), repr(piped.err)
    if words[0] == "watch":
        return  # it draws with the cursor
    for columns in ("80", "20"):
        env = {"TERM": "xterm", "COLUMNS": columns}
        shown = terminal.run("script", "-qec", shlex.join(command), "/dev/null", env=env)
        assert is_harmless(shown.out, colours=True), repr(shown.out)
        assert "Traceback" not in shown.out


def test_watch_draws_without_words_of_others(terminal: Terminal) -> None:
    command = shlex.join(["kubectl-workflow", "watch", "failed", "-n", terminal.namespace])
    for columns in ("80", "12"):
        env = {"TERM": "xterm", "COLUMNS": columns, "LINES": "10"}
        shown = terminal.run("script", "-qec", command, "/dev/null", env=env).out
        assert "Traceback" not in shown
        assert not any(part in shown for part in ("\x1b[2J", "\x1b]0;", "\x07", "\u009b", "\u202e"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["list"], 1, id="list"),
        pytest.param(["get", "runs"], 1, id="get"),
        pytest.param(["watch", "runs"], 1, id="watch"),
        pytest.param(["wait", "runs"], 3, id="wait"),
        pytest.param(["logs", "runs", "-f"], 1, id="logs"),
        pytest.param(["retry", "failed", "--yes"], 1, id="retry"),
        pytest.param(["delete", "failed", "--yes"], 1, id="delete"),
    ],
)
def test_credentials_that_have_expired(
    tmp_path: Path, cluster: Cluster, town: World, words: list[str], code: int
) -> None:
    file = token_kubeconfig(cluster, town.namespace, "default", tmp_path / "expired")
    config = yaml.safe_load(file.read_text())
    config["users"][0]["user"]["token"] = "e30.e30.x"
    file.write_text(yaml.safe_dump(config))
    terminal = Terminal(tmp_path, Path(cluster.state.binaries) / "kubectl", file, town.namespace)
    said = one_line(terminal.workflow(*words), code)
    assert "does not accept the credentials" in said
    assert "log in again" in said


@pytest.mark.parametrize(
    ("server", "said"),
    [
        pytest.param(
            {"server": "https://127.0.0.1:1"}, "is the API server https://127.0.0.1:1 reachable?", id="nobody listens"
        ),
        pytest.param(
            {"server": "https://nosuch.invalid"},
            "is the API server https://nosuch.invalid reachable?",
            id="no such host",
        ),
        pytest.param({"certificate-authority-data": ""}, "certificate", id="a certificate of somebody else"),
        pytest.param({"server": "http"}, "is the API server http://", id="no TLS where the server wants it"),
    ],
)
def test_no_server_is_one_line(
    tmp_path: Path, cluster: Cluster, town: World, server: dict[str, str], said: str
) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    of = config["clusters"][0]["cluster"]
    given = {key: of["server"].replace("https", "http") if value == "http" else value for key, value in server.items()}
    config["clusters"][0]["cluster"] = {key: value for key, value in {**of, **given}.items() if value}
    if "certificate-authority-data" in server:
        config["clusters"][0]["cluster"].pop("certificate-authority", None)
    file = tmp_path / "other"
    file.write_text(yaml.safe_dump(config))
    terminal = Terminal(tmp_path, Path(cluster.state.binaries) / "kubectl", file, town.namespace)
    for words, code in ((["list"], 1), (["watch", "runs"], 1), (["cron", "list"], 1)):
        done = terminal.run("kubectl-workflow", *words)
        assert said in one_line(done, code)
    waited = terminal.run("kubectl-workflow", "wait", "runs", "--timeout", "2s")
    assert (waited.code, waited.out) in ((2, ""), (3, ""))
    assert "Traceback" not in waited.err


@pytest.mark.parametrize(
    "words",
    [["watch", "runs"], ["watch"], ["wait", "runs"], ["logs", "runs", "-f"]],
    ids=" ".join,
)
def test_ctrl_c_ends_what_waits(terminal: Terminal, words: list[str], cluster: Cluster) -> None:
    folder = Path(terminal.run("sh", "-c", "command -v kubectl-workflow").out.strip()).parent
    environ = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), "KUBECONFIG": str(cluster.kubeconfig)}
    # What a shell starts in the background ignores Ctrl-C, and so does all that it starts: these tests, for one.
    heard = ("env", "--default-signal=INT")
    command = [*heard, str(folder / "kubectl-workflow"), *words, "-n", terminal.namespace]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(4)  # until it waits; before that, Ctrl-C ends it as well
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words", [["list"], ["get", "runs"], ["list", "-o", "yaml"], ["watch", "failed"]], ids=" ".join
)
def test_a_reader_that_closes_the_pipe_is_no_error(terminal: Terminal, words: list[str]) -> None:
    command = shlex.join(["kubectl-workflow", *words, "-n", terminal.namespace])
    done = terminal.run("bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}")
    assert done.err == ""
    assert done.code in (0, 1)


ACTIONS = [
    pytest.param(["suspend"], "runs", {"suspend"}, id="suspend"),
    pytest.param(["resume"], "runs", {"suspend"}, id="resume"),
    pytest.param(["stop"], "runs", {"shutdown"}, id="stop"),
    pytest.param(["terminate"], "runs", {"shutdown"}, id="terminate"),
    pytest.param(["approve", "ask"], "runs", {"approvals"}, id="approve"),
    pytest.param(["reject", "ask"], "runs", {"approvals"}, id="reject"),
    pytest.param(["retry", "--yes"], "failed", {"restart"}, id="retry"),
    pytest.param(["retry", "--yes", "--flow", "a", "-p", "x=1"], "failed", {"restart", "parameters"}, id="retry -p"),
]


@pytest.mark.parametrize(("words", "state", "fields"), ACTIONS)
def test_actions_change_fields_of_the_spec_alone(
    terminal: Terminal, town: World, words: list[str], state: str, fields: set[str], request: pytest.FixtureRequest
) -> None:
    """No controller runs, so that whatever else changes was changed by the command."""
    name = re.sub("[^a-z]+", "-", f"acts-{request.node.callspec.id}")
    path = town.workflow_path(name)
    ask: Object = {"name": "ask", "approval": {}}
    given = {"suspend": True} if words[0] == "resume" else {}
    town.create(m.workflow(name, m.flow("a"), m.flow("b", "a"), ask, parameters=[{"name": "x", "value": "0"}], **given))
    town.patch(f"{path}/status", {"status": statuses()[state]})
    before = town.api.get(path)
    verb, *rest = words
    done = terminal.workflow(verb, name, *rest)
    assert done.code == 0, done
    after = town.api.get(path)
    assert after["status"] == before["status"]
    kept = ("labels", "annotations", "ownerReferences", "finalizers", "uid")
    assert {key: after["metadata"].get(key) for key in kept} == {key: before["metadata"].get(key) for key in kept}
    spec, was = after["spec"], before["spec"]
    assert {key for key in spec.keys() | was.keys() if spec.get(key) != was.get(key)} == fields


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane without our CRDs."""
    with Cluster.start(tmp_path_factory.mktemp("bare"), nodes=1) as started:
        yield started


MANIFEST = """
apiVersion: flow.workflow.sh/v1alpha1
kind: WorkTemplate
metadata: {name: step}
spec:
  gvr: {group: batch, version: v1, resource: jobs}
  jobSpec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "busybox:1.36"}]}}}
---
apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  flows:
  - {name: a, template: step%s}
"""


def old_crds() -> Iterator[Object]:
    """The CRDs as they were before there were CronWorkflows, conditions, delays and locks."""
    for file in sorted((ROOT / "installer" / "crds").glob("*.yaml")):
        found = yaml.safe_load(file.read_text())
        if found["spec"]["names"]["kind"] == "CronWorkflow":
            continue
        for version in found["spec"]["versions"]:
            spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
            flows: dict[str, Any] = spec["properties"].get("flows", {}).get("items", {})
            for field in ("when", "startDelay", "mutexes", "semaphores"):
                flows.get("properties", {}).pop(field, None)
            flows.pop("x-kubernetes-validations", None)
            spec.pop("x-kubernetes-validations", None)
        yield found


def test_without_crds_and_with_old_ones(bare: Cluster, tmp_path: Path) -> None:
    """One test: CRDs that are installed once stay."""
    terminal = Terminal(tmp_path, Path(bare.state.binaries) / "kubectl", bare.kubeconfig, "default")
    file = tmp_path / "w.yaml"
    file.write_text(MANIFEST % "")
    for words, code in (
        (["list"], 1),
        (["list", "-A", "-o", "name"], 1),
        (["get", "w"], 1),
        (["why", "w"], 1),
        (["logs", "w"], 1),
        (["events", "w"], 1),
        (["watch", "w"], 1),
        (["watch"], 1),
        (["wait", "w", "--timeout", "20s"], 3),
        (["suspend", "w"], 1),
        (["approve", "w", "a"], 1),
        (["retry", "w", "--yes"], 1),
        (["resubmit", "w"], 1),
        (["delete", "w", "--yes"], 1),
        (["template", "list"], 1),
        (["cron", "list"], 1),
        (["cron", "trigger", "w"], 1),
        (["submit", "-f", str(file)], 1),
        (["lint", "--server", str(file)], 1),
    ):
        done = terminal.run("kubectl-workflow", *words)
        assert "install the CRDs of Work-Flow (kubectl apply -f installer/crds/)" in one_line(done, code), words
    version = terminal.run("kubectl-workflow", "version")
    assert (version.code, version.lines[2]) == (
        0,
        "API: flow.workflow.sh is not served; kubectl apply -f installer/crds/",
    )

    api = bare.api()
    for document in old_crds():
        api.request("POST", CRDS, document)
        wait_established(api, document["metadata"]["name"])
    assert "install the CRDs of Work-Flow" in one_line(terminal.run("kubectl-workflow", "cron", "list"))
    file.write_text(MANIFEST % ", when: '1 > 2', mutexes: [db]")
    done = terminal.run("kubectl-workflow", "submit", "-f", str(file))
    assert done.code == 1
    assert 'unknown field "spec.flows[0].when"' in done.err
    assert terminal.run("kubectl-workflow", "list", "-o", "name").out == "", (
        "the job would run whatever the condition is"
    )
    file.write_text(MANIFEST % "")
    assert terminal.run("kubectl-workflow", "submit", "-f", str(file)).code == 0
    assert terminal.run("kubectl-workflow", "get", "w").code == 0
