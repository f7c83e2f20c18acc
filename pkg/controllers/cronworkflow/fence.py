"""Whether the caches are as new as the cluster was when this process began to lead.

A CronWorkflow whose cached status is old may have a run that is not in the cache any more, because the leader before
has deleted it: it would be made again. An old cache of Workflows hides runs that have not ended.
"""

from __future__ import annotations

import threading

import structlog

from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, CronWorkflow, Workflow
from pkg.apis.meta import PartialObject
from pkg.controllers.engine.store import Store
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, Stopped

_PAGE_LIMIT = 5000
_log = structlog.get_logger("cronworkflow.fence")


class Fence:
    """Thread-safe. The versions of CronWorkflows are read once in each term, by the first worker that asks."""

    def __init__(
        self, client: Client, namespace: str | None, crons: Store[CronWorkflow], workflows: Store[Workflow]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._crons = crons
        self._workflows = workflows
        self._lock = threading.Lock()
        self._newest_workflow = 0
        self._newest_cron: int | None = 0
        self._is_passed = False

    def begin_term(self, newest_workflow: int) -> None:
        """This process leads now. newest_workflow: the highest resourceVersion of a Workflow at that moment."""
        with self._lock:
            self._newest_workflow, self._newest_cron, self._is_passed = newest_workflow, None, False

    def is_behind(self) -> bool:
        """Whether the caches are older than the term, or it is not known."""
        if self._is_passed:
            return False
        with self._lock:
            if self._newest_cron is None:
                self._newest_cron = self._read()
            self._is_passed = (
                self._newest_cron is not None
                and self._crons.synced
                and self._crons.synced_rv >= self._newest_cron
                and self._workflows.synced_rv >= self._newest_workflow
            )
            return not self._is_passed

    def _read(self) -> int | None:
        """The highest resourceVersion of a CronWorkflow, not from the API server's cache; None if it cannot be read."""
        newest, token = 0, ""
        try:
            while True:
                page = self._client.list_page(
                    CRONWORKFLOWS,
                    self._namespace,
                    PartialObject,
                    continue_=token,
                    metadata_only=True,
                    limit=_PAGE_LIMIT,
                )
                newest = max([newest, *(int(item.metadata.resource_version) for item in page.items)])
                token = page.continue_
                if not token:
                    return newest
        except Stopped:
            return None
        except KubeError as error:
            _log.warning("CronWorkflows cannot be listed, it is tried again", error=str(error))
            return None
