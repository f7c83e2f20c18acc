"""The webhook answers whatever an object is; writing defaults out changes no verdict, and a second time nothing."""

from __future__ import annotations

from typing import Any

import jsonpatch
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.webhooks.handlers import Handlers, Nobody
from pkg.webhooks.review import Answer, Operation, Request, decode, encode
from tests.unit.webhooks.objects import Known, request, template, workflow

EXAMPLES = settings.default.max_examples if settings.default else 500
pytestmark = pytest.mark.timeout(max(300, EXAMPLES))

CONTAINERS = {"template": {"spec": {"containers": [{"name": "main", "command": ["{{params.p}}"]}]}}}
HANDLERS = Handlers(
    Known(
        template({**CONTAINERS, "parallelism": "{{params.p | int}}"}, parameters=[{"name": "p"}]),
        template({"x": "{{flows.a.podIP}}"}, name="a"),
        template({"y": "{{index}}", "z": {"{{flow.name}}": 1}}, name="b"),
    ),
    Nobody(),
)
NAMES = st.sampled_from(["a", "b", "c", "step"])
DURATIONS = st.sampled_from(["10s", "1h", "9999999h", "0s"])
WORDS = st.one_of(
    NAMES,
    st.sampled_from(
        [
            "{{index}}",
            "{{params.p}}",
            "{{flows.a.podIP}}",
            "{{flow.nme}}",
            "{{{{x}}}}",
            "{{param.x}}",
            "{{params.p | int}}",
        ]
    ),
    st.sampled_from(
        ["10s", "1h", "5", "-1s", "All", "Any", "Failed", "Critical", "Terminated", "/spec/x", "/metadata/-"]
    ),
    st.text(max_size=8),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 20_000), st.floats(allow_nan=False), WORDS)
KEYS = st.one_of(
    st.sampled_from(
        [
            *(
                "name",
                "template",
                "dependsOn",
                "for",
                "retry",
                "patch",
                "parameters",
                "continueOnFail",
                "finally",
                "timeout",
            ),
            *(
                "targets",
                "strategy",
                "onSkipped",
                "probe",
                "orGroups",
                "httpGetList",
                "tcpSocketList",
                "taskStatusList",
            ),
            *(
                "taskName",
                "port",
                "path",
                "phase",
                "replicas",
                "parallelism",
                "maxRetries",
                "interval",
                "factor",
                "reasons",
            ),
            *("flows", "successPolicy", "type", "criticalFlows", "remaining", "restart", "at", "shutdown", "suspend"),
            *("gvr", "group", "version", "resource", "jobSpec", "metadata", "labels", "statusRules", "ok", "cel", "eq"),
            *("op", "value", "from", "spec", "status", "deletionTimestamp", "record", "specHash", "plugins"),
        ]
    ),
    WORDS,
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)
MAYBE = st.one_of(st.dictionaries(KEYS, TREES, max_size=4), TREES)


def depends_on() -> st.SearchStrategy[Any]:
    phases = st.sampled_from(["Failed", "Running", "Completed", "Skipped", "Aborted"])
    probe = st.fixed_dictionaries(
        {},
        optional={
            "taskStatusList": st.lists(st.fixed_dictionaries({"taskName": NAMES, "phase": phases}), max_size=2),
            "httpGetList": st.lists(
                st.fixed_dictionaries({"taskName": NAMES, "port": st.integers(1, 65_535)}, optional={"path": WORDS}),
                max_size=2,
            ),
            "failAfter": DURATIONS,
        },
    )
    group = {"targets": st.lists(NAMES, max_size=3), "probe": probe, "strategy": st.sampled_from(["All", "Any"])}
    groups = st.lists(st.fixed_dictionaries({}, optional=group), max_size=2)
    return st.fixed_dictionaries({}, optional={**group, "orGroups": groups})


PARAMETERS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["p", "q"])}, optional={"value": WORDS}), max_size=3
)
STEPS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "test", "copy", "x"]), "path": WORDS},
        optional={"value": TREES, "from": WORDS},
    ),
    max_size=3,
)
FLOWS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "template": NAMES,
            "dependsOn": depends_on(),
            "for": st.fixed_dictionaries({}, optional={"replicas": st.integers(0, 3), "dependsOn": depends_on()}),
            "retry": st.fixed_dictionaries({}, optional={"maxRetries": st.integers(0, 3), "interval": DURATIONS}),
            "patch": st.one_of(STEPS, st.dictionaries(KEYS, TREES, max_size=3), TREES),
            "parameters": PARAMETERS,
            "finally": st.booleans(),
            "timeout": DURATIONS,
        },
    ),
    min_size=1,
    max_size=4,
)
SPECS = st.fixed_dictionaries(
    {"flows": FLOWS},
    optional={
        "parameters": PARAMETERS,
        "successPolicy": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["All", "Any", "Critical"]),
                "criticalFlows": st.lists(NAMES, max_size=2),
                "remaining": st.sampled_from(["Drain", "Cancel"]),
            },
        ),
        "restart": st.fixed_dictionaries({"at": NAMES}, optional={"flows": st.lists(NAMES, max_size=2)}),
        "jobRetainPolicy": st.sampled_from(["retain", "delete"]),
        "shutdown": st.sampled_from(["Stop", "Terminate"]),
        "timeout": DURATIONS,
    },
)
STATUSES = st.sampled_from(
    [
        {},
        {"phase": "Running", "flows": [{"name": "a", "phase": "Running"}]},
        {"phase": "Failed", "flows": [{"name": "a", "phase": "Failed"}]},
        {"phase": "Failed", "reason": "Invalid"},
    ]
)
WORKFLOWS = st.builds(lambda spec, status: {**workflow(status=status), "spec": spec}, SPECS, STATUSES)
TEMPLATES = st.builds(
    lambda job_spec, more: template(job_spec, **more),
    st.dictionaries(KEYS, TREES, max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "parameters": PARAMETERS,
            "statusRules": st.dictionaries(
                st.sampled_from(["ok", "fail"]), st.lists(st.dictionaries(KEYS, TREES), max_size=2)
            ),
        },
    ),
)
GARBAGE = st.builds(
    lambda kind, tree: {"kind": kind, "spec": tree}, st.sampled_from(["Workflow", "WorkTemplate"]), MAYBE
)
OBJECTS = st.one_of(WORKFLOWS, TEMPLATES, GARBAGE)


def check(answer: Answer) -> None:
    """An answer is one that the API server takes, and a refusal says why."""
    msgspec.json.decode(encode("u", answer))
    assert answer.allowed or (answer.message and answer.code >= 400)
    assert sum(map(len, answer.warnings)) <= 4_096


def through_the_api(one: Request) -> Request:
    """The same request as it comes out of an AdmissionReview."""
    review = {
        "uid": one.uid,
        "kind": {"group": "flow.workflow.sh", "version": "v1alpha1", "kind": one.kind},
        "operation": one.operation,
        "namespace": one.namespace,
        "name": one.name,
        "object": msgspec.Raw(one.object) if one.object else None,
        "oldObject": msgspec.Raw(one.old_object) if one.old_object else None,
    }
    return decode(
        msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": review})
    )


@given(OBJECTS, st.one_of(st.none(), OBJECTS))
def test_no_object_makes_a_handler_raise(new: Any, old: Any) -> None:
    one = through_the_api(request(new, old))
    check(HANDLERS.validate(one))
    check(HANDLERS.mutate(one))
    check(HANDLERS.validate(request(None, new, Operation.DELETE)))


@given(st.one_of(WORKFLOWS, TEMPLATES))
def test_defaults_change_no_verdict_and_are_written_once(new: Any) -> None:
    steps = list(HANDLERS.mutate(request(new)).patch)
    written = jsonpatch.apply_patch(new, steps)
    assert HANDLERS.validate(request(written)) == HANDLERS.validate(request(new))
    assert HANDLERS.mutate(request(written)).patch == ()
    assert "cannot change while" not in HANDLERS.validate(request(written, new)).message, "a default is no edit"
    assert all("/flows" not in step["path"] for step in steps), "kubectl compares the list of flows as a whole"
