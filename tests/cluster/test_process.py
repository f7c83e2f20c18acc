"""The process: flags, exit codes, signals, metrics and health."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import pytest

from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.controller_process import CHECKOUT, command
from hack.scrape import total
from pkg.version import build
from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        pytest.param(["--workers=0"], "--workers", id="no workers"),
        pytest.param(["--no-such-flag"], "--no-such-flag", id="a flag that does not exist"),
        pytest.param(["--metrics-bind-address=8080"], "HOST:PORT", id="an address without a colon"),
        pytest.param(
            ["--leader-elect-renew-deadline=10s"], "--leader-elect-lease-duration", id="a deadline after the lease ends"
        ),
        pytest.param(["--leader-elect-retry-period=1 s"], "--leader-elect-retry-period", id="no duration"),
        pytest.param(["--log-level=loud"], "'debug', 'info'", id="a level that does not exist"),
        pytest.param(["--kube-api-burst=5"], "--kube-api-qps", id="a burst without a limit"),
    ],
)
def test_wrong_flags_exit_2_and_say_what_would_be_right(flags: list[str], says: str) -> None:
    done = subprocess.run(command(*flags), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_tells_whether_the_core_is_compiled() -> None:
    done = subprocess.run(command("--version"), capture_output=True, text=True, timeout=60, check=True)
    assert f"({build(CHECKOUT / 'pkg')})" in done.stdout


def test_a_kubeconfig_that_is_not_there_exits_1_and_is_named(start_controller: StartController) -> None:
    controller = start_controller("--kubeconfig=/nowhere/kubeconfig", acting=False)
    assert controller.process.wait(60) == 1
    assert "/nowhere/kubeconfig" in controller.log_file.read_text()


def test_metrics_health_and_readiness_answer(world: World, start_controller: StartController) -> None:
    metrics, health = free_port(), free_port()
    controller = start_controller(
        f"--metrics-bind-address=127.0.0.1:{metrics}", f"--health-bind-address=127.0.0.1:{health}"
    )
    world.create(m.template("step", run_for="0.1s"))
    world.create(m.workflow("w", *m.chain("a", "b")))
    world.wait_phase("w")
    assert controller.get(f"127.0.0.1:{health}/healthz") == (200, "ok\n")
    assert controller.get(f"127.0.0.1:{health}/readyz?verbose") == (200, "[+] caches ok\n")
    assert controller.get(f"127.0.0.1:{health}/metrics")[0] == 404
    code, text = controller.get(f"127.0.0.1:{metrics}/metrics")
    assert code == 200
    assert total(text, "workflow_jobs_created_total", kind="Job") == 2
    assert total(text, "leader_election_master_status", name="workflow-controller") == 1
    assert total(text, "rest_client_requests_total", verb="create", resource="jobs.batch", code="201") == 2
    assert total(text, "workflow_status_writes_total") >= 2
    assert total(text, "workqueue_adds_total") > 0
    assert total(text, "workqueue_depth") == 0


def test_a_second_controller_without_addresses_starts_on_another_port_and_says_which(
    world: World, start_controller: StartController
) -> None:
    auto = ("--metrics-bind-address=auto", "--health-bind-address=auto")
    first = start_controller(*auto)
    second = start_controller(*auto, acting=False)
    second.wait_log("started")
    served = [re.search(r'"metrics": "http://(127\.0\.0\.1:\d+)/metrics"', each.log_text()) for each in (first, second)]
    addresses = [found[1] for found in served if found is not None]
    assert len(set(addresses)) == 2
    assert [first.get(f"{address}/metrics")[0] for address in addresses] == [200, 200]
    assert [first.get(f"{address}/healthz")[0] for address in addresses] == [200, 200]


def test_a_port_that_is_taken_exits_1_and_is_named(world: World, start_controller: StartController) -> None:
    port = free_port()
    flags = (f"--metrics-bind-address=127.0.0.1:{port}", "--health-bind-address=0")
    start_controller(*flags)
    second = start_controller(*flags, acting=False)
    assert second.process.wait(60) == 1
    assert f"127.0.0.1:{port}" in second.log_file.read_text()
    assert "--metrics-bind-address" in second.log_file.read_text()


def test_sigterm_ends_it_in_time_and_nothing_is_written_after(
    world: World, audit: Audit, start_controller: StartController
) -> None:
    """In the middle of a fan-out: calls in flight finish, and the next controller does the others."""
    count = 300
    world.create(m.template("step", run_for="forever"))
    controller = start_controller("--leader-elect-identity=first")
    world.create(m.workflow("w", {**m.flow("many"), "for": {"replicas": count}}))
    world.history.wait(lambda: len(world.jobs("w")) >= 40, PATIENCE, "40 of the jobs")
    asked = time.time()
    code = controller.terminate()
    ended = time.time()
    assert code == 0
    assert controller.has_logged("lease released")
    calls = [call for call in audit.calls(world.namespace) if call.is_write]
    assert len(audit.creations(world.namespace)) < count, "it was in the middle"
    assert [call for call in calls if call.is_work and call.at > asked + 0.5] == [], "none is started after the signal"
    assert calls[-1].resource == "leases", "the Lease is given back last"
    assert calls[-1].at < ended
    start_controller("--leader-elect-identity=second")
    world.history.wait(
        lambda: len(world.jobs("w")) == count, PATIENCE, lambda: f"{count} jobs, not {len(world.jobs('w'))}"
    )
    assert len(no_attempt_twice(world)) == count
    world.history.wait(lambda: len(audit.creations(world.namespace)) == count, PATIENCE, "as many in the audit log")


def test_a_second_sigterm_ends_it_at_once(cluster: Cluster, world: World, start_controller: StartController) -> None:
    """Even while calls hang: the API server is stopped until the process has ended."""
    world.create(m.template("step", run_for="forever"))
    controller = start_controller()
    world.create(m.workflow("w", {**m.flow("many"), "for": {"replicas": 200}}))
    world.history.wait(lambda: len(world.jobs("w")) >= 20, PATIENCE, "20 of the jobs")
    (server,) = cluster.pids("kube-apiserver")
    os.kill(server, signal.SIGSTOP)
    try:
        controller.send(signal.SIGTERM)
        controller.wait_log("stopping")
        controller.send(signal.SIGTERM)
        assert controller.process.wait(10) == 128 + signal.SIGTERM, "the first alone waits for the calls, and exits 0"
    finally:
        os.kill(server, signal.SIGCONT)
