"""One evaluator for every kind: reads what a job's status says, by the rules of its row.

The order is the contract: generation gate, failure, success, deletion, held, ready / running, and Pending when nothing
matched. What a reading means for a task (retries, stickiness, a service that was ready once) is for the reconcilers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from pkg.apis.meta import Job, RunPolicy
from pkg.workloads import paths
from pkg.workloads.model import Completion, Gate, KindRow, Predicate, RuleError, RuleFault, Rules
from pkg.workloads.placement import KUEUE_QUEUE_LABEL
from pkg.workloads.predicates import Evidence, Test, compile_getter, compile_predicate

MAX_MESSAGE = 1024
MAX_REASON = 128
MAX_PREDICATES = 256
"""In the rules of one template, those inside of `all` included."""
MAX_EXPRESSIONS = 16
"""Of these, CEL expressions."""
RULE_FAULT = "StatusRuleFault"
"""Reason of a reading that is not final and that a rule of the template could not be evaluated for."""


class JobState(StrEnum):
    """What a job is doing now."""

    PENDING = "Pending"
    HELD = "Held"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Reading(msgspec.Struct, frozen=True):
    """What one look at a job says.

    `ready` goes with Running only: whether that is enough is for the task's completion to say, see `under`. `deleting`
    marks a job with a deletionTimestamp and no final state; it is neither ready nor held. `faulty` marks one that a
    rule of the template could not be evaluated for; the message says which. Reason has at most 128 characters, message
    1024.
    """

    state: JobState
    reason: str = ""
    message: str = ""
    ready: bool = False
    deleting: bool = False
    faulty: bool = False

    @property
    def is_final(self) -> bool:
        """The job itself reports its end."""
        return self.state is JobState.SUCCEEDED or self.state is JobState.FAILED

    def under(self, completion: str) -> JobState:
        """The state as the given completion counts it: under Ready, a ready job has Succeeded."""
        if self.ready and completion == Completion.READY and self.state is JobState.RUNNING:
            return JobState.SUCCEEDED
        return self.state


Reader = Callable[[Job], Reading]
Describe = Callable[[Job, Evidence], tuple[str, str]]

_PENDING = Reading(JobState.PENDING)
_RUNNING = Reading(JobState.RUNNING)
_RUNNING_READY = Reading(JobState.RUNNING, ready=True)
_BEHIND = Reading(JobState.PENDING, "StatusOutdated", "its controller has not yet taken in the newest spec")


def read(row: KindRow, job: Job) -> Reading:
    """What the job's status says, by the rules of its kind. Never raises, whatever the status holds."""
    return reader(row)(job)


@lru_cache(maxsize=4096)
def reader(row: KindRow) -> Reader:
    """The compiled form of a row's rules, kept per row object. Raises RuleError for rules that cannot be used."""
    rules = row.rules
    has_fresh = row.gate is Gate.CONDITIONS
    fail = _compile(row, rules, "fail")
    succeed = _compile(row, rules, "ok")
    held = _compile(row, rules, "held", fresh_only=has_fresh)
    ready = _compile(row, rules, "ready", fresh_only=has_fresh)
    running = _compile(row, rules, "running", fresh_only=has_fresh)
    pending = _compile(row, rules, "pending", fresh_only=has_fresh)
    describe = _describer(row)
    is_behind = _GATES[row.gate]
    is_suspended = SUSPENDED.get(row.suspend)

    def look(job: Job) -> Reading:
        if is_behind is not None and is_behind(job):
            return _BEHIND
        faults: list[str] = []
        if (evidence := _first(fail, job, faults)) is not None:
            return Reading(JobState.FAILED, *describe(job, evidence))
        if (evidence := _first(succeed, job, faults)) is not None:
            return Reading(JobState.SUCCEEDED, *describe(job, evidence))
        if job.metadata.deletion_timestamp is not None:
            has_run = _first((*ready, *running), job, faults) is not None
            state = JobState.RUNNING if has_run else JobState.PENDING
            return Reading(state, "Deleting", "the job is being deleted", deleting=True)
        if (evidence := _first(held, job, faults)) is not None:
            found = Reading(JobState.HELD, *describe(job, evidence))
        elif _first(ready, job, faults) is not None:
            found = _RUNNING_READY
        elif _first(running, job, faults) is not None:
            found = _RUNNING
        elif is_suspended is not None and is_suspended(job) and KUEUE_QUEUE_LABEL in job.metadata.labels:
            # Its own controller may say so later, or say nothing of a job that it has not begun with.
            found = Reading(JobState.HELD, "Suspended", f"queue {job.metadata.labels[KUEUE_QUEUE_LABEL]} holds it")
        elif (evidence := _first(pending, job, faults)) is not None:
            found = Reading(JobState.PENDING, *describe(job, evidence))
        else:
            found = _PENDING
        if not faults:
            return found
        return msgspec.structs.replace(
            found, reason=RULE_FAULT, message=_bounded("; ".join(faults), MAX_MESSAGE), faulty=True
        )

    return look


def _first(tests: tuple[Test, ...], job: Job, faults: list[str]) -> Evidence:
    """What the first test that holds has seen; one that cannot be evaluated does not hold, and is noted."""
    for test in tests:
        try:
            evidence = test(job)
        except RuleFault as fault:
            if text := str(fault):
                faults.append(text)
            continue
        if evidence is not None:
            return evidence
    return None


def with_rules(row: KindRow, rules: Rules, *, where: str = "spec.statusRules") -> KindRow:
    """A row with the rules of a `WorkTemplate.spec.statusRules` laid over its own: each key that has predicates takes
    the place of the row's. Checked, so RuleError comes from here.

    Keep the returned row as long as its template: its compiled form is kept by identity. Predicates that name functions
    (`call`) are for rules.yaml alone and are refused.
    """
    own = {key: getattr(rules, key) for key in rules.__struct_fields__ if getattr(rules, key)}
    everything = [part for predicates in own.values() for predicate in predicates for part in _parts(predicate)]
    expressions = sum(part.cel is not None for part in everything)
    if len(everything) > MAX_PREDICATES or expressions > MAX_EXPRESSIONS:
        raise RuleError(
            f"{where}: {len(everything)} predicates, {expressions} of them cel; there may be {MAX_PREDICATES}, and"
            f" {MAX_EXPRESSIONS} of cel"
        )
    for key, predicates in own.items():
        for number, predicate in enumerate(predicates):
            _refuse_calls(predicate, f"{where}.{key}[{number}]")
    made = msgspec.structs.replace(row, rules=msgspec.structs.replace(row.rules, **own), rules_from=where)
    reader(made)
    return made


def _parts(predicate: Predicate) -> Iterator[Predicate]:
    yield predicate
    for part in predicate.all_ or ():
        yield from _parts(part)


def _refuse_calls(predicate: Predicate, where: str) -> None:
    if predicate.call is not None:
        raise RuleError(f"{where}: call is not available here; use cond, path, all or cel")
    for number, part in enumerate(predicate.all_ or ()):
        _refuse_calls(part, f"{where}.all[{number}]")


def _compile(row: KindRow, rules: Rules, key: str, *, fresh_only: bool = False) -> tuple[Test, ...]:
    where = row.rules_from or f"{row.kind}: rules"
    return tuple(
        compile_predicate(predicate, where=f"{where}.{key}[{number}]", fresh_only=fresh_only)
        for number, predicate in enumerate(getattr(rules, key))
    )


def _is_behind_strict(job: Job) -> bool:
    observed = job.status.get("observedGeneration")
    return not isinstance(observed, int) or observed < job.metadata.generation


def _is_behind_batch(job: Job) -> bool:
    observed = job.status.get("observedGeneration")
    return isinstance(observed, int) and observed < job.metadata.generation


def _is_run_suspended(job: Job) -> bool:
    policy = job.spec.run_policy
    return isinstance(policy, RunPolicy) and policy.suspend is True


SUSPENDED: dict[str, Callable[[Job], bool]] = {
    "spec.suspend": lambda job: job.spec.suspend is True,
    "spec.runPolicy.suspend": _is_run_suspended,
}
"""How `suspend` is read, by the field that a row names."""

_GATES: dict[Gate, Callable[[Job], bool] | None] = {
    Gate.STRICT: _is_behind_strict,
    Gate.BATCH: _is_behind_batch,
    Gate.CONDITIONS: None,
    Gate.NONE: None,
}


def _describer(row: KindRow) -> Describe:
    """Where reason and message come from: the matched condition, else the row's fields, else the matched word."""
    try:
        reasons = [compile_getter(path) for path in row.reason]
        messages = [compile_getter(path) for path in row.message]
    except paths.PathError as error:
        raise RuleError(f"{row.kind}: reason or message: {error}") from error

    def first(getters: list[Callable[[Job], list[Any]]], job: Job) -> str:
        for getter in getters:
            for value in getter(job):
                if isinstance(value, str) and value:
                    return value
        return ""

    def describe(job: Job, evidence: Evidence) -> tuple[str, str]:
        if isinstance(evidence, dict):
            reason, message = evidence.get("reason"), evidence.get("message")
            kind = evidence.get("type")
            reason = reason if isinstance(reason, str) and reason else kind if isinstance(kind, str) else ""
            message = message if isinstance(message, str) else ""
        else:
            reason = first(reasons, job) or (evidence if isinstance(evidence, str) else "")
            message = first(messages, job)
        return _bounded(reason, MAX_REASON), _bounded(message, MAX_MESSAGE)

    return describe


def _bounded(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
