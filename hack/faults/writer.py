"""Acts as the operator of the custom resource: sets jobs Running, Succeeded or Failed, and deletes some by hand.

kwok handles one object of a kind at a time; this writes from several threads. It also records all jobs it ever saw, by
the attempt that their labels name, and the evidence of what they handed to each other. A job hands out its values when
it succeeds, and others a little later: whoever reads it twice gets two values.

It approves the gate of each workflow, as a person would, and changes its mind when it is too late.

Of the objects that tasks apply it lets the service succeed like a job. An object that is deleted is held by its
finalizer for a while. Then another one gets its name, which the task has nothing to do with.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from zlib import crc32

from hack.faults.evidence import Evidence
from hack.faults.following import Following, Object
from hack.faults.load import FAULT_JOBS, GATE, HELD, PAGE, SERVICE, SIZES, Attempt, fate, parts, to_delete
from hack.faults.lock_evidence import LockEvidence
from hack.faults.schedules import ScheduleEvidence, is_run
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import GVR, PartialObject, seconds
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.config import load_config
from pkg.kube.errors import Conflict, Exists, KubeError, NotFound

_THREADS = 4
_AGAIN = 0.25
_PATIENCE = 20.0
"""Seconds for which the deletion of a job waits until status records the job. After that the job succeeds instead."""


_REREAD = 0.5
"""Seconds after which a job that has succeeded hands out other values."""
_HOLD = (0.2, 3.0)
"""Seconds for which a finalizer holds what is deleted."""
_OTHERS = "other values"
_RELEASE = "release"
_SUCCESSOR = "successor"
_APPROVE, _REJECT = "Approve", "Reject"
_HAND_OUT = {"prepare": "parts", "train": "score", SERVICE: "address"}
"""The field of its status in which a job, or the service, hands out its value."""
_CONFIG_MAPS = GVR("", "v1", "configmaps")


@dataclass(slots=True, order=True)
class _Due:
    """One step of a job, at a time of the monotonic clock; `then`: seconds until the next step, and that step."""

    at: float
    name: str
    uid: str = field(compare=False)
    attempt: Attempt = field(compare=False)
    what: str = field(compare=False)
    since: float = field(compare=False)
    then: tuple[float, str] | None = field(compare=False, default=None)


class Writer:
    """Completes every job of a namespace; a context manager.

    seconds: the range of their lengths; running: the share of jobs that are seen running; fate: how each ends, as
    `load.fate` does; handed: what a job of `prepare` hands out, by what tells its values apart.
    """

    def __init__(
        self,
        kubeconfig: str,
        namespace: str,
        seconds: tuple[float, float] = (0.2, 1.0),
        *,
        running: float = 0.3,
        fate: Callable[[Attempt], str] = fate,
        handed: Callable[[str], str] = parts,
    ) -> None:
        self._client = Client(load_config(kubeconfig), user_agent="fault-jobs", pool_size=_THREADS + 3)
        self._namespace = namespace
        self._seconds = seconds
        self._running = running
        self._fate = fate
        self._handed = handed
        self._changed = threading.Condition()
        self._heap: list[_Due] = []
        self._recorded: dict[str, dict[str, Object]] = {}
        self._closed = False
        self.jobs: dict[Attempt, set[str]] = {}
        self._evidence = Evidence()
        self.locks = LockEvidence()
        self._schedules = ScheduleEvidence()
        self.living: set[str] = set()
        self._objects: set[str] = set()
        self._held: set[str] = set()
        self.deleted = 0
        self.written = 0
        self._followings = (
            Following(self._client, WORKFLOWS, namespace, self._see_workflow),
            Following(self._client, FAULT_JOBS, namespace, self._see_job),
            Following(self._client, _CONFIG_MAPS, namespace, self._see_config_map),
        )
        self._threads = [threading.Thread(target=self._run, name="job writer", daemon=True) for _ in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for following in self._followings:
            following.close()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(15)
        self._client.abort()

    @property
    def ended(self) -> int:
        """How many workflows have ended, by their phase as last seen."""
        with self._changed:
            return sum(flows.get("", {}).get("phase") in ("Succeeded", "Failed") for flows in self._recorded.values())

    def wrong_data(self, succeeded: Iterable[str]) -> list[str]:
        """Outputs that were lost or read twice, items at a wrong index, objects that should not be gone, and what is
        missing of the workflows that have Succeeded.
        """
        with self._changed:
            return [
                *self._evidence.faults(),
                *self.locks.faults(),
                *(fault for name in succeeded for fault in self._evidence.incomplete(name)),
            ]

    def schedule_faults(self, created: dict[str, float], until: float) -> list[str]:
        """As `ScheduleEvidence.faults`."""
        with self._changed:
            return self._schedules.faults(created, until)

    def _see_workflow(self, event: str, item: Object) -> None:
        name = item["metadata"]["name"]
        with self._changed:
            if is_run(name):
                self._schedules.see(event, item)
                return
            if event == "DELETED":
                self._recorded.pop(name, None)
                return
            status = item.get("status") or {}
            flows: dict[str, Object] = {flow["name"]: flow for flow in status.get("flows", ())}
            self._recorded[name] = {**flows, "": status}
            self._evidence.see_workflow(name, status)
            uid = item["metadata"]["uid"]
            if flows.get(GATE, {}).get("reason") == Reasons.APPROVAL_NEEDED and uid not in self._objects:
                self._objects.add(uid)
                wait = Random(crc32(f"gate {name}".encode())).uniform(*_HOLD)
                now = time.monotonic()
                self._push(_Due(now + wait, name, uid, Attempt(name, GATE, 0, 0), _APPROVE, now, (_REREAD, _REJECT)))

    def _see_config_map(self, event: str, item: Object) -> None:
        meta = item["metadata"]
        if meta["name"].endswith(f"-{PAGE}"):
            with self._changed:
                self._evidence.see_object(meta["name"], meta, item.get("data") or {}, is_gone=event == "DELETED")

    def _see_object(self, event: str, item: Object) -> None:
        """A fault job that is no job of a task: it is applied or deleted."""
        meta = item["metadata"]
        name, uid, is_gone = meta["name"], meta["uid"], event == "DELETED"
        workflow, _, kind = name.rpartition("-")
        attempt = Attempt(workflow, kind, 0, 0)
        with self._changed:
            is_new = self._evidence.see_object(name, meta, item.get("spec") or {}, is_gone=is_gone)
            now = time.monotonic()
            if is_new and not is_gone:
                self._objects.add(uid)
                if kind == SERVICE:
                    self._plan(name, uid, attempt)
            if kind == HELD and is_gone and uid in self._held:
                self._held.discard(uid)
                self._push(_Due(now, name, uid, attempt, _SUCCESSOR, now))
            elif kind == HELD and meta.get("deletionTimestamp") and meta.get("finalizers") and uid not in self._held:
                self._held.add(uid)
                wait = Random(crc32(name.encode())).uniform(*_HOLD)
                self._push(_Due(now + wait, name, uid, attempt, _RELEASE, now))

    def _see_job(self, event: str, item: Object) -> None:
        meta = item["metadata"]
        if labels.WORKFLOW_UID not in (meta.get("labels") or {}) and meta["name"].endswith((f"-{SERVICE}", f"-{HELD}")):
            self._see_object(event, item)
            return
        attempt = attempt_of(item)
        with self._changed:
            self.jobs.setdefault(attempt, set()).add(meta["uid"])
            self._evidence.see_job(attempt, item.get("spec") or {})
            self._evidence.see_delayed(attempt, seconds(meta["creationTimestamp"]))
            self.locks.see(event, attempt, item)
            if event == "DELETED":
                self.living.discard(meta["uid"])
                return
            is_new = meta["uid"] not in self.living
            self.living.add(meta["uid"])
            if is_new and (item.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                self._plan(meta["name"], meta["uid"], attempt)

    def _plan(self, name: str, uid: str, attempt: Attempt) -> None:
        """Plans the steps of a new job; the lock is held."""
        dice = Random(crc32(f"{attempt}".encode()))
        now = time.monotonic()
        length = dice.uniform(*self._seconds)
        # A service that failed would stay so at every attempt: applying it again changes nothing.
        end = "Succeeded" if attempt.flow == SERVICE else self._fate(attempt)
        if dice.random() < self._running:
            half = length / 2
            self._push(_Due(now + half, name, uid, attempt, "Running", now, (half, end)))
        else:
            self._push(_Due(now + length, name, uid, attempt, end, now))

    def _push(self, due: _Due) -> None:
        heapq.heappush(self._heap, due)
        self._changed.notify()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            if due.what == _RELEASE:
                self._release(due)
            elif due.what == _SUCCESSOR:
                self._replace(due)
            elif due.what in (_APPROVE, _REJECT):
                self._decide(due)
            elif due.what != "delete":
                self._write(due)
            elif self._is_recorded(due.attempt):
                self._delete(due)
            elif time.monotonic() - due.since > _PATIENCE:
                self._later(due, _AGAIN, "Succeeded", due.then)
            else:
                self._later(due, _AGAIN, due.what, due.then)

    def _next(self) -> _Due | None:
        """The next step that is due; None at the end."""
        with self._changed:
            while not self._closed:
                left = self._heap[0].at - time.monotonic() if self._heap else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._heap)
                self._changed.wait(left)
        return None

    def _later(self, due: _Due, seconds: float, what: str, then: tuple[float, str] | None) -> None:
        with self._changed:
            if due.uid in self.living or due.uid in self._objects:
                self._push(_Due(time.monotonic() + seconds, due.name, due.uid, due.attempt, what, due.since, then))

    def _write(self, due: _Due) -> None:
        if (due.attempt.flow, due.what) == ("prepare", "Succeeded"):
            with self._changed:
                self._evidence.see_ready(due.attempt.workflow, time.time())
        # The API server compares the UID: a later job of that name is another one.
        body = json.dumps({"metadata": {"uid": due.uid}, "status": self._status(due)}).encode()
        try:
            self._client.patch(
                FAULT_JOBS,
                self._namespace,
                due.name,
                body,
                content_type=MERGE_PATCH,
                type=PartialObject,
                subresource="status",
            )
        except NotFound:
            return
        except KubeError:
            self._later(due, _AGAIN, due.what, due.then)
            return
        with self._changed:
            self.written += 1
        if due.then is not None:
            self._later(due, due.then[0], due.then[1], None)
        elif due.what == "Succeeded" and due.attempt.flow in _HAND_OUT:
            self._later(due, _REREAD, _OTHERS, None)

    def _status(self, due: _Due) -> Object:
        """The status of the job after a step."""
        if due.what == "silent":
            return {"phase": "Succeeded"}
        if due.what not in ("Succeeded", _OTHERS) or due.attempt.flow not in _HAND_OUT:
            return {"phase": due.what}
        by = due.uid if due.what == "Succeeded" else f"{due.uid}, later"
        field = _HAND_OUT[due.attempt.flow]
        return {"phase": "Succeeded", "by": by, field: self._handed(by) if field == "parts" else by}

    def _release(self, due: _Due) -> None:
        """Takes off the finalizer of an object that is being deleted."""
        body = json.dumps({"metadata": {"uid": due.uid, "finalizers": None}}).encode()
        try:
            self._client.patch(
                FAULT_JOBS, self._namespace, due.name, body, content_type=MERGE_PATCH, type=PartialObject
            )
        except (NotFound, Conflict):
            return
        except KubeError:
            self._later(due, _AGAIN, due.what, None)

    def _decide(self, due: _Due) -> None:
        """Approves the gate of a workflow, and a little later rejects it, which must change nothing."""
        wanted = [_APPROVE] if due.what == _APPROVE else [_APPROVE, _REJECT]
        entries = [{"flow": GATE, "decision": decision, "comment": due.uid} for decision in wanted]
        body = json.dumps({"metadata": {"uid": due.uid}, "spec": {"approvals": entries}}).encode()
        try:
            self._client.patch(WORKFLOWS, self._namespace, due.name, body, content_type=MERGE_PATCH, type=PartialObject)
        except (NotFound, Conflict):
            return
        except KubeError:
            self._later(due, _AGAIN, due.what, due.then)
            return
        if due.then is not None:
            self._later(due, due.then[0], due.then[1], None)

    def _replace(self, due: _Due) -> None:
        """Makes another object of the name of one that is gone."""
        try:
            self._client.create(FAULT_JOBS, self._namespace, to_delete(due.attempt.workflow), PartialObject)
        except Exists:
            return
        except KubeError:
            self._later(due, _AGAIN, due.what, None)

    def _delete(self, due: _Due) -> None:
        try:
            self._client.delete(FAULT_JOBS, self._namespace, due.name, uid=due.uid)
        except (NotFound, Conflict):
            return
        except KubeError:
            self._later(due, _AGAIN, due.what, None)
        else:
            with self._changed:
                self.deleted += 1

    def _is_recorded(self, attempt: Attempt) -> bool:
        """Whether the workflow's status records the job of this first attempt."""
        with self._changed:
            flow = self._recorded.get(attempt.workflow, {}).get(attempt.flow)
        if flow is None:
            return False
        if SIZES[attempt.flow] is None:
            return bool(flow.get("attempts"))
        return any(attempt.index in unpack_indexes(flow.get(key, "")) for key in ("pending", "running"))


def attempt_of(job: Object) -> Attempt:
    """Which attempt a job is, by its labels alone."""
    found = {}
    with contextlib.suppress(KeyError):
        found = job["metadata"]["labels"]
    return Attempt(
        found.get(labels.WORKFLOW, "?"),
        found.get(labels.FLOW, "?"),
        int(found.get(labels.INDEX, 0)),
        int(found.get(labels.ATTEMPT, 0)),
    )
