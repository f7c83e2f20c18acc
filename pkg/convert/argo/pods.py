"""One pod of Argo, a `container` or `script` template, as the pod template of a Job."""

from __future__ import annotations

from typing import Any, Final

from pkg.convert.result import Object
from pkg.convert.scripts import script_command
from pkg.convert.source import Source
from pkg.convert.text import Words

#: Fields of a pod that templates and the spec of a Workflow share with Kubernetes.
POD_FIELDS: Final = {
    "activeDeadlineSeconds": "",
    "affinity": "affinity",
    "automountServiceAccountToken": "automountServiceAccountToken",
    "dnsConfig": "dnsConfig",
    "dnsPolicy": "dnsPolicy",
    "hostAliases": "hostAliases",
    "hostNetwork": "hostNetwork",
    "imagePullSecrets": "imagePullSecrets",
    "nodeSelector": "nodeSelector",
    "podPriorityClassName": "priorityClassName",
    "priorityClassName": "priorityClassName",
    "schedulerName": "schedulerName",
    "securityContext": "securityContext",
    "serviceAccountName": "serviceAccountName",
    "tolerations": "tolerations",
    "volumes": "volumes",
}
LOST_POD_FIELDS: Final = {
    "podSpecPatch": "write it as `patch` of the flow: a merge patch of {metadata, spec} of the Job",
    "priority": "the priority of pods comes from priorityClassName",
    "volumeClaimTemplates": "make a WorkTemplate of kind PersistentVolumeClaim with action Apply, a flow for it,"
    " and name the claim under volumes",
    "podDisruptionBudget": "apply a PodDisruptionBudget with the label flow.workflow.sh/workflow as its selector",
}
#: Fields of a pod that a `resource` template has no use for here.
LOST_WITH_RESOURCE: Final = (
    *(key for key, ours in POD_FIELDS.items() if ours),
    *LOST_POD_FIELDS,
    "initContainers",
    "sidecars",
)
_MIRROR: Final = "mirrorVolumeMounts"


def pod_fields(source: Source, words: Words) -> Object:
    """The fields of a pod spec that a template, or the spec of a Workflow, has."""
    found: Object = {}
    for key, ours in POD_FIELDS.items():
        if ours and (value := source.get(key)) is not None:
            found[ours] = words.copy(value)
    source.lose_fields(LOST_POD_FIELDS)
    return found


def pod_metadata(source: Source | None, words: Words) -> Object:
    """Labels and annotations of pods."""
    return {} if source is None else {key: value for key, value in words.copy(source).items() if value}


def container(source: Source, words: Words, name: str = "main") -> Object:
    """A container; `name` unless it has one."""
    found: Object = {"name": name}
    for item in source.fields():
        if item.key == _MIRROR:
            item.lose("name the volumeMounts of the main container here too")
        else:
            found[item.key] = words.copy(item)
    return found


def script(source: Source, words: Words) -> Object:
    """A script: its interpreter with the source as an argument."""
    found: Object = {"name": "main"}
    for item in source.fields():
        if item.key not in ("source", "command"):
            found[item.key] = words.copy(item)
    text = source.get("source")
    interpreter = source.get("command")
    command = ["sh"] if interpreter is None else [words.text(item) for item in interpreter.items()]
    if text is None:
        return {**found, "command": command}
    made = script_command(command, words.text(text))
    if made is None:
        name = command[0] if command else "no command"
        text.lose(f"{name} takes a script only from a file: put it into the image or a ConfigMap")
        made = command
    found["command"] = made
    return found


def containers(source: Source, words: Words) -> list[Object]:
    """The init containers. A sidecar becomes one that is restarted, as Kubernetes has sidecars."""
    init = [container(item, words, "init") for item in source.list_of("initContainers")]
    sidecars = source.list_of("sidecars")
    return [*init, *({**container(item, words, "sidecar"), "restartPolicy": "Always"} for item in sidecars)]


def merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """Objects over each other; volumes are joined by name."""
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if key == "volumes" and key in found:
                names = {volume.get("name") for volume in value}
                value = [volume for volume in found[key] if volume.get("name") not in names] + value
            found[key] = value
    return found
