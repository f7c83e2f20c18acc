"""Pipelines and PipelineRuns as Workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pkg.convert.cel import reference
from pkg.convert.conditions import CannotSay
from pkg.convert.durations import duration_of
from pkg.convert.names import Names, label, parameter_name
from pkg.convert.result import Object, head, metadata, work_template, workflow
from pkg.convert.source import Source, object_in, text_of
from pkg.convert.tekton.library import Library
from pkg.convert.tekton.matrix import for_of_matrix
from pkg.convert.tekton.tasks import Task, task
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
_VOLUMES: Final = ("persistentVolumeClaim", "emptyDir", "configMap", "secret", "projected", "csi")


def task_object(source: Source, library: Library) -> list[Object]:
    """A Task or ClusterTask as a WorkTemplate."""
    head(source)
    meta = metadata(source)
    made = library.task(text_of(object_in(source.raw().get("metadata")).get("name")))
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
        found = library.pipelines.get(named.peek_text("name"))
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
        inputs = {ours for source in self._library.tasks for ours in self._inputs(source)}
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

    def _inputs(self, name: str) -> list[str]:
        made = self._library.task(name)
        return [] if made is None else list(made.params.values())

    def _run(self, run: Source, found: Object) -> None:
        timeouts = run.get("timeouts")
        if timeouts is not None:
            if (whole := timeouts.get("pipeline")) is not None:
                found["timeout"] = duration_of(whole, "1h")
            timeouts.lose_fields(
                {
                    "tasks": "timeout of the Workflow bounds everything but finally flows",
                    "finally": "write timeout at each finally flow",
                }
            )
        if (timeout := run.get("timeout")) is not None:
            found["timeout"] = duration_of(timeout, "1h")
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
            if source is None:
                continue
            if (account := source.get("serviceAccountName")) is not None:
                self._pod["serviceAccountName"] = account.text()
            if (pod := source.get("podTemplate")) is not None:
                self._pod.update(pod.plain())
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
        if (params := [*self._arguments(item, made, words), *self._from_matrix(matrix, made)]) != []:
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
        if (retries := item.get("retries")) is not None and retries.plain():
            flow["retry"] = {"maxRetries": retries.plain(), "interval": "0s"}
        if (timeout := item.get("timeout")) is not None:
            flow["timeout"] = duration_of(timeout, "1h")
        if (on_error := item.get("onError")) is not None and on_error.text() == "continue":
            flow["continueOnFail"] = True
        if made.outputs:
            flow["outputs"] = made.outputs
        self._patch(item, made, flow)
        if is_finally:
            flow["finally"] = True
        item.skip_fields("displayName", "description", why="for people")
        item.lose_fields(_LOST_IN_TASK)

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
            made = task(inline, name, label(f"{self._base}-{name}"))
            if made.spec is not None:
                self._templates.append(work_template(made.template, made.spec, str(self._meta.get("namespace", ""))))
            return made
        named = item.get("taskRef")
        if named is None:
            item.lose("it names no Task")
            return Task(label(name))
        wanted = named.peek_text("name")
        found = self._library.task(wanted)
        if (title := named.get("name")) is not None:
            title.text()
        named.skip_fields("kind", "apiVersion", why="a Task is found by its name")
        named.lose_fields(dict.fromkeys(("resolver", "params", "bundle"), "only Tasks in the same files are found"))
        if found is None and wanted:
            named.lose(f"no Task {wanted} is in these files: the flow waits until you make that WorkTemplate")
        return found or Task(label(wanted or name))

    def _words(self, name: str, matrix: Mapping[str, str]) -> Words:
        def result(other: str, what: str) -> str | Unknown:
            made = self._tasks.get(other)
            if made is None:
                return Unknown(f"there is no task {other}")
            if made.spec is not None and all(output["name"] != what for output in made.outputs):
                return Unknown(f"{other} has no output {what} here")
            return f"{{{{flows.{self._flows[other]['name']}.outputs.{what}}}}}"

        return pipeline_words(self._params, name, result, matrix)

    def _arguments(self, item: Source, made: Task, words: Words) -> list[Object]:
        found: list[Object] = []
        for param in item.list_of("params"):
            name, value = param.get("name"), param.get("value")
            if name is None or value is None:
                continue
            theirs = name.text()
            plain = words.copy(value)
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
        pod: Object = dict(self._pod)
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
            if (title := source.get("name")) is not None:
                title.skip("the task says which volume it is")
            source.lose_fields(
                {
                    "volumeClaimTemplate": "make a WorkTemplate of kind PersistentVolumeClaim with action Apply,"
                    " a flow for it, and name the claim in the volumes of the other flows",
                    "subPath": "write subPath at the volumeMounts of the WorkTemplate",
                }
            )
            for kind in _VOLUMES:
                if (found := source.get(kind)) is not None and kind != "emptyDir":
                    volumes.append({"name": volume, "emptyDir": None, kind: found.plain()})
                elif found is not None:
                    found.plain()
        if volumes:
            pod["volumes"] = volumes
        if pod and made.spec is not None:
            flow["patch"] = {"spec": {"template": {"spec": pod}}}
