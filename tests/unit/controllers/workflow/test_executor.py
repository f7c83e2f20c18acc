"""What becomes of each call: made, found to be ours, refused, taken by a stranger, tried again, not allowed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow
from pkg.apis.meta import GVR, Job
from pkg.controllers.workflow.creation_run import Created
from pkg.controllers.workflow.executor import DELETE_BATCH, Executor, NotLeader
from pkg.controllers.workflow.planner.actions import CreateJob, DeleteJob, DeleteWorkflow, PatchStatus
from pkg.controllers.workflow.planner.snapshot import MAX_CREATE_DELAY, CreateFault, Trouble
from pkg.controllers.workflow.room import Room
from pkg.controllers.workflow.write_pool import WritePool
from pkg.kube.errors import (
    Conflict,
    Denied,
    Exists,
    Forbidden,
    KubeError,
    NamespaceTerminating,
    NotFound,
    NotServed,
    Refused,
    Stopped,
    Throttled,
    Transient,
)
from pkg.telemetry.metrics import Metrics
from tests.builders import JOBS, NOW, UID, WORKFLOW, Bench, task, template, wf

KEY = "team/w"


class Api:
    """An API server of a few objects; `fails` decides about a call by its text, such as "create w-a"."""

    def __init__(self, fails: Callable[[str], KubeError | None] = lambda _call: None) -> None:
        self.fails = fails
        self.calls: list[str] = []
        self.objects: dict[str, Job] = {}
        self.arguments: list[dict[str, Any]] = []
        self.warnings: tuple[str, ...] = ()
        self.mutate: Callable[[dict[str, Any]], object] = lambda _metadata: None

    def _call(self, text: str) -> None:
        self.calls.append(text)
        error = self.fails(text)
        if error is not None:
            raise error

    def create(
        self,
        _gvr: GVR,
        _namespace: str,
        body: bytes,
        _type: type[Job],
        *,
        field_validation: str,
        on_warnings: Callable[[tuple[str, ...]], None],
    ) -> Job:
        raw = msgspec.json.decode(body)
        name = raw["metadata"]["name"]
        self.arguments.append({"field_validation": field_validation})
        if self.warnings:
            on_warnings(self.warnings)
        self._call(f"create {name}")
        if name in self.objects:
            raise Exists(f"{name} already exists", status=409)
        raw["metadata"]["uid"] = f"u-{name}"
        raw.pop("spec", None)
        self.mutate(raw["metadata"])
        self.objects[name] = msgspec.convert(raw, Job)
        return self.objects[name]

    def get(self, _gvr: GVR, _namespace: str, name: str, _type: type[Job]) -> Job:
        self._call(f"get {name}")
        if name not in self.objects:
            raise NotFound(f"{name} not found", status=404)
        return self.objects[name]

    def delete(self, _gvr: GVR, _namespace: str, name: str, **arguments: Any) -> None:
        self.arguments.append(arguments)
        self._call(f"delete {name}")

    def patch(self, _gvr: GVR, _namespace: str, name: str, body: bytes, **arguments: Any) -> Workflow:
        self.arguments.append({**arguments, "body": msgspec.json.decode(body)})
        self._call(f"patch {name}")
        return wf(a="")


def executor(api: Api, *, owns: Callable[[str], bool] = lambda _key: True, now: float = NOW) -> Executor:
    return Executor(
        cast(Any, api), WritePool(4, share=4), owns, Metrics(), Room(lambda _key: None), wall_clock=lambda: now
    )


def run(one: Executor, actions: list[CreateJob], faults: dict[str, CreateFault] | None = None) -> list[Created]:
    """The answers to these creations; raises the error that ended them."""
    made = one.create(WORKFLOW, actions, faults or {}, on_late=lambda: None)
    assert made.wait(10.0)
    if made.error is not None:
        raise made.error
    return made.results()


def creations(**flows: Any) -> list[CreateJob]:
    return list(Bench(wf(**flows), settle=False).step().creations)


def create(api: Api, before: CreateFault | None = None, now: float = NOW) -> tuple[Job | None, CreateFault | None]:
    """The job of flow `a`, made after an earlier fault."""
    (one,) = creations(a="")
    faults = {before.name: before} if before is not None else {}
    (result,) = run(executor(api, now=now), [one], faults)
    return result.job, result.fault


def failing(error: KubeError) -> Api:
    return Api(lambda call: error if call.startswith("create") else None)


def test_a_job_is_made() -> None:
    job, fault = create(Api())
    assert job is not None
    assert (job.metadata.name, fault) == ("w-a", None)


TROUBLES: dict[str, tuple[KubeError, Trouble]] = {
    "403 (quota)": (Forbidden("exceeded quota", status=403), Trouble.RETRY),
    "404 (namespace, kind)": (NotFound("no namespace", status=404), Trouble.RETRY),
    "409 that is no namesake": (Conflict("being created", status=409), Trouble.RETRY),
    "429": (Throttled("slow down", status=429), Trouble.RETRY),
    "500": (Transient("internal", status=500), Trouble.RETRY),
    "a namespace that is terminating": (NamespaceTerminating("it is being terminated", status=403), Trouble.RETRY),
    "an admission webhook that says no": (Denied("admission webhook says no", status=422), Trouble.RETRY),
    "400, 413, 415 and 422": (Refused("spec.x: Invalid value", status=422), Trouble.REFUSED),
}


@pytest.mark.parametrize(("error", "trouble"), TROUBLES.values(), ids=TROUBLES)
def test_what_a_failed_creation_comes_to(error: KubeError, trouble: Trouble) -> None:
    job, fault = create(failing(error))
    assert job is None
    assert fault is not None
    assert fault.trouble is trouble
    assert error.message in fault.message


def test_the_delay_after_failed_creations_doubles_up_to_a_minute() -> None:
    fault, delays = None, []
    for _ in range(10):
        _, fault = create(failing(Transient("no")), fault)
        assert fault is not None
        delays.append(fault.retry_at - NOW)
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == MAX_CREATE_DELAY == 60.0


# The name is taken


def holder(name: str = "w-a", *, uid: str = UID, attempt: str = "0", flow: str = "a", going: bool = False) -> Job:
    """Somebody's job, ours by default."""
    (one,) = creations(a="")
    raw = msgspec.json.decode(one.body)
    raw.pop("spec")
    meta = raw["metadata"]
    meta.update(name=name, uid="holder")
    meta["labels"] |= {"flow.workflow.sh/attempt": attempt, "flow.workflow.sh/flow": flow}
    meta["ownerReferences"][0]["uid"] = uid
    job = msgspec.convert(raw, Job)
    if not going:
        return job
    stamp = datetime.fromtimestamp(NOW, UTC)
    return msgspec.structs.replace(job, metadata=msgspec.structs.replace(job.metadata, deletion_timestamp=stamp))


def test_exists_is_success_if_it_is_ours() -> None:
    api = Api()
    api.objects["w-a"] = holder()
    job, fault = create(api)
    assert (job, fault) == (api.objects["w-a"], None)
    assert api.calls == ["create w-a", "get w-a"], "the one place with a live GET"


STRANGERS: dict[str, dict[str, Any]] = {
    "of another workflow": {"uid": "other"},
    "of another attempt (flow a attempt 1 against flow a-r1)": {"attempt": "1"},
    "of another flow (workflow p flow a-b against workflow p-a flow b)": {"flow": "b"},
}


@pytest.mark.parametrize("who", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_keeps_the_name(who: dict[str, Any]) -> None:
    api = Api()
    api.objects["w-a"] = holder(**who)
    job, fault = create(api)
    assert job is None
    assert fault is not None
    assert (fault.trouble, fault.reason) == (Trouble.NAME_TAKEN, "NameConflict")
    assert not any(call.startswith("delete") for call in api.calls)


#: What admission may take off a job, and how that is said.
TAKEN_OFF = (
    pytest.param(
        lambda metadata: metadata["labels"].pop(labels.FLOW), f"its label {labels.FLOW} was removed", id="a label"
    ),
    pytest.param(
        lambda metadata: metadata["labels"].pop(labels.WORKFLOW_UID),
        f"its label {labels.WORKFLOW_UID} was removed",
        id="the label by which jobs are watched",
    ),
    pytest.param(
        lambda metadata: metadata.pop("ownerReferences"),
        "its owner reference to the Workflow was removed",
        id="the owner reference",
    ),
)


@pytest.mark.parametrize(
    ("mutate", "changed"),
    [
        *TAKEN_OFF,
        pytest.param(
            lambda metadata: metadata["labels"].update({labels.ATTEMPT: "7"}),
            f"its label {labels.ATTEMPT} was changed from '0' to '7'",
            id="the number of the attempt",
        ),
    ],
)
def test_a_job_that_admission_takes_off_its_task_is_not_made_again(
    mutate: Callable[[dict[str, Any]], object], changed: str
) -> None:
    api = Api()
    api.mutate = mutate
    job, fault = create(api)
    assert job is None
    assert fault is not None
    assert (fault.trouble, fault.reason) == (Trouble.REFUSED, "Refused")
    assert fault.message == (
        "job w-a was created, but a mutating webhook or admission policy changed it, so it is no job of this task: "
        f"{changed}. Correct the webhook or policy, and delete the job"
    )
    assert api.calls == ["create w-a"]


@pytest.mark.parametrize(
    ("mutate", "changed"),
    [
        *TAKEN_OFF,
        pytest.param(
            lambda metadata: metadata.pop("labels"), f"its label {labels.WORKFLOW_UID} was removed", id="all labels"
        ),
    ],
)
def test_a_job_that_admission_takes_off_its_task_is_not_made_again_if_its_creation_was_not_answered(
    mutate: Callable[[dict[str, Any]], object], changed: str
) -> None:
    """By the controller that made it, or by the next one: nobody remembers the first call."""
    api = Api()
    api.mutate = mutate
    create(api)
    api.calls.clear()
    job, fault = create(api)
    assert job is None
    assert fault is not None
    assert (fault.trouble, fault.reason) == (Trouble.REFUSED, "Refused")
    assert fault.message == (
        "job w-a is there already, made for this workflow, but a mutating webhook, an admission policy or a person "
        f"changed it, so it is no job of this task: {changed}. Correct that, and delete the job"
    )
    assert api.calls == ["create w-a", "get w-a"]


def test_a_job_that_was_taken_off_its_task_and_is_being_deleted_is_waited_for() -> None:
    api = Api()
    api.mutate = lambda metadata: metadata["labels"].pop(labels.FLOW)
    create(api)
    going = msgspec.structs.replace(api.objects["w-a"].metadata, deletion_timestamp=datetime.fromtimestamp(NOW, UTC))
    api.objects["w-a"] = msgspec.structs.replace(api.objects["w-a"], metadata=going)
    _, fault = create(api)
    assert fault is not None
    assert fault.trouble is Trouble.RETRY
    _, last = create(api, fault, now=NOW + 30)
    assert last is not None
    assert last.trouble is Trouble.REFUSED


def test_a_stranger_that_is_being_deleted_is_waited_for_30_s_at_most() -> None:
    api = Api()
    api.objects["w-a"] = holder(uid="other", going=True)
    _, fault = create(api)
    assert fault is not None
    assert fault.trouble is Trouble.RETRY
    _, later = create(api, fault, now=NOW + 29)
    assert later is not None
    assert later.trouble is Trouble.RETRY
    _, last = create(api, later, now=NOW + 30)
    assert last is not None
    assert last.trouble is Trouble.NAME_TAKEN


def test_a_holder_that_was_just_deleted_is_tried_again_at_once() -> None:
    api = Api(lambda call: Exists("already exists", status=409) if call.startswith("create") else None)
    _, fault = create(api)
    assert fault is not None
    assert (fault.trouble, fault.retry_at) == (Trouble.RETRY, NOW)


# In parallel, and no further than allowed


def test_creations_start_slowly_and_stop_when_they_fail() -> None:
    api = failing(Throttled("slow down", status=429))
    many = creations(a={"for": {"replicas": 20}})
    results = run(executor(api), many)
    assert len(results) == 1
    assert api.calls == ["create w-a-0"]


def test_a_refused_job_does_not_delay_the_others() -> None:
    api = Api(lambda call: Refused("no", status=422) if call == "create w-a-0" else None)
    results = run(executor(api), creations(a={"for": {"replicas": 9}}))
    assert [result.fault is None for result in results] == [False] + [True] * 8


@pytest.mark.parametrize("mode", ["Warn", "Strict", "Ignore"])
def test_a_job_is_created_with_the_field_validation_of_its_template(mode: str) -> None:
    templates = {"job": template("job", jobSpec={}, fieldValidation=mode)}
    api = Api()
    (one,) = Bench(wf(a={"template": "job"}), templates, settle=False).step().creations
    run(executor(api), [one])
    assert api.arguments == [{"field_validation": mode}]


def test_what_the_api_server_warns_of_comes_with_the_job() -> None:
    api = Api()
    api.warnings = ('unknown field "spec.x"',)
    (result,) = run(executor(api), creations(a=""))
    assert (result.warnings, result.fault) == (api.warnings, None)


def test_a_refusal_also_says_what_the_api_server_warned_of() -> None:
    api = failing(Refused("spec.template.spec.containers: Required value" + "!" * 600, status=422))
    api.warnings = ('unknown field "spec.template.spec.conatiners"',)
    _, fault = create(api)
    assert fault is not None
    assert fault.message.startswith("spec.template.spec.containers: Required value")
    assert fault.message.endswith('; the API server also warns: unknown field "spec.template.spec.conatiners"')
    assert len(fault.message) == 512


def test_without_the_lease_nothing_is_written() -> None:
    api = Api()
    idle = executor(api, owns=lambda _key: False)
    with pytest.raises(NotLeader):
        run(idle, creations(a=""))
    with pytest.raises(NotLeader):
        idle.patch_status(KEY, PatchStatus("team", "w", ()))
    with pytest.raises(NotLeader):
        idle.delete(KEY, [DeleteJob(task("a"), JOBS, "team", "w-a", "u", "")])
    with pytest.raises(NotLeader):
        idle.delete_workflow(KEY, DeleteWorkflow("team", "w", UID), "7")
    assert api.calls == []


def test_no_job_is_made_for_who_does_not_hold_its_locks_any_more() -> None:
    """They were granted when the plan was made; the call may have waited for its turn since."""
    api = Api()
    one = executor(api)
    one._holds_locks = lambda workflow, key, attempt: (workflow, key, attempt) != (WORKFLOW, task("a"), 0)
    locked = [replace(creation, holder=creation.task) for creation in creations(a="", b="")]
    lost, made = (*run(one, locked[:1]), *run(one, locked[1:]))
    assert api.calls == ["create w-b"]
    assert made.job is not None
    assert lost.fault is not None
    assert (lost.fault.trouble, lost.fault.reason, lost.fault.retry_at) == (Trouble.RETRY, "LockHeld", NOW)


def test_a_lease_that_is_lost_in_the_middle_stops_the_rest() -> None:
    api = Api()
    losing = executor(api, owns=lambda _key: len(api.calls) < 1)
    with pytest.raises(NotLeader):
        run(losing, creations(a={"for": {"replicas": 9}}))
    assert api.calls == ["create w-a-0"]


def test_a_client_that_was_stopped_is_no_fault_of_the_job() -> None:
    with pytest.raises(Stopped):
        create(failing(Stopped("stopped")))


# Status and deletions


def test_status_is_patched_as_json_patch_on_the_subresource() -> None:
    api = Api()
    executor(api).patch_status(KEY, PatchStatus("team", "w", ({"op": "add", "path": "/status", "value": 1},)))
    (arguments,) = api.arguments
    assert arguments["subresource"] == "status"
    assert arguments["content_type"] == "application/json-patch+json"
    assert arguments["body"] == [{"op": "add", "path": "/status", "value": 1}]


def test_a_deletion_is_by_uid() -> None:
    api = Api()
    assert executor(api).delete(KEY, [DeleteJob(task("a"), JOBS, "team", "w-a", "u-1", "")]) == []
    assert api.arguments[0]["uid"] == "u-1"


GONE: dict[str, tuple[KubeError, int]] = {
    "gone already is success": (NotFound("no"), 0),
    "replaced by a namesake is success": (Conflict("uid"), 0),
    "that its kind is not served proves nothing": (NotServed("the server could not find the requested resource"), 1),
    "anything else is told": (Transient("no"), 1),
}


@pytest.mark.parametrize(("error", "told"), GONE.values(), ids=GONE)
def test_a_deletion_that_did_not_work(error: KubeError, told: int) -> None:
    one, two = (DeleteJob(task("a"), JOBS, "team", name, "u", "") for name in ("w-a", "w-b"))
    api = Api(lambda call: error if call == "delete w-a" else None)
    assert len(executor(api).delete(KEY, [one, two])) == told
    assert sorted(api.calls) == ["delete w-a", "delete w-b"]


def deletions(number: int) -> list[DeleteJob]:
    return [DeleteJob(task("a"), JOBS, "team", f"w-a-{index}", "u", "") for index in range(number)]


def test_many_deletions_leave_the_pool_to_others_in_between() -> None:
    api, waiting = Api(), []
    one = executor(api)
    api.fails = lambda _call: waiting.append(cast(Any, one._pool).waiting)
    assert one.delete(KEY, deletions(10 * DELETE_BATCH)) == []
    assert len(api.calls) == 10 * DELETE_BATCH
    assert max(waiting) < DELETE_BATCH


def test_where_no_deletion_works_the_rest_is_left_for_later() -> None:
    api = Api(lambda _call: Transient("no answer"))
    assert len(executor(api).delete(KEY, deletions(10 * DELETE_BATCH))) == DELETE_BATCH


def test_a_workflow_is_deleted_in_the_foreground() -> None:
    api = Api()
    executor(api).delete_workflow(KEY, DeleteWorkflow("team", "w", UID), "7")
    assert api.arguments == [{"uid": UID, "propagation": "Foreground", "resource_version": "7"}]
    assert WORKFLOWS.resource == "workflows"


NOT_DELETED: dict[str, KubeError] = {
    "that changed meanwhile, so its ttl may have been removed, or it was restarted": Conflict("has been modified"),
    "whose kind is not served for now": NotServed("the server could not find the requested resource"),
}


@pytest.mark.parametrize("error", NOT_DELETED.values(), ids=NOT_DELETED)
def test_a_workflow_is_not_taken_for_deleted(error: KubeError) -> None:
    with pytest.raises(type(error)):
        executor(Api(lambda _call: error)).delete_workflow(KEY, DeleteWorkflow("team", "w", UID), "7")
