"""Entries of spec.approvals: who made them and when is written by the webhook, and who may not decide is refused. Pure.

`by` and `at` of a new entry are those of the request, whatever a client sends. Those of an earlier entry stay, also
where a manifest leaves them out: who applies it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import approvals
from pkg.apis.flow.v1alpha1.people import shortened
from pkg.apis.flow.v1alpha1.types import Flow, GivenApproval, Workflow
from pkg.apis.meta import seconds, timestamp
from pkg.webhooks.review import ALLOWED, Answer, Operation, Request

_FORBIDDEN: Final = 403
# The clocks of two replicas of the webhook may differ by this many seconds.
_SKEW: Final = 300.0
_ELSEWHERE: Final = (
    "is not what the webhook mutate.flow.workflow.sh writes for this request; either it was not asked, or another"
    " mutating webhook came after it: kubectl get mutatingwebhookconfigurations"
)


class _Spec(msgspec.Struct, frozen=True):
    approvals: tuple[GivenApproval, ...] = ()


class _Object(msgspec.Struct, frozen=True):
    spec: _Spec = _Spec()


_object: Final = msgspec.json.Decoder(_Object)


def steps(request: Request, now: float) -> tuple[Mapping[str, Any], ...]:
    """The steps of a JSON Patch that write `by` and `at`. now: seconds since the epoch."""
    if request.kind != "Workflow" or request.operation is not Operation.UPDATE:
        return ()
    given = _entries(request.object)
    if not given:
        return ()
    before = _entries(request.old_object)
    fresh = {"by": request.person.username, "at": f"{timestamp(now)[:19]}Z"}
    found: list[Mapping[str, Any]] = []
    for at, entry in enumerate(given):
        known = before[at] if at < len(before) and _is_same(before[at], entry) else None
        if known is None and at < len(before):
            continue  # an entry that was changed, which is refused
        right = fresh if known is None else {"by": known.by, "at": known.at}
        for field, text in right.items():
            if getattr(entry, field) == text:
                continue
            path = f"/spec/approvals/{at}/{field}"
            found.append({"op": "add", "path": path, "value": text} if text else {"op": "remove", "path": path})
    return tuple(found)


def _entries(text: bytes | None) -> tuple[GivenApproval, ...]:
    """The entries of an object; none if it cannot be read, which the API server refuses."""
    if text is None or b'"approvals"' not in text:
        return ()
    try:
        return _object.decode(text).spec.approvals
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()


def _is_same(one: GivenApproval, other: GivenApproval) -> bool:
    """Whether two entries decide the same, whoever made them."""
    decided = ((entry.flow, entry.index, entry.decision, entry.comment) for entry in (one, other))
    return next(decided) == next(decided)


def judge(request: Request, old: Workflow, new: Workflow, now: float) -> Answer:
    """Whether the person may make the entries that the request adds; with warnings about those that come too late."""
    before = len(old.spec.approvals)
    added = new.spec.approvals[before:]
    if not added:
        return ALLOWED
    person = request.person
    # Who changes the approvers in the same request is judged by those before it.
    flows: dict[str, Flow] = {flow.name: flow for flow in (*new.spec.flows, *old.spec.flows)}
    for at, entry in enumerate(added, before):
        if entry.by != person.username or not _is_now(entry.at, now):
            field = "by" if entry.by != person.username else "at"
            return Answer(False, f"{approvals.PATH}[{at}].{field} {_ELSEWHERE}", _FORBIDDEN)
        flow = flows.get(entry.flow)
        if flow is None or flow.approval is None:
            continue
        if not approvals.may_decide(flow.approval, person.username, person.groups):
            return Answer(
                False,
                f"{approvals.PATH}[{at}]: {shortened(person.username)} is not among the approvers of flow {flow.name}:"
                f" {approvals.who_may(flow.approval)} may approve or reject it",
                _FORBIDDEN,
            )
    return Answer(True, warnings=tuple(_too_late(old, new)))


def _is_now(text: str, now: float) -> bool:
    try:
        return abs(seconds(text) - now) <= _SKEW
    except ValueError:
        return False


def _too_late(old: Workflow, new: Workflow) -> Iterator[str]:
    """Warnings about new entries that decide about nothing any more."""
    status = old.status
    phases = {flow.name: flow.phase for flow in status.flows}
    has_ended = status.phase is not None and status.phase.is_final
    for at in range(len(old.spec.approvals), len(new.spec.approvals)):
        entry = new.spec.approvals[at]
        phase = phases.get(entry.flow)
        if has_ended:
            text = f"the workflow has ended ({status.phase}), so this entry decides about nothing"
            yield f"{approvals.PATH}[{at}]: {text}"
        elif phase is not None and phase.is_final:
            yield f"{approvals.PATH}[{at}]: flow {entry.flow} is {phase} already, and the first entry counted"
        elif (first := approvals.overruling(new, entry, at)) is not None:
            text = f"{approvals.PATH}[{first[0]}] has decided about this before, and the first entry counts"
            yield f"{approvals.PATH}[{at}]: {text}"
