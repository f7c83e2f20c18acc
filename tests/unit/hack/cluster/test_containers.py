"""The real node's settings, its image, and the reason why it can't run somewhere."""

from __future__ import annotations

import io
import ipaddress
import json
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from hack.cluster.containers import images, node, packages, settings
from hack.cluster.containers.settings import NodePlan
from hack.cluster.slots import FIRST_SLOT, LAST_SLOT

PLAN = NodePlan(Path("/c/run/node"), 64, Path("/bin/kubelet"), Path("/c/kubeconfig"), 1234)


@pytest.mark.parametrize(
    ("uid", "lacking", "expected"),
    [
        pytest.param(1000, [], "needs root", id="not root"),
        pytest.param(1000, ["crun"], "needs root", id="not root comes first"),
        pytest.param(
            0, ["containerd", "crun"], "install --yes --no-install-recommends containerd crun", id="packages missing"
        ),
    ],
)
def test_why_real_containers_cannot_run(uid: int, lacking: list[str], expected: str) -> None:
    assert expected in packages.why_not(uid, lacking)


def test_root_with_every_package_can_run_them() -> None:
    assert packages.why_not(0, []) == ""


def test_missing_packages_are_named_together() -> None:
    assert packages.missing(lambda _: False) == list(packages.NEEDED)


def test_containerd_keeps_its_state_in_the_clusters_folder_and_runs_crun() -> None:
    config = tomllib.loads(settings.containerd_config(PLAN))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["root"] == "/c/run/node/containerd"
    assert cri["cni"]["conf_dir"] == "/c/run/node/cni"
    assert cri["sandbox_image"] == settings.PAUSE_IMAGE
    assert cri["containerd"]["default_runtime_name"] in cri["containerd"]["runtimes"]


def test_the_pods_network_reaches_the_host_and_nothing_else() -> None:
    (bridge,) = json.loads(settings.cni_config(PLAN))["plugins"]
    assert (bridge["isGateway"], bridge["ipMasq"]) == (True, False)
    assert bridge["ipam"]["ranges"] == [
        [{"subnet": "198.18.64.0/24", "rangeEnd": "198.18.64.190", "gateway": "198.18.64.1"}]
    ]


def test_the_addresses_of_services_lie_in_the_pods_network_above_the_pods() -> None:
    services = ipaddress.IPv4Network(settings.services(64))
    assert services.subnet_of(ipaddress.IPv4Network(PLAN.subnet))
    assert ipaddress.IPv4Address(PLAN.last_pod) < services.network_address
    assert str(next(services.hosts())) == settings.kubernetes_service(64)


def test_a_folder_that_another_cluster_has_mounted_over_is_known(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "mountinfo").write_text("36 35 98:0 / /run/containerd rw,noatime - tmpfs tmpfs rw\n")
    (tmp_path / "2").mkdir()
    (tmp_path / "uptime").write_text("not a process")
    assert node.is_mount_point("/run/containerd", tmp_path)
    assert not node.is_mount_point("/run/netns", tmp_path)


@pytest.mark.parametrize("slot", [FIRST_SLOT, LAST_SLOT])
def test_a_bridges_name_fits_into_fifteen_characters(slot: int) -> None:
    assert len(NodePlan(Path(), slot, Path(), Path(), 0).bridge) <= 15


def test_the_kubelet_listens_on_the_bridge_and_leaves_the_machine_as_it_is() -> None:
    config = yaml.safe_load(settings.kubelet_config(PLAN))
    assert (config["address"], config["port"], config["readOnlyPort"]) == ("198.18.64.1", 1234, 0)
    assert (config["enforceNodeAllocatable"], config["makeIPTablesUtilChains"]) == ([], False)
    assert config["podLogsDir"].startswith("/c/run/node/")


def test_the_image_is_one_layer_whose_commands_can_be_run(tmp_path: Path) -> None:
    target = tmp_path / "images.tar"
    images.write_archive(target, b"program", ["echo", "busybox"], {"a:1": ["sh"], "b:1": ["/bin/sleep", "9"]})
    with tarfile.open(target) as archive:

        def read(name: str) -> bytes:
            member = archive.extractfile(name)
            assert member is not None
            return member.read()

        first, second = json.loads(read("manifest.json"))
        assert (first["RepoTags"], second["RepoTags"], first["Layers"]) == (["a:1"], ["b:1"], second["Layers"])
        assert json.loads(read(second["Config"]))["config"]["Cmd"] == ["/bin/sleep", "9"]
        with tarfile.open(fileobj=io.BytesIO(read(first["Layers"][0]))) as layer:
            modes = {member.name: (member.mode, member.linkname) for member in layer if member.name.startswith("bin/")}
    # A hard link carries a mode of its own, which becomes that of the program.
    assert modes == {"bin/busybox": (0o755, ""), "bin/echo": (0o755, "bin/busybox"), "bin/sh": (0o755, "bin/busybox")}


def test_the_same_program_makes_the_same_image(tmp_path: Path) -> None:
    for name in ("one", "two"):
        images.write_archive(tmp_path / name, b"program", ["b", "a"], {"a:1": ["sh"]})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
