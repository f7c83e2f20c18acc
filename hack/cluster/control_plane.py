"""Arguments, configuration and objects for kwokctl. Pure: values in, values out."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hack.cluster.stages import node_stages, pod_stages

Document = dict[str, Any]

# Number of threads that run the stages of pods and nodes: enough for the rate of one API server.
_PARALLELISM = 16


def cluster_name(folder: Path) -> str:
    """A name that is the same for the same folder and differs between folders; also a valid DNS label."""
    readable = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:20] or "cluster"
    return f"wf-{readable}-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"


def pod_networks(slot: int, nodes: int) -> list[str]:
    """A pod network per node out of 127.<slot>.0.0/16, as large as fits for `nodes` of them (/24 at least)."""
    prefix = min(24, 16 + max(nodes - 1, 0).bit_length())
    networks = ipaddress.ip_network(f"127.{slot}.0.0/16").subnets(new_prefix=prefix)
    return [str(network) for _, network in zip(range(nodes), networks, strict=False)]


def simulated_node(name: str, pod_network: str) -> Document:
    """A Node object whose pods kwok plays."""
    room = {"cpu": "1k", "memory": "1Ti", "pods": "100k", "ephemeral-storage": "1Ti"}
    version = "kwok"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/role": "agent",
                "type": "kwok",
            },
        },
        "spec": {"podCIDR": pod_network, "podCIDRs": [pod_network]},
        "status": {
            "capacity": room,
            "allocatable": room,
            "phase": "Running",
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": version,
                "kernelVersion": version,
                "kubeProxyVersion": version,
                "kubeletVersion": version,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "",
                "systemUUID": "",
            },
        },
    }


_PORTS = (
    "kubeApiserverPort",
    "etcdPort",
    "etcdPeerPort",
    "kubeControllerManagerPort",
    "kubeSchedulerPort",
    "kwokControllerPort",
)
"""What kwokctl calls the ports of the components, in the order in which they are taken from a slot's."""


def kwok_config(name: str, ports: range, more_stages: str = "", api_server_names: Sequence[str] = ()) -> str:
    """The file for kwokctl's --config: what listens where on 127.0.0.1, and the stages of pods and nodes.

    `api_server_names` are further addresses for which the API server's certificate is valid.
    """
    documents = [
        {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "metadata": {"name": name},
            "options": {
                "bindAddress": "127.0.0.1",
                **({"kubeApiserverCertSANs": list(api_server_names)} if api_server_names else {}),
                **dict(zip(_PORTS, ports, strict=False)),
            },
        },
        {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokConfiguration",
            "metadata": {"name": "kwok"},
            # All that is not named here is zero, not kwok's default.
            "options": {
                "manageAllNodes": True,
                "nodeLeaseParallelism": 4,
                "nodePlayStageParallelism": 4,
                "podPlayStageParallelism": _PARALLELISM,
                "podsOnNodeSyncParallelism": 4,
            },
        },
        *node_stages(),
        *pod_stages(),
    ]
    text = yaml.safe_dump_all(documents, sort_keys=False, width=4096)
    return f"{text}---\n{more_stages}" if more_stages.strip() else text


def audit_policy() -> str:
    """Every finished request with its user agent, verb and object; bodies are not kept."""
    return yaml.safe_dump(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": [
                {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*", "/version"]},
                {"level": "Metadata"},
            ],
        },
        sort_keys=False,
    )


def create_arguments(
    name: str,
    binaries: Path,
    run: Path,
    kubeconfig: Path,
    *,
    audit: bool,
    service_network: str = "",
    extra_args: Sequence[str] = (),
) -> list[str]:
    """The command that creates the control plane; `run` is the folder with config.yaml and audit-policy.yaml.

    `service_network` holds the addresses of Services of a cluster with real containers; without it kwok simulates pods.
    `extra_args` are `component=flag=value`, given to that component after all others.
    """
    arguments = [
        str(binaries / "kwokctl"),
        "create",
        "cluster",
        f"--name={name}",
        "--runtime=binary",
        f"--etcd-binary={binaries / 'etcd'}",
        *(
            f"--{part}-binary={binaries / part}"
            for part in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        ),
        f"--kwok-controller-binary={binaries / 'kwok'}",
        f"--kubeconfig={kubeconfig}",
        f"--config={run / 'config.yaml'}",
        "--disable-qps-limits",
        # What etcd has written survives a kill -9 of etcd. Only a crash of the machine could lose it.
        "--extra-args=etcd=unsafe-no-fsync=true",
        # There is one of each, so one that was killed and started again need not wait for a lease to run out.
        "--extra-args=kube-controller-manager=leader-elect=false",
        "--extra-args=kube-scheduler=leader-elect=false",
        "--wait=60s",
        "--timeout=120s",
    ]
    if audit:
        arguments.append(f"--kube-audit-policy={run / 'audit-policy.yaml'}")
    if service_network:
        arguments += [
            "--disable=kwok-controller",
            # The node's name cannot be resolved; kubectl logs and exec use its address.
            "--extra-args=kube-apiserver=kubelet-preferred-address-types=InternalIP",
            f"--extra-args=kube-apiserver=service-cluster-ip-range={service_network}",
            # Service addresses are not routed: the API server itself finds the pods behind a webhook's Service.
            "--extra-args=kube-apiserver=enable-aggregator-routing=true",
        ]
    return arguments + [f"--extra-args={argument}" for argument in extra_args]


def components_of(kwok_yaml: str) -> dict[str, list[str]]:
    """Name and command line of each component, from the file that kwokctl saves for a cluster."""
    for document in yaml.safe_load_all(kwok_yaml):
        if document and document.get("kind") == "KwokctlConfiguration":
            return {part["name"]: [part["binary"], *part.get("args", [])] for part in document.get("components", [])}
    return {}


def player_config(stages: str) -> str:
    """Configuration of a further kwok process that plays `stages` (YAML) of custom resources and no pods or nodes."""
    options = {
        "kind": "KwokConfiguration",
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "metadata": {"name": "kwok"},
        "options": {
            "manageAllNodes": False,
            "manageNodesWithAnnotationSelector": "none=none",
            "nodeLeaseParallelism": 4,
            "nodePlayStageParallelism": 4,
            "podPlayStageParallelism": 4,
            "podsOnNodeSyncParallelism": 4,
        },
    }
    return f"{yaml.safe_dump(options, sort_keys=False)}---\n{stages}"


def player_arguments(binaries: Path, config: Path, kubeconfig: Path, port: int) -> list[str]:
    """The command of a kwok process for `player_config`; `port` is for its health and metrics."""
    return [
        str(binaries / "kwok"),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=none=none",
        f"--server-address=127.0.0.1:{port}",
    ]
