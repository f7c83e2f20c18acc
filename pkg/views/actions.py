"""What suspend, resume, stop and terminate change, and when there is nothing to change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Shutdown
from pkg.views.briefs import Brief


class Action(StrEnum):
    """The verbs that change one field of the spec."""

    SUSPEND = "suspend"
    RESUME = "resume"
    STOP = "stop"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Change:
    """fields: of the spec, to merge into it; done: what follows from it, for a sentence that begins with the name."""

    fields: Mapping[str, Any]
    done: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The workflow is already as it should be; said: how it is, for a sentence that begins with the name."""

    said: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """The action has no meaning for this workflow; why: for a sentence that begins with the name."""

    why: str


Verdict = Change | Unchanged | Impossible


def verdict(action: Action, brief: Brief) -> Verdict:
    """What an action means for a workflow as it is now."""
    if brief.is_deleting:
        return Impossible("is being deleted; its jobs go with it")
    return _VERDICTS[action](brief)


def _suspend(brief: Brief) -> Verdict:
    if brief.is_final:
        return Impossible(f"has ended ({brief.phase}), so there is nothing to suspend")
    if brief.spec.suspend:
        return Unchanged("is suspended already")
    if brief.spec.shutdown is Shutdown.TERMINATE:
        return Impossible("is being terminated, so there is nothing to suspend")
    return Change({"suspend": True}, "suspended: running jobs go on, and no new one starts until it is resumed")


def _resume(brief: Brief) -> Verdict:
    if brief.spec.suspend:
        return Change({"suspend": False}, "resumed")
    if brief.phase is WorkflowPhase.SUSPENDED and brief.status.reason:
        return Impossible(
            f"is not suspended by spec.suspend; it is held ({brief.status.reason}): {brief.status.message}"
        )
    return Unchanged("is not suspended")


def _stop(brief: Brief) -> Verdict:
    if brief.is_final:
        return Impossible(f"has ended ({brief.phase}), so there is nothing to stop")
    if brief.spec.shutdown is Shutdown.STOP:
        return Unchanged("is being stopped already; `kubectl workflow terminate` deletes the jobs that still run")
    if brief.spec.shutdown is Shutdown.TERMINATE:
        return Unchanged("is being terminated already")
    return Change(
        {"shutdown": Shutdown.STOP}, "stopping: jobs that run may end, and nothing but `finally` flows starts"
    )


def _terminate(brief: Brief) -> Verdict:
    if brief.is_final:
        return Impossible(f"has ended ({brief.phase}), so there is nothing to terminate")
    if brief.spec.shutdown is Shutdown.TERMINATE:
        return Unchanged("is being terminated already")
    return Change({"shutdown": Shutdown.TERMINATE}, "terminating: its unfinished jobs are deleted, and no other starts")


_VERDICTS: Final[Mapping[Action, Callable[[Brief], Verdict]]] = {
    Action.SUSPEND: _suspend,
    Action.RESUME: _resume,
    Action.STOP: _stop,
    Action.TERMINATE: _terminate,
}
