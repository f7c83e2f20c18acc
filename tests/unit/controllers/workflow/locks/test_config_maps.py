"""The ConfigMap of semaphores, read by its name."""

from __future__ import annotations

from typing import Any, cast

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.locks.config_maps import read_limits
from pkg.controllers.workflow.planner.locks.calls import Failed, Limits
from pkg.kube.errors import Forbidden, Transient
from tests.unit.controllers.workflow.locks.lease_server import LeaseServer


def test_what_it_says() -> None:
    server = LeaseServer()
    server.put("limits", {"data": {"gpu": "3"}}, "configmaps")
    assert read_limits(cast(Any, server), "team", "limits") == Limits({"gpu": "3"})


def test_one_without_data() -> None:
    server = LeaseServer()
    server.put("limits", {}, "configmaps")
    assert read_limits(cast(Any, server), "team", "limits") == Limits({})


def test_one_that_is_not_there() -> None:
    assert read_limits(cast(Any, LeaseServer()), "team", "limits") == Limits(None)


def test_one_that_may_not_be_read() -> None:
    server = LeaseServer()
    server.errors["get"] = [Forbidden("no", status=403), Transient("no answer")]
    found = read_limits(cast(Any, server), "team", "limits")
    assert isinstance(found, Failed)
    assert (found.answer.reason, found.may_have_worked) == (Reasons.LOCK_INVALID, False)
    assert "may not read ConfigMap limits" in found.answer.message
    passing = read_limits(cast(Any, server), "team", "limits")
    assert isinstance(passing, Failed)
    assert passing.may_have_worked
