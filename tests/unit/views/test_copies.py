"""Parameters that are given on a command line, and what a copy of a workflow takes along."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import people
from pkg.views.copies import ParameterFault, copy_of, parse_parameters, with_parameters

OLD: dict[str, Any] = {
    "apiVersion": "flow.workflow.sh/v1alpha1",
    "kind": "Workflow",
    "metadata": {
        "name": "nightly",
        "namespace": "team",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 3,
        "finalizers": ["flow.workflow.sh/jobs"],
        "ownerReferences": [{"kind": "CronWorkflow"}],
        "labels": {"team": "a", "app.kubernetes.io/managed-by": "Helm", "flow.workflow.sh/workflow": "outer"},
        "annotations": {
            "note": "keep",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "argocd.argoproj.io/tracking-id": "x",
            "flow.workflow.sh/scheduled-time": "2027-03-28T03:00:00+02:00",
            people.ANNOTATIONS[0]: "{}",
        },
    },
    "spec": {
        "flows": [{"name": "a"}],
        "parameters": [{"name": "day", "value": "1"}],
        "suspend": True,
        "shutdown": "Stop",
        "restart": {"at": "x"},
        "timeout": "1h",
    },
    "status": {"phase": "Failed"},
}


def test_a_copy_is_a_run_of_its_own() -> None:
    assert copy_of(OLD) == {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "namespace": "team",
            "generateName": "nightly-",
            "labels": {"team": "a"},
            "annotations": {"note": "keep", "flow.workflow.sh/scheduled-time": "2027-03-28T03:00:00+02:00"},
        },
        "spec": {"flows": [{"name": "a"}], "parameters": [{"name": "day", "value": "1"}], "timeout": "1h"},
    }


@pytest.mark.parametrize(
    ("metadata", "name", "expected"),
    [
        pytest.param({}, "again", {"namespace": "team", "name": "again"}, id="a name that is given"),
        pytest.param({}, "", {"namespace": "team", "generateName": "nightly-"}, id="none is given"),
        pytest.param(
            {"generateName": "n-"},
            "",
            {"namespace": "team", "generateName": "n-"},
            id="a copy of a copy: names do not grow",
        ),
    ],
)
def test_names(metadata: dict[str, Any], name: str, expected: dict[str, str]) -> None:
    old = {**OLD, "metadata": {"name": "nightly", "namespace": "team", **metadata}}
    assert copy_of(old, name=name)["metadata"] == expected


@pytest.mark.parametrize(
    ("listed", "given", "expected"),
    [
        pytest.param(
            [("a", "1"), ("b", "2")], {"b": "3"}, [("a", "1"), ("b", "3")], id="a value is replaced in its place"
        ),
        pytest.param([("a", "1")], {"c": "3"}, [("a", "1"), ("c", "3")], id="a new one comes last"),
        pytest.param([], {"a": ""}, [("a", "")], id="an empty value is a value"),
    ],
)
def test_parameters(listed: list[tuple[str, str]], given: dict[str, str], expected: list[tuple[str, str]]) -> None:
    spec = {"parameters": [{"name": name, "value": value} for name, value in listed]}
    found = with_parameters({"spec": spec}, given)["spec"]["parameters"]
    assert [(each["name"], each["value"]) for each in found] == expected


@pytest.mark.parametrize("spec", [{"parameters": "x"}, {"parameters": ["x", {"name": 1}]}, "x", None])
def test_a_faulty_manifest_stays_for_the_check_to_judge(spec: Any) -> None:
    assert with_parameters({"spec": spec}, {}) == {"spec": spec}
    assert with_parameters({"spec": spec}, {"a": "1"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(["a=1", "b=x=y", "c="], {"a": "1", "b": "x=y", "c": ""}, id="name=value, the first = counts"),
        pytest.param(["a=1", "a=2"], {"a": "2"}, id="the last one counts"),
        pytest.param(["a"], '"a" is no parameter: write name=value', id="no value"),
        pytest.param(["=1"], '"" is no name of a parameter', id="no name"),
        pytest.param(["1a=1"], '"1a" is no name of a parameter', id="a wrong name"),
    ],
)
def test_parse(given: list[str], expected: dict[str, str] | str) -> None:
    if isinstance(expected, dict):
        assert parse_parameters(given) == expected
    else:
        with pytest.raises(ParameterFault, match=expected):
            parse_parameters(given)
