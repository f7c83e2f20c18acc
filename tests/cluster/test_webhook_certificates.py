"""The API server calls the webhook as a process: its certificate, how it is replaced, and replicas that share it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.api import Api, ApiStatusError
from hack.cluster.processes import free_port
from hack.webhook_process import (
    CONFIGURATIONS,
    NAME,
    REGISTRATION,
    SECRET,
    SECRETS,
    WebhookProcess,
    register,
    unregister,
)

pytestmark = pytest.mark.cluster
TEMPLATES = "/apis/flow.workflow.sh/v1alpha1/namespaces/default/worktemplates?dryRun=All"
PATIENCE = 120.0
StartWebhook = Callable[..., WebhookProcess]


@pytest.fixture
def start_webhook(cluster: Cluster, api: Api, tmp_path: Path) -> Iterator[StartWebhook]:
    """Starts a webhook process. The Secret is as it is installed. After the test the API server calls no webhook."""
    with contextlib.suppress(ApiStatusError):  # another test's webhook may have left a certificate
        api.request("DELETE", f"{SECRETS}/{SECRET}")
    register(api)
    with contextlib.ExitStack() as stack:
        stack.callback(api.request, "DELETE", f"{SECRETS}/{SECRET}")
        stack.callback(unregister, api)
        started: list[WebhookProcess] = []

        def start(*flags: str) -> WebhookProcess:
            made = WebhookProcess(cluster, tmp_path / f"webhook-{len(started)}.log", *flags)
            started.append(made)
            stack.callback(made.stop, 30.0)
            return made

        yield start
    for made in started:
        print(made.tail(60))


def template(name: str) -> dict[str, object]:
    return {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "WorkTemplate",
        "metadata": {"name": name},
        "spec": {"gvr": {"group": "batch", "version": "v1", "resource": "jobs"}, "jobSpec": {}},
    }


def is_created(api: Api) -> bool:
    """Whether the API server takes a template now; it does not while it cannot call the webhook."""
    try:
        api.request("POST", TEMPLATES, template("t"))
    except ApiStatusError:
        return False
    return True


def wait_until(what: str, fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.1)


def secret(api: Api) -> dict[str, bytes]:
    """What the Secret holds."""
    data = api.get(f"{SECRETS}/{SECRET}").get("data") or {}
    return {key: base64.b64decode(value) for key, value in data.items()}


def bundles(api: Api) -> set[bytes]:
    """The CA bundles of all webhooks."""
    found = [webhook for plural in CONFIGURATIONS for webhook in api.get(f"{REGISTRATION}/{plural}/{NAME}")["webhooks"]]
    return {base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in found}


def serves(port: int, authority: bytes) -> bool:
    """Whether the process serves a certificate that this CA has signed."""
    context = ssl.create_default_context(cadata=authority.decode())
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            context.wrap_socket(plain, server_hostname="workflow-webhook.workflow-system.svc").close()
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_a_certificate_that_rotates_under_load_fails_no_request(api: Api, start_webhook: StartWebhook) -> None:
    webhook = start_webhook("--certificate-lifetime=24s")
    webhook.wait_called(api)
    first, stopped, failures, created = secret(api)["tls.crt"], threading.Event(), [], []

    def create(number: int) -> None:
        while not stopped.is_set():
            try:
                api.request("POST", TEMPLATES, template(f"t-{number}"))
            except ApiStatusError as error:
                failures.append(str(error))
            else:
                created.append(number)

    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            pool.submit(create, number)
        try:
            for _ in range(2):
                before = secret(api)["tls.crt"]
                wait_until("another certificate", lambda: secret(api)["tls.crt"] != before)  # noqa: B023
            wait_until("the end of the retired CA", lambda: secret(api)["ca.crt"].count(b"BEGIN") == 1)
        finally:
            stopped.set()
    assert failures == []
    assert len(created) > 100
    assert secret(api)["tls.crt"] != first


def test_replicas_that_start_at_the_same_moment_agree_on_one_ca(api: Api, start_webhook: StartWebhook) -> None:
    replicas = [start_webhook() for _ in range(3)]
    for replica in replicas:
        replica.wait_acting(PATIENCE)
    content = secret(api)
    assert content["ca.crt"].count(b"BEGIN CERTIFICATE") == 1
    assert all(serves(replica.port, content["ca.crt"]) for replica in replicas)
    wait_until("the CA in every configuration", lambda: bundles(api) == {content["ca.crt"]})
    wait_until("an answer of the replica that the API server calls", lambda: is_created(api))
    issued = [line for replica in replicas for line in replica.log_text().splitlines() if '"step": "Issue"' in line]
    assert len(issued) == 1


def test_a_bundle_that_somebody_empties_comes_back(api: Api, start_webhook: StartWebhook) -> None:
    start_webhook("--certificate-lifetime=60s").wait_called(api)
    for plural in CONFIGURATIONS:
        path = f"{REGISTRATION}/{plural}/{NAME}"
        webhooks = [{"name": each["name"], "clientConfig": {"caBundle": None}} for each in api.get(path)["webhooks"]]
        api.request("PATCH", path, {"webhooks": webhooks}, content_type="application/strategic-merge-patch+json")
    wait_until("the CA in every configuration", lambda: bundles(api) == {secret(api)["ca.crt"]})


def test_without_its_secret_it_is_not_ready_and_says_what_to_do(api: Api, start_webhook: StartWebhook) -> None:
    port = free_port()
    webhook = start_webhook("--secret-name=missing", f"--health-bind-address=127.0.0.1:{port}")
    wait_until("a log line", lambda: "installer/controller" in webhook.log_text())
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/readyz")
    answer = client.getresponse()
    assert answer.status == 503
    assert "the Secret does not exist" in answer.read().decode()
    assert not webhook.is_acting
