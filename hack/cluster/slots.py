"""Keeps the clusters of one machine apart: each has a slot, that is, a block of ports and of pod addresses."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.processes import is_alive, members

FIRST_SLOT, LAST_SLOT = 64, 250
"""A slot is the second octet of its pod addresses: 127.<slot>.0.0/16 simulated, 198.18.<slot>.0/24 real."""

_FIRST_PORT = 22000
_PORTS_EACH = 10


def ports(slot: int) -> range:
    """The ports of 127.0.0.1 that belong to `slot`; below those that Linux gives out by itself."""
    first = _FIRST_PORT + (slot - FIRST_SLOT) * _PORTS_EACH
    return range(first, first + _PORTS_EACH)


def registry() -> Path:
    """This user's folder on this machine that records which cluster has which slot."""
    folder = Path(tempfile.gettempdir()) / f"workflow-cluster-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ClusterError(f"{folder} belongs to another user: remove it or set TMPDIR")
    return folder


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: closed connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def take_slot(folder: Path, is_free: Callable[[int], bool] = is_free) -> int:
    """Claims a slot that no living cluster has and whose ports are free. Call it under a lock on the registry."""
    known = registry()
    busy = 0
    for slot in range(FIRST_SLOT, LAST_SLOT + 1):
        claim = known / f"slot-{slot}"
        if _is_held(claim, folder):
            continue
        if not all(is_free(port) for port in ports(slot)):
            busy += 1
            continue
        claim.write_text(f"{folder}\n{os.getpid()}\n")
        return slot
    total = LAST_SLOT - FIRST_SLOT + 1
    raise ClusterError(
        f"no place for another cluster: of {total} blocks of ports between {ports(FIRST_SLOT)[0]} and "
        f"{ports(LAST_SLOT)[-1]} {busy} have a port in use by other programs, the rest belong to clusters that are up; "
        "end one of them"
    )


def release_slot(folder: Path, slot: int) -> None:
    """Gives back the slot, if it is still this cluster's."""
    claim = registry() / f"slot-{slot}"
    if claim.exists() and claim.read_text().splitlines()[:1] == [str(folder)]:
        claim.unlink(missing_ok=True)


def _is_held(claim: Path, folder: Path) -> bool:
    """Whether `claim` is that of another cluster which is up or just starting."""
    try:
        owner, *starter = claim.read_text().splitlines()
    except (FileNotFoundError, ValueError):
        return False
    if owner == str(folder):
        return False
    return bool(starter and is_alive(int(starter[0]))) or bool(members(Path(owner)))
