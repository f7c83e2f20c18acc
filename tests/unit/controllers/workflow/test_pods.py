"""Which pods may be asked: those of the attempt's own job that run and have an address, the lead first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import PodChoice
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.pods import INDEXERS, Pod, addresses, lead_address
from tests.builders import UID, task

PYTORCH = "pytorchjobs.v1.kubeflow.org"


def pod(name: str, address: str, *, phase: str = "Running", going: bool = False, **labels: str) -> Pod:
    """A pod of flow `a`, attempt 0; labels of ours by their last word, those of its kind in full."""
    ours = {"workflow-uid": UID, "flow": "a", "attempt": "0"}
    ours |= {key.replace("_", "-"): value for key, value in labels.items() if key in ("flow", "index", "attempt")}
    tags = {f"flow.workflow.sh/{key}": value for key, value in ours.items()}
    tags |= {
        f"training.kubeflow.org/{key.replace('_', '-')}": value for key, value in labels.items() if "replica" in key
    }
    meta: dict[str, Any] = {"name": name, "namespace": "team", "uid": name, "labels": tags, "resourceVersion": "1"}
    if going:
        meta["deletionTimestamp"] = "2027-01-15T08:00:00Z"
    return msgspec.convert({"metadata": meta, "status": {"phase": phase, "podIP": address}}, Pod, strict=False)


def store(*pods: Pod) -> Store[Pod]:
    made: Store[Pod] = Store(INDEXERS)
    made.replace(pods, 1)
    return made


MASTER = pod("m", "127.0.0.1", replica_type="master", replica_index="0")
FIRST = pod("w0", "127.0.0.2", replica_type="worker", replica_index="0")
SECOND = pod("w1", "127.0.0.3", replica_type="worker", replica_index="1")
CHOICES: dict[str, tuple[str, PodChoice, tuple[str, ...]]] = {
    "the lead is the master": ("", PodChoice.LEAD, ("127.0.0.1",)),
    "the first of a role": ("worker", PodChoice.LEAD, ("127.0.0.2",)),
    "all of a role": ("worker", PodChoice.ALL, ("127.0.0.2", "127.0.0.3")),
    "all, the lead first": ("", PodChoice.ALL, ("127.0.0.1", "127.0.0.2", "127.0.0.3")),
    "any is chosen among all": ("", PodChoice.ANY, ("127.0.0.1", "127.0.0.2", "127.0.0.3")),
    "a role that nobody has": ("launcher", PodChoice.ALL, ()),
}


@pytest.mark.parametrize(("role", "choice", "expected"), CHOICES.values(), ids=CHOICES)
def test_whom_to_ask(role: str, choice: PodChoice, expected: tuple[str, ...]) -> None:
    found = addresses(store(SECOND, FIRST, MASTER), "team", UID, task("a"), 0, PYTORCH, role=role, pods=choice)
    assert found == expected


OTHERS: dict[str, Pod] = {
    "of another flow": pod("x", "127.0.0.9", flow="b"),
    "of another index": pod("x", "127.0.0.9", index="1"),
    "of another attempt": pod("x", "127.0.0.9", attempt="1"),
    "that is pending": pod("x", "127.0.0.9", phase="Pending"),
    "that has ended": pod("x", "127.0.0.9", phase="Succeeded"),
    "without an address": pod("x", ""),
    "that is being deleted": pod("x", "127.0.0.9", going=True),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_pod_is_not_asked(other: Pod) -> None:
    assert lead_address(store(other), "team", UID, task("a"), 0, "jobs.v1.batch") == ""


def test_a_pod_of_another_workflow_is_not_asked() -> None:
    assert lead_address(store(MASTER), "team", "other", task("a"), 0, PYTORCH) == ""


def test_a_lead_without_an_address_is_followed_by_the_next() -> None:
    waiting = pod("m", "", replica_type="master", replica_index="0")
    assert lead_address(store(waiting, SECOND), "team", UID, task("a"), 0, PYTORCH) == "127.0.0.3"


def test_a_pod_of_another_namespace_is_nobodys_whatever_its_labels_say() -> None:
    assert lead_address(store(MASTER), "elsewhere", UID, task("a"), 0, PYTORCH) == ""
