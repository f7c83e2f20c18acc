"""What to do about each reason of a flow or a Workflow, in one line. Pure; docs/troubleshooting.md says more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.reasons import Reasons as R

#: {name}, {namespace}: of the Workflow; {flow}: of the flow.
ADVICE: Final[Mapping[str, str]] = {
    R.FAILED: "kubectl workflow logs -n {namespace} {name} {flow}",
    R.JOB_DELETED: "kubectl get events -n {namespace} --field-selector reason=Killing; the audit log says who did it",
    R.DEADLINE_EXCEEDED: "raise timeout of the flow or of the workflow, or find out what is slow: "
    "kubectl workflow logs -n {namespace} {name} {flow}",
    R.PENDING_TIMEOUT: "find out what it waited for, a queue or nodes: kubectl workflow events -n {namespace} {name}",
    R.RENDER_ERROR: "correct the field that the message names; kubectl workflow lint FILE finds most of these",
    R.REFUSED: "correct the template or the patch as the message says",
    R.APPLY_CONFLICT: "leave the field out of the template, or set force: true there to take it over",
    R.NAME_CONFLICT: "delete or rename the object that has the name of the job",
    R.PROBE_TIMEOUT: "correct path and port of the probe, or the server; then restart the flow",
    R.OUTPUT_MISSING: "correct the path of the output, or give it a default; it is read from the job of flow {flow}",
    R.TOO_MANY_ITEMS: "make the list shorter, or let each item stand for several; then restart the flow that found it",
    R.REJECTED: "correct the cause, then ask anew: kubectl workflow retry -n {namespace} {name} --flow {flow}",
    R.APPROVAL_NEEDED: "kubectl workflow approve -n {namespace} {name} {flow}, or reject",
    R.APPROVED: "nothing",
    R.OUTPUT_TOO_LARGE: "put the value into a store that the jobs share, and hand out its place",
    R.NO_REPLICAS: "nothing: for.replicas is 0, or the list of items is empty",
    R.DEPENDENCIES_IMPOSSIBLE: "nothing if this branch is not to be taken; else set onSkipped: Ignore",
    R.WHEN_FALSE: "nothing if the condition of flow {flow} is right; else correct when",
    R.WORKFLOW_DECIDED: "nothing; successPolicy.remaining: Continue lets the rest run",
    R.WAITING_FOR_DEPENDENCIES: "look at the flow that it waits for",
    R.WAITING_FOR_OUTPUT: "nothing; it takes 30 s at most. While an edit holds the workflow, take the edit back",
    R.START_DELAYED: "nothing: it starts at the time in the message",
    R.WAITING_FOR_PROBE: "wait, or look at the probed pod: kubectl workflow logs -n {namespace} {name} FLOW",
    R.PROBE_UNANSWERED: "ask the pod yourself: kubectl port-forward -n {namespace} POD PORT; then correct the probe or "
    "the server",
    R.NO_POD_ADDRESS: "look at the pods of the flow in the message; if it has none, take its podIP out",
    R.TEMPLATE_NOT_FOUND: "create the WorkTemplate: kubectl apply -n {namespace} -f template.yaml",
    R.KIND_NOT_SERVED: "install its operator and CRD, or correct spec.gvr: kubectl api-resources lists what is served",
    R.KIND_SYNCING: "nothing; it takes seconds",
    R.KIND_UNREADABLE: "let the controller list and watch the kind: installer/controller/21-job-kinds.yaml says how",
    R.PARALLELISM_REACHED: "wait, or raise parallelism",
    R.LOCK_HELD: "wait, or raise the limit if the message says that it is 0; "
    "kubectl get leases -n {namespace} -l flow.workflow.sh/lock shows who holds it now",
    R.LOCK_INVALID: "create or correct the ConfigMap that the message names; it is read again every few seconds",
    R.WORKFLOW_SUSPENDED: "kubectl workflow resume -n {namespace} {name}",
    R.CREATE_FAILED: "read the message; a webhook may be down: kubectl get validatingwebhookconfigurations",
    R.QUOTA_EXCEEDED: "kubectl describe quota -n {namespace}; raise it, or delete what is not needed",
    R.FORBIDDEN: "let the controller create the kind: installer/controller/21-job-kinds.yaml says how",
    R.ADMISSION_DENIED: "correct the template or the policy that the message names",
    R.NAMESPACE_TERMINATING: "nothing can be made in a namespace that is being deleted",
    R.NOT_ALLOWED: "give the person in the message the right, or let somebody who has it apply the object",
    R.RIGHTS_UNKNOWN: "nothing, if it passes; else look at the authorizers of the API server",
    R.SERVER_WARNING: "correct the template, or set its fieldValidation",
    R.UNKNOWN_STATUS: "say in statusRules of the WorkTemplate what the status means",
    R.STATUS_RULE_FAULT: "correct statusRules of the WorkTemplate; its jobs are judged anew at once",
    R.NO_STATUS: "its operator does not run, or does not look at this namespace: kubectl get pods -A",
    R.DELETING: "see whether the controller of the finalizers in the message runs; they hold the job",
    R.SUSPENDED: "a queue holds it: kubectl get workloads,clusterqueues (Kueue) or podgroups,queues (Volcano)",
    R.TASK_RETRY: "nothing: it is tried again; kubectl workflow logs -n {namespace} {name} {flow} shows why it failed",
    R.NOT_FINISHED: "nothing",
    R.NOTHING_BLOCKS: "nothing",
    R.ALL_SUCCEEDED: "nothing",
    R.ANY_SUCCEEDED: "nothing",
    R.CRITICAL_SUCCEEDED: "nothing",
    R.TASK_FAILED: "correct the cause, then kubectl workflow retry -n {namespace} {name}",
    R.NO_LEAF_CAN_SUCCEED: "correct the causes, then kubectl workflow retry -n {namespace} {name}",
    R.CRITICAL_FAILED: "correct the cause, then kubectl workflow retry -n {namespace} {name}",
    R.STOPPED: "kubectl workflow retry -n {namespace} {name} runs the rest",
    R.TERMINATED: "kubectl workflow retry -n {namespace} {name} runs the rest",
    R.INVALID: "correct the fields that the message names; kubectl workflow lint FILE says the same beforehand",
    R.SPEC_CHANGED: "take the edit back, or end it: kubectl workflow terminate -n {namespace} {name}",
    R.RESTORED: "restore it with its status, or let it run from the start: docs/backup.md",
}


def advice(reason: str, *, namespace: str, name: str, flow: str = "") -> str:
    """What to do; empty for a reason of a kind of job, which this program does not know."""
    text = ADVICE.get(reason, "")
    return text.format(namespace=namespace, name=name, flow=flow).rstrip() if text else ""
