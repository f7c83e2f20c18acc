"""Approvals by people: faults of flows with `approval` and of spec.approvals, and which entry counts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from pkg.apis.flow.v1alpha1 import raw, variables
from pkg.apis.flow.v1alpha1.edges import Edge, Wait
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.people import shortened
from pkg.apis.flow.v1alpha1.records import approvals_before
from pkg.apis.flow.v1alpha1.types import Approval, Flow, GivenApproval, Workflow, WorkflowSpec

PATH: Final = "spec.approvals"
AT_CREATION: Final = (
    "a new Workflow has no approvals: what they decide about does not run yet; leave them out, and approve with"
    " kubectl workflow approve NAME FLOW once the flow waits"
)
_APPEND_ONLY: Final = "entries cannot be changed or removed: they say who decided what; add another one at the end"
# Of the approvers so many are named in messages.
_MAX_NAMED: Final = 5
# Why a field has no meaning beside approval.
_NO_JOB: Final = "a flow with approval makes no job"
_BESIDE: Final[Mapping[str, str]] = {
    "template": f"{_NO_JOB}, so it has no template; remove template or approval",
    "templateSpec": f"{_NO_JOB}, so it has no template; remove templateSpec or approval",
    "patch": f"{_NO_JOB} that could be patched; remove patch",
    "outputs": f"{_NO_JOB} that outputs could be read from; remove outputs",
    "retry": f"{_NO_JOB} that could be tried again, and a rejection is final until a restart; remove retry",
    "pendingTimeout": f"{_NO_JOB} that could be pending; write timeout, which limits how long it waits for a person",
    "mutexes": f"{_NO_JOB} that a lock could be held for; give the lock to the flow that follows, and remove mutexes",
    "semaphores": f"{_NO_JOB} that a lock could be held for; give it to the flow that follows, and remove semaphores",
    "for.parallelism": f"{_NO_JOB}, so all its tasks wait for a person at once; remove for.parallelism",
}


def approval_faults(flow: Flow, path: str) -> Iterator[Fault]:
    """The faults of a flow with `approval`, as it stands by itself. path: of the flow in the spec."""
    approval = flow.approval
    if approval is None:
        return
    given = {
        "template": bool(flow.template),
        "templateSpec": flow.template_spec is not None,
        "patch": not raw.is_empty(flow.raw_patch),
        "outputs": not raw.is_empty(flow.raw_outputs),
        "retry": flow.retry is not None,
        "pendingTimeout": flow.pending_timeout is not None,
        "mutexes": bool(flow.mutexes),
        "semaphores": bool(flow.semaphores),
        "for.parallelism": flow.for_ is not None and flow.for_.parallelism is not None,
    }
    for field, is_given in given.items():
        if is_given:
            yield Fault(f"{path}.{field}", _BESIDE[field])
    for token in variables.tokens(approval.message):
        if isinstance(token, variables.Known | variables.UnknownUnderOurs):
            message = "the message is plain text, and variables stay as they are; name what is decided in words"
            yield fault(f"{path}.approval.message", message, f"{{{{{token.name}}}}}")
            break
    for at, approver in enumerate(approval.approvers):
        if bool(approver.user) == bool(approver.group):
            message = "an approver has either user or group"
            yield fault(f"{path}.approval.approvers[{at}]", message, {"user": approver.user, "group": approver.group})


def wait_fault(edge: Edge, path: str, asked: Flow) -> Fault | None:
    """What is wrong with a flow that waits for one with `approval`. asked: the flow that the edge names."""
    if asked.approval is None:
        return None
    message = f'"{asked.name}" is a flow with approval, and has no pods; name it in targets or taskStatusList'
    return fault(path, message, asked.name) if edge.wait in (Wait.HTTP, Wait.TCP, Wait.POD_IP) else None


def entry_fault(entry: GivenApproval, at: int, flows: Mapping[str, Flow]) -> Fault | None:
    """Why an entry of spec.approvals decides about nothing; None if it does. flows: those of the spec, by name."""
    path = f"{PATH}[{at}]"
    flow = flows.get(entry.flow)
    if flow is None:
        near = variables.nearest(entry.flow, flows)
        hint = f'; did you mean "{near}"?' if near else "; name one of spec.flows that has approval"
        return fault(f"{path}.flow", f'no flow is named "{variables.cut(entry.flow)}"{hint}', entry.flow)
    if flow.approval is None:
        message = f'flow "{flow.name}" has no approval, so nobody can approve or reject it'
        return fault(f"{path}.flow", message, entry.flow)
    if entry.index is None or flow.items_from:  # how many tasks that has, only a run knows
        return None
    if flow.for_ is None:
        message = f'flow "{flow.name}" has no for, and so no indexes; leave index out'
        return fault(f"{path}.index", message, entry.index) if entry.index else None
    if entry.index >= flow.replicas:
        message = f'flow "{flow.name}" has the indexes 0 to {flow.replicas - 1}'
        message = message if flow.replicas else f'flow "{flow.name}" has no tasks that could be approved'
        return fault(f"{path}.index", message, entry.index)
    return None


def added_faults(old: WorkflowSpec, new: WorkflowSpec) -> Iterator[Fault]:
    """What is wrong with a change of spec.approvals: entries are added at the end, and each decides about something."""
    before = len(old.approvals)
    for at, (was, now) in enumerate(zip(old.approvals, new.approvals, strict=False)):
        if was != now:
            yield Fault(f"{PATH}[{at}]", _APPEND_ONLY)
            return
    if len(new.approvals) < before:
        yield Fault(PATH, f"{before} entries were there, and {len(new.approvals)} would be left; {_APPEND_ONLY}")
        return
    if len(new.approvals) == before:
        return
    flows = {flow.name: flow for flow in new.flows}
    for at in range(before, len(new.approvals)):
        if (found := entry_fault(new.approvals[at], at, flows)) is not None:
            yield found


def creation_faults(spec: WorkflowSpec) -> Iterator[Fault]:
    """A Workflow that is created has no approvals."""
    if spec.approvals:
        yield Fault(PATH, AT_CREATION)


def deciding(
    entries: Sequence[GivenApproval], flow: str, index: int, since: int = 0
) -> tuple[int, GivenApproval] | None:
    """The first entry about a task from position `since` on, with its position; None if there is none.

    Fewer entries than that are those of a restored Workflow, which begins anew.
    """
    for at in range(since if since <= len(entries) else 0, len(entries)):
        entry = entries[at]
        if entry.flow == flow and (entry.index is None or entry.index == index):
            return at, entry
    return None


def overruling(workflow: Workflow, entry: GivenApproval, at: int) -> tuple[int, GivenApproval] | None:
    """The earlier entry of spec.approvals, with its position, because of which one at position `at` decides about
    nothing; None if there is none. Of an entry about a whole flow with `for`, no entry about one index decides all.
    """
    flow = next((one for one in workflow.spec.flows if one.name == entry.flow), None)
    has_for = flow is not None and flow.for_ is not None
    earlier = workflow.spec.approvals[:at]
    since = approvals_before(workflow.status, entry.flow)
    if not has_for or entry.index is not None:
        return deciding(earlier, entry.flow, entry.index or 0, since)
    for position in range(since if since <= len(earlier) else 0, len(earlier)):
        if earlier[position].flow == entry.flow and earlier[position].index is None:
            return position, earlier[position]
    return None


def may_decide(approval: Approval, user: str, groups: Collection[str]) -> bool:
    """Whether somebody is among the approvers; everybody is if none are listed."""
    if not approval.approvers:
        return True
    return any((one.user and one.user == user) or (one.group and one.group in groups) for one in approval.approvers)


def who_may(approval: Approval) -> str:
    """Who may approve, for messages: `alice, bob or the group release-managers`."""
    if not approval.approvers:
        return "whoever may edit the Workflow"
    names = [shortened(one.user) for one in approval.approvers if one.user]
    names += [f"the group {shortened(one.group)}" for one in approval.approvers if one.group]
    if len(names) > _MAX_NAMED:
        names = [*names[:_MAX_NAMED], f"{len(names) - _MAX_NAMED} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
