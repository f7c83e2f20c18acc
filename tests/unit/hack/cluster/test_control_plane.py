"""What kwokctl and kwok are handed."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import control_plane
from hack.cluster.annotations import ANNOTATIONS
from hack.cluster.processes import MEMBER_OF, member_environ
from hack.cluster.slots import FIRST_SLOT, LAST_SLOT, ports
from hack.cluster.stages import node_stages, pod_stages


def _arguments(**changes: Any) -> list[str]:
    options: dict[str, Any] = {"audit": False} | changes
    return control_plane.create_arguments("wf-x", Path("/bin"), Path("/c/run"), Path("/c/kubeconfig"), **options)


def test_the_kubeconfig_is_the_clusters_own() -> None:
    assert "--kubeconfig=/c/kubeconfig" in _arguments()


def test_every_binary_is_named_so_that_nothing_is_downloaded() -> None:
    named = [argument for argument in _arguments() if "-binary=" in argument]
    assert sorted(named) == [
        "--etcd-binary=/bin/etcd",
        "--kube-apiserver-binary=/bin/kube-apiserver",
        "--kube-controller-manager-binary=/bin/kube-controller-manager",
        "--kube-scheduler-binary=/bin/kube-scheduler",
        "--kwok-controller-binary=/bin/kwok",
    ]


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"audit": True}, "--kube-audit-policy=/c/run/audit-policy.yaml"),
        ({"service_network": "198.18.64.192/26"}, "--disable=kwok-controller"),
        (
            {"service_network": "198.18.64.192/26"},
            "--extra-args=kube-apiserver=service-cluster-ip-range=198.18.64.192/26",
        ),
        ({"extra_args": ["kube-apiserver=v=4"]}, "--extra-args=kube-apiserver=v=4"),
    ],
)
def test_an_option_adds_its_argument(changes: dict[str, Any], argument: str) -> None:
    assert argument in _arguments(**changes)
    assert argument not in _arguments()


def test_the_persons_own_settings_do_not_reach_a_component() -> None:
    before = {"HOME": "/home/me", "KUBECONFIG": "/home/me/.kube/config", "KWOK_KUBE_VERSION": "v1.20", "PATH": "/bin"}
    before |= {"HTTPS_PROXY": "http://proxy:3128", "http_proxy": "http://proxy:3128"}
    after = member_environ(Path("/c"), before)
    assert after == {"PATH": "/bin", "HOME": "/c/run", "KUBECONFIG": "/c/kubeconfig", MEMBER_OF: "/c"}


def test_a_name_distinguishes_folders_and_is_a_label() -> None:
    names = {
        control_plane.cluster_name(Path(folder))
        for folder in ("/a/.cluster", "/b/.cluster", "/b/Very Long & Odd Name of It")
    }
    assert len(names) == 3
    assert all(len(name) < 40 and name.replace("-", "").isalnum() and name == name.lower() for name in names)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 100, 256])
def test_nodes_have_networks_of_their_own_within_the_slots(nodes: int) -> None:
    networks = [ipaddress.IPv4Network(text) for text in control_plane.pod_networks(77, nodes)]
    assert len(networks) == nodes
    assert all(network.subnet_of(ipaddress.IPv4Network("127.77.0.0/16")) for network in networks)
    assert all(network.num_addresses >= 256 for network in networks)
    in_order = sorted(networks)
    assert not any(one.overlaps(next_one) for one, next_one in itertools.pairwise(in_order))


def test_the_ports_of_two_slots_never_meet_and_lie_below_the_ephemeral_ones() -> None:
    taken = [port for slot in range(FIRST_SLOT, LAST_SLOT + 1) for port in ports(slot)]
    assert len(taken) == len(set(taken))
    assert 1024 < min(taken) < max(taken) < 32768


def test_the_configuration_binds_everything_to_this_machine_and_its_own_ports() -> None:
    documents = list(yaml.safe_load_all(control_plane.kwok_config("wf-x", ports(64))))
    (kwokctl,) = [document for document in documents if document["kind"] == "KwokctlConfiguration"]
    options = kwokctl["options"]
    assert options.pop("bindAddress") == "127.0.0.1"
    assert len(options) == 6
    assert set(options.values()) <= set(ports(64))
    assert len(set(options.values())) == 6


def test_the_api_servers_certificate_is_valid_for_further_addresses() -> None:
    documents = yaml.safe_load_all(control_plane.kwok_config("wf-x", ports(64), "", ["198.18.64.193"]))
    (kwokctl,) = [document for document in documents if document["kind"] == "KwokctlConfiguration"]
    assert kwokctl["options"]["kubeApiserverCertSANs"] == ["198.18.64.193"]


def test_further_stages_are_added_to_the_configuration() -> None:
    more = "kind: Stage\nmetadata: {name: mine}\n"
    documents = list(yaml.safe_load_all(control_plane.kwok_config("wf-x", ports(64), more)))
    assert documents[-1]["metadata"]["name"] == "mine"
    assert len(documents) == 3 + len(pod_stages()) + len(node_stages())


def test_stages_have_names_of_their_own_and_say_what_comes_next() -> None:
    stages = [*pod_stages(), *node_stages()]
    assert len({stage["metadata"]["name"] for stage in stages}) == len(stages)
    assert all(stage["spec"]["next"].keys() in ({"statusTemplate"}, {"delete"}) for stage in stages)


def test_a_pod_that_is_being_deleted_fits_no_stage_of_the_living() -> None:
    for stage in pod_stages():
        first = stage["spec"]["selector"]["matchExpressions"][0]
        dies = stage["metadata"]["name"] in {"pod-killed", "pod-deleted"}
        assert first == {"key": ".metadata.deletionTimestamp", "operator": "Exists" if dies else "DoesNotExist"}


def test_the_refusal_of_a_pod_names_every_annotation_and_what_it_takes() -> None:
    (refusal,) = [stage for stage in pod_stages() if stage["metadata"]["name"] == "pod-refused"]
    template = refusal["spec"]["next"]["statusTemplate"]
    assert all(annotation.name in template and annotation.expected in template for annotation in ANNOTATIONS)


def test_the_components_are_read_from_what_kwokctl_saved() -> None:
    saved = yaml.safe_dump_all(
        [
            {"kind": "KwokConfiguration"},
            {
                "kind": "KwokctlConfiguration",
                "components": [{"name": "etcd", "binary": "/b/etcd", "args": ["--x"]}, {"name": "k", "binary": "/k"}],
            },
        ]
    )
    assert control_plane.components_of(saved) == {"etcd": ["/b/etcd", "--x"], "k": ["/k"]}
    assert control_plane.components_of("") == {}
