"""What the views say of kinds that the API server does not serve, or says so: nothing is gone for that."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import GVR, PartialObject
from pkg.dashboard.site.services import fault_of
from pkg.kube.client import Page
from pkg.kube.errors import KubeError, NotFound, NotServed, Transient, Unrecognized
from pkg.views import retrying
from pkg.views.attempts import read_jobs
from pkg.views.owners import pods_of
from tests.manifests import decoded

THINGS = GVR("example.org", "v1", "things")
ANSWERS = {
    "a Status without a name": NotServed("the server could not find the requested resource", status=404),
    "a page": Unrecognized("404 page not found", status=404),
}
WORKFLOW = decoded(
    {
        "metadata": {"name": "w", "namespace": "team", "uid": "u"},
        "spec": {"flows": [{"name": "f"}]},
        "status": {"record": {"kinds": [{"gvr": str(THINGS)}]}},
    },
    Workflow,
)
POD = decoded(
    {
        "metadata": {
            "name": "p",
            "uid": "p",
            "ownerReferences": [{"apiVersion": "example.org/v1", "kind": "Thing", "name": "t", "uid": "t"}],
        }
    },
    PartialObject,
)


class Api:
    """Fails each call in the same way, but for the list of Pods."""

    def __init__(self, error: KubeError) -> None:
        self.error = error

    def list_page(self, gvr: Any, *_place: Any, **_options: Any) -> Any:
        if gvr.resource == "pods":
            return Page([POD], "1", "")
        raise self.error

    def get_path(self, _path: str, _type: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_jobs_of_such_a_kind_are_named_as_unread(answer: KubeError) -> None:
    jobs = read_jobs(cast(Any, Api(answer)), WORKFLOW)
    assert jobs.unread == ("things.example.org: the API server says that it does not serve it",)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_services_of_such_a_kind_are_not_left_out_in_silence(
    monkeypatch: pytest.MonkeyPatch, answer: KubeError
) -> None:
    said: list[str] = []
    monkeypatch.setattr(retrying, "service_kinds", lambda *_: {THINGS})
    assert retrying._services(cast(Any, Api(answer)), WORKFLOW, {}, said.append) == []
    assert said == ["the API server says that it does not serve things.example.org, so its services are listed"]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_pods_whose_owner_is_of_such_a_kind_belong_to_nothing(answer: KubeError) -> None:
    assert pods_of(cast(Any, Api(answer)), "team", {"root"}) == ({}, ())


def test_another_fault_is_raised() -> None:
    with pytest.raises(Transient):
        read_jobs(cast(Any, Api(Transient("slow"))), WORKFLOW)


def test_the_page_does_not_say_that_a_workflow_is_gone() -> None:
    """It takes 404 for that."""
    assert fault_of(NotFound('workflows "w" not found', status=404)).status == 404
    assert fault_of(ANSWERS["a Status without a name"]).status == 502
