"""Objects and requests as the API server sends them, for tests of the webhook."""

from __future__ import annotations

from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.edges import read_edges
from pkg.apis.flow.v1alpha1.schema import Node, Schema, Type
from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import GVR
from pkg.webhooks.handlers import FoundTemplates
from pkg.webhooks.review import Operation, Person, Request

API = "flow.workflow.sh/v1alpha1"
JOBS = {"group": "batch", "version": "v1", "resource": "jobs"}
CONTAINER = Node(
    Type.OBJECT,
    {"name": Node(Type.STRING), "image": Node(Type.STRING), "command": Node(Type.ARRAY, others=Node(Type.STRING))},
    is_closed=True,
)
POD = Node(
    Type.OBJECT, {"containers": Node(Type.ARRAY, others=CONTAINER), "restartPolicy": Node(Type.STRING)}, None, True
)
JOB = Schema(
    Node(
        Type.OBJECT,
        {
            "metadata": Node(
                Type.OBJECT,
                {"labels": Node(Type.OBJECT, others=Node(Type.STRING)), "name": Node(Type.STRING)},
                None,
                True,
            ),
            "spec": Node(
                Type.OBJECT,
                {
                    "backoffLimit": Node(Type.INTEGER),
                    "parallelism": Node(Type.INTEGER),
                    "template": Node(Type.OBJECT, {"spec": "pod"}),
                },
                is_closed=True,
            ),
        },
        is_closed=True,
    ),
    {"pod": POD},
)
"""A schema like that of a Job, reduced to a few fields."""


def workflow(
    *flows: dict[str, Any], status: dict[str, Any] | None = None, meta: Any = None, **spec: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "apiVersion": API,
        "kind": "Workflow",
        "metadata": {"name": "w", "namespace": "team-a", **(meta or {})},
        "spec": {"flows": list(flows), **spec},
    }
    return {**found, "status": status} if status is not None else found


def template(
    job_spec: Any = None, *, name: str = "step", status: Any = None, meta: Any = None, **spec: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "apiVersion": API,
        "kind": "WorkTemplate",
        "metadata": {"name": name, "namespace": "team-a", **(meta or {})},
        "spec": {"gvr": JOBS, "jobSpec": {"backoffLimit": 0} if job_spec is None else job_spec, **spec},
    }
    return {**found, "status": status} if status is not None else found


def request(new: Any, old: Any = None, operation: Operation | None = None) -> Request:
    """A creation of `new`, or an update of `old` to it."""
    one = new if new is not None else old
    return Request(
        uid="u-1",
        operation=operation or (Operation.CREATE if old is None else Operation.UPDATE),
        kind=one.get("kind", "Workflow") if isinstance(one, dict) else "Workflow",
        namespace="team-a",
        name="w",
        person=Person("ann"),
        object=None if new is None else msgspec.json.encode(new),
        old_object=None if old is None else msgspec.json.encode(old),
    )


class Known:
    """A catalogue of the given templates, and of the schema of Jobs."""

    def __init__(self, *templates: dict[str, Any], is_synced: bool = True) -> None:
        found = (msgspec.json.decode(msgspec.json.encode(one), type=WorkTemplate) for one in templates)
        self._found = {one.metadata.name: read_edges(one.spec) for one in found}
        self._is_synced = is_synced

    def templates(self, namespace: str, names: frozenset[str], /) -> FoundTemplates:
        found = {name: one for name, one in self._found.items() if name in names and namespace == "team-a"}
        return FoundTemplates(found, names - found.keys() if self._is_synced else frozenset())

    def schema(self, gvr: GVR, /) -> Schema | None:
        return JOB if gvr == GVR("batch", "v1", "jobs") else None
