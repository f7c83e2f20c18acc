"""A Task: its steps run one after the other in one pod, as init containers and the container `main`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from pkg.convert.names import label, parameter_name
from pkg.convert.result import Object, job_template
from pkg.convert.scripts import by_shebang, script_command
from pkg.convert.source import Source, object_in, text_of
from pkg.convert.tekton.variables import task_words
from pkg.convert.text import Words, escaped

_RESULTS: Final = "/tekton/results"
_WORKSPACE: Final = "/workspace"
_TYPES: Final = ("string", "array", "object")
_LOST_IN_STEP: Final = {
    "onError": "a step whose failure does not count: end its script with `|| true`",
    "timeout": "timeout of the flow bounds the whole pod",
    "stdoutConfig": "redirect the output in the script",
    "stderrConfig": "redirect the output in the script",
    "results": "results of steps are not there: a file in /workspace serves all steps",
    "when": "conditions of steps are not there: write it in the script",
    "ref": "StepActions are not there: write the step itself",
    "params": "parameters of StepActions are not there: write the step itself",
    "workspaces": "every step sees the workspaces of the Task",
}


@dataclass(slots=True)
class Task:
    """What a flow of a Task needs. spec: of its WorkTemplate; params: names of its parameters here, by those of Tekton;
    kinds: of lists and objects; workspaces: volume by name of the workspace; results: those that can be read.
    """

    template: str
    spec: Object | None = None
    params: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    workspaces: dict[str, str] = field(default_factory=dict)
    outputs: list[Object] = field(default_factory=list)


def task(spec: Source, name: str, template: str) -> Task:
    """A Task as a WorkTemplate. spec: of the Task; name: of the Task, template: of the WorkTemplate."""
    made = Task(template)
    parameters = read_params(spec, made)
    paths: dict[str, str] = {"workspace.path": _WORKSPACE}
    volumes: list[Object] = [{"name": "tekton-workspace", "emptyDir": {}}]
    mounts: list[Object] = [{"name": "tekton-workspace", "mountPath": _WORKSPACE}]
    _workspaces(spec, made, paths, volumes, mounts)
    results = spec.list_of("results")
    names = [item.peek_text("name") for item in results]
    paths.update({f"results.{result}.path": f"{_RESULTS}/{result}" for result in names})
    words = task_words(made.params, paths, name)
    steps = _steps(spec, words, mounts)
    if not steps:
        spec.lose("it has no steps")
        return made
    if results:
        _results(results, made, steps, volumes)
    spec.skip_fields("description", "displayName", why="for people")
    spec.lose_fields({"resources": "PipelineResources are not there", "managedBy": "Tekton's own"})
    volumes.extend(words.copy(volume) for volume in spec.list_of("volumes"))
    pod: Object = {}
    init = [{**words.copy(item), "restartPolicy": "Always"} for item in _sidecars(spec) if item.is_object]
    if init or steps[:-1]:
        pod["initContainers"] = [*init, *steps[:-1]]
    pod["containers"] = [steps[-1]]
    pod["volumes"] = volumes
    made.spec = job_template(pod, parameters)
    return made


def _sidecars(spec: Source) -> list[Source]:
    found = spec.list_of("sidecars")
    for item in found:
        item.lose_fields({"script": "write it as command", "workspaces": "name the volumeMounts"})
    return found


def read_params(spec: Source, made: Task) -> list[Object]:
    """The parameters of a Task. Each key of an object and each item of a list with a default becomes one."""
    found: list[Object] = []

    def add(theirs: str, value: Any) -> None:
        ours = parameter_name(theirs)
        made.params[theirs] = ours
        found.append({"name": ours, **({} if value is None else {"value": escaped(text_of(value))})})

    for item in spec.list_of("params"):
        name = item.get("name")
        if name is None:
            continue
        default = item.get("default")
        kind = item.peek_text("type")
        if kind not in _TYPES:
            kind = _kind_of(default)
        elif (given := item.get("type")) is not None:
            given.skip("the values show it")
        made.kinds[name.text()] = kind
        properties = item.get("properties")
        if kind == "object":
            values = object_in(None if default is None else default.plain())
            keys = dict.fromkeys([*object_in(None if properties is None else properties.peek()), *values])
            if properties is not None:
                properties.skip("each key becomes a parameter")
            for key in keys:
                add(f"{name.text()}.{key}", values.get(key))
        elif kind == "array":
            values = default.plain() if default is not None and default.is_list else []
            for at, value in enumerate(values):
                add(f"{name.text()}.{at}", value)
            name.check(f"a list becomes one parameter per item: {name.text()}.0 and so on, as many as the default has")
        else:
            add(name.text(), None if default is None else default.plain())
        item.skip_fields("description", "enum", why="for people")
    return found


def _kind_of(default: Source | None) -> str:
    if default is None:
        return "string"
    return "array" if default.is_list else "object" if default.is_object else "string"


def _workspaces(spec: Source, made: Task, paths: dict[str, str], volumes: list[Object], mounts: list[Object]) -> None:
    for item in spec.list_of("workspaces"):
        name = item.get("name")
        if name is None:
            continue
        where = item.get("mountPath")
        path = f"{_WORKSPACE}/{name.text()}" if where is None else where.text()
        volume = label(f"workspace-{name.text()}")
        made.workspaces[name.text()] = volume
        paths[f"workspaces.{name.text()}.path"] = path
        paths[f"workspaces.{name.text()}.bound"] = "true"
        volumes.append({"name": volume, "emptyDir": {}})
        mount: Object = {"name": volume, "mountPath": path}
        read_only = item.get("readOnly")
        if read_only is not None and isinstance(read_only.peek(), bool):
            mount["readOnly"] = read_only.plain()
        elif read_only is not None:
            read_only.lose("readOnly is true or false")
        mounts.append(mount)
        item.skip_fields("description", why="for people")
        if (optional := item.get("optional")) is not None:
            optional.skip("a workspace that nobody binds is an empty folder")


def _steps(spec: Source, words: Words, mounts: list[Object]) -> list[Object]:
    """Containers in the order of the steps, with what stepTemplate gives all of them."""
    base = spec.get("stepTemplate")
    common = {} if base is None else _container(base, words)
    if base is not None and common.pop("name", None) is not None:
        base.skip_fields("name", why="each step has a name of its own")
    found: list[Object] = []
    used: set[str] = set()
    for at, item in enumerate(spec.list_of("steps")):
        made = _merged(common, _container(item, words))
        name = label(str(made.get("name") or f"step-{at}"))
        made.pop("name", None)
        while name in used:
            name = label(f"{name}-{at}")
        used.add(name)
        made["volumeMounts"] = [*mounts, *made.get("volumeMounts", [])]
        found.append({**made, "name": name})
    return found


def _container(source: Source, words: Words) -> Object:
    found: Object = {}
    for item in source.fields():
        if item.key in _LOST_IN_STEP:
            item.lose(_LOST_IN_STEP[item.key])
        elif item.key in ("script", "displayName", "description"):
            continue
        elif item.key == "name":
            found["name"] = item.text()
        elif item.key in ("computeResources", "resources"):
            found["resources"] = words.copy(item)
        else:
            found[item.key] = words.copy(item)
    source.skip_fields("displayName", "description", why="for people")
    script = source.get("script")
    if script is None:
        return found
    if not script.word():
        script.lose("a script is a text")
        return found
    interpreter, text = by_shebang(script.word())
    command = script_command(interpreter, words.convert(text, script))
    if command is None:
        script.lose(f"{' '.join(interpreter)} takes a script only from a file: put it into the image or a ConfigMap")
        return found
    script.plain()
    arguments = found.pop("args", [])
    found["command"] = [*command, "script", *arguments] if arguments else command
    return found


def _merged(base: Object, own: Object) -> Object:
    found = {**base, **own}
    for key in ("env", "volumeMounts"):
        if key in base and key in own:
            names = {entry.get("name") for entry in own[key]}
            found[key] = [*(entry for entry in base[key] if entry.get("name") not in names), *own[key]]
    return found


def _results(results: list[Source], made: Task, steps: list[Object], volumes: list[Object]) -> None:
    """One result that the last step writes can be read. Others are files that the steps of one pod share."""
    written = [item for item in results if _writes(steps[-1], item.peek_text("name"))]
    readable = written[0] if len(written) == 1 else None
    shared = [item for item in results if item is not readable]
    for item in results:
        name = item.get("name")
        if name is None:
            continue
        if item is readable:
            steps[-1]["terminationMessagePath"] = f"{_RESULTS}/{name.text()}"
            made.outputs.append({"name": name.text(), "from": {"terminationMessage": {"container": steps[-1]["name"]}}})
        else:
            name.lose(
                "one file of the last step can be read as an output: write several values to one file as JSON, in the"
                " last step, and give each output its path"
            )
        item.skip_fields("description", "type", "properties", why="every output is text")
        item.lose_fields({"value": "results of steps are not there"})
    if shared:
        volumes.append({"name": "tekton-results", "emptyDir": {}})
        for step in steps:
            if "terminationMessagePath" not in step:
                step["volumeMounts"].append({"name": "tekton-results", "mountPath": _RESULTS})


def _writes(step: Object, name: str) -> bool:
    text = str(step.get("command", "")) + str(step.get("args", "")) + str(step.get("env", ""))
    return bool(re.search(rf"{re.escape(_RESULTS)}/{re.escape(name)}(?![A-Za-z0-9_.-])", text))
