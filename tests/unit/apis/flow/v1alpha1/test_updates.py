"""What may change in a workflow that has started."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import WorkflowSpec
from pkg.apis.flow.v1alpha1.updates import changes, validate_update
from tests.manifests import decoded

A: dict[str, Any] = {"flows": [{"name": "a", "retry": {}}, {"name": "b"}]}


def spec(**fields: Any) -> WorkflowSpec:
    return decoded({**A, **fields}, WorkflowSpec)


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        pytest.param({}, {}, [], id="nothing"),
        pytest.param(
            {},
            {"suspend": True, "parallelism": 3, "timeout": "1h", "ttlSecondsAfterFinished": 1, "restart": {"at": "1"}},
            [],
            id="what may change",
        ),
        pytest.param({}, {"flows": [{"name": "a", "retry": {"interval": "10s"}}, {"name": "b"}]}, [], id="a default"),
        pytest.param(
            {},
            {"flows": [{"name": "a", "retry": {"maxRetries": 1}}, {"name": "b", "patch": {"x": 1}}], "queueName": "q"},
            ["spec.queueName", "spec.flows[0].retry", "spec.flows[1].patch"],
            id="what may not, each with its path",
        ),
        pytest.param(
            {"flows": [{"name": "a", "patch": {"x": 1}}]},
            {"flows": [{"name": "a", "patch": {"x": True}}]},
            ["spec.flows[0].patch"],
            id="true for 1, which the hash tells apart",
        ),
        pytest.param({}, {"flows": [{"name": "a"}]}, ["spec.flows"], id="a flow less"),
        pytest.param({}, {"shutdown": "Stop"}, [], id="a shutdown"),
        pytest.param({"shutdown": "Stop"}, {"shutdown": "Terminate"}, [], id="a harder shutdown"),
        pytest.param({"shutdown": "Stop"}, {}, ["spec.shutdown"], id="a shutdown taken back"),
        pytest.param({"shutdown": "Terminate"}, {"shutdown": "Stop"}, ["spec.shutdown"], id="a softer shutdown"),
        pytest.param(
            {"shutdown": "Stop", "restart": {"at": "1"}},
            {"shutdown": "Stop", "restart": {"at": "2"}},
            ["spec.restart.at"],
            id="a restart after a shutdown",
        ),
        pytest.param(
            {"restart": {"at": "1"}}, {"restart": {"at": "1"}, "shutdown": "Stop"}, [], id="a shutdown after a restart"
        ),
    ],
)
def test_changes_after_the_start(old: dict[str, Any], new: dict[str, Any], paths: list[str]) -> None:
    assert [fault.path for fault in validate_update(spec(**old), spec(**new), started=True)] == paths


@pytest.mark.parametrize(
    ("flows", "found"),
    [
        pytest.param([{"name": "a"}], [("spec.flows", 'removed "b"')], id="a flow less"),
        pytest.param([{"name": "a"}, {"name": "c"}], [("spec.flows", 'removed "b", added "c"')], id="renamed"),
        pytest.param([{"name": "b"}, {"name": "a"}], [("spec.flows", "another order")], id="another order"),
        pytest.param(
            [{"name": "c"}, {"name": "b", "for": {}}, {"name": "a"}],
            [("spec.flows", 'added "c"'), ("spec.flows[1].for", 'flow "b"')],
            id="a flow more and a change of one that was there",
        ),
        pytest.param(
            [{"name": name} for name in ("a", "b", "p", "q", "r", "s")],
            [("spec.flows", 'added "p", "q", "r" and 1 more')],
            id="many names are counted",
        ),
    ],
)
def test_changes_name_the_flow(flows: list[dict[str, Any]], found: list[tuple[str, str]]) -> None:
    assert list(changes(spec(), spec(flows=flows))) == found


def test_after_the_end_the_spec_is_free_for_the_next_restart() -> None:
    new = spec(flows=[{"name": "c"}], restart={"at": "1"})
    assert validate_update(spec(shutdown="Stop"), new, started=True, ended=True) == ()


def test_after_the_end_a_restart_still_needs_shutdown_to_be_removed() -> None:
    new = spec(shutdown="Stop", restart={"at": "1"})
    faults = validate_update(spec(shutdown="Stop"), new, started=True, ended=True)
    assert [fault.path for fault in faults] == ["spec.restart.at"]


def test_before_the_start_everything_may_change() -> None:
    assert validate_update(spec(), spec(flows=[{"name": "c"}]), started=False) == ()
