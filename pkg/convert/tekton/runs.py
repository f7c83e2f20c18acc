"""What runs give to Tasks: their arguments, the volumes of their workspaces, and fields of their pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pkg.convert.durations import duration_of
from pkg.convert.names import label, parameter_name
from pkg.convert.result import Object
from pkg.convert.source import Source, text_of
from pkg.convert.tekton.library import Library
from pkg.convert.tekton.tasks import Task

_VOLUMES: Final = ("persistentVolumeClaim", "emptyDir", "configMap", "secret", "projected", "csi")
_KINDS: Final = ("Task", "ClusterTask")
_NO_TIME: Final = ("0", "0s", "0m", "0h", "0h0m0s", "0m0s")
_LOST_IN_WORKSPACE: Final = {
    "volumeClaimTemplate": "make a WorkTemplate of kind PersistentVolumeClaim with action Apply,"
    " a flow for it, and name the claim in the volumes of the other flows",
    "subPath": "write subPath at the volumeMounts of the WorkTemplate",
}


def called(reference: Source, library: Library, namespace: str) -> Task | None:
    """The Task that a taskRef names; None, and lost, if it is not in the files."""
    wanted = reference.peek_text("name")
    kind = reference.peek_text("kind") or "Task"
    reference.lose_fields(dict.fromkeys(("resolver", "params", "bundle"), "only Tasks in the same files are found"))
    if (given := reference.get("kind")) is not None and kind not in _KINDS:
        given.lose("a custom task is no Task: write a WorkTemplate of its kind")
        return None
    reference.skip_fields("kind", "apiVersion", why="a Task is found by its kind and name")
    found = library.task(kind, namespace, wanted)
    if found is None and wanted:
        reference.lose(f"no {kind} {wanted} is in these files: the flow waits until you make that WorkTemplate")
    elif (title := reference.get("name")) is not None:
        title.text()
    return found


def template_of(reference: Source, name: str) -> Task:
    """What stands for a Task that is not in the files: its WorkTemplate is still to be made."""
    return Task(label(reference.peek_text("name") or name))


def arguments(item: Source, made: Task, copy: Callable[[Source], Any]) -> list[Object]:
    """The parameters of a flow. copy: a value with our variables."""
    found: list[Object] = []
    for param in item.list_of("params"):
        name, value = param.get("name"), param.get("value")
        if name is None or value is None:
            continue
        theirs = name.text()
        plain = copy(value)
        if isinstance(plain, dict):
            parts = {f"{theirs}.{key}": inner for key, inner in plain.items()}
        elif isinstance(plain, list):
            parts = {f"{theirs}.{at}": inner for at, inner in enumerate(plain)}
        else:
            parts = {theirs: plain}
        for key, inner in parts.items():
            ours = made.params.get(key, "")
            if not ours and made.spec is not None:
                param.lose(f"the Task has no parameter {key} here; a list has as many as its default")
                continue
            found.append({"name": ours or parameter_name(key), "value": text_of(inner)})
    return found


def volumes_of(source: Source, volume: str) -> list[Object]:
    """The volume that a run binds a workspace to; none if it stays an empty folder."""
    if (title := source.get("name")) is not None:
        title.skip("the task says which volume it is")
    source.lose_fields(_LOST_IN_WORKSPACE)
    found: list[Object] = []
    for kind in _VOLUMES:
        if (value := source.get(kind)) is None:
            continue
        if kind != "emptyDir":
            found.append({"name": volume, "emptyDir": None, kind: value.plain()})
        elif value.is_object and not value.fields():
            value.skip("the workspace is an empty folder without it")
        else:
            found.append({"name": volume, kind: value.plain()})
    return found


def pod_of(source: Source) -> Object:
    """The fields of pods that a run, or a part of it, gives."""
    found: Object = {}
    if (account := source.get("serviceAccountName")) is not None:
        found["serviceAccountName"] = account.text()
    pod = source.get("podTemplate")
    if pod is not None and pod.is_object:
        found.update(pod.plain())
    elif pod is not None:
        pod.lose("it is no object")
    return found


def patched(pod: Object, volumes: list[Object]) -> Object:
    """The patch of a flow that gives its pods these fields and volumes; empty without any."""
    whole = {**pod, **({"volumes": [*pod.get("volumes", []), *volumes]} if volumes else {})}
    return {"spec": {"template": {"spec": whole}}} if whole else {}


def set_timeout(source: Source | None, found: Object) -> None:
    """The timeout of a flow or a Workflow. 0 is none, as in Tekton."""
    if source is None:
        return
    if source.word() in _NO_TIME:
        source.skip("0 is no timeout")
    else:
        found["timeout"] = duration_of(source, "1h")


def set_retries(source: Source | None, found: Object) -> None:
    """The retries of a flow: without a delay, as in Tekton."""
    if source is None:
        return
    value = source.peek()
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        source.lose("retries is a whole number")
    elif value:
        found["retry"] = {"maxRetries": source.plain(), "interval": "0s"}
    else:
        source.skip("0 is the default")
