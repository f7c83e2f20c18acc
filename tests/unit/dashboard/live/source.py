"""An API server that a test writes itself: its lists, and what its watch says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from pkg.kube.client import Client, Page
from pkg.kube.errors import KubeError, NotFound

Events = queue.SimpleQueue[bytes | KubeError | None]


def workflow(name: str, version: int = 1, namespace: str = "team", **status: Any) -> dict[str, Any]:
    """A Workflow of one flow."""
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {"flows": [{"name": "a", "template": "step"}]}, "status": status}


class Source:
    """A client of it. `objects` is what a list finds; `refusal`: the error of every call, until it is None again;
    `may`: what a review of access answers; `allowed`: in which namespaces, if not in all; `gate`: what each read of an
    object waits for.
    """

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = list(objects)
        self.templates: dict[str, dict[str, Any]] = {}
        self.refusal: KubeError | None = None
        self.may = True
        self.allowed: set[str] = set()
        self.gate: threading.Event | None = None
        # By the selector of those who watch: the list, and the one Workflow, each hear everything.
        self._events: dict[str, Events] = {}

    @property
    def client(self) -> Client:
        return cast("Client", self)

    def say(self, kind: str, found: dict[str, Any]) -> None:
        """An event of the watch."""
        text = msgspec.json.encode({"type": kind, "object": found})
        for events in list(self._events.values()):
            events.put(text)

    def cut(self, error: KubeError | None = None) -> None:
        """Ends each watch, with an error if there is one."""
        for events in list(self._events.values()):
            events.put(error)

    def get(self, gvr: Any, _namespace: object, name: str, type: Any, **_: object) -> Any:  # noqa: A002
        if self.refusal is not None:
            raise self.refusal
        if self.gate is not None:
            assert self.gate.wait(20)
        workflows = {one["metadata"]["name"]: one for one in self.objects}
        found = (workflows if gvr.resource == "workflows" else self.templates).get(name)
        if found is None:
            raise NotFound(f"{name} not found", status=404)
        return msgspec.json.decode(msgspec.json.encode(found), type=type)

    def review(self, _gvr: object, body: Any, type: Any) -> Any:  # noqa: A002
        """Everybody may do everything, or nothing, or everything in some namespaces."""
        place = body.get("spec", {}).get("resourceAttributes", {}).get("namespace")
        allowed = self.may and (not self.allowed or place in self.allowed)
        return msgspec.convert({"status": {"allowed": allowed}}, type)

    def list_page(self, *_: object, field_selector: str = "", **__: object) -> Page[msgspec.Raw]:
        self._events.setdefault(field_selector, queue.SimpleQueue())
        if self.refusal is not None:
            raise self.refusal
        return Page([msgspec.Raw(msgspec.json.encode(one)) for one in self.objects], "5", "")

    def watch(self, *_: object, field_selector: str = "", **__: object) -> _Watch:
        if self.refusal is not None:
            raise self.refusal
        return _Watch(self._events[field_selector])


class _Watch:
    def __init__(self, events: Events) -> None:
        self._events = events

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        self._events.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (found := self._events.get()) is not None:
            if isinstance(found, KubeError):
                raise found
            yield found
