"""What somebody may see: asked of the API server with the person's own rights, and remembered for a short time.

No call says in which namespaces somebody may do something. Whoever may not list the Workflows of all namespaces is
asked about one by one, a few at the same time, and by nobody twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec

from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import GVR, ObjectMeta
from pkg.dashboard.access.people import Person
from pkg.kube.client import Client

#: Seconds for which an answer holds.
ALLOWED_SECONDS: Final = 30.0
DENIED_SECONDS: Final = 5.0
#: Namespaces that are asked about one by one for somebody who may not list all of them.
MAX_NAMESPACES: Final = 1_000
#: How long a refusal of one of N namespaces holds: so that one person costs at most two questions a second.
_SECONDS_EACH: Final = 0.5
#: Namespaces that are asked about at the same time, for all people together.
_AT_ONCE: Final = 4
#: Answers that are remembered, and after how many seconds nobody takes one any more.
_MAX_ANSWERS: Final = 200_000
_LONGEST_SECONDS: Final = max(ALLOWED_SECONDS, _SECONDS_EACH * (MAX_NAMESPACES + 1))
_REVIEWS: Final = GVR("authorization.k8s.io", "v1", "selfsubjectaccessreviews")


class Right(msgspec.Struct, frozen=True):
    """Something that one may do in a namespace, or in all (empty)."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""

    def attributes(self, namespace: str) -> dict[str, str]:
        """As a review of access takes it."""
        return {**msgspec.structs.asdict(self), "namespace": namespace}


LIST_WORKFLOWS: Final = Right("list", WORKFLOWS.group, WORKFLOWS.resource)


def read_log(pod: str) -> Right:
    """The right to read the log of a pod."""
    return Right("get", "", "pods", "log", pod)


def denied(scope: str | None, visible: Collection[str] | None, wanted: str = "") -> str | None:
    """Where somebody sees no Workflow for lack of a right: a namespace, or empty for all; else None.

    Empty does not say that they may list in none: a namespace without Workflows is not asked about. visible: as
    `Rights.visible` found it; scope, wanted: as it was asked.
    """
    place = scope or wanted
    if visible is None or (place in visible if place else visible):
        return None
    return place


class _Status(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class _Object(msgspec.Struct, frozen=True):
    metadata: ObjectMeta


class _Turn:
    """Held by whoever asks for one person."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Rights:
    """Answers for everybody. Thread-safe; its methods ask the API server, so they take time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Whether it is allowed, and when that was answered.
        self._answers: OrderedDict[tuple[str, Right, str], tuple[bool, float]] = OrderedDict()
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rights")

    def close(self) -> None:
        """Ask nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def check_get(self, person: Person, namespace: str, name: str) -> None:
        """Raises KubeError unless somebody may read a Workflow that exists: by reading its metadata."""
        person.client.get(WORKFLOWS, namespace, name, _Object, metadata_only=True)

    def may(self, person: Person, right: Right, namespace: str, denied_seconds: float = DENIED_SECONDS) -> bool:
        """Whether somebody has a right in a namespace, or in all (empty). Raises KubeError."""
        known = self._known(person, right, namespace, denied_seconds)
        if known is not None:
            return known
        allowed = _ask(person.client, right, namespace)
        key = (person.key, right, namespace)
        with self._lock:
            now = self._clock()
            self._answers[key] = (allowed, now)
            self._answers.move_to_end(key)
            while len(self._answers) > _MAX_ANSWERS or next(iter(self._answers.values()))[1] + _LONGEST_SECONDS <= now:
                self._answers.popitem(last=False)
        return allowed

    @property
    def answers(self) -> int:
        """How many are in memory."""
        with self._lock:
            return len(self._answers)

    def visible(
        self, person: Person, scope: str | None, namespaces: Callable[[], Iterable[str]], wanted: str = ""
    ) -> frozenset[str] | None:
        """The namespaces whose Workflows somebody may list; None for all. Raises KubeError.

        scope: the namespace that the dashboard is about, None for all; namespaces: those that have Workflows; wanted:
        the one that somebody looks at, which is asked about in any case, and a new right in it is known soonest.
        """
        if scope is not None:
            return frozenset({scope}) if self.may(person, LIST_WORKFLOWS, scope) else frozenset()
        if self.may(person, LIST_WORKFLOWS, ""):
            return None
        asked = list(namespaces())[:MAX_NAMESPACES]
        if wanted:
            self.may(person, LIST_WORKFLOWS, wanted)
            asked += [wanted] if wanted not in asked else []
        return self._each(person, asked)

    def _each(self, person: Person, asked: Sequence[str]) -> frozenset[str]:
        """In which of these somebody may list Workflows. Others who ask for the same person wait for the answers."""
        seconds = max(ALLOWED_SECONDS, _SECONDS_EACH * len(asked))
        with self._lock:
            turn = self._turns.setdefault(person.key, _Turn())
        with turn.lock:
            answers = {name: self._known(person, LIST_WORKFLOWS, name, seconds) for name in asked}
            missing = [name for name, known in answers.items() if known is None]
            found = self._pool.map(lambda name: self.may(person, LIST_WORKFLOWS, name, seconds), missing)
            answers.update(zip(missing, found, strict=True))
        return frozenset(name for name, allowed in answers.items() if allowed)

    def _known(self, person: Person, right: Right, namespace: str, denied_seconds: float) -> bool | None:
        with self._lock:
            known = self._answers.get((person.key, right, namespace))
        if known is None:
            return None
        allowed, at = known
        holds = ALLOWED_SECONDS if allowed else denied_seconds
        return allowed if self._clock() < at + holds else None


def _ask(client: Client, right: Right, namespace: str) -> bool:
    body: dict[str, Any] = {
        "apiVersion": _REVIEWS.api_version,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": right.attributes(namespace)},
    }
    return client.review(_REVIEWS, body, _Review).status.allowed
