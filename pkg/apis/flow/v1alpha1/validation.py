"""Everything a schema cannot say about a Workflow or WorkTemplate, each fault with its path.

The webhook, `lint` and the controller share these functions, so that one manifest gets one judgement. Every fault is
gathered; none hides another.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import durations, patching, variables
from pkg.apis.flow.v1alpha1.edges import Edge, Wait, cycles, mentions
from pkg.apis.flow.v1alpha1.types import (
    MAX_MESSAGE,
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
_MAX_VALUE: Final = 200
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_VARIABLE_KEY: Final = re.compile(rb'\{\{[^"]*":')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# Beyond this many flows no near name is looked for: it costs time for each unknown name and each flow.
_SUGGEST_AMONG: Final = 200
_SHOWN_OF_CYCLE: Final = 12


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (`spec.flows[3].retry.interval`), what and what would be right, and the value."""

    path: str
    message: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def summary(faults: Sequence[Fault], limit: int = MAX_MESSAGE) -> str:
    """The faults in one line of at most `limit` characters; those left out are counted."""
    text = ""
    for number, fault in enumerate(faults):
        rest = len(faults) - number
        tail = f" (and {rest} more)"
        addition = ("; " if text else "") + str(fault)
        if len(text) + len(addition) + (len(tail) if rest > 1 else 0) > limit:
            return (text or addition)[: limit - len(tail)] + (tail if text or rest > 1 else "")
        text += addition
    return text


def validate_workflow(spec: WorkflowSpec) -> tuple[Fault, ...]:
    """Every fault that the spec shows by itself, without its templates."""
    names = _Names(spec)
    found = list(_workflow(spec, names))
    waits = _no_waits(names)
    for at, flow in enumerate(spec.flows):
        said = tuple(mentions(flow))
        found.extend(_flow(flow, said, f"spec.flows[{at}]", names))
        _add_waits(waits, flow, said)
    found.extend(_cycles(cycles(waits), names))
    return tuple(found)


def validate_template(spec: WorkTemplateSpec) -> tuple[Fault, ...]:
    """Every fault of a template by itself; which parameters and flows exist only its users know."""
    found = list(_parameters(spec.parameters, "spec.parameters"))
    for key, value in (("version", spec.gvr.version), ("resource", spec.gvr.resource), ("group", spec.gvr.group)):
        if "/" in value:
            found.append(
                _fault(f"spec.gvr.{key}", f'"/" does not belong into {key}: write group, version, resource', value)
            )
    if spec.gvr.resource != spec.gvr.resource.lower():
        right = spec.gvr.resource.lower()
        message = (
            f'write the plural as in its URL, all lower case, perhaps "{right if right.endswith("s") else right + "s"}"'
        )
        found.append(_fault("spec.gvr.resource", message, spec.gvr.resource))
    for path, tree in _template_trees(spec, "spec"):
        found.extend(_unknown_variables(tree, path))
    return tuple(found)


def validate_with_templates(spec: WorkflowSpec, templates: Mapping[str, WorkTemplateSpec]) -> tuple[Fault, ...]:
    """Every fault that only shows with the templates: parameters nobody gives, addresses of flows that do not exist,
    cycles through these, JSON Patches that do not apply. Templates that are missing are passed over.

    Comes in addition to `validate_workflow`; faults of that are not repeated.
    """
    names = _Names(spec)
    found: list[Fault] = []
    given = {parameter.name for parameter in spec.parameters}
    alone, together = _no_waits(names), _no_waits(names)
    for at, flow in enumerate(spec.flows):
        template = templates.get(flow.template_name)
        said = tuple(mentions(flow, template))
        _add_waits(alone, flow, (edge for edge in said if not _in_template(edge)))
        _add_waits(together, flow, said)
        if template is None:
            continue
        path = f"spec.flows[{at}]"
        known = given | {p.name for p in flow.parameters} | {p.name for p in template.parameters}
        place = f"{path} (template {flow.template_name})"
        for tree_path, tree in (*_template_trees(template, place), (f"{path}.patch", flow.patch)):
            found.extend(_missing_parameters(tree, tree_path, known))
        for edge in said:
            if _in_template(edge):
                found.extend(_edge(flow, edge, f"{place}.{edge.path.removeprefix('template.')}", names))
        found.extend(_trial(flow, template, path))
    if not cycles(alone):
        found.extend(_cycles(cycles(together), names))
    return tuple(found)


def cycle_faults(spec: WorkflowSpec, templates: Mapping[str, WorkTemplateSpec]) -> tuple[Fault, ...]:
    """Cycles of flows that wait for each other, those through pod addresses in templates included."""
    names = _Names(spec)
    waits = _no_waits(names)
    for flow in spec.flows:
        said = mentions(flow, templates.get(flow.template_name))
        _add_waits(waits, flow, (edge for edge in said if edge.flow in names.first))
    return tuple(_cycles(cycles(waits), names))


def _in_template(edge: Edge) -> bool:
    return edge.path.startswith("template.")


def foreign_variables(tree: Any, path: str = "") -> tuple[Fault, ...]:
    """`{{x}}` that are none of ours and stay as they are: worth a warning, no fault."""
    return tuple(
        _fault(found.path, f"{{{{{found.token.name}}}}} is none of our variables and stays as it is", found.token.name)
        for found in variables.scan(tree, path)
        if isinstance(found.token, variables.Foreign)
    )


class _Names:
    """The flows by name, and which of them are `finally`."""

    def __init__(self, spec: WorkflowSpec) -> None:
        self.first: dict[str, int] = {}
        for at, flow in enumerate(spec.flows):
            self.first.setdefault(flow.name, at)
        self.finally_ = {flow.name for flow in spec.flows if flow.finally_}

    def unknown(self, name: str) -> str:
        text = f'no flow is named "{name}"'
        near = difflib.get_close_matches(name, self.first, n=1) if len(self.first) <= _SUGGEST_AMONG else []
        return f'{text}; did you mean "{near[0]}"?' if near else f"{text}; name one of spec.flows"


def _fault(path: str, message: str, value: Any = "") -> Fault:
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except RecursionError:
        text = "(nested too deeply to be shown)"
    return Fault(path, message, text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}...")


def _workflow(spec: WorkflowSpec, names: _Names) -> Iterator[Fault]:
    yield from _parameters(spec.parameters, "spec.parameters")
    yield from _duration(spec.timeout, "spec.timeout")
    for at, flow in enumerate(spec.flows):
        if names.first[flow.name] != at:
            message = (
                f'the name "{flow.name}" is taken by spec.flows[{names.first[flow.name]}]; each flow needs its own'
            )
            yield _fault(f"spec.flows[{at}].name", message, flow.name)
    total = sum(max(flow.replicas, 1) for flow in spec.flows)
    if total > MAX_TASKS:
        yield _fault(
            "spec.flows", f"{total:,} tasks in all; at most {MAX_TASKS:,} are allowed: lower for.replicas", total
        )
    if spec.flows and all(flow.finally_ for flow in spec.flows):
        yield _fault("spec.flows", "every flow is finally; at least one must not be")
    yield from _policy(spec, names)
    if spec.restart is not None:
        for at, name in enumerate(spec.restart.flows):
            if name not in names.first:
                yield _fault(f"spec.restart.flows[{at}]", names.unknown(name), name)


def _policy(spec: WorkflowSpec, names: _Names) -> Iterator[Fault]:
    policy = spec.success_policy
    if policy.type is PolicyType.CRITICAL and not policy.critical_flows:
        yield _fault("spec.successPolicy.criticalFlows", "successPolicy Critical needs at least one flow here", [])
    for at, name in enumerate(policy.critical_flows):
        path = f"spec.successPolicy.criticalFlows[{at}]"
        if name not in names.first:
            yield _fault(path, names.unknown(name), name)
        elif name in names.finally_:
            yield _fault(path, f'"{name}" is a finally flow, which cannot be critical', name)


def _flow(flow: Flow, said: Iterable[Edge], path: str, names: _Names) -> Iterator[Fault]:
    yield from _parameters(flow.parameters, f"{path}.parameters")
    yield from _duration(flow.timeout, f"{path}.timeout")
    yield from _duration(flow.pending_timeout, f"{path}.pendingTimeout")
    if flow.retry is not None:
        yield from _duration(flow.retry.interval, f"{path}.retry.interval")
        yield from _duration(flow.retry.max_interval, f"{path}.retry.maxInterval")
    for edge in said:
        yield from _edge(flow, edge, f"{path}.{edge.path}", names)
    yield from _depends_on(flow.depends_on, f"{path}.dependsOn")
    if flow.for_ is not None:
        yield from _depends_on(flow.for_.depends_on, f"{path}.for.dependsOn")
    if flow.patch is not None:
        for error in patching.faults(flow.patch):
            yield _fault(f"{path}.patch{error.path}", error.message, error.value)
        yield from _unknown_variables(flow.patch, f"{path}.patch")


def _edge(flow: Flow, edge: Edge, path: str, names: _Names) -> Iterator[Fault]:
    name = edge.flow
    if name == flow.name:
        if not edge.own_index:
            message = "a flow cannot wait for itself; its previous index it can wait for in for.dependsOn"
            yield _fault(path, message, name)
    elif name not in names.first:
        yield _fault(path, names.unknown(name), name)
    elif name in names.finally_:
        yield _fault(path, f'"{name}" is a finally flow, and nothing can wait for one', name)
    if flow.finally_ and edge.wait in (Wait.HTTP, Wait.TCP):
        message = "a finally flow can depend on targets and taskStatusList only: what it would probe has ended"
        yield _fault(path, message, name)


def _depends_on(on: DependsOn | None, path: str) -> Iterator[Fault]:
    if on is None:
        return
    yield from _probe(on.probe, f"{path}.probe")
    for at, group in enumerate(on.or_groups):
        if not group.targets and (group.probe is None or group.probe.is_empty):
            yield _fault(f"{path}.orGroups[{at}]", "an empty group; give it targets or a probe, or remove it", {})
        yield from _probe(group.probe, f"{path}.orGroups[{at}].probe")


def _probe(probe: Probe | None, path: str) -> Iterator[Fault]:
    if probe is None:
        return
    yield from _duration(probe.fail_after, f"{path}.failAfter")
    for at, http in enumerate(probe.http_get_list):
        yield from _http(http, f"{path}.httpGetList[{at}]")


def _http(http: HTTPGet, path: str) -> Iterator[Fault]:
    if _CONTROL.search(http.path) or " " in http.path:
        yield _fault(f"{path}.path", "blanks and control characters must be percent-encoded", http.path)
    header = http.http_header
    if header is not None and not _HEADER_NAME.match(header.name):
        yield _fault(f"{path}.httpHeader.name", "no name for a header; write letters, digits and dashes", header.name)
    if header is not None and _CONTROL.search(header.value):
        yield _fault(f"{path}.httpHeader.value", "control characters cannot stand in a header", header.value)


def _parameters(parameters: Iterable[Parameter], path: str) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for at, parameter in enumerate(parameters):
        if first.setdefault(parameter.name, at) != at:
            message = f'parameter "{parameter.name}" is given twice, first in {path}[{first[parameter.name]}]; keep one'
            yield _fault(f"{path}[{at}].name", message, parameter.name)


def _duration(text: str | None, path: str) -> Iterator[Fault]:
    if text is None:
        return
    try:
        length = durations.parse(text)
    except ValueError as error:
        yield _fault(path, str(error), text)
    else:
        if length > _MAX_SECONDS:
            yield _fault(path, "longer than a duration can be (about 292 years)", text)


def _template_trees(spec: WorkTemplateSpec, path: str) -> Iterator[tuple[str, Any]]:
    yield f"{path}.jobSpec", spec.job_spec
    yield f"{path}.metadata", msgspec.to_builtins(spec.metadata)


def _unknown_variables(tree: Any, path: str) -> Iterator[Fault]:
    for found in variables.scan(tree, path):
        if isinstance(found.token, variables.UnknownUnderOurs):
            name = found.token.name
            yield _fault(found.path, variables.unknown_message(name), f"{{{{{name}}}}}")


def _missing_parameters(tree: Any, path: str, known: set[str]) -> Iterator[Fault]:
    for found in variables.scan(tree, path, holding=b"params."):
        if isinstance(found.token, variables.Known):
            name = found.token.parameter
            if name is not None and name not in known:
                message = f'no parameter is named "{name}"; give it in the flow, in spec.parameters or in the template'
                yield _fault(found.path, message, f"{{{{params.{name}}}}}")


def _trial(flow: Flow, template: WorkTemplateSpec, path: str) -> Iterator[Fault]:
    """Try a JSON Patch out where neither variables nor tests make its way depend on what is not known yet."""
    steps = flow.patch
    if not isinstance(steps, list) or patching.faults(steps):
        return
    if any(step["op"] == "test" or "{{" in step["path"] or "{{" in step.get("from", "") for step in steps):
        return
    metadata = {"labels": dict(template.metadata.labels), "annotations": dict(template.metadata.annotations)}
    try:
        if _VARIABLE_KEY.search(msgspec.json.encode(template.job_spec)):
            return
        target = copy.deepcopy({"metadata": metadata, "spec": template.job_spec})
        patching.apply(target, copy.deepcopy(steps))
    except patching.PatchError as error:
        yield _fault(f"{path}.patch{error.path}", error.message, error.value)
    except RecursionError:
        yield _fault(f"{path}.patch", "template or patch are nested too deeply")


def _no_waits(names: _Names) -> dict[str, dict[str, None]]:
    return {name: {} for name in names.first}


def _add_waits(waits: dict[str, dict[str, None]], flow: Flow, said: Iterable[Edge]) -> None:
    # Waiting for oneself is told at its own place.
    waits[flow.name].update((edge.flow, None) for edge in said if edge.flow != flow.name)


def _cycles(found: Iterable[tuple[str, ...]], names: _Names) -> Iterator[Fault]:
    for cycle in found:
        shown = [*cycle, cycle[0]]
        if len(shown) > _SHOWN_OF_CYCLE:
            shown = [*shown[: _SHOWN_OF_CYCLE - 2], f"... {len(shown) - _SHOWN_OF_CYCLE + 1} more ...", shown[-1]]
        text = " -> ".join(shown)
        message = f"these flows wait for each other in a circle: {text}; remove one of the dependencies"
        yield _fault(f"spec.flows[{names.first[cycle[0]]}]", message, text)
