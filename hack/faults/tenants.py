"""Hostile tenants: how much one hostile namespace slows down small chains in ten other namespaces.

The chains run twice, with the same controller: alone, and then beside the attack. Each attack has a cluster of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hack.bench import harness
from hack.cluster import Cluster
from hack.cluster.audit_log import entries
from hack.controller_process import ControllerProcess
from hack.faults import load
from hack.faults.controller import Controllers
from hack.faults.hostile import KINDS, Manifest, crowd, hanging_everywhere
from hack.faults.hostility import Hostility
from hack.faults.judge import AGENT, Verdict, writes
from hack.faults.load import FAULT_JOBS
from hack.faults.webhook import SlowWebhook
from hack.faults.writer import Writer
from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import PartialObject, seconds
from pkg.kube.client import Client
from pkg.kube.config import load_config
from pkg.kube.errors import Exists, KubeError, Refused

NAMESPACES = [f"tenant-{number}" for number in range(10)]
HOSTILE = "hostile"
ACTING = ("forged",)
"""Kinds that are no manifests: something is done while the chains run."""
ALL = (*KINDS, *ACTING)
_LEASE_NAMESPACE = "kube-system"
CHAIN = 5
_CROWD = 1000
_HANGING = [f"hanging-{number}" for number in range(20)]
"""More namespaces in which every write hangs than a controller has threads for."""
_JOB_SECONDS = (1.0, 2.0)
_SETTLE_SECONDS = 10.0
_RETRY_PERIOD = 1.0
MAX_LEASE_GAP = 2 * _RETRY_PERIOD + 1.0
MAX_MORE_MIB = 150.0
MAX_RATIO = 1.5
MAX_RATIO_CREATIONS = 2.0


@dataclass(frozen=True, slots=True)
class Attack:
    """The manifests in the hostile namespaces before the chains begin, and the kinds that act while they run.

    hanging: the operations on labelled objects in the hostile namespaces that hang.
    """

    manifests: list[Manifest] = field(default_factory=list)
    acting: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = (HOSTILE,)
    hanging: tuple[str, ...] = ("CREATE",)


@dataclass(slots=True)
class Run:
    """One run of the chains. makespan: seconds, None if not all ended; lease_gap: the longest time between two
    renewals in seconds; peak_mib, cpu: of the controller, cpu in seconds while the chains ran; refused: manifests that
    the API server refused.
    """

    makespan: float | None = None
    lease_gap: float = 0.0
    peak_mib: float = 0.0
    cpu: float = 0.0
    jobs: int = 0
    hostile_jobs: int = 0
    forged: int = 0
    refused: int = 0
    not_ended: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def tenants(folder: Path, kinds: tuple[str, ...] = (), *, count: int = 10, chains: int = 100) -> Iterator[Verdict]:
    """Three rows: every kind at once, `count` manifests of each; creations alone; and namespaces in which every write
    hangs. With `kinds`, a row for each of these, to find out which one slows others down.
    """
    attacks = {f"{count} x {kind}": (attack((kind,), count), MAX_RATIO) for kind in kinds} or {
        f"{count} manifests of every hostile kind": (attack(ALL, count), MAX_RATIO),
        f"{_CROWD} workflows of 50 tasks": (Attack(list(crowd(_CROWD))), MAX_RATIO_CREATIONS),
        f"{len(_HANGING)} namespaces in which every write hangs": (
            Attack(list(hanging_everywhere(5)), namespaces=tuple(_HANGING), hanging=("CREATE", "UPDATE", "DELETE")),
            MAX_RATIO,
        ),
    }
    for number, (what, (hostile, max_ratio)) in enumerate(attacks.items()):
        yield verdict_of(f"tenants: {what}", *measure(folder / str(number), hostile, chains), chains, max_ratio)


def attack(kinds: tuple[str, ...], count: int) -> Attack:
    """`count` manifests of each of these kinds."""
    return Attack([body for kind in kinds if kind in KINDS for body in KINDS[kind].make(count)], kinds)


def measure(folder: Path, hostile: Attack, chains: int) -> tuple[Run, Run]:
    """Runs the chains alone, and then beside the attack, on a cluster of its own."""
    with harness.cluster_with_crds() as cluster, contextlib.ExitStack() as stack:
        harness.install_crd(cluster.api(), load.CRD)
        for namespace in (*NAMESPACES, *hostile.namespaces):
            load.make_namespace(cluster.api(), namespace)
        writers = [stack.enter_context(_writer(cluster, namespace)) for namespace in NAMESPACES]
        flags = ("--namespace=", f"--leader-elect-resource-namespace={_LEASE_NAMESPACE}")
        controllers = stack.enter_context(Controllers(cluster, "default", folder, *flags))
        controller = controllers.start().process
        controller.wait_acting()
        client = Client(load_config(str(cluster.kubeconfig)), user_agent="tenants", pool_size=16, timeout=60.0)
        stack.callback(client.abort)
        bench = _Bench(cluster, client, writers, controller)
        # Caches and connections are warm before anything is measured.
        bench.run([f"warm{number}" for number in range(len(NAMESPACES))], 60)
        alone = bench.run([f"a{number:03d}" for number in range(chains)], 120)
        stack.enter_context(SlowWebhook(cluster.api(), hostile.namespaces, folder, operations=hostile.hanging))
        began = time.time()
        refused = _submit(client, hostile)
        time.sleep(_SETTLE_SECONDS)
        with Hostility(client, hostile.namespaces[0], NAMESPACES, hostile.acting) as hostility:
            names = [f"c{number:03d}" for number in range(chains)]
            beside = bench.run(names, max(60.0, 6 * (alone.makespan or 0.0)), began)
        beside.refused, beside.forged = refused, hostility.forged
        made = [writes(cluster.audit_log, namespace) for namespace in hostile.namespaces]
        beside.hostile_jobs = sum(call.verb == "create" for calls in made for call in calls)
    return beside, alone


def _writer(cluster: Cluster, namespace: str) -> Writer:
    return Writer(str(cluster.kubeconfig), namespace, _JOB_SECONDS, running=0.0, fate=lambda _: "Succeeded")


def _chain(name: str) -> load.Object:
    flows = [
        {"name": f"t{own}", "template": "step", **({"dependsOn": {"targets": [f"t{own - 1}"]}} if own else {})}
        for own in range(CHAIN)
    ]
    return {"apiVersion": load.FLOW_API, "kind": "Workflow", "metadata": {"name": name}, "spec": {"flows": flows}}


def _submit(client: Client, hostile: Attack) -> int:
    """Creates the hostile objects; returns how many of them the API server refused."""

    def submit(place: tuple[str, Manifest]) -> bool:
        namespace, (gvr, body) = place
        for _ in range(5):
            try:
                client.create(gvr, namespace, body, PartialObject)
            except Exists:  # created by the try before, whose answer was lost
                return True
            except Refused:
                return False
            except KubeError:
                time.sleep(1.0)
            else:
                return True
        return False

    places = [(namespace, manifest) for manifest in hostile.manifests for namespace in hostile.namespaces]
    with ThreadPoolExecutor(4 if len(hostile.namespaces) == 1 else 32) as pool:
        return sum(not taken for taken in pool.map(submit, places))


@dataclass(frozen=True, slots=True)
class _Bench:
    """Runs chains in all namespaces; the number of a chain decides its namespace."""

    cluster: Cluster
    client: Client
    writers: list[Writer]
    controller: ControllerProcess

    def run(self, names: list[str], patience: float, began: float | None = None) -> Run:
        """Runs chains of these names and judges them. began: the Lease is judged from then on."""
        began = began or time.time()
        cpu = self.controller.cpu_seconds()
        run = Run(makespan=self._makespan(names, patience))
        ended = time.time()
        if self.controller.is_alive:
            run.peak_mib, run.cpu = self.controller.peak_mib(), self.controller.cpu_seconds() - cpu
        else:
            run.wrong.append(f"the controller ended with exit code {self.controller.exit_code}")
        if "Traceback" in self.controller.log_text():
            run.wrong.append(f"a traceback in {self.controller.log_file}")
        time.sleep(1.0)  # the audit log is written a moment later
        run.lease_gap = lease_gap(renewals(self.cluster.audit_log), began, ended)
        for number, namespace in enumerate(NAMESPACES):
            self._judge(run, namespace, names[number :: len(NAMESPACES)], self.writers[number])
        return run

    def _makespan(self, names: list[str], patience: float) -> float | None:
        """Creates the chains; returns the seconds until all have ended, None if that takes longer."""
        wanted = self._ended() + len(names)
        began = time.monotonic()
        for number, name in enumerate(names):
            self.client.create(WORKFLOWS, NAMESPACES[number % len(NAMESPACES)], _chain(name), PartialObject)
        while self._ended() < wanted:
            if time.monotonic() - began > patience:
                return None
            time.sleep(0.02)
        return time.monotonic() - began

    def _ended(self) -> int:
        return sum(writer.ended for writer in self.writers)

    def _judge(self, run: Run, namespace: str, names: list[str], writer: Writer) -> None:
        """Every chain Succeeded, each task with one job, and none of them deleted."""
        found = load.workflows(self.cluster.api(), namespace)
        phases = {item["metadata"]["name"]: (item.get("status") or {}).get("phase") for item in found}
        for name in names:
            phase = phases.get(name)
            if phase == "Failed":
                run.wrong.append(f"{namespace}/{name} is Failed")
            elif phase != "Succeeded":
                run.not_ended.append(f"{namespace}/{name} is {phase}")
        wanted = {f"{name}-t{own}" for name in names for own in range(CHAIN)}
        calls = [call for call in writes(self.cluster.audit_log, namespace) if call.resource == FAULT_JOBS.resource]
        made = Counter(call.name for call in calls if call.verb == "create")
        run.jobs += sum(made[name] for name in wanted)
        run.twice += [f"{namespace}/{name}: {made[name]} jobs" for name in sorted(wanted) if made[name] > 1]
        for attempt, uids in writer.jobs.items():
            if attempt.workflow in names and len(uids) > 1:
                run.twice.append(f"{namespace}: {attempt}: {len(uids)} jobs")
        strange = {name for name in made if name.rpartition("-")[0] in names} - wanted
        run.wrong += [f"{namespace}/{name}: a job of no task" for name in sorted(strange)]
        run.wrong += [f"{namespace}/{call.name}: the job was deleted" for call in calls if call.verb == "delete"]


# ---- judging ------------------------------------------------------------------------------------------------------


def renewals(audit_log: Path, namespace: str = "") -> list[float]:
    """When a Lease of controllers was renewed, in seconds since the epoch; those of one namespace alone, if given."""
    found = []
    for entry in entries(audit_log, containing='"leases"'):
        about = entry.get("objectRef", {})
        is_ours = entry.get("userAgent", "").startswith(AGENT) and namespace in ("", about.get("namespace"))
        is_write = about.get("resource") == "leases" and entry["verb"] in ("create", "update", "patch")
        if is_ours and is_write and entry.get("responseStatus", {}).get("code", 0) < 300:
            found.append(seconds(entry["stageTimestamp"]))
    return sorted(found)


def lease_gap(renewed: list[float], began: float, ended: float) -> float:
    """The longest time between two renewals, in seconds, of all that overlap the time from `began` to `ended`."""
    before = max((at for at in renewed if at <= began), default=began)
    after = min((at for at in renewed if at >= ended), default=ended)
    marks = [before, *(at for at in renewed if began < at < ended), after]
    return max(later - earlier for earlier, later in itertools.pairwise(marks))


def verdict_of(fault: str, run: Run, alone: Run, chains: int, max_ratio: float) -> Verdict:
    """The row of one run, compared with the run alone."""
    verdict = Verdict(fault, chains, jobs=run.jobs, not_ended=run.not_ended, twice=run.twice, wrong=run.wrong)
    more = run.peak_mib - alone.peak_mib
    parts = [
        f"Lease unrenewed for {run.lease_gap:.1f} s at most",
        f"peak memory {run.peak_mib:.0f} MiB ({more:+.0f})",
        f"CPU of the controller {run.cpu:.1f} s ({run.cpu - alone.cpu:+.1f})",
        f"{run.hostile_jobs} hostile jobs, {run.forged} forged ones, {run.refused} manifests refused",
    ]
    if run.makespan is not None and alone.makespan is not None:
        ratio = run.makespan / alone.makespan
        parts.insert(0, f"{run.makespan:.1f} s, {ratio:.2f} x the {alone.makespan:.1f} s alone")
        if ratio > max_ratio:
            verdict.wrong.append(f"the chains took {ratio:.2f} x as long as alone; the bound is {max_ratio} x")
    elif run.makespan is None:
        parts.insert(0, "the chains did not all end")
        verdict.wrong.append("the chains did not all end in the time that they had")
    if run.lease_gap > MAX_LEASE_GAP:
        verdict.wrong.append(f"the Lease was not renewed for {run.lease_gap:.1f} s; the bound is {MAX_LEASE_GAP:.0f} s")
    if more > MAX_MORE_MIB:
        verdict.wrong.append(f"peak memory grew by {more:.0f} MiB; the bound is {MAX_MORE_MIB:.0f} MiB")
    verdict.what = "; ".join(parts)
    return verdict
