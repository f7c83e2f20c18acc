"""Which changes of a spec are allowed before a workflow starts, while it runs and after it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import approvals
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.meaning import Meaning, is_same, is_same_spec, meaning
from pkg.apis.flow.v1alpha1.spec_hash import FREE, fixed, is_comparable, is_hash_of
from pkg.apis.flow.v1alpha1.types import Flow, Shutdown, WorkflowSpec

#: The fields that may change while a workflow runs, for messages.
MAY_CHANGE: Final = "suspend, shutdown, restart, parallelism, ttlSecondsAfterFinished, timeout and approvals"
_MAX_NAMES: Final = 3


def validate_update(
    old: WorkflowSpec, new: WorkflowSpec, *, started: bool, ended: bool = False, recorded: str = ""
) -> Faults:
    """Every fault of a change from `old` to `new`.

    started: the workflow runs, or has ended; ended: it has ended, so that its spec may change for the next restart;
    recorded: the hash of the spec that is in force. An edit that was made without the webhook may be taken back to it.
    """
    found = [] if ended else list(_shutdown(old, new))
    found += approvals.added_faults(old, new)
    if new.restart is not None and new.shutdown is not None:
        before = old.restart.at if old.restart is not None else None
        if new.restart.at != before:
            message = "a workflow with shutdown cannot be restarted; after its end remove spec.shutdown as well"
            found.append(Fault("spec.restart.at", message, new.restart.at))
    if started and not ended:
        message = (
            f"cannot change while the workflow runs; only {MAY_CHANGE} may. Take it back, or stop the workflow with"
            " spec.shutdown and restart it with the new spec"
        )
        changed = list(changes(old, new))
        if changed and not (is_comparable(recorded) and is_hash_of(recorded, new)):
            found.extend(Fault(path, f"{message} ({detail})" if detail else message) for path, detail in changed)
    return Faults(found)


def _shutdown(old: WorkflowSpec, new: WorkflowSpec) -> Iterator[Fault]:
    if old.shutdown is None or new.shutdown is old.shutdown:
        return
    if new.shutdown is None:
        yield Fault("spec.shutdown", f"{old.shutdown} cannot be undone before the workflow has ended")
    elif old.shutdown is Shutdown.TERMINATE:
        yield Fault("spec.shutdown", "Terminate cannot be changed to Stop", new.shutdown)


def is_free_edit(old: WorkflowSpec, new: WorkflowSpec) -> bool:
    """Whether nothing changes but fields that may change while a workflow runs."""
    return is_same_spec(msgspec.structs.replace(old, **{name: getattr(new, name) for name in FREE}), new)


def changes(old: WorkflowSpec, new: WorkflowSpec) -> Iterator[tuple[str, str]]:
    """The fields that must not change while a workflow runs and whose meaning differs.

    Each has its path in `new` and, where the path alone does not say it, what changed there.
    """
    bare_old, bare_new = (fixed(msgspec.structs.replace(spec, flows=())) for spec in (old, new))
    for field in _changed(WorkflowSpec, bare_old, bare_new, ("flows", *FREE)):
        yield f"spec.{field}", ""
    if old.flows == new.flows:
        return
    before = {flow.name: flow for flow in old.flows}
    names, now = [flow.name for flow in old.flows], [flow.name for flow in new.flows]
    if names != now:
        yield "spec.flows", _flows(names, now)
    for at, flow in enumerate(new.flows):
        if flow.name in before and before[flow.name] != flow:
            for field in _changed(Flow, meaning(before[flow.name]), meaning(flow), ()):
                yield f"spec.flows[{at}].{field}", f'flow "{flow.name}"'


def _flows(old: list[str], new: list[str]) -> str:
    """How the names of the flows differ."""
    gone, added = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    parts = [f"removed {_some(gone)}"] if gone else []
    parts += [f"added {_some(added)}"] if added else []
    return ", ".join(parts) or "another order"


def _some(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_MAX_NAMES])
    return f"{shown} and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else shown


def _changed(kind: type[msgspec.Struct], old: Meaning, new: Meaning, leaving_out: tuple[str, ...]) -> Iterator[str]:
    """The fields, as manifests spell them, whose meaning differs."""
    for name, spelled in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        name = name.removeprefix("raw_")
        if name not in leaving_out and not is_same(old.get(name), new.get(name)):
            yield spelled
