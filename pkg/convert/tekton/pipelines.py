"""Pipelines and PipelineRuns as Workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pkg.convert.cel import reference
from pkg.convert.conditions import CannotSay
from pkg.convert.names import Names, label, parameter_name
from pkg.convert.result import Object, head, metadata, work_template, workflow
from pkg.convert.source import Source, text_of
from pkg.convert.tekton.library import Library
from pkg.convert.tekton.matrix import for_of_matrix
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
from pkg.convert.tekton.variables import pipeline_words
from pkg.convert.text import Unknown, Words, escaped

_STATUS: Final = {
    "Cancelled": ("shutdown", "Terminate"),
    "CancelledRunFinally": ("shutdown", "Terminate"),
    "PipelineRunCancelled": ("shutdown", "Terminate"),
    "StoppedRunFinally": ("shutdown", "Stop"),
    "PipelineRunPending": ("suspend", True),
}
_LOST_IN_TASK: Final = {
    "resources": "PipelineResources are not there",
    "conditions": "write them as when",
    "pipelineRef": "use a Workflow as the job of a flow: docs/migration.md",
    "pipelineSpec": "use a Workflow as the job of a flow: docs/migration.md",
}


def task_object(source: Source, library: Library) -> list[Object]:
    """A Task or ClusterTask as a WorkTemplate."""
    head(source)
    meta = metadata(source)
    made = library.task_of(source)
    if made is None or made.spec is None:
        return []
    found = work_template(made.template, made.spec)
    found["metadata"] = {**meta, "name": made.template}
    return [found]


def pipeline(source: Source, library: Library) -> list[Object]:
    """A Pipeline as a Workflow."""
    head(source)
    meta = metadata(source)
    spec = source.get("spec")
    return [] if spec is None else _Pipeline(meta, library).objects(spec, None)


def pipeline_run(source: Source, library: Library) -> list[Object]:
    """A PipelineRun as a Workflow, with the Pipeline that it names or has in itself."""
    head(source)
    meta = metadata(source)
    spec = source.get("spec")
    if spec is None:
        return []
    inner = spec.get("pipelineSpec")
    named = spec.get("pipelineRef")
    if inner is None and named is not None:
        found = library.shelf.find("Pipeline", str(meta.get("namespace", "")), named.peek_text("name"))
        inner = None if found is None else found.get("spec")
        if inner is None:
            named.lose("the Pipeline is not in these files: convert them together")
        else:
            named.skip_fields("name", "kind", "apiVersion", why="the Pipeline is found by them")
    if inner is None:
        return []
    return _Pipeline(meta, library).objects(inner, spec)


class _Pipeline:
    def __init__(self, meta: Object, library: Library) -> None:
        self._meta = meta
        self._library = library
        self._base = label(meta.get("name") or str(meta.get("generateName", "")).rstrip("-") or "pipeline", 40)
        self._namespace = str(meta.get("namespace", ""))
        self._names = Names()
        self._params: dict[str, str] = {}
        self._flows: dict[str, Object] = {}
        self._tasks: dict[str, Task] = {}
        self._whens: dict[str, list[str]] = {}
        self._volumes: dict[str, Source | None] = {}
        self._templates: list[Object] = []
        self._pod: Object = {}

    def objects(self, spec: Source, run: Source | None) -> list[Object]:
        """The templates that are written into the Pipeline, and the Workflow."""
        found: Object = {}
        if parameters := self._parameters(spec, run):
            found["parameters"] = parameters
        if run is not None:
            self._run(run, found)
        for item in spec.list_of("workspaces"):
            for key in ("name", "optional"):
                if (value := item.get(key)) is not None:
                    value.skip("each task binds it by itself")
            item.skip_fields("description", why="for people")
        spec.skip_fields("description", "displayName", why="for people")
        spec.lose_fields(
            {
                "results": "read outputs of flows: kubectl get wkf NAME -o jsonpath={.status.flows}",
                "resources": "PipelineResources are not there",
            }
        )
        tasks = [(item, False) for item in spec.list_of("tasks")] + [(item, True) for item in spec.list_of("finally")]
        for item, _ in tasks:
            self._name(item)
        for item, is_finally in tasks:
            self._task(item, is_finally=is_finally)
        found["flows"] = [self._flows[item.peek_text("name")] for item, _ in tasks]
        return [*self._templates, workflow(self._meta, found)]

    def _name(self, item: Source) -> None:
        name = item.peek_text("name")
        self._flows[name] = {"name": self._names.new(name)}
        self._tasks[name] = self._called(item, name)
        if item.raw().get("when"):
            self._whens[name] = [other.word() for other in item.list_of("runAfter")]

    def _parameters(self, spec: Source, run: Source | None) -> list[Object]:
        given: dict[str, Any] = {}
        declared = {item.peek_text("name") for item in spec.list_of("params")}
        if run is not None:
            for item in run.list_of("params"):
                name, value = item.get("name"), item.get("value")
                if name is not None and value is not None and name.word() in declared:
                    given[name.text()] = value.plain()
                elif name is not None:
                    item.lose("the Pipeline has no such parameter")
        inputs = self._library.parameters()
        found: list[Object] = []
        for item in spec.list_of("params"):
            name = item.get("name")
            if name is None:
                continue
            default = item.get("default")
            value = given.get(name.text(), None if default is None else default.plain())
            if default is not None:
                default.plain()
            item.skip_fields("description", "enum", "type", "properties", why="for people; the value shows it")
            if isinstance(value, dict):
                parts = {f"{name.text()}.{key}": inner for key, inner in value.items()}
            elif isinstance(value, list):
                parts = {f"{name.text()}.{at}": inner for at, inner in enumerate(value)}
                self._params[f"{name.text()}[*]"] = json.dumps(value)
            else:
                parts = {name.text(): value}
            for key, inner in parts.items():
                ours = parameter_name(key)
                if ours in inputs:
                    ours = f"pipeline.{ours}"
                    name.check(f"it is named {ours} here, because a Task has a parameter of the same name")
                self._params[key] = f"{{{{params.{ours}}}}}"
                found.append({"name": ours, **({} if inner is None else {"value": escaped(text_of(inner))})})
        return found

    def _run(self, run: Source, found: Object) -> None:
        timeouts = run.get("timeouts")
        if timeouts is not None:
            set_timeout(timeouts.get("pipeline"), found)
            timeouts.lose_fields(
                {
                    "tasks": "timeout of the Workflow bounds everything but finally flows",
                    "finally": "write timeout at each finally flow",
                }
            )
        set_timeout(run.get("timeout"), found)
        if (status := run.get("status")) is not None:
            if status.word() in _STATUS:
                key, value = _STATUS[status.text()]
                found[key] = value
                if status.peek() == "CancelledRunFinally":
                    status.check("Terminate ends finally flows too")
            else:
                status.lose("shutdown is Stop or Terminate, and suspend true or false")
        template = run.get("taskRunTemplate")
        for source in (template, run):
            if source is not None:
                self._pod.update(pod_of(source))
        for item in run.list_of("workspaces"):
            self._volumes[item.peek_text("name")] = item
        run.lose_fields(
            {
                "taskRunSpecs": "write it as patch of the flow",
                "resources": "PipelineResources are not there",
                "managedBy": "Tekton's own",
            }
        )

    def _task(self, item: Source, *, is_finally: bool) -> None:
        name = "" if (given := item.get("name")) is None else given.text()
        flow = self._flows[name]
        made = self._tasks[name]
        flow["template"] = made.template
        matrix: dict[str, str] = {}
        if (loop := item.get("matrix")) is not None:
            flow["for"] = for_of_matrix(loop, self._words(name, {}), matrix)
        words = self._words(name, matrix)
        if (params := [*arguments(item, made, words.copy), *self._from_matrix(matrix, made)]) != []:
            flow["parameters"] = params
        waits = []
        for other in item.list_of("runAfter"):
            waits.append(other.text())
            if waits[-1] not in self._flows:
                other.lose("there is no task of this name")
        conditions = [found for when in item.list_of("when") if (found := self._when(when, words))]
        if conditions:
            flow["when"] = " && ".join(conditions)
        depends = self._depends(waits)
        if depends:
            flow["dependsOn"] = depends
        set_retries(item.get("retries"), flow)
        set_timeout(item.get("timeout"), flow)
        self._on_error(item, flow)
        if made.outputs:
            flow["outputs"] = made.outputs
        self._patch(item, made, flow)
        if is_finally:
            flow["finally"] = True
        item.skip_fields("displayName", "description", why="for people")
        item.lose_fields(_LOST_IN_TASK)

    def _on_error(self, item: Source, flow: Object) -> None:
        on_error = item.get("onError")
        if on_error is None:
            return
        if on_error.word() == "continue":
            on_error.plain()
            flow["continueOnFail"] = True
        elif on_error.word() == "stopAndFail":
            on_error.skip("it is the default")
        else:
            on_error.lose("onError is continue or stopAndFail")

    def _depends(self, waits: list[str]) -> Object:
        """Targets. A task that when skips lets go on, but not one behind a failure: ask for what it waits for, too."""
        names = [name for name in waits if name in self._flows]
        for name in names:
            names += [other for other in self._whens.get(name, ()) if other not in names and other in self._flows]
        if not names:
            return {}
        found: Object = {"targets": [self._flows[name]["name"] for name in names]}
        if any(name in self._whens for name in names):
            found["onSkipped"] = "Ignore"
        return found

    def _called(self, item: Source, name: str) -> Task:
        inline = item.get("taskSpec")
        if inline is not None:
            inline.skip_fields("metadata", why="labels of a TaskRun")
            made = self._library.task_in(inline, name, f"{self._base}-{name}", self._namespace)
            if made.spec is not None:
                self._templates.append(work_template(made.template, made.spec, self._namespace))
            return made
        named = item.get("taskRef")
        if named is None:
            item.lose("it names no Task")
            return Task(label(name))
        return called(named, self._library, self._namespace) or template_of(named, name)

    def _words(self, name: str, matrix: Mapping[str, str]) -> Words:
        def result(other: str, what: str) -> str | Unknown:
            made = self._tasks.get(other)
            if made is None:
                return Unknown(f"there is no task {other}")
            if made.spec is not None and all(output["name"] != what for output in made.outputs):
                return Unknown(f"{other} has no output {what} here")
            return f"{{{{flows.{self._flows[other]['name']}.outputs.{what}}}}}"

        return pipeline_words(self._params, name, result, matrix)

    def _from_matrix(self, matrix: Mapping[str, str], made: Task) -> list[Object]:
        return [
            {"name": made.params.get(name, parameter_name(name)), "value": value}
            for name, value in ((key.removeprefix("matrix.params."), text) for key, text in matrix.items())
        ]

    def _when(self, source: Source, words: Words) -> str:
        if (cel := source.get("cel")) is not None:
            cel.lose("write it as when of the flow: params and outputs are variables of CEL there")
            return ""
        value, operator = source.get("input"), source.get("operator")
        values = source.list_of("values")
        if value is None or operator is None:
            source.lose("it is no condition")
            return ""
        try:
            left = reference(words.text(value))
            listed = [reference(words.text(item)) for item in values]
        except CannotSay as error:
            source.lose(f"when cannot say this: {error}; the flow runs in any case")
            return ""
        if any(words.has_unknown(str(item.peek())) for item in (value, *values)):
            source.lose("when cannot say this; the flow runs in any case")
            return ""
        if operator.word() not in ("in", "notin"):
            source.lose("the operator is in or notin; the flow runs in any case")
            return ""
        found = f"{left} in [{', '.join(listed)}]"
        return found if operator.text() == "in" else f"!({found})"

    def _patch(self, item: Source, made: Task, flow: Object) -> None:
        """What a run adds to the pods of a task: the volumes of its workspaces, and podTemplate."""
        volumes: list[Object] = []
        bound = {name: (name, "") for name in made.workspaces}
        for entry in item.list_of("workspaces"):
            name = entry.get("name")
            workspace = entry.get("workspace")
            if name is None:
                continue
            wanted = name.peek() if workspace is None else workspace.peek()
            bound[name.word()] = (text_of(wanted), "")
            if name.word() not in made.workspaces and made.spec is not None:
                name.lose("the Task has no workspace of this name")
            else:
                name.skip("it becomes a volume")
            if workspace is not None and workspace.word() in self._volumes:
                workspace.skip("the PipelineRun binds it to a volume")
            elif workspace is not None:
                workspace.lose("no PipelineRun in these files binds it: it is an empty folder for each task")
            entry.lose_fields({"subPath": "write subPath at the volumeMounts of the WorkTemplate"})
        for bound_name, (workspace_name, _) in bound.items():
            volume = made.workspaces.get(bound_name)
            source = self._volumes.get(workspace_name)
            if volume is None or source is None:
                continue
            volumes += volumes_of(source, volume)
        if made.spec is not None and (patch := patched(self._pod, volumes)):
            flow["patch"] = patch
