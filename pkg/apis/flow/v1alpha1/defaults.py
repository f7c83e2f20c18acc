"""Defaults that depend on other fields. Those that depend on nothing stand beside their fields in `types`."""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1.types import PolicyType, ProbedPhase, Remaining, Retry, Strategy, SuccessPolicy

NO_RETRY: Final = Retry()

_SAME_PHASE: Final = {
    ProbedPhase.SUCCEEDED: ProbedPhase.COMPLETED,
    ProbedPhase.TERMINATED: ProbedPhase.FAILED,
    ProbedPhase.ABORTED: ProbedPhase.FAILED,
}


def meant(phase: ProbedPhase) -> ProbedPhase:
    """The phase that is meant: Succeeded means Completed, Terminated and Aborted mean Failed."""
    return _SAME_PHASE.get(phase, phase)


def strategy(given: Strategy | None, phase: ProbedPhase | None = None) -> Strategy:
    """How many replicas must meet a predicate: as given, else Any for the phase Failed and All otherwise."""
    if given is not None:
        return given
    return Strategy.ANY if phase is not None and meant(phase) is ProbedPhase.FAILED else Strategy.ALL


def remaining(policy: SuccessPolicy, *, succeeded: bool) -> Remaining:
    """What happens to unfinished flows once the outcome is decided.

    As given, else Continue if the policy is Critical and succeeded, and Drain otherwise.
    """
    if policy.remaining is not None:
        return policy.remaining
    return Remaining.CONTINUE if policy.type is PolicyType.CRITICAL and succeeded else Remaining.DRAIN
