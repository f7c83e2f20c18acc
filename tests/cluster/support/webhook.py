"""A webhook that the API server asks for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.cluster import Cluster
from hack.webhook_process import SECRET, SECRETS, WebhookProcess, register, unregister


@contextmanager
def asked_webhook(cluster: Cluster, folder: Path) -> Iterator[None]:
    """A webhook process that the API server asks. Afterwards it asks none, for other tests. folder: of its log."""
    api = cluster.api()
    register(api)
    webhook = WebhookProcess(cluster, folder / "webhook.log")
    try:
        webhook.wait_called(api)
        yield
    finally:
        unregister(api)
        webhook.stop(30.0)
        api.request("DELETE", f"{SECRETS}/{SECRET}")
        print(webhook.tail(60))
