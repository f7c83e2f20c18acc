"""One control plane of its own for the fault tests: they kill its API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.bench import harness
from hack.cluster import Cluster
from hack.faults import load


@pytest.fixture(scope="module")
def battered_cluster() -> Iterator[Cluster]:
    """A cluster that serves our CRDs and that of the fault jobs."""
    with harness.cluster_with_crds() as cluster:
        harness.install_crd(cluster.api(), load.CRD)
        yield cluster
