"""The reconcile of a CronWorkflow against an API in memory: calls in order, and what follows from each answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.cron_runs import run_name
from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, WORKFLOWS, CronWorkflow, Workflow
from pkg.apis.meta import GVR
from pkg.controllers.cronworkflow.calls import Calls
from pkg.controllers.cronworkflow.reconciler import CronReconciler
from pkg.controllers.cronworkflow.runs import CRON_INDEX, cron_uids
from pkg.controllers.engine.deltas import Added, Delta
from pkg.controllers.engine.result import Again, Done, Drop, Later, Result
from pkg.controllers.engine.store import Store
from pkg.kube.errors import Conflict, Exists, KubeError, Refused, Transient
from tests.unit.controllers.cronworkflow.setups import UID, at, cron

KEY = "team/nightly"
STATUS_IS_DUE = Later(0, "the status has to show the run")


class Api:
    """Workflows and CronWorkflows in memory. errors: raised once by the next call of a verb."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.errors: dict[str, KubeError] = {}
        self.workflows: dict[str, dict[str, Any]] = {}
        self.cron: dict[str, Any] = {}
        self.version = 100

    def _do(self, verb: str, name: str) -> str:
        self.calls.append(f"{verb} {name}")
        if (error := self.errors.pop(verb, None)) is not None:
            raise error
        self.version += 1
        return str(self.version)

    def create(self, _gvr: GVR, namespace: str, body: bytes, kind: Any) -> Any:
        manifest = msgspec.json.decode(body)
        name = manifest["metadata"]["name"]
        version = self._do("create", name)
        if name in self.workflows:
            raise Exists(f"{name} exists")
        meta = {"namespace": namespace, "uid": f"uid-{name}", "resourceVersion": version, "generation": 1}
        self.workflows[name] = {**manifest, "metadata": {**manifest["metadata"], **meta}}
        return self._read(name, kind)

    def get(self, _gvr: GVR, _namespace: str, name: str, kind: Any) -> Any:
        self._do("get", name)
        return self._read(name, kind)

    def _read(self, name: str, kind: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(self.workflows[name]), type=kind)

    def patch(self, gvr: GVR, _namespace: str, name: str, body: bytes, **how: Any) -> Any:
        version = self._do("patch", name if gvr == WORKFLOWS else "status")
        change = msgspec.json.decode(body)
        if gvr == CRONWORKFLOWS:
            self.cron["status"] = {**self.cron.get("status", {}), **change["status"]}
            self.cron["metadata"]["resourceVersion"] = version
            status = {key: value for key, value in self.cron["status"].items() if value is not None}
            return msgspec.json.decode(msgspec.json.encode({**self.cron, "status": status}), type=how["type"])
        self.workflows[name]["spec"].update(change["spec"])
        self.workflows[name]["metadata"]["resourceVersion"] = version
        return self._read(name, how["type"])

    def delete(self, _gvr: GVR, _namespace: str, name: str, *, uid: str, resource_version: str) -> None:
        self._do("delete", name)
        meta = self.workflows[name]["metadata"]
        if (uid, resource_version) != (meta["uid"], meta["resourceVersion"]):
            raise Conflict("the object has been modified")
        del self.workflows[name]


class Bench:
    """A reconciler with its caches, and what it counted, said and set."""

    def __init__(self, of: CronWorkflow, now: str) -> None:
        self.api = Api()
        self.now = float(at(now))
        self.crons: Store[CronWorkflow] = Store()
        self.workflows: Store[Workflow] = Store({CRON_INDEX: cron_uids})
        self.alarm: float | None = None
        self.numbers: list[str] = []
        self.events: list[str] = []
        self.announced: list[Delta[Workflow]] = []
        self.asked: list[list[str]] = []
        self.job_holders: set[str] = set()
        self.leads = True
        self.behind = False
        self.api.cron = msgspec.json.decode(msgspec.json.encode(of))
        self.crons.apply(Added(of))
        self.reconciler = CronReconciler(
            self.crons,
            self.workflows,
            Calls(cast(Any, self.api), lambda _key: self.leads),
            cast(Any, self),
            cast(Any, self),
            cast(Any, self),
            owns=lambda _key: self.leads,
            is_behind=lambda: self.behind,
            has_jobs=self.has_jobs,
            announce=self.announced.append,
            clock=lambda: self.now,
        )

    def has_jobs(self, workflow: Workflow) -> bool:
        """It notes which runs are awaited at the moment of the question."""
        self.asked.append(sorted(self.reconciler.awaited))
        return workflow.metadata.uid in self.job_holders

    def set(self, _key: str, at: float | None) -> None:
        self.alarm = at

    def emit(self, _about: Any, _type: str, reason: str, _message: str) -> None:
        self.events.append(reason)

    def created(self, seconds: float) -> None:
        self.numbers.append(f"created {seconds:.0f} s late")

    def failed(self) -> None:
        self.numbers.append("failed")

    def missed(self, number: int) -> None:
        self.numbers.append(f"missed {number}")

    def reconcile(self) -> Result:
        """As a worker does alone: what is to run again at once, runs again."""
        while (result := self.reconciler.reconcile(KEY)) == STATUS_IS_DUE:
            pass
        return result


NAME = run_name("nightly", at("01:00:00"))


def test_a_run_costs_a_creation_and_a_status_and_sets_the_next_alarm() -> None:
    bench = Bench(cron(), "01:00:02")
    assert bench.reconcile() == Done()
    assert bench.api.calls == [f"create {NAME}", "patch status"]
    assert (bench.alarm, bench.numbers, bench.events) == (at("02:00:00"), ["created 2 s late"], ["RunCreated"])
    assert [delta.key for delta in bench.announced] == [f"team/{NAME}"]
    assert bench.reconcile() == Done()
    assert len(bench.api.calls) == 2


def test_the_status_of_a_run_waits_behind_the_runs_of_others() -> None:
    """Where thousands are due at one moment, all runs are made before the first status is written."""
    bench = Bench(cron(), "01:00:02")
    assert bench.reconciler.reconcile(KEY) == STATUS_IS_DUE
    assert bench.api.calls == [f"create {NAME}"]
    assert bench.reconciler.reconcile(KEY) == Done()
    assert bench.api.calls == [f"create {NAME}", "patch status"]


def test_a_run_names_its_owner_its_time_and_who_is_behind_it() -> None:
    alice = '{"user":"alice"}'
    of = cron(timeZone="Europe/Berlin")
    notes = {"flow.workflow.sh/created-by": alice, "flow.workflow.sh/edited-by": '{"user":"bob"}'}
    of = msgspec.structs.replace(of, metadata=msgspec.structs.replace(of.metadata, annotations=notes))
    bench = Bench(of, "01:00:00")
    bench.reconcile()
    meta = bench.api.workflows[NAME]["metadata"]
    assert meta["ownerReferences"][0]["uid"] == UID
    assert meta["annotations"] == {
        **notes,
        "flow.workflow.sh/made-for": f'[{alice},{{"user":"bob"}}]',
        "flow.workflow.sh/scheduled-time": "2027-03-01T02:00:00+01:00",
    }


def test_a_run_that_another_process_made_is_taken_for_what_it_is() -> None:
    bench, other = Bench(cron(), "01:00:02"), Bench(cron(), "01:00:01")
    other.reconcile()
    bench.api.workflows = other.api.workflows
    assert bench.reconcile() == Done()
    assert bench.api.calls == [f"create {NAME}", f"get {NAME}", "patch status"]
    assert (bench.numbers, bench.events) == ([], [])


def test_the_workflow_of_a_stranger_is_left_alone() -> None:
    bench = Bench(cron(), "01:00:02")
    bench.api.workflows[NAME] = {
        "metadata": {"name": NAME, "namespace": "team", "uid": "x"},
        "spec": {"flows": [{"name": "a"}]},
    }
    assert isinstance(bench.reconcile(), Later)
    assert bench.api.calls == [f"create {NAME}", f"get {NAME}"]
    assert bench.events == ["RunNotCreated"]
    bench.reconcile()
    assert bench.events == ["RunNotCreated"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(Transient("no answer"), Again, id="what may pass is tried again soon"),
        pytest.param(Refused("spec is too large"), Later, id="what is refused for what it is, later"),
    ],
)
def test_a_run_that_cannot_be_made_is_said_once_and_made_afterwards(error: KubeError, expected: type[Result]) -> None:
    bench = Bench(cron(), "01:00:02")
    for _ in range(2):
        bench.api.errors["create"] = error
        assert isinstance(bench.reconcile(), expected)
    assert (bench.events, bench.numbers) == (["RunNotCreated"], ["failed", "failed"])
    assert bench.reconcile() == Done()
    assert bench.events == ["RunNotCreated", "RunCreated"]


def test_a_response_that_was_lost_makes_no_second_run() -> None:
    """The run exists, but neither this process nor its cache knows of it; status was not written."""
    bench = Bench(cron(), "01:00:02")
    bench.api.errors["patch"] = Conflict("the object has been modified")
    assert isinstance(bench.reconcile(), Again)
    assert bench.reconcile() == Done()
    assert bench.api.calls == [f"create {NAME}", "patch status", "patch status"]


Change = Callable[[Bench], None]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda bench: setattr(bench, "leads", False), Done, id="a process that does not lead"),
        pytest.param(lambda bench: setattr(bench, "behind", True), Later, id="a leader whose caches are old"),
        pytest.param(lambda bench: bench.crons.forget(KEY), Drop, id="a CronWorkflow that is gone"),
    ],
)
def test_who_makes_no_call(change: Change, expected: type[Result]) -> None:
    bench = Bench(cron(), "01:00:02")
    change(bench)
    assert isinstance(bench.reconcile(), expected)
    assert bench.api.calls == []


def ended_run() -> Bench:
    """The history limit is 0, and the only run has ended."""
    bench = Bench(cron(successfulHistoryLimit=0), "01:00:02")
    bench.reconcile()
    ended = {"phase": "Succeeded", "completionTime": "2027-03-01T01:10:00Z"}
    bench.api.workflows[NAME]["metadata"]["resourceVersion"] = "200"
    bench.api.workflows[NAME]["status"] = ended
    bench.workflows.apply(Added(bench.api._read(NAME, Workflow)))
    bench.now = float(at("01:20:00"))
    return bench


def test_old_runs_are_deleted_after_the_status_that_covers_them() -> None:
    bench = ended_run()
    assert bench.reconcile() == Done()
    assert bench.api.calls[2:] == ["patch status", f"delete {NAME}"]
    assert bench.api.workflows == {}


def test_an_old_run_that_somebody_has_just_restarted_is_kept() -> None:
    """The cache does not have the restart yet."""
    bench = ended_run()
    bench.api.workflows[NAME]["metadata"]["resourceVersion"] = "201"
    assert isinstance(bench.reconcile(), Again)
    assert list(bench.api.workflows) == [NAME]


def test_one_that_is_not_valid_says_what_to_correct() -> None:
    bench = Bench(cron("0 0 31 2 *", workflowTemplate={"spec": {"flows": [{"name": "a"}, {"name": "a"}]}}), "01:00:02")
    assert bench.reconcile() == Done()
    (condition,) = bench.api.cron["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "InvalidSchedule")
    assert "spec.schedules[0]: never fires" in condition["message"]
    assert "spec.workflowTemplate.spec.flows[1].name" in condition["message"]
    assert (bench.api.calls, bench.alarm) == (["patch status"], None)


class SharedByWorkers(dict[str, str]):
    """Whoever iterates over it meets the write of another worker."""

    def items(self) -> Any:
        for pair in super().items():
            self[f"uid-of-another-{len(self)}"] = "team/another"
            yield pair


def replacing() -> Bench:
    """The run of 01:00 has ended but has a job that is being deleted, and the run of 02:00 is due."""
    bench = Bench(cron(concurrencyPolicy="Replace"), "01:00:02")
    bench.reconcile()
    bench.api.workflows[NAME]["metadata"]["resourceVersion"] = "200"
    bench.api.workflows[NAME]["status"] = {"phase": "Failed", "completionTime": "2027-03-01T01:10:00Z"}
    bench.workflows.apply(Added(bench.api._read(NAME, Workflow)))
    bench.job_holders = {f"uid-{NAME}"}
    bench.now = float(at("02:00:02"))
    return bench


def test_workers_share_what_is_awaited_without_meeting_each_other() -> None:
    bench = replacing()
    bench.reconciler.awaited = SharedByWorkers({"uid-x": "team/another", "uid-y": "team/another"})
    assert bench.reconcile() == Done()
    assert bench.reconciler.awaited == {"uid-x": "team/another", "uid-y": "team/another", f"uid-{NAME}": KEY}
    bench.job_holders.clear()
    assert bench.reconcile() == Done()
    assert bench.reconciler.awaited == {"uid-x": "team/another", "uid-y": "team/another"}


def test_a_run_is_awaited_before_its_jobs_are_looked_at() -> None:
    """Else a job that goes between the look and the note requeues nothing."""
    bench = replacing()
    bench.asked.clear()
    assert bench.reconcile() == Done()
    assert bench.asked[0] == [f"uid-{NAME}"]


def test_a_cron_workflow_that_is_gone_awaits_nothing() -> None:
    bench = replacing()
    bench.reconcile()
    bench.crons.forget(KEY)
    assert bench.reconcile() == Drop()
    assert bench.reconciler.awaited == {}
