"""Finds out in the background which kinds are served, so no worker waits for discovery.

Discovery is repeated, slowly, for a kind that is not served yet, and its users are requeued when it appears. It is
repeated for a known kind when its CRD changes; while a CRD is being deleted its kind counts as not served. `Schemas`
adds the types of the fields of each kind.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import structlog

from pkg.apis.flow.v1alpha1.bare import is_bare
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA
from pkg.apis.meta import GVR
from pkg.controllers.engine.activity import Activity
from pkg.kinds.kind import Kind
from pkg.kinds.kind_state import (
    Absent,
    Asked,
    Closing,
    CrdChanged,
    CrdDeleted,
    Described,
    Effect,
    Input,
    KindState,
    KindTiming,
    SchemaChanged,
    Served,
    Unanswered,
    Undescribed,
    advance,
    pause,
    to_ask,
)
from pkg.kinds.schemas import Schemas, SchemaTiming
from pkg.kube.discovery import Discovery, Resource
from pkg.kube.errors import KubeError, NotServed, Stopped
from pkg.workloads import rules_for

_log = structlog.get_logger("workflow.kinds")
_UNKNOWN = KindState()


class Kinds:
    """What is known of each kind. Thread-safe.

    on_change(gvr): the kind is usable, has changed, or is not served any more; on_coming(gvr): the kind will be
    usable in a moment, so its cache may be made ready. Both run in the thread that learned of it.
    """

    def __init__(
        self,
        discovery: Discovery,
        on_change: Callable[[GVR], None],
        on_coming: Callable[[GVR], object],
        timing: KindTiming | None = None,
        schema_timing: SchemaTiming | None = None,
    ) -> None:
        self._discovery = discovery
        self._schemas = Schemas(discovery, self._schema_changed, schema_timing)
        self._on_change = on_change
        self._on_coming = on_coming
        self._timing = timing or KindTiming()
        self._lock = threading.Condition()
        self._states: dict[GVR, KindState] = {}
        self._deleted_crds: set[str] = set()  # by `plural.group`; they still exist
        self._failing: dict[GVR, float] = {}  # since when discovery fails; infinite once that is reported
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="discovery", daemon=True)
        self.activity = Activity(self._thread)

    def start(self) -> None:
        self._schemas.start()
        self._thread.start()

    def stop(self) -> None:
        self._schemas.stop()
        with self._lock:
            self._stopping.set()
            self._lock.notify_all()

    def get(self, gvr: GVR) -> Kind | None:
        """The kind if it is known and served; starts discovery in the background otherwise. Never waits."""
        state = self._states.get(gvr)
        if state is None:
            with self._lock:
                state = self._states.setdefault(gvr, _UNKNOWN)
                self._lock.notify_all()
        return state.kind

    def is_answered(self, gvr: GVR) -> bool:
        """Whether the server has said whether it serves the kind."""
        return self._states.get(gvr, _UNKNOWN).is_answered

    def is_absent(self, gvr: GVR) -> bool:
        """Whether it is certain that the kind is not served, by `Discovery.is_gone`."""
        return self._states.get(gvr, _UNKNOWN).is_gone

    def gvrs(self) -> tuple[GVR, ...]:
        """The kinds that were asked for."""
        with self._lock:
            return tuple(self._states)

    def forget(self, gvr: GVR) -> None:
        """Ask for the kind no more, until `get` is called for it again."""
        with self._lock:
            self._states.pop(gvr, None)
        self._failing.pop(gvr, None)
        self._schemas.forget(gvr)
        self._discovery.refresh(gvr)

    def lose(self, gvr: GVR) -> None:
        """The informer found the kind gone (its CRD was deleted). It calls no callback, because the caller knows."""
        self._discovery.refresh(gvr)
        with self._lock:
            self._step(gvr, CrdDeleted())
            self._lock.notify_all()

    def crd_changed(self, name: str, is_deleting: bool) -> None:
        """A CRD (`plural.group`) came, changed, is being deleted, or is gone."""
        touched = [gvr for gvr in tuple(self._states) if gvr.group and f"{gvr.resource}.{gvr.group}" == name]
        for gvr in touched:
            self._discovery.refresh(gvr)
            if not is_deleting:
                self._schemas.refresh(gvr)
        happened = CrdDeleted() if is_deleting else CrdChanged()
        with self._lock:
            (self._deleted_crds.add if is_deleting else self._deleted_crds.discard)(name)
            effects = [(gvr, self._step(gvr, happened)) for gvr in touched]
            self._lock.notify_all()
        for gvr, effect in effects:
            self._carry_out(gvr, effect)

    def _schema_changed(self, gvr: GVR) -> None:
        with self._lock:
            if gvr in self._states:
                self._step(gvr, SchemaChanged())
                self._lock.notify_all()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                asked = to_ask(self._states, time.monotonic(), self._timing)
                known = {gvr for gvr in asked if self._states[gvr].kind is not None}
                for gvr in asked:
                    self._step(gvr, Asked())
            for gvr in asked:
                if gvr in known:
                    self._discovery.refresh(gvr)
                try:
                    with self.activity.of(str(gvr)):
                        self._ask(gvr)
                except Exception:
                    self._take(gvr, Unanswered())
                    _log.exception("discovery of a kind failed unexpectedly, it is tried again", gvr=str(gvr))
            with self._lock:
                if self._stopping.is_set():
                    return
                seconds = pause(self._states, set(asked), time.monotonic(), self._timing)
                if seconds != 0:
                    self._lock.wait(seconds)

    def _ask(self, gvr: GVR) -> None:
        if f"{gvr.resource}.{gvr.group}" in self._deleted_crds:
            self._take(gvr, CrdDeleted())
            return
        try:
            found = self._discovery.resolve(gvr, absent_for=self._timing.retry / 2)
        except NotServed:
            self._failing.pop(gvr, None)
            self._take(gvr, Absent(self._is_gone(gvr)))
            return
        except Stopped:
            return
        except KubeError as error:
            self._take(gvr, Unanswered())
            self._report(gvr, error)
            return
        self._failing.pop(gvr, None)
        is_creatable = "create" in found.verbs
        if not is_creatable and "delete" in found.verbs:
            self._discovery.refresh(gvr)
            self._take(gvr, Closing())
            return
        if self._take(gvr, Served(found.namespaced and is_creatable and _is_readable(found))).absent_since is not None:
            return  # the kind has just come, and is not usable yet
        row, refused = rules_for(gvr), _refusal(gvr, found)
        has_spec = not is_bare(gvr) if row.resource or refused else self._has_spec(gvr, found.kind)
        if has_spec is not None:
            schema = self._schemas.get(gvr, found.kind).schema if not refused else NO_SCHEMA
            kind = Kind(found.kind, row, refused, has_status=found.has_status, schema=schema, has_spec=has_spec)
            self._take(gvr, Described(kind))

    def _report(self, gvr: GVR, error: KubeError) -> None:
        """One warning for a discovery that keeps failing, however often it is tried."""
        now = time.monotonic()
        is_lasting = now - self._failing.setdefault(gvr, now) >= self._timing.lasting
        if is_lasting:
            self._failing[gvr] = math.inf
        say = _log.warning if is_lasting else _log.debug
        say("discovery of a kind failed, it is tried again", gvr=str(gvr), error=str(error))

    def _is_gone(self, gvr: GVR) -> bool:
        """Whether the absence that discovery shows is certain; asked only where the answer makes a difference."""
        state = self._states.get(gvr, _UNKNOWN)
        if state.is_gone or not (state.kind is not None or state.is_long_absent(self._timing)):
            return state.is_gone
        try:
            return self._discovery.is_gone(gvr)
        except KubeError as error:
            _log.warning("discovery failed, so it is not certain that the kind is gone", gvr=str(gvr), error=str(error))
            return False

    def _take(self, gvr: GVR, happened: Input) -> KindState:
        with self._lock:
            effect = self._step(gvr, happened)
            state = self._states[gvr]
        self._carry_out(gvr, effect)
        return state

    def _step(self, gvr: GVR, happened: Input) -> Effect:
        """Call with the lock held."""
        step = advance(self._states.get(gvr, _UNKNOWN), happened, time.monotonic(), self._timing)
        self._states[gvr] = step.state
        return step.effect

    def _carry_out(self, gvr: GVR, effect: Effect) -> None:
        match effect:
            case Effect.NONE:
                return
            case Effect.COMING:
                self._on_coming(gvr)
                return
            case Effect.CHANGED | Effect.ABSENT:
                pass
            case Effect.SERVED:
                _log.info("kind served", gvr=str(gvr))
            case Effect.GONE:
                _log.info("kind is no longer served", gvr=str(gvr))
        self._on_change(gvr)

    def _has_spec(self, gvr: GVR, kind: str) -> bool | None:
        """Whether objects of a kind that has no row have a spec; None if that is not known yet.

        A kind that the server does not describe in its schema within a moment counts as having one.
        """
        known = self._schemas.get(gvr, kind)
        if known.has_spec is not None:
            return known.has_spec
        state = self._take(gvr, Undescribed())
        return True if known.schema is not None or state.is_schema_overdue(time.monotonic(), self._timing) else None


def _is_readable(found: Resource) -> bool:
    """Whether an informer can follow its objects. A review of access, for example, can only be created."""
    return {"list", "watch"} <= set(found.verbs)


def _refusal(gvr: GVR, found: Resource) -> str:
    """Why no job of the kind can be created, empty if one can."""
    if not found.namespaced:
        return f"{gvr} is cluster-scoped; a workflow creates namespaced objects only"
    if "create" not in found.verbs:
        return f"{gvr} cannot be created (its verbs are {', '.join(sorted(found.verbs))})"
    if not _is_readable(found):
        return f"{gvr} cannot be listed and watched (its verbs are {', '.join(sorted(found.verbs))}), so no end is seen"
    return rules_for(gvr).refused
