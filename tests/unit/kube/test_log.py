"""Lines of this package's log."""

from __future__ import annotations

import subprocess
import sys

from structlog.testing import capture_logs

from pkg.kube.log import Log


def test_structlog_gets_the_line_where_it_is_used() -> None:
    with capture_logs() as lines:
        Log("kube.x").warning("it failed", error="no")
    assert lines == [{"event": "it failed", "error": "no", "log_level": "warning"}]


def test_without_structlog_nothing_is_printed() -> None:
    code = (
        "import sys; from pkg.kube.log import Log; Log('x').warning('it failed'); assert 'structlog' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
