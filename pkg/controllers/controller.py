"""What one process runs, wired: clients, informers, queues, workers, the elector, and what wakes whom.

Nothing is decided here; every callback of an informer comes to keys in a queue.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WORKTEMPLATES, Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job, PartialObject, WholeJob
from pkg.controllers.engine.elector import AlwaysLeader, Elector, Leadership
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.controllers.engine.shards import ShardedQueue
from pkg.controllers.engine.store import Delta
from pkg.controllers.engine.worker import Worker
from pkg.controllers.options import Options
from pkg.controllers.workflow.crds import CRDS, crd_informer
from pkg.controllers.workflow.executor import Executor
from pkg.controllers.workflow.kinds import Kinds
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.observer import Caches
from pkg.controllers.workflow.pending import PendingJobWarnings
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.pod_finder import ChangedPods, Pod, PodFinder
from pkg.controllers.workflow.prober import Prober
from pkg.controllers.workflow.reconciler import Reconciler
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.controllers.worktemplate import reconciler
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.kube.discovery import Discovery
from pkg.kube.errors import KubeError, Stopped
from pkg.kube.event_recorder import EventRecorder
from pkg.telemetry.health import Checks, TelemetryServer
from pkg.telemetry.metrics import Metrics
from pkg.version import VERSION

_log = structlog.get_logger("controller")
# In flight at the end: this long, then they are cut. With what follows it stays under two seconds.
DRAIN_SECONDS = 1.5
CREATE_THREADS = 16


def _is_same_spec(old: Workflow, new: Workflow) -> bool:
    return old.metadata.uid == new.metadata.uid and old.metadata.generation == new.metadata.generation


class Controller:
    """Everything one process runs, from start to stop."""

    def __init__(self, options: Options, config: ClientConfig) -> None:
        self._options = options
        self.metrics = Metrics().with_process()
        agent = f"workflow-controller/{VERSION}"
        namespace = options.namespace or None
        self._client = Client(
            config,
            user_agent=agent,
            pool_size=options.workers + CREATE_THREADS + 8,
            qps=options.kube_api_qps,
            burst=options.kube_api_burst,
        )
        self._client.add_observer(self.metrics.on_request)
        # Events must neither wait for writes nor hold them up.
        self._event_client = Client(config, user_agent=f"{agent} (events)", pool_size=2, timeout=5.0)
        self._namespace = namespace
        self.queue = ShardedQueue(options.workers, metrics=lambda number: self.metrics.queue(str(number)))
        # Before any informer: their callbacks add to both queues from the first event on.
        self._usage_queue = ShardedQueue(1)
        self._ledger = Ledger()
        discovery = Discovery(self._client)
        self._kinds = Kinds(discovery, self._kind_changed, self._kind_coming)
        self._rule_book = RuleBook()
        reflectors = self.metrics.reflectors()
        self._crds = crd_informer(self._client, self._kinds.crd_changed, reflectors)
        self._workflows = InformerSet(
            self._client,
            namespace,
            Workflow,
            EventHandlers(self._workflows_changed),
            indexers={reconciler.TEMPLATE_INDEX: reconciler.templates_of},
            metrics=reflectors,
        )
        self._templates = InformerSet(
            self._client, namespace, WorkTemplate, EventHandlers(self._templates_changed), metrics=reflectors
        )
        self._jobs = InformerSet(
            self._client,
            namespace,
            Job,
            EventHandlers(
                self._jobs_changed, on_synced=self._wake_users, on_gone=self._kind_gone, on_trouble=self._wake_users
            ),
            label_selector=labels.WORKFLOW_UID,
            metrics=reflectors,
        )
        self._pod_finder = PodFinder(
            lambda selector, indexers, on_deltas: InformerSet(
                self._client,
                namespace,
                Pod,
                EventHandlers(on_deltas),
                label_selector=selector,
                indexers=indexers,
                metrics=reflectors,
            ),
            self._ledger.job,
            self._pods_changed,
        )
        self._recorder = EventRecorder(
            self._event_client,
            "workflow-controller",
            options.lease.identity,
            on_emitted=self.metrics.events_emitted.inc,
            on_dropped=self.metrics.events_dropped.inc,
        )
        self._prober = Prober(self._addresses, self.queue.add, self._count_probe)
        self._leadership = self._make_leadership(config, agent)
        for client in (self._client, self._event_client):
            client.guard(self._leadership.is_leader)
        self._may_act = threading.Event()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(CREATE_THREADS, thread_name_prefix="write")
        # Nobody waits for these answers, and they must not hold up what is waited for.
        self._pending_jobs = PendingJobWarnings(
            self._event_client,
            self._on_job_warning,
            pods_of=lambda job: self._pod_finder.selector(job.workflow_uid, job.task, job.attempt, job.gvr),
        )
        self._reconciler = Reconciler(
            Caches(
                workflows=self._workflows.ensure(WORKFLOWS),
                templates=self._templates.ensure(WORKTEMPLATES),
                jobs=self._jobs,
                pod_finder=self._pod_finder,
                ledger=self._ledger,
                kinds=self._kinds,
                rule_book=self._rule_book,
            ),
            Executor(self._client, self._pool, self.owns, self.metrics),
            self._prober,
            self._recorder,
            self.metrics,
            owns=self.owns,
            backlog=lambda: len(self.queue),
            warnings=self._pending_jobs.of,
        )
        users = reconciler.UsageReconciler(
            self._client, self._workflows.ensure(WORKFLOWS), self._templates.ensure(WORKTEMPLATES), self.owns
        )
        self._workers = [Worker(queue, self._reconciler.reconcile) for queue in self.queue.queues]
        self._workers += [Worker(queue, users.reconcile, subject="template") for queue in self._usage_queue.queues]
        for number, queue in enumerate(self.queue.queues):
            self.metrics.queue(str(number)).follow(queue.unfinished_seconds)
        self.metrics.follow_workflows(self._count_phases)
        self._started = False
        self._telemetry = TelemetryServer(
            self.metrics.registry,
            Checks({"informers": self._check_informers, "workers": self._check_workers}),
            Checks({"caches": self._check_synced}),
        )

    def owns(self, key: str) -> bool:
        """Whether this process may act on a workflow now. Today the one Lease answers, for every key alike."""
        return self._may_act.is_set() and self._leadership.is_leader()

    def start(self) -> None:
        """Starts everything; BindError if an address cannot be had."""
        options = self._options
        self._telemetry.start(options.metrics_bind_address, options.health_bind_address)
        self._recorder.start()
        self._prober.start()
        self._kinds.start()
        self._crds.ensure(CRDS)
        self._pending_jobs.start(self._reconciler.pending)
        threading.Thread(target=self._begin, name="start", daemon=True).start()

    def _begin(self) -> None:
        """Workers and campaign start once the caches are complete: an empty cache must not look like an empty
        cluster.
        """
        while not (self._workflows.wait_synced(WORKFLOWS, 1.0) and self._templates.wait_synced(WORKTEMPLATES, 1.0)):
            if self._stopping.is_set():
                return
        _log.info("caches complete", workflows=len(self._workflows.ensure(WORKFLOWS)))
        # The startup garbage is gone for good; what follows is mostly long-lived.
        gc.collect()
        gc.freeze()
        for worker in self._workers:
            worker.start()
        self._started = True
        self._leadership.start()

    def stop(self) -> None:
        """Calls in flight finish, none is started, the Lease is released last."""
        self._stopping.set()
        self._may_act.clear()
        for worker in self._workers:
            worker.stop()
        self._client.drain(DRAIN_SECONDS)
        self._prober.stop()
        self._kinds.stop()
        self._pending_jobs.stop()
        for informers in (self._crds, self._workflows, self._templates, self._jobs, self._pod_finder):
            informers.stop()
        self._recorder.stop(0.1)
        self._leadership.stop(release=True, timeout=0.3)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._telemetry.stop()

    def _make_leadership(self, config: ClientConfig, agent: str) -> Leadership:
        options = self._options
        if not options.leader_elect:
            return AlwaysLeader(self._begin_term, self._end_term, on_leading=self.metrics.on_leading)
        client = Client(
            config,
            user_agent=f"{agent} (leader-election)",
            pool_size=1,
            timeout=max(
                0.5, min(options.lease.renew_deadline / 2, options.lease.renew_deadline - options.lease.retry_period)
            ),
        )
        return Elector(client, options.lease, self._begin_term, self._end_term, on_leading=self.metrics.on_leading)

    def _begin_term(self) -> None:
        """This process leads: nothing is done on a key before its cached copy is as new as it is now in the cluster."""
        fences: dict[str, int] | None = None
        while fences is None and self._leadership.is_leader() and not self._stopping.is_set():
            try:
                fences = self._list_versions()
            except Stopped:
                return
            except KubeError as error:
                _log.warning("workflows cannot be listed, it is tried again", error=str(error))
                time.sleep(0.2)
        if fences is None:
            return
        self._reconciler.begin_term(fences)
        self._may_act.set()
        keys = {*self._workflows.ensure(WORKFLOWS).keys(), *fences, *self._ledger.keys(), *self._reconciler.known()}
        for key in keys:
            self.queue.add(key)
        for template in self._templates.ensure(WORKTEMPLATES).values():
            self._usage_queue.add_after(template.metadata.key, reconciler.GATHER_SECONDS)
        _log.info("acting", workflows=len(keys))

    def _end_term(self) -> None:
        self._may_act.clear()
        for key in self._reconciler.known():
            self.queue.add(key)  # to be let go of

    def _list_versions(self) -> dict[str, int]:
        """resourceVersion of every Workflow, as it is now: metadata only, and no version asked for, so no cache
        answers.
        """
        found: dict[str, int] = {}
        token = ""
        while True:
            page = self._client.list_page(
                WORKFLOWS, self._namespace, PartialObject, continue_=token, metadata_only=True, limit=5000
            )
            found.update({item.metadata.key: int(item.metadata.resource_version) for item in page.items})
            token = page.continue_
            if not token:
                return found

    def _workflows_changed(self, _gvr: GVR, deltas: Sequence[Delta[Workflow]]) -> None:
        for delta in deltas:
            self.queue.add(delta.key)
            if delta.old is not None and delta.new is not None and _is_same_spec(delta.old, delta.new):
                continue
            before = reconciler.templates_of(delta.old) if delta.old is not None else set()
            after = reconciler.templates_of(delta.new) if delta.new is not None else set()
            for template in before ^ after:
                self._usage_queue.add_after(template, reconciler.GATHER_SECONDS)

    def _templates_changed(self, _gvr: GVR, deltas: Sequence[Delta[WorkTemplate]]) -> None:
        store = self._workflows.ensure(WORKFLOWS)
        for delta in deltas:
            self._usage_queue.add_after(delta.key, reconciler.GATHER_SECONDS)
            new, old = delta.new, delta.old
            if new is not None:
                rules = self._rule_book.of(new)
                if rules is not None and rules.needs_whole:
                    self._jobs.decode_as(rules.gvr, WholeJob)
                self._kinds.get(new.spec.gvr.gvr)  # its informer starts before a workflow needs it
            else:
                self._rule_book.forget(delta.key)
            is_read_anew = new is not None and (old is None or old.spec.status_rules != new.spec.status_rules)
            for workflow in store.by_index(reconciler.TEMPLATE_INDEX, delta.key):
                if is_read_anew:
                    self._ledger.mark_dirty(workflow.metadata.uid)
                self.queue.add(workflow.metadata.key)

    def _jobs_changed(self, gvr: GVR, deltas: Sequence[Delta[Job]]) -> None:
        for key in self._ledger.apply(gvr, deltas):
            self.queue.add(key)

    def _on_job_warning(self, uid: str, task: TaskKey, key: str) -> None:
        """There is an Event that says why a job is pending."""
        self._ledger.mark_task_dirty(uid, task)
        self.queue.add(key)

    def _pods_changed(self, changes: ChangedPods) -> None:
        self._prober.pods_changed(changes)
        for uid in changes:
            key = self._reconciler.key_of(uid)
            if key is not None:
                self.queue.add(key)

    def _kind_changed(self, gvr: GVR) -> None:
        kind = self._kinds.get(gvr)
        if kind is not None and not kind.refused:
            self._kind_coming(gvr)
        self._wake_users(gvr)

    def _kind_coming(self, gvr: GVR) -> None:
        self._jobs.ensure(gvr)
        self._jobs.retry_now(gvr)

    def _kind_gone(self, gvr: GVR) -> None:
        self._kinds.lose(gvr)
        self._wake_users(gvr)

    def _wake_users(self, gvr: GVR) -> None:
        for key in self._reconciler.users_of(gvr):
            self.queue.add(key)

    def _addresses(self, uid: str, request: ProbeRequest) -> tuple[str, ...]:
        namespace = (self._reconciler.key_of(uid) or "").partition("/")[0]
        asked, attempt = request.asked, request.attempt
        return self._pod_finder.addresses(
            namespace, uid, asked, attempt, request.gvr, role=request.role, choice=request.pods
        )

    def _count_phases(self) -> Counter[str]:
        return Counter(
            str(workflow.status.phase or "Pending") for workflow in self._workflows.ensure(WORKFLOWS).values()
        )

    def _count_probe(self, kind: str, result: str) -> None:
        self.metrics.workflow_probe_tries.labels(kind, result).inc()

    def _check_informers(self) -> str | None:
        dead = [
            gvr
            for informers in (self._crds, self._workflows, self._templates, self._jobs, self._pod_finder)
            for gvr in informers.dead()
        ]
        return f"informers have ended: {', '.join(map(str, dead))}" if dead else None

    def _check_workers(self) -> str | None:
        dead = sum(self._started and not self._stopping.is_set() and not worker.is_alive for worker in self._workers)
        return f"{dead} workers have ended" if dead else None

    def _check_synced(self) -> str | None:
        return None if self._started else "the caches are not complete yet"
