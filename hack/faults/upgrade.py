"""An upgrade under load, and the way back: older versions begin the workflows, and this one ends them.

The older versions are read from the history of this repository, and run with today's environment.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from hack.bench.harness import ROOT
from hack.cluster import Cluster
from hack.cluster.api import Api
from hack.faults import load
from hack.faults.judge import Verdict
from hack.faults.load import Attempt
from hack.faults.scenarios import Scene, by_hand, scene

VERSIONS = (
    # Memory of the controller beside what users read, and the first algorithm of specHash.
    "19ad7114a7123f03d45aefe6d819c4b2645ef383",
    # The last one without `status.record`.
    "89992279bac890bbb582fad0fd2ac95fc5f5e1d8",
)
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def has_history() -> bool:
    """Whether this checkout has the commits of the older versions; a shallow clone has not."""
    return all(_git("cat-file", "-e", f"{version}^{{commit}}").returncode == 0 for version in VERSIONS)


@dataclass(frozen=True, slots=True)
class _Step:
    """One version and its checkout. has_crds: whether its CRDs are applied before it starts."""

    root: Path
    has_crds: bool = True


def rolling_upgrade(cluster: Cluster, folder: Path, *, count: int) -> Verdict:
    """Each version takes over from the one before: first its CRDs, then a replica that waits as a spare, then the old
    one is told to stop, or killed. The workflows run all the while.
    """
    older = [_Step(_checkout(version, folder / f"version-{version[:7]}")) for version in VERSIONS]
    return _roll(cluster, folder, "upgrade", "upgrade from two versions", [*older, _Step(ROOT)], count, load.fate)


def there_and_back(cluster: Cluster, folder: Path, *, count: int) -> Verdict:
    """The oldest version, this one, the oldest again under the CRDs of this one, and this one again.

    Nobody deletes a job by hand here. That an attempt failed whose job is gone is what the oldest version forgets, as
    docs/upgrade.md says; what it does not forget must not be lost or doubled.
    """
    old = _checkout(VERSIONS[0], folder / f"version-{VERSIONS[0][:7]}-and-back")
    steps = [_Step(old), _Step(ROOT), _Step(old, has_crds=False), _Step(ROOT, has_crds=False)]
    return _roll(cluster, folder, "back", "upgrade, the way back, and again", steps, count, _fate_without_hands)


def _fate_without_hands(attempt: Attempt) -> str:
    return "Failed" if load.fails(attempt) else "Succeeded"


def _roll(
    cluster: Cluster,
    folder: Path,
    name: str,
    fault: str,
    steps: Sequence[_Step],
    count: int,
    fate: Callable[[Attempt], str],
) -> Verdict:
    """One version after the other, while workflows run; replicas of two versions are up at each change."""
    api = cluster.api()
    try:
        _apply_crds(api, steps[0].root)
        # The old version knows no outputs, and the API server drops them while its CRDs are in use.
        with scene(cluster, folder, name, count, seconds=(2.0, 6.0), fate=fate, has_data=False) as here:
            life = here.controllers.start(root=steps[0].root)
            last, cut = time.time(), 0
            for number, step in enumerate(steps[1:], 1):
                wanted = 6 * count * number // len(steps)
                here.wait(lambda wanted=wanted: _made(here) >= wanted, 120)  # type: ignore[misc]
                cut += not here.is_over()
                if step.has_crds:
                    _apply_crds(api, step.root)
                spare = here.controllers.start(root=step.root)
                here.wait(lambda spare=spare: "caches complete" in spare.process.log_text(), 30)  # type: ignore[misc]
                if number % 2:
                    here.controllers.stop(life)
                else:
                    here.controllers.kill(life)
                life, last = spare, time.time()
            verdict = here.close(Verdict(fault, count), last, 240)
            verdict.what = f"{cut} changes of the version while workflows ran; {by_hand(here)}"
            if cut < len(steps) - 1:
                verdict.wrong.append("all workflows had ended before the last change")
            if not life.process.is_alive:
                verdict.wrong.append("the controller ended")
            return verdict
    finally:
        _apply_crds(api, ROOT)


def _made(here: Scene) -> int:
    """How many jobs there have been."""
    return len(here.writer.jobs)


def _checkout(version: str, target: Path) -> Path:
    """What one version needs to run, in a folder of its own. SystemExit if the history does not have it."""
    done = _git("archive", version, "pkg", "cmd", "installer/crds")
    if done.returncode:
        raise SystemExit(f"this checkout has no commit {version}; fetch the whole history: git fetch --unshallow")
    target.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)


def _apply_crds(api: Api, root: Path) -> None:
    """Replaces the CRDs by those of one version, and waits until the API server uses them."""
    for file in sorted((root / "installer" / "crds").glob("*.yaml")):
        document = yaml.safe_load(file.read_text())
        path = f"{_CRDS}/{document['metadata']['name']}"
        now = api.get(path)
        api.request("PUT", path, {**now, "spec": document["spec"]})
    time.sleep(1.0)  # the API server's own watch of CRDs has no condition to wait for
