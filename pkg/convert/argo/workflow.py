"""Argo's objects as our Workflows and WorkTemplates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pkg.convert.argo.expand import Expansion
from pkg.convert.argo.leaves import Leaf, describe, leaf
from pkg.convert.argo.locks import locks_of
from pkg.convert.argo.pods import LOST_POD_FIELDS, pod_fields, pod_metadata
from pkg.convert.argo.retries import retry_of
from pkg.convert.argo.variables import no_words
from pkg.convert.names import Names, label, parameter_name
from pkg.convert.result import Object, head, metadata, work_template, workflow
from pkg.convert.source import Source, object_in, objects_in, text_of
from pkg.convert.text import escaped

_LOST: Final = {
    "artifactRepositoryRef": "artifacts are not there: a volume or a bucket, by {{workflow.uid}}",
    "artifactGC": "artifacts are not there: a volume or a bucket, by {{workflow.uid}}",
    "archiveLogs": "logs stay with the pods; --log-url-template names your log store",
    "metrics": "the controller's metrics are in docs/metrics.md",
    "templateDefaults": "write it at each template",
}
_SHUTDOWN: Final = ("Stop", "Terminate")
_RETAIN: Final = {
    "OnPodCompletion": ("delete", "jobs are deleted when the Workflow ends, not when each pod ends"),
    "OnPodSuccess": ("delete-on-success", "jobs are deleted when the Workflow has succeeded"),
    "OnWorkflowCompletion": ("delete", ""),
    "OnWorkflowSuccess": ("delete-on-success", ""),
}
_ONLY_WORKFLOW: Final = (
    "arguments",
    "parallelism",
    "activeDeadlineSeconds",
    "suspend",
    "shutdown",
    "podGC",
    "ttlStrategy",
    "onExit",
    "hooks",
    "schedulerName",
    "synchronization",
    "entrypoint",
)
_OF_FLOW: Final = ("outputs", "retryStrategy", "activeDeadlineSeconds", "synchronization")
_AT_FLOW: Final = "it is written at the flow that uses the template, and none does: write it there"
_SCHEDULE: Final = (
    "schedule",
    "schedules",
    "timezone",
    "suspend",
    "concurrencyPolicy",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
    "stopStrategy",
    "when",
)
_NO_SCHEDULE: Final = "runs at times are not there: a CronJob that runs `kubectl create` starts the Workflow"


@dataclass(slots=True)
class Library:
    """The templates of all files: (name of a WorkflowTemplate, name of the template) -> template."""

    templates: dict[tuple[str, str], Source] = field(default_factory=dict)
    specs: dict[str, Source] = field(default_factory=dict)
    #: All that became WorkTemplates, and those that flows use, by the identity of their nodes.
    made: list[tuple[Source, Leaf]] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def add(self, source: Source) -> None:
        """A WorkflowTemplate or ClusterWorkflowTemplate."""
        name = text_of(object_in(source.raw().get("metadata")).get("name"))
        spec = source.get("spec")
        if spec is None:
            return
        self.specs[name] = spec
        for template in spec.list_of("templates"):
            self.templates[name, template.peek_text("name")] = template

    def finish(self) -> None:
        """Says what is lost of templates that no flow uses: what is written at the flow."""
        for source, made in self.made:
            if id(source.node) not in self.used and made.spec is None:
                source.lose("nothing comes of it: no flow uses it, and it makes no WorkTemplate")
            elif id(source.node) not in self.used:
                source.lose_fields(dict.fromkeys(_OF_FLOW, _AT_FLOW))


def workflow_template(source: Source, library: Library) -> list[Object]:
    """A WorkflowTemplate: a Workflow if it has an entrypoint, else its templates alone."""
    return convert(source, library)


def cron_workflow(source: Source, library: Library) -> list[Object]:
    """A CronWorkflow: the Workflow that it makes. The schedule is lost."""
    spec = source.get("spec")
    if spec is None:
        return convert(source, library)
    spec.lose_fields(dict.fromkeys(_SCHEDULE, _NO_SCHEDULE))
    if (meta := spec.get("workflowMetadata")) is not None:
        meta.lose("write labels and annotations at the Workflow")
    return convert(source, library, spec.get("workflowSpec"))


def convert(source: Source, library: Library, spec: Source | None = None) -> list[Object]:
    """The objects of one Workflow: its WorkTemplates, and the Workflow. spec: where it is not the field `spec`."""
    head(source)
    meta = metadata(source)
    spec = spec if spec is not None else source.get("spec")
    if spec is None:
        return []
    return _Workflow(meta, spec, library).objects()


class _Workflow:
    def __init__(self, meta: Object, spec: Source, library: Library) -> None:
        self._meta = meta
        self._spec = spec
        self._library = library
        self._base = label(meta.get("name") or str(meta.get("generateName", "")).rstrip("-") or "workflow", 40)
        reference = spec.get("workflowTemplateRef")
        self._other = None if reference is None else library.specs.get(reference.peek_text("name"))
        self._owner = "" if reference is None else reference.peek_text("name")
        if reference is not None:
            if self._other is None:
                reference.lose("the WorkflowTemplate is not in these files: convert them together")
            else:
                reference.skip_fields("name", "clusterScope", why="the WorkflowTemplate is found by them")
        self._own = {item.peek_text("name"): item for item in spec.list_of("templates")}
        self._templates: dict[str, Object] = {}
        self._names = Names()
        self._leaves: dict[str, Leaf] = {}
        self._workflow_names: dict[str, str] = {}
        self._pod: Object = {}
        self._pod_metadata: Object = {}
        self._retry: Object | None = None
        self._has_locks = False

    def objects(self) -> list[Object]:
        spec, other = self._spec, self._other
        parameters = self._parameters()
        words = no_words(self._workflow_names)
        for one in (other, spec):
            if one is not None:
                self._pod.update(pod_fields(one, words))
                self._pod_metadata.update(pod_metadata(one.get("podMetadata"), words))
                if (strategy := one.get("retryStrategy")) is not None:
                    self._retry = retry_of(strategy)
        found = self._fields(parameters)
        entrypoint = spec.get("entrypoint") or (other.get("entrypoint") if other is not None else None)
        expansion = Expansion(self._find, self._workflow_names, self._names)
        if entrypoint is not None:
            env = {name: f"{{{{params.{ours}}}}}" for name, ours in self._workflow_names.items()}
            name = entrypoint.text()
            expansion.start(name, env, entrypoint, name=name, is_finally=False)
            ends = [spec.get("onExit") or (other.get("onExit") if other is not None else None)]
            hooks = spec.get("hooks")
            if hooks is not None:
                exit_hook = hooks.get("exit")
                ends.append(None if exit_hook is None else exit_hook.get("template"))
                for hook in hooks.fields():
                    if hook.key != "exit":
                        hook.lose("use a flow that waits for the phase of another, or a finally flow")
            for end in ends:
                if end is not None:
                    expansion.start(end.text(), env, end, name=end.text(), is_finally=True)
        self._rest(has_entrypoint=entrypoint is not None)
        self._library.used.update(
            id(source.node) for source, made in self._library.made if made.template in expansion.templates
        )
        flows = [self._clean(flow) for flow in expansion.flows]
        namespace = str(self._meta.get("namespace", ""))
        made = [work_template(name, template, namespace) for name, template in self._templates.items()]
        if flows:
            made.append(workflow(self._meta, {**found, "flows": flows}))
        else:
            self._lose_what_only_a_workflow_has()
        return made

    def _lose_what_only_a_workflow_has(self) -> None:
        for source, keys in (
            (self._spec, _ONLY_WORKFLOW),
            (self._spec.root().get("metadata"), ("labels", "annotations")),
        ):
            if source is not None:
                source.lose_fields(dict.fromkeys(keys, "no Workflow comes of it, because there is no entrypoint"))

    def _clean(self, flow: Object) -> Object:
        if self._retry is not None and "approval" not in flow:
            flow.setdefault("retry", self._retry)
        if not flow.get("outputs"):
            flow.pop("outputs", None)
        return flow

    def _find(self, name: str, source: Source | None) -> tuple[Source | None, Leaf | None]:
        """A template by its name, `owner/name` for that of a WorkflowTemplate, or one that is given; and its leaf."""
        if name in self._leaves:
            return None, self._leaves[name]
        owner, slash, inner = name.partition("/")
        if source is None and slash:
            source = self._library.templates.get((owner, inner))
        elif source is None:
            source = self._own.get(name) or self._library.templates.get((self._owner, name))
        if source is None:
            return None, None
        if source.get("dag") is not None or source.get("steps") is not None:
            return source, None
        return source, self._leaf(name, source)

    def _leaf(self, name: str, source: Source) -> Leaf:
        ours = label(f"{self._base}-{name.replace('/', '-')}", 63)
        made = leaf(source, ours, self._workflow_names, self._pod, self._pod_metadata)
        if not made.is_approval and (locks := source.get("synchronization")) is not None:
            if self._has_locks:
                locks.lose("the Workflow has locks of its own, so its flows can have none")
            else:
                made.locks = locks_of(locks)
        self._library.made.append((source, made))
        self._leaves[name] = made
        if made.spec is not None:
            self._templates[ours] = made.spec
        return made

    def _rest(self, *, has_entrypoint: bool) -> None:
        """Templates that no flow uses: those that run something become WorkTemplates, others never run."""
        for name, source in self._own.items():
            if source.get("dag") is None and source.get("steps") is None:
                self._find(name, None)
            elif not _is_used(source):
                if has_entrypoint:
                    source.skip("no flow comes to it")
                else:
                    source.lose("without an entrypoint no flow comes to it: convert it with a Workflow that uses it")

    def _parameters(self) -> list[Object]:
        """The parameters of the Workflow. One whose name a template has as an input, too, gets another name."""
        inputs: set[str] = set()
        templates = [*self._own.values(), *(t for (owner, _), t in self._library.templates.items() if owner)]
        for template in templates:
            raw = template.raw()
            if "dag" in raw or "steps" in raw:
                continue  # its inputs are put in where its tasks use them
            own = objects_in(object_in(raw.get("inputs")).get("parameters"))
            inputs.update(parameter_name(text_of(one.get("name"))) for one in own)
        found: dict[str, Object] = {}
        for spec in (self._other, self._spec):
            arguments = None if spec is None else spec.get("arguments")
            if arguments is None:
                continue
            for item in arguments.list_of("parameters"):
                name = item.get("name")
                if name is None:
                    continue
                ours = parameter_name(name.text())
                if ours in inputs:
                    ours = f"workflow.{ours}"
                    name.check(f"it is named {ours} here, because a template has an input of the same name")
                self._workflow_names[name.text()] = ours
                value = item.get("value") or item.get("default")
                found[ours] = {"name": ours, **({} if value is None else {"value": escaped(value.text())})}
                describe(item)
            arguments.lose_fields({"artifacts": "artifacts are not there: a volume or a bucket, by {{workflow.uid}}"})
            if not arguments.fields():
                arguments.skip("empty")
        return list(found.values())

    def _fields(self, parameters: list[Object]) -> Object:
        found: Object = {"parameters": parameters} if parameters else {}
        for spec in (self._other, self._spec):
            if spec is not None:
                self._fields_of(spec, found)
        if "schedulerName" in self._pod:
            found["schedulerName"] = self._pod.pop("schedulerName")
        return found

    def _fields_of(self, spec: Source, found: Object) -> None:
        if (limit := spec.get("parallelism")) is not None:
            found["parallelism"] = limit.plain()
        if (deadline := spec.get("activeDeadlineSeconds")) is not None:
            found["timeout"] = f"{deadline.text()}s"
        if (suspend := spec.get("suspend")) is not None:
            found["suspend"] = suspend.plain()
        if (shutdown := spec.get("shutdown")) is not None:
            if shutdown.word() in _SHUTDOWN:
                found["shutdown"] = shutdown.text()
            else:
                shutdown.lose("shutdown is Stop or Terminate")
        if (locks := spec.get("synchronization")) is not None:
            found.update(locks_of(locks))
            self._has_locks = True
        self._cleaning(spec, found)
        spec.skip_fields("executor", why="there is no executor")
        spec.lose_fields({**_LOST, **{key: text for key, text in LOST_POD_FIELDS.items() if spec.get(key) is not None}})
        if (meta := spec.get("workflowMetadata")) is not None:
            meta.lose("write labels and annotations at the Workflow")

    def _cleaning(self, spec: Source, found: Object) -> None:
        if (collect := spec.get("podGC")) is not None:
            strategy = collect.get("strategy")
            if strategy is not None and strategy.word() in _RETAIN:
                found["jobRetainPolicy"], remark = _RETAIN[strategy.text()]
                if remark:
                    strategy.check(remark)
            elif strategy is not None:
                strategy.lose("jobRetainPolicy is retain, delete or delete-on-success")
            collect.lose_fields(
                {
                    "labelSelector": "all jobs of a Workflow have one policy",
                    "deleteDelayDuration": "jobs are deleted at once",
                }
            )
        ttl = spec.get("ttlStrategy")
        if ttl is None:
            return
        values: dict[str, Any] = {item.key: item for item in ttl.fields()}
        whole = values.get("secondsAfterCompletion")
        if whole is not None:
            found["ttlSecondsAfterFinished"] = whole.plain()
        ends = ("secondsAfterSuccess", "secondsAfterFailure")
        longest = max(
            (int(values[key].word()) for key in ends if key in values and values[key].word().isdigit()), default=0
        )
        for key in ends:
            if (item := values.get(key)) is None:
                continue
            if whole is None:
                found["ttlSecondsAfterFinished"] = max(found.get("ttlSecondsAfterFinished", 0), longest)
            if item.word() == str(found["ttlSecondsAfterFinished"]):
                item.plain()
            else:
                item.lose(f"there is one time for every end: {found['ttlSecondsAfterFinished']} is written")


def _is_used(source: Source) -> bool:
    """Whether flows came from a DAG or steps: its tasks were looked into."""
    inner = f"{source.path}.dag.tasks", f"{source.path}.steps"
    return any(path in source.account.opened for path in inner)
