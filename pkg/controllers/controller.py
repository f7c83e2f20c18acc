"""The composition root: builds everything that one process runs, starts it in order, and stops it in order."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WORKTEMPLATES, Workflow, WorkTemplate
from pkg.apis.meta import Job
from pkg.controllers.clients import WRITE_THREADS, make_clients, make_leadership
from pkg.controllers.cronworkflow.controller import CronController, Surroundings
from pkg.controllers.cronworkflow.runs import CRON_INDEX, cron_uids
from pkg.controllers.engine.access_cache import AccessCache, AccessTiming, Authorize
from pkg.controllers.engine.access_reviews import AccessReviews
from pkg.controllers.engine.garbage import GarbagePolicy
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.reflector_options import ByOwner, EventHandlers
from pkg.controllers.engine.shards import ShardedQueue
from pkg.controllers.engine.watchdog import Watchdog
from pkg.controllers.engine.worker import Relief, Worker
from pkg.controllers.event_handlers import Handlers, Parts
from pkg.controllers.health_checks import HealthChecks
from pkg.controllers.housekeeping import Housekeeping
from pkg.controllers.options import Options
from pkg.controllers.term import Term
from pkg.controllers.term_handlers import TermHandlers
from pkg.controllers.workflow.census import census
from pkg.controllers.workflow.crds import crd_informer
from pkg.controllers.workflow.executor import Executor
from pkg.controllers.workflow.failures import FailureFinder
from pkg.controllers.workflow.first_jobs import first_jobs
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.locks.keeper import LockKeeper
from pkg.controllers.workflow.messages import MessageFinder
from pkg.controllers.workflow.object_calls import ObjectCalls, follow_objects, may_by
from pkg.controllers.workflow.observer import Caches
from pkg.controllers.workflow.pending import PendingJob, PendingJobWarnings
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.locks.tenure import Patience
from pkg.controllers.workflow.pod_finder import Pod, PodFinder, is_pod_relevant
from pkg.controllers.workflow.prober import Prober
from pkg.controllers.workflow.reconciler import Reconciler
from pkg.controllers.workflow.rights import LOOK_SECONDS, NOT_ENFORCED, Rights
from pkg.controllers.workflow.room import Room
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.controllers.workflow.sharing import with_shared_parts
from pkg.controllers.workflow.write_pool import WritePool
from pkg.controllers.workflow.writer import reference
from pkg.controllers.worktemplate.reconciler import TEMPLATE_INDEX, UsageReconciler, templates_of
from pkg.kinds.kinds import Kinds
from pkg.kube.access import is_allowed
from pkg.kube.config import ClientConfig
from pkg.kube.discovery import CRDS, Discovery
from pkg.kube.event_recorder import EventRecorder
from pkg.telemetry.health import TelemetryServer
from pkg.telemetry.metrics import Metrics

_log = structlog.get_logger("controller")
# Calls in flight at the end may take this long, then they are cut.
DRAIN_SECONDS = 1.5
# The whole stop. What the calls in flight leave of it is for the release of the Lease, and this much at least.
STOP_SECONDS = 2.0
RELEASE_SECONDS = 0.3
# A reconcile takes 100 ms at most by design, but for slow answers of the API server: ten times as long is logged.
WATCHDOG_SECONDS = 1.0


class Controller:
    """Everything one process runs. Nothing runs before `start`."""

    def __init__(self, options: Options, config: ClientConfig, wall_clock: Callable[[], float] = time.time) -> None:
        """wall_clock: what time it is for schedules, in seconds since the epoch."""
        self._options = options
        self._wall_clock = wall_clock
        self._metrics = Metrics().with_process()
        self._reflector_metrics = self._metrics.reflectors()
        self._clients = make_clients(options, config, self._metrics)
        self._term = Term(
            self._clients.main,
            options.namespace or None,
            functools.partial(make_leadership, options, config, self._metrics),
        )
        self._clients.guard(self._term.is_leader)
        self._queue = ShardedQueue(options.workers, metrics=lambda number: self._metrics.queue(str(number)))
        self._usage_queue = ShardedQueue(1)
        self._handlers = Handlers(self._queue, self._usage_queue)
        self._stopping = threading.Event()
        self._pool = WritePool(WRITE_THREADS)
        self._access: AccessReviews | None = None
        self._recorder = EventRecorder(
            self._clients.events,
            "workflow-controller",
            options.lease.identity,
            on_emitted=self._metrics.events_emitted.inc,
            on_dropped=self._metrics.events_dropped.inc,
        )
        self._build_caches()
        self._build_reconcilers()
        self._build_telemetry()

    def _build_caches(self) -> None:
        client, handlers = self._clients.main, self._handlers
        namespace, metrics = self._options.namespace or None, self._reflector_metrics
        self._ledger = Ledger(self._metrics.workflow_foreign_jobs.inc)
        self._rule_book = RuleBook()
        discovery = Discovery(client)
        self._kinds = Kinds(discovery, handlers.kind_changed, handlers.kind_coming)
        self._crds = crd_informer(client, self._kinds.crd_changed, metrics)
        self._workflows = InformerSet(
            client,
            namespace,
            Workflow,
            EventHandlers(handlers.workflows_changed),
            indexers={TEMPLATE_INDEX: templates_of, CRON_INDEX: cron_uids},
            share=with_shared_parts,
            metrics=metrics,
        )
        self._templates = InformerSet(
            client, namespace, WorkTemplate, EventHandlers(handlers.templates_changed), metrics=metrics
        )
        self._jobs = InformerSet(
            client,
            namespace,
            Job,
            EventHandlers(
                handlers.jobs_changed,
                on_owners=handlers.jobs_known,
                on_synced=handlers.requeue_users,
                on_gone=handlers.kind_gone,
                on_trouble=handlers.requeue_users,
                is_absent=discovery.is_gone,
            ),
            label_selector=labels.WORKFLOW_UID,
            by_owner=ByOwner(labels.WORKFLOW_UID, functools.partial(first_jobs, self._workflows)),
            metrics=metrics,
        )
        self._pod_finder = PodFinder(
            lambda selector, indexers, on_deltas: InformerSet(
                client,
                namespace,
                Pod,
                EventHandlers(
                    lambda gvr, deltas: on_deltas(gvr, [delta for delta in deltas if is_pod_relevant(delta)])
                ),
                label_selector=selector,
                indexers=indexers,
                metrics=metrics,
            ),
            self._ledger.job,
            handlers.pods_changed,
        )

        self._objects = follow_objects(
            client, namespace, self._ledger, self._queue.add, handlers.requeue_users, metrics
        )

    def _build_reconcilers(self) -> None:
        handlers, owns = self._handlers, self._term.owns
        workflows, templates = self._workflows.prepare(WORKFLOWS), self._templates.prepare(WORKTEMPLATES)
        self._crons = CronController(
            Surroundings(
                client=self._clients.main,
                namespace=self._options.namespace or None,
                workflows=workflows,
                recorder=self._recorder,
                numbers=self._metrics.crons,
                reflectors=self._reflector_metrics,
                queues=lambda number: self._metrics.queue(f"cron-{number}"),
                has_jobs=lambda run: self._reconciler.may_have_deleting_jobs(run),  # noqa: PLW0108  it is built later
                announce=lambda delta: handlers.workflows_changed(WORKFLOWS, (delta,)),
                owns=owns,
                clock=self._wall_clock,
            )
        )
        count_probe = self._metrics.count_probe
        self._prober = Prober(self._addresses, self._queue.add, count_probe, pod_name=self._pod_finder.pod_name)
        # No reconcile waits for these answers, so they must not delay calls that a reconcile waits for.
        self._pending_jobs = PendingJobWarnings(
            self._clients.events,
            handlers.job_warned,
            pods_of=lambda job: self._pod_finder.selector(job.workflow, job.task, job.attempt, job.gvr),
            status_of=self._status_of,
        )
        room = Room(self._queue.add)
        self._rights = self._build_rights()
        self._failures = FailureFinder(
            self._clients.events, self._ledger.job, self._pod_finder.selector, handlers.job_warned
        )
        self._messages = MessageFinder(
            self._clients.events, self._ledger.job, self._pod_finder.selector, handlers.job_warned
        )
        client, namespace = self._clients.main, self._options.namespace or None
        patience = Patience.of(is_elected=self._options.leader_elect)
        self._locks = LockKeeper(
            client, namespace, self._pool, self._metrics, owns=owns, requeue=self._queue.add, patience=patience
        )
        self._reconciler = Reconciler(
            Caches(
                workflows=workflows,
                templates=templates,
                jobs=self._jobs,
                pod_finder=self._pod_finder,
                ledger=self._ledger,
                kinds=self._kinds,
                rule_book=self._rule_book,
                objects=self._objects,
                status_written=lambda delta: self._crons.workflows_changed((delta,)),
            ),
            Executor(
                self._clients.main,
                self._pool,
                owns,
                self._metrics,
                room,
                objects=ObjectCalls(self._clients.main, self._objects, may_by(self._rights, workflows.get)),
                may_delete=self._crons.may_delete,
                holds_locks=self._locks.may_create,
            ),
            self._prober,
            self._recorder,
            self._metrics,
            owns=owns,
            unpark=self._queue.unpark,
            is_resumed=self._queue.is_resumed,
            room=room,
            backlog=self._queue.backlog,
            is_idle=self._queue.is_idle,
            warnings=self._pending_jobs.of,
            failures=self._failures,
            messages=self._messages,
            rights=self._rights,
            locks=self._locks,
        )
        usage = UsageReconciler(self._clients.main, workflows, templates, owns)
        self._workers = [Worker(queue, self._reconciler.reconcile) for queue in self._queue.queues]
        self._workers += [Worker(queue, usage.reconcile, subject="template") for queue in self._usage_queue.queues]
        self._workers += self._crons.workers
        handlers.connect(
            Parts(
                workflows=workflows,
                templates=templates,
                jobs=self._jobs,
                kinds=self._kinds,
                ledger=self._ledger,
                rule_book=self._rule_book,
                prober=self._prober,
                reconciler=self._reconciler,
                crons=self._crons,
            )
        )

    def _build_rights(self) -> Rights | None:
        """Who may create what; None if nobody is to be asked."""
        options, client, recorder = self._options, self._clients.access, self._recorder
        if options.authorize is not Authorize.ENFORCE:
            _log.warning(NOT_ENFORCED, authorize=options.authorize.value)
        if options.authorize is Authorize.OFF:
            return None
        timing = AccessTiming(allowed=options.authorize_allowed_seconds, denied=options.authorize_denied_seconds)
        self._access = AccessReviews(
            lambda question: is_allowed(client, question),
            cache=AccessCache(timing),
            on_asked=lambda result: self._metrics.workflow_access_reviews.labels(result).inc(),
        )

        def say(workflow: Workflow, message: str) -> None:
            recorder.emit(reference(workflow), "Warning", Reasons.NOT_ALLOWED, message)

        look_seconds = min(LOOK_SECONDS, timing.allowed / 50)  # tests have answers that count for a moment
        return Rights(options.authorize, self._access, self._queue.add, say, look_seconds=look_seconds)

    def _status_of(self, job: PendingJob) -> Mapping[str, Any] | None:
        found = self._ledger.job(job.workflow, job.task, job.attempt)
        return found.status if found is not None else None

    def _build_telemetry(self) -> None:
        self._metrics.follow_workflows(lambda: census(self._workflows.ensure(WORKFLOWS).values()))
        self._metrics.follow_renewals(self._options.lease.name, self._term.renewal_age)
        informers = (
            self._crds,
            self._workflows,
            self._templates,
            self._jobs,
            self._objects.informers,
            self._locks.informers,
            self._pod_finder,
            self._crons.informers,
        )
        workers = [worker.activity for worker in self._workers]
        self._health = HealthChecks(
            informers,
            threads={
                "prober": [self._prober.thread],
                "events": [self._recorder.thread],
                "failures": self._failures.threads,
                "messages": self._messages.threads,
                "locks": [self._locks.thread],
                "objects": self._objects.threads,
                "access": self._access.threads if self._access is not None else [],
                "cron": self._crons.threads,
            },
            activities={
                "workers": workers,
                "discovery": [self._kinds.activity],
                "elector": self._term.activities,
            },
        )
        self._housekeeping = Housekeeping(
            informers,
            jobs=self._jobs,
            templates=self._templates.prepare(WORKTEMPLATES),
            kinds=self._kinds,
            ledger=self._ledger,
            is_leader=self._term.is_leader,
            users_of=self._reconciler.users_of,
            requeue_users=self._handlers.requeue_users,
            forget_series=self._reflector_metrics.forget,
            release_objects=self._objects.release_kinds,
        )
        self._watchdog = Watchdog(workers, WATCHDOG_SECONDS)
        self._relief = Relief(self._workers)
        self._telemetry = TelemetryServer(self._metrics.registry, self._health.healthz(), self._health.readyz())

    def start(self) -> None:
        """Starts everything; BindError if an address cannot be had."""
        options = self._options
        self._telemetry.start(options.metrics_bind_address, options.health_bind_address)
        self._recorder.start()
        self._prober.start()
        self._kinds.start()
        self._workflows.ensure(WORKFLOWS)
        self._templates.ensure(WORKTEMPLATES)
        self._crds.ensure(CRDS)
        self._pending_jobs.start(self._reconciler.pending)
        for part in (self._failures, self._messages, self._objects, self._crons, self._locks):
            part.start()
        if self._access is not None and self._rights is not None:
            self._access.start(self._rights.answered)
        threading.Thread(target=self._begin, name="start", daemon=True).start()
        threading.Thread(
            target=self._housekeeping.run, args=(self._stopping,), name="housekeeping", daemon=True
        ).start()

    def served_at(self) -> dict[str, str]:
        """The URLs of metrics and health, as fields of a log line; without those that are served nowhere."""
        paths = {"metrics": "/metrics", "health": "/readyz"}
        return {name: url for name, path in paths.items() if (url := self._telemetry.url(path))}

    def _begin(self) -> None:
        """Workers and campaign start once the caches are complete: an empty cache must not look like an empty
        cluster.
        """
        while not (self._workflows.wait_synced(WORKFLOWS, 1.0) and self._templates.wait_synced(WORKTEMPLATES, 1.0)):
            if self._stopping.is_set():
                return
        _log.info("caches complete", workflows=len(self._workflows.ensure(WORKFLOWS)))
        GarbagePolicy().install()
        for worker in self._workers:
            worker.start()
        self._health.has_started = True
        self._watchdog.start()
        self._relief.start()
        self._term.start(TermHandlers(self._reconciler, self._handlers, self._crons))

    def stop(self) -> None:
        """Calls in flight finish, none is started. The Lease is released after the last write, so that a spare goes on
        while what only reads is still being stopped.
        """
        deadline = time.monotonic() + STOP_SECONDS
        self._stopping.set()
        self._health.is_stopping = True
        self._watchdog.stop()
        self._relief.stop()
        self._term.stop_acting()
        for worker in self._workers:
            worker.stop()
        self._clients.main.drain(DRAIN_SECONDS)
        self._recorder.stop(0.1)
        self._term.stop(timeout=max(RELEASE_SECONDS, deadline - time.monotonic()))
        lookups = (self._pending_jobs, self._failures, self._messages, self._objects)
        for part in (self._prober, self._kinds, *lookups, self._crons, self._locks):
            part.stop()
        if self._access is not None:
            self._access.stop()
        for informers in (self._crds, self._workflows, self._templates, self._jobs, self._pod_finder):
            informers.stop()
        self._pool.stop()
        self._telemetry.stop()

    def _addresses(self, workflow: WorkflowId, request: ProbeRequest) -> tuple[str, ...]:
        asked, attempt = request.asked, request.attempt
        return self._pod_finder.addresses(workflow, asked, attempt, request.gvr, role=request.role, choice=request.pods)
