"""The life of a job of every kind, status by status, and what each status must read as."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.meta import Job
from pkg.workloads import JobState, read, rules_for
from tests.unit.workloads.builders import cond, conds, gvr, job

P, H, R, S, F = JobState.PENDING, JobState.HELD, JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED
READY = "ready"  # Running, and ready

Case = tuple[str, Job, Any]


def _job(status: dict[str, Any], **more: Any) -> Job:
    return job(status, **more)


BATCH: list[Case] = [
    ("nothing reported yet", job(), P),
    ("started, its pod still Pending", job({"active": 1, "ready": 0, "startTime": "2026-01-01T00:00:00Z"}), P),
    ("one of two pods ready", job({"active": 2, "ready": 1}), R),
    ("all pods ready", job({"active": 2, "ready": 2}), READY),
    ("suspended", job(conds(cond("Suspended", reason="JobSuspended"))), H),
    ("resumed", job(conds(cond("Suspended", "False", "JobResumed"), active=1, ready=1)), READY),
    ("a failure is coming but not final", job(conds(cond("FailureTarget", reason="BackoffLimitExceeded"))), P),
    ("success is coming but pods still end", job(conds(cond("SuccessCriteriaMet"), active=1, ready=1)), READY),
    ("complete", job(conds(cond("SuccessCriteriaMet"), cond("Complete"), succeeded=1)), S),
    ("failed after its retries", job(conds(cond("FailureTarget"), cond("Failed", reason="BackoffLimitExceeded"))), F),
    ("failed by deadline", job(conds(cond("Failed", reason="DeadlineExceeded"))), F),
    ("failed by pod failure policy", job(conds(cond("Failed", reason="PodFailurePolicy"))), F),
    ("complete while being deleted stays complete", job(conds(cond("Complete")), deleting=True), S),
]

POD: list[Case] = [
    ("no phase yet", job(), P),
    ("pending", job({"phase": "Pending"}), P),
    ("cannot be scheduled", job({"phase": "Pending", **conds(cond("PodScheduled", "False", "Unschedulable"))}), P),
    (
        "held by a scheduling gate",
        job({"phase": "Pending", **conds(cond("PodScheduled", "False", "SchedulingGated"))}),
        H,
    ),
    ("running, not ready", job({"phase": "Running", **conds(cond("Ready", "False"))}), R),
    ("running and ready", job({"phase": "Running", **conds(cond("Ready"))}), READY),
    ("a generation behind does not matter", job({"phase": "Succeeded", "observedGeneration": 1}, generation=2), S),
    ("succeeded", job({"phase": "Succeeded"}), S),
    ("failed", job({"phase": "Failed"}), F),
    ("evicted", job({"phase": "Failed", "reason": "Evicted"}), F),
]

ROLLED_OUT = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
DEPLOYMENT: list[Case] = [
    ("nothing reported yet", job(replicas=2), P),
    ("the status speaks of an older spec", job(ROLLED_OUT, generation=2, replicas=2), P),
    ("replicas made, none available", job({**ROLLED_OUT, "availableReplicas": 0}, replicas=2), P),
    ("one of two available", job({**ROLLED_OUT, "availableReplicas": 1}, replicas=2), R),
    ("old replicas still there", job({**ROLLED_OUT, "replicas": 3}, replicas=2), R),
    ("scaling up", job(ROLLED_OUT, replicas=3), R),
    ("rolled out", job(ROLLED_OUT, replicas=2), READY),
    ("replicas unset means one", job(dict.fromkeys(ROLLED_OUT, 1)), READY),
    ("no replicas wanted", job({"observedGeneration": 1}, replicas=0), READY),
    (
        "progress deadline exceeded",
        job({"observedGeneration": 1, **conds(cond("Progressing", "False", "ProgressDeadlineExceeded"))}, replicas=2),
        F,
    ),
    (
        "quota is in the way, which can pass",
        job({"observedGeneration": 1, **conds(cond("ReplicaFailure", reason="FailedCreate"))}, replicas=2),
        P,
    ),
]

REVISIONS = {"observedGeneration": 1, "currentRevision": "a", "updateRevision": "a"}
STATEFUL_SET: list[Case] = [
    ("nothing reported yet", job(replicas=2), P),
    ("no replica ready", job({**REVISIONS, "replicas": 1}, replicas=2), P),
    ("one of two ready", job({**REVISIONS, "readyReplicas": 1}, replicas=2), R),
    ("all ready", job({**REVISIONS, "readyReplicas": 2}, replicas=2), READY),
    ("all ready, of mixed revisions", job({**REVISIONS, "readyReplicas": 2, "updateRevision": "b"}, replicas=2), R),
    ("the status speaks of an older spec", job({**REVISIONS, "readyReplicas": 2}, generation=3, replicas=2), P),
]

DAEMON_SET: list[Case] = [
    ("nothing reported yet", job(), P),
    ("no pod ready", job({"observedGeneration": 1, "desiredNumberScheduled": 2}), P),
    ("one of two ready", job({"observedGeneration": 1, "desiredNumberScheduled": 2, "numberReady": 1}), R),
    (
        "available everywhere",
        job(
            {
                "observedGeneration": 1,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 2,
                "numberReady": 2,
                "numberAvailable": 2,
            }
        ),
        READY,
    ),
]


def _volcano(phase: str) -> Job:
    return job({"state": {"phase": phase}, "conditions": [{"status": phase}], "minAvailable": 1})


VOLCANO: list[Case] = [
    ("nothing reported yet", job(), P),
    *((phase, _volcano(phase), P) for phase in ("Pending", "Restarting", "Aborting", "Terminating")),
    ("Running", _volcano("Running"), READY),
    ("Completing", _volcano("Completing"), R),
    ("Completed", _volcano("Completed"), S),
    *((phase, _volcano(phase), F) for phase in ("Failed", "Terminated", "Aborted")),
]

JOB_FLOW: list[Case] = [
    ("nothing reported yet", job(), P),
    ("conditions are a map", job({"conditions": {"a": {"phase": "Running"}}, "state": {"phase": "Running"}}), R),
    ("pending", job({"state": {"phase": "Pending"}}), P),
    ("succeeded", job({"state": {"phase": "Succeed"}}), S),
    ("failed", job({"state": {"phase": "Failed"}}), F),
]

KUBEFLOW: list[Case] = [
    ("nothing reported yet", job(), P),
    ("created", job(conds(cond("Created"))), P),
    ("suspended", job(conds(cond("Created"), cond("Suspended"))), H),
    ("running", job(conds(cond("Created"), cond("Running"))), READY),
    ("restarting", job(conds(cond("Created"), cond("Running", "False"), cond("Restarting"))), P),
    ("succeeded", job(conds(cond("Created"), cond("Running", "False"), cond("Succeeded"))), S),
    ("failed", job(conds(cond("Created"), cond("Running", "False"), cond("Failed"))), F),
    ("succeeded and failed at once is failed", job(conds(cond("Succeeded"), cond("Failed"))), F),
]

MPI_V2: list[Case] = [
    *KUBEFLOW[:6],
    ("failed without completionTime is an eviction", job(conds(cond("Running", "False"), cond("Failed"))), P),
    ("failed with completionTime", job(conds(cond("Failed"), completionTime="2026-01-01T00:00:00Z")), F),
    ("succeeded after an eviction", job(conds(cond("Failed", "False"), cond("Succeeded"), completionTime="x")), S),
]


def _groups(field: str, **counts: int) -> dict[str, Any]:
    return {field: [{"name": "node", **counts}]}


TRAIN_JOB: list[Case] = [
    ("nothing reported yet", job(), P),
    ("suspended", job(conds(cond("Suspended", reason="Suspended"))), H),
    ("an outdated Suspended", job(conds(cond("Suspended", observedGeneration=1)), generation=2), P),
    ("its JobSet exists, no pod yet", job(_groups("jobsStatus", active=0, ready=0)), P),
    ("a child is active", job(_groups("jobsStatus", active=1, ready=0)), R),
    ("one of two children is ready", job({"jobsStatus": [{"name": "a", "ready": 1}, {"name": "b"}]}), R),
    ("every child is ready", job(_groups("jobsStatus", active=1, ready=1)), READY),
    ("complete", job(conds(cond("Complete", reason="JobsCompleted"))), S),
    (
        "failed, though the spec was touched afterwards",
        job(conds(cond("Failed", observedGeneration=1)), generation=2),
        F,
    ),
]

TWO = [{"name": "driver"}, {"name": "node", "replicas": 2}]
JOB_SET: list[Case] = [
    ("nothing reported yet", job(replicatedJobs=TWO), P),
    ("suspended", job(conds(cond("Suspended", observedGeneration=1))), H),
    ("starting in order", job(conds(cond("StartupPolicyInProgress")), replicatedJobs=TWO), P),
    ("restarting", job(conds(cond("RestartingJobSet")), replicatedJobs=TWO), P),
    ("a child is active", job(_groups("replicatedJobsStatus", active=1), replicatedJobs=TWO), R),
    (
        "one of two nodes is ready",
        job(
            {"replicatedJobsStatus": [{"name": "driver", "ready": 1}, {"name": "node", "ready": 1}]},
            replicatedJobs=TWO,
        ),
        R,
    ),
    (
        "a group is not listed yet",
        job({"replicatedJobsStatus": [{"name": "driver", "ready": 1}]}, replicatedJobs=TWO),
        R,
    ),
    (
        "ready, one child has succeeded already",
        job(
            {"replicatedJobsStatus": [{"name": "driver", "ready": 1}, {"name": "node", "ready": 1, "succeeded": 1}]},
            replicatedJobs=TWO,
        ),
        READY,
    ),
    ("completed", job(conds(cond("Completed"), terminalState="Completed")), S),
    ("completed by condition alone", job(conds(cond("Completed"))), S),
    ("failed by condition alone", job(conds(cond("Failed"))), F),
    ("failed by terminal state alone", job({"terminalState": "Failed"}), F),
    ("an outdated Suspended", job(conds(cond("Suspended", observedGeneration=1)), generation=2), P),
    ("completed by terminal state alone", job({"terminalState": "Completed"}), S),
    ("failed", job(conds(cond("Failed"), terminalState="Failed")), F),
]


def _ray(deployment: str, status: str = "") -> Job:
    return job({"jobDeploymentStatus": deployment, "jobStatus": status, "observedGeneration": 0})


RAY_JOB: list[Case] = [
    ("nothing reported yet", job(), P),
    *((word, _ray(word), P) for word in ("", "Initializing", "Waiting", "Retrying")),
    *((word, _ray(word), H) for word in ("Suspending", "Suspended")),
    ("running, not submitted yet", _ray("Running", "PENDING"), R),
    ("running", _ray("Running", "RUNNING"), READY),
    ("succeeded, its cluster still up", _ray("Running", "SUCCEEDED"), R),
    ("complete", _ray("Complete", "SUCCEEDED"), S),
    ("complete but failed", _ray("Complete", "FAILED"), F),
    ("complete but stopped", _ray("Complete", "STOPPED"), F),
    ("failed", _ray("Failed"), F),
    ("refused by its operator", _ray("ValidationFailed"), F),
]

RAY_CLUSTER: list[Case] = [
    ("nothing reported yet", job(), P),
    ("provisioned, head not ready", job(conds(cond("RayClusterProvisioned"), observedGeneration=1)), P),
    ("suspended", job(conds(cond("RayClusterSuspended"), observedGeneration=1)), H),
    ("ready", job(conds(cond("RayClusterProvisioned"), cond("HeadPodReady"), observedGeneration=1)), READY),
    (
        "the status speaks of an older spec",
        job(conds(cond("RayClusterProvisioned"), cond("HeadPodReady"), observedGeneration=1), generation=2),
        P,
    ),
]


def _spark(state: str) -> Job:
    return job({"applicationState": {"state": state}})


SPARK: list[Case] = [
    ("nothing reported yet", job(), P),
    *(
        (state or "an empty state", _spark(state), P)
        for state in (
            "",
            "SUBMITTED",
            "SUBMISSION_FAILED",
            "PENDING_RERUN",
            "INVALIDATING",
            "RESUMING",
            "UNKNOWN",
        )
    ),
    *((state, _spark(state), H) for state in ("SUSPENDING", "SUSPENDED")),
    ("RUNNING", _spark("RUNNING"), READY),
    *((state, _spark(state), R) for state in ("SUCCEEDING", "FAILING")),
    ("COMPLETED", _spark("COMPLETED"), S),
    ("FAILED", _spark("FAILED"), F),
]

NESTED: list[Case] = [
    ("nothing reported yet", job(), P),
    ("pending", job({"phase": "Pending"}), P),
    ("running", job({"phase": "Running"}), R),
    ("decided, the rest is ending", job({"phase": "Terminating"}), R),
    ("suspended", job({"phase": "Suspended"}), H),
    ("succeeded", job({"phase": "Succeeded", "observedGeneration": 1}), S),
    ("succeeded, then restarted", job({"phase": "Succeeded", "observedGeneration": 1}, generation=2), P),
    ("failed", job({"phase": "Failed"}), F),
]

ARGO: list[Case] = [
    ("nothing reported yet", job(), P),
    ("pending", job({"phase": "Pending"}), P),
    ("running", job({"phase": "Running"}), R),
    ("suspended", job({"phase": "Running"}, suspend=True), H),
    ("succeeded", job({"phase": "Succeeded"}, suspend=True), S),
    ("failed", job({"phase": "Failed"}), F),
    ("in error", job({"phase": "Error"}), F),
]

TEKTON: list[Case] = [
    ("nothing reported yet", job(), P),
    ("started", job(conds(cond("Succeeded", "Unknown", "Started"))), P),
    ("held back", job(conds(cond("Succeeded", "Unknown", "PipelineRunPending"))), H),
    ("running", job(conds(cond("Succeeded", "Unknown", "Running"))), R),
    ("succeeded", job(conds(cond("Succeeded", "True", "Succeeded"))), S),
    ("succeeded with skipped tasks", job(conds(cond("Succeeded", "True", "Completed"))), S),
    ("failed", job(conds(cond("Succeeded", "False", "Failed"))), F),
    ("cancelled", job(conds(cond("Succeeded", "False", "Cancelled"))), F),
]

VOLUME_CLAIM: list[Case] = [
    ("nothing reported yet", job(), P),
    ("waits for its first consumer", job({"phase": "Pending"}), P),
    ("bound", job({"phase": "Bound"}), READY),
    ("its volume is gone", job({"phase": "Lost"}), F),
]

NO_STATUS: list[Case] = [
    ("there; that is all that such a kind shows", job({}), P),
]
SERVICE: list[Case] = [
    ("there", job({"loadBalancer": {}}), READY),
]

LIVES: dict[str, list[Case]] = {
    "persistentvolumeclaims.v1": VOLUME_CLAIM,
    "services.v1": SERVICE,
    "configmaps.v1": NO_STATUS,
    "secrets.v1": NO_STATUS,
    "jobs.v1.batch": BATCH,
    "pods.v1": POD,
    "deployments.v1.apps": DEPLOYMENT,
    "statefulsets.v1.apps": STATEFUL_SET,
    "daemonsets.v1.apps": DAEMON_SET,
    "jobs.v1alpha1.batch.volcano.sh": VOLCANO,
    "jobflows.v1alpha1.flow.volcano.sh": JOB_FLOW,
    "pytorchjobs.v1.kubeflow.org": KUBEFLOW,
    "tfjobs.v1.kubeflow.org": KUBEFLOW,
    "paddlejobs.v1.kubeflow.org": KUBEFLOW,
    "xgboostjobs.v1.kubeflow.org": KUBEFLOW,
    "jaxjobs.v1.kubeflow.org": KUBEFLOW,
    "mpijobs.v1.kubeflow.org": KUBEFLOW,
    "mpijobs.v2beta1.kubeflow.org": MPI_V2,
    "trainjobs.v1alpha1.trainer.kubeflow.org": TRAIN_JOB,
    "jobsets.v1alpha2.jobset.x-k8s.io": JOB_SET,
    "rayjobs.v1.ray.io": RAY_JOB,
    "rayclusters.v1.ray.io": RAY_CLUSTER,
    "sparkapplications.v1beta2.sparkoperator.k8s.io": SPARK,
    "workflows.v1alpha1.flow.workflow.sh": NESTED,
    "workflows.v1alpha1.argoproj.io": ARGO,
    "pipelineruns.v1.tekton.dev": TEKTON,
}


@pytest.mark.parametrize(
    ("resource", "seen", "expected"),
    [
        pytest.param(resource, seen, expected, id=f"{resource}: {sentence}")
        for resource, cases in LIVES.items()
        for sentence, seen, expected in cases
    ],
)
def test_a_status_reads_as(resource: str, seen: Job, expected: str) -> None:
    reading = read(rules_for(gvr(resource)), seen)
    state = JobState.RUNNING if expected == READY else expected
    assert (reading.state, reading.ready) == (state, expected == READY)
    assert not reading.deleting


def test_every_row_that_is_not_refused_has_a_life_here() -> None:
    from pkg.workloads import registry

    rows = {id(rules_for(gvr(resource))) for resource in LIVES}
    missing = [f"{row.resource}.{row.group}" for row in registry().kinds if not row.refused and id(row) not in rows]
    assert missing == []
