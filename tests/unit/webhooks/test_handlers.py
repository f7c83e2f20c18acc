"""What `kubectl apply` is told: refusals with every fault, warnings, and what is always allowed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import WorkflowSpec
from pkg.webhooks.handlers import EmptyCatalogue, Handlers, Nobody
from pkg.webhooks.review import Answer, Operation, Request
from tests.unit.webhooks.objects import Known, request, template, workflow

POD = template({"backoffLimit": 0, "template": {"spec": {"containers": [{"name": "main"}]}}}, name="pod")
NEEDY = template({"x": "{{params.n}}"}, name="needy")
HANDLERS = Handlers(Known(template(), POD, NEEDY), Nobody())
RUNNING = {"phase": "Running", "flows": [{"name": "a", "phase": "Running"}]}
ENDED = {"phase": "Failed", "flows": [{"name": "a", "phase": "Failed"}]}
A = {"name": "a", "template": "step"}


def validate(*args: Any, **kwargs: Any) -> Answer:
    return HANDLERS.validate(request(*args, **kwargs))


def test_a_good_workflow_is_allowed_without_a_word() -> None:
    assert validate(workflow(A)) == Answer(allowed=True)


def test_every_fault_is_on_a_line_of_its_own() -> None:
    answer = validate(
        workflow({**A, "dependsOn": {"targets": ["b", "aa"]}, "retry": {"interval": "10m"}}, timeout="1h")
    )
    assert (answer.allowed, answer.code) == (False, 422)
    assert answer.message.splitlines() == [
        'Workflow "w" has 2 faults:',
        '- spec.flows[0].dependsOn.targets[0]: no flow is named "b"; name one of spec.flows',
        '- spec.flows[0].dependsOn.targets[1]: no flow is named "aa"; name one of spec.flows',
    ]


def test_of_many_faults_50_are_told_and_the_others_counted() -> None:
    answer = validate(workflow({**A, "dependsOn": {"targets": [f"x{at}" for at in range(60)]}}))
    lines = answer.message.splitlines()
    assert (lines[0], len(lines), lines[-1]) == ('Workflow "w" has 60 faults:', 52, "- and 10 more like these")


REFUSED: dict[str, tuple[Any, str]] = {
    "a name twice": (workflow(A, A), '- spec.flows[1].name: the name "a" is taken by spec.flows[0]'),
    "a cycle over dependencies, probes and addresses": (
        workflow(
            {**A, "dependsOn": {"probe": {"tcpSocketList": [{"taskName": "b", "port": 1}]}}},
            {**A, "name": "b", "patch": {"metadata": {"labels": {"x": "{{flows.a.podIP}}"}}}},
        ),
        "- spec.flows[0]: these flows wait for each other in a circle: a -> b -> a; remove one of the dependencies",
    ),
    "a critical flow that is none": (
        workflow(A, successPolicy={"type": "Critical", "criticalFlows": ["c"]}),
        '- spec.successPolicy.criticalFlows[0]: no flow is named "c"',
    ),
    "what only the template shows": (
        workflow({**A, "patch": [{"op": "remove", "path": "/spec/nope"}]}),
        "- spec.flows[0].patch[0]: cannot remove '/spec/nope'",
    ),
    "a value that its place cannot take": (
        workflow(
            {**A, "parameters": [{"name": "n", "value": "many"}], "patch": {"spec": {"parallelism": "{{params.n}}"}}}
        ),
        '- spec.flows[0].patch.spec.parallelism: {{params.n}} is "many", and this place takes an integer',
    ),
    "a list that would be merged with a key that occurs twice": (
        workflow({"name": "pod", "patch": {"template": {"spec": {"containers": [{"name": "x"}, {"name": "x"}]}}}}),
        "- spec.flows[0].patch.spec.template.spec.containers: the patch's list",
    ),
    "more than a workflow may cost": (
        workflow({**A, "for": {"replicas": 9000}, "patch": [{"op": "add", "path": "/spec/x", "value": 1}] * 200}),
        "- spec.flows: 1,800,000 patch steps (tasks times steps); at most 1,000,000 are allowed: move steps into",
    ),
    "a variable that does not exist": (
        workflow({**A, "patch": {"spec": {"x": "{{flow.nme}}"}}}),
        '- spec.flows[0].patch.spec.x: {{flow.nme}} is no variable; did you mean "flow.name"?',
    ),
    "a form that the API server would have refused": (
        workflow({**A, "retry": {"maxRetries": "3"}}),
        "- spec.flows[0].retry.maxRetries: must be a whole number, without quotes",
    ),
    "a template of a kind that cannot be a job": (
        template(gvr={"group": "batch", "version": "v1", "resource": "cronjobs"}),
        "- spec.gvr: a CronJob never finishes",
    ),
    "status rules that do not compile, each": (
        template(
            statusRules={"ok": [{"cel": "status.x =="}, {"path": "status.x", "eq": 1}], "fail": [{"path": "a b"}]}
        ),
        "- spec.statusRules.fail[0]",
    ),
    "a template with an unknown variable": (
        template({"x": "{{index.x}}"}),
        "- spec.jobSpec.x: {{index.x}} is no variable",
    ),
}


@pytest.mark.parametrize(("sent", "line"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(sent: Any, line: str) -> None:
    answer = validate(sent)
    assert not answer.allowed
    assert any(found.startswith(line) for found in answer.message.splitlines()), answer.message


def test_every_faulty_rule_of_a_template_is_told_at_its_own_place() -> None:
    rules = {"ok": [{"cel": "status.x =="}, {"path": "status.x", "eq": 1}], "fail": [{"cond": "A"}, {"path": "a b"}]}
    places = [line.split(": ")[0] for line in validate(template(statusRules=rules)).message.splitlines()[1:]]
    assert places == ["- spec.statusRules.fail[1]", "- spec.statusRules.ok[0]"]


WARNED: dict[str, tuple[Any, list[str]]] = {
    "a template that does not exist": (
        workflow({"name": "a"}),
        ['spec.flows[0].template: WorkTemplate "a" does not exist in this namespace; the flow waits until it does'],
    ),
    "a parameter that nothing uses": (
        workflow({**A, "parameters": [{"name": "n", "value": "1"}]}),
        ['spec.flows[0].parameters[0].name: parameter "n" is given, and nothing in its template or patch uses it'],
    ),
    "a field of a patch that the kind does not have": (
        workflow({**A, "patch": {"spec": {"paralelism": 2, "template": {"spec": {"containers": [{"imag": "x"}]}}}}}),
        [
            'spec.flows[0].patch.spec.paralelism: jobs of batch/v1 have no such field; did you mean "parallelism"?',
            "spec.flows[0].patch.spec.template.spec.containers[0].imag: jobs of batch/v1 have no such field"
            '; did you mean "image"?',
        ],
    ),
    "the same in a patch without spec, and through jobSpec": (
        workflow({**A, "patch": {"paralelism": 2, "spec": {"jobSpec": {"backofLimit": 1}}}}),
        [
            'spec.flows[0].patch.paralelism: jobs of batch/v1 have no such field; did you mean "parallelism"?',
            "spec.flows[0].patch.spec.jobSpec.backofLimit: jobs of batch/v1 have no such field"
            '; did you mean "backoffLimit"?',
        ],
    ),
    "the same in a JSON Patch": (
        workflow({**A, "patch": [{"op": "add", "path": "/spec/paralelism", "value": 2}]}),
        ['spec.flows[0].patch[0].paralelism: jobs of batch/v1 have no such field; did you mean "parallelism"?'],
    ),
    "what only the controller sets": (
        workflow({**A, "patch": {"metadata": {"name": "x"}}}),
        [
            "spec.flows[0].patch.metadata.name: the controller sets this itself, so it has no effect",
        ],
    ),
    "a branch for a failure that fails the workflow": (
        workflow(
            A, {**A, "name": "b", "dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Aborted"}]}}}
        ),
        [
            'spec.flows[1].dependsOn.probe.taskStatusList[0]: "a" has no continueOnFail, so under successPolicy All its'
            ' failure fails the workflow unless "b" succeeds; set continueOnFail: true on "a" if its failure should not'
            " count"
        ],
    ),
    "braces of somebody else": (
        workflow({**A, "patch": {"metadata": {"labels": {"x": "{{param.x}}"}}}}),
        [
            "spec.flows[0].patch.metadata.labels.x: {{param.x}} is none of our variables and stays as it is; did you"
            ' mean "params.x"?'
        ],
    ),
    "a field of jobSpec that the kind does not have": (
        template({"backoffLimit": 0, "template": {"spec": {"containers": [{"comand": ["x"], "image": "y"}]}}}),
        [
            "spec.jobSpec.template.spec.containers[0].comand: jobs of batch/v1 have no such field; did you mean"
            ' "command"?'
        ],
    ),
    "a resource that looks misspelt": (
        template(gvr={"group": "batch", "version": "v1", "resource": "job"}),
        ['spec.gvr: job.v1.batch is not known here; did you mean resource "jobs" of group "batch"?'],
    ),
}


@pytest.mark.parametrize(("sent", "lines"), WARNED.values(), ids=WARNED.keys())
def test_warned(sent: Any, lines: list[str]) -> None:
    answer = validate(sent)
    assert (answer.allowed, list(answer.warnings)) == (True, lines)


@pytest.mark.parametrize(
    ("job_spec", "flow", "path"),
    [
        pytest.param({"backoffLimit": 3}, {}, "has spec.backoffLimit 3", id="as written"),
        pytest.param({}, {}, "leaves spec.backoffLimit at 6", id="by default"),
        pytest.param({"backoffLimit": 0}, {}, "", id="off"),
        pytest.param({"backoffLimit": "{{params.n}}"}, {}, "", id="by a parameter"),
        pytest.param({}, {"patch": {"spec": {"backoffLimit": 0}}}, "", id="by the patch"),
        pytest.param({}, {"retry": {}}, "", id="a flow without retries"),
        pytest.param(
            {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "OnFailure"}}},
            {},
            "has spec.template.spec.restartPolicy OnFailure",
            id="by restarts",
        ),
    ],
)
def test_a_kind_that_retries_beside_the_flow(job_spec: Any, flow: dict[str, Any], path: str) -> None:
    handlers = Handlers(Known(template(job_spec, parameters=[{"name": "n", "value": "1"}])), Nobody())
    told = handlers.validate(request(workflow({**A, "retry": {"maxRetries": 1}, **flow}))).warnings
    assert [path in line for line in told] == ([True] if path else []), told


def test_nothing_is_said_of_templates_while_the_cache_is_being_filled() -> None:
    assert Handlers(Known(is_synced=False), Nobody()).validate(request(workflow(A))) == Answer(allowed=True)
    assert Handlers(EmptyCatalogue(), Nobody()).validate(request(workflow(A))) == Answer(allowed=True)


def test_many_warnings_are_cut_where_the_api_server_would_drop_them() -> None:
    flows = [{"name": f"f{at}", "template": "step", "patch": {"spec": {"paralelism": at}}} for at in range(60)]
    told = validate(workflow(*flows)).warnings
    assert sum(map(len, told)) < 4_096
    assert told[-1].endswith("more warnings are not shown; `workflow-controller lint` prints them")


UPDATES: dict[str, tuple[Any, Any, str]] = {
    "a flow while it runs": (
        workflow({**A, "continueOnFail": True}),
        workflow(A, status=RUNNING),
        "- spec.flows[0].continueOnFail: cannot change while the workflow runs",
    ),
    "what may change while it runs": (workflow(A, suspend=True, timeout="1h"), workflow(A, status=RUNNING), ""),
    "a free field that is wrong": (
        workflow(A, restart={"at": "1", "flows": ["b"]}),
        workflow(A, status=RUNNING),
        '- spec.restart.flows[0]: no flow is named "b"',
    ),
    "a default that is written out while it runs": (
        workflow({**A, "retry": {"maxRetries": 0}}, successPolicy={"type": "All"}),
        workflow(A, status=RUNNING),
        "",
    ),
    "a flow before it starts": (workflow({**A, "continueOnFail": True}), workflow(A), ""),
    "a flow after the end": (workflow({**A, "continueOnFail": True}), workflow(A, status=ENDED), ""),
    "a fault after the end": (
        workflow({**A, "dependsOn": {"targets": ["b"]}}),
        workflow(A, status=ENDED),
        '- spec.flows[0].dependsOn.targets[0]: no flow is named "b"',
    ),
    "a restart after the end whatever newer rules say of what did not change": (
        workflow({**A, "dependsOn": {"targets": ["b"]}}, restart={"at": "1"}),
        workflow({**A, "dependsOn": {"targets": ["b"]}}, status=ENDED),
        "",
    ),
    "the same with a flow in front, and one more fault": (
        workflow({**A, "name": "z"}, {**A, "dependsOn": {"targets": ["b", "c"]}}),
        workflow({**A, "dependsOn": {"targets": ["b"]}}, status=ENDED),
        '- spec.flows[1].dependsOn.targets[1]: no flow is named "c"',
    ),
    "suspend of a running workflow that a newer rule would refuse": (
        workflow({**A, "dependsOn": {"targets": ["b"]}}, suspend=True),
        workflow({**A, "dependsOn": {"targets": ["b"]}}, status=RUNNING),
        "",
    ),
    "a shutdown before the start of a workflow that its template has made faulty": (
        workflow({"name": "a", "template": "needy"}, shutdown="Terminate"),
        workflow({"name": "a", "template": "needy"}, status={"phase": "Pending"}),
        "",
    ),
    "its end of suspension, which would start it": (
        workflow({"name": "a", "template": "needy"}),
        workflow({"name": "a", "template": "needy"}, status={"phase": "Suspended"}, suspend=True),
        "- spec.flows[0] (template needy).jobSpec.x: no parameter is named",
    ),
    "a shutdown with a fault of its own": (
        workflow({"name": "a", "template": "needy"}, shutdown="Stop", timeout="1y"),
        workflow({"name": "a", "template": "needy"}, status={"phase": "Pending"}),
        "- spec.timeout",
    ),
    "a label of one that is faulty": (
        workflow({**A, "dependsOn": {"targets": ["b"]}}, meta={"labels": {"x": "y"}}),
        workflow({**A, "dependsOn": {"targets": ["b"]}}),
        "",
    ),
    "anything of one that is being deleted": (
        workflow({**A, "dependsOn": {"targets": ["b"]}}, meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        workflow(A, status=RUNNING),
        "",
    ),
    "a shutdown that is taken back": (
        workflow(A),
        workflow(A, shutdown="Stop", status=RUNNING),
        "- spec.shutdown: Stop cannot be undone before the workflow has ended",
    ),
    "an old object that cannot be read": (workflow(A), {"kind": "Workflow", "spec": 1}, ""),
}


@pytest.mark.parametrize(("new", "old", "line"), UPDATES.values(), ids=UPDATES.keys())
def test_updates(new: Any, old: Any, line: str) -> None:
    answer = validate(new, old)
    if line:
        assert not answer.allowed
        assert any(found.startswith(line) for found in answer.message.splitlines()), answer.message
        assert answer.message.startswith('Workflow "w" has 1 fault:')
    else:
        assert answer.allowed, answer.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"a": 1e400}', id="a number that no float holds"),
        pytest.param(b'{"a": %s1%s}' % (b'{"a":' * 3000, b"}" * 3000), id="a field nested too deeply"),
    ],
)
@pytest.mark.parametrize("kind", ["Workflow", "WorkTemplate"])
def test_an_object_that_cannot_be_decoded_as_a_whole_is_refused(kind: str, text: bytes) -> None:
    answer = HANDLERS.validate(Request("u", Operation.CREATE, kind, "team-a", "w", object=text))
    assert (answer.allowed, answer.code) == (False, 422)
    assert "fault" in answer.message


def test_an_edit_that_was_made_without_the_webhook_may_be_taken_back() -> None:
    started = workflow(A)
    edited = {**A, "continueOnFail": True}
    spec = msgspec.json.decode(msgspec.json.encode(started["spec"]), type=WorkflowSpec)
    held = {**RUNNING, "phase": "Suspended", "record": {"specHash": spec_hash(spec)}}
    assert validate(started, workflow(edited, status=held)).allowed
    assert validate(workflow(edited, shutdown="Stop"), workflow(edited, status=held)).allowed
    assert not validate(workflow({**edited, "finally": True}), workflow(edited, status=held)).allowed


def test_deletion_of_a_template_in_use() -> None:
    used = {"usedBy": {"count": 7, "names": [f"w{at}" for at in range(7)]}}
    answer = validate(None, template(status=used), operation=Operation.DELETE)
    assert answer == Answer(
        allowed=True,
        warnings=(
            '7 workflows use WorkTemplate "step": "w0", "w1", "w2", "w3", "w4" and 2 more; jobs that exist go on, and'
            " flows that have not started wait until it exists again",
        ),
    )
    assert validate(None, template(), operation=Operation.DELETE) == Answer(allowed=True)
    assert validate(None, workflow(A), operation=Operation.DELETE) == Answer(allowed=True)


def test_status_is_none_of_its_business() -> None:
    sent = msgspec.json.encode(workflow({"name": "a", "dependsOn": {"targets": ["b"]}}))
    one = Request("u", Operation.UPDATE, "Workflow", "n", "w", object=sent, old_object=b"{}", subresource="status")
    assert HANDLERS.validate(one) == HANDLERS.mutate(one) == Answer(allowed=True)


class Strict:
    """People of whom one may do nothing, and all are recorded."""

    def stamp(self, _request: Request, /) -> tuple[dict[str, Any], ...]:
        return ({"op": "add", "path": "/metadata/annotations", "value": {"by": "ann"}},)

    def judge(self, _request: Request, /) -> Answer:
        return Answer(False, "no", 403, ("careful",))


def test_people_are_asked_last_and_recorded_always() -> None:
    handlers = Handlers(Known(template()), Strict())
    assert handlers.validate(request(workflow(A))) == Answer(False, "no", 403, ("careful",))
    assert "fault" in handlers.validate(request(workflow(A, A))).message
    patch = handlers.mutate(request(workflow(A, jobRetainPolicy="delete"))).patch
    assert [step["path"] for step in patch] == ["/spec/successPolicy", "/metadata/annotations"]
    deleting = workflow(A, meta={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert [step["path"] for step in handlers.mutate(request(deleting, deleting)).patch] == ["/metadata/annotations"]


def test_people_are_asked_about_an_update_that_changes_annotations_alone() -> None:
    """Who is behind the object stands in annotations."""
    labelled = workflow(A, meta={"labels": {"team": "a"}})
    assert Handlers(Known(template()), Strict()).validate(request(labelled, workflow(A))) == Answer(
        False, "no", 403, ("careful",)
    )
