"""The job objects that the controller would make, by the controller's own renderer, before anything runs. Pure.

What only a run knows, the uid of the Workflow and the addresses of pods, is put in as words in angle brackets, which no
API server takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.bare import is_bare
from pkg.apis.flow.v1alpha1.faults import summary
from pkg.apis.flow.v1alpha1.inline import inline_templates
from pkg.apis.flow.v1alpha1.items import NO_ITEM, item_at
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Key, Schema, Type
from pkg.apis.flow.v1alpha1.substitution import SchemaNeeded
from pkg.apis.flow.v1alpha1.types import Action, Workflow, WorkTemplate
from pkg.apis.flow.v1alpha1.variables import OF_END, OutputOf, join, name_of
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.carried import carried_text
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph, Node, OutputPredicate, PodIPPredicate
from pkg.controllers.workflow.planner.progress import counterpart
from pkg.controllers.workflow.planner.render.render import Rendered, RenderError, render
from pkg.kinds.kind import Kind
from pkg.views.cron_manifest import is_run
from pkg.workloads import rules_for
from pkg.workloads.template_rules import compile_rules

UID: Final = "<uid of the Workflow>"
#: What generateName adds.
SUFFIX: Final = "xxxxx"
_UNKNOWN: Final = re.compile(
    r"<(?:uid of the Workflow|address of the lead pod of flow [^<>]*|output [^<>]* of flow [^<>]*"
    r"|workflow\.[a-z]+ at the end|kind of [^<>]*|scheduled time)>"
)
_MAX_PLACES: Final = 5
_RUN: Final = f"the name of a run ends with the minutes of its scheduled time, shown as {SUFFIX}xxx"
_GENERATED: Final = f"the API server adds five characters of its own to the name, shown as {SUFFIX}"


class _AllText(Schema):
    """A schema by which every place holds text."""

    def type_at(self, keys: Iterable[Key]) -> Type:
        return Type.STRING


_TEXT: Final = _AllText()


class CannotRender(Exception):
    """Nothing can be rendered: the spec can never run, or a flow or an index is asked for that it does not have."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. body: the object as JSON; empty if it cannot be rendered, and `fault` says why, or if it `deletes`.

    notes: what may be different in the cluster; is_approval: there is no job, a person decides.
    """

    flow: str
    index: int | None
    gvr: GVR
    name: str = ""
    body: bytes = b""
    fault: str = ""
    notes: tuple[str, ...] = ()
    is_approval: bool = False

    @property
    def title(self) -> str:
        """`flow train, index 2`."""
        return f"flow {self.flow}" + ("" if self.index is None else f", index {self.index}")

    @property
    def deletes(self) -> bool:
        """Whether the flow deletes the object of that name, and makes none."""
        return not (self.body or self.fault or self.is_approval)

    def tree(self) -> dict[str, Any]:
        """The object; its keys in the order in which the controller sends them."""
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found


def is_unknown(text: str) -> bool:
    """Whether a text of a rendered job holds something that only a run knows."""
    return _UNKNOWN.search(text) is not None


def jobs_of(
    workflow: Workflow,
    templates: Mapping[str, WorkTemplate],
    *,
    flows: Iterable[str] = (),
    indexes: Iterable[int] = (),
    attempt: int = 0,
    kinds: Mapping[GVR, Kind] | None = None,
    values: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Job]:
    """The jobs of a valid Workflow in the order of its flows and indexes; of all of them if none is named.

    indexes: those alone; flows without indexes are left out then.

    templates: by name; flows whose template is missing yield a fault. kinds: what the cluster says of kinds; without it
    only the controller's own table of kinds is known. values: of variables that only a run knows, by name, such as
    `flows.train.outputs.accuracy`. Raises CannotRender, before the first job.
    """
    named = _named(workflow)
    templates = {**templates, **inline_templates(named.metadata, named.spec)}
    graph = compile_spec(named.spec, templates, metadata=named.metadata)
    if not isinstance(graph, Graph):
        raise CannotRender(f"the spec can never run: {summary(graph)}")
    if any(node.items_from is not None for node in graph.nodes):
        named = _with_items(named, graph, values)
        compiled = compile_spec(named.spec, templates, metadata=named.metadata)
        if not isinstance(compiled, Graph):
            raise CannotRender(f"with these items the spec can never run: {summary(compiled)}")
        graph = compiled
    nodes = _wanted(graph, tuple(flows))
    wanted = tuple(indexes)
    if wanted:
        nodes = tuple(node for node in nodes if node.is_indexed or node.items_from is not None)
        if not nodes:
            raise CannotRender("no flow that is asked for has indexes: those with `for` have")
    largest = max((node.size for node in nodes), default=0)
    for index in wanted:
        if index >= largest:
            raise CannotRender(f"no flow that is asked for has an index {index}; the highest is {largest - 1}")
    notes: tuple[str, ...] = () if workflow.metadata.name else (_RUN if is_run(workflow) else _GENERATED,)
    making = _Making(named, graph, templates, kinds or {}, attempt, values, notes)
    return making.jobs(nodes, wanted)


def _named(workflow: Workflow) -> Workflow:
    meta = workflow.metadata
    name = meta.name or f"{meta.generate_name}{SUFFIX}{'xxx' if is_run(workflow) else ''}"
    metadata = msgspec.structs.replace(meta, name=name, namespace=meta.namespace or "default", uid=UID)
    return msgspec.structs.replace(workflow, metadata=metadata)


def _wanted(graph: Graph, flows: tuple[str, ...]) -> tuple[Node, ...]:
    for name in flows:
        if name not in graph.by_name:
            listed = ", ".join(node.name for node in graph.nodes[:20])
            more = " ..." if len(graph.nodes) > 20 else ""
            raise CannotRender(f'no flow is named "{name}"; there are {listed}{more}')
    return tuple(node for node in graph.nodes if not flows or node.name in flows)


@dataclass(frozen=True, slots=True)
class _Making:
    """What all jobs of one workflow are rendered with."""

    workflow: Workflow
    graph: Graph
    templates: Mapping[str, WorkTemplate]
    kinds: Mapping[GVR, Kind]
    attempt: int
    values: Mapping[str, str]
    notes: tuple[str, ...]

    def jobs(self, nodes: Iterable[Node], indexes: tuple[int, ...]) -> Iterator[Job]:
        for node in nodes:
            if node.is_empty:
                continue
            if node.is_approval:
                yield Job(node.name, None, GVR(), is_approval=True)
                continue
            if node.items_from is not None:
                variable = _variable(self.graph, node.items_from)
                fault = f'only a run knows its items; --set {variable}=\'["a", "b"]\' gives them'
                yield Job(node.name, None, GVR(), fault=fault)
                continue
            template = self.templates.get(node.flow.template_name)
            if template is None:
                yield Job(node.name, None, GVR(), fault=f"WorkTemplate {node.flow.template_name} is missing")
                continue
            for index in indexes or range(node.size):
                if index < node.size:
                    yield self._job(node, index, template)

    def _job(self, node: Node, index: int, template: WorkTemplate) -> Job:
        gvr = template.spec.gvr.gvr
        row = rules_for(gvr)
        kind = self.kinds.get(gvr) or Kind(
            row.kind if row.resource else f"<kind of {gvr}>", row, schema=None, has_spec=not is_bare(gvr)
        )
        compiled = compile_rules(template) if template.spec.has_status_rules else None
        is_ours = template.spec.action is Action.CREATE
        needs_whole = compiled is not None and compiled.needs_whole
        carries = carried_text(template.spec, needs_whole=needs_whole) if is_ours else ""
        shown = index if node.is_indexed else None
        notes = list(self.notes)
        if template.spec.action is Action.APPLY:
            notes.append("applied by the server, and left in the cluster after the run")
        if node.flow.start_delay:
            notes.append(f"made {node.flow.start_delay} after its dependencies are met")
        if locks := self.graph.locks or node.locks:
            owner = "the workflow" if self.graph.locks else "its task"
            notes.append(f"made once {owner} holds {', '.join(map(str, locks))}")
        if node.flow.when:
            notes.append(f"made only if this is true: {' '.join(node.flow.when.split())}")

        def made(schema: Schema | None) -> Rendered:
            return render(
                self.workflow,
                node.flow,
                template,
                index=index,
                attempt=self.attempt,
                pod_ips=self._addresses(node, index),
                item=item,
                kind=kind.kind,
                row=kind.row,
                schema=schema,
                probed=node.is_probed,
                carries=carries,
                outputs=self._outputs(node, index),
                has_spec=kind.has_spec,
            )

        try:
            item = item_at(node.flow.for_, index) if node.flow.for_ is not None else NO_ITEM
            try:
                found = made(kind.schema)
            except SchemaNeeded:
                found = made(NO_SCHEMA)
                notes += _by_convention(found.body, made(_TEXT).body)
        except (RawError, RenderError) as error:
            given = " (--set gives such a value)" if self._outputs(node, index).keys() - self.values.keys() else ""
            return Job(node.name, shown, gvr, fault=f"{error}{given}")
        notes += [f"{field} is removed: jobRetainPolicy cleans up" for field in found.removed_ttl_fields]
        return Job(node.name, shown, gvr, found.name, found.body, notes=tuple(notes))

    def _addresses(self, node: Node, index: int) -> dict[str, str]:
        """Words for the addresses that the job is rendered with, by flow."""
        found = {}
        for predicate in node.predicates():
            if isinstance(predicate, PodIPPredicate):
                asked = self.graph.nodes[predicate.flow]
                of = f", index {counterpart(asked, index).index}" if asked.is_indexed else ""
                words = f"<address of the lead pod of flow {asked.name}{of}>"
                found[asked.name] = self.values.get(f"flows.{asked.name}.podIP", words)
        return found

    def _outputs(self, node: Node, index: int) -> dict[str, str]:
        """Words for the outputs that the job is rendered with, by variable."""
        found = {}
        if node.reads_end:
            found = {name: self.values.get(name, f"<{name} at the end>") for name in OF_END}
        for asked in node.reads:
            flow = self.graph.nodes[asked.flow]
            variable = _variable(self.graph, asked)
            of = f", index {asked.index_for(index)}" if asked.pick else ""
            found[variable] = self.values.get(variable, f"<output {asked.output} of flow {flow.name}{of}>")
        return found


def _variable(graph: Graph, asked: OutputPredicate) -> str:
    """`flows.list.outputs.files`."""
    return name_of(OutputOf(graph.nodes[asked.flow].name, asked.output, asked.pick))


def _with_items(workflow: Workflow, graph: Graph, values: Mapping[str, str]) -> Workflow:
    """The workflow with items in place of `itemsFrom`, where the values give them. Raises CannotRender."""
    flows = list(workflow.spec.flows)
    for node in graph.nodes:
        given = None if node.items_from is None else values.get(_variable(graph, node.items_from))
        if given is None or node.flow.for_ is None:
            continue
        try:
            items = msgspec.json.decode(given, type=tuple[msgspec.Raw, ...])
        except msgspec.DecodeError as error:
            raise CannotRender(f"the items of flow {node.name} must be a JSON list: {error}") from error
        loop = msgspec.structs.replace(node.flow.for_, items=items, items_from="", replicas=None)
        flows[node.number] = msgspec.structs.replace(node.flow, for_=loop)
    return msgspec.structs.replace(workflow, spec=msgspec.structs.replace(workflow.spec, flows=tuple(flows)))


def _by_convention(found: bytes, as_text: bytes) -> Iterator[str]:
    """A note if the same job has other types by another schema: it names the fields."""
    if not found:
        return
    places = list(_differences(msgspec.json.decode(found), msgspec.json.decode(as_text), ""))
    if places:
        more = f" and {len(places) - _MAX_PLACES} more" if len(places) > _MAX_PLACES else ""
        listed = ", ".join(places[:_MAX_PLACES])
        yield f"text in the cluster if the schema that it serves says so (--server asks it): {listed}{more}"


def _differences(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one:
            yield from _differences(one[key], other.get(key), join(path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, f"{path}[{at}]")
    elif type(one) is not type(other) or one != other:
        yield path
