"""`python -m hack.promtool` checks with promtool what a leader, a spare and a webhook export on a real control plane.

The exit code is 1 if promtool has anything to say.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import yaml

from hack.bench.harness import cluster_with_crds
from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.controller_process import ControllerProcess
from hack.promtool import binary
from hack.scrape import metric, metrics
from hack.webhook_process import WebhookProcess, register, unregister

PATIENCE_SECONDS = 60
# A success, a retry, a failure, a skip and a missing template.
SAMPLE = """
apiVersion: flow.workflow.sh/v1alpha1
kind: WorkTemplate
metadata: {name: step}
spec:
  gvr: {group: batch, version: v1, resource: jobs}
  parameters: [{name: code, value: "0"}]
  jobSpec:
    backoffLimit: 0
    template:
      metadata: {annotations: {sim.workflow.sh/run-for: 0.1s, sim.workflow.sh/exit-code: "{{params.code}}"}}
      spec:
        restartPolicy: Never
        containers: [{name: main, image: "busybox:1.36"}]
---
apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {name: waits}
spec:
  flows: [{name: a, template: missing}]
---
apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {name: fails}
spec:
  flows:
  - {name: a, template: step}
  - name: b
    template: step
    parameters: [{name: code, value: "1"}]
    retry: {maxRetries: 1, interval: 1s}
  - {name: c, template: step, dependsOn: {targets: [b]}}
"""


def main() -> None:
    promtool = binary.ensure()
    with cluster_with_crds(audit=False) as cluster:
        texts = {**_scrapes(cluster), "webhook": _scrape_webhook(cluster)}
    failures = [name for name, text in texts.items() if not _is_clean(promtool, f"metrics of the {name}", text)]
    sys.exit(1 if failures else 0)


def _is_clean(promtool: Path, what: str, text: str) -> bool:
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    families = sum(line.startswith("# TYPE ") for line in text.splitlines())
    print(f"{what}: {families} families, promtool exits {done.returncode}\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0 and not done.stderr.strip()


def _scrapes(cluster: Cluster) -> dict[str, str]:
    """What a controller that has worked, and a spare beside it, export."""
    ports = {"leader": free_port(), "spare": free_port()}
    started: list[ControllerProcess] = []
    try:
        for name, port in ports.items():
            log = cluster.folder / f"{name}.log"
            flags = (f"--metrics-bind-address=127.0.0.1:{port}", "--health-bind-address=0")
            made = ControllerProcess(cluster, log, *flags, f"--leader-elect-identity={name}")
            started.append(made)
            if name == "leader":
                made.wait_acting()
        for document in yaml.safe_load_all(SAMPLE):
            plural = document["kind"].lower() + "s"
            cluster.api().request("POST", f"/apis/flow.workflow.sh/v1alpha1/namespaces/default/{plural}", document)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not metric(ports["leader"], "workflow_workflows_finished_total"):
            if time.monotonic() > deadline:
                raise SystemExit(f"no workflow ended within {PATIENCE_SECONDS} s\n{started[0].tail()}")
            time.sleep(0.2)
        return {name: metrics(port) for name, port in ports.items()}
    finally:
        for made in started:
            made.stop()


def _scrape_webhook(cluster: Cluster) -> str:
    """What a webhook that the API server has called exports."""
    port, api = free_port(), cluster.api()
    register(api)
    webhook = WebhookProcess(cluster, cluster.folder / "webhook.log", f"--metrics-bind-address=127.0.0.1:{port}")
    try:
        webhook.wait_called(api)
        return metrics(port)
    finally:
        webhook.stop()
        unregister(api)


if __name__ == "__main__":
    main()
