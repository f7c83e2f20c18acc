"""Manifests of schedules, delays, approvals, locks and last steps that are wrong, and what a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.support.crons import cron
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, workflow

ROOT: Final = "spec.workflowTemplate.spec"
#: Who says it where no webhook runs: the schema of the CRD at the creation, the Workflow that is Invalid, its task that
#: fails, or the condition Valid of the CronWorkflow. NOBODY: the runs do what the manifest says.
CRD, INVALID, TASK, NOT_VALID, NOBODY = "crd", "workflow", "task", "valid", "nobody"


@dataclass(frozen=True, slots=True)
class Bad:
    """said: what the webhook says, field and cause; without: who says it where no webhook runs, in the words of
    `without_said`, or else in the same.
    """

    manifest: Object
    said: str
    without: str
    without_said: str = ""


def nightly(*schedules: str, flows: list[Object] | None = None, **spec: Any) -> Object:
    return cron("x", *(schedules or ("0 2 * * *",)), flows=flows or [flow("a")], **spec)


def ask(**fields: Any) -> Object:
    """A flow with approval."""
    return {"name": "ok", "approval": {"message": "Go?", **fields.pop("approval", {})}, **fields}


def _finally(name: str = "b", **fields: Any) -> Object:
    return {**flow(name, **fields), "finally": True}


def _says(text: str) -> dict[str, Any]:
    """Fields of a flow that puts a text into its job."""
    return {"patch": {"metadata": {"annotations": {"example.com/says": text}}}}


_SEMAPHORE: Final = {"configMapKeyRef": {"name": "limits", "key": "gpu"}}
_NESTED: Final = {
    "gvr": {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"},
    "jobSpec": {"flows": [{"name": "in", "template": "step", "mutexes": ["inner"]}]},
}

BAD: Final[dict[str, Bad]] = {
    # Schedules
    "a schedule that never fires": Bad(
        nightly("0 0 31 2 *"), "spec.schedules[0]: never fires: no month of 2 has a day 31", NOT_VALID
    ),
    "a list of days that never comes": Bad(
        nightly("0 2 * * *", "0 0 30,31 2 *"),
        "spec.schedules[1]: never fires: no month of 2 has a day 30,31",
        NOT_VALID,
    ),
    "a schedule with seconds": Bad(nightly("0 0 2 * * *"), "spec.schedules[0]: has 6 fields, and needs 5", NOT_VALID),
    "an hour that there is not": Bad(nightly("0 24 * * *"), 'the hour "24" is none; write 0 to 23', NOT_VALID),
    "an interval in words": Bad(nightly("@every 5m"), "for an interval write */5 in the field of minutes", NOT_VALID),
    "a zone in the schedule": Bad(
        nightly("CRON_TZ=Europe/Berlin 0 2 * * *"),
        "write the time zone into timeZone, not into the schedule",
        CRD,
    ),
    "no schedule": Bad(cron("x", flows=[flow("a")]), "spec.schedules", CRD, "spec.schedules"),
    "a time zone that is not there": Bad(
        nightly(timeZone="Mars/Base"), "spec.timeZone: no time zone has this name; write one of the IANA's", NOT_VALID
    ),
    "a time zone in small letters": Bad(
        nightly(timeZone="europe/berlin"),
        'did you mean "Europe/Berlin"?',
        NOT_VALID,
    ),
    "an offset for a time zone": Bad(nightly(timeZone="UTC+2"), 'write "Etc/GMT-2"', NOT_VALID),
    "a policy that there is not": Bad(
        nightly(concurrencyPolicy="forbid"),
        "spec.concurrencyPolicy",
        CRD,
        "supported values: ",
    ),
    "a deadline before the time": Bad(
        nightly(startingDeadlineSeconds=-1), "spec.startingDeadlineSeconds", CRD, "should be greater than or equal to 0"
    ),
    "a name too long": Bad(
        cron("x" * 53, "@daily", flows=[flow("a")]), "metadata.name may have at most 52 characters", CRD
    ),
    "runs that are stopped before they begin": Bad(
        nightly(workflow={"shutdown": "Stop"}), f"{ROOT}.shutdown: steers one Workflow; remove it here", NOT_VALID
    ),
    "a fault of the run": Bad(
        nightly(flows=[flow("a", "b")]), f'{ROOT}.flows[0].dependsOn.targets[0]: no flow is named "b"', NOT_VALID
    ),
    "a label of ours on the run": Bad(
        nightly(template={"metadata": {"labels": {"flow.workflow.sh/flow": "a"}}}),
        '"flow.workflow.sh/flow" is written by Work-Flow itself; remove it',
        NOT_VALID,
    ),
    "a scheduled time without a schedule": Bad(
        workflow("x", flow("a", **_says("{{workflow.scheduledTime}}"))),
        "has no value, because this Workflow has no scheduled time: let a CronWorkflow make it",
        TASK,
        "workflow.scheduledTime",
    ),
    # Delays
    "a delay without a unit": Bad(
        workflow("x", flow("a", startDelay="5")), "spec.flows[0].startDelay", CRD, "spec.flows[0].startDelay"
    ),
    "a delay that is longer than a life": Bad(
        workflow("x", flow("a", startDelay="9999999h")),
        "spec.flows[0].startDelay: longer than a duration can be",
        INVALID,
    ),
    # Approvals
    "an approval with a job": Bad(
        workflow("x", ask(template="step")), "spec.flows[0].template: a flow with approval makes no job", INVALID
    ),
    "an approval with a lock": Bad(
        workflow("x", ask(mutexes=["db"])),
        "spec.flows[0].mutexes: a flow with approval makes no job that a lock",
        INVALID,
    ),
    "an approver who is two": Bad(
        workflow("x", ask(approval={"approvers": [{"user": "alice", "group": "staff"}]})),
        "spec.flows[0].approval.approvers[0]",
        CRD,
        "spec.flows[0].approval.approvers[0]",
    ),
    "an approver who is nobody": Bad(
        workflow("x", ask(approval={"approvers": [{}]})),
        "spec.flows[0].approval.approvers[0]",
        CRD,
        "spec.flows[0].approval.approvers[0]",
    ),
    "approved before it exists": Bad(
        workflow("x", ask(), approvals=[{"flow": "ok", "decision": "Approve"}]),
        "spec.approvals: a new Workflow has no approvals",
        INVALID,
    ),
    "a message with a variable": Bad(
        workflow("x", ask(approval={"message": "for {{params.who}}"}), parameters=[{"name": "who", "value": "us"}]),
        "spec.flows[0].approval.message: the message is plain text",
        INVALID,
    ),
    "an address of an approval": Bad(
        workflow("x", ask(), flow("b", **_says("{{flows.ok.podIP}}"))),
        "flow with approval",
        INVALID,
    ),
    # Locks
    "a lock on two levels": Bad(
        workflow("x", flow("a", mutexes=["db"]), mutexes=["db"]),
        "spec.flows[0].mutexes: the workflow has locks of its own (spec.mutexes, spec.semaphores)",
        INVALID,
    ),
    "a semaphore of a flow and a mutex of the workflow": Bad(
        workflow("x", flow("a", semaphores=[_SEMAPHORE]), mutexes=["db"]),
        "spec.flows[0].semaphores: the workflow has locks of its own",
        INVALID,
    ),
    "a lock on two levels in a template of a flow": Bad(
        workflow("x", {"name": "a", "templateSpec": _NESTED, "mutexes": ["outer"]}),
        "this Workflow runs while spec.flows[0] holds locks, so it can name none",
        TASK,
        "which holds locks while it runs, so it can name none",
    ),
    "a lock given twice": Bad(
        workflow("x", flow("a", mutexes=["db", "db"])),
        'spec.flows[0].mutexes[1]: mutex "db" is given twice, first in spec.flows[0].mutexes[0]; keep one',
        INVALID,
    ),
    "a semaphore given twice": Bad(
        workflow("x", flow("a", semaphores=[_SEMAPHORE, _SEMAPHORE])),
        "spec.flows[0].semaphores[1]: semaphore limits/gpu is given twice",
        INVALID,
    ),
    "a name that a lock cannot have": Bad(
        workflow("x", flow("a", mutexes=["db-{{index}}"])), "spec.flows[0].mutexes[0]", CRD, "spec.flows[0].mutexes[0]"
    ),
    "a semaphore without a key": Bad(
        workflow("x", flow("a", semaphores=[{"configMapKeyRef": {"name": "limits"}}])),
        "spec.flows[0].semaphores[0].configMapKeyRef.key",
        CRD,
        "spec.flows[0].semaphores[0].configMapKeyRef.key",
    ),
    # The end
    "the outcome before the end": Bad(
        workflow("x", flow("a", **_says("{{workflow.phase}}"))),
        "{{workflow.phase}} is known in finally flows only",
        INVALID,
    ),
    "a condition on the failures before the end": Bad(
        workflow("x", flow("a", when="workflow.failures.size() > 0")),
        "spec.flows[0].when: workflow.failures is known in finally flows only",
        INVALID,
    ),
    "a slip in a variable of the end": Bad(
        workflow("x", flow("a"), _finally(**_says("{{workflow.failure}}"))),
        'did you mean "workflow.failures"?',
        INVALID,
    ),
    "only last steps": Bad(
        workflow("x", _finally("a")), "spec.flows: every flow has finally: true; at least one must not", INVALID
    ),
    "a flow that waits for a last step": Bad(
        workflow("x", flow("a", "b"), flow("c"), _finally("b")),
        'spec.flows[0].dependsOn.targets[0]: "b" is a finally flow, and only finally flows can wait for it',
        INVALID,
    ),
    "last steps in a circle": Bad(
        workflow("x", flow("a"), _finally("b", after="c"), _finally("c", after="b")),
        "these flows wait for each other in a circle: b -> c -> b",
        INVALID,
    ),
    "a last step that probes": Bad(
        workflow(
            "x",
            flow("a"),
            {**_finally(), "dependsOn": {"probe": {"tcpSocketList": [{"taskName": "a", "port": 80}]}}},
        ),
        "a finally flow can depend on targets and taskStatusList only",
        INVALID,
    ),
}


#: Entries of spec.approvals that decide about nothing, for the workflow of `asking`, and why.
BAD_ENTRIES: Final[dict[str, tuple[Object, str]]] = {
    "a flow that there is not": (
        {"flow": "reease", "decision": "Approve"},
        'spec.approvals[0].flow: no flow is named "reease"; did you mean "release"?',
    ),
    "a flow without approval": (
        {"flow": "a", "decision": "Approve"},
        'spec.approvals[0].flow: flow "a" has no approval, so nobody can approve or reject it',
    ),
    "an index of a flow without": (
        {"flow": "release", "index": 3, "decision": "Reject"},
        'spec.approvals[0].index: flow "release" has no for, and so no indexes; leave index out',
    ),
    "an index above the last": (
        {"flow": "regions", "index": 2, "decision": "Approve"},
        'spec.approvals[0].index: flow "regions" has the indexes 0 to 1',
    ),
}


def asking(name: str) -> Object:
    """A workflow that waits for people: at one task, and at two of one flow."""
    release = {"name": "release", "approval": {"message": "Go?"}}
    regions = {"name": "regions", "approval": {}, "for": {"replicas": 2}}
    return workflow(name, flow("a"), release, regions)
