"""Argo's templates that run something: each becomes one WorkTemplate, and what its flows need besides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pkg.convert.argo.pods import (
    LOST_WITH_RESOURCE,
    container,
    containers,
    merged,
    pod_fields,
    pod_metadata,
    script,
)
from pkg.convert.argo.resources import resource_template
from pkg.convert.argo.retries import retry_of
from pkg.convert.argo.variables import leaf_words
from pkg.convert.names import parameter_name
from pkg.convert.result import Object, job_template
from pkg.convert.scripts import with_result
from pkg.convert.source import Source, object_in, objects_in
from pkg.convert.text import Words, escaped

#: The fields of which a template has exactly one.
RUNS: Final = ("container", "script", "resource")
_OTHERS: Final = {
    "http": "a request from the controller is not there: use a Job that runs curl",
    "plugin": "plugins are not there: use a Job",
    "data": "data templates are not there: use a Job",
    "containerSet": "use one flow per container, or the containers and initContainers of one Job",
}
_LOST: Final = {
    "daemon": "use a Deployment as the job: it counts as done once it is ready, and is deleted at the end",
    "memoize": "results of earlier runs are not kept",
    "parallelism": "limit the flow with for.parallelism, or the Workflow with parallelism",
    "archiveLocation": "logs stay with the pods; point --log-url-template at your log store",
    "failFast": "the successPolicy of the Workflow says what happens after a failure",
    "resubmitPendingPods": "pendingTimeout with retries does that",
    "artifacts": "artifacts are not there: a volume or a bucket, by {{workflow.uid}}",
    "metrics": "the controller's metrics are in docs/metrics.md",
    "hooks": "use a flow that waits for the phase of this one",
    "timeout": "timeout of a flow is that of one attempt; that of the Workflow counts all attempts",
}
_NO_ARTIFACTS: Final = "artifacts are not there: a volume or a bucket, by {{workflow.uid}}"


@dataclass(slots=True)
class Leaf:
    """What a flow of a template needs. spec: of its WorkTemplate, None if there is none.

    inputs: names of its parameters here, by their names in Argo; outputs: of the flow; locks: its mutexes and
    semaphores; is_approval: it waits for a person, and makes no job.
    """

    template: str
    spec: Object | None
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: list[Object] = field(default_factory=list)
    retry: Object | None = None
    timeout: str = ""
    has_result: bool = False
    run: Source | None = None
    locks: Object = field(default_factory=dict)
    is_approval: bool = False

    @property
    def runs_container(self) -> bool:
        return self.spec is not None and self.spec["gvr"]["resource"] == "jobs" and "template" in self.spec["jobSpec"]

    def need_result(self) -> str:
        """Lets flows of the template hand out what they print. Returns what is to be checked then."""
        if not self.runs_container:
            return "outputs.result of this kind of template is not there; read a field of the object as an output"
        if not self.has_result:
            self.has_result = True
            assert self.spec is not None
            main = self.spec["jobSpec"]["template"]["spec"]["containers"][0]
            if "terminationMessagePath" in main:
                return "the termination message is taken by the output parameter; hand out both in one file as JSON"
            with_result(main)
            assert self.run is not None
            self.run.check("what it prints is its output by way of `sh` and the termination message, at most 4 KiB")
            self.outputs.append({"name": "result", "from": {"terminationMessage": {"container": main["name"]}}})
        return ""


def leaf(source: Source, name: str, workflow_names: dict[str, str], defaults: Object, outer: Object) -> Leaf:
    """A template that runs something. name: of its WorkTemplate; defaults, outer: pod fields and metadata of the
    Workflow, which every pod has.
    """
    inputs, parameters = _inputs(source)
    words = leaf_words(workflow_names, _paths(source), inputs)
    made = Leaf(name, None, inputs)
    if (suspend := source.get("suspend")) is not None:
        made.is_approval = True
        _approval(source, suspend)
    if (given := source.get("name")) is not None:
        given.text()
    _deadline(source, made, words)
    if not made.is_approval and (strategy := source.get("retryStrategy")) is not None:
        made.retry = retry_of(strategy)
    source.lose_fields({**_OTHERS, **_LOST})
    source.skip_fields("executor", why="there is no executor")
    run = next((source.get(key) for key in RUNS if source.get(key) is not None), None)
    metadata = {**outer, **pod_metadata(source.get("metadata"), words)}
    if (annotations := source.get("annotations")) is not None:
        metadata["annotations"] = {**metadata.get("annotations", {}), **words.copy(annotations)}
    if run is None:
        _outputs(source, made, words, None)
        return made
    if run.key == "resource":
        spec = resource_template(run, words)
        if spec is not None and parameters:
            spec = {"gvr": spec.pop("gvr"), "parameters": parameters, **spec}
        made.spec = spec
        _outputs(source, made, words, None)
        source.lose_fields(dict.fromkeys(LOST_WITH_RESOURCE, "write it into the manifest"))
        return made
    main = container(run, words) if run.key == "container" else script(run, words)
    init = containers(source, words)
    pod: dict[str, Any] = merged(defaults, pod_fields(source, words))
    if init:
        pod["initContainers"] = init
    pod["containers"] = [main]
    _outputs(source, made, words, main)
    made.spec, made.run = job_template(pod, parameters, metadata or None), run
    return made


def _approval(source: Source, suspend: Source) -> None:
    """A flow that waits for a person, and makes no job."""
    suspend.lose_fields(
        {"duration": "somebody has to approve the flow; for a pause alone write startDelay at the flows after it"}
    )
    if not suspend.fields():
        suspend.skip("empty")
    source.lose_fields(
        {
            "retryStrategy": "a rejection is final until a retry of the Workflow",
            "synchronization": "no lock is held while a person is waited for: give it to the flow that follows",
        }
    )


def _inputs(source: Source) -> tuple[dict[str, str], list[Object]]:
    """The parameters of a template: their names here, and the parameters of the WorkTemplate."""
    names: dict[str, str] = {}
    parameters: list[Object] = []
    inputs = source.get("inputs")
    if inputs is None:
        return names, parameters
    for item in inputs.list_of("parameters"):
        name = item.get("name")
        if name is None:
            continue
        ours = parameter_name(name.text())
        names[name.text()] = ours
        value = item.get("value") or item.get("default")
        parameters.append({"name": ours, **({} if value is None else {"value": escaped(value.text())})})
        describe(item)
    inputs.lose_fields({"artifacts": _NO_ARTIFACTS})
    return names, parameters


def describe(item: Source) -> None:
    """Accounts for what a parameter says to people, and for values that come from elsewhere."""
    item.skip_fields("description", "enum", why="for people who fill in forms")
    item.lose_fields(
        {
            "valueFrom": "give the value itself; a Job reads a ConfigMap by envFrom",
            "globalName": "name the output of its flow",
        }
    )
    if item.get("value") is not None and (default := item.get("default")) is not None:
        default.skip("value goes before it")


def _deadline(source: Source, made: Leaf, words: Words) -> None:
    deadline = source.get("activeDeadlineSeconds")
    if deadline is None:
        return
    value = deadline.word()
    if value.isdigit():
        deadline.plain()
        made.timeout = f"{value}s"
    else:
        deadline.lose("timeout of a flow takes a number: write it as a duration, such as 10m")


def _paths(source: Source) -> dict[str, str]:
    """Paths of outputs and artifacts, which scripts may name."""
    found: dict[str, str] = {}
    for side in ("inputs", "outputs"):
        part = object_in(source.raw().get(side))
        for kind in ("parameters", "artifacts"):
            for item in objects_in(part.get(kind)):
                path = item.get("path") or object_in(item.get("valueFrom")).get("path")
                if path:
                    found[f"{side}.{kind}.{item.get('name')}"] = str(path)
    return found


def _outputs(source: Source, made: Leaf, words: Words, main: Object | None) -> None:
    """The outputs of a template: one file of the main container, or fields of the object."""
    outputs = source.get("outputs")
    if outputs is None:
        return
    outputs.lose_fields({"artifacts": _NO_ARTIFACTS, "exitCode": "it is in the message of the flow"})
    outputs.skip_fields("result", why="it is an output if somebody reads it")
    has_file = False
    for item in outputs.list_of("parameters"):
        name, origin = item.get("name"), item.get("valueFrom")
        if name is None:
            continue
        found: Object = {"name": parameter_name(name.text())}
        if origin is None:
            item.lose("it says not where its value comes from")
            continue
        path, field_path = origin.get("path"), origin.get("jsonPath")
        if path is not None and main is not None:
            if has_file:
                path.lose(
                    "one file of a pod can be read: write all values to one file as JSON, and give each output its path"
                )
                continue
            has_file = True
            main["terminationMessagePath"] = words.text(path)
            path.check("read as the termination message: at most 4 KiB, and the file must not be in a volume")
            found["from"] = {"terminationMessage": {"container": main["name"]}}
        elif field_path is not None and main is None:
            found["from"] = {"path": field_path.text().strip().strip("{}").lstrip(".")}
        else:
            origin.lose("read a field of the object with path or cel, or the termination message: docs/outputs.md")
            continue
        if (default := origin.get("default")) is not None:
            found["default"] = default.text()
        others = ("jqFilter", "supplied", "event", "expression", "parameter", "configMapKeyRef")
        origin.lose_fields(dict.fromkeys(others, "it has one source"))
        item.lose_fields({"globalName": "name the output by its flow: {{flows.NAME.outputs.X}}"})
        item.skip_fields("description", "enum", "value", why="for people")
        made.outputs.append(found)
