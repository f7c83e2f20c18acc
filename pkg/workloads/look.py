"""One look at a job: the steps that its rules may still take, and what the rules share.

A step is one value that a rule visits, about 40 ns. The budget is the same for every job, so a rule behaves the same on
every controller.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from cel_expr_python import cel

from pkg.apis.meta import Job
from pkg.workloads.costs import MAX_STEPS
from pkg.workloads.model import RuleFault
from pkg.workloads.projection import Projection, Size

MAX_CONDITIONS: Final = 5_000
"""Entries of status.conditions that are read."""
SHOW_STEPS: Final = 6
"""Steps for each unit of weight to measure and convert what CEL reads."""

ENV: Final = cel.NewEnv(variables={"object": cel.Type.DYN})
"""The CEL environment: the standard functions, and the variable `object`."""


class Shown(NamedTuple):
    """What CEL reads of an object, converted once for all expressions, and its size."""

    activation: Any
    size: Size


class Look:
    """State of one look at one job. Used by one thread, then dropped."""

    __slots__ = ("_conditions", "_left", "_shown", "faults", "has_status", "job", "phase")

    def __init__(self, job: Job, steps: int = MAX_STEPS, *, has_status: bool = True) -> None:
        self.job = job
        self.has_status = has_status
        """Whether the kind has the status subresource. Else every write of the status raises metadata.generation, and
        an observedGeneration says nothing.
        """
        self.faults: list[str] = []
        """What is reported with a reading that is not final."""
        self.phase: str | None = None
        """What several rules ask for: the phase that the status names, empty for none; None before it was sought."""
        self._left: float = steps
        self._conditions: dict[str, list[dict[str, Any]]] | None = None
        self._shown: Shown | RuleFault | None = None

    def spend(self, steps: float) -> None:
        """Take steps from the budget. Raises RuleFault if fewer are left."""
        self._left -= steps
        if self._left < 0:
            raise RuleFault(f"the rules would take more than {MAX_STEPS:,} steps on this object; read less of it")

    def note(self, fault: str) -> None:
        """Report a fault once."""
        if fault and fault not in self.faults:
            self.faults.append(fault)

    def conditions(self, kind: str) -> list[dict[str, Any]]:
        """The entries of status.conditions of this type, in their order."""
        index = self._conditions
        if index is None:
            index = self._conditions = self._read_conditions()
        found = index.get(kind)
        if found is None:
            return _NONE
        self.spend(len(found))
        return found

    def _read_conditions(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        entries = self.job.status.get("conditions")
        if entries.__class__ is not list:
            return found
        if len(entries) > MAX_CONDITIONS:
            self.note(f"status.conditions has {len(entries):,} entries; the first {MAX_CONDITIONS:,} are read")
            entries = entries[:MAX_CONDITIONS]
        self._left -= len(entries)
        for entry in entries:
            if entry.__class__ is dict and (kind := entry.get("type")).__class__ is str:
                found.setdefault(kind, []).append(entry)
        return found

    def shown(self, projection: Projection) -> Shown:
        """What CEL reads of the job; converted at the first call. Raises RuleFault if it is too large."""
        if self._shown is None:
            try:
                self._shown = self._show(projection)
            except RuleFault as fault:
                self._shown = fault
        if isinstance(self._shown, RuleFault):
            raise self._shown
        return self._shown

    def _show(self, projection: Projection) -> Shown:
        part, size = projection.of(self.job)
        self.spend(SHOW_STEPS * size.weight)
        return Shown(ENV.Activation({"object": part}), size)


_NONE: Final[list[dict[str, Any]]] = []
