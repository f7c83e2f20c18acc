"""The quick start of the README as a newcomer types it: make targets, in an order that is not the usual one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0

pytestmark = pytest.mark.cluster


def wait_until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.1)


class Terminal:
    """A terminal of the newcomer: an environment, and commands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.environ = os.environ | {"KUBECONFIG": str(self.kubeconfig)}

    def cluster(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`make cluster-up` and `cluster-down`, in a folder of the test."""
        command = [sys.executable, "-m", "hack.cluster", *arguments, f"--dir={self.folder}"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=120, check=False
        )

    @contextmanager
    def running(self, *command: str) -> Iterator[Path]:
        """A command that stays, ended as by Ctrl-C; yields the file of its output."""
        log = self.folder.parent / f"run-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environ, stdout=out, stderr=out, start_new_session=True
            )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all processes of the command
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                pytest.fail("did not end within 15 s of Ctrl-C")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "cluster")
    yield made
    assert made.cluster("down").returncode == 0


def test_the_quick_start_in_another_order(terminal: Terminal) -> None:
    early = terminal.run("make", "deploy-example")
    assert early.returncode != 0
    assert f"no cluster to use: KUBECONFIG={terminal.kubeconfig} names none; start a local cluster" in early.stderr

    up = ("up", "--crds=installer/crds")
    first = terminal.cluster(*up)
    assert first.returncode == 0, first.stderr
    assert f"export KUBECONFIG={terminal.kubeconfig}" in first.stdout
    assert f"KUBECONFIG is {terminal.kubeconfig}" not in first.stdout
    again = terminal.cluster(*up)
    assert (again.returncode, "already up" in again.stdout) == (0, True)
    other = terminal.cluster(*up, "--nodes=3")
    assert (other.returncode, "with 4 nodes, not 3, is up" in other.stderr) == (1, True)

    applied = terminal.run("make", "deploy-example", "EXAMPLE=01-sequential")
    assert applied.returncode == 0, applied.stderr
    assert re.search(r"using the cluster https://127\.0\.0\.1:\d+ \(KUBECONFIG=", applied.stderr)
    with terminal.running("make", "run") as log:
        wait_until(lambda: "acting" in log.read_text(), "make run acts")
        with terminal.running("make", "run") as second:
            wait_until(lambda: "started" in second.read_text(), "the second make run has started")
            served = [re.search(r"metrics\S*=\S*(http://127\.0\.0\.1:\d+)", each.read_text()) for each in (log, second)]
            assert len({found[1] for found in served if found}) == 2
        kubectl = str(terminal.folder / "bin" / "kubectl")
        done = terminal.run(kubectl, "wait", "wkf/sequential", "--for=condition=Succeeded", "--timeout=60s")
        assert done.returncode == 0, done.stderr
    removed = terminal.run("make", "undeploy-examples")
    assert removed.returncode == 0, removed.stderr


def test_a_cluster_whose_folder_was_removed_does_not_stand_in_the_way(terminal: Terminal) -> None:
    """A checkout is removed and cloned again while its cluster is up."""
    assert terminal.cluster("up").returncode == 0
    shutil.rmtree(terminal.folder)
    again = terminal.cluster("up")
    assert (again.returncode, "the cluster is up after" in again.stdout) == (0, True), again.stderr
    assert terminal.run("make", "install-crds").returncode == 0


def test_an_example_that_does_not_exist_names_those_that_do(terminal: Terminal) -> None:
    done = terminal.run("make", "deploy-example", "EXAMPLE=06")
    assert done.returncode != 0
    assert "there is no example '06'; EXAMPLE is one of 01-sequential 02-parallel-for " in done.stderr
