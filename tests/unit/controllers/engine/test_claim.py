"""Controllers with different Leases that meet at one CRD, step by step, under a clock that the test moves."""

# ruff: noqa: A002 - the signatures are the client's.
from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from pkg.apis.meta import GVR, ObjectMeta, PartialObject
from pkg.controllers.engine.claim import ALL, CRD, Claim, LeaseName, overlapping
from pkg.controllers.engine.elector import Elector
from pkg.controllers.engine.lease import LeaseOptions
from pkg.controllers.engine.unelected import Unelected
from pkg.kube.discovery import CRDS
from pkg.kube.errors import Conflict, Exists, Forbidden, KubeError, NotFound

SECONDS = 6.0
KINDS = {"elected": Elector, "unelected": Unelected}


class Api:
    """The CRD and the Leases, with the API server's rules: versions, conflicts, names taken, permissions."""

    def __init__(self) -> None:
        self.leases: dict[tuple[str, str], dict[str, Any]] = {}
        self.annotations: dict[str, str] = {}
        self.version = 1
        self.now = 1000.0
        self.forbidden: set[str] = set()
        self.calls: list[str] = []
        self.on_patch: Callable[[], object] = lambda: None
        self._serial = itertools.count(1)

    def clock(self) -> float:
        return self.now

    def get(self, gvr: GVR, namespace: str | None, name: str, type: Any, *, metadata_only: bool = False) -> Any:
        self._called("get", gvr)
        if gvr == CRDS:
            assert metadata_only
            return PartialObject(
                ObjectMeta(name=CRD, resource_version=str(self.version), annotations=dict(self.annotations))
            )
        if (namespace, name) not in self.leases:
            raise NotFound("no lease", status=404)
        return self.leases[namespace or "", name]

    def create(self, gvr: GVR, namespace: str | None, body: Any, type: Any) -> Any:
        self._called("create", gvr)
        key = (namespace or "", body["metadata"]["name"])
        if key in self.leases:
            raise Exists("there is one", status=409)
        return self._store(key, {**body, "metadata": {**body["metadata"], "uid": f"uid-{next(self._serial)}"}})

    def replace(self, gvr: GVR, namespace: str | None, name: str, body: Any, type: Any) -> Any:
        self._called("replace", gvr)
        held = self.leases.get((namespace or "", name))
        if held is None:
            raise NotFound("no lease", status=404)
        if body["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]:
            raise Conflict("it changed", status=409)
        return self._store((namespace or "", name), body)

    def patch(self, gvr: GVR, namespace: str | None, name: str, body: bytes, **_options: Any) -> Any:
        self._called("patch", gvr)
        hook, self.on_patch = self.on_patch, lambda: None
        hook()
        metadata = msgspec.json.decode(body)["metadata"]
        if metadata["resourceVersion"] != str(self.version):
            raise Conflict("it changed", status=409)
        self.version += 1
        merged = {**self.annotations, **metadata["annotations"]}
        self.annotations = {key: text for key, text in merged.items() if text is not None}

    def abort(self) -> None:
        pass

    def _store(self, key: tuple[str, str], body: Any) -> Any:
        self.leases[key] = {
            **body,
            "metadata": {**body["metadata"], "resourceVersion": str(next(self._serial))},
        }
        return self.leases[key]

    def _called(self, verb: str, gvr: GVR) -> None:
        self.calls.append(f"{verb} {gvr.resource}")
        if f"{verb} {gvr.resource}" in self.forbidden:
            raise Forbidden(f"may not {verb} {gvr.resource}", status=403)


@pytest.fixture
def api() -> Api:
    return Api()


def controller(
    api: Api, namespace: str = "one", identity: str = "a", *, scope: str = "", kind: type[Elector] = Elector
) -> Elector:
    options = LeaseOptions(namespace, "wc", identity, lease_duration=SECONDS, renew_deadline=4, retry_period=1)
    claim = Claim(api, options, scope, api.clock)
    nothing = lambda: None  # noqa: E731
    return kind(api, options, nothing, nothing, claim=claim, clock=api.clock, rng=lambda: 0.0)


def go_on(api: Api, *electors: Elector, seconds: int = 1) -> None:
    """Time passes, and each of them steps once a second."""
    for _ in range(seconds):
        api.now += 1
        for one in electors:
            one.step()


def until_leads(api: Api, one: Elector, *others: Elector, limit: int = 30) -> int:
    """The seconds until it leads."""
    one.step()
    for seconds in range(limit):
        if one.is_leader():
            return seconds
        go_on(api, *others, one)
    raise AssertionError("it never leads")


def end(one: Elector) -> None:
    """It stops in order, and releases its Lease."""
    one._release = True
    one._stopping.set()
    one._finish()


@pytest.mark.parametrize("first_kind", KINDS.values(), ids=[f"the first is {name}" for name in KINDS])
@pytest.mark.parametrize("second_kind", KINDS.values(), ids=[f"the second is {name}" for name in KINDS])
def test_a_second_controller_with_another_lease_stays_out_until_the_first_is_gone(
    api: Api, first_kind: type[Elector], second_kind: type[Elector]
) -> None:
    first = controller(api, "one", "a", kind=first_kind)
    second = controller(api, "two", "b", kind=second_kind)
    first.step()
    assert first.is_leader()
    with capture_logs() as logs:
        for _ in range(30):
            go_on(api, first, second)
            assert (first.is_leader(), second.is_leader()) == (True, False)
    said = [line for line in logs if line["event"].startswith("another controller acts on these workflows")]
    assert [(line["other_lease"], line["other_holder"]) for line in said] == [("one/wc", "a")], "once"
    assert "--leader-elect-resource-namespace" in said[0]["advice"]
    assert "--exclusive=false" in said[0]["advice"]
    assert ("two", "wc") not in api.leases, "it did not even take its own Lease"
    assert until_leads(api, second) in (SECONDS - 1, SECONDS), "after the first has died"
    assert api.annotations[ALL].startswith("two/wc/")


def test_a_controller_that_stops_in_order_makes_room_at_once(api: Api) -> None:
    first, second = controller(api, "one", "a"), controller(api, "two", "b")
    first.step()
    go_on(api, first, second, seconds=3)
    end(first)
    assert until_leads(api, second) == 0


def test_a_rolling_restart_keeps_nobody_out(api: Api) -> None:
    """The new process has the same Lease: the claim names that, and no process."""
    old, new = controller(api, "one", "a"), controller(api, "one", "b")
    old.step()
    go_on(api, old, new, seconds=3)
    end(old)
    assert until_leads(api, new) == 0
    assert api.annotations[ALL] == str(LeaseName("one", "wc", "uid-1"))


def test_a_lease_that_moved_keeps_nobody_out(api: Api) -> None:
    """The flags name another Lease now, and the pods are replaced one by one."""
    old, new = controller(api, "old", "a"), controller(api, "new", "b")
    old.step()
    go_on(api, old, new, seconds=3)
    assert not new.is_leader()
    end(old)
    assert until_leads(api, new) == 0
    go_on(api, new, seconds=3)
    assert api.annotations[ALL].startswith("new/wc/")
    back = controller(api, "old", "c")
    go_on(api, new, back, seconds=20)
    assert (new.is_leader(), back.is_leader()) == (True, False)


RESTORED = {
    "its Lease is gone": (None, 0),
    "its Lease was restored with another uid": ("another", 0),
    "its Lease was restored as it was, and nobody renews it": ("uid-9", SECONDS),
}


@pytest.mark.parametrize(("uid", "seconds"), RESTORED.values(), ids=RESTORED.keys())
def test_a_claim_that_was_restored_from_a_backup_keeps_nobody_out(api: Api, uid: str | None, seconds: float) -> None:
    api.annotations = {ALL: "gone/wc/uid-9", "other": "kept"}
    if uid is not None:
        spec = {"holderIdentity": "x", "leaseDurationSeconds": 6, "renewTime": "2020-01-01T00:00:00.000000Z"}
        meta = {"name": "wc", "uid": uid, "resourceVersion": "1"}
        api.leases["gone", "wc"] = {"metadata": meta, "spec": spec}
    assert until_leads(api, controller(api)) == seconds
    assert api.annotations == {ALL: "one/wc/uid-1", "other": "kept"}


@pytest.mark.parametrize("text", ["", "x", "a/b", "a/b/c/d", "//"])
def test_a_claim_that_names_no_lease_keeps_nobody_out(api: Api, text: str) -> None:
    api.annotations = {ALL: text}
    assert until_leads(api, controller(api)) == 0


def test_a_lease_with_a_huge_duration_keeps_nobody_out_for_long(api: Api) -> None:
    api.annotations = {ALL: "gone/wc/u"}
    spec = {"holderIdentity": "x", "leaseDurationSeconds": 10**9}
    api.leases["gone", "wc"] = {"metadata": {"uid": "u", "resourceVersion": "1"}, "spec": spec}
    assert until_leads(api, controller(api), limit=70) == 60


def test_of_two_that_come_at_once_one_acts(api: Api) -> None:
    first, second = controller(api, "one", "a"), controller(api, "two", "b")
    api.on_patch = second.step  # comes between the look and the claim
    first.step()
    assert (first.is_leader(), second.is_leader()) == (False, True)
    assert api.leases["one", "wc"]["spec"]["holderIdentity"] == "", "it gave its Lease back"
    go_on(api, second, first, seconds=20)
    assert (first.is_leader(), second.is_leader()) == (False, True)


def test_a_claim_that_somebody_removes_is_made_again_and_lets_nobody_in(api: Api) -> None:
    first, second = controller(api, "one", "a"), controller(api, "two", "b")
    first.step()
    go_on(api, first, second, seconds=3)
    api.annotations, api.version = {}, api.version + 1
    go_on(api, first, second, seconds=5)
    assert not second.is_leader()
    first._keep_claim()
    assert api.annotations == {ALL: "one/wc/uid-1"}


def test_of_two_that_act_the_one_without_a_claim_ends_its_term(api: Api) -> None:
    """The claim was removed, and the other controller had never seen the first."""
    first = controller(api, "one", "a")
    first.step()
    api.annotations, api.version = {}, api.version + 1
    second = controller(api, "two", "b")
    second.step()
    for _ in range(3):
        first._keep_claim()
        go_on(api, first, second)
    assert (first.is_leader(), second.is_leader()) == (False, True)
    assert api.leases["one", "wc"]["spec"]["holderIdentity"] == ""


def test_a_lease_that_is_made_anew_is_claimed_at_once(api: Api) -> None:
    first = controller(api)
    first.step()
    del api.leases["one", "wc"]
    go_on(api, first, seconds=2)
    assert first.is_leader()
    assert api.annotations[ALL] == f"one/wc/{api.leases['one', 'wc']['metadata']['uid']}"


SCOPES = {
    "both act on all": ("", "", False),
    "one acts on all, the other on one namespace": ("", "team", False),
    "one acts on one namespace, the other on all": ("team", "", False),
    "both act on the same namespace": ("team", "team", False),
    "each acts on a namespace of its own": ("team", "other", True),
}


@pytest.mark.parametrize(("first", "second", "is_free"), SCOPES.values(), ids=SCOPES.keys())
def test_only_controllers_of_the_same_workflows_keep_each_other_out(
    api: Api, first: str, second: str, is_free: bool
) -> None:
    one, two = controller(api, "one", "a", scope=first), controller(api, "two", "b", scope=second)
    one.step()
    go_on(api, one, two, seconds=20)
    assert (one.is_leader(), two.is_leader()) == (True, is_free)


def test_claims_are_read_by_scope() -> None:
    annotations = {
        ALL: "a/b/c",
        "namespace.flow.workflow.sh/x": "d/e/f",
        "namespace.flow.workflow.sh/y": "no",
        "z": "g/h/i",
    }
    assert [key for key, _ in overlapping(annotations, "")] == [ALL, "namespace.flow.workflow.sh/x"]
    assert [key for key, _ in overlapping(annotations, "x")] == [ALL, "namespace.flow.workflow.sh/x"]
    assert [key for key, _ in overlapping(annotations, "w")] == [ALL]


@pytest.mark.parametrize("call", ["get customresourcedefinitions", "patch customresourcedefinitions"])
def test_without_the_permission_it_acts_and_says_so_once(api: Api, call: str) -> None:
    api.forbidden = {call}
    one = controller(api)
    with capture_logs() as logs:
        one.step()
        for _ in range(3):
            go_on(api, one)
            one._keep_claim()
    assert one.is_leader()
    assert [line["permission"] for line in logs if "permission" in line] == [f"{call}/{CRD}"]


def test_without_permission_for_its_lease_an_unelected_controller_acts_unnoticed_but_notices(api: Api) -> None:
    first = controller(api, "one", "a")
    first.step()
    api.forbidden = {"create leases", "replace leases"}
    second = controller(api, "two", "b", kind=Unelected)
    for _ in range(5):
        api.forbidden = set()
        go_on(api, first)
        api.forbidden = {"create leases", "replace leases"}
        second.step()
        assert not second.is_leader()
    end(first)
    api.leases.clear()
    assert until_leads(api, second) <= SECONDS
    assert ("two", "wc") not in api.leases


def test_an_unelected_controller_acts_until_it_is_stopped_however_late_a_renewal_is(api: Api) -> None:
    one = controller(api, kind=Unelected)
    one.step()
    api.now += 100
    assert one.is_leader()
    one.step()
    assert one.is_leader()
    one.stop()
    assert not one.is_leader()


def test_a_renewal_costs_one_call_with_a_claim_too(api: Api) -> None:
    one = controller(api)
    one.step()
    api.calls.clear()
    go_on(api, one, seconds=5)
    assert api.calls == ["replace leases"] * 5


def test_what_cannot_be_read_is_tried_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    one = controller(api)

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise KubeError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(api, "get", fail)
        one.step()
        assert not one.is_leader()
    assert until_leads(api, one) == 0
