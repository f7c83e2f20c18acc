"""What each construct of Tekton becomes, and what is said of those that have no word here."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.convert.convert import convert
from pkg.views.manifests.writing import as_yaml
from tests.unit.convert.reading import Read, read

STEP = {"image": "busybox:1.36", "command": ["true"]}
SAY = {
    "apiVersion": "tekton.dev/v1",
    "kind": "Task",
    "metadata": {"name": "say"},
    "spec": {
        "params": [{"name": "text"}],
        "results": [{"name": "size"}],
        "steps": [{"name": "main", "image": "busybox:1.36", "script": "echo $(params.text) > $(results.size.path)"}],
    },
}


def tekton(*documents: dict[str, Any]) -> Read:
    return read(convert({"p.yaml": "---\n".join(map(as_yaml, [SAY, *documents]))}))


def pipeline(*tasks: dict[str, Any], **spec: Any) -> Read:
    """A Pipeline of these tasks, which run one step unless they say otherwise."""
    whole = [task if "taskRef" in task else {"taskSpec": {"steps": [STEP]}, **task} for task in tasks]
    meta = {"name": "p"}
    return tekton(
        {"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": meta, "spec": {"tasks": whole, **spec}}
    )


def run(spec: dict[str, Any], *tasks: dict[str, Any], **pipeline_spec: Any) -> Read:
    whole = [task if "taskRef" in task else {"taskSpec": {"steps": [STEP]}, **task} for task in tasks]
    inner = {"pipelineSpec": {"tasks": whole, **pipeline_spec}, **spec}
    return tekton({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "p"}, "spec": inner})


def task(**spec: Any) -> Read:
    return pipeline({"name": "a", "taskSpec": {"steps": [STEP], **spec}})


A, B = {"name": "a"}, {"name": "b"}
CALL = {"name": "a", "taskRef": {"name": "say"}, "params": [{"name": "text", "value": "x"}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"runAfter": ["a"]}, {"dependsOn": {"targets": ["a"]}}, id="runAfter"),
        pytest.param({"retries": 2}, {"retry": {"maxRetries": 2, "interval": "0s"}}, id="retries"),
        pytest.param({"timeout": "5m"}, {"timeout": "5m"}, id="a timeout"),
        pytest.param({"onError": "continue"}, {"continueOnFail": True}, id="onError"),
        pytest.param(
            {"when": [{"input": "$(tasks.a.results.size)", "operator": "in", "values": ["1", "2"]}]},
            {"when": 'outputs["a"]["size"] in ["1", "2"]'},
            id="when in",
        ),
        pytest.param(
            {
                "when": [
                    {"input": "x", "operator": "notin", "values": ["y"]},
                    {"input": "x", "operator": "in", "values": ["x"]},
                ]
            },
            {"when": '!("x" in ["y"]) && "x" in ["x"]'},
            id="several conditions",
        ),
        pytest.param(
            {"matrix": {"params": [{"name": "os", "value": ["l", "w"]}, {"name": "v", "value": ["1"]}]}},
            {"for": {"items": [{"os": "l", "v": "1"}, {"os": "w", "v": "1"}]}},
            id="a matrix has every combination",
        ),
        pytest.param(
            {"matrix": {"params": [{"name": "os", "value": "$(tasks.a.results.size[*])"}]}},
            {"for": {"itemsFrom": "{{flows.a.outputs.size}}"}},
            id="a matrix of a result",
        ),
        pytest.param(
            {"matrix": {"include": [{"name": "x", "params": [{"name": "os", "value": "l"}]}]}},
            {"for": {"items": [{"os": "l"}]}},
            id="a matrix that only includes",
        ),
    ],
)
def test_fields_of_a_pipeline_task(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = pipeline(CALL, {**B, "taskSpec": {"params": [{"name": "os"}, {"name": "v"}], "steps": [STEP]}, **fields})
    assert {key: found.flow("b").get(key) for key in expected} == expected
    assert found.lost == []


def test_results_are_outputs() -> None:
    found = pipeline(CALL, {**CALL, "name": "b", "params": [{"name": "text", "value": "$(tasks.a.results.size) MB"}]})
    assert found.flow("a")["outputs"] == [{"name": "size", "from": {"terminationMessage": {"container": "main"}}}]
    assert found.flow("b")["parameters"] == [{"name": "text", "value": "{{flows.a.outputs.size}} MB"}]
    assert found.pod("say")["containers"][0]["terminationMessagePath"] == "/tekton/results/size"


def test_a_task_that_when_skips_lets_others_go_on_wherever_it_is_declared() -> None:
    when = [{"input": "x", "operator": "in", "values": ["y"]}]
    found = pipeline({"name": "c", "runAfter": ["b"]}, A, {**B, "runAfter": ["a"], "when": when})
    assert found.flow("c")["dependsOn"] == {"targets": ["b", "a"], "onSkipped": "Ignore"}


def test_a_task_whose_condition_has_no_word_runs_in_any_case() -> None:
    """As a condition over literal text, it would never run."""
    when = [{"input": "$(tasks.a.status)", "operator": "in", "values": ["Failed"]}]
    found = pipeline(A, **{"finally": [{"name": "z", "taskSpec": {"steps": [STEP]}, "when": when}]})
    assert "when" not in found.flow("z")
    assert any("when cannot say this; the flow runs in any case" in text for text in found.lost)


def test_the_outcome_that_finally_tasks_ask_for() -> None:
    when = [{"input": "$(tasks.status)", "operator": "in", "values": ["Failed"]}]
    found = pipeline(A, **{"finally": [{"name": "z", "taskSpec": {"steps": [STEP]}, "when": when}]})
    assert found.flow("z")["when"] == 'workflow.phase in ["Failed"]'


def test_finally_tasks() -> None:
    assert pipeline(A, **{"finally": [{"name": "z", "taskSpec": {"steps": [STEP]}}]}).flow("z")["finally"] is True


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([STEP], ["true"], id="a command"),
        pytest.param([{"image": "x", "script": "a"}], ["sh", "-c", "set -e\na"], id="a script without a first line"),
        pytest.param(
            [{"image": "x", "script": "#!/usr/bin/env python3\na"}],
            ["python3", "-c", "a"],
            id="a script of an interpreter",
        ),
        pytest.param(
            [{"image": "x", "script": "#!/bin/bash -e\na", "args": ["b"]}],
            ["/bin/bash", "-e", "-c", "a", "script", "b"],
            id="arguments of a script",
        ),
        pytest.param(
            [{"image": "x", "script": "#!/bin/sh\necho {{index}}"}],
            ["/bin/sh", "-c", "echo {{{{index}}}}"],
            id="text that looks like our variables",
        ),
    ],
)
def test_steps(steps: list[dict[str, Any]], expected: list[str]) -> None:
    found = task(steps=steps)
    assert found.pod("p-a")["containers"][0]["command"] == expected
    assert found.lost == []


def test_steps_run_one_after_the_other_in_one_pod() -> None:
    found = task(
        steps=[{"name": "one", **STEP}, {"name": "two", **STEP}], stepTemplate={"env": [{"name": "A", "value": "b"}]}
    )
    pod = found.pod("p-a")
    assert [step["name"] for step in (*pod["initContainers"], *pod["containers"])] == ["one", "two"]
    assert pod["containers"][0]["env"] == [{"name": "A", "value": "b"}]
    assert pod["containers"][0]["volumeMounts"] == pod["initContainers"][0]["volumeMounts"]


def test_parameters_of_a_list_and_of_an_object() -> None:
    params = [
        {"name": "flags", "type": "array", "default": ["-a", "-b"]},
        {"name": "repo", "properties": {"url": {}}, "type": "object", "default": {"ref": "main"}},
    ]
    found = task(params=params, steps=[{"image": "x", "args": ["$(params.flags[1])", '$(params["repo"].url)']}])
    assert found.template("p-a")["parameters"] == [
        {"name": "flags.0", "value": "-a"},
        {"name": "flags.1", "value": "-b"},
        {"name": "repo.url"},
        {"name": "repo.ref", "value": "main"},
    ]
    assert found.pod("p-a")["containers"][0]["args"] == ["{{params.flags.1}}", "{{params.repo.url}}"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"timeouts": {"pipeline": "2h"}}, {"timeout": "2h"}, id="the timeout"),
        pytest.param({"status": "StoppedRunFinally"}, {"shutdown": "Stop"}, id="stopped"),
        pytest.param({"status": "Cancelled"}, {"shutdown": "Terminate"}, id="cancelled"),
        pytest.param({"status": "PipelineRunPending"}, {"suspend": True}, id="pending"),
    ],
)
def test_fields_of_a_run(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    found = run(spec, A)
    assert {key: found.workflow["spec"].get(key) for key in expected} == expected
    assert found.lost == []


def test_the_parameters_of_a_run_go_before_defaults() -> None:
    found = run({"params": [{"name": "x", "value": "2"}]}, A, params=[{"name": "x", "default": "1"}, {"name": "text"}])
    assert found.workflow["spec"]["parameters"] == [{"name": "x", "value": "2"}, {"name": "pipeline.text"}]


def test_workspaces_of_a_run_are_volumes() -> None:
    workspaces = [{"name": "code", "persistentVolumeClaim": {"claimName": "c"}}]
    spec = {"steps": [{"image": "x", "workingDir": "$(workspaces.src.path)"}], "workspaces": [{"name": "src"}]}
    called = {"name": "a", "taskSpec": spec, "workspaces": [{"name": "src", "workspace": "code"}]}
    found = run({"workspaces": workspaces, "taskRunTemplate": {"serviceAccountName": "me"}}, called)
    assert found.flow("a")["patch"]["spec"]["template"]["spec"] == {
        "serviceAccountName": "me",
        "volumes": [{"name": "workspace-src", "emptyDir": None, "persistentVolumeClaim": {"claimName": "c"}}],
    }
    assert found.pod("p-a")["containers"][0]["workingDir"] == "/workspace/src"
    assert found.lost == []


def test_a_run_finds_its_pipeline() -> None:
    found = tekton(
        {"apiVersion": "tekton.dev/v1beta1", "kind": "Pipeline", "metadata": {"name": "q"}, "spec": {"tasks": [CALL]}},
        {
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {"generateName": "q-"},
            "spec": {"pipelineRef": {"name": "q"}},
        },
    )
    names = [made["metadata"] for made in found.result.objects if made["kind"] == "Workflow"]
    assert names == [{"name": "q"}, {"generateName": "q-"}]
    assert found.lost == []


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(
            lambda: pipeline({**A, "when": [{"cel": "true"}]}), "write it as when of the flow", id="when in CEL"
        ),
        pytest.param(
            lambda: pipeline({"name": "a", "taskRef": {"resolver": "hub"}}),
            "only Tasks in the same files",
            id="a resolver",
        ),
        pytest.param(
            lambda: pipeline({"name": "a", "taskRef": {"name": "other"}}),
            "no Task other is in these files",
            id="a Task that is elsewhere",
        ),
        pytest.param(lambda: pipeline({**A, "runAfter": ["x"]}), "there is no task of this name", id="an unknown task"),
        pytest.param(
            lambda: pipeline(A, results=[{"name": "x", "value": "y"}]),
            "read outputs of flows",
            id="results of a Pipeline",
        ),
        pytest.param(
            lambda: task(steps=[{**STEP, "onError": "continue"}]),
            "a step whose failure does not count",
            id="a step that may fail",
        ),
        pytest.param(
            lambda: task(steps=[{**STEP, "ref": {"name": "x"}}]), "StepActions are not there", id="a StepAction"
        ),
        pytest.param(
            lambda: task(steps=[{"image": "x", "args": ["$(params.l[*])"]}], params=[{"name": "l", "type": "array"}]),
            "cannot become several arguments",
            id="a list as arguments",
        ),
        pytest.param(
            lambda: task(results=[{"name": "x"}, {"name": "y"}]),
            "one file of the last step can be read",
            id="several results",
        ),
        pytest.param(
            lambda: task(steps=[{"image": "x", "args": ["$(tasks.status)"]}]),
            "wait for a phase of the flow",
            id="a status",
        ),
        pytest.param(
            lambda: run({"timeouts": {"tasks": "1h"}}, A),
            "bounds everything but finally flows",
            id="a timeout of tasks",
        ),
        pytest.param(
            lambda: run({"taskRunSpecs": [{"pipelineTaskName": "a"}]}, A),
            "write it as patch of the flow",
            id="settings of one task",
        ),
        pytest.param(
            lambda: run({"params": [{"name": "x", "value": "y"}]}, A),
            "the Pipeline has no such parameter",
            id="an unknown parameter",
        ),
        pytest.param(
            lambda: run({"workspaces": [{"name": "w", "volumeClaimTemplate": {}}]}, A),
            "convert does not know this field",
            id="a workspace that no task uses",
        ),
    ],
)
def test_what_has_no_word_is_named(found: Any, message: str) -> None:
    assert any(message in line for line in found().lost)


def task_run(**spec: Any) -> Read:
    whole = {"taskRef": {"name": "say"}, "params": [{"name": "text", "value": "x"}], **spec}
    run = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "r"}, "spec": whole}
    return tekton(run)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {}, id="a Task by its name"),
        pytest.param({"retries": 2}, {"retry": {"maxRetries": 2, "interval": "0s"}}, id="retries"),
        pytest.param({"timeout": "1h30m"}, {"timeout": "1h30m"}, id="a timeout"),
        pytest.param({"timeout": "0"}, {}, id="no timeout"),
        pytest.param(
            {"serviceAccountName": "a", "podTemplate": {"nodeSelector": {"k": "v"}}},
            {"patch": {"spec": {"template": {"spec": {"serviceAccountName": "a", "nodeSelector": {"k": "v"}}}}}},
            id="fields of the pod",
        ),
        pytest.param(
            {"params": [{"name": "text", "value": "{{workflow.name}} $(params.text)"}]},
            {"parameters": [{"name": "text", "value": "{{{{workflow.name}}}} $(params.text)"}]},
            id="values in which nothing is replaced",
        ),
    ],
)
def test_a_task_run_is_a_workflow_of_one_flow(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = task_run(**fields)
    assert found.workflow["metadata"] == {"name": "r"}
    flow = found.flow("say")
    assert flow.pop("outputs") == [{"name": "size", "from": {"terminationMessage": {"container": "main"}}}]
    assert flow == {"name": "say", "template": "say", "parameters": [{"name": "text", "value": "x"}], **expected}
    assert found.lost == []


def test_a_task_that_is_written_into_a_task_run() -> None:
    inline = {"workspaces": [{"name": "src"}], "steps": [STEP]}
    claim = {"name": "src", "persistentVolumeClaim": {"claimName": "c"}}
    found = task_run(taskRef=None, params=[], taskSpec=inline, workspaces=[claim], status="TaskRunCancelled")
    assert found.workflow["spec"]["shutdown"] == "Terminate"
    assert found.flow("task")["template"] == "r"
    assert found.template("r")["gvr"]["resource"] == "jobs"
    assert found.flow("task")["patch"]["spec"]["template"]["spec"]["volumes"] == [
        {"name": "workspace-src", "emptyDir": None, "persistentVolumeClaim": {"claimName": "c"}}
    ]
    assert found.lost == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"computeResources": {}}, "write resources at the containers", id="computeResources"),
        pytest.param({"stepSpecs": [{"name": "main"}]}, "write resources at the containers", id="stepSpecs"),
        pytest.param({"debug": {"breakpoints": {}}}, "kubectl debug does that", id="debug"),
        pytest.param({"status": "Odd"}, "TaskRunCancelled", id="a status"),
        pytest.param({"retries": "many"}, "retries is a whole number", id="retries"),
        pytest.param({"workspaces": [{"name": "no", "emptyDir": {}}]}, "no workspace of this name", id="a workspace"),
        pytest.param({"params": [{"name": "no", "value": "x"}]}, "has no parameter no", id="a parameter"),
        pytest.param({"taskRef": {"name": "no"}}, "no Task no is in these files", id="a Task that is not there"),
        pytest.param({"taskRef": {"name": "x", "kind": "Own"}}, "a custom task is no Task", id="a custom task"),
        pytest.param(
            {"taskRef": {"resolver": "git", "params": [{"name": "url", "value": "x"}]}},
            "only Tasks in the same files are found",
            id="a resolver",
        ),
        pytest.param({"taskRef": None}, "it names no Task", id="no Task"),
        pytest.param({"odd": 1}, "convert does not know this field", id="a field that nobody knows"),
    ],
)
def test_what_is_lost_of_a_task_run(fields: dict[str, Any], message: str) -> None:
    assert any(message in line for line in task_run(**fields).lost)


@pytest.mark.parametrize(
    ("value", "flow", "lost"),
    [
        pytest.param("continue", {"continueOnFail": True}, False, id="continue"),
        pytest.param("stopAndFail", {}, False, id="the default"),
        pytest.param("odd", {}, True, id="another word"),
    ],
)
def test_on_error(value: str, flow: dict[str, Any], lost: bool) -> None:
    found = pipeline({**A, "onError": value})
    assert {"continueOnFail": True}.items() & found.flow("a").items() == flow.items()
    assert [line for line in found.lost if "onError is continue or stopAndFail" in line] == found.lost
    assert bool(found.lost) == lost


def test_a_task_and_a_cluster_task_of_one_name_are_two_templates() -> None:
    cluster = {**SAY, "kind": "ClusterTask", "spec": {"steps": [{"image": "other:1", "command": ["true"]}]}}
    calls = [{"name": "a", "taskRef": {"name": "say", "kind": "ClusterTask"}}, {**CALL, "name": "b"}]
    spec = {"tasks": calls}
    found = tekton(
        cluster, {"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": {"name": "p"}, "spec": spec}
    )
    images = [
        found.template(found.flow(name)["template"])["jobSpec"]["template"]["spec"]["containers"][0]["image"]
        for name in ("a", "b")
    ]
    assert images == ["other:1", "busybox:1.36"]


def test_a_pipeline_and_its_run_of_one_name_are_not_one_silently() -> None:
    tasks = [{"name": "a", "taskSpec": {"steps": [STEP]}}]
    spec = {"params": [{"name": "x", "default": "1"}], "tasks": tasks}
    meta = {"name": "p"}
    found = tekton(
        {"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": meta, "spec": spec},
        {
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": meta,
            "spec": {"pipelineRef": meta, "params": [{"name": "x", "value": "2"}]},
        },
    )
    assert found.workflow["spec"]["parameters"] == [{"name": "x", "value": "1"}]
    assert any("PipelineRun p: Workflow p is made of p.yaml:" in line for line in found.lost)
