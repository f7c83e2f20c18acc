"""The recorded outputs in the status of a flow, and back. A later controller reads no job again that has succeeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pkg.apis.flow.v1alpha1.indexes import pack_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import FlowStatus, OutputStatus
from pkg.controllers.workflow.planner.progress import Task


def recorded_outputs(tasks: Sequence[Task], *, is_indexed: bool) -> tuple[OutputStatus, ...]:
    """What status says of the outputs of a flow; nothing while there are none."""
    if not any(task.outputs for task in tasks):
        return ()
    if not is_indexed:
        return tuple(OutputStatus(name, value) for name, value in tasks[0].outputs)
    values: dict[str, list[str]] = {}
    indexes: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        for name, value in task.outputs:
            values.setdefault(name, []).append(value)
            indexes.setdefault(name, []).append(index)
    succeeded = [index for index, task in enumerate(tasks) if task.phase is Phase.SUCCEEDED]
    return tuple(
        OutputStatus(
            name,
            values=tuple(listed),
            indexes="" if indexes[name] == succeeded else pack_indexes(indexes[name]),
        )
        for name, listed in values.items()
    )


def outputs_by_index(recorded: FlowStatus) -> Mapping[int, tuple[tuple[str, str], ...]]:
    """Names and values of the recorded outputs of each task that has some."""
    found: dict[int, dict[str, str]] = {}
    for output in recorded.outputs:
        if not output.values:
            found.setdefault(0, {})[output.name] = output.value
            continue
        indexes = unpack_indexes(output.indexes or recorded.succeeded)
        for index, value in zip(indexes, output.values, strict=False):
            found.setdefault(index, {})[output.name] = value
    return {index: tuple(values.items()) for index, values in found.items()}
