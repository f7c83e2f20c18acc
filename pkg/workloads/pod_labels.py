"""Labels of pods: the pods of a job, their roles, and the lead pod, for probes and pod addresses.

Pods are looked up in `controllers/workflow/pod_finder.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pkg.apis.meta import Job
from pkg.workloads.model import KindRow

PLACEHOLDER = re.compile(r"\{(?P<what>name|uid|status\.[A-Za-z]+)\}")


def pod_selector(row: KindRow, job: Job) -> dict[str, str] | None:
    """The labels that the kind's operator puts on the pods of this job, for kinds whose pods do not get our own.

    None if the kind has no such labels, or if a field of the status that they need is not set yet.
    """
    if not row.pods.selector:
        return None
    selector = {label: _fill(pattern, job) for label, pattern in row.pods.selector.items()}
    return selector if all(selector.values()) else None


def reaches_pods(row: KindRow) -> bool:
    """Whether labels in the object reach the pods of the kind."""
    return bool(row.pod_templates or row.any_template or row.labels)


def names_its_pods(row: KindRow) -> bool:
    """Whether the kind is known to run pods, and which they are."""
    return bool(row.pod_templates or row.labels or row.pods.selector)


def watch_selector(row: KindRow) -> str:
    """The label selector of the pods of all jobs of the kind; empty if the kind has none."""
    pods = row.pods.selector.items()
    return ",".join(label if PLACEHOLDER.fullmatch(value) else f"{label}={value}" for label, value in pods)


def _fill(pattern: str, job: Job) -> str:
    """The pattern with its placeholder replaced; empty while the job has no value for it."""
    match = PLACEHOLDER.fullmatch(pattern)
    return pattern if match is None else _value(match["what"], job)


def _value(what: str, job: Job) -> str:
    match what:
        case "name":
            return job.metadata.name
        case "uid":
            return job.metadata.uid
        case _:
            value = job.status.get(what.removeprefix("status."))
            return value if isinstance(value, str) else ""


def role_of(row: KindRow, labels: Mapping[str, str]) -> str:
    """The pod's role by its label, in lower case; empty if the kind has no roles."""
    return labels.get(row.pods.role, "").lower() if row.pods.role else ""


def has_role(row: KindRow, labels: Mapping[str, str], role: str) -> bool:
    """Whether the pod has this role; case is ignored."""
    return role_of(row, labels) == role.lower()


def lead_rank(row: KindRow, labels: Mapping[str, str]) -> tuple[int, tuple[int, ...]]:
    """A sort key that puts the lead pod first: by role (master, launcher, head, driver ...), then by index.

    A pod without a known role or index comes after those that have one.
    """
    pods = row.pods
    is_marked = bool(pods.lead_labels) and all(labels.get(key) == value for key, value in pods.lead_labels.items())
    role = role_of(row, labels)
    rank = -1 if is_marked else pods.lead.index(role) if role in pods.lead else len(pods.lead)
    return rank, tuple(_index(labels.get(label, "")) for label in pods.index)


def _index(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 10**9
