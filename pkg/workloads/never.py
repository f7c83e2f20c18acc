"""Faults of flows that wait for something, or read something, that the kind of another flow's job never has.

Without them such a flow would wait for ever: nobody but a person can tell that no pod will come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.edges import Wait
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.output_faults import given_forms, source_faults, template_of
from pkg.apis.flow.v1alpha1.raw import ABSENT, RawError
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.template_use import place_of
from pkg.apis.flow.v1alpha1.types import Action, Flow, OutputSource, WorkTemplateSpec
from pkg.workloads.model import KindRow, Never, RuleError
from pkg.workloads.output_paths import parse
from pkg.workloads.paths import PathError
from pkg.workloads.registry import rules_for
from pkg.workloads.value_expressions import compile_value

_OF_PODS: Final = frozenset({Wait.HTTP, Wait.TCP, Wait.POD_IP})


def never_faults(reading: Reading) -> Iterator[Fault]:
    """The faults of a workflow with the templates that are known. What cannot be decoded is passed over."""
    without = {name: why for name, of in reading.templates.items() if (why := _without_pods(of.spec))}
    flows = {flow.name: flow for flow in reading.spec.flows} if without else {}
    for at, flow in enumerate(reading.spec.flows):
        path = f"spec.flows[{at}]"
        try:
            if flow.raw_outputs is not ABSENT and (of := reading.templates.get(flow.template_name)) is not None:
                # Of a Secret, and of what is deleted, nothing is read at all.
                yield from tuple(source_faults(flow, of.spec, path)) or _outputs(flow, of.spec, path)
            if without:
                yield from _waits(reading, flow, path, flows, without)
        except RawError:
            continue  # a fault of the flow or of its template


def _without_pods(spec: WorkTemplateSpec) -> str:
    """Why a flow of a template has no pods; empty if it may have some."""
    if spec.action is Action.DELETE:
        return "deletes an object, so it has no pods"
    row = rules_for(spec.gvr.gvr)
    verb = "applies" if spec.action is Action.APPLY else "makes"
    if Never.PODS in row.never:
        return f"{verb} {_one(row)}, which has no pods"
    if Never.OWN_PODS in row.never and spec.action is Action.CREATE:
        return f"makes {_one(row)}, which has no pods of its own"
    return ""


def _one(row: KindRow) -> str:
    return f"{'an' if row.kind[0] in 'AEIO' else 'a'} {row.kind}"


def _waits(
    reading: Reading, flow: Flow, path: str, flows: Mapping[str, Flow], without: Mapping[str, str]
) -> Iterator[Fault]:
    """Addresses and probes of pods that never come."""
    found = [(edge, f"{path}.{edge.path}") for edge in reading.mentions(flow)]
    of_template = f"{path} (template {flow.template_name})"
    found += [(edge, place_of(edge, path, of_template)) for edge in reading.use.edges(flow)]
    for edge, place in found:
        asked = flows.get(edge.flow)
        if edge.wait not in _OF_PODS or asked is None or asked.approval is not None:
            continue
        if why := without.get(asked.template_name):
            message = f'flow "{asked.name}" {why}; name it in targets, or name the flow whose pods are meant'
            yield fault(place, message, asked.name)


def _outputs(flow: Flow, spec: WorkTemplateSpec, path: str) -> Iterator[Fault]:
    """Outputs that are read from what objects of the kind do not have."""
    row = rules_for(spec.gvr.gvr)
    for at, output in enumerate(flow.outputs):
        if len(given_forms(output.from_)) == 1 and (found := _missing(output.from_, row)):
            field, what = found
            kind = _one(row) if row.resource else str(spec.gvr.gvr)
            yield fault(f"{path}.outputs[{at}].from.{field}", f"{template_of(flow)} makes {kind}, {what}")


def _missing(source: OutputSource, row: KindRow) -> tuple[str, str] | None:
    """The field of a source that reads what the kind does not have, and what that is; None if it may be there."""
    if source.termination_message is not None:
        if not {Never.PODS, Never.OWN_PODS}.isdisjoint(row.never):
            return "terminationMessage", "which has no pods, and so no termination message"
        if source.termination_message.role and not row.pods.role:
            return "terminationMessage.role", "whose pods have no roles that are known; leave role out"
        return None
    field = "path" if source.path else "cel"
    roots = _roots(source)
    found = next((never for never in (Never.STATUS, Never.SPEC) if never in row.never and never.value in roots), None)
    return (field, f"which has no {found}; read metadata, such as metadata.name") if found else None


def _roots(source: OutputSource) -> frozenset[str]:
    """The fields of the object in which the source reads; empty if it cannot be compiled, which is another fault."""
    try:
        if source.path:
            return frozenset(step for step in parse(source.path)[:1] if isinstance(step, str))
        return compile_value(source.cel).roots
    except (PathError, RuleError):
        return frozenset()
