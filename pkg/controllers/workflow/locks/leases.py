"""Leases as places of locks: how a place is written as a Lease, read from one, taken and given back.

A Lease of a lock does not expire and is not renewed: its holder is a task or a workflow, and not a process. The label
says that it is one of these. A Lease without it is never changed, whatever its name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog

from pkg.apis.flow.v1alpha1.locks import LOCK_LABEL, LockKind, LockName, lease_name
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import GVR, ObjectMeta
from pkg.controllers.workflow.create_faults import may_have_worked, reason_of
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    Failed,
    GiveBack,
    GivenBack,
    Held,
    LeaseCall,
    Place,
    Rewritten,
    Take,
    TakeAgain,
    Taken,
    TakenByOther,
)
from pkg.controllers.workflow.planner.locks.holders import Holder, LockAnswer
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.errors import Conflict, Exists, KubeError, NotFound, Stopped

LEASES: Final = GVR("coordination.k8s.io", "v1", "leases")
_LOCK: Final = "flow.workflow.sh/lock-name"
_PLACE: Final = "flow.workflow.sh/lock-place"
_WORKFLOW: Final = "flow.workflow.sh/holder-workflow"
_UID: Final = "flow.workflow.sh/holder-uid"
_FLOW: Final = "flow.workflow.sh/holder-flow"
_INDEX: Final = "flow.workflow.sh/holder-index"
_KINDS: Final = "flow.workflow.sh/holder-kinds"
_MAX_WORDS: Final = 300
_log = structlog.get_logger("workflow.locks")


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The part of the spec that is read."""

    acquire_time: str | None = None


class Lease(msgspec.Struct, frozen=True):
    """A Lease."""

    metadata: ObjectMeta
    spec: LeaseSpec = LeaseSpec()


def read(lease: Lease) -> Held | None:
    """Which place a Lease stands for, and who has it; None if it is none of ours."""
    meta = lease.metadata
    kind, notes = meta.labels.get(LOCK_LABEL), meta.annotations
    if kind not in tuple(LockKind):
        return None
    lock, number, index = LockName(LockKind(kind), notes.get(_LOCK, "")), _number(notes, _PLACE), _number(notes, _INDEX)
    workflow, uid = notes.get(_WORKFLOW, ""), notes.get(_UID, "")
    if number is None or not workflow or not uid or meta.name != lease_name(lock, number):
        return None
    flow = notes.get(_FLOW, "")
    holder = Holder(f"{meta.namespace}/{workflow}", uid, flow, index or 0, index is not None)
    kinds = tuple(part for part in notes.get(_KINDS, "").split(",") if part)
    since = (lease.spec.acquire_time or "").partition(".")[0].removesuffix("Z")
    place = Place(lock, number)
    return Held(place, holder, meta.uid, int(meta.resource_version), f"{since}Z" if since else "", kinds)


def written(namespace: str, call: Take, now: str) -> dict[str, Any]:
    """The Lease that says that a holder has a place. now: RFC 3339 with microseconds."""
    place, holder = call.place, call.holder
    notes = {
        _LOCK: place.lock.name,
        _PLACE: str(place.number),
        _WORKFLOW: holder.key.partition("/")[2],
        _UID: holder.uid,
        _KINDS: ",".join(call.kinds),
    }
    if holder.flow:
        notes[_FLOW] = holder.flow
    if holder.is_indexed:
        notes[_INDEX] = str(holder.index)
    return {
        "apiVersion": LEASES.api_version,
        "kind": "Lease",
        "metadata": {
            "name": lease_name(place.lock, place.number),
            "namespace": namespace,
            "labels": {LOCK_LABEL: place.lock.kind.value},
            "annotations": notes,
        },
        "spec": {"holderIdentity": holder.identity, "acquireTime": now, "renewTime": now},
    }


class LeaseCalls:
    """Makes the calls. now: RFC 3339 with microseconds. `make` raises Stopped when the client is shutting down."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def make(self, namespace: str, call: LeaseCall, now: str) -> CallAnswer:
        """Makes a call, and says what came of it. To take a place costs three requests at most, and one as a rule."""
        try:
            match call:
                case Take():
                    return self._take(namespace, call, now)
                case TakeAgain(held):
                    return self._take_again(namespace, held, now)
                case GiveBack():
                    return self._give_back(namespace, call)
        except Stopped:
            raise
        except KubeError as error:
            _log.debug("a call for a lock failed", lock=str(call.place.lock), error=str(error))
            return Failed(explained(error), may_have_worked(error))

    def _take(self, namespace: str, call: Take, now: str) -> CallAnswer:
        try:
            made = self._client.create(LEASES, namespace, written(namespace, call, now), Lease)
        except Exists:
            # Perhaps by an earlier try of this very call, whose answer was lost.
            found = self._get(namespace, call.place)
            if found is None:
                return TakenByOther()
            held = read(found)
            if held is None or held.holder != call.holder:
                return TakenByOther(held, is_stranger=held is None)
            return self._take_again(namespace, held, now, is_shared=True)
        held = read(made)
        return Taken(held) if held is not None else TakenByOther(is_stranger=True)

    def _take_again(self, namespace: str, held: Held, now: str, *, is_shared: bool = False) -> CallAnswer:
        name = lease_name(held.place.lock, held.place.number)
        version = {"uid": held.uid, "resourceVersion": str(held.version)}
        body = msgspec.json.encode({"metadata": version, "spec": {"renewTime": now}})
        try:
            found = self._client.patch(LEASES, namespace, name, body, content_type=MERGE_PATCH, type=Lease)
        except NotFound:
            return TakenByOther()
        except Conflict as error:
            seen = self._get(namespace, held.place)
            other = read(seen) if seen is not None else None
            if other is None or other.holder != held.holder:
                return TakenByOther(other, is_stranger=seen is not None and other is None)
            if is_shared:
                return Failed(explained(error))
            return self._take_again(namespace, other, now, is_shared=True)
        taken = read(found)
        return Taken(taken, is_shared) if taken is not None else TakenByOther(is_stranger=True)

    def _give_back(self, namespace: str, call: GiveBack) -> CallAnswer:
        held = call.held
        if held is None:  # its creation had no answer
            own = self._own(namespace, call)
            return Rewritten(own) if own is not None else GivenBack()
        name = lease_name(call.place.lock, call.place.number)
        try:
            self._client.delete(LEASES, namespace, name, uid=held.uid, resource_version=str(held.version))
        except NotFound:
            return GivenBack()
        except Conflict:
            # Another controller has taken it again for the same holder, and may be about to make its job.
            own = self._own(namespace, call)
            return Rewritten(own) if own is not None else GivenBack()
        return GivenBack()

    def _own(self, namespace: str, call: GiveBack) -> Held | None:
        """The Lease of the place as it is now, if the holder has it."""
        found = self._get(namespace, call.place)
        held = read(found) if found is not None else None
        return held if held is not None and held.holder == call.holder else None

    def _get(self, namespace: str, place: Place) -> Lease | None:
        try:
            return self._client.get(LEASES, namespace, lease_name(place.lock, place.number), Lease)
        except NotFound:
            return None


_TROUBLE: Final = {
    Reasons.QUOTA_EXCEEDED: "a quota leaves no room for the Lease of a lock",
    Reasons.FORBIDDEN: "the controller may not write the Lease of a lock",
    Reasons.ADMISSION_DENIED: "the Lease of a lock was denied",
    Reasons.NAMESPACE_TERMINATING: "the Lease of a lock cannot be written",
    Reasons.CREATE_FAILED: "the Lease of a lock cannot be written",
}
_ADVICE: Final = {
    Reasons.QUOTA_EXCEEDED: "raise it by one for each lock that is held",
    Reasons.FORBIDDEN: "docs/locks.md says which rights it needs",
    Reasons.ADMISSION_DENIED: "correct the policy that denies it",
    Reasons.NAMESPACE_TERMINATING: "nothing can be created in this namespace any more",
    Reasons.CREATE_FAILED: "it is tried again",
}


def explained(error: KubeError) -> LockAnswer:
    """What a task reads that waits because a Lease cannot be written."""
    reason = reason_of(error)
    return LockAnswer(reason, f"{_TROUBLE[reason]}: {str(error)[:_MAX_WORDS]}; {_ADVICE[reason]}")


def _number(notes: dict[str, str], name: str) -> int | None:
    text = notes.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
