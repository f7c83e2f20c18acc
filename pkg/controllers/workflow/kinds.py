"""Which kinds are served, asked in the background: no worker waits for discovery.

A kind that is not served yet is asked for again and again, slowly, and whoever waits for it is told when it appears.
Known ones are asked for again when their CRD changes; while a CRD is being deleted its kind counts as not served.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.snapshot import Kind
from pkg.kube.discovery import Discovery, Resource
from pkg.kube.errors import KubeError, NotServed, Stopped
from pkg.workloads import rules_for

_log = structlog.get_logger("workflow.kinds")
RETRY_SECONDS = 1.0
# One 404 may be a CRD that is being set up; absence is believed after this long.
CERTAIN_SECONDS = 1.5
# In the first two seconds of a kind the API server answers no creation before two more have passed: those who wait have
# their job sooner, and hold up no worker meanwhile. The tenth is for the event that told of it.
SETTLING_SECONDS = 2.1
# Of those that are known to be absent so many are asked for in a round, whoever waits longest first: what people write
# into templates must not turn into a stream of calls.
ABSENT_AT_ONCE = 20


class Kinds:
    """What is known of each kind: a Kind, None when it is not served, or not known yet.

    on_change(gvr): that became another; on_coming(gvr): the kind will be served in a moment, so that its cache may be
    made ready.
    """

    def __init__(
        self, discovery: Discovery, on_change: Callable[[GVR], None], on_coming: Callable[[GVR], object]
    ) -> None:
        self._discovery = discovery
        self._on_change = on_change
        self._on_coming = on_coming
        self._lock = threading.Condition()
        self._known: dict[GVR, Kind | None] = {}
        self._asked: set[GVR] = set()
        self._absent: dict[GVR, float] = {}
        self._told: dict[GVR, float] = {}
        self._going: set[str] = set()  # CRDs, by `plural.group`, that are being deleted
        self._stale: set[GVR] = set()  # known, and to be asked for again
        self._changed: dict[GVR, float] = {}  # when the CRD of a kind that was not served changed last
        self._settled_at: dict[GVR, float] = {}  # of kinds that have just come
        self._shapeless: dict[GVR, float] = {}  # served, but not described yet; since when
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kinds", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._stopping.set()
            self._lock.notify_all()

    def get(self, gvr: GVR) -> Kind | None:
        """The kind if it is known and served; asks in the background otherwise. Never waits."""
        kind = self._known.get(gvr)
        if kind is None and gvr not in self._asked:
            with self._lock:
                self._asked.add(gvr)
                self._lock.notify_all()
        return kind

    def is_answered(self, gvr: GVR) -> bool:
        """Whether the server has said whether it serves the kind."""
        return gvr in self._known

    def is_absent(self, gvr: GVR) -> bool:
        """Whether it is certain that the kind is not served: the server said so more than once, over more than a
        second.
        """
        since = self._absent.get(gvr)
        return since is not None and self._told.get(gvr, since) - since >= CERTAIN_SECONDS

    def lose(self, gvr: GVR) -> None:
        """The kind went away (its CRD was deleted)."""
        self._discovery.refresh(gvr)
        with self._lock:
            self._known[gvr] = None
            self._asked.add(gvr)
            self._lock.notify_all()

    def crd_changed(self, name: str, is_going: bool) -> None:
        """A CRD (`plural.group`) came, changed, is being deleted, or is gone."""
        touched = [gvr for gvr in tuple(self._asked) if gvr.group and f"{gvr.resource}.{gvr.group}" == name]
        for gvr in touched:
            self._discovery.refresh(gvr)
        lost: list[GVR] = []
        with self._lock:
            if is_going:
                self._going.add(name)
                lost = [gvr for gvr in touched if self._known.get(gvr) is not None]
                self._known.update(dict.fromkeys(lost))
            else:
                self._going.discard(name)
                self._stale.update(touched)
                self._changed.update({gvr: time.monotonic() for gvr in touched if self._known.get(gvr) is None})
            self._lock.notify_all()
        for gvr in lost:
            _log.info("kind is going away", gvr=str(gvr))
            self._on_change(gvr)

    def is_going(self, gvr: GVR) -> bool:
        """Whether the kind's CRD is being deleted."""
        return f"{gvr.resource}.{gvr.group}" in self._going

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                missing = self._missing()
                self._stale.clear()
            tried = set(missing)
            for gvr in missing:
                try:
                    self._ask(gvr)
                except Exception:
                    _log.exception("asking for a kind failed unexpectedly, it is tried again", gvr=str(gvr))
            with self._lock:
                if self._stopping.is_set():
                    return
                is_open = any(self._known.get(gvr) is None for gvr in self._asked)
                is_fresh = any(gvr not in self._known and gvr not in tried for gvr in self._asked)
                if not is_fresh and not self._stale:
                    now = time.monotonic()
                    settles = [at - now for at in self._settled_at.values() if at > now]
                    self._lock.wait(min([RETRY_SECONDS, *settles]) if is_open else None)

    def _missing(self) -> list[GVR]:
        """Whom to ask for in this round."""
        found = [gvr for gvr in self._asked if self._known.get(gvr) is None or gvr in self._stale]
        prompt = self._stale | self._settled_at.keys()
        absent = {gvr for gvr in found if gvr not in prompt and self.is_absent(gvr)}
        turn = sorted(absent, key=lambda gvr: self._told[gvr])[:ABSENT_AT_ONCE]
        return [*(gvr for gvr in found if gvr not in absent), *turn]

    def _ask(self, gvr: GVR) -> None:
        if self.is_going(gvr):
            self._known[gvr] = None
            return
        was_absent = self.is_absent(gvr)
        try:
            found = self._discovery.resolve(gvr, absent_for=RETRY_SECONDS / 2)
        except NotServed:
            now = time.monotonic()
            is_news = gvr not in self._known
            self._known[gvr] = None
            self._absent.setdefault(gvr, now)
            self._told[gvr] = now
            self._settled_at.pop(gvr, None)
            if is_news or self.is_absent(gvr) != was_absent:
                self._on_change(gvr)
            return
        except Stopped:
            return
        except KubeError as error:
            _log.warning("discovery failed, it is tried again", gvr=str(gvr), error=str(error))
            return
        if "create" not in found.verbs and "delete" in found.verbs:
            self._closing(gvr)
            return
        if gvr in self._absent and not self._is_settled(gvr, found):
            return
        self._absent.pop(gvr, None)
        row = rules_for(gvr)
        refused = row.refused
        if not found.namespaced:
            refused = f"{gvr} is cluster-scoped; a workflow makes namespaced objects only"
        elif "create" not in found.verbs:
            refused = f"{gvr} cannot be created (its verbs are {', '.join(sorted(found.verbs))})"
        elif not row.resource and not refused:
            has_spec = self._has_spec(gvr, found.kind)
            if has_spec is None:
                return
            if not has_spec:
                refused = f"{found.kind} has no .spec, so there is no place for the template's jobSpec"
        kind = Kind(kind=found.kind, row=row, refused=refused)
        if self._known.get(gvr) == kind:
            return
        self._known[gvr] = kind
        _log.info("kind served", gvr=str(gvr), kind=found.kind)
        self._on_change(gvr)

    def _is_settled(self, gvr: GVR, found: Resource) -> bool:
        """Whether a kind that was not served may be used by now."""
        now = time.monotonic()
        if gvr not in self._settled_at:
            self._settled_at[gvr] = self._changed.get(gvr, now) + SETTLING_SECONDS
            if found.namespaced and "create" in found.verbs:
                self._on_coming(gvr)
        if now < self._settled_at[gvr]:
            return False
        del self._settled_at[gvr]
        self._changed.pop(gvr, None)
        return True

    def _closing(self, gvr: GVR) -> None:
        """A resource that lets nothing new in, but lets objects go, is of a CRD that is being deleted: not served."""
        self._discovery.refresh(gvr)
        was_served = self._known.get(gvr) is not None or gvr not in self._known
        self._known[gvr] = None
        if was_served:
            _log.info("kind is going away", gvr=str(gvr))
            self._on_change(gvr)

    def _has_spec(self, gvr: GVR, kind: str) -> bool | None:
        """Whether objects of a kind that has no row have a spec; None if that is to be asked again.

        A server that does not describe a kind within a moment is taken at its word that it serves it.
        """
        try:
            found = self._discovery.has_spec(gvr, kind)
        except Stopped:
            return None
        except KubeError as error:
            _log.warning("the schema of a kind cannot be read", gvr=str(gvr), error=str(error))
            found = None
        since = self._shapeless.setdefault(gvr, time.monotonic())
        if found is None and time.monotonic() - since < CERTAIN_SECONDS:
            return None
        del self._shapeless[gvr]
        return found is not False
