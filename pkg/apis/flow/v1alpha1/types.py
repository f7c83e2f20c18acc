"""The API group flow.workflow.sh/v1alpha1: Workflow, WorkTemplate and their parts.

These frozen structs are the one source: the CRD schemas under installer/crds are generated from them
(constraints, enums, defaults and descriptions included), and the informers decode into them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from pkg.apis.flow.v1alpha1 import durations
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.meta import GVR, Condition, ObjectMeta

GROUP: Final = "flow.workflow.sh"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
WORKFLOWS: Final = GVR(group=GROUP, version=VERSION, resource="workflows")
WORKTEMPLATES: Final = GVR(group=GROUP, version=VERSION, resource="worktemplates")

MAX_FLOWS: Final = 5_000
MAX_TASKS: Final = 10_000
MAX_MESSAGE: Final = 1_024

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

FlowName = Annotated[str, Meta(pattern=DNS_LABEL, min_length=1, max_length=63)]
ObjectName = Annotated[str, Meta(min_length=1, max_length=253)]
Duration = Annotated[
    str, Meta(pattern=durations.PATTERN, max_length=64, description="A duration as Go writes it: 1h30m, 500ms, 0s.")
]
Message = Annotated[str, Meta(max_length=MAX_MESSAGE)]
Reason = Annotated[str, Meta(max_length=128)]
Port = Annotated[int, Meta(ge=1, le=65535)]


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of every part of the API: frozen, camelCase on the wire, defaults left out when written."""


class Strategy(StrEnum):
    """How many replicas must meet a predicate."""

    ALL = "All"
    ANY = "Any"


class OnSkipped(StrEnum):
    """What a skipped target does to the flow that waits for it."""

    SKIP = "Skip"
    IGNORE = "Ignore"


class ProbedPhase(StrEnum):
    """What a task-status probe may ask for; Terminated and Aborted read as Failed, Succeeded as Completed."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    FINISHED = "Finished"
    TERMINATED = "Terminated"
    ABORTED = "Aborted"


class Scheme(StrEnum):
    HTTP = "HTTP"
    HTTPS = "HTTPS"


class PodChoice(StrEnum):
    """Which pods of a job must answer a probe."""

    LEAD = "Lead"
    ALL = "All"
    ANY = "Any"


class PolicyType(StrEnum):
    ALL = "All"
    ANY = "Any"
    CRITICAL = "Critical"


class Remaining(StrEnum):
    """What happens to the rest of a workflow once its outcome is decided."""

    CONTINUE = "Continue"
    DRAIN = "Drain"
    CANCEL = "Cancel"


class RetainPolicy(StrEnum):
    RETAIN = "retain"
    DELETE = "delete"
    DELETE_ON_SUCCESS = "delete-on-success"


class Shutdown(StrEnum):
    STOP = "Stop"
    TERMINATE = "Terminate"


class RetryReason(StrEnum):
    """Why an attempt failed, as far as a retry can be asked for it."""

    FAILED = "Failed"
    JOB_DELETED = "JobDeleted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    PENDING_TIMEOUT = "PendingTimeout"


class Completion(StrEnum):
    """When a job counts as done: at its end, or once it is ready."""

    TERMINAL = "Terminal"
    READY = "Ready"


class Parameter(_Part, frozen=True):
    """A value for `{{params.NAME}}`."""

    name: Annotated[
        str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=63, description="Used as {{params.NAME}}.")
    ]
    value: Annotated[
        str, Meta(max_length=16_384, description="Put in as it is; variables inside are not replaced.")
    ] = ""


class HTTPHeader(_Part, frozen=True):
    """A header to send with the request."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    value: Annotated[str, Meta(max_length=4_096)] = ""


class HTTPGet(_Part, frozen=True):
    """Passes when the pod answers a GET with 200 to 399; redirects are not followed."""

    task_name: Annotated[FlowName, Meta(description="The flow whose pods are asked.")]
    port: Port
    path: Annotated[str, Meta(max_length=2_048)] = "/"
    http_header: Annotated[HTTPHeader | None, Meta(description="A header to send.")] = None
    scheme: Annotated[Scheme, Meta(description="HTTPS certificates are not verified.")] = Scheme.HTTP


class TCPSocket(_Part, frozen=True):
    """Passes when the pod accepts a connection."""

    task_name: Annotated[FlowName, Meta(description="The flow whose pods are asked.")]
    port: Port


class TaskStatus(_Part, frozen=True):
    """Passes when the flow is, or was, in that phase."""

    task_name: Annotated[FlowName, Meta(description="The flow whose tasks are looked at.")]
    phase: Annotated[ProbedPhase, Meta(description="Succeeded means Completed; Terminated and Aborted mean Failed.")]


class Probe(_Part, frozen=True):
    """Questions asked of other flows of the same workflow; all must be answered yes."""

    http_get_list: Annotated[tuple[HTTPGet, ...], Meta(max_length=64)] = ()
    tcp_socket_list: Annotated[tuple[TCPSocket, ...], Meta(max_length=64)] = ()
    task_status_list: Annotated[tuple[TaskStatus, ...], Meta(max_length=64)] = ()
    period_seconds: Annotated[int, Meta(ge=1, le=3600, description="Between two tries of an HTTP or TCP probe.")] = 5
    timeout_seconds: Annotated[int, Meta(ge=1, le=60, description="Of one try.")] = 2
    success_threshold: Annotated[int, Meta(ge=1, le=100, description="Tries in a row that must pass.")] = 1
    fail_after: Annotated[
        Duration | None,
        Meta(description="Give up this long after the asked task's attempt first ran; without it, never."),
    ] = None
    role: Annotated[str, Meta(max_length=63, description="Pods of this role are asked instead of the lead pod.")] = ""
    pods: Annotated[PodChoice, Meta(description="Which pods of a job must answer.")] = PodChoice.LEAD

    @property
    def is_empty(self) -> bool:
        return not (self.http_get_list or self.tcp_socket_list or self.task_status_list)


class Group(_Part, frozen=True):
    """Targets AND probe; one alternative among `orGroups`."""

    targets: Annotated[
        tuple[FlowName, ...],
        Meta(max_length=MAX_FLOWS, description="Flows that must be done: Succeeded, or Failed with continueOnFail."),
    ] = ()
    strategy: Annotated[
        Strategy | None,
        Meta(description="How many replicas of each flow must meet it; All, but Any for the phase Failed."),
    ] = None
    probe: Annotated[Probe | None, Meta(description="What must be true besides the targets.")] = None


class DependsOn(_Part, frozen=True):
    """(targets AND probe) OR group OR group ..."""

    targets: Annotated[
        tuple[FlowName, ...],
        Meta(max_length=MAX_FLOWS, description="Flows that must be done: Succeeded, or Failed with continueOnFail."),
    ] = ()
    strategy: Annotated[
        Strategy | None,
        Meta(description="How many replicas of each flow must meet it; All, but Any for the phase Failed."),
    ] = None
    on_skipped: Annotated[OnSkipped, Meta(description="Whether a skipped target makes this flow skipped too.")] = (
        OnSkipped.SKIP
    )
    probe: Annotated[Probe | None, Meta(description="What must be true besides the targets.")] = None
    or_groups: Annotated[tuple[Group, ...], Meta(max_length=64, description="Alternatives to targets and probe.")] = ()


class For(_Part, frozen=True):
    """How many replicas a flow has; each gets its index, from 0."""

    replicas: Annotated[int, Meta(ge=0, le=MAX_TASKS, description="How many tasks; 0 makes one skipped task.")] = 1
    parallelism: (
        Annotated[int, Meta(ge=1, le=MAX_TASKS, description="Unfinished jobs of this flow at once.")] | None
    ) = None
    depends_on: Annotated[
        DependsOn | None, Meta(description="Holds besides dependsOn; the flow's own name means the previous index.")
    ] = None


class Retry(_Part, frozen=True):
    """New attempts after a failed one: delay n is min(interval * factor^(n-1), maxInterval)."""

    max_retries: Annotated[int, Meta(ge=0, le=1_000, description="Attempts after the first one.")] = 0
    interval: Annotated[Duration, Meta(description="Delay before the first retry.")] = "10s"
    factor: Annotated[float, Meta(ge=1, le=100, description="By what each further delay grows.")] = 2.0
    max_interval: Annotated[Duration, Meta(description="No delay is longer.")] = "5m"
    reasons: Annotated[
        tuple[RetryReason, ...], Meta(max_length=4, description="Which failures are retried; all four when left out.")
    ] = tuple(RetryReason)


class Flow(_Part, frozen=True):
    """One step: the jobs made from a template, and what they wait for."""

    name: Annotated[FlowName, Meta(description="Unique in the workflow.")]
    template: Annotated[str, Meta(max_length=253, description="The WorkTemplate; the flow's name when left out.")] = ""
    depends_on: Annotated[
        DependsOn | None, Meta(description="What must be true before a task of this flow starts.")
    ] = None
    for_: Annotated[For | None, Meta(description="Run this many replicas in parallel, each with its index.")] = (
        msgspec.field(default=None, name="for")
    )
    retry: Annotated[Retry | None, Meta(description="Whether and when a failed task is tried again.")] = None
    patch: Annotated[Any, Meta(description="A merge patch (object) or a JSON Patch (list) over {metadata, spec}.")] = (
        None
    )
    parameters: Annotated[
        tuple[Parameter, ...], Meta(max_length=256, description="Values over those of the workflow and the template.")
    ] = ()
    continue_on_fail: Annotated[
        bool, Meta(description="Its failure counts as done for those that wait for it, and is tolerated.")
    ] = False
    finally_: Annotated[bool, Meta(description="Released when every flow without finally is final.")] = msgspec.field(
        default=False, name="finally"
    )
    timeout: Annotated[Duration | None, Meta(description="Of one attempt, from its creation.")] = None
    pending_timeout: Annotated[
        Duration | None, Meta(description="Of one attempt, from its release until it first runs.")
    ] = None

    @property
    def template_name(self) -> str:
        return self.template or self.name

    @property
    def replicas(self) -> int:
        return 1 if self.for_ is None else self.for_.replicas


class SuccessPolicy(_Part, frozen=True):
    """When the workflow counts as succeeded, and what happens to the rest then."""

    type: Annotated[
        PolicyType, Meta(description="Which flows must succeed: all, any leaf, or those listed in criticalFlows.")
    ] = PolicyType.ALL
    critical_flows: Annotated[
        tuple[FlowName, ...], Meta(max_length=MAX_FLOWS, description="For type Critical: the flows that must succeed.")
    ] = ()
    remaining: Annotated[
        Remaining | None, Meta(description="Drain when left out; Continue after a satisfied Critical.")
    ] = None


class Restart(_Part, frozen=True):
    """Runs flows of a workflow that has ended again."""

    at: Annotated[str, Meta(min_length=1, max_length=128, description="A token; acts once for each new value.")]
    flows: Annotated[
        tuple[FlowName, ...],
        Meta(max_length=MAX_FLOWS, description="These and all that wait for them; else what did not succeed."),
    ] = ()


class WorkflowSpec(_Part, frozen=True):
    """What is to run, in which order, and when it counts as done."""

    flows: Annotated[tuple[Flow, ...], Meta(min_length=1, max_length=MAX_FLOWS, description="The steps, in any order.")]
    parameters: Annotated[
        tuple[Parameter, ...], Meta(max_length=256, description="Values over the defaults of the templates.")
    ] = ()
    success_policy: Annotated[SuccessPolicy, Meta(description="When the workflow counts as succeeded.")] = (
        SuccessPolicy()
    )
    job_retain_policy: Annotated[
        RetainPolicy, Meta(description="What becomes of the jobs once the workflow has ended.")
    ] = RetainPolicy.RETAIN
    scheduler_name: Annotated[str, Meta(max_length=253, description="Scheduler of every pod.")] = ""
    plugins: Annotated[
        dict[str, tuple[str, ...]], Meta(description="Scheduler plugins, for kinds that have them.")
    ] = {}
    queue_name: Annotated[str, Meta(max_length=253, description="Kueue or Volcano queue of every job.")] = ""
    parallelism: (
        Annotated[int, Meta(ge=1, le=MAX_TASKS, description="Unfinished jobs of this workflow at once.")] | None
    ) = None
    timeout: Annotated[Duration | None, Meta(description="Of the whole workflow; suspended time does not count.")] = (
        None
    )
    suspend: Annotated[bool, Meta(description="Nothing new starts while true.")] = False
    shutdown: Annotated[
        Shutdown | None,
        Meta(description="Stop lets running attempts end, Terminate deletes them; cannot be taken back."),
    ] = None
    restart: Annotated[Restart | None, Meta(description="Run flows again once the workflow has ended.")] = None
    ttl_seconds_after_finished: (
        Annotated[int, Meta(ge=0, le=2_147_483_647, description="The workflow is deleted this long after its end.")]
        | None
    ) = None


class TaskCounts(msgspec.Struct, frozen=True, rename="camel"):
    """How many tasks are in each state; they add up to total. Zeros are written, so that columns show them."""

    total: int = 0
    waiting: int = 0
    pending: int = 0
    suspended: int = 0
    running: int = 0
    backoff: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0


class ReplicaStatus(_Part, frozen=True):
    """One replica of a `for` flow that did not succeed (or not yet), itemised."""

    index: int
    phase: Phase
    reason: Reason = ""
    message: Message = ""


class Kept(_Part, frozen=True):
    """What the cluster cannot tell of tasks in Backoff, or whose newest attempt has no job any more.

    indexes: ranges as batch/v1 writes them; attempt: the newest one; due: the latest time at which any of these
    may be tried again; ran: an attempt of these has run; began, held: the newest one, which is neither now, has run, or
    was held by a queue; unmade: none of their attempts has had a job.
    """

    indexes: str
    attempt: int = 0
    reason: Reason = ""
    due: str = ""
    ran: bool = False
    began: bool = False
    held: bool = False
    unmade: bool = False


class Latch(_Part, frozen=True):
    """HTTP or TCP probes that have passed for a flow whose tasks are not all made yet.

    probe: path of the probe; indexes: replicas asked.
    """

    probe: str
    indexes: str


class FlowStatus(_Part, frozen=True):
    """State of one flow, folded from its tasks; the ranges of indexes are for flows with `for`."""

    name: str
    phase: Phase
    reason: Reason = ""
    message: Message = ""
    start_time: str = ""
    completion_time: str = ""
    attempts: int = 0
    next_attempt_time: str = ""
    waiting: str = ""
    pending: str = ""
    suspended: str = ""
    running: str = ""
    backoff: str = ""
    succeeded: str = ""
    failed: str = ""
    skipped: str = ""
    cancelled: str = ""
    replicas: tuple[ReplicaStatus, ...] = ()
    gvr: str = ""
    passed: tuple[Latch, ...] = ()
    renamed: str = ""
    first_attempt: int = 0
    kept: tuple[Kept, ...] = ()


class WorkflowStatus(_Part, frozen=True):
    """What the workflow has come to; `phase` is absent until the controller has looked at it.

    restarted_at: the token of the restart in force; restarted_flows: the flows that it named, as ranges of their
    positions in the spec.
    """

    phase: WorkflowPhase | None = None
    reason: Reason = ""
    message: Message = ""
    start_time: str = ""
    completion_time: str = ""
    observed_generation: int = 0
    progress: str = ""
    tasks: TaskCounts = TaskCounts()
    conditions: tuple[Condition, ...] = ()
    flows: tuple[FlowStatus, ...] = ()
    restarted_at: str = ""
    restarted_flows: str = ""
    suspended_at: str = ""
    suspended_seconds: float = 0.0
    spec_hash: str = ""


class Workflow(msgspec.Struct, frozen=True, rename="camel"):
    """A DAG of flows, each of which makes jobs from a WorkTemplate."""

    metadata: ObjectMeta
    spec: WorkflowSpec
    status: WorkflowStatus = WorkflowStatus()
    api_version: str = API_VERSION
    kind: str = "Workflow"


class TemplateMeta(_Part, frozen=True):
    """Put on the object that is made."""

    labels: Annotated[dict[str, str], Meta(description="Labels of the object.")] = {}
    annotations: Annotated[dict[str, str], Meta(description="Annotations of the object.")] = {}


class TemplateGVR(_Part, frozen=True):
    """Any served, namespaced resource."""

    version: Annotated[str, Meta(min_length=1, max_length=63)]
    resource: Annotated[str, Meta(min_length=1, max_length=253, description="The plural: jobs, pytorchjobs ...")]
    group: Annotated[str, Meta(max_length=253, description="Empty for the core group.")] = ""

    @property
    def gvr(self) -> GVR:
        return GVR(group=self.group, version=self.version, resource=self.resource)


class StatusRules(_Part, frozen=True):
    """Predicates that read a job's state; see docs on workload kinds."""

    fail: tuple[dict[str, Any], ...] = ()
    ok: tuple[dict[str, Any], ...] = ()
    held: tuple[dict[str, Any], ...] = ()
    ready: tuple[dict[str, Any], ...] = ()
    running: tuple[dict[str, Any], ...] = ()
    pending: tuple[dict[str, Any], ...] = ()


class WorkTemplateSpec(_Part, frozen=True):
    """The resource to make, and its spec with variables."""

    gvr: Annotated[TemplateGVR, Meta(description="The resource to make.")]
    metadata: Annotated[TemplateMeta, Meta(description="Labels and annotations of the object.")] = TemplateMeta()
    job_spec: Annotated[dict[str, Any], Meta(description="Becomes the object's .spec.")] = {}
    parameters: Annotated[tuple[Parameter, ...], Meta(max_length=256, description="Defaults of its parameters.")] = ()
    completion: Annotated[
        Completion | None, Meta(description="When a job counts as done; by its kind when left out.")
    ] = None
    status_rules: Annotated[
        StatusRules | None, Meta(description="How the state of a kind is read that is not known.")
    ] = None


class UsedBy(_Part, frozen=True):
    """The workflows of the namespace that name the template; at most 100 by name."""

    count: int = 0
    names: Annotated[tuple[str, ...], Meta(max_length=100)] = ()


class WorkTemplateStatus(_Part, frozen=True):
    """Who uses the template."""

    used_by: UsedBy = UsedBy()


class WorkTemplate(msgspec.Struct, frozen=True, rename="camel"):
    """How to make one job, of any kind."""

    metadata: ObjectMeta
    spec: WorkTemplateSpec
    status: WorkTemplateStatus = WorkTemplateStatus()
    api_version: str = API_VERSION
    kind: str = "WorkTemplate"
