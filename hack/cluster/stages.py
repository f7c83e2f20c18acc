"""The life of simulated pods and nodes, as kwok Stages.

A stage is a selector (jq over the object), a delay and a template of the new status. What a pod will do is
decided once, when it starts: the condition `sim.workflow.sh/Ends` then records when it ends (message, an
absolute time) and how (reason `Exit<code>`). So neither an update of the pod nor a restart of kwok or of the
API server makes a pod run longer than its annotation says.
"""

from __future__ import annotations

import json
from typing import Any

from hack.cluster.annotations import (
    ANNOTATIONS,
    ATTEMPT_LABEL,
    EXIT_CODE,
    FAIL_UNTIL_ATTEMPT,
    PREFIX,
    READY_AFTER,
    RUN_FOR,
    START_AFTER,
)

ENDS = PREFIX + "Ends"
START_DELAY_MS = 100
"""How long a pod without `start-after` is Pending on its node, in milliseconds."""
DEFAULT_RUN_FOR = "1s"

Document = dict[str, Any]

_TIME_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"


def _value(name: str) -> str:
    """jq for the value of annotation `name`, null where it is not set."""
    return f".metadata.annotations[{json.dumps(name)}]"


def _wrong_annotation() -> str:
    """jq that yields the names of our annotations that are unknown or hold a wrong value."""
    legal = " or ".join(f"(.key == {json.dumps(a.name)} and (.value | test({json.dumps(a.pattern)})))" for a in ANNOTATIONS)
    return f"(.metadata.annotations // {{}}) | to_entries[] | select(.key | startswith({json.dumps(PREFIX)})) | select({legal} | not) | .key"


def _ends(condition: str) -> str:
    """jq for the time at which a running pod ends, if `condition` ($pod, and . as its Ends condition) holds."""
    return f". as $pod | .status.conditions[]? | select(.type == {json.dumps(ENDS)}) | select({condition}) | .message"


_FINAL = '$pod.spec.restartPolicy == "Never" or ($pod.spec.restartPolicy == "OnFailure" and .reason == "Exit0")'
_AGAIN = f"({_FINAL}) | not"
# A pod with ready-after becomes ready before it ends, so that never two stages fit at once.
_IS_READY = '.status.conditions[]? | select(.type == "Ready") | .status'

# ---- templates: Go text/template with sprig; `.` is the pod ------------------------------------------------

_NOW = "{{ $now := Now }}\n"

_PLAN = f"""\
{{{{ $notes := or .metadata.annotations dict }}}}
{{{{ $labels := or .metadata.labels dict }}}}
{{{{ $always := eq (or .spec.restartPolicy "Always") "Always" }}}}
{{{{ $runFor := or (get $notes "{RUN_FOR}") (ternary "forever" "{DEFAULT_RUN_FOR}" $always) }}}}
{{{{ $code := or (get $notes "{EXIT_CODE}") "0" }}}}
{{{{ $until := get $notes "{FAIL_UNTIL_ATTEMPT}" }}}}
{{{{ if $until }}}}
{{{{ $code = "0" }}}}
{{{{ if lt (atoi (or (get $labels "{ATTEMPT_LABEL}") "0")) (atoi $until) }}}}
{{{{ $code = or (get $notes "{EXIT_CODE}") "1" }}}}
{{{{ end }}}}
{{{{ end }}}}
{{{{ $ready := "True" }}}}
{{{{ if get $notes "{READY_AFTER}" }}}}{{{{ $ready = "False" }}}}{{{{ end }}}}
"""

_ENDS_CONDITION = f"""\
{{{{ if ne $runFor "forever" }}}}
- type: {ENDS}
  status: "True"
  reason: {{{{ printf "Exit%s" $code | Quote }}}}
  message: {{{{ now | mustDateModify (printf "+%s" $runFor) | date "{_TIME_LAYOUT}" | Quote }}}}
  lastTransitionTime: {{{{ $now | Quote }}}}
{{{{ end }}}}
"""


def _condition(kind: str, status: str, *, reason: str = '""', message: str = '""') -> str:
    return (
        f"- type: {kind}\n  status: {status}\n  reason: {reason}\n  message: {message}\n"
        "  lastTransitionTime: {{ $now | Quote }}\n"
    )


def _containers(state: str, *, ready: str = "false", started: str = "false", restarts: str = "0", more: str = "") -> str:
    """containerStatuses with every container in `state` (YAML indented by four)."""
    return (
        "containerStatuses:\n{{ $pod := . }}\n{{ range $index, $item := .spec.containers }}\n"
        "- name: {{ $item.name | Quote }}\n  image: {{ $item.image | Quote }}\n  imageID: {{ $item.image | Quote }}\n"
        "  containerID: {{ printf \"sim://%s-%s\" $pod.metadata.uid $item.name | Quote }}\n"
        f"  ready: {ready}\n  started: {started}\n  restartCount: {restarts}\n{more}  state:\n{state}"
        "{{ end }}\n"
    )


_INIT_DONE = """\
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  restartCount: 0
  ready: true
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state: {running: {startedAt: {{ $now | Quote }}}}
  {{ else }}
  started: false
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
  {{ end }}
{{ end }}
{{ end }}
"""

_ADDRESSES = """\
{{ $hostIPs := NodeIPsWith .spec.nodeName }}
{{ with $hostIPs }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ $podIPs := PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
{{ with $podIPs }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
"""

_WAITING = "    waiting: {reason: ContainerCreating}\n"
_RUNNING = "    running: {startedAt: {{ $now | Quote }}}\n"

_CREATING_TEMPLATE = (
    _NOW
    + "conditions:\n"
    + _condition("Initialized", '"True"')
    + _condition("Ready", '"False"', reason="ContainersNotReady", message="containers are being created")
    + _condition("ContainersReady", '"False"', reason="ContainersNotReady", message="containers are being created")
    + _containers(_WAITING)
    + "phase: Pending\nstartTime: {{ $now | Quote }}\n"
)

_STARTED_TEMPLATE = (
    _NOW
    + _PLAN
    + "conditions:\n"
    + _condition("PodReadyToStartContainers", '"True"')
    + _condition("Initialized", '"True"')
    + _condition("Ready", "{{ $ready | Quote }}")
    + _condition("ContainersReady", "{{ $ready | Quote }}")
    + '{{ range .spec.readinessGates }}\n- type: {{ .conditionType | Quote }}\n  status: "True"\n'
    "  lastTransitionTime: {{ $now | Quote }}\n{{ end }}\n"
    + _ENDS_CONDITION
    + _INIT_DONE
    + _containers(_RUNNING, ready='{{ eq $ready "True" }}', started="true")
    + _ADDRESSES
    + "phase: Running\nstartTime: {{ or .status.startTime $now | Quote }}\n"
)

_READY_TEMPLATE = (
    _NOW
    + "conditions:\n"
    + _condition("Ready", '"True"')
    + _condition("ContainersReady", '"True"')
    + _containers(
        "    running: {startedAt: {{ (index $pod.status.containerStatuses $index).state.running.startedAt | Quote }}}\n",
        ready="true",
        started="true",
        restarts="{{ (index $pod.status.containerStatuses $index).restartCount }}",
    )
)

_CODE_OF_ENDS = (
    f'{{{{ $code := "0" }}}}\n{{{{ range .status.conditions }}}}{{{{ if eq .type "{ENDS}" }}}}'
    '{{ $code = trimPrefix "Exit" .reason }}{{ end }}{{ end }}\n'
)
_TERMINATED = (
    "    terminated:\n      exitCode: {{ $code }}\n"
    '      reason: {{ ternary "Completed" "Error" (eq $code "0") }}\n'
    "      startedAt: {{ dig \"state\" \"running\" \"startedAt\" $now (index $pod.status.containerStatuses $index) | Quote }}\n"
    "      finishedAt: {{ $now | Quote }}\n"
    '      containerID: {{ printf "sim://%s-%s" $pod.metadata.uid $item.name | Quote }}\n'
)
_RESTARTS = "{{ (index $pod.status.containerStatuses $index).restartCount }}"


# Sidecars (init containers that restart) are told to stop once the pod's own containers have ended.
_SIDECARS_STOPPED = """\
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range $index, $item := .spec.initContainers }}
- name: {{ $item.name | Quote }}
  image: {{ $item.image | Quote }}
  imageID: {{ $item.image | Quote }}
  restartCount: 0
  ready: {{ ne (or $item.restartPolicy "") "Always" }}
  started: false
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
{{ end }}
"""


def _ended(reason: str) -> str:
    return (
        "conditions:\n"
        + _condition("Ready", '"False"', reason=reason)
        + _condition("ContainersReady", '"False"', reason=reason)
        + _SIDECARS_STOPPED
        + _containers(_TERMINATED, restarts=_RESTARTS)
        + 'phase: {{ ternary "Succeeded" "Failed" (eq $code "0") }}\n'
    )


_ENDED_TEMPLATE = _NOW + _CODE_OF_ENDS + _ended('{{ ternary "PodCompleted" "PodFailed" (eq $code "0") }}')

_RESTARTED_TEMPLATE = (
    _NOW
    + _CODE_OF_ENDS
    + "{{ $exited := $code }}\n"
    + _PLAN
    + "conditions:\n"
    + _ENDS_CONDITION
    + _containers(
        _RUNNING,
        ready="true",
        started="true",
        restarts="{{ add1 (index $pod.status.containerStatuses $index).restartCount }}",
        more="  lastState:\n" + _TERMINATED.replace("$code", "$exited"),
    )
)

# A container that is told to stop ends with 143, as a shell or a program without a handler for SIGTERM does.
_KILLED_TEMPLATE = (
    _NOW
    + '{{ $code := "143" }}\n'
    + "{{ if .status.containerStatuses }}\n"
    + _ended("PodFailed")
    + "{{ else }}\nphase: Failed\n{{ end }}\n"
)

_REFUSED_TEMPLATE = (
    "{{ range $key, $value := .metadata.annotations }}\n"
    f'{{{{ if hasPrefix "{PREFIX}" $key }}}}\n'
    '{{ $expected := "" }}\n'
    + "".join(
        f'{{{{ if eq $key "{a.name}" }}}}{{{{ $expected = {json.dumps(a.expected)} }}}}'
        f"{{{{ if regexMatch {json.dumps(a.pattern)} $value }}}}{{{{ $expected = \"fine\" }}}}{{{{ end }}}}{{{{ end }}}}\n"
        for a in ANNOTATIONS
    )
    + '{{ if eq $expected "" }}\n'
    f'message: {{{{ printf "annotation %s is not known: the names are {", ".join(a.name for a in ANNOTATIONS)}" $key | Quote }}}}\n'
    '{{ else if ne $expected "fine" }}\n'
    'message: {{ printf "annotation %s is %q: it must be %s" $key $value $expected | Quote }}\n'
    "{{ end }}\n{{ end }}\n{{ end }}\n"
    "phase: Failed\nreason: InvalidAnnotation\n"
)


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
    spec: Document = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": match}, "next": action}
    if delay:
        spec["delay"] = delay
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _becomes(template: str) -> Document:
    return {"statusTemplate": template}


def _after(milliseconds: int, jq: str) -> Document:
    return {"durationMilliseconds": milliseconds, "durationFrom": {"expressionFrom": jq}}


def pod_stages() -> list[Document]:
    """The stages of a pod; at any moment at most one of them fits."""
    started = f"select(({_value(START_AFTER)} == null) or (.status.containerStatuses != null)) | 1"
    return [
        _stage("Pod", "pod-refused", [_ALIVE, _phase("Pending"), _jq(_wrong_annotation(), "Exists")], _becomes(_REFUSED_TEMPLATE)),
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
            _becomes(_CREATING_TEMPLATE),
        ),
        _stage(
            "Pod",
            "pod-started",
            [_ALIVE, _phase("Pending"), _jq(started, "Exists"), _jq(_wrong_annotation(), "DoesNotExist")],
            _becomes(_STARTED_TEMPLATE),
            _after(START_DELAY_MS, _value(START_AFTER)),
        ),
        _stage(
            "Pod",
            "pod-ready",
            [_ALIVE, _phase("Running"), _jq(_value(READY_AFTER), "Exists"), _jq(_IS_READY, "NotIn", "True")],
            _becomes(_READY_TEMPLATE),
            _after(0, _value(READY_AFTER)),
        ),
        _stage(
            "Pod",
            "pod-ended",
            [_ALIVE, _phase("Running"), _jq(_IS_READY, "In", "True"), _jq(_ends(_FINAL), "Exists")],
            _becomes(_ENDED_TEMPLATE),
            _after(0, _ends("true")),
        ),
        _stage(
            "Pod",
            "pod-restarted",
            [_ALIVE, _phase("Running"), _jq(_IS_READY, "In", "True"), _jq(_ends(_AGAIN), "Exists")],
            _becomes(_RESTARTED_TEMPLATE),
            _after(0, _ends("true")),
        ),
        _stage("Pod", "pod-killed", [_DOOMED, _phase("Pending", "Running")], _becomes(_KILLED_TEMPLATE)),
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
    """The stages of a simulated node: it becomes Ready, again too after its leases were missed, and stays so."""
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
