"""The status templates of the pod stages: Go text/template with sprig's functions; `.` is the pod.

Each template yields the part of a pod's status that changes. All of it is put together here from the same few
pieces, so that what one stage writes is what the next one reads.
"""

from __future__ import annotations

import json

from hack.cluster.annotations import (
    ANNOTATIONS,
    ATTEMPT_LABEL,
    EXIT_CODE,
    FAIL_UNTIL_ATTEMPT,
    PREFIX,
    READY_AFTER,
    RUN_FOR,
    TERMINATION_MESSAGE,
)

ENDS = PREFIX + "Ends"
"""Condition of a running pod: when it ends (message) and how (reason, `Exit<code>`)."""
DEFAULT_RUN_FOR = "1s"

_TIME_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"

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


def _containers(
    state: str, *, ready: str = "false", started: str = "false", restarts: str = "0", more: str = ""
) -> str:
    """containerStatuses with every container in `state` (YAML indented by four)."""
    return (
        "containerStatuses:\n{{ $pod := . }}\n{{ range $index, $item := .spec.containers }}\n"
        "- name: {{ $item.name | Quote }}\n  image: {{ $item.image | Quote }}\n  imageID: {{ $item.image | Quote }}\n"
        '  containerID: {{ printf "sim://%s-%s" $pod.metadata.uid $item.name | Quote }}\n'
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
{{ $onHost := or .spec.hostNetwork false }}
{{ $podIPs := PodIPsWith .spec.nodeName $onHost .metadata.uid .metadata.name .metadata.namespace }}
{{ with $podIPs }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
"""

# The container's status before this stage; inside _containers.
_BEFORE = "(index $pod.status.containerStatuses $index)"
_WAITING = "    waiting: {reason: ContainerCreating}\n"
_RUNNING = "    running: {startedAt: {{ $now | Quote }}}\n"

CREATING = (
    _NOW
    + "conditions:\n"
    + _condition("Initialized", '"True"')
    + _condition("Ready", '"False"', reason="ContainersNotReady", message="containers are being created")
    + _condition("ContainersReady", '"False"', reason="ContainersNotReady", message="containers are being created")
    + _containers(_WAITING)
    + "phase: Pending\nstartTime: {{ $now | Quote }}\n"
)

STARTED = (
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

READY = (
    _NOW
    + "conditions:\n"
    + _condition("Ready", '"True"')
    + _condition("ContainersReady", '"True"')
    + _containers(
        f"    running: {{startedAt: {{{{ {_BEFORE}.state.running.startedAt | Quote }}}}}}\n",
        ready="true",
        started="true",
        restarts=f"{{{{ {_BEFORE}.restartCount }}}}",
    )
)

_CODE_OF_ENDS = (
    f'{{{{ $code := "0" }}}}\n{{{{ range .status.conditions }}}}{{{{ if eq .type "{ENDS}" }}}}'
    '{{ $code = trimPrefix "Exit" .reason }}{{ end }}{{ end }}\n'
)
_TERMINATED = (
    "    terminated:\n      exitCode: {{ $code }}\n"
    '      reason: {{ ternary "Completed" "Error" (eq $code "0") }}\n'
    f'      startedAt: {{{{ dig "state" "running" "startedAt" $now {_BEFORE} | Quote }}}}\n'
    "      finishedAt: {{ $now | Quote }}\n"
    '      containerID: {{ printf "sim://%s-%s" $pod.metadata.uid $item.name | Quote }}\n'
    f'{{{{ with get (or $pod.metadata.annotations dict) "{TERMINATION_MESSAGE}" }}}}'
    "      message: {{ . | Quote }}\n{{ end }}"
)
_RESTARTS = f"{{{{ {_BEFORE}.restartCount }}}}"


# Sidecars (init containers that restart) are stopped once the pod's own containers have ended.
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


ENDED = _NOW + _CODE_OF_ENDS + _ended('{{ ternary "PodCompleted" "PodFailed" (eq $code "0") }}')

RESTARTED = (
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
        restarts=f"{{{{ add1 {_BEFORE}.restartCount }}}}",
        more="  lastState:\n" + _TERMINATED.replace("$code", "$exited"),
    )
)

# A container that gets SIGTERM ends with 143, as a shell or a program without a handler for SIGTERM does.
KILLED = (
    _NOW
    + '{{ $code := "143" }}\n'
    + "{{ if .status.containerStatuses }}\n"
    + _ended("PodFailed")
    + "{{ else }}\nphase: Failed\n{{ end }}\n"
)

_NAMES = ", ".join(annotation.name for annotation in ANNOTATIONS)
_EXPECTATIONS = "".join(
    f'{{{{ if eq $key "{a.name}" }}}}{{{{ $expected = {json.dumps(a.expected)} }}}}'
    f'{{{{ if regexMatch {json.dumps(a.pattern)} $value }}}}{{{{ $expected = "fine" }}}}{{{{ end }}}}{{{{ end }}}}\n'
    for a in ANNOTATIONS
)

REFUSED = (
    "{{ range $key, $value := .metadata.annotations }}\n"
    f'{{{{ if hasPrefix "{PREFIX}" $key }}}}\n'
    '{{ $expected := "" }}\n' + _EXPECTATIONS + '{{ if eq $expected "" }}\n'
    f'message: {{{{ printf "annotation %s is not known: the names are {_NAMES}" $key | Quote }}}}\n'
    '{{ else if ne $expected "fine" }}\n'
    'message: {{ printf "annotation %s is %q: it must be %s" $key $value $expected | Quote }}\n'
    "{{ end }}\n{{ end }}\n{{ end }}\n"
    "phase: Failed\nreason: InvalidAnnotation\n"
)
