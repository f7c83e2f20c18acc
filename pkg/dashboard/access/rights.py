"""What somebody may see: asked of the API server with the person's own rights, and remembered for a short time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import GVR, ObjectMeta
from pkg.dashboard.access.people import Person
from pkg.kube.client import Client

#: Seconds for which an answer holds.
ALLOWED_SECONDS: Final = 30.0
DENIED_SECONDS: Final = 5.0
#: Namespaces that are asked about one by one for somebody who may not list all of them.
MAX_NAMESPACES: Final = 300
_MAX_ANSWERS: Final = 50_000
_REVIEWS: Final = GVR("authorization.k8s.io", "v1", "selfsubjectaccessreviews")


class _Status(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class _Object(msgspec.Struct, frozen=True):
    metadata: ObjectMeta


class Rights:
    """Answers for everybody. Thread-safe; its methods ask the API server, so they take time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, str], tuple[bool, float]] = OrderedDict()

    def check_get(self, person: Person, namespace: str, name: str) -> None:
        """Raises KubeError unless somebody may read a Workflow that exists: by reading its metadata."""
        person.client.get(WORKFLOWS, namespace, name, _Object, metadata_only=True)

    def visible(
        self, person: Person, scope: str | None, namespaces: Callable[[], Iterable[str]]
    ) -> frozenset[str] | None:
        """The namespaces whose Workflows somebody may list; None for all. Raises KubeError.

        scope: the namespace that the dashboard is about, None for all; namespaces: those that have Workflows.
        """
        if scope is not None:
            return frozenset({scope}) if self._may_list(person, scope) else frozenset()
        if self._may_list(person, ""):
            return None
        asked = list(namespaces())[:MAX_NAMESPACES]
        return frozenset(name for name in asked if self._may_list(person, name))

    def _may_list(self, person: Person, namespace: str) -> bool:
        key = (person.key, namespace)
        now = self._clock()
        with self._lock:
            known = self._answers.get(key)
        if known is not None and now < known[1]:
            return known[0]
        allowed = _ask(person.client, namespace)
        with self._lock:
            self._answers[key] = (allowed, now + (ALLOWED_SECONDS if allowed else DENIED_SECONDS))
            self._answers.move_to_end(key)
            if len(self._answers) > _MAX_ANSWERS:
                self._answers.popitem(last=False)
        return allowed


def _ask(client: Client, namespace: str) -> bool:
    attributes = {"verb": "list", "group": WORKFLOWS.group, "resource": WORKFLOWS.resource, "namespace": namespace}
    body: dict[str, Any] = {
        "apiVersion": _REVIEWS.api_version,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return client.review(_REVIEWS, body, _Review).status.allowed
