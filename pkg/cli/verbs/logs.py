"""`logs`: of the pods of a flow, of any kind of job; and where they went, once the pods are gone."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from pkg.cli.arguments import FLOW, WORKFLOW
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.output import printable, screen
from pkg.cli.problems import FAILED, Problem
from pkg.cli.waiting import DURATION

if TYPE_CHECKING:
    from pkg.apis.flow.v1alpha1.types import Workflow
    from pkg.cli.log_printer import Printer
    from pkg.kube.pod_logs import LogOptions
    from pkg.views.log_tasks import Target
    from pkg.views.pods import PodOf
    from pkg.views.workflow_view import FlowView, WorkflowView

_MAX_GONE = 20


@click.command("logs")
@click.argument("name", type=WORKFLOW)
@click.argument("target", type=FLOW, required=False, default="", metavar="[FLOW[/INDEX]]")
@cluster_options
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, over retries and new replicas, until the end.")
@click.option("--attempt", type=click.IntRange(min=0), default=None, help="From 0. Default: the newest of each task.")
@click.option("-p", "--previous", is_flag=True, help="Of the container before its last restart.")
@click.option("-c", "--container", default="", help="Default: the pod's default container, else its first.")
@click.option("--all-containers", is_flag=True, help="Of every container.")
@click.option("--tail", type=click.IntRange(min=0), default=None, metavar="N", help="The last N lines of each.")
@click.option("--since", type=DURATION, default=None, metavar="DURATION", help="Not older than this, such as 10m.")
@click.option("--timestamps", is_flag=True, help="With the time of each line.")
@click.option(
    "--log-url-template",
    default="",
    metavar="URL",
    help="Where logs are kept, with {namespace}, {pod}, {job}, {flow}, ... Default: docs/cli.md says from where.",
)
@click.pass_context
def command(
    context: click.Context,
    connection: Connection,
    name: str,
    target: str,
    follow: bool,
    attempt: int | None,
    previous: bool,
    container: str,
    all_containers: bool,
    tail: int | None,
    since: float | None,
    timestamps: bool,
    log_url_template: str,
) -> None:
    """Print the logs of a Workflow, of a flow, or of one index of it, from pods of jobs of any kind.

    Of several pods each line begins with its task. When the pods are gone, it prints the last words that the status
    keeps, and the address of the log, if the installation gives one. The exit code is 1 if no log could be printed.
    """
    from pkg.cli.log_follow import Followers
    from pkg.cli.log_printer import Printer, others, prefixes, shown_containers
    from pkg.kube.errors import KubeError
    from pkg.kube.pod_logs import LogOptions
    from pkg.views.log_tasks import TargetError, label_of, parse_target
    from pkg.views.one_workflow import read_workflow
    from pkg.views.pods import read_pods
    from pkg.views.workflow_view import view

    client, namespace = connection.client, connection.namespace
    workflow = read_workflow(client, namespace, name)
    found = view(workflow, time.time())
    try:
        chosen = parse_target(target, found)
    except TargetError as error:
        raise Problem(str(error)) from error
    flows = {flow.name: flow for flow in found.flows}
    printer = Printer(screen())
    first = read_pods(client, workflow, chosen.flow, chosen.index, attempt)

    def options_of(one: str) -> LogOptions:
        return LogOptions(one, follow, previous, timestamps, tail, since)

    def label(one: PodOf) -> str:
        return label_of(flows[one.flow], one.index) if one.flow in flows else one.flow

    names_container = all_containers and (not first.found or bool(others(first.found)))
    prefix = prefixes(first.found, label, one_task=_is_one_task(flows, chosen), containers=names_container)

    def plan(one: PodOf) -> list[tuple[str, str, LogOptions]]:
        names = shown_containers(one, container, all_containers=all_containers)
        return [(each, prefix(one, each), options_of(each)) for each in names]

    if not container and not all_containers and (hidden := others(first.found)):
        printer.say(f"also there: container {', '.join(hidden)}; choose with -c, or --all-containers")
    read: set[tuple[str, int]] = set()
    if follow:

        def refresh() -> tuple[Sequence[PodOf], bool]:
            newest = read_workflow(client, namespace, name)
            state = view(newest, time.time())
            more = any(flow.phase.is_final is False for flow in state.flows if chosen.flow in ("", flow.name))
            pods = read_pods(client, newest, chosen.flow, chosen.index, attempt).found
            read.update((one.flow, one.index) for one in pods)
            return pods, more

        Followers(client, printer, refresh, plan).run()
        workflow = read_workflow(client, namespace, name)
        found = view(workflow, time.time())
    else:
        for one in first.found:
            for _, start, options in plan(one):
                try:
                    for text in client.pod_log(namespace, one.pod.metadata.name, options):
                        printer.line(start, text)
                    read.add((one.flow, one.index))
                except KubeError as error:
                    printer.say(printable(f"{start or one.pod.metadata.name}: {error.message}"))
    for said in first.unread:
        printer.say(printable(f"pods were not found, for jobs could not be read: {said}"))
    _say_gone(connection, workflow, found, chosen, first.found, read, attempt, log_url_template, printer)
    if not printer.printed and not read:
        context.exit(FAILED)


def _is_one_task(flows: Mapping[str, FlowView], chosen: Target) -> bool:
    return bool(chosen.flow) and (chosen.index is not None or not flows[chosen.flow].has_for)


def _say_gone(
    connection: Connection,
    workflow: Workflow,
    found: WorkflowView,
    chosen: Target,
    pods: Sequence[PodOf],
    read: Collection[tuple[str, int]],
    attempt: int | None,
    given: str,
    printer: Printer,
) -> None:
    """For each task whose log could not be read here: its last words, and where its log is."""
    from pkg.apis.flow.v1alpha1.phases import Phase
    from pkg.apis.flow.v1alpha1.types import Action
    from pkg.views.applied import objects_of
    from pkg.views.attempts import by_task, read_jobs
    from pkg.views.log_address import TemplateError, address, read_template
    from pkg.views.log_tasks import describe, gone_tasks, is_workflow, not_started

    gone = gone_tasks(found, chosen, read)
    flows = {flow.name: flow for flow in found.flows}
    there = {(one.flow, one.index) for one in pods}
    for flow in not_started(found, chosen) if chosen.flow else ():
        why = f": {flow.reason}: {flow.message}" if flow.message else ""
        printer.say(printable(f"flow {flow.name} has not run, it is {flow.phase}{why}"))
    if not gone:
        return
    applied = {(one.flow, one.index): one for one in objects_of(workflow, chosen.flow)}
    without = [task for task in gone if (task.flow, task.index) in applied.keys() - there]
    for task in without[:_MAX_GONE]:
        one = applied[task.flow, task.index]
        done = "applied" if one.action is Action.APPLY else "deleted"
        printer.say(f"{task.label} {done} {one.title}, which has no pods")
    gone = [task for task in gone if task not in without]
    if not gone:
        return
    template = read_template(connection.client, connection.namespace, given, os.environ)
    attempts = by_task(read_jobs(connection.client, workflow, flow=chosen.flow).found)
    for task in gone[:_MAX_GONE]:
        about = describe(workflow, task, attempts, attempt)
        if is_workflow(attempts.get((task.flow, task.index), ())):
            printer.say(f"{task.label} is a Workflow: kubectl workflow logs -n {about.namespace} {about.job}")
            continue
        numbers = [one.number + 1 for one in attempts.get((task.flow, task.index), ())]
        tries = max(numbers, default=flows[task.flow].tries)
        if attempt is not None and attempt >= max(tries, flows[task.flow].tries):
            printer.say(f"{task.label} has no attempt {attempt}; the newest is {max(tries - 1, 0)}")
            continue
        why = "its log cannot be read" if (task.flow, task.index) in there else "and its pods are gone"
        # Every attempt but the newest has failed.
        phase = task.phase if int(about.attempt) >= max(tries, flows[task.flow].tries) - 1 else Phase.FAILED
        printer.say(f"{task.label}, attempt {about.attempt}: {phase}, {why}")
        if task.words and attempt is None:
            printer.say(f"  last words: {printable(task.words)}")
        if template:
            try:
                printer.say(f"  its log: {address(template, about)}")
            except TemplateError as error:
                raise Problem(str(error)) from error
    if len(gone) > _MAX_GONE:
        printer.say(f"and {len(gone) - _MAX_GONE} more tasks like these")
    if not template:
        printer.say(
            "where logs are kept is not known: give --log-url-template, or have the ConfigMap kubectl-workflow made in "
            "the namespace workflow-system"
        )
