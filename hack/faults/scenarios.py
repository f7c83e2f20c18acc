"""The faults themselves: each function runs one on a namespace of its own and returns its verdict."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from hack.cluster.processes import free_port
from hack.faults import load, schedules
from hack.faults.controller import Controllers, Life
from hack.faults.judge import Call, Verdict, judge, time_recovery, writes
from hack.faults.lock_evidence import leaked
from hack.faults.proxy import Proxy
from hack.faults.writer import Writer
from hack.scrape import metric
from pkg.apis.flow.v1alpha1.types import WORKFLOWS

NO_ELECTION = ("--leader-elect=false", "--exclusive=false")
_numbers = itertools.count(1)
_LOOK = 0.1
_MISROUTED_SECONDS = 6.0
# Seconds after the end within which every lock is given back.
LEAK_SECONDS = 45.0


@dataclass(slots=True)
class Scene:
    """A namespace full of workflows, their writer and their controllers."""

    cluster: Cluster
    namespace: str
    writer: Writer
    controllers: Controllers
    count: int
    began: float
    has_data: bool
    #: When each CronWorkflow was created; empty where there is none.
    crons: dict[str, float] = field(default_factory=dict)

    def is_over(self) -> bool:
        """Whether every workflow has ended."""
        return self.writer.ended >= self.count

    def wait(self, fact: Callable[[], bool], seconds: float) -> bool:
        """Waits until `fact()` is true; False if it is not within that time."""
        deadline = time.monotonic() + seconds
        while not fact():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK)
        return True

    def calls(self) -> list[Call]:
        """What controllers wrote here so far."""
        return list(writes(self.cluster.audit_log, self.namespace))

    def close(self, verdict: Verdict, last_fault: float, patience: float) -> Verdict:
        """Waits until every workflow has ended, for `patience` seconds after each that ends, and judges the run."""
        is_over = self._wait_over(patience)
        over = time.time() if is_over else None
        time.sleep(1.0)  # a job that is wrongly created after the end is seen, too
        calls = self.calls()
        workflows = load.workflows(self.cluster.api(), self.namespace)
        judge(verdict, workflows, self.writer.jobs, calls, load.FAULT_JOBS)
        if self.has_data:
            ended = [item for item in workflows if (item.get("status") or {}).get("phase") == "Succeeded"]
            verdict.wrong += self.writer.wrong_data(item["metadata"]["name"] for item in ended)
            verdict.wrong += leaked(self.cluster.api(), self.namespace, self.wait, LEAK_SECONDS)
            if not self.writer.locks.seen:
                verdict.wrong.append("no job was made under a lock, so that locks were not tested")
        if self.crons:
            verdict.wrong += schedules.missed(
                lambda until: self.writer.schedule_faults(self.crons, until), self.crons, self.wait
            )
        for log in self.controllers.logs:
            if "Traceback" in log.read_text(errors="replace"):
                verdict.wrong.append(f"a traceback in {log}")
        time_recovery(verdict, calls, last_fault, over)
        verdict.seconds = time.time() - self.began
        if verdict.not_ended:
            self._keep()
        return verdict

    def _wait_over(self, patience: float) -> bool:
        """How long all of them take says how busy the machine is; that none ends any more says that some are stuck."""
        ended = -1
        while ended < self.writer.ended < self.count:
            ended = self.writer.ended
            self.wait(lambda before=ended: self.writer.ended > before, patience)  # type: ignore[misc]
        return self.is_over()

    def _keep(self) -> None:
        """Writes workflows and jobs to files beside the controllers' logs, to find out what went wrong."""
        for gvr in (WORKFLOWS, load.FAULT_JOBS):
            path = f"/apis/{gvr.group}/{gvr.version}/namespaces/{self.namespace}/{gvr.resource}"
            (self.controllers.folder / f"{gvr.resource}.json").write_bytes(self.cluster.api().request("GET", path))


@contextlib.contextmanager
def scene(
    cluster: Cluster,
    folder: Path,
    name: str,
    count: int,
    *flags: str,
    seconds: tuple[float, float] = (0.2, 1.0),
    kubeconfig: Path | None = None,
    env: Mapping[str, str] = MappingProxyType({}),
    fate: Callable[[load.Attempt], str] = load.fate,
    has_data: bool = True,
    has_schedules: bool = False,
) -> Iterator[Scene]:
    """A namespace with `count` workflows, jobs that last `seconds` and end by `fate`, and no controller yet.

    has_data: as in `load.workflow`; has_schedules: CronWorkflows fire each minute.
    """
    namespace = f"{name}-{next(_numbers)}"
    api = cluster.api()
    load.make_namespace(api, namespace)
    with (
        Writer(str(cluster.kubeconfig), namespace, seconds, fate=fate) as writer,
        Controllers(cluster, namespace, folder / namespace, *flags, kubeconfig=kubeconfig, env=env) as controllers,
    ):
        load.submit(api, namespace, count, has_data=has_data)
        crons = schedules.submit(api, namespace) if has_schedules else {}
        yield Scene(cluster, namespace, writer, controllers, count, time.time(), has_data, crons)


def kill_storm(cluster: Cluster, folder: Path, *, count: int, seconds: float, seed: int = 1) -> Verdict:
    """The controller killed -9 every 1-3 s and started again at once, for `seconds` or until all is done."""
    dice = Random(seed)
    with scene(cluster, folder, "storm", count, *NO_ELECTION, has_schedules=True) as here:
        deadline = time.monotonic() + seconds
        kills: list[Life] = []
        life = here.controllers.start()
        while time.monotonic() < deadline and not here.is_over():
            if len(kills) % 3 == 2:  # on a busy machine no controller might get far enough to be tested
                here.wait(lambda life=life: life.process.is_acting, 20)  # type: ignore[misc]
            time.sleep(dice.uniform(1.0, 3.0))
            here.controllers.kill(life)
            kills.append(life)
            life = here.controllers.start()
        last = kills[-1].ended
        verdict = here.close(Verdict("controller killed -9 every 1-3 s", count), last, 240)
        times = [call.at for call in here.calls()]
        verdict.hits = sum(any(life.began <= at <= life.ended for at in times) for life in kills)
        verdict.what = f"{len(kills)} kills, {verdict.hits} of them on a controller that had written; {by_hand(here)}"
        return verdict


def election_storm(cluster: Cluster, folder: Path, *, count: int, kills: int, seed: int = 2) -> Verdict:
    """Two replicas with election; the leader killed -9 every 10-15 s, a new replica started at once."""
    dice = Random(seed)
    with scene(cluster, folder, "election", count, seconds=(2.0, 6.0), has_schedules=True) as here:
        for _ in range(2):
            here.controllers.start()
        killed: list[Life] = []
        for _ in range(kills):
            time.sleep(dice.uniform(10.0, 15.0))
            if here.is_over():
                break
            life = leader(here)
            if life is None:
                continue
            here.controllers.kill(life)
            killed.append(life)
            here.controllers.start()
        last = killed[-1].ended if killed else time.time()
        verdict = here.close(Verdict("leader killed -9 every 10-15 s", count), last, 180)
        times = [call.at for call in here.calls()]
        verdict.hits = sum(any(life.began <= at <= life.ended for at in times) for life in killed)
        hit = f"{verdict.hits} of them after it had written"
        verdict.what = f"{len(killed)} kills of the leader, {hit}; {by_hand(here)}"
        if not killed:
            verdict.wrong.append("no leader was killed: all workflows had ended before")
        return verdict


def leader(here: Scene) -> Life | None:
    """The process that holds the Lease now."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{here.namespace}/leases"
    try:
        leases = json.loads(here.cluster.api().request("GET", path))["items"]
    except (ApiStatusError, OSError):
        return None
    holders = {lease["spec"].get("holderIdentity") for lease in leases}
    return next((life for life in here.controllers.lives if life.identity in holders and not life.ended), None)


def api_server_killed(cluster: Cluster, folder: Path, *, count: int, tries: int = 8) -> Verdict:
    """The API server killed -9 and started again, at least twice, until a watch was answered 410 (Gone)."""
    port = free_port()
    flags = (*NO_ELECTION, f"--metrics-bind-address=127.0.0.1:{port}")

    def relists() -> float:
        return metric(port, "reflector_relists_total", reason="gone")

    with scene(cluster, folder, "server", count, *flags, seconds=(1.0, 3.0), has_schedules=True) as here:
        life = here.controllers.start()
        here.wait(lambda: here.writer.written >= count, 60)
        restarts, last = 0, time.time()
        while restarts < tries and (restarts < 2 or not relists()):
            load.write_aside(cluster.api(), here.namespace, f"aside-{restarts}")
            cluster.stop_component("kube-apiserver")
            cluster.start_component("kube-apiserver")
            restarts, last = restarts + 1, time.time()
            here.wait(lambda: bool(relists()), 3.0)
        gone = relists()
        verdict = here.close(Verdict("API server killed -9", count), last, 180)
        verdict.what = f"{restarts} restarts, {gone:.0f} relists after an answer of 410; {by_hand(here)}"
        if not gone:
            verdict.wrong.append(f"no answer of 410 in {restarts} restarts")
        if not life.process.is_alive:
            verdict.wrong.append("the controller ended")
        return verdict


def lying_proxy(
    cluster: Cluster, folder: Path, *, count: int, seconds: float, mutes: bool = True, seed: int = 3
) -> Verdict:
    """An HTTPS proxy between controller and API server that lies: foreign answers, cuts, delays, half-closed streams.

    First it loses its routes for some seconds and answers 404 to everything. `mutes`: whether some watches fall silent
    for ever; only the controller's read timeout notices that.
    """
    with Proxy(cluster.kubeconfig, folder / "proxy", seed=seed, mutes=mutes) as proxy:
        own = proxy.kubeconfig
        with scene(cluster, folder, "proxy", count, *NO_ELECTION, seconds=(0.5, 3.0), kubeconfig=own) as here:
            life = here.controllers.start()
            here.wait(lambda: bool(here.writer.jobs), 30)
            proxy.misroute()
            time.sleep(_MISROUTED_SECONDS)
            proxy.stop_lying()
            proxy.start_lying()
            here.wait(here.is_over, seconds)
            proxy.stop_lying()
            last = time.time()
            verdict = here.close(Verdict("lying proxy", count), last, 240)
            lies = ", ".join(f"{number} {word}" for word, number in sorted(proxy.lies.items()))
            verdict.what = f"{lies}; {by_hand(here)}"
            if not proxy.lies["answers lost after a write"]:
                verdict.wrong.append("no answer to a write was lost, so the fault did not happen")
            if not life.process.is_alive:
                verdict.wrong.append("the controller ended")
            return verdict


def deletion_in_storm(cluster: Cluster, folder: Path, *, count: int, seed: int = 4) -> Verdict:
    """Workflows deleted (in the background, in the foreground) while the controller is killed every
    1-3 s: no job stays behind.
    """
    dice = Random(seed)
    api = cluster.api()
    began = time.time()
    with scene(cluster, folder, "deletion", count, *NO_ELECTION, seconds=(3.0, 6.0)) as here:
        life = here.controllers.start()
        here.wait(lambda: len(here.writer.jobs) >= 2 * count, 60)
        kills = 0
        for number, name in enumerate(load.names(count)):
            policy = ("Background", "Foreground")[number % 2]
            path = f"/apis/{load.FLOW_API}/namespaces/{here.namespace}/workflows/{name}"
            api.request("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy})
            if number % max(1, count // 4) == 0:
                here.controllers.kill(life)
                kills += 1
                life = here.controllers.start()
                time.sleep(dice.uniform(1.0, 3.0))
        last = time.time()
        is_clean = here.wait(lambda: not here.writer.living, 60)
        verdict = Verdict("workflows deleted, controller killed", count, f"{kills} kills, {count} deletions", seconds=0)
        verdict.recovered = time.time() - last if is_clean else None
        # A workflow deleted in the foreground vanishes last, when the garbage collector removes its finalizer.
        here.wait(lambda: not load.workflows(api, here.namespace), 60)
        left = load.workflows(api, here.namespace)
        verdict.not_ended = [f"{item['metadata']['name']} is still there" for item in left]
        verdict.wrong = [f"{len(here.writer.living)} jobs stay behind"] if here.writer.living else []
        verdict.wrong += here.writer.wrong_data(())
        verdict.wrong += leaked(api, here.namespace, here.wait, LEAK_SECONDS)
        verdict.twice = [f"{attempt}: {len(uids)} jobs" for attempt, uids in here.writer.jobs.items() if len(uids) > 1]
        verdict.jobs = sum(map(len, here.writer.jobs.values()))
        verdict.seconds = time.time() - began
        return verdict


def by_hand(here: Scene) -> str:
    """How many jobs the writer deleted, for a verdict."""
    return f"{here.writer.deleted} jobs deleted by hand"
