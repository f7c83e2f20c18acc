"""How long each verb of `kubectl workflow` takes in a namespace with many Workflows, and of one that is very large.

Every run is a process of its own, as a person starts it. No controller runs: the Workflows have the status that one
would have written.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from hack.bench.async_api import MERGE_PATCH, AsyncApi
from hack.bench.bounds import Bound
from hack.bench.harness import ROOT
from hack.bench.world import path_of
from hack.cluster import Cluster
from hack.faults import load
from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, WORKFLOWS
from pkg.apis.meta import GVR, timestamp

Object = dict[str, Any]
NAMESPACE: Final = "many"
HUGE: Final = "huge"
MAX_SECONDS: Final = 1.0
#: Of the start of the command, which answers without a cluster.
MAX_START: Final = 0.3
ROUNDS: Final = 5
_FLOWS: Final = 10
_EVENTS: Final = GVR("", "v1", "events")
_EXAMPLE: Final = str(ROOT / "examples" / "advanced.yaml")
_MUST_WORK: Final = ("list", "template", "cron", "approve", "reject")
_CRON: Final = "cron-00007"
_ASKING: Final = "asking"
#: The phases of the Workflows, in turn.
_PHASES: Final = ("Succeeded", "Running", "Succeeded", "Failed", "Blocked", "Succeeded", "Running", "Failed")

STARTS: Final = (["--help"], ["version", "--client"], ["list", "--help"], ["completion", "bash"])
ALL: Final = (
    ["list"],
    ["list", "-A", "-o", "wide"],
    ["list", "--phase", "Failed"],
    ["list", "--blocked"],
    ["list", "-l", "team=a"],
    ["list", "-o", "name"],
    ["template", "list"],
    ["template", "get", "step"],
    ["delete", "--phase", "Succeeded", "--dry-run"],
    ["delete", "--older", "1h", "--dry-run"],
    ["version"],
    ["cron", "list"],
    ["cron", "list", "-A", "-o", "json"],
    ["cron", "suspend", _CRON],
    ["cron", "resume", _CRON],
    ["cron", "trigger", _CRON],
    ["approve", _ASKING, "f00009", "--dry-run"],
    ["reject", _ASKING, "f00009", "--dry-run"],
    ["approve", _ASKING, "f00009"],
    ["reject", _ASKING, "f00008"],
)
ONE: Final = (
    ["get", "{}"],
    ["why", "{}"],
    ["events", "{}"],
    ["logs", "{}"],
    ["wait", "{}", "--timeout", "0s"],
    ["watch", "{}"],
    ["graph", "{}", "-o", "svg"],
    ["retry", "{}", "--dry-run"],
    ["resubmit", "{}", "--dry-run"],
    ["suspend", "{}"],
    ["resume", "{}"],
    ["stop", "{}"],
    ["terminate", "{}"],
)
FILES: Final = (
    ["submit", "--dry-run", "-f", _EXAMPLE],
    ["lint", _EXAMPLE],
    ["render", _EXAMPLE],
    ["graph", "-f", _EXAMPLE],
    ["plan", "-f", _EXAMPLE],
    ["convert", _EXAMPLE],
)


def measure(cluster: Cluster, *, workflows: int, flows: int, events: int) -> bool:
    """Prints the seconds of each verb beside that many Workflows; whether all are within their bounds.

    There is a CronWorkflow for each ten Workflows.
    """
    load.make_namespace(cluster.api(), NAMESPACE)
    asyncio.run(fill(str(cluster.kubeconfig), workflows, flows, events))
    run = _Terminal(str(cluster.kubeconfig))
    found: list[Bound] = []
    for words, bound in calls():
        seconds = min(run.seconds(words) for _ in range(ROUNDS))
        found.append(Bound(" ".join(words).replace(f"{ROOT}/", ""), seconds, bound, "s"))
        print(found[-1].line(), flush=True)
    return all(bound.is_met for bound in found)


def calls() -> Iterator[tuple[list[str], float]]:
    """The words of each call, and its bound in seconds."""
    yield from ((words, MAX_START) for words in STARTS)
    for words in (*ALL, *FILES):
        yield words, MAX_SECONDS
    # One that runs, one that has failed, and the largest that there may be.
    for name in (_name(1), _name(3), HUGE):
        for words in ONE:
            if words[0] != "watch" or name == _name(3):  # it ends with the Workflow
                yield [word.format(name) for word in words], MAX_SECONDS
    yield ["get", HUGE, "--all"], MAX_SECONDS
    yield ["logs", HUGE, "f00001"], MAX_SECONDS


class _Terminal:
    """Runs the command that is installed beside this Python, with its output piped."""

    def __init__(self, kubeconfig: str) -> None:
        self._command = str(Path(sys.executable).with_name("kubectl-workflow"))
        self._env = os.environ | {"KUBECONFIG": kubeconfig, "PYTHONDONTWRITEBYTECODE": ""}

    def seconds(self, words: list[str]) -> float:
        """From the start of the process to its end; SystemExit if it crashed, or did not do what it was to do."""
        namespace = ["-n", NAMESPACE] if _has_namespace(words) else []
        began = time.perf_counter()
        done = subprocess.run(
            [self._command, *words, *namespace], env=self._env, capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - began
        # A refusal is fast, and no measurement.
        is_refused = words[0] in _MUST_WORK and done.returncode != 0
        if is_refused or "Traceback" in done.stderr or "Usage:" in done.stderr:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return took


def _has_namespace(words: list[str]) -> bool:
    return not {"-A", "--help", "--client"} & set(words) and words[0] not in ("completion", "plan", "convert")


async def fill(kubeconfig: str, workflows: int, flows: int, events: int) -> None:
    """Workflows, a very large one, and Events about the others."""
    api = AsyncApi(kubeconfig, "bench-cli")
    now = time.time()
    path = path_of(WORKFLOWS, NAMESPACE)

    async def make(name: str, phase: str, count: int) -> None:
        made, status = _workflow(name, phase, count, now)
        await api.call("POST", path, msgspec.json.encode(made))
        body = msgspec.json.encode({"status": status})
        await api.call("PATCH", f"{path}/{name}/status", body, MERGE_PATCH)

    await make(HUGE, "Running", flows)
    await _make_asking(api, path)
    crons = path_of(CRONWORKFLOWS, NAMESPACE)
    await asyncio.gather(*(_make_cron(api, crons, at, now) for at in range(max(8, workflows // 10))))
    await asyncio.gather(*(make(_name(at), _PHASES[at % len(_PHASES)], _FLOWS) for at in range(workflows)))
    bodies = [msgspec.json.encode(_event(at, at % workflows, now)) for at in range(events)]
    await asyncio.gather(*(api.call("POST", path_of(_EVENTS, NAMESPACE), body) for body in bodies))
    api.close()


async def _make_asking(api: AsyncApi, path: str) -> None:
    """A Workflow whose last two flows wait for a person. Nobody sees the decisions, so they may be given again."""
    names = [f"f{at:05d}" for at in range(_FLOWS)]
    approvals = names[-2:]
    flows = [{"name": name, **({"approval": {}} if name in approvals else {"template": "step"})} for name in names]
    meta = {"name": _ASKING}
    made = {"apiVersion": load.FLOW_API, "kind": "Workflow", "metadata": meta, "spec": {"flows": flows}}
    await api.call("POST", path, msgspec.json.encode(made))
    states: list[Object] = [{"name": name, "phase": "Running"} for name in names[:-2]]
    states += [{"name": name, "phase": "Waiting", "reason": "ApprovalNeeded"} for name in approvals]
    body = msgspec.json.encode({"status": {"phase": "Running", "progress": f"0/{_FLOWS}", "flows": states}})
    await api.call("PATCH", f"{path}/{_ASKING}/status", body, MERGE_PATCH)


async def _make_cron(api: AsyncApi, path: str, number: int, now: float) -> None:
    name = f"cron-{number:05d}"
    spec = {"schedules": ["30 2 * * *"], "workflowTemplate": {"spec": {"flows": [{"name": "a", "template": "step"}]}}}
    made = {"apiVersion": load.FLOW_API, "kind": "CronWorkflow", "metadata": {"name": name}, "spec": spec}
    await api.call("POST", path, msgspec.json.encode(made))
    status = {"lastScheduleTime": timestamp(now - 9000), "nextScheduleTime": timestamp(now + 9000), "activeCount": 1}
    await api.call("PATCH", f"{path}/{name}/status", msgspec.json.encode({"status": status}), MERGE_PATCH)


def _name(number: int) -> str:
    return f"nightly-{number:05d}"


def _workflow(name: str, phase: str, count: int, now: float) -> tuple[Object, Object]:
    """A Workflow of so many flows in a chain of layers, and its status."""
    names = [f"f{at:05d}" for at in range(count)]
    flows: list[Object] = [{"name": own, "template": "step"} for own in names]
    for at in range(_FLOWS, count):
        flows[at]["dependsOn"] = {"targets": [names[at - _FLOWS]]}
    meta = {"name": name, "labels": {"team": "a" if name[-1] in "05" else "b"}}
    started, ended = timestamp(now - 9000), timestamp(now - 8000)
    is_final = phase in ("Succeeded", "Failed")
    done = count if is_final else count // 2
    status: Object = {
        "phase": "Running" if phase == "Blocked" else phase,
        "startTime": started,
        "progress": f"{done}/{count}",
        "observedGeneration": 1,
        "tasks": {"total": count, "succeeded": done - (phase == "Failed"), "failed": int(phase == "Failed")},
        "conditions": [
            _condition("Finished", is_final, "", "", started),
            _condition(
                "Blocked",
                phase == "Blocked",
                "TemplateNotFound",
                "flow f00009: there is no WorkTemplate step-9 in namespace many; create it",
                started,
            ),
        ],
        "flows": [
            _flow(own, at < done, phase == "Failed" and at == count - 1, started) for at, own in enumerate(names)
        ],
        "record": {"kinds": [{"gvr": "jobs.v1.batch"}]},
    }
    if is_final:
        status["completionTime"] = ended
    if phase == "Failed":
        status |= {"reason": "TaskFailed", "message": f"flow {names[-1]} failed: Failed, {_words(names[-1])}"}
    return {"apiVersion": load.FLOW_API, "kind": "Workflow", "metadata": meta, "spec": {"flows": flows}}, status


def _flow(name: str, is_done: bool, is_failed: bool, started: str) -> Object:
    if not is_done:
        message = "flow waits for the success of another flow"
        return {"name": name, "phase": "Waiting", "reason": "WaitingForDependencies", "message": message}
    found = {"name": name, "phase": "Succeeded", "startTime": started, "completionTime": started, "attempts": 1}
    if is_failed:
        found |= {"phase": "Failed", "reason": "Failed", "message": _words(name)}
    return found


def _words(flow: str) -> str:
    return f"job nightly-{flow}, pod nightly-{flow}-x2k9p, container main: exit code 3 (Error): no such file: /data/in"


def _condition(type_: str, is_true: bool, reason: str, message: str, at: str) -> Object:
    return {
        "type": type_,
        "status": "True" if is_true else "False",
        "reason": reason if is_true and reason else "NotFinished",
        "message": message if is_true else "",
        "lastTransitionTime": at,
    }


def _event(number: int, workflow: int, now: float) -> Object:
    """An Event about a pod of the job of a Workflow."""
    job = f"{_name(workflow)}-f{number % _FLOWS:05d}"
    return {
        "metadata": {"name": f"{job}.{number:x}", "namespace": NAMESPACE},
        "involvedObject": {"kind": "Pod", "namespace": NAMESPACE, "name": f"{job}-x2k9p", "uid": f"{number:036x}"},
        "type": "Normal",
        "reason": "Scheduled",
        "message": f"Successfully assigned {NAMESPACE}/{job}-x2k9p to node-{number % 100}",
        "lastTimestamp": f"{timestamp(now)[:19]}Z",
        "source": {"component": "default-scheduler"},
    }
