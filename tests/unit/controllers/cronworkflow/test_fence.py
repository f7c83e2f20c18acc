"""Nothing is done for a CronWorkflow while the caches are older than the cluster was when the term began."""

from __future__ import annotations

from typing import Any, cast

from pkg.apis.flow.v1alpha1.types import CronWorkflow, Workflow
from pkg.apis.meta import ObjectMeta, PartialObject
from pkg.controllers.cronworkflow.fence import Fence
from pkg.controllers.engine.store import Store
from pkg.kube.client import Page
from pkg.kube.errors import KubeError, Stopped, Transient


class Bench:
    """CronWorkflows in the cluster: pages of them, by resourceVersion. failures: of the next lists."""

    def __init__(self, *pages: tuple[int, ...]) -> None:
        self.pages = pages or ((),)
        self.failures: list[KubeError] = []
        self.lists = 0
        self.crons: Store[CronWorkflow] = Store({})
        self.workflows: Store[Workflow] = Store({})
        self.fence = Fence(cast(Any, self), None, self.crons, self.workflows)

    def list_page(self, *_what: Any, continue_: str, metadata_only: bool, **options: Any) -> Page[PartialObject]:
        assert metadata_only
        assert "resource_version" not in options, "what the API server has cached may be old"
        if self.failures:
            raise self.failures.pop(0)
        number = int(continue_ or 0)
        self.lists += number == 0
        items = [PartialObject(ObjectMeta(name=f"c{rv}", resource_version=str(rv))) for rv in self.pages[number]]
        return Page(items, "99", str(number + 1) if number + 1 < len(self.pages) else "")

    def reach(self, crons: int, workflows: int) -> None:
        """The caches are as new as this."""
        self.crons.replace([], crons)
        self.workflows.replace([], workflows)


def test_before_the_first_term_nothing_holds_it_up_but_the_caches() -> None:
    bench = Bench()
    assert bench.fence.is_behind(), "CronWorkflows are not listed yet"
    bench.reach(1, 1)
    assert not bench.fence.is_behind()


def test_it_waits_for_the_newest_cron_workflow_of_all_pages_and_for_the_newest_workflow() -> None:
    bench = Bench((3, 9), (4,))
    bench.fence.begin_term(20)
    for crons, workflows, expected in ((8, 20, True), (9, 19, True), (9, 20, False)):
        bench.reach(crons, workflows)
        assert bench.fence.is_behind() is expected


def test_the_versions_are_read_once_in_a_term() -> None:
    bench = Bench((9,))
    for _ in range(2):
        bench.fence.begin_term(0)
        for _ in range(3):
            bench.fence.is_behind()
        bench.reach(9, 1)
        assert not bench.fence.is_behind()
    assert bench.lists == 2


def test_a_list_that_fails_is_made_again() -> None:
    bench = Bench((9,))
    bench.failures = [Transient("no answer"), Stopped("stopping")]
    bench.reach(9, 1)
    bench.fence.begin_term(0)
    assert [bench.fence.is_behind() for _ in range(3)] == [True, True, False]


def test_a_cache_that_has_passed_once_is_not_asked_again_in_the_term() -> None:
    bench = Bench((9,))
    bench.fence.begin_term(0)
    bench.reach(9, 1)
    assert not bench.fence.is_behind()
    bench.pages = ((50,),)
    assert not bench.fence.is_behind()
    bench.fence.begin_term(0)
    assert bench.fence.is_behind()
