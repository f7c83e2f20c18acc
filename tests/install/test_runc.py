"""The image under plain runc, with no kubelet around it, works on a local cluster with simulated pods.

The controller runs as the image's own user and with a read-only root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.processes import wait_until
from tests.install import bundle
from tests.install.conftest import ROOT, why_not

_reason = why_not() or ("" if shutil.which("runc") else "runc is missing: apt-get install runc")
pytestmark = [
    pytest.mark.install,
    pytest.mark.skipif(bool(_reason), reason=_reason or "an image can be built and run here"),
    pytest.mark.timeout(300),
]
NAME = "workflow-controller-under-runc"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane with simulated pods and our CRDs."""
    with Cluster.start(tmp_path_factory.mktemp("runc")) as started:
        started.install_crds(ROOT / "installer" / "crds")
        yield started


@dataclass(frozen=True, slots=True)
class Container:
    """`runc run`, which ends with the exit code of the program, and the program's process."""

    runc: subprocess.Popen[bytes]
    process: Path


@pytest.fixture
def container(archive: Path, cluster: Cluster, tmp_path: Path) -> Iterator[Container]:
    """The controller in its container; it leads."""
    kubeconfig = tmp_path / "kubeconfig"
    # With keys and certificates in it, instead of the names of files that the container does not have.
    kubeconfig.write_text(cluster.kubectl("config", "view", "--raw", "--flatten"))
    # The container's user is another one than the owner.
    kubeconfig.chmod(0o444)
    flags = ["--metrics-bind-address=0", "--health-bind-address=0", "--leader-elect-resource-namespace=default"]
    bundle.make(archive, tmp_path / "bundle", ["workflow-controller", *flags], kubeconfig)
    runc = ["runc", f"--root={tmp_path / 'state'}"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        started = subprocess.Popen(
            [*runc, "run", f"--bundle={tmp_path / 'bundle'}", NAME],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        assert wait_until(lambda: '"acting"' in log.read_text() or started.poll() is not None, PATIENCE)
        assert started.poll() is None
        state = json.loads(subprocess.run([*runc, "state", NAME], stdout=subprocess.PIPE, check=True).stdout)
        yield Container(started, Path("/proc") / str(state["pid"]))
    finally:
        print(f"---- container\n{log.read_text()[-10_000:]}")
        subprocess.run([*runc, "delete", "--force", NAME], check=False)
        started.wait(30)


def test_it_finishes_an_example_and_ends_when_it_is_asked_to(cluster: Cluster, container: Container) -> None:
    process = container.process
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["65532"] * 4
    assert status["Gid"].split() == ["65532"] * 4
    assert {int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    (root,) = [line.split() for line in (process / "mountinfo").read_text().splitlines() if line.split()[4] == "/"]
    assert "ro" in root[5].split(",")

    cluster.kubectl("apply", f"--filename={ROOT / 'examples' / '01-sequential.yaml'}")
    cluster.kubectl("wait", "workflow/sequential", "--for=condition=Finished", "--timeout=60s")
    found = json.loads(cluster.kubectl("get", "workflow", "sequential", "--output=json"))
    assert (found["status"]["phase"], found["status"]["progress"]) == ("Succeeded", "4/4")

    os.kill(int(process.name), signal.SIGTERM)
    assert container.runc.wait(10) == 0
    lease = cluster.kubectl("get", "lease", "workflow-controller", "--output=jsonpath={.spec.holderIdentity}")
    assert lease == "", "the Lease was released"
