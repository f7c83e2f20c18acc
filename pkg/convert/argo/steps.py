"""One task or step that was expanded: its flows, how others wait for it, and what it hands out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pkg.convert.argo.leaves import Leaf
from pkg.convert.conditions import (
    ALL_FAILED,
    ANY_SUCCEEDED,
    FAILED,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    CannotSay,
    Condition,
    ask,
    both,
    either,
    not_in,
)
from pkg.convert.result import Object
from pkg.convert.source import Source, object_in, objects_in, text_of
from pkg.convert.text import Unknown

#: What the states of Argo are here.
STATES: Final = {
    "Succeeded": (SUCCEEDED,),
    "Failed": (FAILED,),
    "Errored": (FAILED,),
    "Skipped": (SKIPPED,),
    "Omitted": (SKIPPED,),
    "Daemoned": (RUNNING,),
    "AnySucceeded": (ANY_SUCCEEDED,),
    "AllFailed": (ALL_FAILED,),
}


@dataclass(slots=True)
class Step:
    """One task of a DAG, or a step. flows: all of it; ends: those that come last; optional: it may be skipped by when.

    needs: steps that it waits for, by name; outputs: of a nested template, as our text.
    """

    name: str
    flows: list[Object] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    optional: bool = False
    needs: list[str] = field(default_factory=list)
    leaf: Leaf | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    #: Of a nested template: the names of its inputs, and those that its tasks use.
    inputs: tuple[frozenset[str], frozenset[str]] | None = None


def judge_arguments(task: Source, step: Step) -> None:
    """Accounts for the arguments that the template does not take, or that no task in it uses."""
    arguments = task.get("arguments")
    for item in [] if arguments is None else arguments.list_of("parameters"):
        name = item.peek_text("name")
        if step.inputs is not None:
            item.skip_fields("name", why="put in where tasks use it")
            if name in step.inputs[0] and name not in step.inputs[1]:
                item.skip("no task of the template uses it")
            elif name not in step.inputs[0]:
                item.lose("the template has no input of this name")
        elif step.leaf is None or (step.leaf.spec is not None and name not in step.leaf.inputs):
            item.lose("the template has no input of this name")


def skip_unused(source: Source, values: Iterable[str]) -> None:
    """Accounts for the parts of items that nobody uses. values: those that the rounds of a loop hand in."""
    text = " ".join(values)
    for item in source.items():
        for part in item.fields():
            if f"{{{{item.{part.key}}}}}" not in text and "{{item}}" not in text:
                part.skip("no task uses it")
        if not item.is_object and "{{item}}" not in text:
            item.skip("no task uses it")


def input_names(source: Source) -> list[str]:
    """The names of the inputs of a template."""
    return [text_of(item.get("name")) for item in objects_in(object_in(source.raw().get("inputs")).get("parameters"))]


def condition_of(step: Step, states: tuple[str, ...], negated: bool) -> Condition:
    """Every end of a step succeeded; one of its flows failed; and so on. Raises CannotSay."""
    state = states[0]
    flows = [flow["name"] for flow in step.flows] if state in (FAILED, RUNNING) else step.ends
    if not flows:
        raise CannotSay(f"{step.name} has become no flow")
    asked = [not_in(flow, state) if negated else ask(flow, *states) for flow in flows]
    is_any = (state == FAILED) != negated
    return either(*asked) if is_any else both(*asked)


def output_of(step: Step, what: str) -> str | Unknown:
    """What `tasks.STEP.WHAT` is: an output, or the address of its pod."""
    if len(step.flows) != 1 or step.leaf is None:
        name = what.removeprefix("outputs.parameters.")
        return step.outputs.get(name, Unknown(f"{step.name} is a DAG or steps without this output"))
    flow = step.flows[0]["name"]
    if what == "ip":
        return f"{{{{flows.{flow}.podIP}}}}"
    if what == "outputs.result":
        problem = step.leaf.need_result()
        return Unknown(problem) if problem else f"{{{{flows.{flow}.outputs.result}}}}"
    if what.startswith("outputs.parameters."):
        name = what.removeprefix("outputs.parameters.")
        if any(output["name"] == name for output in step.leaf.outputs):
            return f"{{{{flows.{flow}.outputs.{name}}}}}"
        return Unknown(f"{step.name} has no output {name} here")
    if what == "status":
        return Unknown("wait for a phase of the flow, or use flows.NAME.phase in when")
    return Unknown("artifacts, exit codes and ids of tasks are not there")


def closure(name: str, done: Mapping[str, Step]) -> list[str]:
    """A step, and while steps may be skipped, what they wait for."""
    found = [name]
    for step in found:
        if done[step].optional:
            found += [need for need in done[step].needs if need not in found]
    return found


def named(task: Source, tasks: Mapping[str, Source]) -> list[str]:
    """The tasks that this one names in dependencies, depends or a variable."""
    text = json.dumps(task.peek())
    listed = [item.word() for item in task.list_of("dependencies")]
    words = task.peek_text("depends").replace("(", " ").replace(")", " ").replace("!", " ").replace("&", " ")
    listed += [word.split(".")[0] for word in words.replace("|", " ").split()]
    return [name for name in tasks if name in listed or f"tasks.{name}." in text]


def input_defaults(source: Source) -> dict[str, str]:
    """The values that the inputs of a template have by themselves."""
    found = {}
    for item in objects_in(object_in(source.raw().get("inputs")).get("parameters")):
        value = item.get("value", item.get("default"))
        if value is not None:
            found[text_of(item.get("name"))] = text_of(value)
    return found


def with_item(value: str, item: Mapping[str, str] | None) -> str:
    """A value in one round of a loop that is unrolled."""
    for name, text in (item or {}).items():
        value = value.replace(f"{{{{{name}}}}}", text)
    return value
