"""What happens as this process begins and ends to lead."""

from __future__ import annotations

import structlog

from pkg.controllers.cronworkflow.controller import CronController
from pkg.controllers.event_handlers import Handlers
from pkg.controllers.workflow.reconciler import Reconciler

_log = structlog.get_logger("controller")


class TermHandlers:
    """At the start of a term everything is requeued; at its end this process forgets what only a leader needs."""

    def __init__(self, reconciler: Reconciler, handlers: Handlers, crons: CronController) -> None:
        self._reconciler = reconciler
        self._handlers = handlers
        self._crons = crons

    def begin(self, fences: dict[str, int]) -> None:
        self._reconciler.begin_term(fences)
        self._crons.begin_term(max(fences.values(), default=0))

    def acting(self, fences: dict[str, int]) -> None:
        _log.info("acting", workflows=self._handlers.requeue_all(fences), cronworkflows=self._crons.requeue_all())

    def end(self) -> None:
        self._crons.end_term()
        self._reconciler.end_term()
        self._handlers.requeue_known()
