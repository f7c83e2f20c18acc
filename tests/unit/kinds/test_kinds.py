"""Which kinds are served: asked in the background, asked again when a CRD changes, refused with a reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import msgspec
import pytest
from structlog.testing import capture_logs

from pkg.apis.flow.v1alpha1.schema import Type
from pkg.apis.meta import GVR
from pkg.kinds.kind_state import KindTiming
from pkg.kinds.kinds import Kinds
from pkg.kinds.schemas import SchemaTiming
from pkg.kube.discovery import Discovery, Resource
from pkg.kube.errors import KubeError, NotServed, Unrecognized
from tests.waiting import until

BOXES = GVR("example.com", "v1", "boxes")
JOBS = GVR("batch", "v1", "jobs")
VERBS = ("create", "delete", "get", "list", "watch")


class Served:
    """What a server would say."""

    def __init__(self) -> None:
        self.resources: dict[GVR, Resource] = {}
        self.specs: dict[GVR, bool | None] = {}
        self.fields: dict[str, object] = {"type": "object", "properties": {"size": {"type": "string"}}}
        self.asked: list[GVR] = []
        self.refreshed: list[GVR] = []
        self.is_sure = True
        self.failing = 0  # so many of the next answers about resources prove nothing

    def add(self, gvr: GVR, kind: str, *, namespaced: bool = True, has_spec: bool | None = True) -> None:
        self.resources[gvr] = Resource(gvr.resource, kind, namespaced, VERBS)
        self.specs[gvr] = has_spec

    def resolve(self, gvr: GVR, *, absent_for: float = 2.0) -> Resource:
        self.asked.append(gvr)
        if self.failing:
            self.failing -= 1
            raise Unrecognized("a page of a proxy", status=200)
        if gvr not in self.resources:
            raise NotServed(f"no {gvr}", status=404)
        return self.resources[gvr]

    def openapi(self, gvr: GVR) -> bytes | None:
        if self.specs.get(gvr) is None:
            return None
        named = {"group": gvr.group, "version": gvr.version, "kind": self.resources[gvr].kind}
        fields = {"spec": self.fields} if self.specs[gvr] else {"data": {}}
        schema = {"type": "object", "properties": fields, "x-kubernetes-group-version-kind": [named]}
        return msgspec.json.encode({"openapi": "3.0.0", "components": {"schemas": {"it": schema}}})

    def is_gone(self, gvr: GVR) -> bool:
        return self.is_sure

    def refresh(self, gvr: GVR) -> None:
        self.refreshed.append(gvr)


NEVER = 3600.0


class Setup:
    def __init__(self, timing: KindTiming) -> None:
        self.server = Served()
        self.changed: list[GVR] = []
        self.coming: list[GVR] = []
        self.timing = timing
        schemas = SchemaTiming(retry=0.02, after_change=(0.0, 0.05))
        self.kinds = Kinds(cast(Discovery, self.server), self.changed.append, self.coming.append, timing, schemas)
        self.kinds.start()


@pytest.fixture
def setup(request: pytest.FixtureRequest) -> Iterator[Setup]:
    made = Setup(getattr(request, "param", KindTiming(retry=0.05, settling=0.02)))
    yield made
    made.kinds.stop()


def timed(**times: float) -> pytest.MarkDecorator:
    """The setup of this test has these times."""
    timing = msgspec.convert({"settling": 0.02, **times}, KindTiming)
    return pytest.mark.parametrize("setup", [timing], indirect=True, ids=[""])


def test_a_crd_on_its_way_out_lets_nothing_new_in_and_counts_as_not_served(setup: Setup) -> None:
    """Before the watch of CRDs tells of it, discovery may show what is left: verbs to look and to delete."""
    setup.server.resources[BOXES] = Resource(
        "boxes", "Box", True, ("delete", "deletecollection", "get", "list", "watch")
    )
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.is_answered(BOXES))
    assert setup.kinds.get(BOXES) is None
    assert BOXES in setup.server.refreshed, "so that the next look asks the server"
    setup.server.add(BOXES, "Box")
    until(lambda: setup.kinds.get(BOXES) is not None)


@pytest.mark.parametrize(
    ("verbs", "refused"),
    [
        pytest.param(("get", "list"), "cannot be created (its verbs are get, list)", id="only read"),
        pytest.param(
            ("create",), "cannot be listed and watched (its verbs are create), so no end is seen", id="only created"
        ),
    ],
)
def test_a_kind_that_allows_too_little_is_refused(setup: Setup, verbs: tuple[str, ...], refused: str) -> None:
    setup.server.resources[BOXES] = Resource("boxes", "Box", True, verbs)
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    kind = setup.kinds.get(BOXES)
    assert kind is not None
    assert kind.refused == f"boxes.v1.example.com {refused}"


@pytest.mark.parametrize("has_status", [True, False], ids=["with it", "without it"])
def test_a_kind_knows_whether_it_has_the_status_subresource(setup: Setup, has_status: bool) -> None:
    setup.server.resources[BOXES] = Resource("boxes", "Box", True, VERBS, has_status=has_status)
    setup.server.specs[BOXES] = True
    setup.kinds.get(BOXES)
    until(lambda: setup.changed == [BOXES])
    found = setup.kinds.get(BOXES)
    assert found is not None
    assert found.has_status is has_status


def test_a_kind_is_found_in_the_background_and_announced(setup: Setup) -> None:
    setup.server.add(JOBS, "Job")
    assert setup.kinds.get(JOBS) is None
    until(lambda: setup.changed[:1] == [JOBS])
    found = setup.kinds.get(JOBS)
    assert found is not None
    assert (found.kind, found.refused) == ("Job", "")


@pytest.mark.parametrize(
    ("namespaced", "has_spec", "reason"),
    [
        pytest.param(False, True, "is cluster-scoped", id="a kind that is cluster-scoped is refused"),
        pytest.param(True, False, "", id="a kind without a spec is not: its own keys are those of jobSpec"),
    ],
)
def test_what_may_be_a_job(setup: Setup, namespaced: bool, has_spec: bool, reason: str) -> None:
    setup.server.add(BOXES, "Box", namespaced=namespaced, has_spec=has_spec)
    setup.kinds.get(BOXES)
    until(lambda: setup.changed == [BOXES])
    found = setup.kinds.get(BOXES)
    assert found is not None
    assert (reason in found.refused, bool(found.refused)) == (True, bool(reason))
    assert found.has_spec == has_spec


@timed(retry=NEVER)
def test_a_crd_that_comes_is_asked_for_at_once(setup: Setup) -> None:
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.is_answered(BOXES))
    setup.server.add(BOXES, "Box")
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.kinds.get(BOXES) is not None)
    assert setup.server.refreshed == [BOXES]


def test_a_usable_kind_whose_crd_changes_is_asked_for_twice_because_discovery_may_lag(setup: Setup) -> None:
    setup.server.add(BOXES, "Box")
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.server.refreshed == [BOXES, BOXES])


@timed(settling=0.3)
def test_a_kind_that_comes_is_used_once_it_has_settled_and_its_cache_is_made_ready_before(setup: Setup) -> None:
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.is_answered(BOXES))
    setup.server.add(BOXES, "Box")
    came = time.monotonic()
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.coming == [BOXES])
    until(lambda: setup.kinds.get(BOXES) is not None)
    assert time.monotonic() - came >= 0.3
    assert setup.coming == [BOXES]


@timed(settling=NEVER)
def test_one_that_was_there_before_is_used_at_once(setup: Setup) -> None:
    setup.server.add(BOXES, "Box")
    setup.kinds.crd_changed("boxes.example.com", False)
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    assert setup.coming == []


@timed(settling=NEVER)
def test_one_that_goes_while_it_settles_begins_anew(setup: Setup) -> None:
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.is_answered(BOXES))
    setup.server.add(BOXES, "Box")
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.coming == [BOXES])
    del setup.server.resources[BOXES]
    asked = len(setup.server.asked)
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: len(setup.server.asked) > asked)
    setup.server.add(BOXES, "Box")
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.coming == [BOXES, BOXES])
    assert setup.kinds.get(BOXES) is None


def test_what_can_be_no_job_needs_no_cache(setup: Setup) -> None:
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.is_answered(BOXES))
    setup.server.add(BOXES, "Box", namespaced=False)
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.kinds.get(BOXES) is not None)
    assert setup.coming == []


def test_a_crd_that_changes_is_read_again_and_announced_only_if_it_matters(setup: Setup) -> None:
    setup.server.add(BOXES, "Box")
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    asked = len(setup.server.asked)
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: len(setup.server.asked) > asked)
    assert setup.changed == [BOXES]
    setup.server.add(BOXES, "Crate")
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.changed == [BOXES, BOXES])
    found = setup.kinds.get(BOXES)
    assert found is not None
    assert found.kind == "Crate"


def test_a_crd_that_changes_is_read_once_more_because_discovery_may_lag(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.server.add(BOXES, "Box")
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    answers = [setup.server.resources[BOXES]]  # from before the change
    setup.server.add(BOXES, "Crate")

    def resolve(gvr: GVR, *, absent_for: float) -> Resource:
        return answers.pop() if answers else Resource("boxes", "Crate", True, VERBS)

    monkeypatch.setattr(setup.server, "resolve", resolve)
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: (found := setup.kinds.get(BOXES)) is not None and found.kind == "Crate")
    assert answers == []


def test_a_crd_that_is_being_deleted_is_not_served_though_the_server_still_lists_it(setup: Setup) -> None:
    setup.server.add(BOXES, "Box")
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    setup.kinds.crd_changed("boxes.example.com", True)
    assert setup.kinds.get(BOXES) is None
    assert setup.changed == [BOXES, BOXES]
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: setup.kinds.get(BOXES) is not None)


def test_a_usable_kind_that_discovery_lacks_stays_usable_until_its_absence_is_confirmed(setup: Setup) -> None:
    setup.server.add(BOXES, "Box")
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    del setup.server.resources[BOXES]
    setup.server.is_sure = False
    asked = len(setup.server.asked)
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: len(setup.server.asked) > asked + 1)
    assert setup.kinds.get(BOXES) is not None
    assert not setup.kinds.is_absent(BOXES)
    setup.server.is_sure = True
    until(lambda: setup.changed == [BOXES, BOXES])
    assert setup.kinds.get(BOXES) is None
    assert setup.kinds.is_absent(BOXES)


def test_a_crd_that_nobody_named_is_not_looked_at(setup: Setup) -> None:
    setup.server.add(BOXES, "Box")
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)
    setup.kinds.crd_changed("crates.example.com", False)
    assert setup.server.refreshed == []


def test_a_surprise_does_not_end_the_asking(setup: Setup) -> None:
    surprises = [ValueError("never thought of")]

    def resolve(gvr: GVR, *, absent_for: float) -> Resource:
        if surprises:
            raise surprises.pop()
        return Resource(gvr.resource, "Box", True, VERBS)

    setup.server.resolve = resolve  # type: ignore[assignment, method-assign]
    setup.server.specs[BOXES] = True
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)


@timed(retry=0.05, certain=0.05)
def test_of_any_number_of_absent_kinds_each_has_its_turn(setup: Setup) -> None:
    many = [GVR("example.com", "v1", f"kind{number}s") for number in range(5 * setup.timing.absent_at_once)]
    for gvr in many:
        setup.kinds.get(gvr)
    until(lambda: all(setup.kinds.is_absent(gvr) for gvr in many))
    asked = len(setup.server.asked)
    until(lambda: set(setup.server.asked[asked:]) == set(many))
    setup.server.add(BOXES, "Box")
    setup.kinds.get(BOXES)
    until(lambda: setup.kinds.get(BOXES) is not None)


def type_of(setup: Setup, *keys: str) -> Type | None:
    """The type of a place in a Box; None while the schema is not known."""
    kind = setup.kinds.get(BOXES)
    return kind.schema.type_at(keys) if kind is not None and kind.schema is not None else None


def test_a_kind_gets_its_schema_and_a_new_one_when_its_crd_changes(setup: Setup) -> None:
    setup.server.add(BOXES, "Box")
    until(lambda: type_of(setup, "spec", "size") is Type.STRING)
    setup.server.fields = {"type": "object", "properties": {"size": {"type": "integer"}}}
    setup.changed.clear()
    setup.kinds.crd_changed("boxes.example.com", False)
    until(lambda: type_of(setup, "spec", "size") is Type.INTEGER)
    assert BOXES in setup.changed, "its users are requeued"


@timed(retry=0.02, lasting=0.1)
def test_a_discovery_that_fails_is_reported_once_and_only_if_it_lasts(setup: Setup) -> None:
    answer: list[KubeError | Resource] = [Unrecognized("not yet", status=404)]

    def resolve(gvr: GVR, *, absent_for: float) -> Resource:
        setup.server.asked.append(gvr)
        if isinstance(answer[0], KubeError):
            raise answer[0]
        return answer[0]

    setup.server.resolve = resolve  # type: ignore[assignment, method-assign]
    setup.server.specs[BOXES] = True
    with capture_logs() as logs:
        setup.kinds.get(BOXES)
        until(lambda: any(line["log_level"] == "warning" for line in logs))
        tried = len(setup.server.asked)
        until(lambda: len(setup.server.asked) > tried + 2)
    levels = [line["log_level"] for line in logs if line["event"].startswith("discovery of a kind failed")]
    assert levels[0] == "debug", "it may fail for a moment"
    assert levels.count("warning") == 1
    answer[0] = Resource(BOXES.resource, "Box", True, VERBS)
    until(lambda: setup.kinds.get(BOXES) is not None)


def test_a_schema_that_came_while_discovery_failed_is_learned_later(setup: Setup) -> None:
    """Else a task whose values need the types of the fields would wait for ever."""
    setup.server.specs[JOBS] = None
    setup.server.resources[JOBS] = Resource("jobs", "Job", True, VERBS)
    setup.kinds.get(JOBS)
    until(lambda: setup.kinds.get(JOBS) is not None)
    found = setup.kinds.get(JOBS)
    assert found is not None
    assert found.schema is None
    setup.server.failing = 1
    setup.server.specs[JOBS] = True

    def schema_is_known() -> bool:
        kind = setup.kinds.get(JOBS)
        return kind is not None and kind.schema is not None

    until(schema_is_known)
    assert not setup.server.failing
