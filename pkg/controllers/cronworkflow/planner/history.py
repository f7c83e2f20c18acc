"""Which runs that have ended are too many: successfulHistoryLimit and failedHistoryLimit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pkg.controllers.cronworkflow.planner.snapshot import Run


def surplus(runs: Sequence[Run], *, succeeded: int, failed: int, covered: float) -> Iterator[Run]:
    """The runs that are too many: of each kind the newest are kept, as many as the limit says.

    covered: the lastScheduleTime that the API server has acknowledged. A run of a later time is what shows that this
    time has its run, so it stays.
    """
    for has_succeeded, limit in ((True, succeeded), (False, failed)):
        ended = [run for run in runs if run.is_ended and run.has_succeeded is has_succeeded]
        ended.sort(key=lambda run: run.age, reverse=True)
        for run in ended[limit:]:
            if not run.is_deleting and (run.time is None or run.time <= covered):
                yield run
