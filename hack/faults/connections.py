"""Faults of connections and credentials: certificates that rotate, a slow credential plugin, a silent address.

The controller takes part in an election in each of them: it must keep its Lease. It reaches the API server through the
lying proxy, which does not lie here, but decides whom it lets in, and on which address.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from hack.cluster import Cluster
from hack.faults.access import ExpiringTokens, RotatingCertificates, RotatingServerCertificate
from hack.faults.controller import Life
from hack.faults.judge import Verdict
from hack.faults.proxy import Proxy
from hack.faults.scenarios import Scene, by_hand, scene
from hack.faults.stalls import Stalls
from hack.faults.tenants import lease_gap, renewals

_ADDRESSES = ("127.0.0.2", "127.0.0.3")
_HOST = "api.faults.invalid"
_HOSTS = Path(__file__).with_name("hosts")
_LEASE_SECONDS = 6.0
"""The Lease duration of a controller without flags: an unrenewed Lease is lost after it."""


def rotating_certificates(cluster: Cluster, folder: Path, *, count: int, seconds: float, seed: int = 5) -> Verdict:
    """Every few seconds the client certificate is replaced, and the old one refused; then the server's, with its CA."""
    dice = Random(seed)
    own = folder / "certificates"
    own.mkdir(parents=True, exist_ok=True)
    access, server = RotatingCertificates(own), RotatingServerCertificate(own)
    with Proxy(cluster.kubeconfig, own / "proxy", seed=seed, access=access, ca=server.ca_file) as proxy:
        proxy.use(server.renew())
        renewed = 0

        def rotate(here: Scene) -> None:
            nonlocal renewed
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not here.is_over():
                access.rotate(dice.uniform(0.0, 0.5))
                time.sleep(dice.uniform(1.0, 3.0))
                proxy.use(server.renew())
                renewed += 1
                time.sleep(dice.uniform(1.0, 3.0))

        verdict = _run(cluster, folder, proxy, "certificates that rotate", count, (1.0, 4.0), rotate)
        verdict.what = f"{access.rotations} rotations of the client's, {renewed} of the server's; {verdict.what}"
        if not proxy.lies["answers 401"]:
            verdict.wrong.append("no certificate was refused, so the fault did not happen")
        return verdict


def slow_plugin(cluster: Cluster, folder: Path, *, count: int, seconds: float, seed: int = 6) -> Verdict:
    """The token comes from a credential plugin that takes 10 s, and expires after 30 s."""
    own = folder / "plugin"
    own.mkdir(parents=True, exist_ok=True)
    access = ExpiringTokens(own, takes=10.0, lifetime=30.0)
    with Proxy(cluster.kubeconfig, own / "proxy", seed=seed, access=access) as proxy:

        def wait(here: Scene) -> None:
            here.wait(here.is_over, seconds)

        verdict = _run(cluster, folder, proxy, "credential plugin of 10 s", count, (3.0, 8.0), wait)
        runs = len(access.runs.read_text())
        verdict.what = f"{runs} runs of the plugin; {verdict.what}"
        if runs < 3:
            verdict.wrong.append(f"the plugin ran {runs} times only, so the fault did not happen under load")
        return verdict


def silent_address(cluster: Cluster, folder: Path, *, count: int, seconds: float, seed: int = 7) -> Verdict:
    """The API server's name has two addresses, of which one after the other falls silent for some seconds."""
    dice = Random(seed)
    own = folder / "addresses"
    own.mkdir(parents=True, exist_ok=True)
    server = RotatingServerCertificate(own, _HOST)
    options = {"addresses": _ADDRESSES, "host": _HOST, "ca": server.ca_file}
    with Proxy(cluster.kubeconfig, own / "proxy", seed=seed, **options) as proxy:  # type: ignore[arg-type]
        proxy.use(server.renew())

        def alternate(here: Scene) -> None:
            deadline = time.monotonic() + seconds
            for address in itertools.cycle(_ADDRESSES):
                if time.monotonic() > deadline or here.is_over():
                    return
                proxy.drop(address)
                time.sleep(dice.uniform(4.0, 7.0))
                proxy.restore(address)
                time.sleep(dice.uniform(2.0, 4.0))

        env = {"PYTHONPATH": str(_HOSTS), "WORKFLOW_FAULTS_HOSTS": f"{_HOST}={','.join(_ADDRESSES)}"}
        verdict = _run(cluster, folder, proxy, "one of two addresses silent", count, (2.0, 6.0), alternate, env)
        if not proxy.lies["requests on a silent address"]:
            verdict.wrong.append("no request met a silent address, so the fault did not happen")
        return verdict


def _run(
    cluster: Cluster,
    folder: Path,
    proxy: Proxy,
    fault: str,
    count: int,
    job_seconds: tuple[float, float],
    rage: Callable[[Scene], None],
    env: dict[str, str] | None = None,
) -> Verdict:
    """One controller with election behind the proxy, while `rage` does its worst."""
    name = "".join(letter if letter.isalnum() else "-" for letter in fault)
    with scene(cluster, folder, name, count, seconds=job_seconds, kubeconfig=proxy.kubeconfig, env=env or {}) as here:
        life = here.controllers.start()
        here.wait(lambda: bool(here.writer.jobs), 60)
        with _kept_lease(here, life) as verdict_of_lease:
            rage(here)
            last = time.time()
        verdict = here.close(Verdict(fault, count), last, 180)
        verdict_of_lease(verdict)
        lies = ", ".join(f"{number} {word}" for word, number in sorted(proxy.lies.items()))
        verdict.what = "; ".join(part for part in (lies, verdict.what, by_hand(here)) if part)
        if not life.process.is_alive:
            verdict.wrong.append("the controller ended")
        return verdict


@contextlib.contextmanager
def _kept_lease(here: Scene, life: Life) -> Iterator[Callable[[Verdict], None]]:
    """Watches the Lease while the body runs; the function then adds to a verdict what became of it.

    On a machine that is too busy it says so, and takes no offence at a Lease that was lost.
    """
    began = time.time()
    ended = began
    stalls = Stalls(here.cluster)

    def judge(verdict: Verdict) -> None:
        gap = lease_gap(renewals(here.cluster.audit_log, here.namespace), began, ended)
        verdict.what = f"Lease unrenewed for {gap:.1f} s at most, this machine stalled for {stalls.worst:.1f} s at most"
        acted = life.process.log_text().count('"acting"')
        found = []
        if acted != 1:
            found.append(f"the controller began to act {acted} times: it lost its Lease")
        if gap > _LEASE_SECONDS:
            found.append(f"the Lease was not renewed for {gap:.1f} s; it lasts {_LEASE_SECONDS:.0f} s")
        if stalls.is_quiet:
            verdict.wrong += found
        elif found:
            verdict.what += f", so it does not count that {'; '.join(found)}"

    with stalls:
        yield judge
    ended = time.time()
