"""What a Workflow may cost, estimated from its spec before anything runs, and the bounds on it.

The bounds protect other workflows from one that is too large, and this one from a status that etcd refuses to store.
A workflow above a bound is Invalid. One that has started already is not judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import edges, raw
from pkg.apis.flow.v1alpha1.end_use import uses
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.items import lists_of
from pkg.apis.flow.v1alpha1.labels import MAX_RULES_OF_FLOW
from pkg.apis.flow.v1alpha1.object_faults import MAX_NAME
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import (
    MAX_ASKED,
    MAX_MESSAGE,
    Action,
    ApprovalDecision,
    Asked,
    Flow,
    FlowRecord,
    FlowStatus,
    GivenApproval,
    Kept,
    KindRecord,
    ObjectOfTask,
    ObjectRecord,
    OutputStatus,
    Record,
    RetryReason,
    RulesRecord,
    SuccessPolicy,
    WorkflowSpec,
    WorkflowStatus,
)
from pkg.apis.meta import ObjectMeta

#: What etcd takes in one request, less what surrounds the object there.
MAX_OBJECT: Final = 1_536 * 1024 - 4_096
#: Mentions of flows in dependsOn, for.dependsOn and pod addresses. The compiled graph has a predicate for each.
MAX_EDGES: Final = 100_000
#: Replicas that are probed over the network, each counted once per probe.
MAX_PROBED: Final = 20_000
#: What the replicas of a flow ask of their previous index, over all replicas.
MAX_PREVIOUS: Final = 1_000_000
#: Steps of JSON Patches, over all tasks.
MAX_PATCH_STEPS: Final = 1_000_000
#: Bytes of patches, over all tasks.
MAX_PATCH_BYTES: Final = 1_024 * 1024 * 1024
#: Bytes of templates, over all tasks: so much is rendered and stored in the cluster.
MAX_TEMPLATE_BYTES: Final = 1_024 * 1024 * 1024

#: Bytes of the recorded outputs of a workflow, as JSON without quotes.
MAX_OUTPUT_BYTES: Final = 256 * 1024
#: Bytes of one output, as UTF-8; and of one that is the list of an itemsFrom.
MAX_OUTPUT: Final = 4 * 1024
MAX_LIST_OUTPUT: Final = 128 * 1024
#: Bytes of one output that a flow gets its items from.
MAX_LIST: Final = 128 * 1024
#: So many bytes a shorter value counts.
MIN_OUTPUT: Final = 8

# metadata without labels and annotations: managedFields of a few writers, uid, times. managedFields does not grow with
# the number of flows, because lists are atomic.
_METADATA: Final = 5_120
# managedFields of one parameter of the workflow without its name, for two writers.
_PARAMETER_FIELDS: Final = 128
# Status without its flows: conditions, counts, times, reason, and a message that is cut short.
_STATUS: Final = 3_072
# How the workflow went, as finally flows read it: the failures, and a message.
_END: Final = 4_096 + 2 * MAX_MESSAGE + 256
# How unlike tasks of the same attempt can be in what status keeps: in Backoff or failed, for one of four reasons, each
# with and without having run; or running, with and without having run before or having been held.
_GROUPS: Final = 20
_RANGES: Final = (
    "waiting",
    "pending",
    "suspended",
    "running",
    "backoff",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
)
_HANDS_OUT: Final = len('"handsOut":true,')
_LONGEST_KIND: Final = "mpijobs.v2beta1.kubeflow.org"
_POSITION: Final = "4999"
# The record of one object that a task applied or deletes, without its name; and that of its flow, without the kind.
_OBJECT: Final = len(msgspec.json.encode(ObjectOfTask("", uid="0" * 36, index=9_999, attempt=1_000))) + 1
_OBJECT_RECORD: Final = len(msgspec.json.encode(ObjectRecord(4_999, "", Action.DELETE))) + 16
# One decision about a flow with approval, which comes into the spec later; and since when its tasks wait for it.
_DECISION: Final = len(
    msgspec.json.encode(GivenApproval("x" * 63, ApprovalDecision.APPROVE, 9_999, "x" * 256, "x" * 64))
)
_ASKED: Final = MAX_ASKED * len(msgspec.json.encode(Asked("", "2026-01-01T00:00:00.000000Z")))
#: The index of a probed replica that has passed, in what status keeps.
LATCH_BYTES: Final = 6
# Due times of tasks that wait for startDelay: so many of them are recorded for one flow, and the bytes of one.
_START_GROUPS: Final = 16
_START_BYTES: Final = len('{"indexes":"","due":""},') + len("2026-01-01T00:00:00.000000Z")
_TIME: Final = "2026-01-01T00:00:00.000000Z"
#: So many times at which tasks of a flow began to wait for locks are recorded, and the bytes of each.
MAX_WAITS: Final = 8
_WAIT: Final = len(msgspec.json.encode(Kept(indexes="0", waits_since=_TIME))) + 1


class Cost(msgspec.Struct, frozen=True):
    """What a workflow costs at most.

    spec, metadata, status: bytes of JSON, status with the least that a restart of the controller needs; edges, probed,
    previous, patch_steps, patch_bytes, template_bytes: see the bounds above.
    """

    spec: int = 0
    metadata: int = 0
    status: int = 0
    edges: int = 0
    probed: int = 0
    previous: int = 0
    patch_steps: int = 0
    patch_bytes: int = 0
    template_bytes: int = 0

    @property
    def object(self) -> int:
        """Bytes of the whole Workflow."""
        return self.spec + self.metadata + self.status


def output_bytes(value: str) -> int:
    """What a recorded value counts of MAX_OUTPUT_BYTES."""
    return max(MIN_OUTPUT, len(msgspec.json.encode(value)) - 2)


def has_started(status: WorkflowStatus) -> bool:
    """Whether the workflow was found valid once: its status lists its flows."""
    return bool(status.flows)


def estimate(
    spec: WorkflowSpec,
    templates: Mapping[str, edges.TemplateEdges] | None = None,
    metadata: ObjectMeta | None = None,
) -> Cost:
    """What a workflow costs. `templates`: what the templates need, by name; some may be missing. Raises RawError."""
    return estimate_reading(Reading(spec, templates), metadata)


def estimate_reading(reading: Reading, metadata: ObjectMeta | None = None) -> Cost:
    """The same of a workflow that is being read. Raises RawError."""
    spec, templates = reading.spec, reading.templates
    sizes = {flow.name: max(1, flow.replicas) for flow in spec.flows}
    ends = _END if any(flow.finally_ and any(uses(reading, flow)) for flow in spec.flows) else 0
    status = ends + _STATUS + _restart_bytes(spec) + _kinds_bytes(spec, templates) + _output_bytes(spec, sizes)
    status += _wait_bytes(spec)
    metadata_size = metadata_bytes(metadata) + _parameter_bytes(spec)
    cost = Cost(spec=_spec_bytes(spec), metadata=metadata_size, status=status)
    total = {name: getattr(cost, name) for name in cost.__struct_fields__}
    for flow in spec.flows:
        template = templates.get(flow.template_name)
        mentions = reading.mentions(flow)
        total["edges"] += len(mentions) + len(reading.use.edges(flow))
        for name, value in flow_cost(flow, mentions, template, sizes):
            total[name] += value
    if reading.use.is_over:
        total["edges"] += MAX_EDGES + 1  # more than were counted
    return Cost(**total)


def faults(cost: Cost) -> Faults:
    """A fault for each bound that a cost is above, with the figure, the bound, and what to change."""
    return Faults(_faults(cost))


def _faults(cost: Cost) -> Iterator[Fault]:
    if cost.object > MAX_OBJECT:
        yield Fault(
            "spec",
            f"spec ({cost.spec:,} bytes), metadata ({cost.metadata:,}) and the shortest possible status"
            f" ({cost.status:,}) have {cost.object:,} bytes together, and etcd takes {MAX_OBJECT:,}: shorten names and"
            " patches, move what flows share into templates, or split the workflow",
            str(cost.object),
        )
    bounds = (
        (cost.edges, MAX_EDGES, "dependencies between flows", "let flows wait for a flow that joins others"),
        (cost.probed, MAX_PROBED, "probes (each counted once per probed replica)", "probe fewer replicas"),
        (cost.previous, MAX_PREVIOUS, "questions of replicas about their previous index", "shorten for.dependsOn"),
        (cost.patch_steps, MAX_PATCH_STEPS, "patch steps (tasks times steps)", "move steps into the template"),
        (cost.patch_bytes, MAX_PATCH_BYTES, "bytes of patches (tasks times bytes)", "move patches into the template"),
        (cost.template_bytes, MAX_TEMPLATE_BYTES, "bytes of templates (tasks times bytes)", "shorten the templates"),
    )
    for figure, bound, what, instead in bounds:
        if figure > bound:
            yield Fault("spec.flows", f"{figure:,} {what}; at most {bound:,} are allowed: {instead}", str(figure))


def flow_cost(
    flow: Flow, mentions: Iterable[edges.Edge], template: edges.TemplateEdges | None, sizes: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    """What one flow adds to the fields of a Cost. `sizes`: numbers of tasks, by flow."""
    size = sizes[flow.name]
    if template is not None:
        yield "template_bytes", size * template.size
        if flow.for_ is not None and flow.for_.items:
            yield "template_bytes", sum(len(bytes(item)) for item in flow.for_.items)
    probes, path_bytes = 0, 0
    for edge in mentions:
        if edge.own_index and edge.flow == flow.name:
            yield "previous", size
        if edge.wait is edges.Wait.HTTP or edge.wait is edges.Wait.TCP:
            probes += sizes.get(edge.flow, 1)
            path_bytes += len(edge.path) + 32
    if probes:
        yield "probed", probes
    if not raw.is_empty(flow.raw_patch):
        text = bytes(flow.raw_patch)
        yield "patch_bytes", size * len(text)
        if text.startswith(b"["):
            yield "patch_steps", size * _steps(flow)
    # Latches of probes that have passed name the replicas of the probed flow.
    carried = MAX_RULES_OF_FLOW * (len(_POSITION) + 1) if template is not None and template.carries else 0
    if flow.approval is not None:
        yield "spec", _DECISION
        if flow.timeout is not None:
            yield "status", _ASKED + size * (len(str(size)) + 1)
    if template is not None and template.spec.action is not Action.CREATE:
        name = len(bytes(template.spec.raw_metadata))  # more than the name alone
        yield "status", len(template.kind) + _OBJECT_RECORD + size * (_OBJECT + min(name, MAX_NAME))
    yield "status", _flow_status_bytes(flow, size) + path_bytes + LATCH_BYTES * probes + carried


def _steps(flow: Flow) -> int:
    try:
        return len(flow.patch)
    except raw.RawError:
        return 0  # the patch cannot be decoded, so none of its steps is ever applied


def _flow_status_bytes(flow: Flow, size: int) -> int:
    """Bytes of the least that status keeps of a flow whose tasks are as unlike as they can be."""
    retries = flow.retry.max_retries if flow.retry is not None else 0
    starts = _bytes_of_starts(size) if flow.start_delay is not None else 0
    return len(flow.name) + _bytes_without_name(retries, size, flow.for_ is not None) + starts


def _bytes_of_starts(size: int) -> int:
    """Bytes of the due times of tasks that wait for startDelay: each index stands in one of a few groups."""
    return len('"starts":[],') + min(size, _START_GROUPS) * _START_BYTES + size * (len(str(size)) + 1)


def bytes_of_tasks(retries: int, size: int) -> int:
    """Bytes of the least that status keeps of so many tasks of a flow with `for`."""
    return _bytes_without_name(retries, size, True)


@lru_cache(maxsize=1_024)
def _bytes_without_name(retries: int, size: int, is_indexed: bool) -> int:
    groups = min(size, _GROUPS * (retries + 1))
    bare, kept = _status_parts(retries)
    found = bare + groups * kept
    if is_indexed:
        # Each index stands in one range of the flow, and in one of what is kept.
        found += 2 * size * (len(str(size)) + 1) + sum(len(name) + 6 for name in _RANGES)
    return found


@lru_cache(maxsize=1_024)
def _status_parts(retries: int) -> tuple[int, int]:
    """Bytes of what status keeps of a flow, without its name, and of one group of its tasks."""
    reason = max((reason.value for reason in RetryReason), key=len)
    empty = Kept(indexes="0")
    status = FlowStatus(name="", phase=Phase.SUCCEEDED, reason=reason)
    # Other objects have the names of its jobs.
    record = FlowRecord(flows=_POSITION, renamed="0" * 8, kept=(empty,))
    # In Backoff: with a due time. Without retries: why it failed, as its job is gone.
    kept = (
        Kept(indexes="0", attempt=retries, ran=True, due=_TIME)
        if retries
        else Kept(indexes="0", ran=True, reason=reason)
    )
    bare = sum(len(msgspec.json.encode(part)) + 1 for part in (status, record)) - len(msgspec.json.encode(empty))
    # No flow stands beside another one of the same kind.
    return bare + len(_POSITION) + 1, len(msgspec.json.encode(kept)) + 1


def _output_bytes(spec: WorkflowSpec, sizes: Mapping[str, int]) -> int:
    """Bytes of the recorded outputs of all flows. Raises RawError."""
    values = bytes_besides = longest = 0
    listed = lists_of(spec)
    for flow in spec.flows:
        if flow.raw_outputs is raw.ABSENT:
            continue
        bytes_besides += _HANDS_OUT
        for output in flow.outputs:
            values += sizes[flow.name]
            longest += sizes[flow.name] * (MAX_LIST if (flow.name, output.name) in listed else MAX_OUTPUT)
            # The indexes stand there only where they are not those that succeeded.
            indexes = sizes[flow.name] * (len(str(sizes[flow.name])) + 1) if flow.for_ is not None else 0
            bytes_besides += len(msgspec.json.encode(OutputStatus(output.name, "-", ("-",), "-"))) + indexes
    # A value that is JSON itself, or has quotes, takes more as JSON, and counts more.
    written = min(MAX_OUTPUT_BYTES, 2 * longest)
    return written + 3 * min(values, MAX_OUTPUT_BYTES // MIN_OUTPUT) + bytes_besides


def _wait_bytes(spec: WorkflowSpec) -> int:
    """Bytes of since when the tasks wait for locks."""
    is_any = bool(spec.mutexes or spec.semaphores)
    waiting = (flow for flow in spec.flows if is_any or flow.mutexes or flow.semaphores)
    return sum(_WAIT * (1 if flow.for_ is None else MAX_WAITS) for flow in waiting)


def _kinds_bytes(spec: WorkflowSpec, templates: Mapping[str, edges.TemplateEdges]) -> int:
    """Bytes of the record without what it keeps of flows: each kind once, and the hashes of rules."""
    names = {flow.template_name for flow in spec.flows}
    kinds = {templates[name].kind if name in templates else _LONGEST_KIND for name in names}
    # A template that is edited while its jobs exist gives later jobs other rules.
    rules = MAX_RULES_OF_FLOW * sum(name in templates and templates[name].carries for name in names)
    record = Record(
        kinds=tuple(KindRecord(kind, flows="0") for kind in kinds),
        rules=(RulesRecord("0" * 32, flows="0"),) * rules,
    )
    return len(msgspec.json.encode(record))


def _spec_bytes(spec: WorkflowSpec) -> int:
    """Bytes of the spec as the API server stores it, with defaults: it fills some in, and a manifest may have them."""
    parts: list[msgspec.Struct] = [spec]
    if spec.success_policy != SuccessPolicy():
        parts.append(spec.success_policy)
    for flow in spec.flows:
        parts.append(flow)
        if flow.retry is not None:
            parts.append(flow.retry)
        if flow.for_ is not None:
            parts.append(flow.for_)
        if flow.template_spec is not None:
            parts.append(flow.template_spec)
    return len(msgspec.json.encode(spec)) + sum(_default_bytes(part) for part in parts)


def _default_bytes(part: msgspec.Struct) -> int:
    """Bytes of the fields that have a default, as far as they have these values."""
    return sum(size for name, default, size in _stored_defaults(type(part)) if getattr(part, name) == default)


@lru_cache(maxsize=64)
def _stored_defaults(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any, int], ...]:
    """The fields of a part whose default is a word, or a number other than zero."""
    return tuple(
        (field.name, field.default, len(field.encode_name) + len(msgspec.json.encode(field.default)) + 4)
        for field in msgspec.structs.fields(kind)
        if isinstance(field.default, str | int | float) and not isinstance(field.default, bool) and field.default
    )


def _parameter_bytes(spec: WorkflowSpec) -> int:
    """Bytes by which the parameters make managedFields longer: they are a map by name."""
    try:
        return sum(_PARAMETER_FIELDS + 2 * len(parameter.name) for parameter in spec.parameters)
    except raw.RawError:
        return 0  # a fault of the field


def metadata_bytes(metadata: ObjectMeta | None) -> int:
    """Bytes of JSON that count for the metadata of a Workflow; None while nothing is known of it."""
    if metadata is None:
        return _METADATA
    return (
        _METADATA + metadata.left_out + _map_bytes(metadata.labels.items()) + _map_bytes(metadata.annotations.items())
    )


def _map_bytes(items: Iterable[tuple[str, str]]) -> int:
    return sum(len(msgspec.json.encode(key)) + len(msgspec.json.encode(value)) + 2 for key, value in items)


def _restart_bytes(spec: WorkflowSpec) -> int:
    """Bytes of the positions of the flows that a restart names."""
    return 6 * len(spec.restart.flows) if spec.restart is not None else 0
