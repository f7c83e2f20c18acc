"""Argo's variables, `{{inputs.parameters.x}}` and the like, as ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pkg.convert.text import Resolve, Unknown, Words

PATTERN: Final = re.compile(r"\{\{(?P<name>=?[^{}]+)\}\}")
_DIRECT: Final = {
    "workflow.name": "{{workflow.name}}",
    "workflow.namespace": "{{workflow.namespace}}",
    "workflow.uid": "{{workflow.uid}}",
    "retries": "{{attempt}}",
    "node.name": "{{flow.name}}",
    # Known in finally flows alone, as in exit handlers; lint of the result names other uses.
    "workflow.status": "{{workflow.phase}}",
    "workflow.failures": "{{workflow.failures}}",
    "workflow.duration": "{{workflow.duration}}",
    # Known in the runs of a CronWorkflow alone, as in Argo.
    "workflow.scheduledTime": "{{workflow.scheduledTime}}",
}
_LOST: Final = {
    "pod.name": "the pod knows its name as $HOSTNAME, or by the downward API",
    "workflow.serviceAccountName": "write the name",
    "workflow.mainEntrypoint": "there is no entrypoint",
    "lastRetry.exitCode": "{{attempt}} tells the number of the attempt",
}


def leaf_words(workflow_names: Mapping[str, str], paths: Mapping[str, str], inputs: Mapping[str, str]) -> Words:
    """The words of a container, script or resource template.

    workflow_names: what parameters of the Workflow are called here; paths: of output parameters and artifacts, by
    `outputs.parameters.NAME` and the like; inputs: names of its own parameters.
    """

    def resolve(name: str) -> str | Unknown:
        if name.startswith("inputs.parameters."):
            found = inputs.get(name.removeprefix("inputs.parameters."))
            return f"{{{{params.{found}}}}}" if found else Unknown("the template has no such input")
        if name.endswith(".path") and name.removesuffix(".path") in paths:
            return paths[name.removesuffix(".path")]
        return common(name, workflow_names)

    return Words(PATTERN, resolve)


def common(name: str, workflow_names: Mapping[str, str]) -> str | Unknown:
    """What holds everywhere."""
    if name in _DIRECT:
        return _DIRECT[name]
    if name.startswith("workflow.parameters."):
        found = workflow_names.get(name.removeprefix("workflow.parameters."))
        return f"{{{{params.{found}}}}}" if found else Unknown("the Workflow has no such parameter")
    if name.startswith("="):
        return Unknown("expressions in text are not there; `when` and outputs take CEL")
    if name in _LOST:
        return Unknown(_LOST[name])
    if "artifacts" in name:
        return Unknown("artifacts are not there: a volume or a bucket, by {{workflow.uid}}")
    if name.startswith(("workflow.labels.", "workflow.annotations.", "workflow.creationTimestamp")):
        return Unknown("write the value, or pass it as a parameter")
    return Unknown("it is no variable that convert knows")


def task_words(
    workflow_names: Mapping[str, str],
    env: Mapping[str, str],
    output: Callable[[str, str], str | Unknown],
    item: Mapping[str, str] | None,
    used: set[str],
) -> Words:
    """The words of the arguments and conditions of a task or step.

    env: what the inputs of the surrounding template are, as our text; output(task, name): the value of an output;
    item: what `item` and `item.KEY` are where a loop was unrolled, None where they are variables of ours as well; used:
    the inputs that are asked for are added to it.
    """

    def resolve(name: str) -> str | Unknown:
        if name.startswith("inputs.parameters."):
            found = env.get(name.removeprefix("inputs.parameters."))
            used.add(name.removeprefix("inputs.parameters."))
            return Unknown("the template has no such input, or it is not given") if found is None else found
        if name == "item" or name.startswith("item."):
            if item is None:
                return f"{{{{{name}}}}}"
            return item.get(name, Unknown("the item has no such key"))
        match = re.fullmatch(r"(?:tasks|steps)\.([^.]+)\.(.+)", name)
        if match is not None:
            return output(match[1], match[2])
        return common(name, workflow_names)

    return Words(PATTERN, resolve)


def no_words(workflow_names: Mapping[str, str]) -> Words:
    """The words of the spec of a Workflow itself."""
    made: Resolve = lambda name: common(name, workflow_names)  # noqa: E731
    return Words(PATTERN, made)
