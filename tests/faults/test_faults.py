"""No workflow is lost and no attempt has two jobs, whatever is killed or lies. `make faults` runs the same, larger."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from hack.bench import harness
from hack.cluster import Cluster
from hack.faults import connections, etcd, load, scenarios, takeover, tenants, upgrade
from hack.faults.judge import Verdict

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def assert_clean(verdict: Verdict) -> None:
    """Prints the row, and asserts that it is clean."""
    print(f"{verdict.fault}: {verdict.workflows} workflows, {verdict.jobs} jobs; {verdict.what}")
    print(f"first write after {verdict.first_write} s, all ended after {verdict.recovered} s")
    assert verdict.is_clean, verdict.faults()
    assert verdict.recovered is not None


@pytest.fixture(scope="module")
def quiet(battered_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Verdict]]:
    """Faults that mostly wait, for a Lease to expire or a silent watch to time out. They run at the same time."""
    folder = tmp_path_factory.mktemp("quiet")
    with ThreadPoolExecutor(3) as pool:
        connection = {"count": 30, "seconds": 45}
        return {
            "election": pool.submit(scenarios.election_storm, battered_cluster, folder, count=30, kills=2),
            "proxy": pool.submit(scenarios.lying_proxy, battered_cluster, folder, count=30, seconds=30),
            "certificates": pool.submit(connections.rotating_certificates, battered_cluster, folder, **connection),
            "plugin": pool.submit(connections.slow_plugin, battered_cluster, folder, **connection),
            "addresses": pool.submit(connections.silent_address, battered_cluster, folder, **connection),
            **{
                kind: pool.submit(takeover.takeovers, battered_cluster, folder, kind, count=20, times=1)
                for kind in takeover.BOUNDS
            },
        }


def test_a_storm_of_kills_over_two_hundred_workflows_loses_nothing(battered_cluster: Cluster, tmp_path: Path) -> None:
    verdict = scenarios.kill_storm(battered_cluster, tmp_path, count=200, seconds=35)
    assert_clean(verdict)
    assert verdict.hits >= 3, f"too few kills hit a controller at work: {verdict.what}"


def test_leaders_that_are_killed_hand_over(quiet: dict[str, Future[Verdict]]) -> None:
    verdict = quiet["election"].result()
    assert_clean(verdict)
    assert verdict.hits >= 1, verdict.what


def test_a_proxy_that_answers_errors_cuts_delays_and_falls_silent_loses_nothing(
    quiet: dict[str, Future[Verdict]],
) -> None:
    assert_clean(quiet["proxy"].result())


@pytest.mark.parametrize("fault", ["certificates", "plugin", "addresses"])
def test_the_lease_is_kept_and_nothing_lost_under_faults_of(fault: str, quiet: dict[str, Future[Verdict]]) -> None:
    assert_clean(quiet[fault].result())


@pytest.mark.parametrize("kind", takeover.BOUNDS)
def test_the_next_leader_begins_in_time_and_the_last_one_writes_no_more(
    kind: str, quiet: dict[str, Future[Verdict]]
) -> None:
    assert_clean(quiet[kind].result())


def test_workflows_deleted_while_the_controller_is_killed_leave_no_job(
    battered_cluster: Cluster, tmp_path: Path
) -> None:
    assert_clean(scenarios.deletion_in_storm(battered_cluster, tmp_path, count=30))


def test_an_api_server_that_is_killed_is_listed_anew(battered_cluster: Cluster, tmp_path: Path) -> None:
    assert_clean(scenarios.api_server_killed(battered_cluster, tmp_path, count=30))


def test_outages_of_etcd_lose_and_double_nothing(battered_cluster: Cluster, tmp_path: Path) -> None:
    assert_clean(etcd.etcd_outages(battered_cluster, tmp_path, count=30, times=4))


@pytest.mark.skipif(not upgrade.has_history(), reason="a shallow clone has no older versions to upgrade from")
@pytest.mark.parametrize("change", [upgrade.rolling_upgrade, upgrade.there_and_back], ids=["there", "there and back"])
def test_a_change_of_the_version_under_load_restarts_and_doubles_nothing(
    change: Callable[..., Verdict], tmp_path: Path
) -> None:
    """On a cluster of its own, because it replaces the CRDs."""
    with harness.cluster_with_crds() as cluster:
        harness.install_crd(cluster.api(), load.CRD)
        assert_clean(change(cluster, tmp_path, count=30))


def test_beside_every_kind_of_hostile_manifest_each_chain_succeeds_with_one_job_per_task(tmp_path: Path) -> None:
    """The bounds for time, Lease and memory are those of `make faults`: on a busy machine they would prove nothing."""
    beside, alone = tenants.measure(tmp_path, tenants.attack(tenants.ALL, 2), chains=20)
    for run in (alone, beside):
        assert run.makespan is not None
        assert [*run.not_ended, *run.twice, *run.wrong] == []
        assert run.jobs == 20 * tenants.CHAIN
    assert beside.forged > 0
