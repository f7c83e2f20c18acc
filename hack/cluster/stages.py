"""The life of simulated pods and nodes, as kwok Stages.

A stage is a selector (jq over the object), a delay and a template of the new status. What a pod will do is
decided once, when it starts: the condition `sim.workflow.sh/Ends` then records when it ends (message, an
absolute time) and how (reason `Exit<code>`). So neither an update of the pod nor a restart of kwok or of the
API server makes a pod run longer than its annotation says.
"""

from __future__ import annotations

import json
from typing import Any

from hack.cluster import templates
from hack.cluster.annotations import ANNOTATIONS, PREFIX, READY_AFTER, START_AFTER
from hack.cluster.templates import ENDS

START_DELAY_MS = 100
"""How long a pod without `start-after` is Pending on its node, in milliseconds."""

Document = dict[str, Any]


def _value(name: str) -> str:
    """jq for the value of annotation `name`, null where it is not set."""
    return f".metadata.annotations[{json.dumps(name)}]"


def _wrong_annotation() -> str:
    """jq that yields the names of our annotations that are unknown or hold a wrong value."""
    legal = " or ".join(
        f"(.key == {json.dumps(a.name)} and (.value | test({json.dumps(a.pattern)})))" for a in ANNOTATIONS
    )
    ours = f"(.metadata.annotations // {{}}) | to_entries[] | select(.key | startswith({json.dumps(PREFIX)}))"
    return f"{ours} | select({legal} | not) | .key"


def _ends(condition: str) -> str:
    """jq for the time at which a running pod ends, if `condition` ($pod, and . as its Ends condition) holds."""
    return f". as $pod | .status.conditions[]? | select(.type == {json.dumps(ENDS)}) | select({condition}) | .message"


_FINAL = '$pod.spec.restartPolicy == "Never" or ($pod.spec.restartPolicy == "OnFailure" and .reason == "Exit0")'
_AGAIN = f"({_FINAL}) | not"
# A pod with ready-after becomes ready before it ends, so that two stages never match at once.
_IS_READY = '.status.conditions[]? | select(.type == "Ready") | .status'


def _jq(key: str, operator: str, *values: str) -> Document:
    expression: Document = {"key": key, "operator": operator}
    if values:
        expression["values"] = list(values)
    return expression


_ALIVE = _jq(".metadata.deletionTimestamp", "DoesNotExist")
_DOOMED = _jq(".metadata.deletionTimestamp", "Exists")


def _phase(*phases: str) -> Document:
    return _jq(".status.phase", "In", *phases)


def _stage(kind: str, name: str, match: list[Document], action: Document, delay: Document | None = None) -> Document:
    spec: Document = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": match},
        "next": action,
    }
    if delay:
        spec["delay"] = delay
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _becomes(template: str) -> Document:
    return {"statusTemplate": template}


def _after(milliseconds: int, jq: str) -> Document:
    return {"durationMilliseconds": milliseconds, "durationFrom": {"expressionFrom": jq}}


def pod_stages() -> list[Document]:
    """The stages of a pod; at any moment at most one of them matches."""
    started = f"select(({_value(START_AFTER)} == null) or (.status.containerStatuses != null)) | 1"
    return [
        _stage(
            "Pod",
            "pod-refused",
            [_ALIVE, _phase("Pending"), _jq(_wrong_annotation(), "Exists")],
            _becomes(templates.REFUSED),
        ),
        _stage(
            "Pod",
            "pod-creating",
            [
                _ALIVE,
                _phase("Pending"),
                _jq(_value(START_AFTER), "Exists"),
                _jq(".status.containerStatuses", "DoesNotExist"),
                _jq(_wrong_annotation(), "DoesNotExist"),
            ],
            _becomes(templates.CREATING),
        ),
        _stage(
            "Pod",
            "pod-started",
            [_ALIVE, _phase("Pending"), _jq(started, "Exists"), _jq(_wrong_annotation(), "DoesNotExist")],
            _becomes(templates.STARTED),
            _after(START_DELAY_MS, _value(START_AFTER)),
        ),
        _stage(
            "Pod",
            "pod-ready",
            [_ALIVE, _phase("Running"), _jq(_value(READY_AFTER), "Exists"), _jq(_IS_READY, "NotIn", "True")],
            _becomes(templates.READY),
            _after(0, _value(READY_AFTER)),
        ),
        _stage(
            "Pod",
            "pod-ended",
            [_ALIVE, _phase("Running"), _jq(_IS_READY, "In", "True"), _jq(_ends(_FINAL), "Exists")],
            _becomes(templates.ENDED),
            _after(0, _ends("true")),
        ),
        _stage(
            "Pod",
            "pod-restarted",
            [_ALIVE, _phase("Running"), _jq(_IS_READY, "In", "True"), _jq(_ends(_AGAIN), "Exists")],
            _becomes(templates.RESTARTED),
            _after(0, _ends("true")),
        ),
        _stage("Pod", "pod-killed", [_DOOMED, _phase("Pending", "Running")], _becomes(templates.KILLED)),
        _stage("Pod", "pod-deleted", [_DOOMED, _phase("Succeeded", "Failed")], {"delete": True}),
    ]


_NODE_CONDITIONS = """\
{{ $now := Now }}
{{ $since := or .metadata.creationTimestamp $now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $since | Quote }}
{{ end }}
"""


def node_stages() -> list[Document]:
    """The stages of a simulated node: it becomes Ready, also again after missed leases, and stays Ready."""
    ready = '.status.conditions[]? | select(.type == "Ready") | .status'
    return [
        _stage("Node", "node-ready", [_jq(ready, "NotIn", "True")], _becomes(_NODE_CONDITIONS + "phase: Running\n")),
        _stage(
            "Node",
            "node-heartbeat",
            [_jq(ready, "In", "True"), _jq(".status.phase", "In", "Running")],
            _becomes(_NODE_CONDITIONS),
            {"durationMilliseconds": 300_000, "jitterDurationMilliseconds": 310_000},
        ),
    ]
