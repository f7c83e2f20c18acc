"""Tekton's variables, `$(params.x)` and the like, as ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pkg.convert.text import Unknown, Words

PATTERN: Final = re.compile(r"\$\((?P<name>[a-zA-Z][^()\s]*)\)")
_BRACKET: Final = re.compile(r"""\[(?:"([^"]+)"|'([^']+)'|([0-9]+))\]""")
_DIRECT: Final = {
    "context.pipelineRun.name": "{{workflow.name}}",
    "context.pipelineRun.namespace": "{{workflow.namespace}}",
    "context.pipelineRun.uid": "{{workflow.uid}}",
    "context.taskRun.name": "{{workflow.name}}-{{flow.name}}",
    "context.taskRun.namespace": "{{workflow.namespace}}",
    "context.task.retry-count": "{{attempt}}",
    "context.pipelineTask.retries": "{{attempt}}",
}
_RESULT: Final = re.compile(r"tasks\.([^.]+)\.results\.([^.\[]+)(\[\*\])?")


def plain_name(name: str) -> str:
    """`params["a.b"]` and `params['x']` as `params.a.b` and `params.x`; a place in a list as `.0`."""
    return _BRACKET.sub(lambda match: f".{match[1] or match[2] or match[3]}", name)


def task_words(params: Mapping[str, str], paths: Mapping[str, str], name: str) -> Words:
    """The words of a Task. params: names of its parameters here; paths: of results and workspaces; name: its own."""

    def resolve(variable: str) -> str | Unknown:
        variable = plain_name(variable)
        if variable.startswith("inputs.params."):
            variable = variable.removeprefix("inputs.")
        if variable.startswith("params."):
            found = params.get(variable.removeprefix("params."))
            if found is not None:
                return f"{{{{params.{found}}}}}"
            if variable.endswith("[*]"):
                return Unknown(
                    "a list cannot become several arguments: write the command as one text, or use a parameter of text"
                )
            return Unknown("the Task has no such parameter")
        if variable in paths:
            return paths[variable]
        if variable == "context.task.name":
            return name
        return common(variable)

    return Words(PATTERN, resolve)


def common(variable: str) -> str | Unknown:
    """What holds everywhere."""
    if variable in _DIRECT:
        return _DIRECT[variable]
    if variable.startswith(("steps.", "step.")):
        return Unknown("results of steps are not there: a file in /workspace or /tekton/results serves all steps")
    if variable.endswith(".status") or variable == "tasks.status":
        return Unknown("wait for a phase of the flow: Failed, Skipped or Finished")
    if variable.startswith(("resources.", "outputs.resources.", "inputs.resources.")):
        return Unknown("PipelineResources are not there")
    return Unknown("it is no variable that convert knows")


def pipeline_words(
    params: Mapping[str, str], name: str, result: Callable[[str, str], str | Unknown], matrix: Mapping[str, str]
) -> Words:
    """The words of a Pipeline. params: what its parameters are, as our text; result(task, name): of a task."""

    def resolve(variable: str) -> str | Unknown:
        match = _RESULT.fullmatch(variable)
        if match is not None:
            return result(match[1], match[2])
        variable = plain_name(variable)
        if variable.startswith("params."):
            key = variable.removeprefix("params.")
            found = params.get(key)
            return (
                Unknown("the Pipeline has no such parameter, or a list stands where a text belongs")
                if found is None
                else found
            )
        if variable == "tasks.status":  # Tekton knows it in finally tasks alone, and so do our finally flows
            return "{{workflow.phase}}"
        if variable.startswith("matrix."):
            return matrix.get(variable, Unknown("the matrix has no such value"))
        if variable in ("context.pipeline.name", "context.pipelineTask.name"):
            return name
        return common(variable)

    return Words(PATTERN, resolve)
