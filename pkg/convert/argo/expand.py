"""From an entrypoint to flows: DAGs and steps are unrolled into one graph, whatever they are nested in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from pkg.convert.argo.calls import THE_WORKFLOW, Call, Place, Reference, owner_of
from pkg.convert.argo.depends import parse
from pkg.convert.argo.leaves import Leaf, describe
from pkg.convert.argo.loops import Loop, read_loop
from pkg.convert.argo.steps import (
    STATES,
    Step,
    closure,
    condition_of,
    input_defaults,
    input_names,
    judge_arguments,
    named,
    output_of,
    skip_unused,
    with_item,
)
from pkg.convert.argo.variables import task_words
from pkg.convert.argo.when import when as cel_of
from pkg.convert.conditions import (
    ALWAYS,
    SUCCEEDED,
    CannotSay,
    Condition,
    ask,
    both,
    depends_on,
)
from pkg.convert.names import Names, label, parameter_name
from pkg.convert.result import Object
from pkg.convert.source import Source
from pkg.convert.text import Unknown, Words

_MAX_DEPTH: Final = 20
_ON_TASK: Final = {
    "hooks": "use a flow that waits for the phase of this one, or a finally flow",
    "onExit": "use a flow that waits for the phase Finished of this one, or a finally flow",
}


Find = Callable[[Reference, Source | None], tuple[Source | None, Leaf | None]]


class Expansion:
    """Makes flows. find(reference, inline): the template, and its leaf if it runs something."""

    def __init__(self, find: Find, workflow_names: Mapping[str, str], names: Names) -> None:
        self._find = find
        self._workflow_names = workflow_names
        self._names = names
        self.flows: list[Object] = []
        #: The names of the WorkTemplates that flows use, and those of approvals.
        self.templates: set[str] = set()
        #: A template that calls itself; empty if there is none.
        self.recursive = ""

    def start(self, template: str, env: Mapping[str, str], where: Source, *, name: str, is_finally: bool) -> Step:
        """Expands the template that a Workflow starts with, or ends with. where: the field that names it."""
        place = Place("", ALWAYS, frozenset(), (), env, is_finally, ())
        return self._template(Call(Reference(THE_WORKFLOW, template), where, place, name, {}, Loop()))

    def _template(self, call: Call) -> Step:
        """The flows of one task."""
        found, leaf = self._find(call.template, call.inline)
        if call.template in call.place.path or len(call.place.path) > _MAX_DEPTH:
            self.recursive = self.recursive or str(call.template)
            call.where.lose(
                "a template that calls itself is not there: each task is one flow that is known before the start"
            )
            return Step(call.name)
        if leaf is None and found is not None:
            return self._nested(found, call)
        if leaf is None:
            call.where.lose(
                f"no template {call.template} is in these files: the flow waits until you make that WorkTemplate"
            )
            leaf = Leaf(label(str(call.template).replace("/", "-")), None)
        return self._leaf(leaf, call)

    def _leaf(self, leaf: Leaf, call: Call) -> Step:
        place = call.place
        self.templates.add(leaf.template)
        flow: Object = {"name": self._names.new(f"{place.prefix}{call.name}")}
        if leaf.is_approval:
            flow["approval"] = {}
        else:
            flow["template"] = leaf.template
        try:
            depends = depends_on(place.condition, place.skippable)
        except CannotSay as error:
            call.where.lose(f"dependsOn cannot say when it starts: {error}; the flow starts at once")
            depends = {}
        if depends:
            flow["dependsOn"] = depends
        if call.loop.fields:
            flow["for"] = dict(call.loop.fields)
            if leaf.is_approval:
                flow["for"].pop("parallelism", None)  # all of them wait at once
        whole = [*place.when, *call.conditions]
        if whole:
            flow["when"] = " && ".join(f"({one})" for one in whole) if len(whole) > 1 else whole[0]
        parameters = [
            {"name": leaf.inputs.get(key, parameter_name(key)), "value": value}
            for key, value in call.arguments.items()
            if key in leaf.inputs or leaf.spec is None
        ]
        if parameters and not leaf.is_approval:
            flow["parameters"] = parameters
        elif parameters:
            call.where.check("its arguments are not used: an approval makes no job")
        flow |= leaf.locks
        if leaf.retry is not None:
            flow["retry"] = leaf.retry
        if leaf.timeout:
            flow["timeout"] = leaf.timeout
        flow["outputs"] = leaf.outputs  # one list for all flows of the template: a reader may add to it
        if place.is_finally:
            flow["finally"] = True
        self.flows.append(flow)
        return Step(call.name, [flow], [flow["name"]], bool(whole), leaf=leaf)

    def _nested(self, source: Source, call: Call) -> Step:
        """The flows of all tasks of the DAG or the steps that a task calls."""
        place, name, loop = call.place, call.name, call.loop
        env = {**input_defaults(source), **(place.env if not place.path else {}), **call.arguments}
        rounds: list[tuple[str, Mapping[str, str] | None]] = [("", place.item)]
        if loop.fields:
            if loop.items is None:
                call.where.lose(
                    "a loop over a DAG or steps whose items only a run knows: use a Workflow as the job of a flow"
                )
            else:
                rounds = [(f"-{at}", item) for at, item in enumerate(loop.items)]
                if "parallelism" in loop.fields:
                    call.where.check("its rounds run at once, as far as parallelism of the Workflow allows")
        whole = Step(name, optional=bool(call.conditions) or bool(place.when))
        used: set[str] = set()
        is_top = not place.path
        for suffix, item in rounds:
            prefix = "" if is_top else f"{place.prefix}{name}{suffix}-"
            filled = {key: with_item(value, item) for key, value in env.items()}
            inner = Place(
                prefix,
                place.condition,
                place.skippable,
                (*place.when, *call.conditions),
                filled,
                place.is_finally,
                (*place.path, call.template),
                item,
                used,
                call.template.owner,
            )
            steps = self._tasks(source, inner)
            for step in steps.values():
                whole.flows += step.flows
            needed = {need for step in steps.values() for need in step.needs}
            whole.ends += [end for step in steps.values() if step.name not in needed for end in step.ends]
            whole.outputs.update(self._outputs(source, inner, steps))
        whole.inputs = frozenset(input_names(source)), frozenset(used)
        if loop.source is not None and loop.items is not None:
            skip_unused(loop.source, [value for key, value in call.arguments.items() if key in used])
        return whole

    def _tasks(self, source: Source, place: Place) -> dict[str, Step]:
        source.skip_fields("name", why="tasks call it by this name")
        inputs = source.get("inputs")
        if inputs is not None:
            for item in inputs.list_of("parameters"):
                item.skip_fields("name", "value", "default", why="put in where tasks use it")
                describe(item)
            inputs.lose_fields({"artifacts": "artifacts are not there: a volume or a bucket, by {{workflow.uid}}"})
        source.lose_fields(
            {
                "parallelism": "limit a flow with for.parallelism, or the Workflow with parallelism",
                "activeDeadlineSeconds": "timeout bounds one flow, or the whole Workflow",
                "retryStrategy": "each flow is retried by itself: write it at the templates that run something",
                "metadata": "write it at the templates that run something",
                "synchronization": "a lock is held by one flow, or by the whole Workflow: write it there",
                "memoize": "results of earlier runs are not kept",
                "metrics": "the controller's metrics are in docs/metrics.md",
            }
        )
        if (dag := source.get("dag")) is not None:
            return self._dag(dag, place)
        return self._steps(source, place)

    def _steps(self, source: Source, place: Place) -> dict[str, Step]:
        """Groups one after the other; the steps of a group run at once."""
        done: dict[str, Step] = {}
        before: list[str] = []
        for group in source.list_of("steps"):
            members = group.items() if group.is_list else [group]
            names = []
            for member in members:
                name = member.peek_text("name") or "step"
                step = self._task(member, place, done, before, None)
                done[name] = step
                names.append(name)
            before = names
        return done

    def _dag(self, source: Source, place: Place) -> dict[str, Step]:
        tasks = {task.peek_text("name"): task for task in source.list_of("tasks")}
        source.lose_fields({"target": "all tasks run; remove those that are not wanted"})
        if (fast := source.get("failFast")) is not None and isinstance(fast.peek(), bool):
            fast.check("successPolicy.remaining says for the whole Workflow what happens after a failure")
        done: dict[str, Step] = {}
        open_: list[str] = []

        def make(name: str) -> None:
            if name in done or name in open_ or name not in tasks:
                return
            open_.append(name)
            task = tasks[name]
            for other in named(task, tasks):
                make(other)
            open_.remove(name)
            needs = []
            for item in task.list_of("dependencies"):
                needs.append(item.text())
                if needs[-1] not in done:
                    item.lose("there is no task of this name that can come before")
            done[name] = self._task(task, place, done, needs, task.get("depends"))

        for name in tasks:
            make(name)
        return done

    def _task(
        self, task: Source, place: Place, done: Mapping[str, Step], needs: Iterable[str], depends: Source | None
    ) -> Step:
        name = "step" if (given := task.get("name")) is None else given.text()
        needs = [need for need in needs if need in done]
        condition, skippable = place.condition, set(place.skippable)
        if needs:
            # A step that when skipped lets go on, but not one behind a failure: ask for what it waits for, too.
            whole = list(dict.fromkeys(other for need in needs for other in closure(need, done)))
            ends = [end for other in whole for end in done[other].ends]
            condition = both(*(ask(end, SUCCEEDED) for end in ends)) if ends else place.condition
            skippable = {end for other in whole if done[other].optional for end in done[other].ends}
        if depends is not None:
            try:
                condition, needs, skippable = self._depends(depends.text(), done)
            except CannotSay as error:
                depends.lose(f"dependsOn cannot say this: {error}; the flow starts at once")
        words = self._words(place, done, task)
        loop = read_loop(task, words, place.env)
        inner_words = words if loop.variables is None else self._words(place, done, task, loop.variables)
        conditions = []
        if (when := task.get("when")) is not None:
            try:
                conditions.append(cel_of(str(when.plain()), inner_words))
            except CannotSay as error:
                when.lose(f"when cannot say this: {error}; the flow runs in any case")
        arguments = self._arguments(task, inner_words)
        inner = replace(place, condition=condition, skippable=frozenset(skippable))
        step = self._called(
            task, Call(Reference(THE_WORKFLOW, ""), task, inner, name, arguments, loop, tuple(conditions))
        )
        judge_arguments(task, step)
        step.name, step.needs, step.optional = name, list(needs), step.optional or bool(conditions)
        self._tolerate(task, step)
        task.lose_fields(_ON_TASK)
        return step

    def _called(self, task: Source, call: Call) -> Step:
        """The flows of the template that a task calls, by name, by reference or written into it."""
        owner = call.place.owner
        if (inline := task.get("inline")) is not None:
            inline.skip_fields("name", why="it stands where it is used")
            template = Reference(owner, f"{call.place.prefix}{call.name}", is_inline=True)
            return self._template(replace(call, template=template, where=inline, inline=inline))
        if (reference := task.get("templateRef")) is not None:
            template = Reference(owner_of(reference), reference.peek_text("template"))
            reference.skip_fields("name", "template", "clusterScope", why="the template is found by them")
            return self._template(replace(call, template=template, where=reference))
        called = task.get("template")
        if called is None:
            task.lose("it names no template")
            return Step(call.name)
        return self._template(replace(call, template=Reference(owner, called.text()), where=called))

    def _tolerate(self, task: Source, step: Step) -> None:
        on = task.get("continueOn")
        if on is None:
            return
        for item in on.fields():
            if item.key in ("failed", "error") and isinstance(item.peek(), bool) and item.plain():
                for flow in step.flows:
                    flow["continueOnFail"] = True
        if not on.fields():
            on.skip("empty")

    def _arguments(self, task: Source, words: Words) -> dict[str, str]:
        arguments = task.get("arguments")
        if arguments is None:
            return {}
        found: dict[str, str] = {}
        for item in arguments.list_of("parameters"):
            name, value = item.get("name"), item.get("value")
            describe(item)
            if name is not None and value is not None:
                found[name.text()] = words.text(value)
            elif name is not None:
                name.plain()
        arguments.lose_fields({"artifacts": "artifacts are not there: a volume or a bucket, by {{workflow.uid}}"})
        if not arguments.fields():
            arguments.skip("empty")
        return found

    def _words(
        self, place: Place, done: Mapping[str, Step], task: Source, item: Mapping[str, str] | None = None
    ) -> Words:
        def output(name: str, what: str) -> str | Unknown:
            step = done.get(name)
            if step is None:
                return Unknown(f"{name} is not among the tasks that this one waits for")
            return output_of(step, what)

        return task_words(self._workflow_names, place.env, output, place.item if item is None else item, place.used)

    def _depends(self, text: str, done: Mapping[str, Step]) -> tuple[Condition, list[str], set[str]]:
        needs: list[str] = []
        skippable: set[str] = set()

        def of(task: str, state: str, negated: bool) -> Condition:
            step = done.get(task)
            if step is None:
                raise CannotSay(f"there is no task {task}")
            needs.append(task)
            if state and state not in STATES:
                raise CannotSay(f"{state} is no state that we have")
            if not state:
                if negated or not step.optional:
                    return condition_of(step, (SUCCEEDED,), negated)
                whole = [done[name] for name in closure(task, done)]
                skippable.update(end for other in whole if other.optional for end in other.ends)
                return both(*(condition_of(other, (SUCCEEDED,), negated) for other in whole))
            return condition_of(step, STATES[state], negated)

        return parse(text, of), list(dict.fromkeys(needs)), skippable

    def _outputs(self, source: Source, place: Place, steps: Mapping[str, Step]) -> dict[str, str]:
        """The outputs of a DAG or of steps: those of its tasks."""
        outputs = source.get("outputs")
        if outputs is None:
            return {}
        outputs.lose_fields({"artifacts": "artifacts are not there: a volume or a bucket, by {{workflow.uid}}"})
        found: dict[str, str] = {}
        words = self._words(place, steps, source)
        for item in outputs.list_of("parameters"):
            name, origin = item.get("name"), item.get("valueFrom")
            parameter = None if origin is None else origin.get("parameter")
            if name is not None and parameter is not None:
                found[name.text()] = words.text(parameter)
            elif origin is not None:
                origin.lose("an output of several tasks is that of one of them: valueFrom.parameter")
        return found
