"""Leases and ConfigMaps in memory, with versions and preconditions as the API server has them."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec

from pkg.controllers.workflow.locks.leases import LEASES
from pkg.kube.errors import Conflict, Exists, NotFound


class LeaseServer:
    """calls: the verb and the name of each, in order. errors: by verb, the error of the next calls."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.errors: dict[str, list[Exception]] = {}
        self._version = 100
        self._lock = threading.Lock()

    def put(self, name: str, document: dict[str, Any], resource: str = "leases") -> dict[str, Any]:
        """Stores an object, whoever wrote it."""
        self._version += 1
        meta = {"namespace": "team", "uid": f"uid-{self._version}", **document.get("metadata", {}), "name": name}
        meta["resourceVersion"] = str(self._version)
        self.objects[resource, name] = {**document, "metadata": meta}
        return self.objects[resource, name]

    def create(self, _gvr: Any, _namespace: str, body: dict[str, Any], type_: Any) -> Any:
        name = body["metadata"]["name"]
        with self._lock:
            self._begin("create", name)
            if ("leases", name) in self.objects:
                raise Exists("it exists", status=409)
            return self._typed(self.put(name, json.loads(json.dumps(body))), type_)

    def get(self, gvr: Any, _namespace: str, name: str, type_: Any) -> Any:
        with self._lock:
            self._begin("get", name)
            return self._typed(self._found(gvr.resource, name), type_)

    def patch(self, _gvr: Any, _namespace: str, name: str, body: bytes, *, content_type: str, type: Any) -> Any:  # noqa: A002
        assert content_type == "application/merge-patch+json"
        change = json.loads(body)
        with self._lock:
            self._begin("patch", name)
            known = self._found("leases", name)
            self._check(known, change["metadata"]["uid"], change["metadata"]["resourceVersion"])
            known["spec"] = {**known.get("spec", {}), **change["spec"]}
            return self._typed(self.put(name, known), type)

    def delete(self, _gvr: Any, _namespace: str, name: str, *, uid: str, resource_version: str) -> None:
        with self._lock:
            self._begin("delete", name)
            self._check(self._found("leases", name), uid, resource_version)
            del self.objects["leases", name]

    def _begin(self, verb: str, name: str) -> None:
        self.calls.append(f"{verb} {name}")
        if errors := self.errors.get(verb):
            raise errors.pop(0)

    def _found(self, resource: str, name: str) -> dict[str, Any]:
        if (resource, name) not in self.objects:
            raise NotFound("it is not there", status=404)
        return self.objects[resource, name]

    @staticmethod
    def _check(known: dict[str, Any], uid: str, version: str) -> None:
        if (known["metadata"]["uid"], known["metadata"]["resourceVersion"]) != (uid, version):
            raise Conflict("it has changed", status=409)

    @staticmethod
    def _typed(document: dict[str, Any], type_: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(document), type=type_)


__all__ = ["LEASES", "LeaseServer"]
