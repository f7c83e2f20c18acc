"""Many threads that need the table of kinds at once, as when the controller starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# A process of its own: what must not happen is its end.
SCRIPT = """
import sys, threading
from pkg.apis.meta import GVR
from pkg.workloads import convert_rules, rules_for

def use(number):
    barrier.wait()
    rules_for(GVR("batch", "v1", "jobs")) if number % 2 else convert_rules({"ok": [{"cond": "Done"}]}, where="here")

sys.setswitchinterval(1e-6)
barrier = threading.Barrier(6)
threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("well")
"""


def test_the_table_may_be_asked_for_first_by_many_threads_at_once() -> None:
    for _ in range(2):
        command = [sys.executable, "-c", SCRIPT]
        ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert (ended.returncode, ended.stdout) == (0, "well\n"), ended.stderr
