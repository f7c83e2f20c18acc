"""Which ways to write a spec mean the same, and which do not."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.meaning import is_same_spec, meaning
from pkg.apis.flow.v1alpha1.types import WorkflowSpec
from tests.manifests import decoded

RETRY = {
    "maxRetries": 0,
    "interval": "10s",
    "factor": 2,
    "maxInterval": "5m",
    "reasons": ["PendingTimeout", "Failed", "JobDeleted", "DeadlineExceeded"],
}
PROBE = {
    "taskStatusList": [],
    "httpGetList": [],
    "tcpSocketList": [],
    "periodSeconds": 5,
    "timeoutSeconds": 2,
    "successThreshold": 1,
    "pods": "Lead",
}
DEPENDS = {"targets": [], "strategy": "All", "onSkipped": "Skip", "probe": PROBE, "orGroups": []}
X, Y = ({"name": name, "from": {"path": f"status.{name}"}} for name in "xy")


def means(**fields: Any) -> dict[str, Any]:
    return meaning(decoded({"flows": [{"name": "a"}], **fields}, WorkflowSpec))


def flow(**fields: Any) -> dict[str, Any]:
    return means(flows=[{"name": "a", **fields}])


def on(**fields: Any) -> dict[str, Any]:
    return flow(dependsOn=fields)


def http(**fields: Any) -> dict[str, Any]:
    return on(probe={"httpGetList": [{"taskName": "b", "port": 80, **fields}]})


def status(strategy: str | None = None, *phases: str, **fields: Any) -> dict[str, Any]:
    asked = [{"taskName": f"b{at}", "phase": phase} for at, phase in enumerate(phases)]
    given = {"strategy": strategy} if strategy else {}
    return on(probe={"taskStatusList": asked}, **given, **fields)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(flow(), flow(retry={}), id="an empty retry"),
        pytest.param(flow(), flow(retry=RETRY), id="every default of retry, reasons in another order"),
        pytest.param(
            flow(retry={"reasons": ["Failed"]}),
            flow(retry={"reasons": ["Failed", "OutputMissing"]}),
            id="the reason OutputMissing without outputs",
        ),
        pytest.param(flow(), flow(outputs=[], when=""), id="no outputs and no condition"),
        pytest.param(flow(outputs=[X, Y]), flow(outputs=[Y, X]), id="another order of outputs"),
        pytest.param(flow(), flow(dependsOn={}), id="an empty dependsOn"),
        pytest.param(flow(), flow(dependsOn=DEPENDS), id="every default of dependsOn and its probe"),
        pytest.param(flow(), flow(dependsOn=None, patch=None, parameters=None, timeout=None), id="null"),
        pytest.param(flow(), flow(patch={}, parameters=[]), id="an empty patch and no parameters"),
        pytest.param(flow(), flow(patch=[]), id="a JSON Patch without a step"),
        pytest.param(flow(), flow(continueOnFail=False, template="a") | {}, id="switches that are off"),
        pytest.param(flow(), flow(**{"finally": False}), id="finally: false"),
        pytest.param(flow(**{"for": {}}), flow(**{"for": {"replicas": 1, "dependsOn": {}}}), id="for with defaults"),
        pytest.param(flow(timeout="60m"), flow(timeout="1h"), id="60m and 1h"),
        pytest.param(flow(timeout="0.7s"), flow(timeout="700ms"), id="0.7s and 700ms"),
        pytest.param(flow(pendingTimeout="90s"), flow(pendingTimeout="1m30s"), id="90s and 1m30s"),
        pytest.param(flow(retry={"interval": "10000ms"}), flow(), id="10000ms and the default 10s"),
        pytest.param(flow(retry={"maxInterval": "300s"}), flow(), id="300s and the default 5m"),
        pytest.param(flow(retry={"factor": 3.0}), flow(retry={"factor": 3}), id="3.0 and 3"),
        pytest.param(flow(retry={"factor": "3"}), flow(retry={"factor": 3}), id="a factor in quotes"),
        pytest.param(flow(retry={"factor": "1.5"}), flow(retry={"factor": 1.5}), id="1.5 as older manifests have it"),
        pytest.param(
            flow(retry={"reasons": ["JobDeleted", "Failed"]}),
            flow(retry={"reasons": ["Failed", "JobDeleted"]}),
            id="reasons in another order",
        ),
        pytest.param(flow(patch={"x": 1.0}), flow(patch={"x": 1}), id="a number of a patch as integer or float"),
        pytest.param(
            flow(patch={"x": 1, "y": {"b": 2, "a": 3}}), flow(patch={"y": {"a": 3, "b": 2}, "x": 1}), id="keys"
        ),
        pytest.param(on(targets=["b", "c"]), on(targets=["c", "b", "c"]), id="targets in another order, one twice"),
        pytest.param(on(targets=["b"], strategy="All"), on(targets=["b"]), id="strategy All, the default"),
        pytest.param(status(None, "Succeeded"), status(None, "Completed"), id="Succeeded reads as Completed"),
        pytest.param(status(None, "Terminated"), status("Any", "Aborted"), id="strategy Any, the default for Failed"),
        pytest.param(http(), http(path="/", scheme="HTTP"), id="the defaults of an HTTP probe"),
        pytest.param(
            on(orGroups=[{"targets": ["b"], "strategy": "All", "probe": PROBE}]),
            on(orGroups=[{"targets": ["b"]}]),
            id="the defaults of a group",
        ),
        pytest.param(
            flow(parameters=[{"name": "x", "value": "1"}, {"name": "y", "value": ""}]),
            flow(parameters=[{"name": "y", "value": ""}, {"name": "x", "value": "1"}]),
            id="parameters in another order",
        ),
        pytest.param(
            means(parameters=[{"name": "x"}, {"name": "y"}]),
            means(parameters=[{"name": "y"}, {"name": "x"}]),
            id="those of the workflow",
        ),
        pytest.param(means(), means(successPolicy={}), id="an empty successPolicy"),
        pytest.param(
            means(), means(successPolicy={"type": "All", "criticalFlows": [], "remaining": "Drain"}), id="its defaults"
        ),
        pytest.param(
            means(successPolicy={"type": "Critical", "criticalFlows": ["a", "b"]}),
            means(successPolicy={"type": "Critical", "criticalFlows": ["b", "a"]}),
            id="criticalFlows in another order",
        ),
        pytest.param(
            means(), means(jobRetainPolicy="retain", plugins={}, queueName="", schedulerName=""), id="empty strings"
        ),
        pytest.param(
            means(plugins={"svc": [], "ssh": ["x"]}), means(plugins={"ssh": ["x"], "svc": []}), id="plugins as a map"
        ),
    ],
)
def test_the_same_in_other_words(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(flow(), means(flows=[{"name": "b"}]), id="another name"),
        pytest.param(flow(), flow(**{"for": {}}), id="for, which gives an index"),
        pytest.param(flow(**{"for": {}}), flow(**{"for": {"replicas": 0}}), id="no replicas"),
        pytest.param(flow(), flow(timeout="0s"), id="a timeout of nothing is a timeout"),
        pytest.param(flow(timeout="1h"), flow(timeout="1h1ns"), id="a nanosecond more"),
        pytest.param(flow(), flow(retry={"reasons": []}), id="no reason to retry"),
        pytest.param(flow(), flow(retry={"reasons": ["Failed"]}), id="one reason to retry"),
        pytest.param(
            flow(outputs=[X], retry={"reasons": ["Failed"]}),
            flow(outputs=[X], retry={"reasons": ["Failed", "OutputMissing"]}),
            id="the reason OutputMissing with outputs",
        ),
        pytest.param(flow(outputs=[X]), flow(outputs=[Y]), id="another output"),
        pytest.param(flow(), flow(when="index == 0"), id="a condition"),
        pytest.param(flow(patch={"x": 1}), flow(patch={"x": "1"}), id="a number and a string"),
        pytest.param(flow(patch={"x": 1}), flow(patch={"x": True}), id="a number and a switch"),
        pytest.param(flow(patch={"x": None}), flow(), id="null in a patch deletes"),
        pytest.param(flow(patch={"x": [1, 2]}), flow(patch={"x": [2, 1]}), id="the order of a list in a patch"),
        pytest.param(on(targets=["b"], strategy="Any"), on(targets=["b"]), id="strategy Any of targets"),
        pytest.param(status("All", "Failed"), status(None, "Failed"), id="strategy All of phase Failed"),
        pytest.param(
            status("All", "Failed", targets=["b"]), status(None, "Failed", targets=["b"]), id="All for both of them"
        ),
        pytest.param(on(orGroups=[{}]), on(), id="an empty group, which is invalid"),
        pytest.param(
            on(orGroups=[{"targets": ["b"]}, {"targets": ["c"]}]),
            on(orGroups=[{"targets": ["c"]}, {"targets": ["b"]}]),
            id="the order of groups, by which answered probes are recorded",
        ),
        pytest.param(http(), http(path="/ready"), id="another path"),
        pytest.param(means(plugins={"svc": []}), means(), id="a plugin without arguments is one"),
        pytest.param(
            means(successPolicy={"type": "Critical", "criticalFlows": ["a"], "remaining": "Drain"}),
            means(successPolicy={"type": "Critical", "criticalFlows": ["a"]}),
            id="Drain under Critical, whose success continues",
        ),
        pytest.param(
            means(flows=[{"name": "a"}, {"name": "b"}]),
            means(flows=[{"name": "b"}, {"name": "a"}]),
            id="the order of flows, by which free slots are given",
        ),
    ],
)
def test_not_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert spelled(one) != spelled(other)


def spelled(value: Any) -> str:
    """As the hash sees it: to Python `1 == True`."""
    return repr(value)


def test_what_cannot_be_decoded_stays_as_it_is_written() -> None:
    assert flow(dependsOn={"targets": 5}) != flow(dependsOn={"targets": 6})


ONE: dict[str, Any] = {"flows": [{"name": "a"}]}
SAME: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "equal": (ONE, {"flows": [{"name": "a"}]}, True),
    "a default of a flow written out": ({"flows": [{"name": "a"}]}, {"flows": [{"name": "a", "retry": {}}]}, True),
    "a default of the spec written out": ({**ONE, "suspend": False}, ONE, True),
    "another field of a flow": ({"flows": [{"name": "a"}]}, {"flows": [{"name": "a", "timeout": "1h"}]}, False),
    "another field of the spec": (ONE, {**ONE, "timeout": "1h"}, False),
    "one flow more": ({"flows": [{"name": "a"}]}, {"flows": [{"name": "a"}, {"name": "b"}]}, False),
    "another order": ({"flows": [{"name": "a"}, {"name": "b"}]}, {"flows": [{"name": "b"}, {"name": "a"}]}, False),
}


@pytest.mark.parametrize(("old", "new", "expected"), SAME.values(), ids=SAME)
def test_two_specs_mean_the_same(old: dict[str, Any], new: dict[str, Any], expected: bool) -> None:
    one, other = decoded(old, WorkflowSpec), decoded(new, WorkflowSpec)
    assert is_same_spec(one, other) is expected
    assert (meaning(one) == meaning(other)) is expected
