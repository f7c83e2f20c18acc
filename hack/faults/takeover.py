"""Takeovers under load: three replicas, and the one that leads is killed, ended, stopped or cut off, again and again.

Each replica calls the API server as a user of its own, so the audit log shows who wrote when. The writes of two leaders
must never mix, and the next one must begin within a bound.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import yaml

from hack.cluster import Cluster
from hack.faults import load
from hack.faults.access import Everybody
from hack.faults.controller import Life
from hack.faults.judge import Call, Verdict
from hack.faults.proxy import Proxy
from hack.faults.scenarios import Scene, by_hand, leader, scene
from hack.faults.stalls import MAX_SECONDS, Stalls

Kind = Literal["kill", "term", "stop", "cut"]
LEASE_SECONDS = 6.0
"""The Lease duration of a controller without flags."""
BOUNDS: dict[Kind, float] = {
    "kill": LEASE_SECONDS + 1,
    "term": 1.0,
    "stop": LEASE_SECONDS + 1,
    "cut": LEASE_SECONDS + 1,
}
"""Seconds from the fault to the first write of the next leader, at most."""
WORDS: dict[Kind, str] = {
    "kill": "leader killed -9",
    "term": "leader ended with SIGTERM",
    "stop": "leader stopped with SIGSTOP and continued",
    "cut": "leader cut off from the API server",
}
_STEPS = 5
"""A takeover is about so many steps one after the other, each of which a busy machine delays."""
_REPLICAS = 3
_ADDRESS = "127.0.0.1"
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Takeover:
    """Who led, who came next, when the fault was (seconds since the epoch), and for how long the machine stalled."""

    old: str
    new: str
    at: float
    stalled: float


@dataclass(slots=True)
class _Cast:
    """The replicas of one run, each behind a proxy of its own if it is to be cut off."""

    here: Scene
    stack: contextlib.ExitStack
    is_cut: bool
    proxies: dict[str, Proxy] = field(default_factory=dict)

    def add(self) -> Life:
        """Starts one more."""
        identity = self.here.controllers.next_identity
        folder = self.here.controllers.folder
        user = {"as": identity, "as-groups": ["system:masters"]}
        if self.is_cut:
            access = Everybody(user)
            proxy = Proxy(self.here.cluster.kubeconfig, folder / f"proxy-{identity}", seed=0, access=access)
            self.proxies[identity] = self.stack.enter_context(proxy)
            return self.here.controllers.start(kubeconfig=proxy.kubeconfig)
        return self.here.controllers.start(kubeconfig=_kubeconfig(self.here.cluster, folder, identity, user))

    def wait_leader(self, other_than: Life | None = None) -> Life | None:
        """The replica that leads and acts; None if there is none in time."""

        def there() -> bool:
            now = leader(self.here)
            return now is not None and now is not other_than and _acted(now) > 0

        return leader(self.here) if self.here.wait(there, _PATIENCE) else None


def takeovers(cluster: Cluster, folder: Path, kind: Kind, *, count: int, times: int, seed: int = 8) -> Verdict:
    """`times` takeovers of one kind over at least `count` workflows, which come in small groups all the while."""
    group = max(2, -(-count // times))
    dice = Random(seed)
    with (
        contextlib.ExitStack() as stack,
        scene(cluster, folder, f"takeover-{kind}", 0, seconds=(0.5, 2.0)) as here,
        Stalls(cluster) as stalls,
    ):
        cast = _Cast(here, stack, kind == "cut")
        for _ in range(_REPLICAS):
            cast.add()
        names = iter(load.names(group * times))
        verdict = Verdict(WORDS[kind], group * times)
        done: list[Takeover] = []
        for _ in range(times):
            now = cast.wait_leader()
            if now is None:
                verdict.wrong.append("no replica leads")
                break
            _submit(here, itertools.islice(names, group // 2))
            made = len(here.writer.jobs)
            here.wait(lambda made=made: len(here.writer.jobs) > made, 20)  # type: ignore[misc]
            time.sleep(dice.uniform(0.0, 1.0))  # the fault comes at any time between two renewals
            stalls.take()
            at = time.time()
            with _fault(kind, cast, now):
                _submit(here, itertools.islice(names, group - group // 2))
                new = cast.wait_leader(other_than=now)
                if new is None:
                    verdict.wrong.append(f"nobody took over from {now.identity} within {_PATIENCE:.0f} s")
                    break
                made = len(here.writer.jobs)
                here.wait(lambda made=made: len(here.writer.jobs) > made, 20)  # type: ignore[misc]
            done.append(Takeover(now.identity, new.identity, at, stalls.take()))
        _submit(here, names)
        last = done[-1].at if done else time.time()
        here.count = group * times
        here.close(verdict, last, 240)
        verdict.wrong += [f"{life.identity} ended by itself" for life in here.controllers.lives if _is_gone(life)]
        assess(verdict, kind, done, here.calls())
        verdict.what = f"{verdict.what}; {by_hand(here)}"
        return verdict


@contextlib.contextmanager
def _fault(kind: Kind, cast: _Cast, life: Life) -> Iterator[None]:
    """The fault happens to the leader; at the end of the block another one leads, and what can be undone is."""
    controllers = cast.here.controllers
    match kind:
        case "kill":
            controllers.kill(life)
            cast.add()
            yield
        case "term":
            life.process.send(signal.SIGTERM)
            yield
            controllers.stop(life)
            cast.add()
        case "stop":
            life.process.send(signal.SIGSTOP)
            yield
            life.process.send(signal.SIGCONT)
            _wait_lost(cast.here, life)
        case "cut":
            cast.proxies[life.identity].drop(_ADDRESS)
            yield
            _wait_lost(cast.here, life)
            cast.proxies[life.identity].restore(_ADDRESS)


def assess(verdict: Verdict, kind: Kind, done: Sequence[Takeover], calls: Sequence[Call]) -> None:
    """Adds to a verdict how long the takeovers took, which took too long, and whose writes were mixed."""
    times = []
    uncounted = 0
    for one in done:
        first = min((call.at for call in calls if call.user == one.new and call.at > one.at), default=None)
        if first is None:
            verdict.wrong.append(f"{one.new} led after {one.old} and wrote nothing")
            continue
        times.append(first - one.at)
        if one.stalled > MAX_SECONDS:
            uncounted += 1
        elif first - one.at > BOUNDS[kind] + _STEPS * one.stalled:
            verdict.wrong.append(
                f"{one.new} wrote {first - one.at:.1f} s after the fault; {BOUNDS[kind]:g} s is the bound"
            )
    verdict.wrong += mixed(done, calls)
    if times:
        verdict.what = (
            f"{len(times)} takeovers, first write {min(times):.2f} to {max(times):.2f} s after the fault "
            f"(median {statistics.median(times):.2f} s, bound {BOUNDS[kind]:g} s)"
        )
    if uncounted:
        verdict.what += (
            f"; {uncounted} of them while this machine stalled for {MAX_SECONDS:g} s or more, so not compared"
        )


def mixed(done: Sequence[Takeover], calls: Sequence[Call]) -> list[str]:
    """Which leader wrote although another one had begun; empty if each wrote in its own term alone."""
    writers = [user for user, _ in itertools.groupby(call.user for call in sorted(calls, key=lambda call: call.at))]
    wanted = [one.old for one in done[:1]] + [one.new for one in done]
    for number, (writer, due) in enumerate(itertools.zip_longest(writers, wanted)):
        if writer != due:
            due_words = due or "nobody"
            return [f"after {number} terms {writer or 'nobody'} wrote, {due_words} was due; in order: {writers[:20]}"]
    return []


def _wait_lost(here: Scene, life: Life) -> None:
    """Until the replica has noticed that it leads no longer."""
    here.wait(lambda: life.process.log_text().count('"no longer leading"') >= _acted(life), 20)


def _acted(life: Life) -> int:
    """How often it began to act."""
    return life.process.log_text().count('"acting"')


def _is_gone(life: Life) -> bool:
    return not life.ended and not life.process.is_alive


def _submit(here: Scene, names: Iterator[str]) -> None:
    load.submit_all(here.cluster.api(), here.namespace, names)


def _kubeconfig(cluster: Cluster, folder: Path, identity: str, user: dict[str, Any]) -> Path:
    """The administrator's kubeconfig, as that user."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] |= user
    file = folder / f"kubeconfig-{identity}"
    file.write_text(yaml.safe_dump(config))
    return file
