"""workflow-controller whose schedules go by a clock that somebody else moves, for tests and fault runs.

    WORKFLOW_CLOCK=file python hack/moved_clock.py --workers=4 ...

The file holds what the clock is ahead of the real one by, in seconds. All but CronWorkflows goes by the real one.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
VARIABLE: Final = "WORKFLOW_CLOCK"


class MovedClock:
    """Seconds since the epoch, by the file. A file that is not there, or is empty, moves nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self) -> float:
        return time.time() + self._ahead()

    def move_to(self, moment: float) -> None:
        """From now on the clock shows this time, and goes on from there."""
        new = self._file.with_suffix(".new")
        new.write_text(str(moment - time.time()))
        new.rename(self._file)

    def _ahead(self) -> float:
        try:
            return float(self._file.read_text() or 0)
        except FileNotFoundError:
            return 0.0


def main() -> None:
    """Runs the controller."""
    sys.path[0] = str(ROOT)
    from pkg.controllers import app
    from pkg.controllers.controller import Controller
    from pkg.controllers.options import Options
    from pkg.kube.config import ClientConfig

    clock = MovedClock(Path(os.environ[VARIABLE]))

    class WithMovedClock(Controller):
        def __init__(self, options: Options, config: ClientConfig) -> None:
            super().__init__(options, config, wall_clock=clock)

    app.Controller = WithMovedClock  # type: ignore[attr-defined, assignment]
    app.main()


if __name__ == "__main__":
    main()
