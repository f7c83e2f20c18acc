"""Manifests that a hostile owner of one namespace may create: each kind is as expensive as the API allows.

They are meant to pass the API server's own checks. `tenants.py` measures what they do to other namespaces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from hack.faults.load import FAULT_JOBS, FLOW_API, Object
from hack.faults.webhook import LABEL
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WORKTEMPLATES
from pkg.apis.meta import GVR

JOBS = GVR("batch", "v1", "jobs")
Manifest = tuple[GVR, bytes]
_BYTES = 1_300_000
"""Size of a manifest that etcd just accepts, with its managedFields."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of hostile manifest. make(n): the objects of n such manifests, in order."""

    what: str
    make: Callable[[int], Iterator[Manifest]]


def _workflow(name: str, *flows: Object, **spec: Any) -> Manifest:
    body = {"apiVersion": FLOW_API, "kind": "Workflow", "metadata": {"name": name}, "spec": {"flows": flows, **spec}}
    return WORKFLOWS, json.dumps(body).encode()


def _template(name: str, job_spec: Object, gvr: GVR = FAULT_JOBS, **spec: Any) -> Manifest:
    kind = {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}
    body = {
        "apiVersion": FLOW_API,
        "kind": "WorkTemplate",
        "metadata": {"name": name},
        "spec": {"gvr": kind, "jobSpec": job_spec, **spec},
    }
    return WORKTEMPLATES, json.dumps(body).encode()


def _flow(name: str, template: str = "step", *, replicas: int | None = None, **fields: Any) -> Object:
    size = {} if replicas is None else {"for": {"replicas": replicas}}
    return {"name": name, "template": template, **size, **fields}


# ---- costly to evaluate ------------------------------------------------------------------------------------------


def _sum_tree(leaves: int) -> str:
    return "x" if leaves == 1 else f"({_sum_tree(leaves // 2)}+{_sum_tree(leaves - leaves // 2)})"


def _rules(count: int) -> Iterator[Manifest]:
    """statusRules whose cost grows with the product of their parts."""
    args = "object.spec.args"
    lists = f"[{','.join([args] * 10)}].exists(x, {_sum_tree(64)}.size() == 1)"
    nested = f"{args}.exists(x, {args}.exists(y, {args}.exists(z, x + y + z == 'no')))"
    text = f"{args}.exists(x, ({' + '.join(['object.spec.text'] * 16)}).contains('no' + x))"
    rules: list[tuple[int, Object]] = [
        (40_000, {"cel": lists}),
        (2_000, {"cel": nested}),
        (4_000, {"cel": text}),
        (10_000, {"path": "spec.args[*]", "in": [1] * 10_000}),
    ]
    for number in range(count):
        size, rule = rules[number % len(rules)]
        name = f"rules-{number}"
        yield _template(name, {"args": [""] * size, "text": "x" * 50_000}, statusRules={"running": [rule]})
        yield _workflow(name, _flow("a", name, replicas=5))


# ---- costly to validate and compile -------------------------------------------------------------------------------


def _nested(depth: int) -> Any:
    found: Any = {}
    for _ in range(depth):
        found = {"a": found}
    return found


def _patches(count: int) -> Iterator[Manifest]:
    """Patches whose steps together nest too deep, beside a flow without a patch; and a job that nests deep itself."""
    for number in range(count):
        steps = [{"op": "add", "path": "/spec/x" + "/a" * (250 * step), "value": _nested(250)} for step in range(5)]
        yield _workflow(f"patches-{number}", _flow("deep", patch=steps), _flow("plain"))
        tags = {labels.WORKFLOW: "w", labels.WORKFLOW_UID: "u", labels.FLOW: "a", labels.ATTEMPT: "0"}
        head = json.dumps({"name": f"deep-{number}", "labels": tags})
        body = f'{{"apiVersion":"{FAULT_JOBS.api_version}","kind":"FaultJob","metadata":{head},"spec":'
        yield FAULT_JOBS, (body + '{"a":' * 3000 + "1" + "}" * 3000 + "}").encode()


def _huge(count: int) -> Iterator[Manifest]:
    """The largest number of flows, each with a patch; and a job of the largest size that etcd accepts."""
    note = {"metadata": {"annotations": {"note": "x" * 110}}}
    for number in range(count):
        flows = [_flow(f"stage-with-a-name-{own:04d}", patch=note, retry={"maxRetries": 3}) for own in range(5000)]
        yield _workflow(f"huge-{number}", *flows, suspend=True)
        tags = {labels.WORKFLOW: "w", labels.WORKFLOW_UID: "u", labels.FLOW: "a", labels.ATTEMPT: "0"}
        body = {"apiVersion": FAULT_JOBS.api_version, "kind": "FaultJob", "spec": {"text": "x" * _BYTES}}
        yield FAULT_JOBS, json.dumps({**body, "metadata": {"name": f"huge-{number}", "labels": tags}}).encode()


def _suggestions(count: int) -> Iterator[Manifest]:
    """Targets that do not exist and look like flows that do."""
    dice = Random(5)
    letters = "".join(dice.choice("abcdefghij") for _ in range(20))

    def alike() -> str:
        return "".join(dice.sample(letters, len(letters)))

    for number in range(count):
        names = [f"{alike()}{own}" for own in range(200)]
        each = _BYTES // 25 // len(names)
        flows = [_flow(name, dependsOn={"targets": [alike() for _ in range(each)]}) for name in names]
        yield _workflow(f"suggestions-{number}", *flows)


def _templates(count: int) -> Iterator[Manifest]:
    """Workflows that use the same hundred templates: every write of a template's `usedBy` concerns all of them."""
    shared = [f"shared-{own}" for own in range(100)]
    for name in shared:
        yield _template(name, {})
    for number in range(count):
        yield _workflow(f"templates-{number}", *(_flow(name, name) for name in shared), suspend=True)


# ---- costly to create -----------------------------------------------------------------------------------------------


def _wide(count: int) -> Iterator[Manifest]:
    """The largest number of tasks, none of which waits for another."""
    for number in range(count):
        yield _workflow(f"wide-{number}", _flow("all", replicas=10_000))


def crowd(count: int) -> Iterator[Manifest]:
    """Workflows of 50 tasks."""
    for number in range(count):
        yield _workflow(f"crowd-{number:04d}", *(_flow(f"t{own}") for own in range(50)))


def _hanging(count: int) -> Iterator[Manifest]:
    """Jobs whose creation a webhook delays."""
    yield _template("hanging", {}, metadata={"labels": {LABEL: "yes"}})
    for number in range(count):
        yield _workflow(f"hanging-{number}", _flow("all", "hanging", replicas=50))


def hanging_everywhere(count: int) -> Iterator[Manifest]:
    """Workflows of which every write hangs, and that of their jobs: creations, statuses, deletions."""
    yield _template("hanging", {}, metadata={"labels": {LABEL: "yes"}})
    for number in range(count):
        gvr, body = _workflow(f"hanging-{number}", _flow("all", "hanging", replicas=20), jobRetainPolicy="delete")
        yield gvr, body.replace(b'"metadata": {', b'"metadata": {"labels": {"%s": "yes"}, ' % LABEL.encode(), 1)


def _probes(count: int) -> Iterator[Manifest]:
    """Many tasks that wait for an answer from every pod of many replicas. No pod ever answers."""
    pod = {
        "metadata": {"annotations": {"sim.workflow.sh/run-for": "forever"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]},
    }
    yield _template("server", {"template": pod}, JOBS)
    probe = {"httpGetList": [{"taskName": "servers", "port": 8080, "periodSeconds": 1, "pods": "All"}]}
    waits = {"probe": probe, "strategy": "All"}
    gates = [_flow(f"gate-{own}", replicas=100, dependsOn=waits) for own in range(50)]
    yield _workflow("probes", _flow("servers", "server", replicas=2 * count), *gates)


KINDS: dict[str, Kind] = {
    "rules": Kind("statusRules that cost seconds and hundreds of MiB", _rules),
    "patches": Kind("patches and jobs that nest too deep", _patches),
    "huge": Kind("workflows of 5,000 flows and jobs of 1.3 MB", _huge),
    "suggestions": Kind("1.3 MB of unknown targets that look like known ones", _suggestions),
    "templates": Kind("a hundred templates that all workflows use", _templates),
    "wide": Kind("a `for` of 10,000", _wide),
    "crowd": Kind("workflows of 50 tasks", crowd),
    "hanging": Kind("jobs whose creation a webhook delays by 10 s", _hanging),
    "probes": Kind("5,000 tasks that wait for all pods of many replicas", _probes),
}
