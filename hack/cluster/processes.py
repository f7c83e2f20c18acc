"""Finds, starts and ends the processes of a cluster.

Every process of a cluster has the cluster's folder in an environment variable, which its children inherit. So each of
them is found through /proc and can be stopped, even if its parent has died.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

MEMBER_OF = "WORKFLOW_CLUSTER_MEMBER_OF"
"""Environment variable of every process of a cluster; its value is the cluster's absolute folder."""


def member_environ(folder: Path, base: Mapping[str, str]) -> dict[str, str]:
    """`base` for a process of the cluster in `folder`: with its mark, without the user's own kubeconfig and kwok.

    Nor has it a proxy, by which the API server would send its calls of webhooks out of this machine.
    """
    environ = {
        key: value
        for key, value in base.items()
        if not key.startswith("KWOK_") and key.upper() not in {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    }
    environ |= {MEMBER_OF: str(folder), "HOME": str(folder / "run"), "KUBECONFIG": str(folder / "kubeconfig")}
    return environ


def python_path() -> dict[str, str]:
    """The environment that lets a process import this package, whatever folder it runs in."""
    root = str(Path(__file__).resolve().parents[2])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def members(folder: Path) -> list[int]:
    """Ids of the living processes of the cluster in `folder` (absolute)."""
    wanted = f"{MEMBER_OF}={folder}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environ = Path(entry.path, "environ").read_bytes()
            except OSError:  # it has ended, or belongs to another user
                continue
            if wanted in environ.split(b"\0"):
                found.append(int(entry.name))
    return sorted(found)


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    """Whether process `pid` exists and is no zombie, with none of its threads left: then its ports are free too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    state, threads = fields[0], int(fields[17])
    # The first thread can be a zombie while others still hold the process's files open.
    return state not in {"Z", "X"} or threads > 1


def end(pids: Sequence[int], sig: signal.Signals = signal.SIGKILL, timeout: float = 10.0) -> list[int]:
    """Sends `sig` to `pids` and waits until they are gone; returns those still alive after `timeout` seconds."""
    for pid in pids:
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            continue
    left = list(pids)
    wait_until(lambda: not left_alive(left), timeout)
    return left_alive(left)


def left_alive(pids: Sequence[int]) -> list[int]:
    """Those of `pids` that live. Also reaps children of this process."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue
    return [pid for pid in pids if is_alive(pid)]


def end_members(folder: Path) -> list[int]:
    """Ends every process of the cluster in `folder`, also those that start meanwhile; returns what would not end."""
    quiet = 0
    for _ in range(20):
        pids = members(folder)
        if pids:
            end(pids)
        # A process that was just forked shows the mark only once it runs its own program, so look twice.
        quiet = 0 if pids else quiet + 1
        if quiet == 2:
            return []
        time.sleep(0.03)
    return members(folder)


def spawn(argv: Sequence[str], folder: Path, log: Path, environ: Mapping[str, str] | None = None) -> int:
    """Starts a process of the cluster in `folder`, detached, its output appended to `log`; returns its id."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            cwd=folder / "run",
            env=member_environ(folder, os.environ) | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    # The process goes on without this object; `end` reaps it if this process is still its parent.
    process.returncode = 0
    return process.pid


def wait_until(done: Callable[[], bool], timeout: float, interval: float = 0.02) -> bool:
    """Calls `done` every `interval` seconds until it returns True; False after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port of that address of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Within the block SIGTERM raises SystemExit(143), so that `with` and `finally` clean up as after Ctrl-C."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C and SIGTERM until the end of the block, so that cleaning up is always completed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    held: list[int] = []
    # Blocking them would not do: another thread would take the signal, and the main thread handle it all the same.
    before = {number: signal.signal(number, lambda n, _: held.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for came in dict.fromkeys(held):
            signal.raise_signal(came)
