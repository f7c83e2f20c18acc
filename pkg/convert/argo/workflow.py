"""Argo's objects as our Workflows, CronWorkflows and WorkTemplates."""

from __future__ import annotations

from typing import Any, Final

from pkg.convert.argo import cron
from pkg.convert.argo.calls import THE_WORKFLOW, Owner, Reference, owner_of
from pkg.convert.argo.expand import Expansion
from pkg.convert.argo.leaves import Leaf, describe, leaf
from pkg.convert.argo.library import Library
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
_NO_RUN: Final = "no Workflow comes of it, because {}"
_NO_SCHEDULE: Final = "no schedule is left, so the Workflow alone is written"


def workflow_template(source: Source, library: Library) -> list[Object]:
    """A WorkflowTemplate: a Workflow if it has an entrypoint, else its templates alone."""
    return convert(source, library)


def cron_workflow(source: Source, library: Library) -> list[Object]:
    """A CronWorkflow, with the templates of the Workflow that it makes."""
    spec = source.get("spec")
    inner = None if spec is None else spec.get("workflowSpec")
    if spec is None or inner is None:
        head(source)
        metadata(source)
        (spec or source).lose("it has no spec.workflowSpec")
        return []
    head(source)
    whole = _Workflow(metadata(source), inner, library)
    made = whole.objects()
    run = made[-1] if made and made[-1]["kind"] == "Workflow" else None
    cron_made = None if run is None else cron.cron_workflow(run["metadata"], spec, run)
    if cron_made is not None:
        return [*made[:-1], cron_made]
    lost = whole.no_run if run is None else _NO_SCHEDULE
    spec.lose_fields(dict.fromkeys((*cron.SCHEDULE_FIELDS, "workflowMetadata"), lost))
    return made


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
        self._namespace = str(meta.get("namespace", ""))
        reference = spec.get("workflowTemplateRef")
        self._owner = None if reference is None else owner_of(reference)
        self._other = None if self._owner is None else library.spec(self._owner, self._namespace)
        if reference is not None and self._other is None:
            reference.lose("the WorkflowTemplate is not in these files: convert them together")
        elif reference is not None:
            reference.skip_fields("name", "clusterScope", why="the WorkflowTemplate is found by them")
        self._own = {item.peek_text("name"): item for item in spec.list_of("templates")}
        self._templates: dict[str, Object] = {}
        self._names = Names()
        self._leaves: dict[Reference, Leaf] = {}
        self._workflow_names: dict[str, str] = {}
        self._pod: Object = {}
        self._pod_metadata: Object = {}
        self._retry: Object | None = None
        self._has_locks = False
        #: Why there is no Workflow, where `objects` has none.
        self.no_run = ""

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
        made = [work_template(name, template, self._namespace) for name, template in self._templates.items()]
        if flows:
            made.append(workflow(self._meta, {**found, "flows": flows}))
        else:
            why = "its entrypoint has no tasks" if entrypoint is not None else "there is no entrypoint"
            if expansion.recursive:
                why = f"template {expansion.recursive} calls itself"
            self.no_run = _NO_RUN.format(why)
            self._lose_what_only_a_workflow_has()
        return made

    def _lose_what_only_a_workflow_has(self) -> None:
        for source, keys in (
            (self._spec, _ONLY_WORKFLOW),
            (self._spec.root().get("metadata"), ("labels", "annotations")),
        ):
            if source is not None:
                source.lose_fields(dict.fromkeys(keys, self.no_run))

    def _clean(self, flow: Object) -> Object:
        if self._retry is not None and "approval" not in flow:
            flow.setdefault("retry", self._retry)
        if not flow.get("outputs"):
            flow.pop("outputs", None)
        return flow

    def _find(self, reference: Reference, inline: Source | None) -> tuple[Source | None, Leaf | None]:
        """A template, or the one that is written into a task; and its leaf if it runs something."""
        if reference in self._leaves:
            return None, self._leaves[reference]
        source = inline if inline is not None else self._template(reference.owner, reference.name)
        if source is None:
            return None, None
        if source.get("dag") is not None or source.get("steps") is not None:
            return source, None
        return source, self._leaf(reference, source)

    def _template(self, owner: Owner, name: str) -> Source | None:
        if owner != THE_WORKFLOW:
            return self._library.template(owner, self._namespace, name)
        if name in self._own or self._owner is None:
            return self._own.get(name)
        return self._library.template(self._owner, self._namespace, name)

    def _leaf(self, reference: Reference, source: Source) -> Leaf:
        name = str(reference).replace("/", "-")
        ours = self._library.names(self._namespace).new(f"{self._base}-{name}")
        made = leaf(source, ours, self._workflow_names, self._pod, self._pod_metadata)
        if not made.is_approval and (locks := source.get("synchronization")) is not None:
            if self._has_locks:
                locks.lose("the Workflow has locks of its own, so its flows can have none")
            else:
                made.locks = locks_of(locks)
        self._library.made.append((source, made))
        self._leaves[reference] = made
        if made.spec is not None:
            self._templates[ours] = made.spec
        return made

    def _rest(self, *, has_entrypoint: bool) -> None:
        """Templates that no flow uses: those that run something become WorkTemplates, others never run."""
        for name, source in self._own.items():
            if source.get("dag") is None and source.get("steps") is None:
                self._find(Reference(THE_WORKFLOW, name), None)
            else:
                self._library.graphs.append((source, has_entrypoint))

    def _parameters(self) -> list[Object]:
        """The parameters of the Workflow. One whose name a template has as an input, too, gets another name."""
        inputs: set[str] = set()
        templates = [*self._own.values(), *self._library.templates()]
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
