"""Outages of etcd. The API server runs on meanwhile, but it can neither read nor write.

While etcd is stopped, requests hang. After some seconds they are answered 500 or 504, although the write may happen
later. While it is gone they fail sooner.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

from hack.cluster import Cluster
from hack.cluster.audit_log import entries
from hack.faults.judge import AGENT, Verdict
from hack.faults.scenarios import Scene, by_hand, scene

_ETCD = "etcd"
_SECONDS = (2.0, 12.0)
"""How long it is away: shorter than a Lease, which lasts 6 s, and longer."""
_PAUSE = (3.0, 6.0)


def etcd_outages(cluster: Cluster, folder: Path, *, count: int, times: int, seed: int = 9) -> Verdict:
    """etcd stopped (SIGSTOP) and continued, or killed -9 and started again, by turns, `times` in all.

    Two replicas with election: in a long outage the leader cannot renew its Lease and may write no more.
    """
    dice = Random(seed)
    done: Counter[str] = Counter()
    longest = 0.0
    with scene(cluster, folder, _ETCD, count, seconds=(2.0, 6.0), has_schedules=True) as here:
        lives = [here.controllers.start() for _ in range(2)]
        here.wait(lambda: here.writer.written >= count // 4, 60)
        last = time.time()
        while done.total() < times and not here.is_over():
            seconds = dice.uniform(*_SECONDS)
            longest = max(longest, seconds)
            if done.total() % 2:
                _kill(cluster, seconds)
                done["killed"] += 1
            else:
                _stop(cluster, seconds)
                done["stopped"] += 1
            last, written = time.time(), here.writer.written
            # Between two outages the controllers get on, whichever of them leads then.
            here.wait(lambda written=written: here.is_over() or here.writer.written > written, 60)  # type: ignore[misc]
            here.wait(here.is_over, dice.uniform(*_PAUSE))
        verdict = here.close(Verdict("etcd stopped, and killed -9", count), last, 240)
        failed = _unanswered(here)
        verdict.what = (
            f"{done['stopped']} times stopped, {done['killed']} times killed, for {longest:.0f} s at most; "
            f"{failed} writes of the controllers answered 5xx; {by_hand(here)}"
        )
        if not (done["stopped"] and done["killed"] and failed):
            verdict.wrong.append("no outage of each kind met a write, so the fault did not happen")
        if not all(life.process.is_alive for life in lives):
            verdict.wrong.append("a controller ended")
        return verdict


def _stop(cluster: Cluster, seconds: float) -> None:
    """SIGSTOP for that long: its connections stay open, and nothing answers on them."""
    pids = cluster.pids(_ETCD)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _kill(cluster: Cluster, seconds: float) -> None:
    """kill -9, and a start after that long: its address refuses connections."""
    cluster.stop_component(_ETCD)
    time.sleep(seconds)
    cluster.start_component(_ETCD)


def _unanswered(here: Scene) -> int:
    """How many writes of controllers the API server answered with an error of its own, Leases included."""
    return sum(
        entry["userAgent"].startswith(AGENT)
        and entry.get("objectRef", {}).get("namespace") == here.namespace
        and entry["verb"] in ("create", "patch", "update", "delete")
        and entry.get("responseStatus", {}).get("code", 0) >= 500
        for entry in entries(here.cluster.audit_log, containing=AGENT)
    )
