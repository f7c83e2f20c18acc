"""`workflow-controller explain-kind`: prints what the controller knows about a kind, from rules.yaml alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from rich.console import Console
from rich.table import Table

from pkg.apis.flow.v1alpha1.bare import is_bare
from pkg.apis.flow.v1alpha1.types import Completion
from pkg.apis.meta import GVR
from pkg.workloads import KindRow, reaches_pods, rules_for
from pkg.workloads.evaluator import SUSPENDED
from pkg.workloads.functions import BAD_WORDS, GOOD_WORDS, HELD_WORDS, RUNNING_WORDS
from pkg.workloads.model import Gate, Place, Predicate
from pkg.workloads.placement import VOLCANO_QUEUE_ANNOTATION

_STATES = (
    ("fail", "Failed"),
    ("ok", "Succeeded"),
    ("held", "Suspended"),
    ("ready", "Running, ready"),
    ("running", "Running"),
    ("pending", "Pending, with its reason"),
)
_GATES = {
    Gate.STRICT: "must have reached metadata.generation; absent counts as behind",
    Gate.BATCH: "where it is set, it must have reached metadata.generation",
    Gate.CONDITIONS: "of each condition, by its own observedGeneration",
    Gate.NONE: "not used",
}
_SUFFIXES = {
    "indexedJob": "an Indexed Job's index",
    "volcanoTasks": "-task-index of the longest task",
    "replicaSpecs": "-type-index of the longest replica type",
    "replicatedJobs": "-group-job-pod-abcde of the longest group",
    "jobFlow": "-flow and the tasks of its jobs",
}

_CALLS = {
    "goodPhase": f"the phase is one of {', '.join(sorted(GOOD_WORDS))}",
    "badPhase": f"the phase is one of {', '.join(sorted(BAD_WORDS))}",
    "runningPhase": f"the phase is one of {', '.join(sorted(RUNNING_WORDS))}",
    "heldPhase": f"the phase is one of {', '.join(sorted(HELD_WORDS))}",
    "doneWithoutPhase": "condition Complete, Completed or Succeeded is True, and there is no phase",
    "jobReady": "every active pod is ready, and there is one",
    "deploymentReady": "every replica is of the newest template and available",
    "statefulSetReady": "every replica is ready and of the newest revision",
    "daemonSetReady": "every node that should run a pod has an available one of the newest template",
    "jobSetReady": "ready and succeeded jobs of each group are as many as its replicas",
    "trainJobReady": "every job in status.jobsStatus is ready or succeeded",
}

_DONE = {
    Completion.TERMINAL: "when it reports its end",
    Completion.READY: "once it is ready",
    Completion.CREATED: "as soon as the API server has it",
}

Section = tuple[str, list[tuple[str, str]]]


def parse_kind(text: str) -> GVR:
    """`jobs.v1.batch`, `pods.v1`, `batch/v1/jobs` or `v1/pods`. Raises ValueError for anything else."""
    parts = text.split("/")
    if len(parts) == 1:
        found = GVR.parse(text)
    elif len(parts) == 2:
        found = GVR(version=parts[0], resource=parts[1])
    elif len(parts) == 3:
        found = GVR(group=parts[0], version=parts[1], resource=parts[2])
    else:
        found = GVR()
    if not re.fullmatch(r"[a-z][a-z0-9-]*", found.resource) or not re.fullmatch(r"v\d+[a-z0-9]*", found.version):
        raise ValueError(
            f"{text!r} names no resource: write resource.version.group, as in jobs.v1.batch or pods.v1,"
            " or group/version/resource, as in batch/v1/jobs; the resource is the plural, in lower case"
        )
    return found


def sections(gvr: GVR) -> list[Section]:
    """What the controller knows about a kind: sections of (title, lines), a line is (name, text)."""
    row = rules_for(gvr)
    found: list[Section] = [("", list(_about(gvr, row)))]
    if row.refused:
        return found
    found.append(("How its state is read (the first rule that holds)", list(_states(row))))
    found.append(("What is added to the object", list(_places(row))))
    found.append(("Its name", list(_names(row))))
    found.append(("Its pods", list(_pods(row))))
    if row.own_retry:
        title = "Its own retries within one attempt, and the value that turns them off"
        retries = [(retry.path, f"{retry.disabled} (default {retry.default})") for retry in row.own_retry]
        found.append((title, retries))
    return found


def _about(gvr: GVR, row: KindRow) -> Iterator[tuple[str, str]]:
    yield "resource", f"{gvr.resource} in {gvr.api_version}"
    if row.resource:
        yield "kind", row.kind
    else:
        yield "kind", "without a row here: read by the words and conditions that most operators use (the generic rules)"
    if row.refused:
        yield "refused", row.refused
        return
    if not row.resource:
        yield "hint", "each key of spec.statusRules in the WorkTemplate replaces the rules of that key"
        yield "refused", "if the cluster serves it cluster-scoped"
        yield "jobSpec", "becomes its .spec; for a kind whose schema has none, its keys are those of the object itself"
    elif is_bare(gvr):
        yield "jobSpec", "it has no .spec: the keys of jobSpec and patch are those of the object itself, such as data"
    if not row.resource:
        yield "done", "as soon as the API server has it, if its schema has no status, else:"
    yield "done", f"{_DONE[row.completion]} (completion: {row.completion}, unless the WorkTemplate says otherwise)"
    yield "observedGeneration", _GATES[row.gate]


def _states(row: KindRow) -> Iterator[tuple[str, str]]:
    for key, state in _STATES:
        for predicate in getattr(row.rules, key):
            yield state, describe(predicate)
        if key == "running" and row.suspend in SUSPENDED:
            yield "Suspended", f"{row.suspend} is true"
    yield "Pending", "otherwise"


def describe(predicate: Predicate) -> str:
    """A predicate as one line of text."""
    if predicate.cond is not None:
        reasons = f" for {' or '.join(predicate.reason_in)}" if predicate.reason_in else ""
        return f"condition {predicate.cond} is {predicate.is_ or 'True'}{reasons}"
    if predicate.all_ is not None:
        return " and ".join(describe(part) for part in predicate.all_)
    if predicate.cel is not None:
        return f"cel: {predicate.cel}"
    if predicate.call is not None:
        return _CALLS[predicate.call]
    if predicate.in_ is not None:
        return f"{predicate.path} is {' or '.join(map(str, predicate.in_))}"
    if predicate.gt is not None:
        return f"{predicate.path} is above {predicate.gt}"
    if predicate.exists is not None:
        return f"{predicate.path} is {'there' if predicate.exists else 'absent'}"
    return f"{predicate.path} is {predicate.eq}"


def _places(row: KindRow) -> Iterator[tuple[str, str]]:
    templates = list(row.pod_templates)
    if row.any_template:
        templates.append("every `template` below spec that has spec.containers")
    for path in templates:
        yield "labels, env", "the object itself" if path == "." else path
    for place in row.labels:
        yield "labels", _place(place, "labels")
    for place in row.env:
        yield "env", _place(place, "env")
    if not (templates or row.labels or row.env):
        yield "labels, env", "no place for them: it has no pod templates"
    if row.match_labels:
        yield "labels", row.match_labels
    for path in row.scheduler_name:
        yield "schedulerName", path
    if not row.scheduler_name:
        yield "schedulerName", "spec.schedulerName of each pod template" if templates else "no place for it"
    for path in row.queue:
        yield "queueName", path
    if not row.queue:
        yield "queueName", "label kueue.x-k8s.io/queue-name"
    for path in row.volcano_queue:
        yield "queueName", f"{path}, under schedulerName volcano"
    if templates and not row.queue:
        yield "queueName", f"annotation {VOLCANO_QUEUE_ANNOTATION} of each pod template, under schedulerName volcano"
    yield "plugins", row.plugins or "no place for them"
    for path in row.restart_policy:
        yield "restartPolicy", f"{path}: Never where it is unset"
    for path in row.ttl:
        yield "removed", f"{path}: jobRetainPolicy cleans up"
    if row.suspend:
        yield "suspend", f"{row.suspend}: never changed by the controller"


def _place(place: Place, field: str) -> str:
    return f"{place.path}.{field}" + (", made where it is missing" if place.create else "")


def _names(row: KindRow) -> Iterator[tuple[str, str]]:
    yield "max length", str(row.name.max)
    if row.name.suffix:
        yield "minus", f"the length of {_SUFFIXES[row.name.suffix]}"
    if row.name.dns1035:
        yield "form", "a DNS-1035 label: a letter first, no dots"
    elif row.name.label:
        yield "form", "a label: no dots"
    elif row.name.suffix == "indexedJob":
        yield "form", "a label if it is an Indexed Job: no dots"


def _pods(row: KindRow) -> Iterator[tuple[str, str]]:
    if reaches_pods(row):
        yield "found by", "the labels flow.workflow.sh/*"
    elif row.pods.selector:
        yield "found by", ", ".join(f"{label}={value}" for label, value in row.pods.selector.items())
    else:
        yield "found by", "nothing: its pods are not found, so probes and podIP get no address"
        return
    if row.pods.role:
        yield "role", f"label {row.pods.role}"
        yield "lead pod", ", ".join(row.pods.lead)
    for label, value in row.pods.lead_labels.items():
        yield "lead pod", f"label {label}={value}"
    for label in row.pods.index:
        yield "index", f"label {label}"


def show(gvr: GVR, console: Console) -> None:
    """Print the sections: as tables with bold titles on a terminal, else as plain lines."""
    for title, lines in sections(gvr):
        if title:
            console.print(f"\n{title}:" if not console.is_terminal else f"\n[bold]{title}[/bold]", highlight=False)
        if not console.is_terminal:
            for name, text in lines:
                console.print(f"  {name}: {text}", markup=False, highlight=False, soft_wrap=True)
            continue
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in lines:
            table.add_row(f"  {name}", _escape(text), style="red" if name == "refused" and len(lines) < 4 else None)
        console.print(table, highlight=False)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


@click.command("explain-kind")
@click.argument("gvr", metavar="GVR")
def explain_kind(gvr: str) -> None:
    """Print how a kind is read, what is put into its objects and how its pods are found.

    GVR is a resource (the plural) with its version and group: jobs.v1.batch, pods.v1, or batch/v1/jobs.
    """
    try:
        found = parse_kind(gvr)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="GVR") from error
    show(found, Console())
