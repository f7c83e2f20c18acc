"""Watches the Lease, so that a standby knows of every renewal and of a release at once, and not at its next look.

The watch only saves time. What it says may be old or missing. An elector writes a Lease with the resource version that
it has seen, so an old one is refused. While there is no watch it reads the Lease by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from pkg.apis.meta import GVR
from pkg.controllers.engine.claim import LEASES
from pkg.controllers.engine.leadership import Lease
from pkg.controllers.engine.lease import LeaseOptions
from pkg.kube.errors import Forbidden, KubeError, Stopped
from pkg.kube.watch import Watch

_SECONDS = 300
_FORBIDDEN_SECONDS = 60.0
# A living leader changes the Lease several times within its duration.
_SILENT_DURATIONS = 3.0
_log = structlog.get_logger("engine.lease_watch")


class WatchApi(Protocol):
    """The part of `pkg.kube.client.Client` that a LeaseWatch uses."""

    def watch(
        self,
        gvr: GVR,
        namespace: str | None,
        *,
        field_selector: str,
        resource_version: str,
        timeout_seconds: int,
        read_timeout: float,
    ) -> Watch:
        """Watch one object."""


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: dict[str, Any]


class LeaseWatch:
    """Follows one Lease in a thread of its own. The client stays its owner's; its `abort` ends the watch."""

    def __init__(self, client: WatchApi, options: LeaseOptions) -> None:
        self._client = client
        self._options = options
        self._on_change: Callable[[Lease | None], None]
        self._stopping = threading.Event()
        self._is_refused = False
        self._thread = threading.Thread(target=self._run, name="lease-watch", daemon=True)

    def start(self, on_change: Callable[[Lease | None], None]) -> None:
        """Call `on_change` with the Lease as it is now and after each change; None: it is not known, or gone."""
        self._on_change = on_change
        self._thread.start()

    def stop(self) -> None:
        """Open no further watch. The one that is open ends with the client."""
        self._stopping.set()

    def join(self, seconds: float) -> bool:
        """Wait until its thread has ended, `seconds` at most; whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = self._options.retry_period
            try:
                self._follow()
            except Stopped:
                return
            except Forbidden as error:
                pause = _FORBIDDEN_SECONDS
                self._report_refused(error)
            except KubeError as error:
                _log.debug("the watch of the Lease ended, it is opened again", error=str(error))
            except Exception:
                _log.exception("the watch of the Lease failed unexpectedly, it is opened again")
            self._on_change(None)
            self._stopping.wait(pause)

    def _follow(self) -> None:
        """One watch until it ends. Without a resource version it begins with the Lease as it is now."""
        options = self._options
        with self._client.watch(
            LEASES,
            options.namespace,
            field_selector=f"metadata.name={options.name}",
            resource_version="",
            timeout_seconds=_SECONDS,
            read_timeout=_SILENT_DURATIONS * options.lease_duration,
        ) as watch:
            self._is_refused = False
            for line in watch:
                if self._stopping.is_set():
                    return
                event = msgspec.json.decode(line, type=_Event)
                if event.type == "ERROR":
                    return
                if event.type != "BOOKMARK":
                    self._on_change(None if event.type == "DELETED" else event.object)

    def _report_refused(self, error: Forbidden) -> None:
        if not self._is_refused:
            self._is_refused = True
            _log.warning(
                "a takeover may take two retry periods longer, because the Lease cannot be watched",
                permission=f"watch leases in namespace {self._options.namespace}",
                error=str(error),
                advice="installer/controller/20-controller-role.yaml has it",
            )
