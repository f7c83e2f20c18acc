"""From when, and until when, a process acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from pkg.apis.meta import ObjectMeta, PartialObject
from pkg.controllers.engine.leadership import Leadership
from pkg.controllers.term import Term
from pkg.kube.client import Page
from pkg.kube.errors import KubeError, Stopped, Transient

KEY = "team/w"


def page(*versions: int, more: str = "") -> Page[PartialObject]:
    metas = [ObjectMeta(name=f"w{version}", namespace="team", resource_version=str(version)) for version in versions]
    return Page([PartialObject(meta) for meta in metas], "99", more)


class Setup:
    """A term whose lists answer as written down, and whose Lease is won and lost by hand."""

    def __init__(self, *answers: Page[PartialObject] | KubeError) -> None:
        self.answers = list(answers)
        self.happened: list[str] = []
        self.leads = False
        self.on_started: Callable[[], None]
        self.on_stopped: Callable[[], None]
        self.term = Term(cast(Any, self), None, self.make_leadership)
        self.term.start(self)

    def make_leadership(self, on_started: Callable[[], None], on_stopped: Callable[[], None]) -> Leadership:
        self.on_started, self.on_stopped = on_started, on_stopped
        return cast(Leadership, self)

    def list_page(self, *_: object, **options: object) -> Page[PartialObject]:
        answer = self.answers.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return answer

    def is_leader(self) -> bool:
        return self.leads

    def start(self) -> None:
        self.happened.append("campaigns")

    def begin(self, fences: dict[str, int]) -> None:
        assert not self.term.owns(KEY), "nothing may be written before the fences are known"
        self.happened.append(f"begins with {fences}")

    def acting(self, fences: dict[str, int]) -> None:
        assert self.term.owns(KEY)
        self.happened.append("acts")

    def end(self) -> None:
        assert not self.term.owns(KEY)
        self.happened.append("ends")

    def win(self) -> None:
        self.leads = True
        self.on_started()


def test_a_term_begins_with_the_versions_of_all_workflows_and_ends_at_once() -> None:
    setup = Setup(page(5, more="t"), page(7))
    setup.win()
    assert setup.happened == ["campaigns", "begins with {'team/w5': 5, 'team/w7': 7}", "acts"]
    assert setup.term.owns(KEY)
    setup.leads = False
    assert not setup.term.owns(KEY), "the clock decides, before anybody is called"
    setup.on_stopped()
    assert setup.happened[-1] == "ends"


def test_a_list_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.term._RETRY_SECONDS", 0.0)
    setup = Setup(Transient("no answer"), page(5))
    setup.win()
    assert setup.happened[-1] == "acts"


def test_lists_that_fail_in_the_same_way_are_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.term._RETRY_SECONDS", 0.0)
    setup = Setup(*[Transient("no answer")] * 5, Transient("another"), page(5))
    with capture_logs() as logs:
        setup.win()
    assert [line["error"] for line in logs if line["log_level"] == "warning"] == ["no answer", "another"]


@pytest.mark.parametrize("answer", [Stopped("bye"), page()], ids=["the client was stopped", "the Lease was lost"])
def test_a_term_that_ends_before_it_has_begun_never_acts(answer: Page[PartialObject] | KubeError) -> None:
    setup = Setup(answer)
    setup.leads = isinstance(answer, KubeError)
    setup.on_started()
    assert setup.happened == ["campaigns"]
    assert not setup.term.owns(KEY)


def test_a_process_that_stops_owns_nothing_though_it_still_holds_the_lease() -> None:
    setup = Setup(page())
    setup.win()
    setup.term.stop_acting()
    assert setup.term.is_leader()
    assert not setup.term.owns(KEY)
