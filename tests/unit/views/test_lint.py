"""lint finds every fault of the manifests in some files, and names the line and the column of its field."""

from __future__ import annotations

import pytest

from pkg.views.lint import lint

STEP = """
apiVersion: flow.workflow.sh/v1alpha1
kind: WorkTemplate
metadata: {name: step}
spec:
  gvr: {group: batch, version: v1, resource: jobs}
  jobSpec: {x: "%s"}
"""
FLOW = """
apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  flows:
  - {name: a, template: step%s}
"""


SET = "{op: add, path: /metadata/labels/x, value: z}"


def workflow(more: str = "") -> str:
    return FLOW % (f", {more}" if more else "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(f"{STEP % 'x'}---{workflow()}", [], id="a template and a workflow that fit"),
        pytest.param("kind: Pod\n---\nresources: [a.yaml]\n---\n", [], id="other kinds are passed over"),
        pytest.param(
            "kind: Workflow\nmetadata: {name: w}",
            ["f:1:1: Workflow w: apiVersion: must be given: flow.workflow.sh/v1alpha1"],
            id="no apiVersion",
        ),
        pytest.param(
            "kind: Pod\n---\n- a list\n---\n7\n---\nno\n---\nsome text",
            [
                f"f:{line}:1: a manifest is an object with apiVersion, kind and metadata, not {what}"
                for line, what in ((3, "a list"), (5, "a number"), (7, "true or false"), (9, "text"))
            ],
            id="documents that are no objects",
        ),
        pytest.param(
            f"{STEP % '{{index.x}}'}---{workflow()}",
            ["f:7:13: WorkTemplate step: spec.jobSpec.x: {{index.x}} is no variable"],
            id="a fault of a template by itself",
        ),
        pytest.param(
            f"{STEP % '{{params.k}}'}---{workflow()}",
            ['f:7:13: Workflow w: spec.flows[0] (template step).jobSpec.x: no parameter is named "k"'],
            id="a fault that only shows with the template",
        ),
        pytest.param(
            f"{STEP % '{{user.x}}'}---{workflow()}",
            ["f:7:13: warning: WorkTemplate step: spec.jobSpec.x: {{user.x}} is none of our variables"],
            id="a variable of somebody else is a warning",
        ),
        pytest.param(
            f"{STEP % '{{param.x}}'}---{workflow()}",
            [
                "f:7:13: warning: WorkTemplate step: spec.jobSpec.x: {{param.x}} is none of our variables and"
                ' stays as it is; did you mean "params.x"?'
            ],
            id="a first word one letter off ours",
        ),
        pytest.param(
            f"{STEP % '{{params.k}}'}---{workflow('parameters: [{name: k, value: x}, {name: m, value: x}]')}",
            [
                "f:14:66: warning: Workflow w: spec.flows[0].parameters[1].name:"
                ' parameter "m" is given, and nothing in its template or patch uses it; did you mean "k"?'
            ],
            id="a parameter that nothing uses",
        ),
        pytest.param(
            (STEP % "x") + "---" + workflow("patch: {spec: {z: '{{indx}}'}}"),
            ["f:14:46: warning: Workflow w: spec.flows[0].patch.spec.z: {{indx}} is none of our variables"],
            id="braces in a patch",
        ),
        pytest.param(
            workflow(),
            ['f:7:15: warning: Workflow w: spec.flows[0].template: WorkTemplate "step" is not in these files'],
            id="a template that is elsewhere is a warning",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('dependsOn: {targets: [b]}')}",
            ['f:14:53: Workflow w: spec.flows[0].dependsOn.targets[0]: no flow is named "b"'],
            id="a fault of a workflow by itself",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('dependOn: {targets: [a]}')}",
            ["f:14:31: Workflow w: spec.flows[0].dependOn: there is no such field; did you mean dependsOn?"],
            id="a field that does not exist",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('retry: {factor: many}')}  - {{name: B}}\n",
            [
                "f:14:39: Workflow w: spec.flows[0].retry.factor: must be a whole number, or a fraction in"
                ' quotes such as "1.5", not "many"',
                "f:15:6: Workflow w: spec.flows[1].name: must be lower case letters, digits and",
            ],
            id="all that the schema refuses",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('dependsOn: {targets: 1}')}",
            ["f:14:43: Workflow w: spec.flows[0].dependsOn.targets: must be a list, not 1"],
            id="what the schema refuses in dependsOn",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('for: {replicas: 9000}, patch: [' + ', '.join([SET] * 200) + ']')}",
            ["f:13:3: Workflow w: spec.flows: 1,800,000 patch steps"],
            id="a workflow that costs too much",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow()}---{workflow()}",
            ["f:18:12: Workflow w: metadata.name: the same object is also at f:9:1; keep one"],
            id="an object that occurs twice",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('patch: {metadata: {name: mine, labels: {a: b}}}')}",
            [
                "f:14:50: warning: Workflow w: spec.flows[0].patch.metadata.name: the controller sets this "
                "itself, so it has no effect"
            ],
            id="a patch of the job's name",
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow('patch: [{op: add, path: /metadata/namespace, value: other}]')}",
            ["f:14:49: warning: Workflow w: spec.flows[0].patch[0].path: the controller sets this itself"],
            id="a JSON Patch of the job's namespace",
        ),
        pytest.param(
            f"{STEP % '{{params.k}}'}  parameters: [{{name: k}}]\n---{workflow()}",
            [
                'f:7:13: Workflow w: spec.flows[0] (template step).jobSpec.x: parameter "k" of the template '
                "has no default; give it a value in the flow or in spec.parameters"
            ],
            id="a parameter that the template requires",
        ),
        pytest.param(
            STEP.replace("resource: jobs", "resource: job") % "x",
            [
                "f:6:3: warning: WorkTemplate step: spec.gvr: job.v1.batch is not known here; "
                'did you mean resource "jobs" of group "batch"?'
            ],
            id="the singular of a resource",
        ),
        pytest.param(
            STEP.replace("group: batch, version: v1, resource: jobs", "version: v1, resource: deployments") % "x",
            [
                "f:6:3: warning: WorkTemplate step: spec.gvr: deployments.v1 is not known here; "
                'did you mean resource "deployments" of group "apps"?'
            ],
            id="a resource without its group",
        ),
        pytest.param(
            STEP.replace("group: batch, version: v1, resource: jobs", "group: core, version: v1, resource: pods") % "x",
            [
                "f:6:3: warning: WorkTemplate step: spec.gvr: pods.v1.core is not known here; "
                'did you mean group "", which is that of Pods and Services?'
            ],
            id="the core group by name",
        ),
        pytest.param(
            STEP.replace("group: batch", "group: batch.example.com") % "x", [], id="a kind of somebody else is no slip"
        ),
        pytest.param(
            f"{STEP % 'x'}---{workflow()}---{workflow()}".replace("{name: w}", "{generateName: w-}"),
            [],
            id="two objects with generateName",
        ),
        pytest.param(
            workflow().replace("v1alpha1", "v1"),
            ["f:2:1: Workflow w: apiVersion: must be flow.workflow.sh/v1alpha1, not flow.workflow.sh/v1"],
            id="a version that does not exist",
        ),
        pytest.param(
            workflow().replace("kind: Workflow", "kind: WorkFlow"),
            ["f:3:1: WorkFlow w: kind: must be Workflow or WorkTemplate or CronWorkflow, not WorkFlow"],
            id="a kind that does not exist",
        ),
        pytest.param(
            f"{STEP.replace('jobSpec', 'spec') % 'x'}---{workflow()}",
            ["f:7:3: WorkTemplate step: spec.spec: there is no such field; did you mean jobSpec?"],
            id="a template with a fault is not one that is missing",
        ),
        pytest.param(
            f"{STEP % 'x'}  statusRules: {{ok: [{{path: .status.x, eq: 1}}]}}\n",
            ["f:8:22: WorkTemplate step: spec.statusRules.ok[0]: '.status.x' has a leading dot; write status.x"],
            id="a status rule that cannot be used",
        ),
        pytest.param(
            workflow().replace("{name: w}", "{name: my_flow}"),
            [
                'f:4:12: Workflow my_flow: metadata.name: must be lower case letters, digits, "-" and ".", such as'
                " train-1, at most 253 of them, not my_flow"
            ],
            id="a name that no object can have",
        ),
        pytest.param(
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: flow.workflow.sh/v1alpha1, kind: Workflow}\n",
            [
                "f:4:3: Workflow without a name: metadata.name: must be given",
                "f:4:3: Workflow without a name: spec: must be given",
            ],
            id="an item of a List",
        ),
        pytest.param(
            f"{STEP % 'x'}---\na: 1\na: 2\n",
            ['f:10:1: the key "a" occurs twice'],
            id="a key that occurs twice",
        ),
        pytest.param("a: [", ["f:2:1: this is no YAML: did not find"], id="no YAML"),
        pytest.param("[" * 5_000, ["f:1:301: nested too deeply"], id="YAML that is nested too deeply"),
    ],
)
def test_findings(text: str, lines: list[str]) -> None:
    found = [str(finding) for finding in lint({"f": text})]
    assert len(found) == len(lines)
    for one, beginning in zip(found, lines, strict=True):
        assert one.startswith(beginning)


def test_templates_may_be_in_another_file() -> None:
    assert lint({"f": workflow(), "g": STEP % "x"}) == []


def test_a_change_of_a_running_workflow_is_judged() -> None:
    new = workflow("continueOnFail: true")
    found = lint({"f": new, "g": STEP % "x"}, running={"old": workflow()})
    assert [(finding.file, finding.at, finding.fault.path) for finding in found] == [
        ("f", (7, 31), "spec.flows[0].continueOnFail")
    ]


CRLF = (STEP % "{{params.k}}" + "---" + workflow("dependsOn: {targets: [b]}")).replace("\n", "\r\n")
DOTTED = (STEP % "x").replace("  jobSpec", '  metadata:\n    labels:\n      example.com/a: "{{index.x}}"\n  jobSpec')
ANCHORED = """apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  flows:
  - &a
    name: a
    retry: &quick {factor: many}
  - name: b
    retry: *quick
  - <<: *a
    name: c
  - *a
"""
AS_JSON = """{
\t"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow",
\t"metadata": {"name": "w"},
\t"spec": {"flows": [
\t\t{"name": "a", "dependsOn": {"targets":
\t\t\t["b"]}}
\t]}
}
"""


@pytest.mark.parametrize(
    ("text", "places"),
    [
        pytest.param(
            CRLF,
            {"spec.flows[0] (template step).jobSpec.x": (7, 13), "spec.flows[0].dependsOn.targets[0]": (14, 53)},
            id="lines that end as on Windows, in the template where the path leads there",
        ),
        pytest.param(
            DOTTED,
            {'spec.metadata.labels["example.com/a"]': (9, 7)},
            id="a key with dots, which a path has in brackets",
        ),
        pytest.param(
            ANCHORED,
            {
                "spec.flows[0].retry.factor": (8, 20),
                "spec.flows[1].retry.factor": (8, 20),
                "spec.flows[2].retry.factor": (8, 20),
                "spec.flows[3].retry.factor": (8, 20),
            },
            id="anchors: where the text stands, also through << and *",
        ),
        pytest.param(
            AS_JSON,
            {"spec.flows[0].template": (5, 3), "spec.flows[0].dependsOn.targets[0]": (6, 5)},
            id="JSON with tabs",
        ),
        pytest.param(
            AS_JSON + AS_JSON.replace('"w"', '"v"').replace('"b"', '"a"'),
            {"spec.flows[0].template": (13, 3), "spec.flows[0].dependsOn.targets[0]": (14, 5)},
            id="the second of two JSON objects",
        ),
    ],
)
def test_places(text: str, places: dict[str, tuple[int, int]]) -> None:
    found = {finding.fault.path: tuple(finding.at) for finding in lint({"f": text})}
    assert {path: found.get(path) for path in places} == places


def test_findings_come_in_the_order_of_the_lines() -> None:
    found = lint({"f": f"{workflow('dependsOn: {targets: [b]}')}---{STEP % '{{index.x}}'}", "e": "a: ["})
    assert [(finding.file, finding.at.line) for finding in found] == [("f", 7), ("f", 14), ("e", 2)]
