"""Whether a run that is due may be made while earlier ones have not ended: concurrencyPolicy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.types import ConcurrencyPolicy
from pkg.controllers.cronworkflow.planner.snapshot import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """waits_for: the runs that must end first, none if the run may be made; terminates: those that are ended for it."""

    waits_for: tuple[Run, ...] = ()
    terminates: tuple[Run, ...] = ()

    @property
    def may_make(self) -> bool:
        return not self.waits_for


def verdict(policy: ConcurrencyPolicy, runs: Sequence[Run]) -> Verdict:
    """What the policy says about a run that is due. runs: all that exist.

    Replace waits for the jobs of earlier runs, too: what replaces them may need what they hold.
    """
    match policy:
        case ConcurrencyPolicy.ALLOW:
            return Verdict()
        case ConcurrencyPolicy.FORBID:
            return Verdict(tuple(run for run in runs if not run.is_ended))
        case ConcurrencyPolicy.REPLACE:
            blocking = tuple(run for run in runs if not run.is_ended or run.has_jobs)
            ended = tuple(run for run in blocking if not run.is_ended and not run.is_terminated and not run.is_deleting)
            return Verdict(blocking, ended)
