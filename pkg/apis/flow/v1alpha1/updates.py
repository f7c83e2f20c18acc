"""Which changes of a spec are allowed, before and after the workflow has started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.defaults import MUTABLE, meaning, spec_hash
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.types import Flow, Shutdown, WorkflowSpec

_MAY_CHANGE = "suspend, shutdown, restart, parallelism, ttlSecondsAfterFinished and timeout"


def validate_update(old: WorkflowSpec, new: WorkflowSpec, *, started: bool) -> Faults:
    """Every fault of a change from `old` to `new`; `started`: the workflow already runs, or has ended."""
    found = list(_shutdown(old, new))
    if new.restart is not None and new.shutdown is not None:
        before = old.restart.at if old.restart is not None else None
        if new.restart.at != before:
            message = "a workflow with shutdown cannot be restarted; create a new one"
            found.append(Fault("spec.restart.at", message, new.restart.at))
    # The hash ignores defaults that are written out.
    if started and spec_hash(old) != spec_hash(new):
        found.extend(_fixed(old, new))
    return Faults(found)


def _shutdown(old: WorkflowSpec, new: WorkflowSpec) -> Iterator[Fault]:
    if old.shutdown is None or new.shutdown is old.shutdown:
        return
    if new.shutdown is None:
        yield Fault("spec.shutdown", f"{old.shutdown} cannot be undone")
    elif old.shutdown is Shutdown.TERMINATE:
        yield Fault("spec.shutdown", "Terminate cannot be changed to Stop", new.shutdown)


def _fixed(old: WorkflowSpec, new: WorkflowSpec) -> Iterator[Fault]:
    message = f"cannot change after the start; only {_MAY_CHANGE} may, so create a new workflow"
    for field in _changed(WorkflowSpec, meaning(old), meaning(new), ("flows", *MUTABLE)):
        yield Fault(f"spec.{field}", message)
    if len(old.flows) != len(new.flows):
        yield Fault("spec.flows", f"{message}: there were {len(old.flows)} flows, now {len(new.flows)}")
        return
    for at, (before, after) in enumerate(zip(old.flows, new.flows, strict=True)):
        for field in _changed(Flow, meaning(before), meaning(after), ()):
            yield Fault(f"spec.flows[{at}].{field}", message)


def _changed(
    kind: type[msgspec.Struct], old: dict[str, Any], new: dict[str, Any], leaving_out: tuple[str, ...]
) -> Iterator[str]:
    """The fields, as manifests spell them, whose meaning differs."""
    for name, spelled in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        name = name.removeprefix("raw_")
        if name not in leaving_out and old.get(name) != new.get(name):
            yield spelled
