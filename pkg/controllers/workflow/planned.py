"""What one reconcile has planned and created, before its other writes."""

from __future__ import annotations

from pkg.apis.structs import Frozen
from pkg.controllers.workflow.planner.actions import Emit, Plan
from pkg.controllers.workflow.planner.snapshot import Snapshot


class Planned(Frozen, frozen=True):
    """first: the plan whose jobs were created; final: the plan made after that, with the deletions of both, or `first`
    itself if it created nothing; snapshot: what `final` was made from; events: of both plans. is_complete: no creation
    is to be retried; is_any_refused: a creation was refused for good, which the next plan has to act on.
    """

    first: Plan
    final: Plan
    snapshot: Snapshot
    events: tuple[Emit, ...]
    is_complete: bool = True
    is_any_refused: bool = False
