"""Follows one collection, whatever fault happens, and misses no object that a watch can show."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.errors import KubeError

Object = dict[str, Any]
_PAUSE = 0.2
_SECONDS = 30


class Following:
    """A thread that lists and watches until it is closed. It calls `take(event, object)` with ADDED, MODIFIED or
    DELETED. An object that is missing after a new list counts as DELETED.
    """

    def __init__(self, client: Client, gvr: GVR, namespace: str, take: Callable[[str, Object], None]) -> None:
        self._client = client
        self._gvr = gvr
        self._namespace = namespace
        self._take = take
        self._known: dict[str, Object] = {}
        self._closed = threading.Event()
        self._listed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"following {gvr.resource}", daemon=True)
        self._thread.start()
        if not self._listed.wait(20):
            raise SystemExit(f"{gvr} could not be listed within 20 s")

    def close(self) -> None:
        """Stops calling `take`; the thread ends with its watch."""
        self._closed.set()

    def _run(self) -> None:
        version = ""
        while not self._closed.is_set():
            try:
                version = self._watch(version) if version else self._list()
            except KubeError:
                version = ""
                self._closed.wait(_PAUSE)

    def _list(self) -> str:
        page = self._client.list_page(self._gvr, self._namespace, msgspec.Raw, limit=0)
        items: list[Object] = [json.loads(bytes(item)) for item in page.items]
        there = {item["metadata"]["uid"] for item in items}
        for uid in [uid for uid in self._known if uid not in there]:
            self._pass_on("DELETED", self._known[uid])
        for item in items:
            self._pass_on("MODIFIED" if item["metadata"]["uid"] in self._known else "ADDED", item)
        self._listed.set()
        return page.resource_version

    def _watch(self, version: str) -> str:
        with self._client.watch(
            self._gvr, self._namespace, resource_version=version, timeout_seconds=_SECONDS, read_timeout=_SECONDS + 5
        ) as watch:
            for line in watch:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return ""
                item = event["object"]
                version = item["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._pass_on(event["type"], item)
                if self._closed.is_set():
                    break
        return version

    def _pass_on(self, event: str, item: Object) -> None:
        if self._closed.is_set():
            return
        uid = item["metadata"]["uid"]
        if event == "DELETED":
            self._known.pop(uid, None)
        else:
            self._known[uid] = item
        self._take(event, item)
