"""Tests that need more than a predicate: arithmetic of a rollout, sums over groups, words of a phase.

Rows of rules.yaml call these functions with `{call: name}`. Each takes a look at a job and returns its evidence (a
condition, a text or True), or None. It raises nothing but RuleFault, when the look has no steps left.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pkg.apis.meta import ReplicaGroup
from pkg.workloads.look import Look

GOOD_WORDS = frozenset(("succeed", "succeeded", "success", "successful", "complete", "completed", "finished", "done"))
BAD_WORDS = frozenset(
    (
        "failed",
        "failure",
        "error",
        "aborted",
        "terminated",
        "cancelled",
        "canceled",
        "killed",
        "stopped",
        "timeout",
        "evicted",
        "validationfailed",
    )
)
RUNNING_WORDS = frozenset(
    ("running", "active", "executing", "inprogress", "processing", "progressing", "started", "completing")
)

HELD_WORDS = frozenset(("suspended", "suspending"))

# No word of the lists above is as long.
_MAX_WORD = 64

_PHASE_PATHS: tuple[tuple[str, ...], ...] = (
    ("phase",),
    ("state", "phase"),
    ("state",),
    ("jobStatus", "state"),
    ("applicationState", "state"),
    ("jobDeploymentStatus",),
    ("jobStatus",),
)


def count(value: Any, default: int = 0) -> int:
    """The value if it is a whole number, else the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def text(value: Any) -> str:
    """The value if it is a text, else an empty one. (`str` would follow a nested value by recursion.)"""
    return value if isinstance(value, str) else ""


def phase_of(status: dict[str, Any]) -> str:
    """The first text under the well-known phase paths, unchanged; empty if there is none."""
    for path in _PHASE_PATHS:
        node: Any = status
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, str) and node:
            return node
    return ""


def _phase(look: Look) -> str:
    """`phase_of` the status, sought once in a look."""
    if look.phase is None:
        look.phase = phase_of(look.job.status)
    return look.phase


@functools.lru_cache(maxsize=1024)
def _word(phase: str) -> str:
    return "".join(letter for letter in phase[:_MAX_WORD] if letter.isalpha()).lower()


def _phase_in(words: frozenset[str]) -> Callable[[Look], str | None]:
    def test(look: Look) -> str | None:
        phase = _phase(look)
        return phase if phase and _word(phase) in words else None

    return test


def _done_without_phase(look: Look) -> Any:
    """A condition Complete, Completed or Succeeded that is True, in a status without a phase."""
    if _phase(look):
        return None
    for kind in ("Complete", "Completed", "Succeeded"):
        for item in look.conditions(kind):
            if item.get("status") == "True":
                return item
    return None


def _job_ready(look: Look) -> bool | None:
    """Every active pod of a batch Job is ready, and there is at least one."""
    status = look.job.status
    ready = count(status.get("ready"))
    return True if ready > 0 and ready >= count(status.get("active")) else None


def _deployment_ready(look: Look) -> bool | None:
    """Every replica is available and belongs to the newest template."""
    status = look.job.status
    wanted = count(look.job.spec.replicas, 1)
    updated = count(status.get("updatedReplicas"))
    is_rolled_out = updated == wanted == count(status.get("replicas"))
    return True if is_rolled_out and count(status.get("availableReplicas")) == updated else None


def _stateful_set_ready(look: Look) -> bool | None:
    """Every replica is ready and of the newest revision."""
    status = look.job.status
    is_complete = count(status.get("readyReplicas")) == count(look.job.spec.replicas, 1)
    return True if is_complete and text(status.get("currentRevision")) == text(status.get("updateRevision")) else None


def _daemon_set_ready(look: Look) -> bool | None:
    """Every node that should run a pod has an available one of the newest template."""
    status = look.job.status
    wanted = count(status.get("desiredNumberScheduled"))
    is_rolled_out = count(status.get("updatedNumberScheduled")) == wanted
    return True if is_rolled_out and count(status.get("numberAvailable")) == wanted else None


def _groups_ready(field: str) -> Callable[[Look], bool | None]:
    """A test that each group has as many ready or succeeded children as it has replicas.

    A JobSet names its groups in its spec. The groups of a TrainJob stand in its runtime and have one child each, so
    they are taken from the status.
    """

    def test(look: Look) -> bool | None:
        reported = look.job.status.get(field)
        groups = look.job.spec.replicated_jobs
        if not isinstance(reported, list):
            return None
        look.spend(8 * (len(reported) + (len(groups) if isinstance(groups, tuple) else 0)))
        done = {
            text(group.get("name")): count(group.get("ready")) + count(group.get("succeeded"))
            for group in reported
            if isinstance(group, dict)
        }
        wanted = dict.fromkeys(done, 1)
        if isinstance(groups, tuple):
            named = [group for group in groups if isinstance(group, ReplicaGroup)]
            wanted = {text(group.name): count(group.replicas, 1) for group in named} or wanted
        return True if wanted and all(done.get(name, 0) >= number for name, number in wanted.items()) else None

    return test


FUNCTIONS: dict[str, Callable[[Look], Any]] = {
    "goodPhase": _phase_in(GOOD_WORDS),
    "badPhase": _phase_in(BAD_WORDS),
    "runningPhase": _phase_in(RUNNING_WORDS),
    "heldPhase": _phase_in(HELD_WORDS),
    "doneWithoutPhase": _done_without_phase,
    "jobReady": _job_ready,
    "deploymentReady": _deployment_ready,
    "statefulSetReady": _stateful_set_ready,
    "daemonSetReady": _daemon_set_ready,
    "jobSetReady": _groups_ready("replicatedJobsStatus"),
    "trainJobReady": _groups_ready("jobsStatus"),
}

#: Those of them that find nothing in an empty status. The others compare counts with spec.replicas, which may be 0.
NEED_STATUS = frozenset(FUNCTIONS) - {"deploymentReady", "statefulSetReady", "daemonSetReady"}
