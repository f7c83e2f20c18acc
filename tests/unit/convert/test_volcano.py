"""What each construct of JobFlow becomes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pkg.convert.convert import Unreadable, convert
from pkg.views.manifests.writing import as_yaml
from tests.unit.convert.reading import Read, read


def job_flow(*flows: dict[str, Any], **spec: Any) -> Read:
    whole = {
        "apiVersion": "flow.volcano.sh/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": "w"},
        "spec": {"flows": list(flows), **spec},
    }
    return read(convert({"w.yaml": as_yaml(whole)}))


A = {"name": "a"}


@pytest.mark.parametrize(
    ("depends", "expected"),
    [
        pytest.param({"targets": ["a"]}, {"targets": ["a"]}, id="targets"),
        pytest.param(
            {
                "probe": {
                    "httpGetList": [
                        {"taskName": "a", "port": 80, "path": "/x", "httpHeader": {"name": "A", "value": "b"}}
                    ]
                }
            },
            {
                "probe": {
                    "httpGetList": [
                        {"taskName": "a", "port": 80, "path": "/x", "httpHeader": {"name": "A", "value": "b"}}
                    ]
                }
            },
            id="an HTTP probe",
        ),
        pytest.param(
            {"probe": {"tcpSocketList": [{"taskName": "a", "port": 22}]}},
            {"probe": {"tcpSocketList": [{"taskName": "a", "port": 22}]}},
            id="a TCP probe",
        ),
        pytest.param(
            {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Aborted"}]}},
            {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Failed"}]}},
            id="a phase",
        ),
    ],
)
def test_what_a_flow_waits_for(depends: dict[str, Any], expected: dict[str, Any]) -> None:
    found = job_flow(A, {"name": "b", "dependsOn": depends})
    assert found.flow("b")["dependsOn"] == expected
    assert found.lost == []


def test_fields_of_a_job_flow() -> None:
    found = job_flow(A, {"name": "b", "patch": {"jobSpec": {"minAvailable": 2}}}, jobRetainPolicy="delete")
    assert found.workflow["spec"]["jobRetainPolicy"] == "delete"
    assert found.flow("b")["patch"] == {"spec": {"minAvailable": 2}}
    assert found.lost == []


def test_a_job_template_is_a_work_template_whose_text_stays_text() -> None:
    made = {
        "apiVersion": "flow.volcano.sh/v1alpha1",
        "kind": "JobTemplate",
        "metadata": {"name": "t"},
        "spec": {"queue": "{{index}}"},
    }
    found = read(convert({"t.yaml": as_yaml(made)}))
    assert found.template("t") == {
        "gvr": {"group": "batch.volcano.sh", "version": "v1alpha1", "resource": "jobs"},
        "jobSpec": {"queue": "{{{{index}}}}"},
    }


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(job_flow(A, jobRetainPolicy="keep"), "neither retain nor delete", id="an unknown policy"),
        pytest.param(
            job_flow(A, {"name": "b", "dependsOn": {"probe": {"tcpSocketList": [{"taskName": "x", "port": 1}]}}}),
            "taskName is not the name of a flow",
            id="a probe of something else",
        ),
        pytest.param(
            job_flow(A, {"name": "b", "dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "x"}]}}}),
            "we have no such phase",
            id="an unknown phase",
        ),
        pytest.param(job_flow({**A, "odd": 1}), "convert does not know this field", id="an unknown field"),
    ],
)
def test_what_has_no_word_is_named(found: Read, message: str) -> None:
    assert any(message in line for line in found.lost)


def test_a_file_that_is_no_yaml() -> None:
    with pytest.raises(Unreadable, match=r"w\.yaml:2:1: this is no YAML"):
        convert({"w.yaml": "a: ["})


def test_objects_of_other_systems_are_passed_on() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"
    found = read(convert({"c.yaml": text}))
    assert found.result.objects == [yaml.safe_load(text)]
    assert found.lost == []
