"""The load of the fault runs: a small custom resource, its template, and workflows of ten jobs each.

Names alone decide which task fails and which job is deleted by hand, so the right end is the same in every run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from hack.cluster.api import Api
from pkg.apis.meta import GVR

GROUP = "faults.workflow.sh"
FAULT_JOBS = GVR(GROUP, "v1", "faultjobs")
FINALIZER = f"{GROUP}/hold"
FLOW_API = "flow.workflow.sh/v1alpha1"
TASKS = 10
MAX_RETRIES = 3
Object = dict[str, Any]

CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"faultjobs.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "faultjobs", "singular": "faultjob", "kind": "FaultJob", "listKind": "FaultJobList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
TEMPLATE: Object = {
    "apiVersion": FLOW_API,
    "kind": "WorkTemplate",
    "metadata": {"name": "step"},
    "spec": {
        "gvr": {"group": GROUP, "version": "v1", "resource": "faultjobs"},
        "parameters": [{"name": "seen", "value": ""}],
        "jobSpec": {
            "flow": "{{flow.name}}",
            "index": "{{index}}",
            "item": "{{item}}",
            "seen": "{{params.seen}}",
        },
    },
}


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """Which attempt a job is: workflow, flow, index (0 without `for`) and the attempt's number."""

    workflow: str
    flow: str
    index: int
    number: int


def is_cursed(workflow: str) -> bool:
    """Whether one of its tasks fails at every attempt, so that it has to end Failed."""
    return crc32(f"curse {workflow}".encode()) % 10 == 0


def fails(attempt: Attempt) -> bool:
    """Whether the job of an attempt fails: always in flow `audit` of a cursed workflow, else at some first attempts."""
    if attempt.flow == "audit" and is_cursed(attempt.workflow):
        return True
    return attempt.number == 0 and crc32(f"fail {attempt}".encode()) % 8 == 0


def is_deleted_by_hand(attempt: Attempt) -> bool:
    """Whether somebody deletes the job before it ends; first attempts only."""
    return attempt.number == 0 and not fails(attempt) and crc32(f"delete {attempt}".encode()) % 12 == 0


def is_silent(attempt: Attempt) -> bool:
    """Whether the job of an attempt succeeds without its output; first attempts of `train` only."""
    return (attempt.flow, attempt.number) == ("train", 0) and crc32(f"silent {attempt}".encode()) % 10 == 0


def fate(attempt: Attempt) -> str:
    """How the job of an attempt ends: its last phase, `silent` if it succeeds without its output, or `delete` if it is
    deleted by hand.
    """
    if is_deleted_by_hand(attempt):
        return "delete"
    return "Failed" if fails(attempt) else "silent" if is_silent(attempt) else "Succeeded"


def parts(by: str) -> str:
    """What the job of `prepare` hands out, one item for each task of `train`. by: tells two values of it apart."""
    return json.dumps([{"part": index, "by": by} for index in range(SIZES["train"] or 0)])


SIZES = {"prepare": None, "train": 4, "audit": None, "evaluate": None, "report": 2, "finish": None}
"""Flows that make jobs, and their replicas; None: no `for`."""

DELAYED, DELAY = "audit", 3
"""The flow that starts so many seconds after `prepare` has succeeded."""
GATE = "gate"
"""The flow that waits for an approval."""
LIMITS: Object = {"metadata": {"name": "limits"}, "data": {"evaluate": "16", "report": "40"}}
"""The ConfigMap of the semaphores."""
PLACES = {f"limits/{key}": int(value) for key, value in LIMITS["data"].items()}
"""How many may hold a semaphore at once. A mutex is held by one."""


def locks_of(workflow: str, flow: str) -> tuple[str, ...]:
    """The locks of the tasks of a flow: mutexes by their name, semaphores by ConfigMap and key."""
    match flow:
        case "audit":
            return (f"audit-{crc32(workflow.encode()) % 20}",)
        case "evaluate":
            return (f"books-{crc32(workflow.encode()) % 20}", "limits/evaluate")
        case "report":
            return ("limits/report",)
    return ()


SERVICE, PAGE, HELD = "service", "page", "held"
"""What a workflow applies, and what it deletes: objects of the name `<workflow>-<word>`. PAGE is a ConfigMap, the
others are fault jobs.
"""


def workflow(name: str, *, has_data: bool = True) -> Object:
    """Ten jobs: fan-out, join, a chain within a `for`, retries everywhere. A cursed one cancels or drains.

    has_data: how wide the fan-out is comes from an output of the first job, and not from the spec; jobs are made from
    outputs; some flows have a condition, and one of these is never true; two objects are applied and one is deleted;
    locks, some of them together, are shared with other workflows; one flow has a startDelay; the last flow waits for an
    approval, and a `finally` flow without a job reads how the workflow went.
    """

    def flow(own: str, *targets: str, **fields: Any) -> Object:
        made: Object = {"name": own, **({} if "templateSpec" in fields else {"template": "step"}), **fields}
        made["retry"] = {"maxRetries": MAX_RETRIES, "interval": "200ms", "factor": 1}
        if targets:
            made["dependsOn"] = {"targets": list(targets)}
        made.update(_locks(locks_of(name, own)))
        if not has_data:
            made = {key: value for key, value in made.items() if key not in _DATA}
        return made

    def replicas(count: int | None, **fields: Any) -> Object:
        return {**({} if has_data else {"replicas": count}), **(fields if has_data else {})}

    one_by_one = {"dependsOn": {"targets": ["report"]}}
    flows = [
        flow("prepare", outputs=_HANDED["prepare"]),
        flow(
            "train",
            "prepare",
            outputs=_HANDED["train"],
            **{"for": replicas(SIZES["train"], itemsFrom="{{flows.prepare.outputs.parts}}")},
        ),
        flow(DELAYED, "prepare", when="flows.prepare.failed == 0", startDelay=f"{DELAY}s"),
        flow("evaluate", "train", "audit", parameters=_seen("{{flows.train.outputs.score}}")),
        flow(
            "report",
            "evaluate",
            parameters=_seen("{{flows.train.outputs.score[index]}}"),
            when="item.part == index",
            **{"for": {**replicas(SIZES["report"], items=[{"part": 0}, {"part": 1}]), **one_by_one}},
        ),
        flow(
            "finish",
            *(("report", GATE) if has_data else ("report",)),
            parameters=_seen("{{flows.prepare.outputs.first}}"),
            when="outputs.prepare.parts != ''",
        ),
    ]
    if has_data:
        flows += [
            flow("never", when="size(outputs.train.score) > 100"),
            flow("serve", templateSpec=_SERVE, outputs=_HANDED["serve"]),
            flow("publish", templateSpec=_PUBLISH),
            flow("tidy", "prepare", templateSpec=_TIDY),
            {"name": GATE, "approval": {}, "dependsOn": {"targets": ["prepare"]}},
            {"name": "close", "template": "step", "finally": True, "when": "size(workflow.failures) > 1000"},
        ]
    spec: Object = {"flows": flows}
    if is_cursed(name):
        spec["successPolicy"] = {"remaining": "Cancel" if crc32(name.encode()) % 2 else "Drain"}
    return {"apiVersion": FLOW_API, "kind": "Workflow", "metadata": {"name": name}, "spec": spec}


_DATA = frozenset({"mutexes", "outputs", "parameters", "semaphores", "startDelay", "when"})
_KIND = {"group": GROUP, "version": "v1", "resource": "faultjobs"}
_HANDED: dict[str, list[Object]] = {
    "prepare": [
        {"name": "parts", "from": {"path": "status.parts"}},
        {"name": "first", "from": {"cel": "object.status.phase + ' by ' + object.status.by"}},
    ],
    "train": [{"name": "score", "from": {"path": "status.score"}}],
    "serve": [{"name": "address", "from": {"path": "status.address"}}],
}
_SERVE: Object = {
    "gvr": _KIND,
    "action": "Apply",
    "metadata": {"name": f"{{{{workflow.name}}}}-{SERVICE}"},
    "jobSpec": {"seen": "{{flows.prepare.outputs.first}}"},
}
_PUBLISH: Object = {
    "gvr": {"version": "v1", "resource": "configmaps"},
    "action": "Apply",
    "metadata": {"name": f"{{{{workflow.name}}}}-{PAGE}"},
    "jobSpec": {"data": {"address": "{{flows.serve.outputs.address}}", "scores": "{{flows.train.outputs.score}}"}},
}
_TIDY: Object = {"gvr": _KIND, "action": "Delete", "metadata": {"name": f"{{{{workflow.name}}}}-{HELD}"}}


def _locks(names: tuple[str, ...]) -> Object:
    """The fields of a flow for these locks."""
    refs = [name.split("/") for name in names if "/" in name]
    found = {
        "mutexes": [name for name in names if "/" not in name],
        "semaphores": [{"configMapKeyRef": {"name": config_map, "key": key}} for config_map, key in refs],
    }
    return {key: value for key, value in found.items() if value}


def _seen(text: str) -> list[Object]:
    return [{"name": "seen", "value": text}]


def to_delete(workflow: str, **metadata: Any) -> Object:
    """The object that the task `tidy` of a workflow deletes, or another one of its name."""
    made = {"name": f"{workflow}-{HELD}", **metadata}
    return {"apiVersion": FAULT_JOBS.api_version, "kind": "FaultJob", "metadata": made}


def names(count: int) -> list[str]:
    """Names of that many workflows."""
    return [f"w{number:03d}" for number in range(count)]


def attempts_of(name: str) -> Iterator[tuple[str, Attempt]]:
    """Every job that a workflow can ever have, by the name the contract gives it."""
    for flow, size in SIZES.items():
        for index in range(size or 1):
            for number in range(MAX_RETRIES + 1):
                suffix = ("" if size is None else f"-{index}") + (f"-r{number}" if number else "")
                yield f"{name}-{flow}{suffix}", Attempt(name, flow, index, number)


def make_namespace(api: Api, namespace: str) -> None:
    """A namespace with the template and the ConfigMap of the semaphores in it."""
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", LIMITS)
    api.request("POST", f"/apis/{FLOW_API}/namespaces/{namespace}/worktemplates", TEMPLATE)


def submit(api: Api, namespace: str, count: int, *, has_data: bool = True) -> None:
    """Makes that many workflows."""
    submit_all(api, namespace, names(count), has_data=has_data)


def submit_all(api: Api, namespace: str, names: Iterable[str], *, has_data: bool = True) -> None:
    """Makes the workflows of these names, and first what they delete."""
    for name in names:
        if has_data:
            held = to_delete(name, finalizers=[FINALIZER])
            api.request("POST", f"/apis/{GROUP}/v1/namespaces/{namespace}/faultjobs", held)
        made = workflow(name, has_data=has_data)
        api.request("POST", f"/apis/{FLOW_API}/namespaces/{namespace}/workflows", made)


def write_aside(api: Api, namespace: str, name: str) -> None:
    """Writes objects that no controller watches, so that its watches are at an older version than the cluster."""
    for number in range(5):
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        api.request("POST", path, {"metadata": {"name": f"{name}-{number}"}, "data": {"aside": "yes"}})


def workflows(api: Api, namespace: str) -> list[Object]:
    """All workflows of a namespace as they are now."""
    found: list[Object] = json.loads(api.request("GET", f"/apis/{FLOW_API}/namespaces/{namespace}/workflows"))["items"]
    return found
