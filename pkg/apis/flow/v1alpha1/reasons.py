"""The reasons of tasks, flows and workflows in status and Events, and sets of reasons that the planner needs."""

from __future__ import annotations

from typing import Final


class Reasons:
    """Reasons as status and Events spell them; docs/troubleshooting.md explains each to users."""

    # Why an attempt, and with it perhaps the task, failed.
    FAILED: Final = "Failed"
    JOB_DELETED: Final = "JobDeleted"
    DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
    PENDING_TIMEOUT: Final = "PendingTimeout"
    RENDER_ERROR: Final = "RenderError"
    REFUSED: Final = "Refused"
    NAME_CONFLICT: Final = "NameConflict"
    APPLY_CONFLICT: Final = "ApplyConflict"
    PROBE_TIMEOUT: Final = "ProbeTimeout"
    OUTPUT_MISSING: Final = "OutputMissing"
    OUTPUT_TOO_LARGE: Final = "OutputTooLarge"
    TOO_MANY_ITEMS: Final = "TooManyItems"
    REJECTED: Final = "Rejected"
    # Why a task was skipped or cancelled.
    NO_REPLICAS: Final = "NoReplicas"
    DEPENDENCIES_IMPOSSIBLE: Final = "DependenciesImpossible"
    WHEN_FALSE: Final = "WhenFalse"
    WORKFLOW_DECIDED: Final = "WorkflowDecided"
    # Why a task waits.
    WAITING_FOR_DEPENDENCIES: Final = "WaitingForDependencies"
    WAITING_FOR_OUTPUT: Final = "WaitingForOutput"
    START_DELAYED: Final = "StartDelayed"
    WAITING_FOR_PROBE: Final = "WaitingForProbe"
    PROBE_UNANSWERED: Final = "ProbeUnanswered"
    NO_POD_ADDRESS: Final = "NoPodAddress"
    TEMPLATE_NOT_FOUND: Final = "TemplateNotFound"
    KIND_NOT_SERVED: Final = "KindNotServed"
    KIND_SYNCING: Final = "KindSyncing"
    KIND_UNREADABLE: Final = "KindUnreadable"
    PARALLELISM_REACHED: Final = "ParallelismReached"
    # Others hold a lock, or wait for it longer; or it cannot be said how many may hold it.
    LOCK_HELD: Final = "LockHeld"
    LOCK_INVALID: Final = "LockInvalid"
    WORKFLOW_SUSPENDED: Final = "WorkflowSuspended"
    CREATE_FAILED: Final = "CreateFailed"
    QUOTA_EXCEEDED: Final = "QuotaExceeded"
    FORBIDDEN: Final = "Forbidden"
    ADMISSION_DENIED: Final = "AdmissionDenied"
    NAMESPACE_TERMINATING: Final = "NamespaceTerminating"
    # Somebody behind the workflow or the template may not create the kind; or the API server does not say it.
    NOT_ALLOWED: Final = "NotAllowed"
    RIGHTS_UNKNOWN: Final = "RightsUnknown"
    # What the API server said about jobs that it created: fields that it does not know, deprecated versions.
    SERVER_WARNING: Final = "ServerWarning"
    # A person has to approve or reject it; and once one approved.
    APPROVAL_NEEDED: Final = "ApprovalNeeded"
    APPROVED: Final = "Approved"
    # Why the state of a job is not known.
    UNKNOWN_STATUS: Final = "UnknownStatus"
    STATUS_RULE_FAULT: Final = "StatusRuleFault"
    # A job has no status some time after its creation, and nothing else says why: its operator does not run.
    NO_STATUS: Final = "NoStatus"
    # Somebody deleted a job, and its finalizers hold it in the cluster.
    DELETING: Final = "Deleting"
    # A queue, or its own field, holds a job that gives no reason.
    SUSPENDED: Final = "Suspended"
    # Of a workflow that runs.
    TASK_RETRY: Final = "TaskRetry"
    NOTHING_BLOCKS: Final = "NothingBlocks"
    NOT_FINISHED: Final = "NotFinished"
    # How a workflow ended, or will end.
    ALL_SUCCEEDED: Final = "AllSucceeded"
    ANY_SUCCEEDED: Final = "AnySucceeded"
    CRITICAL_SUCCEEDED: Final = "CriticalSucceeded"
    TASK_FAILED: Final = "TaskFailed"
    NO_LEAF_CAN_SUCCEED: Final = "NoLeafCanSucceed"
    CRITICAL_FAILED: Final = "CriticalFailed"
    STOPPED: Final = "Stopped"
    TERMINATED: Final = "Terminated"
    INVALID: Final = "Invalid"
    # The fixed part of the spec was changed while the workflow ran.
    SPEC_CHANGED: Final = "SpecChanged"
    # It was restored from a backup without its status.
    RESTORED: Final = "RestoredWithoutStatus"


class CronReasons:
    """Reasons of a CronWorkflow in its condition Valid and in Events; docs/cron.md explains each to users."""

    VALID: Final = "Valid"
    INVALID_SCHEDULE: Final = "InvalidSchedule"
    INVALID_TIME_ZONE: Final = "InvalidTimeZone"
    INVALID_TEMPLATE: Final = "InvalidTemplate"
    RUN_CREATED: Final = "RunCreated"
    RUN_WAITS: Final = "RunWaits"
    RUN_REPLACED: Final = "RunReplaced"
    RUN_NOT_CREATED: Final = "RunNotCreated"
    MISSED_SCHEDULE: Final = "MissedSchedule"


#: An attempt that failed for one of these never had a job, and no retry follows.
FAILED_BEFORE_CREATION: Final = frozenset(
    {
        Reasons.RENDER_ERROR,
        Reasons.INVALID,
        Reasons.REFUSED,
        Reasons.NAME_CONFLICT,
        Reasons.APPLY_CONFLICT,
        Reasons.PROBE_TIMEOUT,
        Reasons.TOO_MANY_ITEMS,
        Reasons.REJECTED,
    }
)
#: Verdicts that the job itself does not show. Status must record them before anything follows from them.
NOT_SHOWN_BY_JOB: Final = frozenset(
    {
        Reasons.JOB_DELETED,
        Reasons.DEADLINE_EXCEEDED,
        Reasons.PENDING_TIMEOUT,
        Reasons.OUTPUT_MISSING,
        Reasons.OUTPUT_TOO_LARGE,
    }
)
#: Attempts that failed for one of these may have a job that goes on. It is deleted.
GIVEN_UP: Final = NOT_SHOWN_BY_JOB - {Reasons.JOB_DELETED}
#: Why a creation failed that will be tried again. The flow keeps showing the reason until a job is created.
KEPT_UNTIL_CREATED: Final = frozenset(
    {
        Reasons.CREATE_FAILED,
        Reasons.QUOTA_EXCEEDED,
        Reasons.FORBIDDEN,
        Reasons.ADMISSION_DENIED,
        Reasons.NAMESPACE_TERMINATING,
        Reasons.NAME_CONFLICT,
    }
)
#: Why a flow waits whose dependencies are not True.
DEPENDENCY_WAITS: Final = frozenset(
    {
        Reasons.WAITING_FOR_DEPENDENCIES,
        Reasons.WAITING_FOR_PROBE,
        Reasons.PROBE_UNANSWERED,
        Reasons.NO_POD_ADDRESS,
        Reasons.START_DELAYED,
    }
)
#: A person has to do something, else the task waits for ever.
BLOCKING: Final = frozenset(
    {
        Reasons.TEMPLATE_NOT_FOUND,
        Reasons.KIND_NOT_SERVED,
        Reasons.KIND_UNREADABLE,
        Reasons.QUOTA_EXCEEDED,
        Reasons.FORBIDDEN,
        Reasons.ADMISSION_DENIED,
        Reasons.CREATE_FAILED,
        Reasons.NOT_ALLOWED,
        Reasons.LOCK_INVALID,
        Reasons.UNKNOWN_STATUS,
        Reasons.STATUS_RULE_FAULT,
        Reasons.PROBE_UNANSWERED,
        Reasons.NO_POD_ADDRESS,
        Reasons.APPROVAL_NEEDED,
    }
)
#: Reasons of a workflow whose outcome is success.
SUCCESSES: Final = frozenset({Reasons.ALL_SUCCEEDED, Reasons.ANY_SUCCEEDED, Reasons.CRITICAL_SUCCEEDED})
