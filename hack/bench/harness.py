"""What every benchmark needs: a cluster of its own, the controller as a process, and the API calls that it made."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from hack.cluster import Cluster, exit_on_sigterm
from hack.cluster.api import Api, ApiStatusError
from hack.cluster.audit_log import entries
from hack.controller_process import NO_SERVERS, ControllerProcess

ROOT = Path(__file__).resolve().parents[2]
AGENT = "workflow-controller/"


@contextlib.contextmanager
def cluster_with_crds(*, audit: bool = True, extra_args: Sequence[str] = ()) -> Iterator[Cluster]:
    """A new control plane with our CRDs, removed at the end of the block. extra_args: see `Cluster.start`."""
    with (
        exit_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="workflow-bench-") as folder,
        Cluster.start(Path(folder), audit=audit, extra_args=extra_args) as cluster,
    ):
        for file in sorted((ROOT / "installer" / "crds").glob("*.yaml")):
            install_crd(cluster.api(), yaml.safe_load(file.read_text()))
        yield cluster


def install_crd(api: Api, document: dict[str, Any]) -> None:
    """Creates a CRD and waits until the API server serves it. SystemExit after 20 s."""
    api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", document)
    spec = document["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}?limit=1"
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(ApiStatusError):
            if api.get(path)["metadata"].get("resourceVersion"):
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"{document['metadata']['name']} is not served after 20 s")
        time.sleep(0.05)


@contextlib.contextmanager
def controller(cluster: Cluster, *flags: str) -> Iterator[ControllerProcess]:
    """A controller that acts on the cluster, without an election; ended with the block. SystemExit if it fails to
    start.
    """
    own = ("--workers=8", "--leader-elect=false", "--exclusive=false", *NO_SERVERS)
    made = ControllerProcess(cluster, cluster.folder / "controller.log", *own, *flags)
    try:
        try:
            made.wait_acting()
        except RuntimeError as error:
            raise SystemExit(str(error)) from error
        yield made
    finally:
        made.stop()


def calls(audit_log: Path, agent: str, offset: int) -> Counter[tuple[str, str]]:
    """Calls of a client by (verb, resource[/subresource]), from byte `offset` of the audit log on, Leases and watches
    apart. agent: how its user agent begins.
    """
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries(audit_log, containing=agent, offset=offset):
        reference = entry.get("objectRef", {})
        resource = "/".join(filter(None, (reference.get("resource", "-"), reference.get("subresource"))))
        is_own = entry.get("stage") == "ResponseComplete" and entry.get("userAgent", "").startswith(agent)
        if is_own and entry["verb"] != "watch" and resource not in ("leases", "-"):
            found[entry["verb"], resource] += 1
    return found
