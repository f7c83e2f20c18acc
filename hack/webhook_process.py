"""workflow-webhook as a process: how tests, benchmarks and `make run-webhook` start it for a local cluster, and end it.

It runs the code that the controller's process runs. The API server calls it on 127.0.0.1: its URL takes the place of
the Service in the webhook configurations.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml

from hack.cluster import Cluster
from hack.cluster.api import Api, ApiStatusError
from hack.cluster.processes import free_port
from hack.controller_process import CHECKOUT, NO_SERVERS, ControllerProcess, command

ROOT = Path(__file__).resolve().parents[1]
NAME = "workflow-webhook"
NAMESPACE = "workflow-system"
SECRET = "workflow-webhook-tls"
CONFIGURATIONS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
_COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "Secret": SECRETS,
    "ValidatingWebhookConfiguration": f"{REGISTRATION}/{CONFIGURATIONS[0]}",
    "MutatingWebhookConfiguration": f"{REGISTRATION}/{CONFIGURATIONS[1]}",
}


class WebhookProcess(ControllerProcess):
    """One running webhook for a local cluster. `port`: where it serves."""

    program = NAME

    def __init__(
        self,
        cluster: Cluster,
        log: Path,
        *flags: str,
        kubeconfig: Path | None = None,
        env: Mapping[str, str] = MappingProxyType({}),
        root: Path = CHECKOUT,
    ) -> None:
        """Starts it and does not wait; `register` has to be called before, once for a cluster."""
        self.port = free_port()
        own = (*local_flags(self.port), "--shutdown-delay=0s", *NO_SERVERS)
        super().__init__(cluster, log, *own, *flags, kubeconfig=kubeconfig, env=env, root=root)

    @property
    def is_acting(self) -> bool:
        """Whether it serves."""
        return '"serving"' in self.log_text()

    def wait_called(self, api: Api, seconds: float = 60.0) -> None:
        """Waits until the API server calls it, and trusts its certificate. RuntimeError if it never does."""
        self.wait_acting(seconds)
        deadline = time.monotonic() + seconds
        probe = {
            "apiVersion": "flow.workflow.sh/v1alpha1",
            "kind": "WorkTemplate",
            "metadata": {"name": "webhook-probe"},
            "spec": {"gvr": {"group": "batch", "version": "v1", "resource": "jobs"}, "jobSpec": {}},
        }
        path = "/apis/flow.workflow.sh/v1alpha1/namespaces/default/worktemplates?dryRun=All"
        while True:
            try:
                urls = [url for plural in CONFIGURATIONS for url in _urls(api, plural)]
                if urls and all(url.startswith(f"https://127.0.0.1:{self.port}/") for url in urls):
                    api.request("POST", path, probe)
                    return
                why = f"the configurations have {urls}"
            except ApiStatusError as error:
                why = str(error)
            if not self.is_alive or time.monotonic() > deadline:
                raise RuntimeError(f"the API server cannot call the webhook: {why}\n{self.tail()}")
            time.sleep(0.1)


def local_flags(port: int) -> tuple[str, ...]:
    """Flags of a webhook that the API server of this machine calls on 127.0.0.1."""
    return (f"--port={port}", "--bind-address=127.0.0.1", f"--local-url=https://127.0.0.1:{port}")


def _urls(api: Api, plural: str) -> list[str]:
    found = api.get(f"{REGISTRATION}/{plural}/{NAME}")
    return [webhook["clientConfig"].get("url", "") for webhook in found["webhooks"]]


def register(api: Api) -> None:
    """Makes what the webhook needs in a cluster and does not have yet: namespace, empty Secret, configurations."""
    for name in ("00-namespace", "30-webhook-secret", "50-webhook-configurations"):
        for document in yaml.safe_load_all((ROOT / "installer" / "controller" / f"{name}.yaml").read_text("utf-8")):
            _create(api, _COLLECTIONS[document["kind"]], document)


def unregister(api: Api) -> None:
    """Removes the configurations, so that the API server calls no webhook; the Secret stays."""
    for plural in CONFIGURATIONS:
        try:
            api.request("DELETE", f"{REGISTRATION}/{plural}/{NAME}")
        except ApiStatusError as error:
            if error.code != 404:
                raise


def _create(api: Api, path: str, body: object) -> None:
    try:
        api.request("POST", path, body)
    except ApiStatusError as error:
        if error.code != 409:
            raise


def main() -> int:
    """`python -m hack.webhook_process FLAGS` runs it on the cluster of KUBECONFIG, a local one, and shows its log.

    Without it the API server would refuse every Workflow, so the configurations are removed at the end.
    """
    kubeconfig = Path(os.environ["KUBECONFIG"])
    api = Api.from_kubeconfig(kubeconfig)
    register(api)
    flags = (*local_flags(free_port()), "--shutdown-delay=0s", "--log-format=console", *sys.argv[1:])
    # Ctrl-C reaches both processes; this one has to outlive the other.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(command(f"--kubeconfig={kubeconfig}", *flags, program=NAME)) as process:
        signal.signal(signal.SIGTERM, lambda number, _frame: process.send_signal(number))
        code = process.wait()
    unregister(api)
    print("webhook: the configurations are removed, so that the API server calls no webhook any more", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
