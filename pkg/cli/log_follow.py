"""Follows the logs of a flow: of the pods there are, and of those that come with retries and further replicas."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from pkg.cli.log_printer import Printer
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, NotFound, Refused, Transient
from pkg.kube.pod_logs import LogOptions
from pkg.views.pods import PodOf

_POLL_SECONDS: Final = 2.0
#: Logs that are followed at once; kubectl has the same kind of limit.
MAX_STREAMS: Final = 50


class Followers:
    """One thread for each container. refresh() is the pods as they are now, and whether more can come."""

    def __init__(
        self,
        client: Client,
        printer: Printer,
        refresh: Callable[[], tuple[Sequence[PodOf], bool]],
        plan: Callable[[PodOf], Sequence[tuple[str, str, LogOptions]]],
    ) -> None:
        """plan(pod): container, prefix and options of each log of the pod."""
        self._client = client
        self._printer = printer
        self._refresh = refresh
        self._plan = plan
        self._threads: dict[tuple[str, str], threading.Thread] = {}
        self._said_many = False

    def run(self) -> None:
        """Until every log has ended and no pod can come. Raises KubeError of the API server's answers about pods."""
        while True:
            pods, more = self._refresh()
            for one in pods:
                self._start(one)
            alive = [thread for thread in self._threads.values() if thread.is_alive()]
            if not more and not alive:
                return
            if not more:
                for thread in alive:
                    thread.join(_POLL_SECONDS)
            else:
                time.sleep(_POLL_SECONDS)

    def _start(self, one: PodOf) -> None:
        for container, prefix, options in self._plan(one):
            key = (one.pod.metadata.uid, container)
            if key in self._threads:
                continue
            if sum(thread.is_alive() for thread in self._threads.values()) >= MAX_STREAMS:
                if not self._said_many:
                    self._said_many = True
                    self._printer.say(f"more than {MAX_STREAMS} logs: the others follow when one of these has ended")
                return
            thread = threading.Thread(target=self._follow, args=(one, prefix, options), daemon=True)
            self._threads[key] = thread
            thread.start()

    def _follow(self, one: PodOf, prefix: str, options: LogOptions) -> None:
        name = one.pod.metadata.name
        printed = 0
        while True:
            try:
                for text in self._client.pod_log(one.pod.metadata.namespace, name, options):
                    self._printer.line(prefix, text)
                    printed += 1
            except Refused:  # it has not started
                time.sleep(1.0)
                continue
            except NotFound:
                return
            except Transient as error:
                if printed:
                    self._printer.say(f"{prefix or name}: {error.message}")
                    return
                time.sleep(1.0)
                continue
            except (Forbidden, KubeError) as error:
                self._printer.say(f"{prefix or name}: {error.message}")
                return
            return
