"""Finds the faults that a Workflow or WorkTemplate shows by itself, beyond what the schema of the CRD refuses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import approvals, durations, patching, variables
from pkg.apis.flow.v1alpha1.edges import Edge, Wait, cycles
from pkg.apis.flow.v1alpha1.end_use import end_faults
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.items import item_faults
from pkg.apis.flow.v1alpha1.lock_faults import level_faults, lock_faults
from pkg.apis.flow.v1alpha1.object_faults import index_faults, object_faults
from pkg.apis.flow.v1alpha1.output_faults import output_faults, output_use_faults, own_wait
from pkg.apis.flow.v1alpha1.parameters import FLOW, TEMPLATE, WORKFLOW, Scopes, given, missing_message
from pkg.apis.flow.v1alpha1.raw import ABSENT, RawError
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import (
    MAX_TASKS,
    DependsOn,
    Flow,
    HTTPGet,
    Parameter,
    PolicyType,
    Probe,
    WorkflowSpec,
    WorkTemplateSpec,
)

# Go keeps a duration as nanoseconds in 64 bits: about 292 years.
_MAX_SECONDS: Final = 2**63 / 1e9
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_GVR_PARTS: Final = {
    "version": re.compile(rf"{_LABEL}\Z"),
    "resource": re.compile(rf"{_LABEL}\Z"),
    "group": re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*)?\Z"),
}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# A suggestion compares a name with the name of every flow, so it is made only for a few faults and in small workflows.
_SUGGEST_AMONG: Final = 200
_MAX_SUGGESTIONS: Final = 3
_SHOWN_OF_CYCLE: Final = 12


class FlowNames:
    """The flows by name, and which of them are `finally`."""

    def __init__(self, spec: WorkflowSpec) -> None:
        self.spec = spec
        self.first: dict[str, int] = {}
        for at, flow in enumerate(spec.flows):
            self.first.setdefault(flow.name, at)
        self.finally_ = {flow.name for flow in spec.flows if flow.finally_}
        #: Those that others may wait for.
        self.usual = self.first.keys() - self.finally_
        self.suggestions = 0
        """How many similar names were looked for."""

    def unknown(self, name: str, asker: str = "") -> str:
        """The message for a name that no flow has, with a similar name if there is one and few were looked for.

        asker: the flow that gives the name, which does not mean itself.
        """
        text = f'no flow is named "{variables.cut(name)}"'
        near: list[str] = []
        if self.suggestions < _MAX_SUGGESTIONS and len(self.first) <= _SUGGEST_AMONG:
            self.suggestions += 1
            near = difflib.get_close_matches(name[:64], self.first.keys() - {asker}, n=1)
        return f'{text}; did you mean "{near[0]}"?' if near else f"{text}; name one of spec.flows"


class Waits:
    """Which flow waits for which, by name, in the order of the spec."""

    def __init__(self, names: FlowNames) -> None:
        self._names = names
        self._waits: dict[str, dict[str, None]] = {name: {} for name in names.first}

    def add(self, flow: Flow, edges: Iterable[Edge]) -> None:
        """Adds the edges of a flow. A flow that waits for itself is another fault, and is left out here."""
        own = flow.name
        self._waits[own].update(dict.fromkeys([edge.flow for edge in edges if edge.flow != own]))

    def cycles(self) -> Iterator[Fault]:
        """A fault for each set of flows that wait for each other."""
        for cycle in cycles(self._waits):
            shown = [*cycle, cycle[0]]
            if len(shown) > _SHOWN_OF_CYCLE:
                shown = [*shown[: _SHOWN_OF_CYCLE - 2], f"... {len(shown) - _SHOWN_OF_CYCLE + 1} more ...", shown[-1]]
            text = " -> ".join(shown)
            message = f"these flows wait for each other in a circle: {text}; remove one of the dependencies"
            yield fault(f"spec.flows[{self._names.first[cycle[0]]}]", message, text)


def workflow_faults(reading: Reading, *, with_restart: bool, with_patches: bool) -> Iterator[Fault]:
    """Every fault of a workflow by itself; those of spec.restart, and of patches and values, only if asked for."""
    spec = reading.spec
    names = FlowNames(spec)
    yield from _workflow(spec, names)
    if with_patches:
        yield from _values(spec, "spec", names, WORKFLOW)
    if with_restart:
        yield from restart_faults(spec, names)
    waits = Waits(names)
    for at, flow in enumerate(spec.flows):
        path = f"spec.flows[{at}]"
        try:
            edges = reading.mentions(flow)
        except RawError:
            edges = ()  # a fault of the field that cannot be decoded
            yield from _flow(flow, path, is_read=False)
        else:
            if not _is_bare(flow):
                yield from _flow(flow, path, is_read=True)
        if with_patches and flow.raw_patch is not ABSENT:
            yield from _patch(flow, f"{path}.patch")
        if with_patches and flow.raw_parameters is not ABSENT:
            yield from _values(flow, path, names, FLOW)
        if not flow.finally_ and (flow.when or flow.raw_patch is not ABSENT or flow.raw_parameters is not ABSENT):
            yield from end_faults(flow, path)
        if flow.template_spec is not None:
            yield from _inline(flow, flow.template_spec, path, with_template=with_patches)
        for edge in edges:
            is_plain = edge.wait is Wait.TARGET and edge.flow in names.usual and edge.flow != flow.name
            if not is_plain or flow.finally_:
                yield from edge_faults(flow, edge, f"{path}.{edge.path}", names)
        waits.add(flow, edges)
    yield from waits.cycles()


def restart_faults(spec: WorkflowSpec, names: FlowNames | None = None) -> Iterator[Fault]:
    """Names of flows that a restart names and that do not exist."""
    if spec.restart is None or not spec.restart.flows:
        return
    names = names or FlowNames(spec)
    for at, name in enumerate(spec.restart.flows):
        if name not in names.first:
            yield fault(f"spec.restart.flows[{at}]", names.unknown(name), name)


def timeout_faults(spec: WorkflowSpec) -> Iterator[Fault]:
    """A timeout of the workflow that is no duration."""
    yield from _duration(spec.timeout, "spec.timeout")


def _workflow(spec: WorkflowSpec, names: FlowNames) -> Iterator[Fault]:
    yield from _parameters(spec, "spec")
    try:
        _ = spec.plugins
    except RawError as error:
        yield Fault("spec.plugins", str(error))
    yield from timeout_faults(spec)
    yield from lock_faults(spec, "spec")
    yield from level_faults(spec)
    for at, flow in enumerate(spec.flows):
        first = names.first[flow.name]
        if first != at:
            message = f'the name "{flow.name}" is taken by spec.flows[{first}]; each flow needs its own'
            yield fault(f"spec.flows[{at}].name", message, flow.name)
    total = sum(max(flow.replicas, 1) for flow in spec.flows)
    if total > MAX_TASKS:
        message = (
            f"{total:,} tasks in all; at most {MAX_TASKS:,} are allowed: lower for.replicas, or list fewer for.items"
        )
        yield fault("spec.flows", message, total)
    if spec.flows and all(flow.finally_ for flow in spec.flows):
        yield fault("spec.flows", "every flow has finally: true; at least one must not")
    yield from _policy(spec, names)


def _policy(spec: WorkflowSpec, names: FlowNames) -> Iterator[Fault]:
    policy = spec.success_policy
    if policy.type is PolicyType.CRITICAL and not policy.critical_flows:
        yield fault("spec.successPolicy.criticalFlows", "successPolicy Critical needs at least one flow here", [])
    for at, name in enumerate(policy.critical_flows):
        path = f"spec.successPolicy.criticalFlows[{at}]"
        if name not in names.first:
            yield fault(path, names.unknown(name), name)
        elif name in names.finally_:
            yield fault(path, f'"{name}" is a finally flow, which cannot be critical', name)


def _flow(flow: Flow, path: str, *, is_read: bool) -> Iterator[Fault]:
    """The faults of a flow but for the names of other flows. is_read: its dependencies can be decoded."""
    if flow.raw_parameters is not ABSENT:
        yield from _parameters(flow, path)
    yield from output_faults(flow, path)
    yield from lock_faults(flow, path)
    yield from approvals.approval_faults(flow, path)
    if flow.timeout is not None or flow.pending_timeout is not None:
        yield from _duration(flow.timeout, f"{path}.timeout")
        yield from _duration(flow.pending_timeout, f"{path}.pendingTimeout")
    yield from _duration(flow.start_delay, f"{path}.startDelay")
    if flow.for_ is not None:
        yield from item_faults(flow.for_, f"{path}.for")
    if flow.retry is not None:
        yield from _duration(flow.retry.interval, f"{path}.retry.interval")
        yield from _duration(flow.retry.max_interval, f"{path}.retry.maxInterval")
    for owner, place in ((flow, f"{path}.dependsOn"), (flow.for_, f"{path}.for.dependsOn")):
        if owner is None or (is_read and not _has_more_than_targets(owner.raw_depends_on)):
            continue
        try:
            on = owner.depends_on
        except RawError as error:
            yield Fault(place, str(error))
        else:
            yield from _depends_on(on, place)


def _is_bare(flow: Flow) -> bool:
    """Whether a flow whose dependencies can be decoded has nothing else that may be wrong. Most flows are so."""
    return (
        flow.raw_parameters is ABSENT
        and flow.retry is None
        and flow.timeout is None
        and flow.pending_timeout is None
        and flow.start_delay is None
        and flow.for_ is None
        and flow.template_spec is None
        and flow.approval is None
        and flow.raw_outputs is ABSENT
        and not flow.mutexes
        and not flow.semaphores
        and not _has_more_than_targets(flow.raw_depends_on)
    )


def _has_more_than_targets(on: msgspec.Raw) -> bool:
    """Whether there may be probes or groups. Most dependencies have none, and need not be decoded again."""
    text = bytes(on)
    return b'"probe"' in text or b'"orGroups"' in text or b"\\u" in text


def _patch(flow: Flow, path: str) -> Iterator[Fault]:
    try:
        patch = flow.patch
    except RawError as error:
        yield Fault(path, str(error))
        return
    for wrong in patching.faults(patch):
        yield fault(f"{path}{wrong.place}", wrong.message, wrong.value)
    if variables.may_hold(flow.raw_patch):
        yield from _unknown_variables(patch, path, has_items=flow.has_items)


def edge_faults(flow: Flow, edge: Edge, path: str, names: FlowNames) -> Iterator[Fault]:
    """What is wrong with the mention of another flow."""
    name = edge.flow
    if name == flow.name:
        if not edge.own_index:
            yield fault(path, own_wait(edge), name)
    elif name not in names.first:
        yield fault(path, names.unknown(name, flow.name), name)
    elif name in names.finally_ and not flow.finally_:
        yield fault(path, f'"{name}" is a finally flow, and only finally flows can wait for it', name)
    else:
        asked = names.spec.flows[names.first[name]]
        if edge.output:
            yield from output_use_faults(flow, edge, path, asked)
        if (wrong := approvals.wait_fault(edge, path, asked)) is not None:
            yield wrong
    if flow.finally_ and edge.wait in (Wait.HTTP, Wait.TCP):
        message = "a finally flow can depend on targets and taskStatusList only: a flow that it would probe has ended"
        yield fault(path, message, name)


def _depends_on(on: DependsOn | None, path: str) -> Iterator[Fault]:
    if on is None:
        return
    yield from _probe(on.probe, f"{path}.probe")
    for at, group in enumerate(on.or_groups):
        if not group.targets and (group.probe is None or group.probe.is_empty):
            yield fault(f"{path}.orGroups[{at}]", "an empty group; give it targets or a probe, or remove it", {})
        yield from _probe(group.probe, f"{path}.orGroups[{at}].probe")


def _probe(probe: Probe | None, path: str) -> Iterator[Fault]:
    if probe is None:
        return
    yield from _duration(probe.fail_after, f"{path}.failAfter")
    for at, http in enumerate(probe.http_get_list):
        yield from _http(http, f"{path}.httpGetList[{at}]")


def _http(http: HTTPGet, path: str) -> Iterator[Fault]:
    if _CONTROL.search(http.path) or " " in http.path:
        yield fault(f"{path}.path", "blanks and control characters must be percent-encoded", http.path)
    header = http.http_header
    if header is not None and not _HEADER_NAME.match(header.name):
        yield fault(f"{path}.httpHeader.name", "no name for a header; write letters, digits and dashes", header.name)
    if header is not None and _CONTROL.search(header.value):
        yield fault(f"{path}.httpHeader.value", "control characters cannot stand in a header", header.value)


def _parameters(owner: WorkflowSpec | Flow | WorkTemplateSpec, path: str) -> Iterator[Fault]:
    path = f"{path}.parameters"
    try:
        parameters: tuple[Parameter, ...] = owner.parameters
    except RawError as error:
        yield Fault(path, str(error))
        return
    first: dict[str, int] = {}
    for at, parameter in enumerate(parameters):
        if first.setdefault(parameter.name, at) != at:
            message = f'parameter "{parameter.name}" is given twice, first in {path}[{first[parameter.name]}]; keep one'
            yield fault(f"{path}[{at}].name", message, parameter.name)


def _values(
    owner: WorkflowSpec | Flow | WorkTemplateSpec, path: str, names: FlowNames | None, scope: int
) -> Iterator[Fault]:
    """The faults of variables in values of parameters. `names`: the flows of the workflow, if it is one."""
    if not variables.may_hold(owner.raw_parameters):
        return
    try:
        listed = given(scope, owner.parameters)
    except RawError:
        return  # a fault of the list
    for one in listed:
        for token in variables.tokens(one.value):
            where = f"{path}.parameters[{one.position}].value"
            if isinstance(token, variables.UnknownUnderOurs):
                yield fault(where, variables.unknown_message(token.name), f"{{{{{token.name}}}}}")
            if not isinstance(token, variables.Known):
                continue
            if token.parameter == one.name or (token.parameter is not None and scope == TEMPLATE):
                message = missing_message(token.parameter, Scopes(), one)
                yield fault(where, message, f"{{{{params.{token.parameter}}}}}")
            elif names is not None and token.flow is not None and token.flow not in names.first:
                yield fault(where, names.unknown(token.flow), token.flow)


def _duration(text: str | None, path: str) -> Iterator[Fault]:
    if text is None:
        return
    try:
        length = durations.parse(text)
    except ValueError as error:
        yield fault(path, str(error), text)
    else:
        if length > _MAX_SECONDS:
            yield fault(path, "longer than a duration can be (about 292 years)", text)


def _inline(flow: Flow, template: WorkTemplateSpec, path: str, *, with_template: bool) -> Iterator[Fault]:
    """The faults of a template that stands in a flow."""
    if flow.template:
        message = "a flow has template or templateSpec, not both; remove one of them"
        yield fault(f"{path}.template", message, flow.template)
    if with_template:
        yield from template_faults(template, f"{path}.templateSpec", is_indexed=flow.for_ is not None)


def template_faults(spec: WorkTemplateSpec, root: str = "spec", *, is_indexed: bool = False) -> Iterator[Fault]:
    """Every fault of a template by itself. root: its path; is_indexed: a flow with `for` is known to use it."""
    yield from _parameters(spec, root)
    yield from _values(spec, root, None, TEMPLATE)
    yield from object_faults(spec, root)
    if is_indexed:
        yield from index_faults(spec, root)
    for key, value in (("version", spec.gvr.version), ("resource", spec.gvr.resource), ("group", spec.gvr.group)):
        if "/" in value:
            yield fault(
                f"{root}.gvr.{key}",
                f'"/" is not allowed in {key}; write group, version and resource in their own fields',
                value,
            )
        elif (key != "resource" or value == value.lower()) and not _GVR_PARTS[key].match(value):
            dots = ', "." between parts' if key == "group" else ""
            message = (
                f'only lower-case letters, digits and "-" are allowed{dots}; `kubectl api-resources` shows what exists'
            )
            yield fault(f"{root}.gvr.{key}", message, value)
    if spec.gvr.resource != spec.gvr.resource.lower():
        right = spec.gvr.resource.lower()
        right = right if right.endswith("s") else f"{right}s"
        message = f'write the plural as in its URL, all lower case, perhaps "{right}"'
        yield fault(f"{root}.gvr.resource", message, spec.gvr.resource)
    for path, text in ((f"{root}.jobSpec", spec.raw_job_spec), (f"{root}.metadata", spec.raw_metadata)):
        try:
            tree = spec.job_spec if text is spec.raw_job_spec else msgspec.to_builtins(spec.metadata)
        except RawError as error:
            yield Fault(path, str(error))
        else:
            if variables.may_hold(text):
                yield from _unknown_variables(tree, path)


def _unknown_variables(tree: Any, path: str, *, has_items: bool = False) -> Iterator[Fault]:
    wrong = (variables.UnknownUnderOurs, variables.UnknownItem) if has_items else variables.UnknownUnderOurs
    for found in variables.scan(tree, path):
        if isinstance(found.token, wrong):
            name = found.token.name
            yield fault(found.path, variables.unknown_message(name), f"{{{{{name}}}}}")
