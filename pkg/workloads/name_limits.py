"""Limits of a job's name: a kind that builds names of pods and services from it allows less than 63 characters.

The planner makes the names themselves, in `planner/render/job_names.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pkg.workloads.functions import count, text
from pkg.workloads.model import KindRow

MIN_LENGTH = 16  # a shortened name needs room for its hash; a kind that allows less refuses the object itself


class NameRule(msgspec.Struct, frozen=True):
    """The longest name allowed, in characters. `label`: without dots. `dns1035`: without dots, and a letter first."""

    max_length: int = 63
    dns1035: bool = False
    label: bool = False


def limit(row: KindRow, body: dict[str, Any]) -> NameRule:
    """The limits of the name of one object (`{metadata, spec}`); what the kind appends depends on the spec."""
    column = row.name
    length = column.max
    dns1035, label = column.dns1035, column.label
    if column.suffix:
        spec = body.get("spec")
        spec = spec if isinstance(spec, dict) else {}
        length -= SUFFIXES[column.suffix](spec)
        dns1035 = dns1035 or (column.suffix == "volcanoTasks" and "svc" in _map(spec.get("plugins")))
        label = label or (column.suffix == "indexedJob" and _is_indexed(spec))
    return NameRule(max(length, MIN_LENGTH), dns1035, label)


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _last(number: int) -> str:
    """The highest index of that many items, as text."""
    return str(max(number - 1, 0))


def _is_indexed(spec: dict[str, Any]) -> bool:
    return spec.get("completionMode") == "Indexed"


def _indexed_job(spec: dict[str, Any]) -> int:
    """An Indexed Job appends `-<index>` in host names."""
    if not _is_indexed(spec):
        return 0
    return 1 + len(_last(count(spec.get("completions"), 1)))


def _volcano_tasks(spec: dict[str, Any]) -> int:
    """Pods are `<job>-<task>-<index>`; a task without a name is called default<n>."""
    return max(
        (
            2 + len(text(task.get("name")) or f"default{number}") + len(_last(count(task.get("replicas"), 1)))
            for number, task in enumerate(_maps(spec.get("tasks")))
        ),
        default=0,
    )


def _replica_specs(spec: dict[str, Any]) -> int:
    """Services and pods are `<job>-<type>-<index>`, the type in lower case."""
    return max(
        (
            2 + len(kind) + len(_last(count(_map(replica).get("replicas"), 1)))
            for field, replicas in spec.items()
            if field.endswith("ReplicaSpecs")
            for kind, replica in _map(replicas).items()
        ),
        default=0,
    )


def _replicated_jobs(spec: dict[str, Any]) -> int:
    """Pods are `<jobset>-<group>-<job>-<pod>-<5 random characters>`."""
    longest = 0
    for group in _maps(spec.get("replicatedJobs")):
        job = _map(_map(group.get("template")).get("spec"))
        pods = max(count(job.get("completions"), 1), count(job.get("parallelism"), 1))
        indexes = len(_last(count(group.get("replicas"), 1))) + len(_last(pods))
        longest = max(longest, 3 + len(text(group.get("name"))) + indexes + len("-abcde"))
    return longest


def _job_flow(spec: dict[str, Any]) -> int:
    """Volcano Jobs are `<jobflow>-<flow>`, their pods add `-<task>-<index>`, whose length is a guess."""
    room = len("-default0-0")
    return max((1 + len(text(flow.get("name"))) + room for flow in _maps(spec.get("flows"))), default=0)


SUFFIXES: dict[str, Callable[[dict[str, Any]], int]] = {
    "indexedJob": _indexed_job,
    "volcanoTasks": _volcano_tasks,
    "replicaSpecs": _replica_specs,
    "replicatedJobs": _replicated_jobs,
    "jobFlow": _job_flow,
}
