"""The search for kubectl, and what it says about the cluster that is used. Scripts stand for kubectl and Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "hack" / "find-kubectl.sh"
SERVER = "https://127.0.0.1:22000"
KUBECTL = """#!/bin/sh
case "$1" in
config) printf '%s' "$SERVER";;
version) [ -z "$REFUSED" ] || { echo "noise" >&2; echo "$REFUSED" >&2; exit 1; };;
esac
"""


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def search(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs the search; in `folder/cache` is the kubectl that was built with the local cluster."""
    program(folder / "cache", "kubectl", KUBECTL)
    program(folder, "python", f'#!/bin/sh\necho "{folder}/cache"\n')
    (folder / "path").mkdir(exist_ok=True)
    (folder / "path" / "tail").symlink_to("/usr/bin/tail")
    command = ["/bin/bash", str(SCRIPT), str(folder / "python")]
    environ["PATH"] = str(folder / "path")
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20, check=False)


def test_kubectl_of_path_is_taken_and_the_cluster_is_named(tmp_path: Path) -> None:
    program(tmp_path / "path", "kubectl", KUBECTL)
    done = search(tmp_path, SERVER=SERVER, KUBECONFIG="/my/kubeconfig")
    assert done.stdout == f"{tmp_path}/path/kubectl\n"
    assert done.stderr == f"using the cluster {SERVER} (KUBECONFIG=/my/kubeconfig)\n"


def test_without_one_on_path_the_one_of_the_local_cluster_is_taken(tmp_path: Path) -> None:
    done = search(tmp_path, SERVER=SERVER)
    assert done.stdout == f"{tmp_path}/cache/kubectl\n"
    assert done.stderr == f"using the cluster {SERVER} (the default kubeconfig, ~/.kube/config)\n"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        pytest.param(
            {"KUBECONFIG": "/nope"},
            "make: no cluster to use: KUBECONFIG=/nope names none; start a local cluster with ",
            id="a kubeconfig that is not there",
        ),
        pytest.param({}, "make: no cluster to use: the default kubeconfig, ~/.kube/config names none; ", id="none"),
        pytest.param(
            {"SERVER": SERVER, "REFUSED": "connection refused"},
            f"make: the cluster {SERVER} (the default kubeconfig, ~/.kube/config) does not answer: connection refused",
            id="a cluster that is down",
        ),
    ],
)
def test_without_a_cluster_the_message_says_what_to_do(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    done = search(tmp_path, **environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(says)
    assert done.stderr.endswith("or set KUBECONFIG to the kubeconfig of another one\n")
