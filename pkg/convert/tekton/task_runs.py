"""A TaskRun as a Workflow of one flow."""

from __future__ import annotations

from typing import Any, Final

from pkg.convert.names import label
from pkg.convert.result import Object, head, metadata, work_template, workflow
from pkg.convert.source import Source
from pkg.convert.tekton.library import Library
from pkg.convert.tekton.runs import (
    arguments,
    called,
    patched,
    pod_of,
    set_retries,
    set_timeout,
    template_of,
    volumes_of,
)
from pkg.convert.tekton.tasks import Task
from pkg.convert.text import escaped

_CANCELLED: Final = "TaskRunCancelled"
_RESOURCES: Final = "write resources at the containers of the WorkTemplate, or as patch of the flow"
_LOST: Final = {
    "computeResources": _RESOURCES,
    "stepSpecs": _RESOURCES,
    "stepOverrides": _RESOURCES,
    "sidecarSpecs": _RESOURCES,
    "sidecarOverrides": _RESOURCES,
    "debug": "pods are not stopped for a person to look: kubectl debug does that",
    "resources": "PipelineResources are not there",
    "managedBy": "Tekton's own",
}


def task_run(source: Source, library: Library) -> list[Object]:
    """A TaskRun as a Workflow, with the Task that it names or has in itself."""
    head(source)
    meta = metadata(source)
    spec = source.get("spec")
    if spec is None:
        return []
    base = label(meta.get("name") or str(meta.get("generateName", "")).rstrip("-") or "task", 40)
    namespace = str(meta.get("namespace", ""))
    inline, named = spec.get("taskSpec"), spec.get("taskRef")
    templates: list[Object] = []
    if inline is not None:
        name = "task"
        made = library.task_in(inline, name, base, namespace)
        if made.spec is None:
            return []
        templates.append(work_template(made.template, made.spec, namespace))
    elif named is not None:
        name = label(named.peek_text("name") or "task")
        made = called(named, library, namespace) or template_of(named, "task")
    else:
        spec.lose("it names no Task")
        return []
    flow: Object = {"name": name, "template": made.template}
    if parameters := arguments(spec, made, _literal):
        flow["parameters"] = parameters
    set_retries(spec.get("retries"), flow)
    set_timeout(spec.get("timeout"), flow)
    if made.outputs:
        flow["outputs"] = made.outputs
    if patch := patched(pod_of(spec), _volumes(spec, made)):
        flow["patch"] = patch
    found: Object = {}
    _status(spec, found)
    spec.lose_fields(_LOST)
    return [*templates, workflow(meta, {**found, "flows": [flow]})]


def _literal(value: Source) -> Any:
    """A value of a TaskRun, in which Tekton replaces no variables."""

    def copied(plain: Any) -> Any:
        if isinstance(plain, dict):
            return {key: copied(inner) for key, inner in plain.items()}
        if isinstance(plain, list):
            return [copied(inner) for inner in plain]
        return escaped(plain) if isinstance(plain, str) else plain

    return copied(value.plain())


def _volumes(spec: Source, made: Task) -> list[Object]:
    found: list[Object] = []
    for item in spec.list_of("workspaces"):
        name = item.get("name")
        volume = made.workspaces.get("" if name is None else name.word())
        if volume is not None:
            found += volumes_of(item, volume)
        elif made.spec is None:
            item.lose("the Task is not in these files: write a volume into its WorkTemplate")
        else:
            item.lose("the Task has no workspace of this name")
    return found


def _status(spec: Source, found: Object) -> None:
    if (status := spec.get("status")) is not None:
        if status.word() == _CANCELLED:
            status.plain()
            found["shutdown"] = "Terminate"
        elif status.word() or status.is_object or status.is_list:
            status.lose(f"the status that a TaskRun is given is {_CANCELLED}")
        else:
            status.skip("empty")
    spec.skip_fields("statusMessage", why="for people")
