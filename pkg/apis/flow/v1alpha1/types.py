"""The API group flow.workflow.sh/v1alpha1: Workflow, WorkTemplate, CronWorkflow and their parts.

These frozen structs are the source of everything: informers decode into them, and the CRD schemas under installer/crds
are generated from them, with bounds, enums, defaults and descriptions.

Fields named `raw_...` stay JSON text until they are used: a cached object takes memory in proportion to its bytes. The
property without `raw_` decodes the field. It makes a new value at every call and raises `raw.RawError`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from pkg.apis.flow.v1alpha1 import durations, raw
from pkg.apis.flow.v1alpha1.gathering import gather, gather_spec
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.meta import GVR, Condition, ObjectMeta

GROUP: Final = "flow.workflow.sh"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
WORKFLOWS: Final = GVR(group=GROUP, version=VERSION, resource="workflows")
WORKTEMPLATES: Final = GVR(group=GROUP, version=VERSION, resource="worktemplates")
CRONWORKFLOWS: Final = GVR(group=GROUP, version=VERSION, resource="cronworkflows")

MAX_FLOWS: Final = 5_000
MAX_TASKS: Final = 10_000
MAX_MESSAGE: Final = 1_024
#: Outputs of one flow.
MAX_OUTPUTS: Final = 32
#: Characters of a CEL expression.
MAX_CEL: Final = 1_024
#: Characters of the name of a CronWorkflow: those of its runs have up to 11 more, and fit into a label value.
MAX_CRON_NAME: Final = 52
#: Schedules of one CronWorkflow.
MAX_SCHEDULES: Final = 32
#: Unfinished runs that the status of a CronWorkflow names.
MAX_ACTIVE: Final = 100
#: Mutexes, and semaphores, of one flow or workflow.
MAX_LOCKS: Final = 16
#: Entries of spec.approvals, and approvers of one flow.
MAX_APPROVALS: Final = 1_000
MAX_APPROVERS: Final = 64
#: Groups of tasks of one flow that wait for a person, by since when they do.
MAX_ASKED: Final = 16
#: Characters of the name of a user or group, and of the comment of an approval.
MAX_PERSON_NAME: Final = 512
MAX_COMMENT: Final = 512

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
CONFIG_KEY: Final = r"^[-._a-zA-Z0-9]+$"

FlowName = Annotated[str, Meta(pattern=DNS_LABEL, min_length=1, max_length=63)]
ObjectName = Annotated[str, Meta(min_length=1, max_length=253)]
Duration = Annotated[
    str, Meta(pattern=durations.PATTERN, max_length=64, description="A duration as Go writes it: 1h30m, 500ms, 0s.")
]
Message = Annotated[str, Meta(max_length=MAX_MESSAGE)]
Reason = Annotated[str, Meta(max_length=128)]
Port = Annotated[int, Meta(ge=1, le=65535)]


class _Part(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Base of every part of the API: frozen, camelCase in JSON, defaults left out when encoded."""


class Strategy(StrEnum):
    """How many replicas must meet a predicate."""

    ALL = "All"
    ANY = "Any"


class OnSkipped(StrEnum):
    """What a skipped target does to the flow that waits for it."""

    SKIP = "Skip"
    IGNORE = "Ignore"


class ProbedPhase(StrEnum):
    """A phase that a task-status probe may name; Terminated and Aborted mean Failed, Succeeded means Completed."""

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
    """Which pods of a job must pass a probe."""

    LEAD = "Lead"
    ALL = "All"
    ANY = "Any"


class PolicyType(StrEnum):
    ALL = "All"
    ANY = "Any"
    CRITICAL = "Critical"


class Remaining(StrEnum):
    """What happens to unfinished flows once the outcome is decided."""

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
    """A reason for which an attempt failed and a retry may follow."""

    FAILED = "Failed"
    JOB_DELETED = "JobDeleted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    PENDING_TIMEOUT = "PendingTimeout"
    OUTPUT_MISSING = "OutputMissing"


class Completion(StrEnum):
    """When a job is done: at its end, once it is ready, or as soon as the API server has it."""

    TERMINAL = "Terminal"
    READY = "Ready"
    CREATED = "Created"


class Action(StrEnum):
    """What a task does with its object: create a job of its own, apply an object that stays, or delete one."""

    CREATE = "Create"
    APPLY = "Apply"
    DELETE = "Delete"


class ApprovalDecision(StrEnum):
    """What a person decides about a flow with `approval`."""

    APPROVE = "Approve"
    REJECT = "Reject"


class FieldValidation(StrEnum):
    """What the API server does with fields of a job that it does not know: refuse it, warn, or drop them in silence."""

    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"


_NAME: Final = "^[A-Za-z_][A-Za-z0-9_.-]*$"


class Parameter(_Part, frozen=True):
    """A value for `{{params.NAME}}`."""

    name: Annotated[
        str,
        Meta(
            pattern=_NAME,
            max_length=63,
            description='Used as {{params.NAME}}. Letters, digits, "_", "-" and "."; unique in its list.',
            examples=["epochs"],
        ),
    ]
    value: (
        Annotated[
            str,
            Meta(
                max_length=16_384,
                description=(
                    "Text that replaces the variable. It may hold variables, in which {{params.X}} means X of a scope "
                    "further out: flow, workflow, template. In a template it is the default; without it the flow or "
                    "the workflow must give a value."
                ),
                examples=["10"],
            ),
        ]
        | None
    ) = None


def _keyed_by(field: str) -> Meta:
    """A list whose items a field identifies: server-side apply merges them, and the API server refuses doubled ones."""
    return Meta(extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [field]})


Parameters = Annotated[tuple[Parameter, ...], Meta(max_length=256), _keyed_by("name")]
Plugins = dict[str, tuple[str, ...]]


class ConfigMapKey(_Part, frozen=True):
    """A key of a ConfigMap in the namespace of the Workflow."""

    name: Annotated[
        str,
        Meta(
            pattern=DNS_SUBDOMAIN, min_length=1, max_length=253, description="Name of the ConfigMap.", examples=["gpus"]
        ),
    ]
    key: Annotated[
        str,
        Meta(
            pattern=CONFIG_KEY,
            min_length=1,
            max_length=253,
            description="The key whose value says how many may hold the semaphore at once: a whole number from 0.",
            examples=["licences"],
        ),
    ]


class Semaphore(_Part, frozen=True):
    """A lock that as many may hold at once as a key of a ConfigMap says."""

    config_map_key_ref: Annotated[
        ConfigMapKey, Meta(description="The key of a ConfigMap.", examples=[{"name": "gpus", "key": "licences"}])
    ]


Mutexes = Annotated[
    tuple[Annotated[str, Meta(pattern=DNS_SUBDOMAIN, min_length=1, max_length=253)], ...], Meta(max_length=MAX_LOCKS)
]
Semaphores = Annotated[tuple[Semaphore, ...], Meta(max_length=MAX_LOCKS)]


class TerminationMessage(_Part, frozen=True):
    """The termination message of a container of the lead pod."""

    container: Annotated[
        str,
        Meta(
            max_length=63,
            description="Name of the container. Default: the first container of the pod.",
            examples=["main"],
        ),
    ] = ""
    path: Annotated[
        str,
        Meta(
            max_length=512,
            description="Path into the message, which is JSON then. Default: the whole message as text.",
            examples=["acc"],
        ),
    ] = ""
    role: Annotated[
        str,
        Meta(
            max_length=63,
            description="Read the first pod of this role of the job. Default: the lead pod.",
            examples=["worker"],
        ),
    ] = ""


class OutputSource(_Part, frozen=True):
    """Where the value of an output is read; exactly one field is set."""

    path: Annotated[
        str,
        Meta(
            max_length=512,
            description=(
                "Path from the root of the job, without a leading dot; [0] picks an item of a list, and"
                " [?(@.name=='x')] the first item with this field. Default: none."
            ),
            examples=["status.results.accuracy"],
        ),
    ] = ""
    cel: Annotated[
        str,
        Meta(
            max_length=MAX_CEL,
            description=(
                "CEL expression over `object`, the job. Its cost is bounded like that of statusRules. Default: none."
            ),
            examples=["object.status.results[0].value"],
        ),
    ] = ""
    termination_message: Annotated[
        TerminationMessage | None,
        Meta(
            description="The termination message of a container of the lead pod. Default: none.",
            examples=[{"container": "main", "path": "acc"}],
        ),
    ] = None


class Output(_Part, frozen=True):
    """A value that is read from a job when its task succeeds: `{{flows.FLOW.outputs.NAME}}`."""

    name: Annotated[
        str,
        Meta(
            pattern=_NAME,
            max_length=63,
            description='Used as {{flows.FLOW.outputs.NAME}}. Letters, digits, "_", "-" and "."; unique in its list.',
            examples=["accuracy"],
        ),
    ]
    from_: Annotated[
        OutputSource,
        Meta(
            description="Where the value is read: path, cel or terminationMessage.",
            examples=[{"path": "status.results.accuracy"}],
        ),
    ] = msgspec.field(name="from")
    default: (
        Annotated[
            str,
            Meta(
                max_length=4_096,
                description="The value where the job has none. Default: none; then the attempt fails, OutputMissing.",
                examples=["0"],
            ),
        ]
        | None
    ) = None


Outputs = Annotated[tuple[Output, ...], Meta(max_length=MAX_OUTPUTS), _keyed_by("name")]


class HTTPHeader(_Part, frozen=True):
    """A header of the request."""

    name: Annotated[
        str, Meta(min_length=1, max_length=256, description="Name of the header.", examples=["Authorization"])
    ]
    value: Annotated[str, Meta(max_length=4_096, description="Value of the header.", examples=["Bearer abc"])] = ""


class HTTPGet(_Part, frozen=True):
    """Passes when the pod answers a GET with 200 to 399; redirects are not followed."""

    task_name: Annotated[FlowName, Meta(description="The flow whose pods are asked.", examples=["server"])]
    port: Annotated[Port, Meta(description="Port of the pod, 1 to 65535.", examples=[8080])]
    path: Annotated[
        str,
        Meta(max_length=2_048, description="Path of the URL; blanks must be percent-encoded.", examples=["/healthz"]),
    ] = "/"
    http_header: Annotated[
        HTTPHeader | None, Meta(description="A header to send.", examples=[{"name": "Accept", "value": "text/plain"}])
    ] = None
    scheme: Annotated[Scheme, Meta(description="HTTP or HTTPS; certificates are not verified.", examples=["HTTPS"])] = (
        Scheme.HTTP
    )


class TCPSocket(_Part, frozen=True):
    """Passes when the pod accepts a connection."""

    task_name: Annotated[FlowName, Meta(description="The flow whose pods are asked.", examples=["db"])]
    port: Annotated[Port, Meta(description="Port of the pod, 1 to 65535.", examples=[5432])]


class TaskStatus(_Part, frozen=True):
    """Passes when the flow is, or was, in this phase."""

    task_name: Annotated[FlowName, Meta(description="The flow whose phase is compared.", examples=["train"])]
    phase: Annotated[
        ProbedPhase,
        Meta(
            description=(
                "The phase that its tasks must be in, or must have been in. Succeeded means Completed; Terminated and "
                "Aborted mean Failed."
            ),
            examples=["Failed"],
        ),
    ]


class Probe(_Part, frozen=True):
    """Probes of other flows of the same workflow; all must pass."""

    http_get_list: Annotated[
        tuple[HTTPGet, ...],
        Meta(
            max_length=64,
            description="HTTP probes: pods that must answer a GET with 200 to 399.",
            examples=[[{"taskName": "server", "port": 8080, "path": "/healthz"}]],
        ),
    ] = ()
    tcp_socket_list: Annotated[
        tuple[TCPSocket, ...],
        Meta(
            max_length=64,
            description="TCP probes: pods that must accept a connection.",
            examples=[[{"taskName": "db", "port": 5432}]],
        ),
    ] = ()
    task_status_list: Annotated[
        tuple[TaskStatus, ...],
        Meta(
            max_length=64,
            description="Phases that other flows must be in.",
            examples=[[{"taskName": "train", "phase": "Failed"}]],
        ),
    ] = ()
    period_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds between two tries of an HTTP or TCP probe.", examples=[10])
    ] = 5
    timeout_seconds: Annotated[int, Meta(ge=1, le=60, description="Seconds that one try may take.", examples=[5])] = 2
    success_threshold: Annotated[
        int, Meta(ge=1, le=100, description="How many tries in a row must pass.", examples=[3])
    ] = 1
    fail_after: Annotated[
        Duration | None,
        Meta(
            description=(
                "Duration, from when the probed attempt first ran, after which the probe fails (units: h, m, s, ms). "
                "Default: never."
            ),
            examples=["10m"],
        ),
    ] = None
    role: Annotated[
        str,
        Meta(
            max_length=63,
            description=(
                "Ask the pods of this role of the job. Default: the lead pod (master, launcher, head, driver or index "
                "0)."
            ),
            examples=["worker"],
        ),
    ] = ""
    pods: Annotated[PodChoice, Meta(description="Which pods of a job must pass.", examples=["All"])] = PodChoice.LEAD

    @property
    def is_empty(self) -> bool:
        return not (self.http_get_list or self.tcp_socket_list or self.task_status_list)


class Group(_Part, frozen=True):
    """One alternative of `orGroups`: targets AND probe."""

    targets: Annotated[
        tuple[FlowName, ...],
        Meta(
            max_length=MAX_FLOWS,
            description="Flows that must be Succeeded, or Failed with continueOnFail.",
            examples=[["mirror"]],
        ),
    ] = ()
    strategy: Annotated[
        Strategy | None,
        Meta(
            description="How many replicas of each flow must meet it. Default: All, for the phase Failed Any.",
            examples=["Any"],
        ),
    ] = None
    probe: Annotated[
        Probe | None,
        Meta(
            description="Probes that must pass in addition to the targets.",
            examples=[{"taskStatusList": [{"taskName": "train", "phase": "Failed"}]}],
        ),
    ] = None


class DependsOn(_Part, frozen=True):
    """(targets AND probe) OR group OR group ..."""

    targets: Annotated[
        tuple[FlowName, ...],
        Meta(
            max_length=MAX_FLOWS,
            description="Flows that must be Succeeded, or Failed with continueOnFail.",
            examples=[["prepare", "fetch"]],
        ),
    ] = ()
    strategy: Annotated[
        Strategy | None,
        Meta(
            description="How many replicas of each flow must meet it. Default: All, for the phase Failed Any.",
            examples=["Any"],
        ),
    ] = None
    on_skipped: Annotated[
        OnSkipped,
        Meta(
            description=(
                "Skip: a Skipped target makes this flow Skipped too. Ignore: a Skipped target counts as Succeeded."
            ),
            examples=["Ignore"],
        ),
    ] = OnSkipped.SKIP
    probe: Annotated[
        Probe | None,
        Meta(
            description="Probes that must pass in addition to the targets.",
            examples=[{"tcpSocketList": [{"taskName": "db", "port": 5432}]}],
        ),
    ] = None
    or_groups: Annotated[
        tuple[Group, ...],
        Meta(
            max_length=64,
            description="Alternatives to targets and probe; one of them is enough.",
            examples=[[{"targets": ["mirror"]}]],
        ),
    ] = ()


#: One of `for.items`. It stays JSON text until a job is rendered with it.
Item = Annotated[Raw, Meta(extra={"type": Any})]


class For(_Part, frozen=True):
    """How many tasks a flow has: a number of replicas, or one for each item. Each gets its index, from 0."""

    replicas: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_TASKS,
                description=(
                    "How many tasks; each gets its index, from 0. 0 makes one task that is Skipped. Default: 1, or one"
                    " for each of items."
                ),
                examples=[4],
            ),
        ]
        | None
    ) = None
    items: (
        Annotated[
            tuple[Item, ...],
            Meta(
                max_length=MAX_TASKS,
                description=(
                    "In place of replicas: one task for each item, which {{item}} stands for in template, patch and"
                    " parameters, and {{item.key}} for a part of it. Strings, numbers or objects. An empty list makes"
                    " one task that is Skipped. Default: none."
                ),
                examples=[["eu", {"name": "us", "size": 4}]],
            ),
        ]
        | None
    ) = None
    items_from: Annotated[
        str,
        Meta(
            max_length=256,
            description=(
                "In place of replicas or items: an output of another flow that is a JSON list, of which each item gets"
                " one task. The number of tasks is fixed when the dependencies of the flow are met. Default: none."
            ),
            examples=["{{flows.list.outputs.files}}"],
        ),
    ] = ""
    parallelism: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_TASKS,
                description="How many jobs of this flow may be unfinished at once. Default: all.",
                examples=[2],
            ),
        ]
        | None
    ) = None
    raw_depends_on: Annotated[
        Raw,
        Meta(
            extra={"type": DependsOn},
            description="Must be true in addition to dependsOn; the flow's own name means its previous index.",
            examples=[{"targets": ["train"]}],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="dependsOn")

    @property
    def depends_on(self) -> DependsOn | None:
        return _depends_on(self.raw_depends_on)

    @property
    def count(self) -> int:
        """How many tasks the spec gives the flow; 0 for one task that is Skipped, 1 while only a run knows."""
        if self.items is not None:
            return len(self.items)
        return 1 if self.replicas is None else self.replicas


class Retry(_Part, frozen=True):
    """Attempts after a failed one; retry n starts after min(interval * factor^(n-1), maxInterval)."""

    max_retries: Annotated[
        int, Meta(ge=0, le=1_000, description="How many attempts may follow the first one.", examples=[3])
    ] = 0
    interval: Annotated[
        Duration, Meta(description="Duration before the first retry (units: h, m, s, ms).", examples=["30s"])
    ] = "10s"
    factor: Annotated[
        Annotated[int, Meta(ge=1, le=100)]
        | Annotated[float, Meta(ge=1, le=100)]
        | Annotated[str, Meta(pattern=r"^([1-9][0-9]?(\.[0-9]{1,3})?|100)$")],
        Meta(
            description=(
                "Each delay is this many times the one before: a whole number of 1 to 100, or a string with a "
                "fraction of up to three digits."
            ),
            examples=["1.5"],
        ),
    ] = 2.0
    max_interval: Annotated[
        Duration, Meta(description="Duration that no delay exceeds (units: h, m, s, ms).", examples=["10m"])
    ] = "5m"
    reasons: Annotated[
        tuple[RetryReason, ...],
        Meta(
            max_length=5,
            description="Which failures are retried. Default: all five.",
            examples=[["Failed", "JobDeleted"]],
        ),
    ] = tuple(RetryReason)

    def __post_init__(self) -> None:
        # "1.5" and 1.5, which older manifests have, mean the same.
        msgspec.structs.force_setattr(self, "factor", float(self.factor))


class TemplateMeta(_Part, frozen=True):
    """Metadata of the object."""

    name: Annotated[
        str,
        Meta(
            max_length=512,
            description=(
                "Name of the object of action Apply or Delete. It may hold variables; in a flow with for it contains "
                "{{index}} or {{item}}. A job of action Create has a name of its own, so it has no effect there."
            ),
            examples=["web-{{params.team}}"],
        ),
    ] = ""
    labels: Annotated[
        dict[str, str], Meta(description="Labels of the object. Default: none.", examples=[{"team": "a"}])
    ] = {}
    annotations: Annotated[
        dict[str, str], Meta(description="Annotations of the object. Default: none.", examples=[{"note": "nightly"}])
    ] = {}


class TemplateGVR(_Part, frozen=True):
    """Any namespaced resource that the cluster serves."""

    version: Annotated[str, Meta(min_length=1, max_length=63, description="Version of the API.", examples=["v1"])]
    resource: Annotated[
        str, Meta(min_length=1, max_length=253, description="The plural, as in its URL.", examples=["pytorchjobs"])
    ]
    group: Annotated[
        str, Meta(max_length=253, description="Group of the API. Default: the core group.", examples=["kubeflow.org"])
    ] = ""

    @property
    def gvr(self) -> GVR:
        return GVR(group=self.group, version=self.version, resource=self.resource)


class StatusRules(_Part, frozen=True):
    """Predicates that read the state of a job; docs/kinds.md explains them."""

    fail: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="The job has failed if one of these holds. Default: none.",
            examples=[[{"path": "status.step", "eq": "Torn"}]],
        ),
    ] = ()
    ok: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="The job has succeeded if one of these holds. Default: none.",
            examples=[[{"path": "status.step", "eq": "Filed"}]],
        ),
    ] = ()
    held: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="A queue holds the job if one of these holds; no timeout runs then. Default: none.",
            examples=[[{"path": "spec.suspend", "eq": True}]],
        ),
    ] = ()
    ready: Annotated[
        tuple[dict[str, Any], ...],
        Meta(description="The job is ready if one of these holds. Default: none.", examples=[[{"cond": "Ready"}]]),
    ] = ()
    running: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="The job runs if one of these holds. Default: none.",
            examples=[[{"path": "status.step", "in": ["Folding", "Printing"]}]],
        ),
    ] = ()
    pending: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="The job does not run yet if one of these holds. Default: none.",
            examples=[[{"cond": "Queued"}]],
        ),
    ] = ()


class WorkTemplateSpec(_Part, frozen=True):
    """Which resource to create, and its spec with variables."""

    gvr: Annotated[
        TemplateGVR,
        Meta(
            description="The resource to create: any namespaced one that the cluster serves.",
            examples=[{"group": "batch", "version": "v1", "resource": "jobs"}],
        ),
    ]
    raw_metadata: Annotated[
        Raw,
        Meta(
            extra={"type": TemplateMeta},
            description="Labels and annotations of the object, and its name for Apply and Delete. Default: none.",
            examples=[{"labels": {"team": "a"}}],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="metadata")
    raw_job_spec: Annotated[
        Raw,
        Meta(
            extra={"type": dict[str, Any]},
            description=(
                "Becomes the object's .spec; for a kind without one, such as ConfigMap, its keys are those of the "
                "object itself. Strings and keys may hold variables. Default: empty."
            ),
            examples=[{"backoffLimit": 0}],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="jobSpec")
    raw_parameters: Annotated[
        Raw,
        Meta(
            extra={"type": Parameters},
            description="Parameters and their default values. Default: none.",
            examples=[[{"name": "epochs", "value": "3"}]],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="parameters")
    field_validation: Annotated[
        FieldValidation,
        Meta(
            description=(
                "What a field of the job means that the API server does not know, such as a misspelt one. Warn makes "
                "the job without it, and an Event and the flow's message name it. Strict fails the task, reason "
                "Refused. Ignore drops it in silence."
            ),
            examples=["Strict"],
        ),
    ] = FieldValidation.WARN
    completion: Annotated[
        Completion | None,
        Meta(
            description=(
                "When a job is done: Terminal, at its end; Ready, once it is ready; Created, as soon as the API server "
                "has it. Default: as usual for its kind; Created for a kind without a status, such as ConfigMap."
            ),
            examples=["Ready"],
        ),
    ] = None
    action: Annotated[
        Action,
        Meta(
            description=(
                "Create makes a job that belongs to the Workflow. Apply makes or updates the object that metadata.name "
                "names, by server-side apply, and it stays. Delete deletes that object, and ends once it is gone."
            ),
            examples=["Apply"],
        ),
    ] = Action.CREATE
    force: Annotated[
        bool,
        Meta(
            description=(
                "For action Apply: take over fields that another field manager owns. Else such a conflict fails the "
                "task, reason ApplyConflict."
            ),
            examples=[True],
        ),
    ] = False
    raw_status_rules: Annotated[
        Raw,
        Meta(
            extra={"type": StatusRules},
            description=(
                "How the state of a job is read, for kinds that the controller does not know; docs/kinds.md explains "
                "it. Default: by its kind."
            ),
            examples=[{"ok": [{"path": "status.step", "eq": "Filed"}]}],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="statusRules")

    def __post_init__(self) -> None:
        gather(self, "raw_metadata", "raw_job_spec", "raw_parameters", "raw_status_rules")

    @property
    def metadata(self) -> TemplateMeta:
        return _template_meta(self.raw_metadata)

    @property
    def job_spec(self) -> dict[str, Any]:
        return _object(self.raw_job_spec)

    @property
    def parameters(self) -> Parameters:
        return _parameters(self.raw_parameters)

    @property
    def has_status_rules(self) -> bool:
        return not raw.is_empty(self.raw_status_rules)

    @property
    def status_rules(self) -> StatusRules | None:
        return _status_rules(self.raw_status_rules)


# A rule of the CRD, in CEL.
_USER_OR_GROUP: Final = {
    "rule": "(has(self.user) && self.user != '') != (has(self.group) && self.group != '')",
    "message": "an approver has either user or group",
}


class Approver(_Part, frozen=True):
    """Who may approve: a user, or everybody in a group, as the API server authenticates them."""

    user: Annotated[
        str,
        Meta(
            max_length=MAX_PERSON_NAME,
            description="Name of a user. Either user or group is given.",
            examples=["alice@example.com"],
        ),
    ] = ""
    group: Annotated[
        str,
        Meta(
            max_length=MAX_PERSON_NAME,
            description="Name of a group. Either user or group is given.",
            examples=["release-managers"],
        ),
    ] = ""


class Approval(_Part, frozen=True):
    """Makes a flow without a job: it waits until spec.approvals approves or rejects it."""

    message: Annotated[
        str,
        Meta(
            max_length=MAX_COMMENT,
            description="What is to be decided, for the people who are asked. Plain text.",
            examples=["Deploy to production?"],
        ),
    ] = ""
    approvers: Annotated[
        tuple[Annotated[Approver, Meta(extra_json_schema={"x-kubernetes-validations": [_USER_OR_GROUP]})], ...],
        Meta(
            max_length=MAX_APPROVERS,
            description=(
                "Who may approve or reject, as the admission webhook enforces it. Default: everybody who may edit the"
                " Workflow."
            ),
            examples=[[{"group": "release-managers"}]],
        ),
    ] = ()


class GivenApproval(_Part, frozen=True):
    """One decision of a person about a flow with `approval`."""

    flow: Annotated[FlowName, Meta(description="The flow that is approved or rejected.", examples=["release"])]
    decision: Annotated[
        ApprovalDecision,
        Meta(description="Approve: the task has Succeeded. Reject: it has Failed.", examples=["Approve"]),
    ]
    index: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_TASKS - 1,
                description="Index of the task, for a flow with for. Default: all tasks of the flow.",
                examples=[3],
            ),
        ]
        | None
    ) = None
    comment: Annotated[str, Meta(max_length=MAX_COMMENT, description="Why.", examples=["The figures are right."])] = ""
    by: Annotated[
        str,
        Meta(
            max_length=MAX_PERSON_NAME,
            description=(
                "Who decided. The admission webhook writes it, whatever is given here; without the webhook nobody"
                " checks it."
            ),
            examples=["alice@example.com"],
        ),
    ] = ""
    at: Annotated[
        str,
        Meta(
            max_length=64,
            description="When (RFC 3339). The admission webhook writes it, whatever is given here.",
            examples=["2026-01-31T10:00:00Z"],
        ),
    ] = ""


class Flow(_Part, frozen=True):
    """One step: which template its jobs are made from, and what they wait for."""

    name: Annotated[
        FlowName,
        Meta(
            description='Name of the flow: lower case letters, digits and "-". Unique in the workflow.',
            examples=["train"],
        ),
    ]
    template: Annotated[
        str,
        Meta(
            max_length=253,
            description="Name of the WorkTemplate that its jobs are made from. Default: the flow's name.",
            examples=["step"],
        ),
    ] = ""
    template_spec: Annotated[
        WorkTemplateSpec | None,
        Meta(
            description="What the spec of a WorkTemplate holds, in place of template. Default: none.",
            examples=[{"gvr": {"group": "batch", "version": "v1", "resource": "jobs"}, "jobSpec": {"backoffLimit": 0}}],
        ),
    ] = None
    raw_depends_on: Annotated[
        Raw,
        Meta(
            extra={"type": DependsOn},
            description="What must be true before a task of this flow starts. Default: nothing.",
            examples=[{"targets": ["prepare"]}],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="dependsOn")
    for_: Annotated[
        For | None,
        Meta(
            description="Run several tasks, each with its index: replicas, or one for each item. Default: one task.",
            examples=[{"replicas": 4, "parallelism": 2}],
        ),
    ] = msgspec.field(default=None, name="for")
    retry: Annotated[
        Retry | None,
        Meta(
            description="Whether and when a failed task gets another attempt. Default: it gets none.",
            examples=[{"maxRetries": 3, "interval": "10s"}],
        ),
    ] = None
    raw_patch: Annotated[
        Raw,
        Meta(
            extra={"type": Any},
            description="A merge patch (object) or JSON Patch (list) of the rendered {metadata, spec}. Default: none.",
            examples=[{"spec": {"backoffLimit": 0}}],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="patch")
    raw_parameters: Annotated[
        Raw,
        Meta(
            extra={"type": Parameters},
            description="Values that override those of the workflow and the template. Default: none.",
            examples=[[{"name": "epochs", "value": "10"}]],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="parameters")
    raw_outputs: Annotated[
        Raw,
        Meta(
            extra={"type": Outputs},
            description="Values that are read from the job of a task when it succeeds. Default: none.",
            examples=[[{"name": "accuracy", "from": {"path": "status.results.accuracy"}}]],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="outputs")
    when: Annotated[
        str,
        Meta(
            max_length=MAX_CEL,
            description=(
                "CEL expression over params, outputs, flows, index, item, replicas and workflow. It is judged once per"
                " task when its dependencies are met; false skips the task. Default: the task runs."
            ),
            examples=["double(outputs.train.accuracy) > 0.9"],
        ),
    ] = ""
    approval: Annotated[
        Approval | None,
        Meta(
            description=(
                "In place of a job: the flow waits until spec.approvals names it. Approved it has Succeeded, rejected"
                " it has Failed. Default: none; the flow makes jobs."
            ),
            examples=[{"message": "Deploy to production?", "approvers": [{"group": "release-managers"}]}],
        ),
    ] = None
    continue_on_fail: Annotated[
        bool,
        Meta(
            description="A failure satisfies the flows that wait for it, and does not fail the workflow.",
            examples=[True],
        ),
    ] = False
    finally_: Annotated[
        bool,
        Meta(description="Starts when every flow without finally is final, whatever the outcome.", examples=[True]),
    ] = msgspec.field(default=False, name="finally")
    timeout: Annotated[
        Duration | None,
        Meta(
            description=(
                "Duration that one attempt may take from the creation of its job (units: h, m, s, ms). Default: none."
            ),
            examples=["1h"],
        ),
    ] = None
    start_delay: Annotated[
        Duration | None,
        Meta(
            description=(
                "Duration from when the dependencies of a task are met until it is released (units: h, m, s, ms). A"
                " retry does not wait again. Default: none."
            ),
            examples=["5m"],
        ),
    ] = None
    pending_timeout: Annotated[
        Duration | None,
        Meta(
            description=(
                "Duration that one attempt may take from its release until it first runs (units: h, m, s, ms). "
                "Default: none."
            ),
            examples=["10m"],
        ),
    ] = None
    mutexes: Annotated[
        Mutexes,
        Meta(
            description=(
                "Names of locks of which one task, or one workflow, of the namespace holds each at a time. A task takes"
                " all of its locks before its job is made, and gives them back when the job has finished or is gone."
                " Default: none."
            ),
            examples=[["database"]],
        ),
    ] = ()
    semaphores: Annotated[
        Semaphores,
        Meta(
            description="Locks that several may hold at once, as many as a ConfigMap says. Default: none.",
            examples=[[{"configMapKeyRef": {"name": "gpus", "key": "licences"}}]],
        ),
    ] = ()

    @property
    def depends_on(self) -> DependsOn | None:
        return _depends_on(self.raw_depends_on)

    @property
    def patch(self) -> Any:
        """A list (JSON Patch), a dict (merge patch), or None."""
        return _any(self.raw_patch)

    @property
    def parameters(self) -> Parameters:
        return _parameters(self.raw_parameters)

    @property
    def outputs(self) -> Outputs:
        return _outputs(self.raw_outputs)

    @property
    def template_name(self) -> str:
        """The name of its WorkTemplate. That of a templateSpec has a capital letter, as no name in a cluster has; so
        has that of an approval, which is the name of none.
        """
        if self.template_spec is not None:
            return f"{self.name}.templateSpec"
        return self.template or self.name if self.approval is None else f"{self.name}.noTemplate"

    @property
    def has_items(self) -> bool:
        """Whether `{{item}}` is a variable in it."""
        return self.for_ is not None and (self.for_.items is not None or bool(self.for_.items_from))

    @property
    def items_from(self) -> str:
        """The output that gives it its items, as written; empty if none does."""
        return "" if self.for_ is None else self.for_.items_from

    @property
    def replicas(self) -> int:
        return 1 if self.for_ is None else self.for_.count


class SuccessPolicy(_Part, frozen=True):
    """When the workflow has succeeded, and what happens to unfinished flows then."""

    type: Annotated[
        PolicyType,
        Meta(
            description=(
                "Which flows must succeed: All of them, Any leaf, or the Critical ones listed in criticalFlows."
            ),
            examples=["Critical"],
        ),
    ] = PolicyType.ALL
    critical_flows: Annotated[
        tuple[FlowName, ...],
        Meta(
            max_length=MAX_FLOWS,
            description="For type Critical: the flows that must succeed. Default: none.",
            examples=[["publish"]],
        ),
    ] = ()
    remaining: Annotated[
        Remaining | None,
        Meta(
            description=(
                "What happens to unfinished flows once the outcome is decided. Continue: they go on. Drain: running "
                "jobs end. Cancel: jobs are deleted. Default: Drain, after a satisfied Critical Continue."
            ),
            examples=["Cancel"],
        ),
    ] = None


class Restart(_Part, frozen=True):
    """Runs flows again after the workflow has ended."""

    at: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            description="A token; each new value restarts once, when the workflow is final.",
            examples=["2026-01-31"],
        ),
    ]
    flows: Annotated[
        tuple[FlowName, ...],
        Meta(
            max_length=MAX_FLOWS,
            description="Restart these and all flows that wait for them. Default: what did not succeed.",
            examples=[["train"]],
        ),
    ] = ()


# A rule of the CRD, in CEL; `for` is written `__for__` there. CEL does not see for.items, which may have any type.
_AT_MOST_10000_TASKS: Final = {
    "rule": "self.map(flow, has(flow.__for__) && has(flow.__for__.replicas) && flow.__for__.replicas > 1"
    " ? flow.__for__.replicas : 1).sum()"
    f" <= {MAX_TASKS}",
    "message": f"at most {MAX_TASKS:,} tasks are allowed in all: lower for.replicas",
}


# Each entry keeps its place, which is i * 32 + j. Older API servers have no function for the beginning of a list, and
# to look each entry up costs too much.
_DIGITS: Final = f"[{','.join(str(number) for number in range(32))}]"
_APPEND_ONLY: Final = {
    "rule": "!has(oldSelf.approvals) || (has(self.approvals) && size(self.approvals) >= size(oldSelf.approvals) &&"
    f" {_DIGITS}.all(i, i * 32 >= size(oldSelf.approvals) || {_DIGITS}.all(j, i * 32 + j >= size(oldSelf.approvals)"
    " || self.approvals[i * 32 + j] == oldSelf.approvals[i * 32 + j])))",
    "message": "entries of approvals cannot be changed or removed; add another one at the end",
}


class WorkflowSpec(_Part, frozen=True):
    """What runs, in which order, and when the workflow has succeeded."""

    flows: Annotated[
        tuple[Flow, ...],
        Meta(
            min_length=1,
            max_length=MAX_FLOWS,
            extra_json_schema={"x-kubernetes-validations": [_AT_MOST_10000_TASKS]},
            description="The steps, in any order; at most 5,000, and 10,000 tasks in all.",
            examples=[[{"name": "train", "template": "step"}]],
        ),
    ]
    raw_parameters: Annotated[
        Raw,
        Meta(
            extra={"type": Parameters},
            description="Values that override the defaults of the templates. Default: none.",
            examples=[[{"name": "epochs", "value": "10"}]],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="parameters")
    success_policy: Annotated[
        SuccessPolicy,
        Meta(description="When the workflow has succeeded. Default: when every flow has.", examples=[{"type": "Any"}]),
    ] = SuccessPolicy()
    job_retain_policy: Annotated[
        RetainPolicy,
        Meta(
            description=(
                "Whether the jobs are deleted once the workflow has ended: retain, delete, or delete-on-success."
            ),
            examples=["delete"],
        ),
    ] = RetainPolicy.RETAIN
    scheduler_name: Annotated[
        str,
        Meta(
            max_length=253,
            description="Name of the scheduler of every pod. Default: the cluster's.",
            examples=["volcano"],
        ),
    ] = ""
    raw_plugins: Annotated[
        Raw,
        Meta(
            extra={"type": Plugins},
            description="Scheduler plugins of every job with their arguments, for kinds that have them. Default: none.",
            examples=[{"svc": [], "ssh": []}],
        ),
    ] = msgspec.field(default=raw.ABSENT, name="plugins")
    queue_name: Annotated[
        str,
        Meta(max_length=253, description="Kueue or Volcano queue of every job. Default: none.", examples=["team-a"]),
    ] = ""
    parallelism: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_TASKS,
                description="How many jobs of this workflow may be unfinished at once. Default: no limit.",
                examples=[50],
            ),
        ]
        | None
    ) = None
    timeout: Annotated[
        Duration | None,
        Meta(
            description=(
                "Duration that the workflow may take (units: h, m, s, ms); suspended time does not count. Default: "
                "none."
            ),
            examples=["24h"],
        ),
    ] = None
    suspend: Annotated[bool, Meta(description="While true no job is created; running jobs go on.", examples=[True])] = (
        False
    )
    shutdown: Annotated[
        Shutdown | None,
        Meta(
            description=(
                "Ends the workflow: Stop lets running attempts end, Terminate deletes them. It cannot be taken back "
                "before the end. Default: none."
            ),
            examples=["Stop"],
        ),
    ] = None
    restart: Annotated[
        Restart | None,
        Meta(
            description="Run flows again once the workflow has ended. Default: none.", examples=[{"at": "2026-01-31"}]
        ),
    ] = None
    approvals: Annotated[
        tuple[GivenApproval, ...],
        Meta(
            max_length=MAX_APPROVALS,
            description=(
                "What people decided about flows with approval. Entries are only ever added at the end, at any time but"
                " at creation; the first one for a task since its last restart counts. Default: none."
            ),
            examples=[[{"flow": "release", "decision": "Approve", "comment": "The figures are right."}]],
        ),
    ] = ()
    ttl_seconds_after_finished: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2_147_483_647,
                description="Seconds from its end until the workflow is deleted. Default: never.",
                examples=[86400],
            ),
        ]
        | None
    ) = None
    mutexes: Annotated[
        Mutexes,
        Meta(
            description=(
                "Names of locks of which one task, or one workflow, of the namespace holds each at a time. The workflow"
                " takes all of its locks before its first job is made, and holds them until it has ended. Flows then"
                " have none of their own. Default: none."
            ),
            examples=[["database"]],
        ),
    ] = ()
    semaphores: Annotated[
        Semaphores,
        Meta(
            description="Locks that several may hold at once, as many as a ConfigMap says. Default: none.",
            examples=[[{"configMapKeyRef": {"name": "gpus", "key": "licences"}}]],
        ),
    ] = ()

    def __post_init__(self) -> None:
        gather_spec(self)

    @property
    def template_names(self) -> dict[str, None]:
        """The names of the WorkTemplates that its flows name, each once, in the order of the flows."""
        return dict.fromkeys(
            flow.template_name for flow in self.flows if flow.template_spec is None and flow.approval is None
        )

    @property
    def parameters(self) -> Parameters:
        return _parameters(self.raw_parameters)

    @property
    def plugins(self) -> Plugins:
        return _plugins(self.raw_plugins)


class TaskCounts(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """How many tasks are in each phase, and in total.

    Zeros are written, so that the columns of kubectl show them.
    """

    total: Annotated[int, Meta(description="All tasks.")] = 0
    waiting: Annotated[int, Meta(description="Tasks that wait for dependencies, or whose job cannot be made yet.")] = 0
    pending: Annotated[int, Meta(description="Tasks whose job exists and does not run.")] = 0
    suspended: Annotated[int, Meta(description="Tasks whose job a queue holds.")] = 0
    running: Annotated[int, Meta(description="Tasks whose job runs.")] = 0
    backoff: Annotated[int, Meta(description="Tasks that failed and will be tried again.")] = 0
    succeeded: Annotated[int, Meta(description="Tasks that succeeded.")] = 0
    failed: Annotated[int, Meta(description="Tasks that failed for good.")] = 0
    skipped: Annotated[int, Meta(description="Tasks that never started, because a dependency cannot be met.")] = 0
    cancelled: Annotated[
        int, Meta(description="Tasks that were ended or never started because the outcome was decided.")
    ] = 0

    def of(self, phase: Phase) -> int:
        """How many tasks are in a phase."""
        count: int = getattr(self, phase.field)
        return count


class ReplicaStatus(_Part, frozen=True):
    """One replica of a flow with `for` that has not succeeded."""

    index: Annotated[int, Meta(description="Index of the replica, from 0.")]
    phase: Annotated[Phase, Meta(description="Phase of its task.")]
    reason: Annotated[Reason, Meta(description="Why it is in this phase, in one word.")] = ""
    message: Annotated[Message, Meta(description="The same for people: what happened, where, and what to do.")] = ""


_POSITIONS: Final = "Positions in status.flows, as ranges: 0-3,7."
# Fields of an earlier layout. They are read as long as there is no `record`, and never written.
_MOVED: Final = Meta(description="Deprecated: now under status.record. Removed by the next write.")


class Kept(_Part, frozen=True):
    """Memory of the controller about tasks in Backoff, or whose newest attempt has no job any more.

    indexes: ranges as batch/v1 writes them; attempt: the newest one; due: the latest time at which one of the tasks
    may be tried again; ran: some attempt has run; began, held: the newest attempt, which does not run or is not held
    now, has run, or was held by a queue; unmade: no attempt ever had a job; gvr: the kind of the newest attempt's job,
    where it is not that of the flow's first job; waits_since: since when they wait for locks.
    """

    indexes: Annotated[str, Meta(description="Indexes of the tasks, as ranges: 0-3,7.")]
    attempt: Annotated[int, Meta(description="Their newest attempt, counted from 0.")] = 0
    reason: Annotated[Reason, Meta(description="Why that attempt ended.")] = ""
    due: Annotated[str, Meta(description="The latest time at which one of them may be tried again.")] = ""
    ran: Annotated[bool, Meta(description="Some attempt has run.")] = False
    began: Annotated[bool, Meta(description="The newest attempt has run.")] = False
    held: Annotated[bool, Meta(description="A queue held the newest attempt.")] = False
    unmade: Annotated[bool, Meta(description="No attempt ever had a job.")] = False
    gvr: Annotated[
        str, Meta(description="Kind of the newest attempt's job, where it is not that of the flow's first job.")
    ] = ""
    waits_since: Annotated[str, Meta(description="Since when they wait for locks (RFC 3339).")] = ""


class Latch(_Part, frozen=True):
    """An HTTP or TCP probe that has passed for a flow of which some task has no job yet.

    probe: path of the probe in the flow; indexes: the probed replicas.
    """

    probe: Annotated[str, Meta(description="Path of the probe in its flow.")]
    indexes: Annotated[str, Meta(description="Indexes of the probed replicas, as ranges: 0-3,7.")]


class KindRecord(_Part, frozen=True):
    """A kind of jobs, the flows whose first job is of this kind, and those of which only a later one is.

    Neither has any if such flows left with a restart.
    """

    gvr: Annotated[str, Meta(description="The resource: jobs.v1.batch, or pods.v1 of the core group.")]
    flows: Annotated[str, Meta(description=_POSITIONS)] = ""
    later: Annotated[
        str, Meta(description=f"Flows whose template got this kind after their first job. {_POSITIONS}")
    ] = ""


class RulesRecord(_Part, frozen=True):
    """Status rules and completion that jobs carry, and the flows whose jobs may carry them."""

    hash: Annotated[
        str, Meta(description="SHA-256 of the jobs' annotation flow.workflow.sh/rules, the first 32 hex digits.")
    ]
    flows: Annotated[str, Meta(description=_POSITIONS)] = ""


class ObjectOfTask(_Part, frozen=True):
    """The object of one task."""

    name: Annotated[str, Meta(description="Name of the object.")]
    uid: Annotated[str, Meta(description="Its uid, as it was applied or found.")] = ""
    index: Annotated[int, Meta(description="Index of the task, 0 without for.")] = 0
    attempt: Annotated[int, Meta(description="The attempt that applied or found it, counted from 0.")] = 0


class ObjectRecord(_Part, frozen=True):
    """Objects that the tasks of one flow applied, or found and delete."""

    flow: Annotated[int, Meta(description="Position of the flow in status.flows.")]
    gvr: Annotated[str, Meta(description="The resource: deployments.v1.apps, or configmaps.v1 of the core group.")]
    action: Annotated[Action, Meta(description="Apply or Delete.")]
    objects: Annotated[tuple[ObjectOfTask, ...], Meta(description="The objects, by index.")] = ()


class Asked(_Part, frozen=True):
    """Tasks that wait for an approval, and since when."""

    indexes: Annotated[str, Meta(description="Indexes of the tasks, as ranges: 0-3,7.")]
    since: Annotated[str, Meta(description="Since when the last one of them waits (RFC 3339).")]


class Start(_Part, frozen=True):
    """Tasks whose dependencies are met, and that wait for startDelay."""

    indexes: Annotated[str, Meta(description="Indexes of the tasks, as ranges: 0-3,7.")]
    due: Annotated[str, Meta(description="When the last one of them is released (RFC 3339).")]


class FlowRecord(_Part, frozen=True):
    """What the controller remembers of some flows, the same of each."""

    flows: Annotated[str, Meta(description=_POSITIONS)]
    renamed: Annotated[
        str, Meta(description="Suffix of the job names, because other objects have the regular names.")
    ] = ""
    first_attempt: Annotated[
        int, Meta(description="Attempts below this number belong to a run before the last restart.")
    ] = 0
    kept: Annotated[tuple[Kept, ...], Meta(description="Attempts of tasks, as far as no job shows them.")] = ()
    passed: Annotated[tuple[Latch, ...], Meta(description="HTTP and TCP probes that have passed.")] = ()
    hands_out: Annotated[bool, Meta(description="They have outputs, by the spec in force.")] = False
    approvals: Annotated[
        int, Meta(description="So many entries of spec.approvals were there at the last restart: they do not count.")
    ] = 0
    asked: Annotated[
        tuple[Asked, ...], Meta(description="Since when tasks with approval and timeout wait for a person.")
    ] = ()
    starts: Annotated[tuple[Start, ...], Meta(description="When the startDelay of tasks is over.")] = ()
    tasks: Annotated[
        int | None,
        Meta(description="How many tasks for.itemsFrom has given each of them. Absent: not known yet, or not asked."),
    ] = None


class Failure(_Part, frozen=True):
    """A failed task, as `finally` flows read it."""

    flow: Annotated[str, Meta(description="Name of its flow.")]
    index: Annotated[int, Meta(description="Index of the task, 0 without for.")] = 0
    reason: Annotated[Reason, Meta(description="Why it failed, in one word.")] = ""
    message: Annotated[Message, Meta(description="The same for people.")] = ""


class EndRecord(_Part, frozen=True):
    """How the workflow went, as its `finally` flows read it. It never changes once a job was made of it."""

    phase: Annotated[WorkflowPhase, Meta(description="Succeeded or Failed.")]
    reason: Annotated[Reason, Meta(description="Why, in one word.")] = ""
    message: Annotated[Message, Meta(description="The same for people.")] = ""
    duration: Annotated[int, Meta(description="Seconds from the start until every flow without finally was final.")] = 0
    failures: Annotated[tuple[Failure, ...], Meta(description="Failed tasks, in the order of the flows.")] = ()
    more: Annotated[int, Meta(description="How many more failed tasks there are.")] = 0


class Record(_Part, frozen=True):
    """The controller's own memory, because the cluster does not show it. Not for scripts."""

    spec_hash: Annotated[str, Meta(description="Hash of the spec that is in force.")] = ""
    job_retain_policy: Annotated[
        RetainPolicy, Meta(description="jobRetainPolicy of that spec, which an edit may have changed meanwhile.")
    ] = RetainPolicy.RETAIN
    restarted_at: Annotated[str, Meta(description="The token of the newest restart.")] = ""
    restarted_flows: Annotated[str, Meta(description=f"The flows that this restart named. {_POSITIONS}")] = ""
    suspended_at: Annotated[str, Meta(description="Since when the workflow is suspended.")] = ""
    suspended_seconds: Annotated[
        int, Meta(description="Seconds for which it was suspended before, rounded up each time.")
    ] = 0
    kinds: Annotated[tuple[KindRecord, ...], Meta(description="The kinds of the jobs.")] = ()
    rules: Annotated[
        tuple[RulesRecord, ...],
        Meta(description="The rules that jobs carry, for the time when their template is gone. Others do not count."),
    ] = ()
    flows: Annotated[
        tuple[FlowRecord, ...], Meta(description="What is to be remembered of flows; nothing of most.")
    ] = ()
    objects: Annotated[
        tuple[ObjectRecord, ...], Meta(description="Objects of flows whose action is Apply or Delete.")
    ] = ()
    end: Annotated[EndRecord | None, Meta(description="How the workflow went, once finally flows read it.")] = None


class OutputStatus(_Part, frozen=True):
    """The recorded values of one output of a flow, read when its tasks succeeded."""

    name: Annotated[str, Meta(description="Name of the output.")]
    value: Annotated[str, Meta(description="For a flow without for: the value.")] = ""
    values: Annotated[
        tuple[str, ...],
        Meta(description="For a flow with for: the values of its tasks, in the order of their indexes."),
    ] = ()
    indexes: Annotated[
        str, Meta(description="The indexes of these tasks, as ranges: 0-3,7. Default: those that succeeded.")
    ] = ""


def _indexes_of(phase: str) -> Meta:
    return Meta(description=f"For a flow with for: indexes of its {phase} tasks, as ranges: 0-3,7.")


class FlowStatus(_Part, frozen=True):
    """State of one flow, folded from its tasks. Flows with `for` show the indexes in each phase as ranges (0-3,7)."""

    name: Annotated[str, Meta(description="Name of the flow.")]
    phase: Annotated[Phase, Meta(description="Phase of the flow, from those of its tasks.")]
    reason: Annotated[Reason, Meta(description="Why it waits, was skipped or failed, in one word.")] = ""
    message: Annotated[Message, Meta(description="The same for people: what happened, where, and what to do.")] = ""
    start_time: Annotated[str, Meta(description="When its first job was made (RFC 3339).")] = ""
    completion_time: Annotated[str, Meta(description="When its last task became final (RFC 3339).")] = ""
    attempts: Annotated[int, Meta(description="How many attempts its tasks have had in all.")] = 0
    next_attempt_time: Annotated[str, Meta(description="When the next attempt is due (RFC 3339).")] = ""
    waiting: Annotated[str, _indexes_of("waiting")] = ""
    pending: Annotated[str, _indexes_of("pending")] = ""
    suspended: Annotated[str, _indexes_of("suspended")] = ""
    running: Annotated[str, _indexes_of("running")] = ""
    backoff: Annotated[str, _indexes_of("backoff")] = ""
    succeeded: Annotated[str, _indexes_of("succeeded")] = ""
    failed: Annotated[str, _indexes_of("failed")] = ""
    skipped: Annotated[str, _indexes_of("skipped")] = ""
    cancelled: Annotated[str, _indexes_of("cancelled")] = ""
    replicas: Annotated[
        tuple[ReplicaStatus, ...],
        Meta(description="For a flow with for: at most 100 replicas that did not succeed, failed ones first."),
    ] = ()
    outputs: Annotated[tuple[OutputStatus, ...], Meta(description="The values that its tasks have handed out.")] = ()
    gvr: Annotated[str, _MOVED] = ""
    passed: Annotated[tuple[Latch, ...], _MOVED] = ()
    renamed: Annotated[str, _MOVED] = ""
    first_attempt: Annotated[int, _MOVED] = 0
    kept: Annotated[tuple[Kept, ...], _MOVED] = ()

    def indexes_in(self, phase: Phase) -> str:
        """Indexes of its tasks in a phase, as ranges; empty for a flow without `for`."""
        indexes: str = getattr(self, phase.field)
        return indexes


class WorkflowStatus(_Part, frozen=True):
    """State of the workflow; `phase` is absent until the controller has written it.

    `records.record_of` reads the record, also of a status that has none because an older controller wrote it.
    """

    phase: Annotated[
        WorkflowPhase | None,
        Meta(description="Pending, Running, Suspended, Terminating, Succeeded or Failed; the last two are final."),
    ] = None
    reason: Annotated[Reason, Meta(description="What holds it up, or why it ended, in one word.")] = ""
    message: Annotated[Message, Meta(description="The same for people: what happened, where, and what to do.")] = ""
    start_time: Annotated[str, Meta(description="When it started, or was restarted (RFC 3339).")] = ""
    completion_time: Annotated[str, Meta(description="When it ended (RFC 3339).")] = ""
    observed_generation: Annotated[int, Meta(description="The metadata.generation that this status is about.")] = 0
    progress: Annotated[str, Meta(description="Final tasks over all tasks: 7/12.")] = ""
    tasks: Annotated[TaskCounts, Meta(description="How many tasks are in each phase.")] = TaskCounts()
    conditions: Annotated[
        tuple[Condition, ...],
        Meta(description="Standard conditions: Decided, Finished, Succeeded, Suspended, Blocked."),
        _keyed_by("type"),
    ] = ()
    flows: Annotated[tuple[FlowStatus, ...], Meta(description="State of each flow, in the order of the spec.")] = ()
    record: Annotated[Record | None, Meta(description="The controller's own memory; not for scripts.")] = None
    restarted_at: Annotated[str, _MOVED] = ""
    restarted_flows: Annotated[str, _MOVED] = ""
    suspended_at: Annotated[str, _MOVED] = ""
    # A number, with or without a fraction.
    suspended_seconds: Annotated[Any, _MOVED] = 0
    spec_hash: Annotated[str, _MOVED] = ""


class Workflow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A DAG of flows; each flow makes jobs from a WorkTemplate."""

    metadata: ObjectMeta
    spec: Annotated[WorkflowSpec, Meta(extra_json_schema={"x-kubernetes-validations": [_APPEND_ONLY]})]
    status: WorkflowStatus = WorkflowStatus()
    api_version: str = API_VERSION
    kind: str = "Workflow"


class UsedBy(_Part, frozen=True):
    """The workflows of the namespace that use the template; at most 100 are named."""

    count: Annotated[int, Meta(description="How many workflows of the namespace use the template.")] = 0
    names: Annotated[tuple[str, ...], Meta(max_length=100, description="Their names, at most 100.")] = ()


class WorkTemplateStatus(_Part, frozen=True):
    """Which workflows use the template."""

    used_by: Annotated[UsedBy, Meta(description="The workflows that use the template.")] = UsedBy()


class WorkTemplate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """How to make one job, of any kind."""

    metadata: ObjectMeta
    spec: WorkTemplateSpec
    status: WorkTemplateStatus = WorkTemplateStatus()
    api_version: str = API_VERSION
    kind: str = "WorkTemplate"


class ConcurrencyPolicy(StrEnum):
    """What happens if a run is due while an earlier one has not ended."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class RunMeta(_Part, frozen=True):
    """Labels and annotations of each run."""

    labels: Annotated[dict[str, str], Meta(description="Labels of the Workflow.", examples=[{"team": "data"}])] = {}
    annotations: Annotated[
        dict[str, str], Meta(description="Annotations of the Workflow.", examples=[{"example.org/owner": "data"}])
    ] = {}


class WorkflowTemplate(_Part, frozen=True):
    """The Workflow that is made at each scheduled time. Its spec stays JSON text in the caches."""

    raw_spec: Annotated[
        Raw,
        Meta(
            extra={"type": WorkflowSpec},
            description="Spec of the Workflow. An edit holds for the runs that are made after it.",
            examples=[{"flows": [{"name": "train", "template": "step"}]}],
        ),
    ] = msgspec.field(name="spec")
    metadata: Annotated[
        RunMeta,
        Meta(
            description="Labels and annotations of the Workflow. Default: none.",
            examples=[{"labels": {"team": "data"}}],
        ),
    ] = RunMeta()

    def __post_init__(self) -> None:
        gather(self, "raw_spec")

    @property
    def spec(self) -> WorkflowSpec:
        """Raises msgspec.DecodeError for what is no spec, and RecursionError for what is nested too deeply."""
        return _workflow_spec.decode(self.raw_spec)


#: A rule of the CRD, in CEL.
_NO_ZONE_IN_SCHEDULE: Final = {
    "rule": "self.all(schedule, !schedule.contains('TZ='))",
    "message": "write the time zone into timeZone, not into the schedule",
}


class CronWorkflowSpec(_Part, frozen=True):
    """When runs are made, and what they are."""

    schedules: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...],
        Meta(
            min_length=1,
            max_length=MAX_SCHEDULES,
            extra_json_schema={"x-kubernetes-validations": [_NO_ZONE_IN_SCHEDULE]},
            description=(
                "Times in cron's form: minute, hour, day of month, month, day of week; or a word such as @daily. A time"
                " that several of them name makes one run."
            ),
            examples=[["30 2 * * *", "0 14 * * MON-FRI"]],
        ),
    ]
    workflow_template: Annotated[
        WorkflowTemplate,
        Meta(
            description="The Workflow that is made at each scheduled time.",
            examples=[{"spec": {"flows": [{"name": "train", "template": "step"}]}}],
        ),
    ]
    time_zone: Annotated[
        str,
        Meta(
            max_length=64,
            description="Name of the time zone of the schedules, as the IANA has it. Default: UTC.",
            examples=["Europe/Berlin"],
        ),
    ] = ""
    starting_deadline_seconds: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2_147_483_647,
                description="A run that could not be made this many seconds after its time is missed. Default: none.",
                examples=[600],
            ),
        ]
        | None
    ) = None
    concurrency_policy: Annotated[
        ConcurrencyPolicy,
        Meta(
            description=(
                "What happens if a run is due while an earlier one has not ended: Allow makes it; Forbid makes it once"
                " the earlier one has ended; Replace terminates the earlier one and makes it once that has ended."
            ),
            examples=["Forbid"],
        ),
    ] = ConcurrencyPolicy.ALLOW
    suspend: Annotated[bool, Meta(description="While true no run is made; runs that exist go on.", examples=[True])] = (
        False
    )
    successful_history_limit: Annotated[
        int, Meta(ge=0, le=1_000, description="How many runs that succeeded are kept.", examples=[3])
    ] = 3
    failed_history_limit: Annotated[
        int, Meta(ge=0, le=1_000, description="How many runs that failed are kept.", examples=[1])
    ] = 1


class ActiveRun(_Part, frozen=True):
    """A Workflow that has not ended."""

    name: Annotated[str, Meta(description="Name of the Workflow.")]
    uid: Annotated[str, Meta(description="Its uid.")] = ""


class CronWorkflowStatus(_Part, frozen=True):
    """What was made, and what comes next."""

    active: Annotated[
        tuple[ActiveRun, ...],
        Meta(max_length=MAX_ACTIVE, description="Runs that have not ended, the newest first; at most 100."),
    ] = ()
    active_count: Annotated[int, Meta(description="How many runs have not ended.")] = 0
    last_schedule_time: Annotated[
        str, Meta(description="The scheduled time of the newest run that was made (RFC 3339).")
    ] = ""
    last_successful_time: Annotated[
        str, Meta(description="When a run succeeded last: the end of that run (RFC 3339).")
    ] = ""
    next_schedule_time: Annotated[
        str, Meta(description="When the next run is due (RFC 3339); empty while suspended or not valid.")
    ] = ""
    observed_generation: Annotated[int, Meta(description="The metadata.generation that this status is about.")] = 0
    conditions: Annotated[
        tuple[Condition, ...],
        Meta(description="Standard conditions: Valid, False if no run can be made, with what to correct."),
        _keyed_by("type"),
    ] = ()


class CronWorkflow(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Makes a Workflow at each scheduled time."""

    metadata: ObjectMeta
    spec: CronWorkflowSpec
    status: CronWorkflowStatus = CronWorkflowStatus()
    api_version: str = API_VERSION
    kind: str = "CronWorkflow"


# Made here, when the module is imported, and not by the threads that use them.
_any = raw.Decoder[Any](Any, b"null")
_depends_on = raw.Decoder[DependsOn | None](DependsOn | None, b"null")  # type: ignore[arg-type]
_object = raw.Decoder[dict[str, Any]](dict[str, Any], b"{}")
_outputs = raw.Decoder[Outputs](Outputs, b"[]")
_parameters = raw.Decoder[Parameters](Parameters, b"[]")
_plugins = raw.Decoder[Plugins](Plugins, b"{}")
_status_rules = raw.Decoder[StatusRules | None](StatusRules | None, b"null")  # type: ignore[arg-type]
_template_meta = raw.Decoder[TemplateMeta](TemplateMeta, b"{}")
_workflow_spec: Final = msgspec.json.Decoder(WorkflowSpec)
