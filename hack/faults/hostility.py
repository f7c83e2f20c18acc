"""What a hostile owner of a namespace keeps doing while others work; one thread per kind."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import msgspec

from hack.faults.hostile import KINDS, Manifest
from hack.faults.load import FAULT_JOBS, FLOW_API, Object
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import GVR, PartialObject
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.errors import KubeError

PODS = GVR("", "v1", "pods")
_PAUSE = 0.05


class Hostility:
    """Threads that act on one namespace until the end of the `with` block.

    forged: how many jobs and pods they made that claim to belong to a workflow of another namespace.
    """

    def __init__(self, client: Client, namespace: str, victims: list[str], kinds: tuple[str, ...]) -> None:
        """victims: the namespaces whose workflows are named as owners. kinds: `forged` and `templates` act."""
        self._client = client
        self._namespace = namespace
        self._victims = victims
        self._closed = threading.Event()
        acts: dict[str, Callable[[], None]] = {"forged": self._forge, "templates": self._come_and_go}
        self._threads = [
            threading.Thread(target=act, name=f"hostile {kind}", daemon=True)
            for kind, act in acts.items()
            if kind in kinds
        ]
        self.forged = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join(30)

    def _forge(self) -> None:
        """Creates jobs and pods that claim to belong to the workflows of others, and sets the status of the jobs."""
        numbers = itertools.count()
        while not self._closed.is_set():
            for workflow in self._workflows():
                for gvr, body in forged(workflow, next(numbers)):
                    self._make(gvr, body)
                    if self._closed.wait(_PAUSE):
                        return
            self._closed.wait(_PAUSE)

    def _workflows(self) -> Iterator[Object]:
        """The victims' workflows that have not ended, interleaved by namespace."""
        found = []
        for namespace in self._victims:
            try:
                page = self._client.list_page(WORKFLOWS, namespace, msgspec.Raw, limit=0)
            except KubeError:
                continue
            items = [json.loads(bytes(item)) for item in page.items]
            found.append([item for item in items if (item.get("status") or {}).get("phase") not in _ENDED])
        for row in itertools.zip_longest(*found):
            yield from (item for item in row if item is not None)

    def _make(self, gvr: GVR, body: Object) -> None:
        name = body["metadata"]["name"]
        try:
            self._client.create(gvr, self._namespace, body, PartialObject)
            self.forged += 1
            if gvr == FAULT_JOBS:
                status = json.dumps({"status": {"phase": ("Failed", "Succeeded", "Running")[self.forged % 3]}}).encode()
                self._client.patch(
                    gvr,
                    self._namespace,
                    name,
                    status,
                    content_type=MERGE_PATCH,
                    type=PartialObject,
                    subresource="status",
                )
        except KubeError:
            self._closed.wait(_PAUSE)

    def _come_and_go(self) -> None:
        """Creates and deletes a workflow that uses the templates of all others."""
        made: list[Manifest] = [body for body in KINDS["templates"].make(1) if body[0] == WORKFLOWS]
        while not self._closed.wait(_PAUSE):
            for gvr, body in made:
                name = json.loads(body)["metadata"]["name"] + "-comes-and-goes"
                renamed = {**json.loads(body), "metadata": {"name": name}}
                try:
                    self._client.create(gvr, self._namespace, renamed, PartialObject)
                    self._closed.wait(0.5)
                    self._client.delete(gvr, self._namespace, name, uid=None)
                except KubeError:
                    self._closed.wait(_PAUSE)


_ENDED = ("Succeeded", "Failed")


def forged(workflow: Object, number: int) -> Iterator[tuple[GVR, Object]]:
    """Jobs and a pod that claim, by labels, owner, name and attempt, to belong to a workflow of another namespace.

    Half of the jobs have a finalizer. The garbage collector deletes the others at once, since their owner does not
    exist in their namespace.
    """
    meta = workflow["metadata"]
    flow = workflow["spec"]["flows"][number % len(workflow["spec"]["flows"])]["name"]
    tags = {labels.WORKFLOW: meta["name"], labels.WORKFLOW_UID: meta["uid"], labels.FLOW: flow}
    owner = {"apiVersion": FLOW_API, "kind": "Workflow", "name": meta["name"], "uid": meta["uid"], "controller": True}
    elsewhere = {**owner, "apiVersion": "flow.workflow.sh/v1"}
    held: Object = {"finalizers": ["hostile.workflow.sh/held"]} if number % 2 else {}
    claims: list[tuple[str, str, list[Object]]] = [
        (f"{meta['name']}-{flow}", "0", [owner]),
        (f"forged-{number}", "0", [owner]),
        (f"forged-{number}-later", "99", [owner]),
        (f"forged-{number}-labels", "99", []),
        (f"forged-{number}-version", "1", [elsewhere]),
        (f"forged-{number}-name", "1", [{**owner, "name": "another"}]),
    ]
    for name, attempt, owners in claims:
        own: Object = {"name": name, "labels": {**tags, labels.ATTEMPT: attempt}, "ownerReferences": owners, **held}
        yield FAULT_JOBS, {"apiVersion": FAULT_JOBS.api_version, "kind": "FaultJob", "metadata": own, "spec": {}}
    if number % 10 == 0:
        marks = {**tags, labels.ATTEMPT: "0", labels.PROBED: "true"}
        own = {"name": f"forged-{number}", "labels": marks, "ownerReferences": [owner]}
        spec = {"containers": [{"name": "main", "image": "busybox:1.36"}]}
        yield PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": spec}
