"""Shows in under a minute that the local cluster does what docs/cluster.md says: `python -m hack.cluster.smoke`.

Starts a cluster in a temporary folder, runs pods that end in every way, stops it, and looks for anything that was left.
Prints a line per check; exit code 1 if one failed.
"""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click
import yaml

from hack.cluster import processes
from hack.cluster.cluster import Cluster, Runtime
from hack.cluster.containers import settings
from hack.cluster.processes import exit_on_sigterm


class Smoke:
    """The checks, and the count of those that failed."""

    def __init__(self) -> None:
        self.failed = 0

    def check(self, what: str, done: Callable[[], object], timeout: float) -> None:
        """Waits up to `timeout` seconds until `done()` is true."""
        started = time.monotonic()
        good = processes.wait_until(lambda: bool(done()), timeout, 0.05)
        self.failed += not good
        print(f"{'ok    ' if good else 'FAILED'} {what} ({time.monotonic() - started:.1f} s)", flush=True)


def job(
    name: str, annotations: dict[str, str], command: str, *, attempt: int = 0, exit_code: int | None = None
) -> dict[str, Any]:
    """A Job that tries once; with `exit_code` its podFailurePolicy looks for that code."""
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "template": {
            "metadata": {"annotations": annotations, "labels": {"flow.workflow.sh/attempt": str(attempt)}},
            "spec": {"restartPolicy": "Never", "containers": [container(command.replace("ATTEMPT", str(attempt)))]},
        },
    }
    if exit_code is not None:
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [exit_code]}}
        spec |= {"backoffLimit": 3, "podFailurePolicy": {"rules": [rule]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def container(command: str) -> dict[str, Any]:
    """A busybox container that runs a shell command."""
    return {
        "name": "main",
        "image": settings.BUSYBOX_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
    }


def manifests() -> str:
    """Everything that is run, each with its annotations for simulated pods and its command for real ones."""
    sim = "sim.workflow.sh/"
    httpd = "httpd -f -h /tmp/www -p"
    serve = f"mkdir /tmp/www; echo ok > /tmp/www/index.html; {httpd} 9000 & exec {httpd} 8080"
    web = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {f"{sim}serve": "http:8080/nothing=404,tcp:9000"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container(serve)]},
        },
    }
    return yaml.safe_dump_all(
        [
            job("works", {f"{sim}run-for": "2s"}, "echo hello; sleep 2"),
            job("fails", {f"{sim}exit-code": "3"}, "exit 3"),
            job("policy", {f"{sim}exit-code": "42"}, "exit 42", exit_code=42),
            job("attempt-1", {f"{sim}fail-until-attempt": "2"}, "test ATTEMPT -ge 2", attempt=1),
            job("attempt-2", {f"{sim}fail-until-attempt": "2"}, "test ATTEMPT -ge 2", attempt=2),
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": web},
        ]
    )


def run(cluster: Cluster, smoke: Smoke) -> None:
    """All checks but the last, on a running cluster."""

    def condition(name: str, kind: str, reason: str | None = None) -> bool:
        conditions = json.loads(cluster.kubectl("get", "job", name, "-o=json"))["status"].get("conditions", [])
        return any(c["type"] == kind and c["status"] == "True" and reason in {None, c["reason"]} for c in conditions)

    def addresses() -> list[str]:
        pods = json.loads(cluster.kubectl("get", "pods", "-l=app=web", "-o=json"))["items"]
        return [pod["status"]["podIP"] for pod in pods if pod["status"].get("podIP")]

    def http(path: str) -> list[int]:
        return [_http_status(address, 8080, path) for address in addresses()]

    cluster.kubectl("apply", "-f", "-", input=manifests())
    smoke.check("a Job completes", lambda: condition("works", "Complete"), 20)
    smoke.check("a Job fails", lambda: condition("fails", "Failed", "BackoffLimitExceeded"), 20)
    smoke.check("a podFailurePolicy sees the exit code", lambda: condition("policy", "Failed", "PodFailurePolicy"), 20)
    smoke.check("attempt 1 of a pod that fails until attempt 2 fails", lambda: condition("attempt-1", "Failed"), 20)
    smoke.check("attempt 2 of it succeeds", lambda: condition("attempt-2", "Complete"), 20)
    available = ("get", "deployment", "web", "-o=jsonpath={.status.availableReplicas}")
    smoke.check("a Deployment becomes available", lambda: cluster.kubectl(*available) == "2", 20)
    smoke.check(
        "each of its pods answers HTTP 200, and 404 on the path that its annotation names",
        lambda: (http("/"), http("/nothing")) == ([200] * 2, [404] * 2),
        10,
    )
    smoke.check("each of its pods accepts TCP", lambda: [_connects(a, 9000) for a in addresses()] == [True, True], 10)
    if cluster.runtime == "containers":
        smoke.check(
            "kubectl logs shows what the command said", lambda: "hello" in cluster.kubectl("logs", "job/works"), 5
        )
    cluster.kubectl(
        "apply", "-f", "-", input=yaml.safe_dump(job("survives", {"sim.workflow.sh/run-for": "3s"}, "sleep 3"))
    )
    started = time.monotonic()
    cluster.stop_component("kube-apiserver")
    cluster.start_component("kube-apiserver")
    print(f"       the API server was killed and is back after {time.monotonic() - started:.1f} s")
    smoke.check("a Job made just before completes", lambda: condition("survives", "Complete"), 60)
    old = addresses()
    cluster.kubectl("delete", "deployment", "web", "--wait=false")
    smoke.check("deleted pods go", lambda: not addresses(), 40)
    smoke.check("and their servers with them", lambda: not any(_connects(a, 8080) for a in old), 10)


def _http_status(host: str, port: int, path: str) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


@click.command()
@click.option("--runtime", type=click.Choice(["kwok", "containers"]), default="kwok", show_default=True)
def main(runtime: str) -> None:
    """Start a cluster, run every check, end it, look for leftovers."""
    smoke = Smoke()
    with exit_on_sigterm(), tempfile.TemporaryDirectory(prefix="smoke-") as folder:
        started = time.monotonic()
        with Cluster.start(folder, runtime=cast("Runtime", runtime)) as cluster:
            print(f"       up after {time.monotonic() - started:.1f} s")
            port = int(cluster.server.rpartition(":")[2])
            run(cluster, smoke)
            pids = processes.members(Path(folder).resolve())
            started = time.monotonic()
        print(f"       down after {time.monotonic() - started:.1f} s")
        smoke.check("down leaves no process", lambda: not [pid for pid in pids if processes.is_alive(pid)], 0)
        smoke.check("down leaves no port", lambda: not processes.is_listening(port), 0)
    if smoke.failed:
        raise click.ClickException(f"{smoke.failed} checks failed")


if __name__ == "__main__":
    main()
