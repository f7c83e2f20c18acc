"""What a cluster waits for before it is up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from hack.cluster import bringup
from hack.cluster.api import Api, ApiStatusError
from hack.cluster.errors import ClusterError


class Server:
    """An API server in which the default ServiceAccount comes once the controller manager runs."""

    def __init__(self, *, may_start: bool) -> None:
        self.may_start, self.started = may_start, set[str]()

    def get(self, path: str) -> Any:
        if path.endswith("serviceaccounts/default"):
            if "kube-controller-manager" not in self.started:
                raise ApiStatusError(404, "not found")
            return {}
        ready = {"type": "Ready", "status": "True"}
        return {"items": [{"spec": {}, "status": {"conditions": [ready]}}]}

    def revive(self, component: str) -> None:
        if self.may_start:
            self.started.add(component)


def test_a_component_that_ended_before_the_api_server_was_healthy_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bringup, "_LOOK_SECONDS", 0.0)
    server = Server(may_start=True)
    bringup.wait_for_nodes(cast(Api, server), 1, Path("logs"), server.revive)
    assert server.started == {"kube-controller-manager", "kube-scheduler"}


def test_a_cluster_that_does_not_come_up_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringup, "READY_TIMEOUT", 0.0)
    server = Server(may_start=False)
    with pytest.raises(ClusterError, match="not Ready"):
        bringup.wait_for_nodes(cast(Api, server), 1, Path("logs"), server.revive)
