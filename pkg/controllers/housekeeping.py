"""Drops data that is no longer needed: kinds without users, and on a standby what only a leader uses.

A standby keeps its caches warm, so it sees every job come and go. Data that grows with each job must not pile up there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.ledger import Ledger
from pkg.kinds.kinds import Kinds

INTERVAL_SECONDS = 30.0
_log = structlog.get_logger("controller")


class Swept(Protocol):
    """An InformerSet of any type."""

    def sweep(self) -> None:
        """Drop what no store needs any more."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """is_leader(): whether this process leads; users_of(gvr): the workflows that use a kind; requeue_users(gvr):
    requeue them; forget_series(gvr): drop the metrics of a kind; release_objects(): stop to follow kinds of which no
    task applies or deletes an object.
    """

    informers: Sequence[Swept]
    jobs: InformerSet[Job]
    templates: Store[WorkTemplate]
    kinds: Kinds
    ledger: Ledger
    is_leader: Callable[[], bool]
    users_of: Callable[[GVR], Sequence[str]]
    requeue_users: Callable[[GVR], None]
    forget_series: Callable[[GVR], None]
    release_objects: Callable[[], None] = lambda: None

    def run(self, stopping: threading.Event) -> None:
        """A round every INTERVAL_SECONDS until `stopping` is set. For a thread of its own."""
        while not stopping.wait(INTERVAL_SECONDS):
            try:
                self.round()
            except Exception:
                _log.exception("housekeeping failed unexpectedly, it is tried again")

    def round(self) -> None:
        """One round."""
        for informers in self.informers:
            informers.sweep()
        if not self.is_leader():
            self.ledger.age_gone()
        self._forget_kinds()
        self.release_objects()

    def _forget_kinds(self) -> None:
        """Kinds that no template names, no workflow uses and of which no job exists."""
        named = {template.spec.gvr.gvr for template in self.templates.values()}
        for gvr in {*self.kinds.gvrs(), *self.jobs.gvrs()} - named:
            store = self.jobs.get(gvr)
            if self.users_of(gvr) or (store is not None and len(store)):
                continue
            self.jobs.release(gvr)
            self.kinds.forget(gvr)
            self.forget_series(gvr)
            _log.info("kind is no longer used", gvr=str(gvr))
            # A workflow that began to use it meanwhile may count on what was released: its next reconcile asks anew.
            self.requeue_users(gvr)
