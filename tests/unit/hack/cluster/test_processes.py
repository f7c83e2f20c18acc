"""Finding and ending the processes of a cluster. Real, tiny processes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from hack.cluster import processes

# Says that it runs by making a file, then waits; it passes its mark on to a child.
_FAMILY = (
    "import os, sys, time\n"
    "if os.fork() == 0: open(sys.argv[1] + '/child', 'w').close()\n"
    "else: open(sys.argv[1] + '/parent', 'w').close()\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path


def test_children_are_found_and_ended_with_their_parent(folder: Path) -> None:
    pid = processes.spawn([sys.executable, "-I", "-c", _FAMILY, str(folder)], folder, folder / "log")
    assert processes.wait_until(lambda: (folder / "parent").exists() and (folder / "child").exists(), 10)
    found = processes.members(folder)
    assert pid in found
    assert len(found) == 2
    assert processes.end_members(folder) == []
    assert [each for each in found if processes.is_alive(each)] == []


def test_a_process_of_another_cluster_is_left_alone(folder: Path) -> None:
    other = folder / "other"
    (other / "run").mkdir(parents=True)
    pid = processes.spawn([sys.executable, "-I", "-c", "import time; time.sleep(60)"], other, other / "log")
    try:
        assert processes.wait_until(lambda: processes.members(other) == [pid], 10)
        assert processes.end_members(folder) == []
        assert processes.is_alive(pid)
    finally:
        processes.end([pid])


def test_sigterm_becomes_an_exit_that_cleans_up() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_info, processes.exit_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert exit_info.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_during_cleaning_up_waits_for_its_end() -> None:
    done = []

    def clean_up() -> None:
        with processes.uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("cleaned up")

    with pytest.raises(SystemExit), processes.exit_on_sigterm():
        clean_up()
    assert done == ["cleaned up"]


def test_waiting_gives_up() -> None:
    assert not processes.wait_until(lambda: False, 0.01, 0.001)
