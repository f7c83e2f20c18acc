"""What each construct of Argo Workflows becomes, and what is said of those that have no word here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pkg.convert.convert import convert
from pkg.views.manifests.writing import as_yaml
from tests.unit.convert.reading import Read, read

RUN = {"name": "run", "container": {"image": "busybox:1.36", "command": ["true"]}}
SAY = {
    "name": "say",
    "inputs": {"parameters": [{"name": "text"}]},
    "container": {"image": "busybox:1.36", "command": ["echo", "{{inputs.parameters.text}}"]},
}
FLIP = {
    "name": "flip",
    "container": {"image": "busybox:1.36"},
    "outputs": {"parameters": [{"name": "side", "valueFrom": {"path": "/tmp/side"}}]},
}
PRINT = {"name": "print", "script": {"image": "busybox:1.36", "command": ["sh"], "source": "echo hi"}}


def argo(spec: dict[str, Any], *templates: dict[str, Any]) -> Read:
    asked = json.dumps([spec, *templates])
    helpers = [helper for helper in (RUN, SAY, FLIP, PRINT) if f'"{helper["name"]}"' in asked]
    whole = {"entrypoint": "main", **spec, "templates": [*templates, *helpers]}
    document = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": whole}
    return read(convert({"w.yaml": as_yaml(document)}))


def dag(*tasks: dict[str, Any]) -> Read:
    """A DAG of these tasks, which run `run` unless they say otherwise."""
    whole = [
        task if {"template", "inline", "templateRef"} & set(task) else {"template": "run", **task} for task in tasks
    ]
    return argo({}, {"name": "main", "dag": {"tasks": whole}})


def only(**template: Any) -> Read:
    """One template, which the Workflow runs."""
    return argo({}, {"name": "main", "container": {"image": "busybox:1.36"}, **template})


A, B, C = {"name": "a"}, {"name": "b"}, {"name": "c"}


def text(value: str) -> dict[str, Any]:
    return {"parameters": [{"name": "text", "value": value}]}


@pytest.mark.parametrize(
    ("task", "depends_on"),
    [
        pytest.param({"dependencies": ["a", "b"]}, {"targets": ["a", "b"]}, id="dependencies are targets"),
        pytest.param({"depends": "a && b"}, {"targets": ["a", "b"]}, id="and"),
        pytest.param({"depends": "a || b"}, {"targets": ["a"], "orGroups": [{"targets": ["b"]}]}, id="or"),
        pytest.param(
            {"depends": "a.Failed"},
            {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Failed"}]}},
            id="a failure",
        ),
        pytest.param(
            {"depends": "a.Errored && b.Skipped"},
            {
                "probe": {
                    "taskStatusList": [{"taskName": "a", "phase": "Failed"}, {"taskName": "b", "phase": "Skipped"}]
                }
            },
            id="an error is a failure",
        ),
        pytest.param(
            {"depends": "!a.Succeeded"},
            {
                "probe": {"taskStatusList": [{"taskName": "a", "phase": "Failed"}]},
                "orGroups": [{"probe": {"taskStatusList": [{"taskName": "a", "phase": "Skipped"}]}}],
            },
            id="not succeeded is failed or skipped",
        ),
        pytest.param(
            {"depends": "(a || b.Failed) && b"},
            {
                "targets": ["a", "b"],
                "orGroups": [{"targets": ["b"], "probe": {"taskStatusList": [{"taskName": "b", "phase": "Failed"}]}}],
            },
            id="brackets are multiplied out",
        ),
        pytest.param(
            {"depends": "a.AnySucceeded"}, {"targets": ["a"], "strategy": "Any"}, id="any of the tasks of a loop"
        ),
        pytest.param(
            {"depends": "a.AllFailed"},
            {"strategy": "All", "probe": {"taskStatusList": [{"taskName": "a", "phase": "Failed"}]}},
            id="all of the tasks of a loop",
        ),
    ],
)
def test_what_a_task_waits_for(task: dict[str, Any], depends_on: dict[str, Any]) -> None:
    found = dag(A, B, {**C, **task})
    assert found.flow("c")["dependsOn"] == depends_on
    assert found.lost == []


def test_a_task_that_when_skips_lets_others_go_on_but_not_behind_a_failure() -> None:
    found = dag(A, {**B, "dependencies": ["a"], "when": "{{workflow.name}} == x"}, {**C, "dependencies": ["b"]})
    assert found.flow("c")["dependsOn"] == {"targets": ["a", "b"], "onSkipped": "Ignore"}


@pytest.mark.parametrize(
    ("depends", "message"),
    [
        pytest.param("a.Nonsense", "Nonsense is no state that we have", id="an unknown state"),
        pytest.param("nobody", "there is no task nobody", id="an unknown task"),
        pytest.param("a && (", "it ends too early", id="an expression that ends too early"),
        pytest.param("a ? b", "? b' is not understood", id="no expression"),
        pytest.param(
            "a.AnySucceeded && b", "cannot be asked for in one alternative", id="any of some and all of others"
        ),
    ],
)
def test_conditions_that_have_no_word(depends: str, message: str) -> None:
    found = dag(A, B, {**C, "depends": depends})
    assert "dependsOn" not in found.flow("c")
    assert any(message in line for line in found.lost)


@pytest.mark.parametrize(
    ("when", "cel"),
    [
        pytest.param("{{tasks.a.outputs.parameters.side}} == heads", 'outputs["a"]["side"] == "heads"', id="an output"),
        pytest.param("'{{workflow.name}}' != \"x y\"", 'workflow.name != "x y"', id="quotes of both kinds"),
        pytest.param("{{tasks.a.outputs.parameters.side}} > 3", 'double(outputs["a"]["side"]) > 3.0', id="a number"),
        pytest.param("x-{{workflow.name}} == x-w", '"x-" + workflow.name == "x-w"', id="text around a variable"),
        pytest.param(
            "!({{workflow.name}} == a || true) && 1 < 2",
            '!((workflow.name == "a" || true)) && 1.0 < 2.0',
            id="and, or, not",
        ),
        pytest.param("{{workflow.name}} =~ '^a'", 'workflow.name.matches("^a")', id="a pattern"),
    ],
)
def test_when(when: str, cel: str) -> None:
    found = dag({**A, "template": "flip"}, {**B, "dependencies": ["a"], "when": when})
    assert found.flow("b")["when"] == cel
    assert found.lost == []


@pytest.mark.parametrize(
    ("when", "message"),
    [
        pytest.param(
            "{{tasks.z.outputs.result}} == 1", "z is not among the tasks that this one waits for", id="another task"
        ),
        pytest.param("{{=asInt(1) > 2}}", "expressions in text are not there", id="an expression"),
        pytest.param("a ==", "it ends too early", id="half a comparison"),
    ],
)
def test_when_that_has_no_word(when: str, message: str) -> None:
    found = dag(A, {**B, "dependencies": ["a"], "when": when})
    assert "when" not in found.flow("b")
    assert any(message in line for line in found.lost)


@pytest.mark.parametrize(
    ("loop", "expected", "value"),
    [
        pytest.param({"withItems": ["x", 2]}, {"items": ["x", 2]}, "{{item}}", id="items"),
        pytest.param({"withItems": [{"k": "v"}]}, {"items": [{"k": "v"}]}, "{{item}}", id="items that are objects"),
        pytest.param({"withSequence": {"count": "3"}}, {"replicas": 3}, "{{index}}", id="a count"),
        pytest.param({"withSequence": {"start": 2, "end": 4}}, {"items": ["2", "3", "4"]}, "{{item}}", id="a range"),
        pytest.param(
            {"withSequence": {"start": 3, "end": 1}}, {"items": ["3", "2", "1"]}, "{{item}}", id="a range downwards"
        ),
        pytest.param(
            {"withSequence": {"count": 2, "format": "n%02x"}}, {"items": ["n00", "n01"]}, "{{item}}", id="a format"
        ),
        pytest.param({"withParam": '["p", "q"]'}, {"items": ["p", "q"]}, "{{item}}", id="a list that is written out"),
        pytest.param(
            {"withParam": "{{tasks.a.outputs.result}}", "dependencies": ["a"]},
            {"itemsFrom": "{{flows.a.outputs.result}}"},
            "{{item}}",
            id="a list that a task prints",
        ),
    ],
)
def test_loops(loop: dict[str, Any], expected: dict[str, Any], value: str) -> None:
    found = dag({**A, "template": "print"}, {**B, "template": "say", "arguments": text("{{item}}"), **loop})
    assert found.flow("b")["for"] == expected
    assert found.flow("b")["parameters"] == [{"name": "text", "value": value}]
    assert found.lost == []


def test_a_loop_over_a_graph_is_unrolled() -> None:
    inner = {
        "name": "inner",
        "inputs": {"parameters": [{"name": "x"}]},
        "steps": [
            [{"name": "one", "template": "say", "arguments": text("{{inputs.parameters.x}}")}],
            [{"name": "two", "template": "run"}],
        ],
    }
    tasks = [
        {**A, "template": "run"},
        {
            "name": "each",
            "template": "inner",
            "dependencies": ["a"],
            "withItems": [{"k": "eu"}, {"k": "us"}],
            "arguments": {"parameters": [{"name": "x", "value": "in {{item.k}}"}]},
        },
        {**C, "template": "run", "depends": "each"},
    ]
    found = argo({}, {"name": "main", "dag": {"tasks": tasks}}, inner)
    assert found.names == ["a", "each-0-one", "each-0-two", "each-1-one", "each-1-two", "c"]
    assert found.flow("each-1-one")["parameters"] == [{"name": "text", "value": "in us"}]
    assert found.flow("each-1-one")["dependsOn"] == {"targets": ["a"]}
    assert found.flow("c")["dependsOn"] == {"targets": ["each-0-two", "each-1-two"]}
    assert found.lost == []


def test_steps_run_group_after_group() -> None:
    steps = [[{**A, "template": "run"}, {**B, "template": "run"}], [{**C, "template": "run"}]]
    found = argo({}, {"name": "main", "steps": steps})
    assert "dependsOn" not in found.flow("b")
    assert found.flow("c")["dependsOn"] == {"targets": ["a", "b"]}


def test_a_template_that_calls_itself_is_lost() -> None:
    found = argo({}, {"name": "main", "steps": [[{"name": "again", "template": "main"}]]})
    assert any("a template that calls itself is not there" in line for line in found.lost)
    why = "spec.entrypoint: no Workflow comes of it, because template main calls itself"
    assert [line for line in found.lost if "spec.entrypoint" in line and line.endswith(why)]
    assert not [line for line in found.lost if "there is no entrypoint" in line]


SEMAPHORE = {"configMapKeyRef": {"name": "gpus", "key": "licences"}}


def test_locks_of_a_template_are_those_of_its_flow() -> None:
    found = only(synchronization={"mutex": {"name": "m"}, "mutexes": [{"name": "n"}], "semaphores": [SEMAPHORE]})
    flow = found.flow("main")
    assert (flow["mutexes"], flow["semaphores"]) == (["m", "n"], [SEMAPHORE])
    assert found.lost == []


def test_of_a_workflow_with_locks_no_flow_has_any() -> None:
    lock = {"synchronization": {"semaphore": SEMAPHORE}}
    found = argo(lock, {"name": "main", "container": {"image": "x"}, "synchronization": {"mutex": {"name": "m"}}})
    assert found.workflow["spec"]["semaphores"] == [SEMAPHORE]
    assert "mutexes" not in found.flow("main")
    assert any("the Workflow has locks of its own" in line for line in found.lost)


def test_a_step_that_is_suspended_waits_for_approval() -> None:
    steps = [[{**A, "template": "run"}], [{"name": "ask", "template": "wait"}], [{**B, "template": "run"}]]
    found = argo({}, {"name": "main", "steps": steps}, {"name": "wait", "suspend": {}})
    assert found.flow("ask") == {"name": "ask", "approval": {}, "dependsOn": {"targets": ["a"]}}
    assert found.flow("b")["dependsOn"] == {"targets": ["ask"]}
    assert found.lost == []


def test_what_an_exit_handler_knows_of_the_end() -> None:
    end = {"name": "end", "container": {"image": "x", "args": ["{{workflow.status}} {{workflow.duration}}"]}}
    steps = {"name": "bye", "steps": [[{"name": "end", "template": "end", "when": "{{workflow.status}} != Succeeded"}]]}
    found = argo({"onExit": "bye"}, {"name": "main", "container": {"image": "x"}}, steps, end)
    assert found.flow("end")["when"] == 'workflow.phase != "Succeeded"'
    assert found.pod("w-end")["containers"][0]["args"] == ["{{workflow.phase}} {{workflow.duration}}"]
    assert found.lost == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"parallelism": 3}, {"parallelism": 3}, id="parallelism"),
        pytest.param({"activeDeadlineSeconds": 60}, {"timeout": "60s"}, id="a deadline"),
        pytest.param({"suspend": True}, {"suspend": True}, id="suspend"),
        pytest.param({"shutdown": "Terminate"}, {"shutdown": "Terminate"}, id="shutdown"),
        pytest.param({"schedulerName": "volcano"}, {"schedulerName": "volcano"}, id="a scheduler"),
        pytest.param(
            {"ttlStrategy": {"secondsAfterCompletion": 9}}, {"ttlSecondsAfterFinished": 9}, id="a time to live"
        ),
        pytest.param(
            {"podGC": {"strategy": "OnWorkflowSuccess"}}, {"jobRetainPolicy": "delete-on-success"}, id="clean-up"
        ),
        pytest.param(
            {"arguments": {"parameters": [{"name": "day", "value": 1}]}},
            {"parameters": [{"name": "day", "value": "1"}]},
            id="parameters are text",
        ),
        pytest.param(
            {"arguments": {"parameters": [{"name": "text", "value": "{{index}}"}]}},
            {"parameters": [{"name": "workflow.text", "value": "{{{{index}}}}"}]},
            id="a parameter that a template has as well gets another name, and text stays text",
        ),
    ],
)
def test_fields_of_the_workflow(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    found = argo(spec, {"name": "main", "dag": {"tasks": [{"name": "a", "template": "say"}]}})
    assert {key: found.workflow["spec"].get(key) for key in expected} == expected
    assert found.lost == []


def test_on_exit_becomes_a_finally_flow() -> None:
    found = argo({"onExit": "run"}, {"name": "main", "dag": {"tasks": [{"name": "a", "template": "run"}]}})
    assert found.flow("run") == {"name": "run", "template": "w-run", "finally": True}


@pytest.mark.parametrize(
    ("template", "flow"),
    [
        pytest.param({"activeDeadlineSeconds": 60}, {"timeout": "60s"}, id="a deadline"),
        pytest.param(
            {"retryStrategy": {"limit": "2"}},
            {"retry": {"maxRetries": 2, "interval": "0s"}},
            id="retries without delay",
        ),
        pytest.param(
            {"retryStrategy": {"limit": 2, "backoff": {"duration": "1m", "factor": "3", "cap": "10m"}}},
            {"retry": {"maxRetries": 2, "interval": "1m", "factor": 3, "maxInterval": "10m"}},
            id="retries with growing delays",
        ),
        pytest.param(
            {"outputs": {"parameters": [{"name": "x", "valueFrom": {"path": "/x", "default": "d"}}]}},
            {"outputs": [{"name": "x", "from": {"terminationMessage": {"container": "main"}}, "default": "d"}]},
            id="a file is an output",
        ),
    ],
)
def test_fields_of_a_template_that_stand_at_the_flow(template: dict[str, Any], flow: dict[str, Any]) -> None:
    found = only(**template)
    assert {key: found.flow("main").get(key) for key in flow} == flow
    assert found.lost == []


@pytest.mark.parametrize(
    ("template", "place", "expected"),
    [
        pytest.param({"nodeSelector": {"a": "b"}}, "nodeSelector", {"a": "b"}, id="fields of the pod"),
        pytest.param(
            {"sidecars": [{"name": "s", "image": "x"}]},
            "initContainers",
            [{"name": "s", "image": "x", "restartPolicy": "Always"}],
            id="a sidecar is a restarted init container",
        ),
        pytest.param(
            {"outputs": {"parameters": [{"name": "x", "valueFrom": {"path": "/x"}}]}},
            "containers",
            [{"name": "main", "image": "busybox:1.36", "terminationMessagePath": "/x"}],
            id="the file of an output is the termination message",
        ),
        pytest.param(
            {"container": None, "script": {"image": "p", "command": ["python3"], "source": "print(1)"}},
            "containers",
            [{"name": "main", "image": "p", "command": ["python3", "-c", "print(1)"]}],
            id="a script is an argument of its interpreter",
        ),
    ],
)
def test_fields_of_a_template_that_stand_in_the_pod(template: dict[str, Any], place: str, expected: Any) -> None:
    found = only(**template)
    assert found.pod("w-main")[place] == expected
    assert found.lost == []


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        pytest.param(
            {
                "action": "create",
                "manifest": "{apiVersion: sparkoperator.k8s.io/v1, kind: SparkApplication, spec: {x: 1}}",
            },
            {
                "gvr": {"group": "sparkoperator.k8s.io", "version": "v1", "resource": "sparkapplications"},
                "jobSpec": {"x": 1},
            },
            id="an object of any kind",
        ),
        pytest.param(
            {"action": "apply", "manifest": "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: b}}"},
            {
                "gvr": {"version": "v1", "resource": "configmaps"},
                "action": "Apply",
                "metadata": {"name": "c"},
                "jobSpec": {"data": {"a": "b"}},
            },
            id="apply",
        ),
        pytest.param(
            {"action": "delete", "manifest": "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"},
            {
                "gvr": {"version": "v1", "resource": "configmaps"},
                "action": "Delete",
                "metadata": {"name": "c"},
                "jobSpec": {},
            },
            id="delete",
        ),
        pytest.param(
            {
                "action": "create",
                "manifest": "{apiVersion: x.io/v1, kind: Policy, spec: {}}",
                "successCondition": "status.phase == Done, status.ok == true",
                "failureCondition": "status.failed > 3",
            },
            {
                "gvr": {"group": "x.io", "version": "v1", "resource": "policies"},
                "jobSpec": {},
                "statusRules": {
                    "ok": [{"all": [{"path": "status.phase", "eq": "Done"}, {"path": "status.ok", "eq": True}]}],
                    "fail": [{"cel": "has(object.status.failed) && object.status.failed > 3"}],
                },
            },
            id="conditions are status rules",
        ),
    ],
)
def test_resource_templates(resource: dict[str, Any], expected: dict[str, Any]) -> None:
    found = only(container=None, resource=resource)
    assert found.template("w-main") == expected
    assert found.lost == []


def test_what_a_script_prints_is_an_output_if_somebody_reads_it() -> None:
    found = dag(
        {**A, "template": "print"},
        {**B, "template": "say", "dependencies": ["a"], "arguments": text("{{tasks.a.outputs.result}}")},
    )
    assert found.flow("a")["outputs"] == [{"name": "result", "from": {"terminationMessage": {"container": "main"}}}]
    assert found.flow("b")["parameters"] == [{"name": "text", "value": "{{flows.a.outputs.result}}"}]
    command = found.pod("w-print")["containers"][0]["command"]
    assert command[:2] == ["sh", "-c"]
    assert command[3:] == ["--", "sh", "-c", "echo hi"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param(
            {"container": None, "suspend": {"duration": "9s"}}, "somebody has to approve the flow", id="a pause"
        ),
        pytest.param(
            {"container": None, "suspend": {}, "retryStrategy": {"limit": 1}}, "a rejection is final", id="retries"
        ),
        pytest.param({"container": None, "http": {"url": "x"}}, "use a Job that runs curl", id="http"),
        pytest.param({"container": None, "plugin": {"x": {}}}, "plugins are not there", id="a plugin"),
        pytest.param(
            {"container": None, "containerSet": {"containers": []}}, "use one flow per container", id="a container set"
        ),
        pytest.param({"daemon": True}, "use a Deployment as the job", id="a daemon"),
        pytest.param({"memoize": {"key": "x"}}, "results of earlier runs", id="memoize"),
        pytest.param(
            {"synchronization": {"mutex": {"name": "m", "namespace": "other"}}},
            "shared by the Workflows of one namespace",
            id="a mutex of another namespace",
        ),
        pytest.param(
            {"synchronization": {"mutexes": [{"name": "m-{{inputs.parameters.x}}"}]}},
            "without variables",
            id="a mutex whose name only a run knows",
        ),
        pytest.param(
            {"synchronization": {"semaphore": {"database": {"key": "x"}}}},
            "is a key of a ConfigMap",
            id="a semaphore in a database",
        ),
        pytest.param({"podSpecPatch": "x"}, "write it as `patch` of the flow", id="a patch"),
        pytest.param(
            {"inputs": {"artifacts": [{"name": "x", "path": "/x"}]}}, "artifacts are not there", id="artifacts"
        ),
        pytest.param(
            {"outputs": {"parameters": [{"name": "x", "valueFrom": {"supplied": {}}}]}},
            "read a field of the object",
            id="a value that a person gives",
        ),
        pytest.param(
            {"container": None, "script": {"image": "x", "command": ["awk"], "source": "x"}},
            "only from a file",
            id="an unknown interpreter",
        ),
        pytest.param({"container": {"image": "{{pod.name}}"}}, "$HOSTNAME", id="a variable without a word"),
        pytest.param(
            {"retryStrategy": {"limit": 1, "expression": "x"}}, "not by an expression", id="a retry expression"
        ),
        pytest.param({"neverHeardOf": 1}, "convert does not know this field", id="an unknown field"),
    ],
)
def test_what_has_no_word_is_named(template: dict[str, Any], message: str) -> None:
    assert any(message in line for line in only(**template).lost)


def test_names_of_templates_hold_where_they_are_written() -> None:
    """A DAG of a WorkflowTemplate names that one's templates, whatever the Workflow has under the same names."""
    shared = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "shared"},
        "spec": {
            "templates": [
                {"name": "whole", "steps": [[{"name": "ask", "template": "main"}]]},
                {"name": "main", "container": {"image": "shared:1"}},
            ]
        },
    }
    cluster = {
        **shared,
        "kind": "ClusterWorkflowTemplate",
        "spec": {"templates": [{"name": "main", "container": {"image": "cluster:1"}}]},
    }
    steps = [
        {"name": "a", "templateRef": {"name": "shared", "template": "whole"}},
        {"name": "b", "template": "main"},
        {"name": "c", "template": "shared-main"},
        {"name": "d", "templateRef": {"name": "shared", "template": "main", "clusterScope": True}},
        {"name": "main", "inline": {"container": {"image": "inline:1"}}},
    ]
    spec = {
        "entrypoint": "start",
        "templates": [
            {"name": "start", "steps": [[step] for step in steps]},
            {"name": "main", "container": {"image": "own:1"}},
            {"name": "shared-main", "container": {"image": "own:2"}},
        ],
    }
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": spec}
    found = read(convert({"w.yaml": "---\n".join(map(as_yaml, [shared, cluster, workflow]))}))
    images = {
        flow["name"]: found.pod(flow["template"])["containers"][0]["image"] for flow in found.workflow["spec"]["flows"]
    }
    assert images == {"a-ask": "shared:1", "b": "own:1", "c": "own:2", "d": "cluster:1", "main": "inline:1"}
    assert found.lost == []
