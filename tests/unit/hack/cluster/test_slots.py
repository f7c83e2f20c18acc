"""Clusters on one machine stay apart."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from hack.cluster import slots
from hack.cluster.errors import ClusterError


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of its own, so that clusters of this machine are not seen."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return slots.registry()


def _take(folder: Path) -> int:
    return slots.take_slot(folder, lambda _: True)


def test_a_cluster_that_is_starting_holds_its_slot() -> None:
    first = _take(Path("/one"))
    assert _take(Path("/two")) > first


def test_a_folder_gets_its_own_slot_again() -> None:
    assert _take(Path("/one")) == _take(Path("/one"))


def test_a_slot_that_was_given_back_is_free() -> None:
    first = _take(Path("/one"))
    slots.release_slot(Path("/one"), first)
    assert _take(Path("/two")) == first


def test_only_the_holder_gives_a_slot_back() -> None:
    first = _take(Path("/one"))
    slots.release_slot(Path("/two"), first)
    assert _take(Path("/two")) != first


def test_the_slot_of_a_cluster_that_died_with_its_starter_is_free(registry: Path) -> None:
    (registry / f"slot-{slots.FIRST_SLOT}").write_text("/gone\n999999999\n")
    assert _take(Path("/two")) == slots.FIRST_SLOT


def test_a_slot_with_a_port_that_another_program_uses_is_passed_over() -> None:
    taken = slots.ports(slots.FIRST_SLOT)[3]
    assert slots.take_slot(Path("/one"), lambda port: port != taken) == slots.FIRST_SLOT + 1


def test_with_no_slot_left_the_error_says_why() -> None:
    with pytest.raises(ClusterError, match="187 blocks of ports between 22000 and 23869 187 have a port in use"):
        slots.take_slot(Path("/one"), lambda _: False)


def test_a_port_is_free_until_somebody_listens() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        other.listen()
        assert not slots.is_free(port)
    assert slots.is_free(port)
