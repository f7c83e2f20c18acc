"""How the pods of a failed job ended, in one line for its user: which pod, which container, which exit code.

Pure. The pods are looked up in `controllers/workflow/failures.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.meta import ObjectMeta

NOT_SCHEDULED: Final = "NotScheduled"
"""The reason of a pod that no scheduler has looked at."""
MAX_WORDS: Final = 400
"""Characters of the line."""
_MAX_LINE: Final = 160  # of a container's last words
_MAX_SAID: Final = 160  # of what the kubelet or the scheduler says of a pod
_SIGNALS: Final = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
_STOPPING: Final = frozenset({9, 15})
# Reasons of a container that say no more than its exit code.
_PLAIN: Final = frozenset({"", "Error", "Completed"})
# Reasons for which a container waits before it has a problem.
_EARLY: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """Base: unknown fields are ignored."""


class Terminated(_Part, frozen=True):
    """How a container ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str | None = None

    @property
    def is_failure(self) -> bool:
        return self.exit_code != 0 or self.signal != 0 or self.reason == "OOMKilled"


class Waiting(_Part, frozen=True):
    """Why a container does not run."""

    reason: str = ""
    message: str = ""


class ContainerState(_Part, frozen=True):
    terminated: Terminated | None = None
    waiting: Waiting | None = None


class ContainerStatus(_Part, frozen=True):
    name: str
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    restart_count: int = 0


class PodCondition(_Part, frozen=True):
    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(_Part, frozen=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[PodCondition, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None


class InitContainer(_Part, frozen=True):
    name: str
    restart_policy: str = ""


class PodSpec(_Part, frozen=True):
    init_containers: tuple[InitContainer, ...] | None = None
    scheduler_name: str = ""


class EndedPod(_Part, frozen=True):
    """The fields of a pod that say how it ended."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a container ended. rank: a container that belongs to the work comes before a sidecar, and an end before a
    restart; at: RFC 3339 with whole seconds, or a late time where it is not known; was_stopped: by a signal with which
    a kubelet ends the other containers of a pod, so that of two that ended in one second it is the other's fault."""

    rank: int
    at: str
    words: str
    was_stopped: bool


_LATE: Final = "9999"


def failure_words(pods: Iterable[EndedPod], *, more: bool = False) -> str:
    """The first failed pod of a job, its first failed container, and how many pods failed besides; empty if none did.

    more: there are pods that are not among these.
    """
    found = sorted((failure for pod in pods if (failure := _pod_failure(pod)) is not None), key=lambda one: one[0])
    if not found:
        return ""
    others = max(len(found) - 1, int(more))
    least = "at least " if more else ""
    tail = f"; and {least}{others} more {'pod' if others == 1 else 'pods'}" if others else ""
    return f"{_line(found[0][1], MAX_WORDS - len(tail))}{tail}"


def _pod_failure(pod: EndedPod) -> tuple[tuple[int, str, str], str] | None:
    """A sort key and words for one pod; None if it shows no problem."""
    status, name = pod.status, pod.metadata.name
    if status.phase == "Succeeded":
        return None
    ending = min(_endings(pod), key=lambda one: (one.rank, one.at, one.was_stopped), default=None)
    said = _said_of_pod(status)
    if ending is None and not said:
        said = _unready(status) or ("it failed, and no container says why" if status.phase == "Failed" else "")
        if not said:
            return None
        return (3, _LATE, name), f"pod {name}: {said}"
    if ending is None:
        return (0, _LATE, name), f"pod {name}: {said}"
    rank = 0 if status.phase == "Failed" else ending.rank
    words = f"pod {name}: {said}; {ending.words}" if said else f"pod {name}, {ending.words}"
    return (rank, ending.at, name), words


def _said_of_pod(status: PodStatus) -> str:
    """What the kubelet, or who ended the pod, says: Evicted, DeadlineExceeded, a preemption."""
    if status.reason:
        return _joined(status.reason, status.message)
    for condition in status.conditions or ():
        if condition.type == "DisruptionTarget" and condition.status == "True":
            return _joined(condition.reason or condition.type, condition.message)
    return ""


def _endings(pod: EndedPod) -> Iterator[_Ending]:
    """The containers of a pod that failed."""
    sidecars = {one.name for one in pod.spec.init_containers or () if one.restart_policy == "Always"}
    # The containers start once every init container that is no sidecar has succeeded. The spec is not always known.
    began = any(one.state.terminated or one.last_state.terminated for one in pod.status.container_statuses or ())
    for status in pod.status.init_container_statuses or ():
        is_sidecar = began or status.name in sidecars
        yield from _ending(status, "sidecar" if is_sidecar else "init container", 2 if is_sidecar else 0)
    for status in pod.status.container_statuses or ():
        yield from _ending(status, "container", 0)


def _ending(status: ContainerStatus, kind: str, rank: int) -> Iterator[_Ending]:
    ended, before = status.state.terminated, status.last_state.terminated
    if ended is not None:
        if ended.is_failure:
            yield _ending_of(ended, status, kind, rank)
    elif before is not None and before.is_failure:
        yield _ending_of(before, status, kind, rank + 1)


def _ending_of(ended: Terminated, status: ContainerStatus, kind: str, rank: int) -> _Ending:
    words = f"{kind} {status.name}: {_how(ended, status)}"
    was_stopped = _signal(ended) in _STOPPING and ended.reason != "OOMKilled"
    return _Ending(rank, ended.finished_at or _LATE, words, was_stopped)


def _signal(ended: Terminated) -> int:
    """The number of the signal that ended a container, 0 if none did."""
    return ended.signal or (ended.exit_code - 128 if 128 < ended.exit_code < 160 else 0)


def _how(ended: Terminated, status: ContainerStatus) -> str:
    """Exit code, signal, reason, restarts and the last words of a container."""
    number = _signal(ended)
    signal = _SIGNALS.get(number, f"signal {number}" if ended.signal else "")
    parts = [f"exit code {ended.exit_code}" + (f" ({signal})" if signal else "")]
    if ended.reason not in _PLAIN:
        parts.append(_line(ended.reason, 64))
    if status.restart_count:
        parts.append(f"after {status.restart_count} {'restart' if status.restart_count == 1 else 'restarts'}")
    last = _last_line(ended.message)
    return ", ".join(parts) + (f': "{last}"' if last else "")


def waits_because(pod: EndedPod) -> tuple[str, str] | None:
    """Reason and words of a pod that does not run yet: an image, a configuration, or the scheduler; None if it says
    nothing."""
    status = pod.status
    if said := _unready(status):
        every = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
        waiting = (one.state.waiting for one in every if one.state.waiting is not None)
        reason = next((one.reason for one in waiting if one.reason not in _EARLY), "Unschedulable")
        return _line(reason, 64), said
    is_new = not status.conditions and not status.container_statuses
    return unscheduled(pod.spec.scheduler_name) if is_new else None


def unscheduled(scheduler: str) -> tuple[str, str]:
    """Reason and words of a pod that no scheduler has looked at. scheduler: its name, empty if it is not known."""
    name = f"the scheduler {scheduler}" if scheduler else "the scheduler that its schedulerName names"
    return NOT_SCHEDULED, f"no scheduler has looked at it; does {name} run in the cluster?"


def _unready(status: PodStatus) -> str:
    """Why a pod never came to run: an image, a configuration, or the scheduler."""
    for kind, statuses in (
        ("init container", status.init_container_statuses),
        ("container", status.container_statuses),
    ):
        for one in statuses or ():
            waiting = one.state.waiting
            if waiting is not None and waiting.reason not in _EARLY:
                return f"{kind} {one.name} does not start: {_joined(waiting.reason, waiting.message)}"
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"it has no node: {_joined(condition.reason or 'Unschedulable', condition.message)}"
    return ""


def _joined(reason: str, message: str) -> str:
    said = _line(message, _MAX_SAID)
    return f"{_line(reason, 64)}: {said}" if said else _line(reason, 64)


def _last_line(text: str) -> str:
    """The last line of a text that is not blank."""
    for line in reversed(text[-4_096:].splitlines()):
        if shown := _line(line, _MAX_LINE):
            return shown
    return ""


def _line(text: str, limit: int) -> str:
    """The text as one line of at most `limit` characters, without control characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * limit])
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
