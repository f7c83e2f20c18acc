"""promtool, built once from its pinned Go module (three minutes of CPU time)."""

from __future__ import annotations

from pathlib import Path

from hack.cluster.components import Component
from hack.cluster.go_build import GoPrograms

NAME = "promtool"
# Service discovery is most of promtool, and none of it is used here.
FLAGS = ("-mod=readonly", "-tags=remove_all_sd", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
PROMTOOL = GoPrograms(
    what=NAME,
    source=Path(__file__).parent / "go",
    programs=(Component(NAME, "github.com/prometheus/prometheus/cmd/promtool"),),
    flags=FLAGS,
    needed_bytes=3 * 10**9,
    prefix="promtool-",
)


def ensure() -> Path:
    """The program, built now if need be. Raises ClusterError."""
    return PROMTOOL.ensure() / NAME
