"""Records every state of the objects in a namespace by watches, so that a test misses nothing between two polls.

It uses the plain HTTPS calls of hack.cluster, so that the tests do not depend on the controller's own client.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hack.cluster.api import Api, ApiStatusError

Object = dict[str, Any]
_WATCH_SECONDS = 60
_PAUSE = 0.1
_CATCH_UP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """One watch event: when it was seen (epoch seconds), what happened (ADDED, MODIFIED, DELETED), and the object."""

    at: float
    event: str
    resource: str
    object: Object


class History:
    """Follows collections (URL paths) until closed, across restarts of the API server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._changed = threading.Condition()
        self._now: dict[tuple[str, str], Object] = {}
        self._sightings: list[Sighting] = []
        self._paths: dict[str, str] = {}
        self._closed = threading.Event()

    def follow(self, path: str) -> None:
        """Begins to follow one collection; returns after its first list."""
        first = threading.Event()
        self._paths[path.rsplit("/", 1)[-1]] = path
        threading.Thread(target=self._run, args=(path, first), name=f"history {path}", daemon=True).start()
        assert first.wait(60), f"{path} could not be listed within 60 s"

    def close(self) -> None:
        """Records nothing more."""
        self._closed.set()

    def now(self, resource: str) -> list[Object]:
        """The objects of that resource that exist, as last seen."""
        with self._changed:
            return [found for (kind, _), found in self._now.items() if kind == resource]

    def latest(self, resource: str) -> list[Object]:
        """The objects of that resource that exist, as the API server has them now; not for the fact of a `wait`."""
        self.catch_up(resource)
        return self.now(resource)

    def get(self, resource: str, name: str) -> Object | None:
        """One of them by name."""
        with self._changed:
            return self._now.get((resource, name))

    def sightings(self, resource: str) -> list[Sighting]:
        """Everything seen of that resource, oldest first."""
        with self._changed:
            return [found for found in self._sightings if found.resource == resource]

    def catch_up(self, resource: str) -> None:
        """Waits until everything that the API server has of that resource was seen. Collections have
        watches of their own, and one may be behind another.
        """
        page = self._api.get(self._paths[resource])
        latest, listed = _version(page), {item["metadata"]["name"]: _version(item) for item in page["items"]}

        def is_level() -> bool:
            seen = {found.object["metadata"]["name"]: _version(found.object) for found in self.sightings(resource)}
            gone = [item for item in self.now(resource) if item["metadata"]["name"] not in listed]
            has_all = all(seen.get(name, 0) >= version for name, version in listed.items())
            return has_all and all(_version(item) > latest for item in gone)

        self.wait(is_level, _CATCH_UP_SECONDS, f"all {resource} to be seen")

    def wait(self, fact: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
        """The first truthy result of `fact`, called after each event; without one the test fails with `what`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                if found := fact():
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.5))
        pytest.fail(f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}")

    def _run(self, path: str, first: threading.Event) -> None:
        version = ""
        while not self._closed.is_set():
            try:
                version = version or self._list(path)
                first.set()
                for seen in self._watch(path, version):
                    version = seen
                    if self._closed.is_set():
                        return
            except _Gone:
                version = ""
            except (OSError, ApiStatusError, ValueError):
                # Then it resumes from its version: a list would miss objects that existed only in between.
                self._closed.wait(_PAUSE)

    def _list(self, path: str) -> str:
        resource = path.rsplit("/", 1)[-1]
        page = self._api.get(path)
        found = {item["metadata"]["name"]: item for item in page["items"]}
        with self._changed:
            missed = [name for kind, name in self._now if kind == resource and name not in found]
            for name in missed:
                self._take("DELETED", resource, self._now[resource, name])
            for name, item in found.items():
                before = self._now.get((resource, name))
                if before is None:
                    self._take("ADDED", resource, item)
                elif before["metadata"]["uid"] != item["metadata"]["uid"]:
                    self._take("DELETED", resource, before)
                    self._take("ADDED", resource, item)
                elif before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                    self._take("MODIFIED", resource, item)
        version: str = page["metadata"]["resourceVersion"]
        return version

    def _watch(self, path: str, version: str) -> Iterator[str]:
        """The version after each event."""
        resource = path.rsplit("/", 1)[-1]
        for event in self._events(path, version):
            item = event["object"]
            if event["type"] == "ERROR":
                raise _Gone(str(item))
            if event["type"] != "BOOKMARK":
                with self._changed:
                    self._take(event["type"], resource, item)
            yield item["metadata"]["resourceVersion"]

    def _events(self, path: str, version: str) -> Iterator[Any]:
        query = f"?watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
        try:
            for line in self._api.watch(path + query, _WATCH_SECONDS + 5):
                yield json.loads(line)
        except ApiStatusError as error:
            raise _Gone(str(error)) if error.code == 410 else error from None

    def _take(self, event: str, resource: str, item: Object) -> None:
        """Records an event; the lock is held."""
        if self._closed.is_set():
            return
        at = (resource, item["metadata"]["name"])
        if event == "DELETED":
            self._now.pop(at, None)
        else:
            self._now[at] = item
        self._sightings.append(Sighting(time.time(), event, resource, item))
        self._changed.notify_all()


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])


class _Gone(Exception):
    """The watch cannot resume from its version."""
