"""The dashboard under load: 200 viewers of a workflow of 500 tasks, one of which takes nothing.

A process of its own serves; this one has the viewers, and changes the status as a controller would. Measured are the
watches that the API server has, the CPU and memory of the server, and how long after the API server's answer to a
change each viewer has it.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hack.bench.harness import ROOT
from hack.cluster import Cluster
from hack.cluster.api import Api
from pkg.kube.config import load_config

VIEWERS: Final = 200
TASKS: Final = 500
CHANGES: Final = 60
#: Seconds between two changes: a controller writes such a status about as often.
PAUSE: Final = 0.25
MAX_DELAY: Final = 0.3
NAMESPACE: Final = "default"
NAME: Final = "seen"
_HOST: Final = "127.0.0.1"
_PATH: Final = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{NAMESPACE}/workflows"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def measure(cluster: Cluster) -> bool:
    """Measures and prints; whether the bound is met."""
    api = cluster.api()
    _create(api)
    with serving(cluster.kubeconfig) as (process, port):
        viewers = Viewers(port)
        viewers.connect()
        cpu, memory = _cpu(process.pid), _memory(process.pid)
        began = time.monotonic()
        sent = _changes(api)
        viewers.wait(len(sent), 30.0)
        seconds = time.monotonic() - began
        used = _cpu(process.pid) - cpu
        delays = sorted(delay for one in viewers.seen for delay in _delays(one, sent))
        watches = _watches(process.pid, cluster)
        grown = _memory(process.pid)
        viewers.close()
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    count = sum(len(one) for one in viewers.seen)
    print(f"dashboard: {VIEWERS} viewers of {TASKS} tasks, one of them stalled; {len(sent)} changes in {seconds:.1f} s")
    print(f"  connections to the API server: {watches}")
    in_ms = ", ".join(f"{name} {at * 1000:.0f} ms" for name, at in (("p50", p50), ("p99", p99), ("most", delays[-1])))
    print(f"  delay after the API server's answer: {in_ms}")
    print(f"  CPU: {used / seconds * 100:.0f} % of a core, {used / max(1, count) * 1e6:.0f} µs per message and viewer")
    print(f"  memory: {memory:.0f} MB before, {grown:.0f} MB after")
    print(f"  bound: p99 at most {MAX_DELAY * 1000:.0f} ms: {'met' if p99 <= MAX_DELAY else 'NOT met'}")
    return p99 <= MAX_DELAY


class Viewers:
    """Connections that read, and one that does not. One thread reads them all."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []
        self._buffers: list[bytes] = []
        self.seen: list[dict[str, float]] = []
        """Of each viewer: when it had the frame with a message."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def connect(self) -> None:
        asked = f"GET /api/workflows/{NAMESPACE}/{NAME}/stream HTTP/1.1\r\nHost: {_HOST}:{self._port}\r\n\r\n".encode()
        for _ in range(VIEWERS):
            made = socket.create_connection((_HOST, self._port))
            made.sendall(asked)
            self._sockets.append(made)
            self._buffers.append(b"")
            self.seen.append({})
        self._thread.start()
        time.sleep(2.0)

    def wait(self, count: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(len(one) < count for one in self.seen[1:]):
            time.sleep(0.05)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5.0)
        for one in self._sockets:
            one.close()

    def _read(self) -> None:
        numbers = {one.fileno(): at for at, one in enumerate(self._sockets)}
        poll = select.poll()
        for one in self._sockets[1:]:  # the first one never reads
            poll.register(one, select.POLLIN)
        while not self._stop.is_set():
            for number, _ in poll.poll(200):
                at = numbers[number]
                data = self._buffers[at] + self._sockets[at].recv(1 << 20)
                *events, self._buffers[at] = data.split(b"\n\n")
                now = time.time()
                for event in events:
                    if b'"message":"change-' in event:
                        message = event.partition(b'"message":"change-')[2].partition(b'"')[0].decode()
                        self.seen[at].setdefault(message, now)


def _delays(seen: dict[str, float], sent: dict[str, float]) -> Iterator[float]:
    for message, at in sent.items():
        if message in seen:
            yield max(0.0, seen[message] - at)


def _create(api: Api) -> None:
    flows = [{"name": f"flow-{number}", "template": "step", "for": {"replicas": 10}} for number in range(TASKS // 10)]
    for number, flow in enumerate(flows[1:], 1):
        flow["dependsOn"] = {"targets": [f"flow-{(number - 1) // 2}"]}
    meta = {"name": NAME, "namespace": NAMESPACE}
    body = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "metadata": meta, "spec": {"flows": flows}}
    api.request("POST", _PATH, body)
    _patch(api, "start", 0)


def _patch(api: Api, message: str, number: int) -> None:
    """A status as a controller writes it: a few flows have changed."""
    flows: list[dict[str, Any]] = []
    for at in range(TASKS // 10):
        done = max(0, min(10, number - at))
        tasks = {"succeeded": f"0-{done - 1}"} if done else {}
        if done < 10:
            tasks["running" if number >= at else "waiting"] = f"{done}-9"
        flows.append({"name": f"flow-{at}", "phase": "Succeeded" if done == 10 else "Running", "attempts": 10, **tasks})
    status = {"phase": "Running", "message": message, "flows": flows, "progress": f"{number}/{TASKS}"}
    api.request("PATCH", f"{_PATH}/{NAME}/status", {"status": status}, content_type="application/merge-patch+json")


def _changes(api: Api) -> dict[str, float]:
    """When the API server had answered each change, by its message."""
    sent = {}
    for number in range(1, CHANGES + 1):
        _patch(api, f"change-{number}", number)
        sent[str(number)] = time.time()
        time.sleep(PAUSE)
    return sent


@contextmanager
def serving(kubeconfig: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A dashboard in a process of its own, and its port."""
    command = [sys.executable, str(ROOT / "cmd/workflow-dashboard/main.py"), "--port=0", f"--kubeconfig={kubeconfig}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "the dashboard is at " in line:
                yield process, int(line.rstrip().rstrip("/").rpartition(":")[2])
                break
        else:
            raise RuntimeError("the dashboard did not start")
    finally:
        process.terminate()
        process.wait(10)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> float:
    """MB that a process holds."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _watches(pid: int, cluster: Cluster) -> int:
    """Connections of a process to the API server: its watches, and idle ones."""
    server = load_config(str(cluster.kubeconfig)).server
    port = f":{urlsplit(server).port:04X}"
    mine = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    # The remote address, state 1 (established) and the inode of each socket.
    return sum(line[2].endswith(port) and line[3] == "01" and f"socket:[{line[9]}]" in mine for line in lines)
