"""Kinds of other projects on the test cluster: their CRDs, and kwok Stages in the place of their operators.

Annotations on an object say how it ends: `sim.workflow.sh/fail-until-attempt: "2"` fails attempts 0 and 1, and with
`sim.workflow.sh/fail-index: "1"` only that index does. `sim.workflow.sh/hold-attempt: "0"` lets attempt 0
run until it is deleted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.cluster.api import Api, ApiStatusError
from pkg.apis.meta import GVR
from tests.cluster.support.history import Object

REAL = Path(__file__).parents[4] / "shared" / "crds"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FAILS = (
    'if .metadata.annotations["sim.workflow.sh/hold-attempt"] == (.metadata.labels["flow.workflow.sh/attempt"] // "0")'
    ' then "held" else (((.metadata.annotations["sim.workflow.sh/fail-until-attempt"] // "0") | tonumber)'
    ' > ((.metadata.labels["flow.workflow.sh/attempt"] // "0") | tonumber)'
    ' and ((.metadata.annotations["sim.workflow.sh/fail-index"] // .metadata.labels["flow.workflow.sh/index"] // "")'
    ' == (.metadata.labels["flow.workflow.sh/index"] // ""))) | tostring end'
)


@dataclass(frozen=True, slots=True)
class Played:
    """One kind: the jq that finds its state in the status, and the statuses of its life, as YAML or templates."""

    gvr: GVR
    kind: str
    word: str
    running: str
    good: str
    bad: str
    begun: str = ""


def _conditions(*entries: str, more: str = "") -> str:
    """A status of conditions, the last one the newest: `Running` or `Running=False`."""
    lines = []
    for entry in entries:
        kind, _, status = entry.partition("=")
        lines.append(
            f'- {{type: {kind}, status: "{status or "True"}", reason: {kind}, message: played,'
            " lastTransitionTime: {{ Now | Quote }}, lastUpdateTime: {{ Now | Quote }}}"
        )
    return "conditions:\n" + "\n".join(lines) + more


_LAST = '[.status.conditions[]? | select(.status == "True") | .type] | last'
_MORE = "\nreplicaStatuses: {}\nstartTime: {{ Now | Quote }}"


def kubeflow(resource: str, kind: str, version: str = "v1") -> Played:
    gvr = GVR("kubeflow.org", version, resource)
    done = _MORE + "\ncompletionTime: {{ Now | Quote }}"
    return Played(
        gvr,
        kind,
        _LAST,
        _conditions("Created", "Running", more=_MORE),
        _conditions("Created", "Running=False", "Succeeded", more=done),
        _conditions("Created", "Running=False", "Failed", more=done),
    )


def _standard(text: str) -> str:
    return text.replace(", lastUpdateTime: {{ Now | Quote }}", "")


_VOLCANO = "minAvailable: 1\nstate: {{phase: {0}, reason: {0}, lastTransitionTime: {{{{ Now | Quote }}}}}}"
_SPARK = "applicationState: {{state: {}}}\ndriverInfo: {{}}\nlastSubmissionAttemptTime: null\nterminationTime: null"
_JOBS = "\n{}:\n- {{name: main, active: {}, ready: {}, succeeded: 0, failed: 0, suspended: 0}}"

KINDS = (
    Played(
        GVR("batch.volcano.sh", "v1alpha1", "jobs"),
        "Job",
        ".status.state.phase",
        _VOLCANO.format("Running"),
        _VOLCANO.format("Completed"),
        _VOLCANO.format("Failed"),
        begun="Running",
    ),
    kubeflow("pytorchjobs", "PyTorchJob"),
    kubeflow("tfjobs", "TFJob"),
    kubeflow("paddlejobs", "PaddleJob"),
    kubeflow("xgboostjobs", "XGBoostJob"),
    kubeflow("jaxjobs", "JAXJob"),
    kubeflow("mpijobs", "MPIJob"),
    Played(
        GVR("trainer.kubeflow.org", "v1alpha1", "trainjobs"),
        "TrainJob",
        f'({_LAST}) // (.status.jobsStatus[0].name | if . then "Running" else null end)',
        _JOBS.format("jobsStatus", 1, 1).strip(),
        _standard(_conditions("Complete")),
        _standard(_conditions("Failed")),
    ),
    Played(
        GVR("jobset.x-k8s.io", "v1alpha2", "jobsets"),
        "JobSet",
        '.status.terminalState // (.status.replicatedJobsStatus[0].name | if . then "Running" else null end)',
        _JOBS.format("replicatedJobsStatus", 1, 1).strip(),
        _standard(_conditions("Completed", more="\nterminalState: Completed")),
        _standard(_conditions("Failed", more="\nterminalState: Failed")),
    ),
    Played(
        GVR("ray.io", "v1", "rayjobs"),
        "RayJob",
        ".status.jobDeploymentStatus",
        "jobDeploymentStatus: Running\njobStatus: RUNNING",
        "jobDeploymentStatus: Complete\njobStatus: SUCCEEDED",
        "jobDeploymentStatus: Complete\njobStatus: FAILED\nmessage: the entrypoint ended with 1",
    ),
    Played(
        GVR("sparkoperator.k8s.io", "v1beta2", "sparkapplications"),
        "SparkApplication",
        ".status.applicationState.state",
        _SPARK.format("RUNNING"),
        _SPARK.format("COMPLETED"),
        _SPARK.format("FAILED"),
        begun="RUNNING",
    ),
    Played(
        GVR("any-crd.example.com", "v1", "backups"),
        "Backup",
        ".status.error // .status.step",
        "step: Writing\nsaved: 1",
        "step: Ended\nsaved: 2",
        "step: Ended\nerror: disk full",
        begun="Writing",
    ),
    Played(
        GVR("any-crd.example.com", "v1", "releases"),
        "Release",
        ".status.phase",
        "phase: Running",
        "phase: Done",
        "phase: Failed",
    ),
)


def stages() -> str:
    """The lives of all kinds, as one YAML text: begun after 0.2 s, ended 0.6 s after that."""
    documents = []
    for played in KINDS:
        running = played.begun or "Running"
        there = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
        begun = {"key": played.word, "operator": "In", "values": [running]}
        for name, when, status, wait in (
            ("begin", [{"key": played.word, "operator": "DoesNotExist"}], played.running, 200),
            ("good", [begun, {"key": _FAILS, "operator": "In", "values": ["false"]}], played.good, 600),
            ("bad", [begun, {"key": _FAILS, "operator": "In", "values": ["true"]}], played.bad, 600),
        ):
            documents.append(
                {
                    "apiVersion": "kwok.x-k8s.io/v1alpha1",
                    "kind": "Stage",
                    "metadata": {"name": f"{played.gvr.resource}-{played.gvr.version}-{name}"},
                    "spec": {
                        "resourceRef": {"apiGroup": played.gvr.api_version, "kind": played.kind},
                        "selector": {"matchExpressions": [there, *when]},
                        "delay": {"durationMilliseconds": wait},
                        "next": {"statusTemplate": status},
                    },
                }
            )
    return yaml.safe_dump_all(documents)


def definition(gvr: GVR, kind: str) -> Object:
    """The CRD of a kind: the real one if a copy is there, else one that accepts any spec and status."""
    path = REAL / f"{gvr.group}_{gvr.resource}.yaml"
    if path.exists() and gvr.resource != "mpijobs":
        found: Object = _without_descriptions(yaml.load(path.read_text("utf-8"), Loader=_Loader))
        return found
    versions = ["v1", "v2beta1"] if gvr.resource == "mpijobs" else [gvr.version]
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": free, "status": free}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{gvr.resource}.{gvr.group}"},
        "spec": {
            "group": gvr.group,
            "scope": "Namespaced",
            "names": {
                "plural": gvr.resource,
                "singular": kind.lower(),
                "kind": kind,
                "listKind": f"{kind}List",
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "subresources": {"status": {}},
                    "schema": schema,
                }
                for version in versions
            ],
        },
    }


def _without_descriptions(node: Any) -> Any:
    """A schema without its prose, which is most of its size; a property that is called `description` stays."""
    if isinstance(node, list):
        return [_without_descriptions(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_descriptions(value)
        for key, value in node.items()
        if not (key == "description" and isinstance(value, str))
    }


def install(api: Api, document: Object) -> str:
    """Create a CRD, unless it is there; returns its name."""
    body = json.loads(json.dumps(document, default=str))
    name = str(body["metadata"]["name"])
    annotations = body["metadata"].setdefault("annotations", {})
    if name.endswith((".k8s.io", ".kubernetes.io")) or ".k8s.io" in name:
        annotations.setdefault("api-approved.kubernetes.io", "unapproved, for tests")
    try:
        api.request("POST", CRDS, body)
    except ApiStatusError as error:
        if error.code != 409:
            raise
    return name
