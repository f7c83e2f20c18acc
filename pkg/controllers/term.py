"""The leadership term: from when, and until when, this process may act on workflows.

A new leader acts on a key only once its cached copy is as new as the cluster was when the term began: the resource
versions of that moment are the fences.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import PartialObject
from pkg.controllers.engine.activity import Activity
from pkg.controllers.engine.leadership import Leadership
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, Stopped

_log = structlog.get_logger("controller")
_RETRY_SECONDS = 0.2
_PAGE_LIMIT = 5000


class TermHandlers(Protocol):
    """What happens as a term begins and ends; called in the elector's callback thread."""

    def begin(self, fences: dict[str, int]) -> None:
        """The term begins, and nothing is written yet. fences: key -> resourceVersion."""

    def acting(self, fences: dict[str, int]) -> None:
        """From now on this process may write."""

    def end(self) -> None:
        """This process may not write any more."""


class Term:
    """make_leadership(on_started, on_stopped) makes the elector, or its replacement without election."""

    def __init__(
        self,
        client: Client,
        namespace: str | None,
        make_leadership: Callable[[Callable[[], None], Callable[[], None]], Leadership],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._leadership = make_leadership(self._begin, self._end)
        self._handlers: TermHandlers
        self._may_act = threading.Event()
        self._stopping = threading.Event()

    def is_leader(self) -> bool:
        """Whether this process leads now; for the last check before a write."""
        return self._leadership.is_leader()

    @property
    def activities(self) -> tuple[Activity, ...]:
        """What the threads of the election do."""
        return self._leadership.activities

    def renewal_age(self) -> float | None:
        """Seconds since the Lease was last renewed; None without one, or while this process does not lead."""
        return self._leadership.renewal_age()

    def owns(self, key: str) -> bool:
        """Whether this process may act on a workflow now. One Lease decides for every key."""
        return self._may_act.is_set() and self._leadership.is_leader()

    def start(self, handlers: TermHandlers) -> None:
        """Campaign for the Lease."""
        self._handlers = handlers
        self._leadership.start()

    def stop_acting(self) -> None:
        """`owns` returns False from now on; the Lease is kept until `stop`."""
        self._stopping.set()
        self._may_act.clear()

    def stop(self, timeout: float) -> None:
        """Release the Lease; returns within about `timeout` seconds."""
        self._leadership.stop(release=True, timeout=timeout)

    def _begin(self) -> None:
        fences = self._fences()
        if fences is None:
            return
        self._handlers.begin(fences)
        self._may_act.set()
        self._handlers.acting(fences)

    def _end(self) -> None:
        self._may_act.clear()
        self._handlers.end()

    def _fences(self) -> dict[str, int] | None:
        """resourceVersion of every Workflow, by key; None if the term ended before they could be listed."""
        said = ""
        while self._leadership.is_leader() and not self._stopping.is_set():
            try:
                return self._list_versions()
            except Stopped:
                return None
            except KubeError as error:
                if str(error) != said:
                    _log.warning("workflows cannot be listed, it is tried again", error=str(error))
                said = str(error)
                time.sleep(_RETRY_SECONDS)
        return None

    def _list_versions(self) -> dict[str, int]:
        """Metadata only; without a resourceVersion, so that the answer does not come from the API server's cache."""
        found: dict[str, int] = {}
        token = ""
        while True:
            page = self._client.list_page(
                WORKFLOWS, self._namespace, PartialObject, continue_=token, metadata_only=True, limit=_PAGE_LIMIT
            )
            found.update({item.metadata.key: int(item.metadata.resource_version) for item in page.items})
            token = page.continue_
            if not token:
                return found
