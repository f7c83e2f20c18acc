"""A real local Kubernetes control plane for people, demos, tests and benchmarks.

    from hack.cluster import Cluster

    with Cluster.start(Path(".cluster"), audit=True) as cluster:
        cluster.kubectl("get", "nodes")

The command line is `python -m hack.cluster`; docs/cluster.md describes it.
"""

from hack.cluster.cluster import Cluster
from hack.cluster.errors import ClusterError
from hack.cluster.processes import exit_on_sigterm

__all__ = ["Cluster", "ClusterError", "exit_on_sigterm"]
