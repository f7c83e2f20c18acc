"""The configuration of containerd, the kubelet and the CNI plugins. Pure: values in, text out.

They run in a mount and a process namespace of their own (supervisor.py), where /run/containerd and the like are
private. Several clusters use the usual paths at the same time, and nothing is left on the machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from hack.cluster.containers.packages import CNI_PLUGINS

SOCKET = "/run/containerd/containerd.sock"
BUSYBOX_IMAGE = "docker.io/library/busybox:1.36"
PAUSE_IMAGE = "localhost/pause:1"
NODE_NAME = "node-1"
PRIVATE = ("/run/containerd", "/run/netns", "/var/lib/kubelet", "/var/log/containers")
"""Folders that containerd and the kubelet write to in any configuration; each is a tmpfs of its own here."""


def services(slot: int) -> str:
    """The addresses of Services of a cluster: in the pods' network, so that a pod needs no route to reach them."""
    return f"198.18.{slot}.192/26"


def kubernetes_service(slot: int) -> str:
    """The address of the Service `kubernetes`, at which pods look for the API server: the first one of `services`."""
    return f"198.18.{slot}.193"


class Orders(msgspec.Struct, frozen=True):
    """What the supervisor runs; written as JSON by node.py."""

    containerd: list[str]
    kubelet: list[str]
    archive: str
    logs: str
    scratch: str


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The names and addresses of one cluster's node. `folder` is its private folder (in the cluster's run/)."""

    folder: Path
    slot: int
    kubelet: Path
    kubeconfig: Path
    kubelet_port: int

    @property
    def bridge(self) -> str:
        """The network interface of the pods; at most 15 characters."""
        return f"wfbr{self.slot}"

    @property
    def subnet(self) -> str:
        """The pods' addresses: of the range set aside for tests of network devices, which no network uses."""
        return f"198.18.{self.slot}.0/24"

    @property
    def last_pod(self) -> str:
        """The last address that a pod may have; the addresses of Services are above it."""
        return f"198.18.{self.slot}.190"

    @property
    def gateway(self) -> str:
        """The host's address on the bridge, which is the node's address too."""
        return f"198.18.{self.slot}.1"


def containerd_config(plan: NodePlan) -> str:
    """config.toml of containerd 1.6 and later."""
    return f"""\
version = 2
root = {json.dumps(str(plan.folder / "containerd"))}
state = "/run/containerd/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "crun"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
BinaryName = "/usr/bin/crun"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = {json.dumps(str(plan.folder / "cni"))}
"""


def cni_config(plan: NodePlan) -> str:
    """The bridge network: pods reach each other and the host, and nothing else (no masquerading)."""
    network: dict[str, Any] = {
        "cniVersion": "0.4.0",
        "name": plan.bridge,
        "plugins": [
            {
                "type": "bridge",
                "bridge": plan.bridge,
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": plan.subnet, "rangeEnd": plan.last_pod, "gateway": plan.gateway}]],
                    "dataDir": str(plan.folder / "addresses"),
                },
            }
        ],
    }
    return json.dumps(network, indent=2)


def kubelet_config(plan: NodePlan) -> str:
    """KubeletConfiguration of a node that leaves the machine's cgroups, sysctls and firewall as they are."""
    return yaml.safe_dump(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": plan.gateway,
            "port": plan.kubelet_port,
            "readOnlyPort": 0,
            "healthzPort": 0,
            # Reached by this machine and its pods alone: kubectl logs and exec need no certificates.
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": True,
            "makeIPTablesUtilChains": False,
            "oomScoreAdj": 0,
            "resolvConf": str(plan.folder / "resolv.conf"),
            "podLogsDir": str(plan.folder / "pod-logs"),
            "volumePluginDir": str(plan.folder / "volume-plugins"),
            # A developer's full disk is no reason to evict a test's pods.
            "evictionHard": {
                "memory.available": "0%",
                "nodefs.available": "0%",
                "imagefs.available": "0%",
                "nodefs.inodesFree": "0%",
            },
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "maxPods": 180,
        },
        sort_keys=False,
    )


def containerd_command(plan: NodePlan) -> list[str]:
    """How containerd is run, inside the namespaces."""
    return ["/usr/bin/containerd", "--config", str(plan.folder / "containerd.toml"), "--log-level", "warn"]


def kubelet_command(plan: NodePlan) -> list[str]:
    """How the kubelet is run, inside the namespaces."""
    return [
        str(plan.kubelet),
        f"--config={plan.folder / 'kubelet.yaml'}",
        f"--kubeconfig={plan.kubeconfig}",
        f"--root-dir={plan.folder / 'kubelet'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={plan.gateway}",
    ]
