"""Which pods may be asked: those of the attempt's own job that run and have an address, the lead first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import PodChoice
from pkg.apis.meta import GVR, Job, OwnerReference
from pkg.controllers.engine.deltas import Added, Deleted
from pkg.controllers.engine.store import Indexers, Store
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.pod_finder import ChangedPods, OnPods, Pod, PodFinder, belongs_to
from tests.builders import UID, WORKFLOW, task

OTHER = WorkflowId("team", "other", "u-other")
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
    meta["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": "w-a", "uid": "j", "controller": True}]
    if going:
        meta["deletionTimestamp"] = "2027-01-15T08:00:00Z"
    return msgspec.convert({"metadata": meta, "status": {"phase": phase, "podIP": address}}, Pod, strict=False)


def at_version(version: int, one: Pod) -> Pod:
    meta = msgspec.structs.replace(one.metadata, resource_version=str(version))
    return msgspec.structs.replace(one, metadata=meta)


JOB = msgspec.convert({"metadata": {"name": "w-a", "namespace": "team", "uid": "j"}}, Job)


class Informers:
    """As InformerSet: a store that the test fills; `asked` tells whether a watch was started."""

    def __init__(self, selector: str, indexers: Indexers[Pod], on_pods: OnPods) -> None:
        self.selector = selector
        self.store: Store[Pod] = Store(indexers)
        self.asked = False
        self.on_pods = on_pods

    def ensure(self, _gvr: GVR) -> Store[Pod]:
        self.asked = True
        return self.store

    def tell(self, one: Pod, event: type[Added[Pod]] | type[Deleted[Pod]] = Added) -> None:
        delta = self.store.apply(event(one))
        assert delta is not None
        self.on_pods(GVR("", "v1", "pods"), [delta])


class World:
    """A finder over watches that the test feeds."""

    def __init__(self, *pods: Pod, job: Job | None = JOB) -> None:
        self.made: list[Informers] = []
        self.woken: list[ChangedPods] = []
        self.job = job
        self.finder = PodFinder(
            self._make, lambda workflow, *_task: self.job if workflow == WORKFLOW else None, self.woken.append
        )
        self.made[0].store.replace(pods, 1)

    def _make(self, selector: str, indexers: Indexers[Pod], on_pods: OnPods) -> Any:
        self.made.append(Informers(selector, indexers, on_pods))
        return self.made[-1]

    def lead(self, gvr: str, workflow: WorkflowId = WORKFLOW) -> str:
        return self.finder.lead_address(workflow, task("a"), 0, gvr)

    def ask(self, gvr: str, role: str, choice: PodChoice) -> tuple[str, ...]:
        return self.finder.addresses(WORKFLOW, task("a"), 0, gvr, role=role, choice=choice)


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
    assert World(SECOND, FIRST, MASTER).ask(PYTORCH, role, choice) == expected


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
    assert World(other).lead("jobs.v1.batch") == ""


def test_a_pod_of_another_workflow_is_not_asked() -> None:
    assert World(MASTER).lead(PYTORCH, OTHER) == ""


def test_a_lead_without_an_address_is_followed_by_the_next() -> None:
    waiting = pod("m", "", replica_type="master", replica_index="0")
    assert World(waiting, SECOND).lead(PYTORCH) == "127.0.0.3"


def test_a_pod_in_another_namespace_never_counts_whatever_its_labels_say() -> None:
    assert World(MASTER).lead(PYTORCH, WORKFLOW._replace(namespace="elsewhere")) == ""


def test_the_lead_is_found_again_after_each_change_of_its_pod() -> None:
    world = World()
    pods = world.made[0]
    assert world.lead("jobs.v1.batch") == ""
    pods.tell(at_version(2, pod("p", "127.0.0.1")))
    assert world.lead("jobs.v1.batch") == "127.0.0.1"
    pods.tell(at_version(3, pod("p", "127.0.0.2")))
    assert world.lead("jobs.v1.batch") == "127.0.0.2"
    pods.tell(at_version(4, pod("p", "127.0.0.2")), Deleted)
    assert world.lead("jobs.v1.batch") == ""


def test_the_lead_of_one_attempt_is_not_that_of_the_next() -> None:
    world = World(pod("p", "127.0.0.1"), pod("q", "127.0.0.2", attempt="1"))
    leads = [world.finder.lead_address(WORKFLOW, task("a"), attempt, "jobs.v1.batch") for attempt in (0, 1, 2, 0)]
    assert leads == ["127.0.0.1", "127.0.0.2", "", "127.0.0.1"]


def test_what_is_found_while_pods_change_is_not_kept() -> None:
    """The pod goes between the look and the note of what it found."""
    world = World(pod("p", "127.0.0.1"))
    pods, found = world.made[0], world.made[0].store.by_index

    def go_meanwhile(name: str, value: str) -> tuple[Pod, ...]:
        pods.store.by_index = found  # type: ignore[method-assign]
        before = found(name, value)
        pods.tell(at_version(2, pod("p", "127.0.0.1")), Deleted)
        return before

    pods.store.by_index = go_meanwhile  # type: ignore[method-assign]
    assert world.lead("jobs.v1.batch") == "127.0.0.1"
    assert world.lead("jobs.v1.batch") == ""


def test_a_change_of_pods_names_the_tasks_they_are_of() -> None:
    world = World()
    world.made[0].tell(pod("o", ""))
    assert world.woken == [], "nobody has asked yet"
    world.lead("jobs.v1.batch")
    for number, one in enumerate((pod("p", ""), pod("q", "", index="7"), pod("r", "", index="x")), 2):
        world.made[0].tell(at_version(number, one))
    assert world.woken == [{WORKFLOW: [task("a")]}, {WORKFLOW: [task("a/7")]}], "an index that is no number is nobody's"


TRAIN = "trainjobs.v1alpha1.trainer.kubeflow.org"
TRAINED = msgspec.convert(
    {"metadata": {"name": "w-a", "namespace": "team", "uid": "j", "creationTimestamp": "2027-01-15T08:00:00Z"}}, Job
)


def marked(name: str, address: str, group: str, **meta: Any) -> Pod:
    """A pod of the JobSet that a TrainJob's operator makes: it bears no label of ours."""
    tags = {"jobset.sigs.k8s.io/jobset-name": meta.pop("jobset", "w-a")}
    tags |= {"jobset.sigs.k8s.io/replicatedjob-name": group, "batch.kubernetes.io/job-completion-index": name[-1]}
    made = {"name": name, "namespace": "team", "uid": name, "labels": tags, "resourceVersion": "1"}
    made |= {"creationTimestamp": "2027-01-15T08:00:01Z", **meta}
    return msgspec.convert({"metadata": made, "status": {"phase": "Running", "podIP": address}}, Pod, strict=False)


NODES = (marked("w-a-node-1", "127.0.0.3", "node"), marked("w-a-node-0", "127.0.0.2", "node"))
PREPARER = marked("w-a-dataset-initializer-0", "127.0.0.1", "dataset-initializer")
TRAINING: dict[str, tuple[str, PodChoice, tuple[str, ...]]] = {
    "the first node leads, not what prepares its data": ("", PodChoice.LEAD, ("127.0.0.2",)),
    "all of a role, by their index": ("node", PodChoice.ALL, ("127.0.0.2", "127.0.0.3")),
    "another role": ("dataset-initializer", PodChoice.LEAD, ("127.0.0.1",)),
}


def training(*pods: Pod, job: Job | None = TRAINED) -> World:
    """A world that was asked for the TrainJob's pods once, and told of these then."""
    world = World(job=job)
    assert world.lead(TRAIN) == ""
    for one in pods:
        world.made[1].tell(one)
    return world


@pytest.mark.parametrize(("role", "choice", "expected"), TRAINING.values(), ids=TRAINING)
def test_pods_that_no_label_of_ours_reaches_are_found_by_those_of_their_kind(
    role: str, choice: PodChoice, expected: tuple[str, ...]
) -> None:
    assert training(PREPARER, *NODES).ask(TRAIN, role, choice) == expected


MARKED_ELSEWHERE: dict[str, Pod] = {
    "of another job": marked("w-b-node-0", "127.0.0.9", "node", jobset="w-b"),
    "of another namespace": marked("w-a-node-0", "127.0.0.9", "node", namespace="elsewhere"),
    "of an earlier job of the name": marked(
        "w-a-node-0", "127.0.0.9", "node", creationTimestamp="2027-01-15T07:59:59Z"
    ),
    "that is being deleted": marked("w-a-node-0", "127.0.0.9", "node", deletionTimestamp="2027-01-15T08:00:09Z"),
}


@pytest.mark.parametrize("other", MARKED_ELSEWHERE.values(), ids=MARKED_ELSEWHERE)
def test_a_marked_pod_is_not_asked(other: Pod) -> None:
    assert training(other).lead(TRAIN) == ""


def test_pods_of_a_kind_are_watched_once_somebody_asks_for_such_a_job_and_by_its_labels() -> None:
    world = World(MASTER)
    assert world.lead(PYTORCH) == "127.0.0.1"
    world.job = None
    assert [made.selector for made in world.made] == ["flow.workflow.sh/probed=true"]
    world.lead(TRAIN)
    assert len(world.made) == 1, "there is no job yet"
    world.job = TRAINED
    world.lead(TRAIN)
    world.lead(TRAIN)
    assert [(made.selector, made.asked) for made in world.made[1:]] == [("jobset.sigs.k8s.io/jobset-name", True)]


def test_a_workflow_that_waits_for_marked_pods_is_woken_until_it_is_forgotten() -> None:
    world = training(*NODES)
    assert world.woken == [{WORKFLOW: [task("a")]}] * 2
    world.made[1].tell(marked("w-b-node-0", "127.0.0.9", "node", jobset="w-b"))
    world.finder.forget(WORKFLOW)
    world.made[1].tell(PREPARER)
    assert world.woken == [{WORKFLOW: [task("a")]}] * 2


OURS = {f"flow.workflow.sh/{key}": value for key, value in (("workflow-uid", UID), ("flow", "a"), ("attempt", "0"))}
SELECTORS: dict[str, tuple[str, dict[str, str], str]] = {
    "our labels where they reach": (
        "jobs.v1.batch",
        OURS,
        f"flow.workflow.sh/workflow-uid={UID},flow.workflow.sh/flow=a,flow.workflow.sh/attempt=0",
    ),
    "with the index of a replica": (
        PYTORCH,
        {**OURS, "flow.workflow.sh/index": "3"},
        f"flow.workflow.sh/workflow-uid={UID},flow.workflow.sh/flow=a,flow.workflow.sh/index=3,"
        "flow.workflow.sh/attempt=0",
    ),
    "those of its kind elsewhere": (TRAIN, OURS, "jobset.sigs.k8s.io/jobset-name=w-a"),
    "none of a kind that tells none": ("jobflows.v1alpha1.flow.volcano.sh", OURS, ""),
    "none of a job that is a pod itself": ("pods.v1", OURS, ""),
}


@pytest.mark.parametrize(("gvr", "tags", "expected"), SELECTORS.values(), ids=SELECTORS)
def test_the_pods_of_an_attempt_are_selected_by(gvr: str, tags: dict[str, str], expected: str) -> None:
    job = msgspec.structs.replace(TRAINED, metadata=msgspec.structs.replace(TRAINED.metadata, labels=tags))
    assert World(job=job).finder.selector(WORKFLOW, task("a"), 0, gvr) == expected
    assert World(job=job).finder.selector(OTHER, task("a"), 0, gvr) == ""


def owned(name: str = "p", **owner: Any) -> Pod:
    """A pod of flow `a` with this controller owner, none by default."""
    made = pod(name, "127.0.0.1")
    owners = (OwnerReference(controller=True, **owner),) if owner else ()
    return msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, owner_references=owners))


BATCH, TORCH, DEPLOYMENT = "jobs.v1.batch", PYTORCH, "deployments.v1.apps"
OWNERS: dict[str, tuple[str, Pod, bool]] = {
    "of the job itself": (BATCH, owned(api_version="batch/v1", kind="Job", uid="j"), True),
    "of another Job": (BATCH, owned(api_version="batch/v1", kind="Job", uid="x"), False),
    "of something else, though Jobs own their pods": (BATCH, owned(api_version="apps/v1", kind="X", uid="x"), False),
    "of nobody, though Jobs own their pods": (BATCH, owned(), False),
    "of another job of its kind": (TORCH, owned(api_version="kubeflow.org/v1", kind="PyTorchJob", uid="x"), False),
    "of nobody, where the kind may leave it out": (TORCH, owned(), True),
    "of a ReplicaSet in between": (DEPLOYMENT, owned(api_version="apps/v1", kind="ReplicaSet", uid="x"), True),
    "that is the job": ("pods.v1", owned("j"), True),
    "that is not the job": ("pods.v1", owned("p"), False),
}


@pytest.mark.parametrize(("gvr", "one", "expected"), OWNERS.values(), ids=OWNERS)
def test_a_pod_is_one_of_the_jobs_by_its_owner(gvr: str, one: Pod, expected: bool) -> None:
    job = msgspec.structs.replace(JOB, kind="PyTorchJob" if gvr == TORCH else "")
    assert belongs_to(one, job, GVR.parse(gvr)) is expected


def test_a_pod_in_another_namespace_is_none_of_the_jobs() -> None:
    job = msgspec.structs.replace(JOB, metadata=msgspec.structs.replace(JOB.metadata, namespace="elsewhere"))
    assert not belongs_to(owned(api_version="batch/v1", kind="Job", uid="j"), job, GVR.parse(BATCH))


def test_pods_that_only_pretend_wake_no_workflow_and_are_not_asked() -> None:
    world = World(pod("p", "127.0.0.1"))
    assert world.lead(BATCH) == "127.0.0.1"
    forged = pod("f", "127.0.0.9")
    elsewhere = msgspec.structs.replace(forged, metadata=msgspec.structs.replace(forged.metadata, namespace="evil"))
    world.made[0].tell(at_version(2, elsewhere))
    assert (world.woken, world.lead(BATCH)) == ([], "127.0.0.1")
