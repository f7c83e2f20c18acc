"""WorkTemplate.status.usedBy: counted, bounded, and written only when it changed."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.people import EDITED_BY
from pkg.apis.flow.v1alpha1.types import UsedBy, Workflow, WorkTemplate, WorkTemplateStatus
from pkg.apis.meta import GVR
from pkg.controllers.engine.result import Again, Done, Drop, Later
from pkg.controllers.engine.store import Store
from pkg.controllers.worktemplate.reconciler import TEMPLATE_INDEX, UsageReconciler, templates_of, used_by
from pkg.kube.errors import KubeError, NotFound, Throttled
from tests.builders import TEMPLATES, wf


def named(name: str, **flows: Any) -> Workflow:
    workflow = wf(**(flows or {"a": ""}))
    meta = msgspec.structs.replace(workflow.metadata, name=name, uid=name)
    return msgspec.structs.replace(workflow, metadata=meta)


def test_a_workflow_names_each_template_once() -> None:
    assert templates_of(wf(a="", b="a", c={"template": "widget"})) == {"team/job", "team/widget"}


def test_names_are_sorted_and_bounded_and_the_count_is_not() -> None:
    found = used_by(tuple(named(f"w-{number:03}") for number in reversed(range(150))))
    assert found.count == 150
    assert found.names == tuple(f"w-{number:03}" for number in range(100))


class Api:
    """Takes status patches of templates, unless told to fail."""

    def __init__(self, error: KubeError | None = None) -> None:
        self.bodies: list[Any] = []
        self.error = error
        self.edit: dict[str, Any] = {}

    def patch(self, _gvr: GVR, _namespace: str, name: str, body: bytes, **_how: Any) -> WorkTemplate:
        if self.error is not None:
            raise self.error
        self.bodies.append(msgspec.json.decode(body))
        status = msgspec.convert(self.bodies[-1]["status"], WorkTemplateStatus)
        meta = msgspec.structs.replace(TEMPLATES[name].metadata, namespace="team", resource_version="9", **self.edit)
        return msgspec.structs.replace(TEMPLATES[name], metadata=meta, status=status)


class Clock:
    """Seconds that only the test lets pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def reconciler(api: Api, *workflows: Workflow, is_leader: bool = True, clock: Clock | None = None) -> UsageReconciler:
    users: Store[Workflow] = Store({TEMPLATE_INDEX: templates_of})
    users.replace(workflows, 1)
    meta = msgspec.structs.replace(TEMPLATES["job"].metadata, namespace="team", resource_version="1")
    templates: Store[WorkTemplate] = Store()
    templates.replace([msgspec.structs.replace(TEMPLATES["job"], metadata=meta)], 1)
    return UsageReconciler(cast(Any, api), users, templates, lambda _key: is_leader, clock or Clock())


def test_used_by_is_written_once() -> None:
    api = Api()
    usage = reconciler(api, named("w-1"), named("w-2"), named("other", a={"template": "widget"}))
    assert usage.reconcile("team/job") == Done()
    assert usage.reconcile("team/job") == Done()
    assert api.bodies == [{"status": {"usedBy": {"count": 2, "names": ["w-1", "w-2"]}}}]


def test_a_template_is_written_at_most_once_in_ten_seconds() -> None:
    api, clock = Api(), Clock()
    usage = reconciler(api, named("w-1"), clock=clock)
    usage.reconcile("team/job")
    usage._workflows.replace([named("w-1"), named("w-2")], 2)
    clock.now += 4
    assert usage.reconcile("team/job") == Later(6.0, "usedBy was written a moment ago")
    clock.now += 6
    assert usage.reconcile("team/job") == Done()
    assert [body["status"]["usedBy"]["count"] for body in api.bodies] == [1, 2]


@pytest.mark.parametrize(
    ("edit", "cached"),
    [
        pytest.param({}, "9", id="no edit: taken in"),
        pytest.param({"generation": 2}, "1", id="another spec: left to the watch"),
        pytest.param({"annotations": {EDITED_BY: '{"user":"bob"}'}}, "1", id="another person: left to the watch"),
    ],
)
def test_an_answer_that_holds_an_edit_of_the_template_is_not_taken_in_silently(
    edit: dict[str, Any], cached: str
) -> None:
    """Else the watch event of the edit would change nothing, and requeue nobody."""
    api = Api()
    api.edit = edit
    usage = reconciler(api, named("w-1"))
    usage.reconcile("team/job")
    template = usage._templates.get("team/job")
    assert template is not None
    assert template.metadata.resource_version == cached


def test_nothing_is_written_where_nobody_uses_it() -> None:
    api = Api()
    assert reconciler(api).reconcile("team/job") == Done()
    assert api.bodies == []


def test_nothing_is_written_without_the_lease() -> None:
    api = Api()
    assert reconciler(api, named("w-1"), is_leader=False).reconcile("team/job") == Done()
    assert api.bodies == []


def test_a_template_that_is_gone_is_dropped() -> None:
    assert reconciler(Api()).reconcile("team/nobody") == Drop()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(NotFound("no"), Done, id="gone meanwhile"),
        pytest.param(Throttled("slow down"), Again, id="busy: tried again"),
    ],
)
def test_a_write_that_fails(error: KubeError, expected: type) -> None:
    assert isinstance(reconciler(Api(error), named("w-1")).reconcile("team/job"), expected)


def test_used_by_of_nobody_is_empty() -> None:
    assert used_by(()) == UsedBy()
