"""The files in a cluster's folder, and the record that `down` and `status` read.

<folder>/kubeconfig   an administrator's
<folder>/logs/        one log per component, audit.log
<folder>/state.json   the record
<folder>/run/         everything internal; removed by `down`
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hack.cluster.errors import ClusterError


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


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Holds the lock file `path`; waits for it, unless `busy` is the error to raise when it is held."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise ClusterError(busy) from None
        yield
