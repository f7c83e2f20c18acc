"""What a cluster's folder says about it: the files in it, and the record that `down` and `status` read.

<folder>/kubeconfig   an administrator's
<folder>/logs/        one log per component, audit.log
<folder>/state.json   the record
<folder>/run/         everything internal; removed by `down`
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hack.cluster.control_plane import FIRST_SLOT, LAST_SLOT
from hack.cluster.errors import ClusterError
from hack.cluster.processes import members


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a cluster. `components` maps a name to the command line that runs it."""

    name: str
    runtime: str
    slot: int
    binaries: str
    server: str = ""
    components: dict[str, list[str]] = {}


def read_state(folder: Path) -> State | None:
    """The record in `folder`; None if there is none that can be read."""
    try:
        return msgspec.json.decode((folder / "state.json").read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def write_state(folder: Path, state: State) -> None:
    """Replaces the record in one step."""
    temporary = folder / "run" / "state.json.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    temporary.rename(folder / "state.json")


def registry() -> Path:
    """This user's folder on this machine that tells which cluster has which slot."""
    folder = Path(tempfile.gettempdir()) / f"workflow-cluster-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ClusterError(f"{folder} belongs to another user: remove it or set TMPDIR")
    return folder


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Holds the lock file `path`; waits for it, unless `busy` is the error to raise when it is held."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise ClusterError(busy) from None
        yield


def take_slot(folder: Path) -> int:
    """Claims a slot no living cluster of this user has. Call it under the registry's lock."""
    taken = registry()
    for slot in range(FIRST_SLOT, LAST_SLOT + 1):
        claim = taken / f"slot-{slot}"
        owner = Path(claim.read_text()) if claim.exists() else None
        if owner is None or owner == folder or not members(owner):
            claim.write_text(str(folder))
            return slot
    raise ClusterError(f"{LAST_SLOT - FIRST_SLOT + 1} clusters are running on this machine: end one of them first")


def release_slot(folder: Path, slot: int) -> None:
    """Gives back the slot, if it is still this cluster's."""
    claim = registry() / f"slot-{slot}"
    if claim.exists() and claim.read_text() == str(folder):
        claim.unlink(missing_ok=True)
