"""What the webhook knows of the cluster: WorkTemplates, and the schemas of the kinds that they name.

Both come from caches that are filled in the background. A request makes no call to the API server, so it cannot hang on
one: what is not in a cache yet gives no warning.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from pkg.apis.flow.v1alpha1.edges import TemplateEdges, read_edges
from pkg.apis.flow.v1alpha1.schema import Schema
from pkg.apis.flow.v1alpha1.types import WORKTEMPLATES, WorkTemplate
from pkg.apis.meta import GVR
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.listwatch import ReflectorMetrics
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.kinds.kind_state import KindTiming
from pkg.kinds.kinds import Kinds
from pkg.kinds.schemas import SchemaTiming
from pkg.kube.client import Client
from pkg.kube.discovery import Discovery, is_built_in
from pkg.webhooks.handlers import FoundTemplates
from pkg.workloads import registry

#: So many kinds are known at once. Those that nobody asked for longest are forgotten.
MAX_KINDS: Final = 200
# `kubectl apply` sends a Workflow a few milliseconds after its templates. So long the watch may be behind.
_PATIENCE: Final = 0.25
# So many requests wait for the watch at once; others are answered with what is known.
_WAITING: Final = 4
# Without the templates for so long (no permission, say), the webhook serves all the same.
_GRACE: Final = 10.0
# Nothing here tells of a CRD that comes or changes, so the server is asked now and then.
_KIND_TIMING: Final = KindTiming(retry=15.0)
_SCHEMA_TIMING: Final = SchemaTiming(renew=300.0)


class CachedCatalogue:
    """The catalogue of one process. Thread-safe."""

    def __init__(self, client: Client, metrics: ReflectorMetrics | None = None, *, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._kinds = Kinds(Discovery(client), _ignore, _ignore, _KIND_TIMING, _SCHEMA_TIMING)
        self._informers = InformerSet(client, None, WorkTemplate, EventHandlers(self._changed), metrics=metrics)
        self._store = self._informers.prepare(WORKTEMPLATES)
        self._news = threading.Condition()
        self._waiting = threading.BoundedSemaphore(_WAITING)
        self._read: dict[str, tuple[WorkTemplate, TemplateEdges]] = {}
        self._asked: OrderedDict[GVR, None] = OrderedDict()
        self._lock = threading.Lock()
        self._started = 0.0

    def start(self) -> None:
        self._started = time.monotonic()
        self._kinds.start()
        self._informers.ensure(WORKTEMPLATES)
        for gvr in _likely():
            self.schema(gvr)

    def stop(self) -> None:
        """Returns at once."""
        self._informers.stop()
        self._kinds.stop()

    def lacks(self) -> str | None:
        """What a new process should wait for before it serves; None if it need not wait."""
        if self._informers.is_synced(WORKTEMPLATES) or time.monotonic() - self._started > _GRACE:
            return None
        return "the WorkTemplates have not been read yet"

    def templates(self, namespace: str, names: frozenset[str], /) -> FoundTemplates:
        """The templates of these names. Waits a moment for the watch if one is missing that may just have been made."""
        found = self._cached(namespace, names)
        if len(found) < len(names) and self._informers.is_synced(WORKTEMPLATES):
            if self._waiting.acquire(blocking=False):
                try:
                    found = self._awaited(namespace, names)
                finally:
                    self._waiting.release()
            return FoundTemplates(found, names - found.keys())
        return FoundTemplates(found)

    def template(self, namespace: str, name: str) -> WorkTemplate | None:
        """The template as it is cached."""
        return self._store.get(f"{namespace}/{name}")

    def schema(self, gvr: GVR, /) -> Schema | None:
        """The schema of a kind; None while it is not known. The first call makes it be read in the background."""
        with self._lock:
            self._asked[gvr] = None
            self._asked.move_to_end(gvr)
            oldest = self._asked.popitem(last=False)[0] if len(self._asked) > MAX_KINDS else None
        if oldest is not None:
            self._kinds.forget(oldest)
        kind = self._kinds.get(gvr)
        return kind.schema if kind is not None else None

    def _awaited(self, namespace: str, names: frozenset[str]) -> dict[str, TemplateEdges]:
        end = time.monotonic() + self._patience
        with self._news:
            while True:
                found = self._cached(namespace, names)
                left = end - time.monotonic()
                if len(found) == len(names) or left <= 0:
                    return found
                self._news.wait(left)

    def _cached(self, namespace: str, names: frozenset[str]) -> dict[str, TemplateEdges]:
        found: dict[str, TemplateEdges] = {}
        for name in names:
            key = f"{namespace}/{name}"
            template = self._store.get(key)
            if template is None:
                continue
            read = self._read.get(key)
            if read is None or read[0] is not template:
                read = self._read[key] = (template, read_edges(template.spec))
            found[name] = read[1]
        return found

    def _changed(self, _gvr: GVR, deltas: Sequence[Delta[WorkTemplate]]) -> None:
        for delta in deltas:
            if delta.new is None:
                self._read.pop(delta.key, None)
            else:
                self.schema(delta.new.spec.gvr.gvr)
        with self._news:
            self._news.notify_all()


def _likely() -> list[GVR]:
    """Kinds of the table that every cluster serves, and those of one version: so that their schemas are there early."""
    return [
        GVR(row.group, row.version or "v1", row.resource)
        for row in registry().kinds
        if not row.refused and is_built_in(GVR(row.group, "v1", row.resource))
    ]


def _ignore(_gvr: GVR) -> None:
    """Nobody waits for a kind here."""
