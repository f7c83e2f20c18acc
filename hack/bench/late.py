"""Kinds whose CRD comes after the workflow: the time from its condition Established to the creation of the job."""

from __future__ import annotations

import copy
import statistics
import time
from typing import Any

from hack.bench import harness, jobs
from hack.bench.jobs import flow, workflow
from hack.cluster import Cluster
from hack.cluster.api import Api
from hack.faults import load
from hack.faults.judge import writes

# By then the controller looks for the kind at its longest interval.
_PATIENCE_SECONDS = 12.0


def measure(cluster: Cluster, *, kinds: int) -> None:
    """Prints the seconds that the first job of each kind took, by the API server's audit log."""
    api = cluster.api()
    with (
        jobs.bench(cluster, "late", (0.1, 0.2)) as here,
        harness.controller(cluster, f"--namespace={here.namespace}"),
    ):
        base = f"/apis/{load.FLOW_API}/namespaces/{here.namespace}/worktemplates"
        for number in range(kinds):
            template = copy.deepcopy(load.TEMPLATE)
            template["metadata"]["name"] = f"step{number}"
            template["spec"]["gvr"]["group"] = f"late{number}.{load.GROUP}"
            api.request("POST", base, template)
            here.submit(workflow(f"late{number}", [flow("a") | {"template": f"step{number}"}]))
        time.sleep(_PATIENCE_SECONDS)
        established = [_establish(api, _crd(number)) for number in range(kinds)]
        deadline = time.monotonic() + 60
        made: dict[str, float] = {}
        while len(made) < kinds:
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(made)} of {kinds} jobs were made within a minute of their kinds")
            time.sleep(0.5)
            made = {
                call.name: call.answered for call in writes(cluster.audit_log, here.namespace) if call.verb == "create"
            }
    waits = [made[f"late{number}-a"] - established[number] for number in range(kinds)]
    print(
        f"late: the job of a kind that came later was made {statistics.median(waits):.2f} s after Established "
        f"(min {min(waits):.2f}, max {max(waits):.2f}; {kinds} kinds)"
    )


def _crd(number: int) -> dict[str, Any]:
    made = copy.deepcopy(load.CRD)
    made["spec"]["group"] = f"late{number}.{load.GROUP}"
    made["metadata"]["name"] = f"faultjobs.late{number}.{load.GROUP}"
    return made


def _establish(api: Api, document: dict[str, Any]) -> float:
    """Creates a CRD; returns when it was seen Established (seconds since the epoch)."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api.request("POST", path, document)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = api.get(f"{path}/{document['metadata']['name']}").get("status") or {}
        conditions = {found["type"]: found["status"] for found in status.get("conditions") or ()}
        if conditions.get("Established") == "True":
            return time.time()
        time.sleep(0.01)
    raise SystemExit(f"{document['metadata']['name']} is not established after 20 s")
