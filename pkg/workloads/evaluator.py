"""The evaluator: reads the state of a job from its status, by the rules of its kind's row.

The order of the checks is fixed: observed generation, failed, succeeded, being deleted, held, ready, running, and
Pending when nothing matched. The planner decides what a reading means for a task (retries, final states).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.types import Completion
from pkg.apis.meta import Job, RunPolicy
from pkg.workloads import paths
from pkg.workloads.model import Gate, KindRow, Predicate, RuleError, RuleFault, Rules
from pkg.workloads.placement import KUEUE_QUEUE_LABEL
from pkg.workloads.predicates import Evidence, Test, compile_getter, compile_predicate

MAX_MESSAGE = 1024
MAX_REASON = 128
MAX_PREDICATES = 256
"""Most predicates in the rules of one template, including those inside `all`."""
MAX_EXPRESSIONS = 16
"""Most CEL expressions in the rules of one template."""
RULE_FAULT = "StatusRuleFault"
"""Reason of a reading that is not final, when a rule of the template could not be evaluated on the job."""


class JobState(StrEnum):
    """What a job is doing now."""

    PENDING = "Pending"
    HELD = "Held"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Reading(msgspec.Struct, frozen=True):
    """The state of a job, as its status says it now.

    `ready` is set only with state Running; `under` applies the task's completion to it. `deleting` is set for a job
    that has a deletionTimestamp and no final state; such a job is neither ready nor held. `faulty` is set when a rule
    of the template could not be evaluated on the job; the message names the rule. `reason` has at most 128 characters,
    `message` at most 1024.
    """

    state: JobState
    reason: str = ""
    message: str = ""
    ready: bool = False
    deleting: bool = False
    faulty: bool = False

    @property
    def is_final(self) -> bool:
        """Whether the job reports that it has ended."""
        return self.state is JobState.SUCCEEDED or self.state is JobState.FAILED

    def under(self, completion: Completion) -> JobState:
        """The state under a completion: with Ready, a ready job counts as Succeeded."""
        if self.ready and completion is Completion.READY and self.state is JobState.RUNNING:
            return JobState.SUCCEEDED
        return self.state


Reader = Callable[[Job], Reading]
Describe = Callable[[Job, Evidence], tuple[str, str]]

_PENDING = Reading(JobState.PENDING)
_RUNNING = Reading(JobState.RUNNING)
_RUNNING_READY = Reading(JobState.RUNNING, ready=True)
_BEHIND = Reading(JobState.PENDING, "StatusOutdated", "status.observedGeneration is behind metadata.generation")


def read(row: KindRow, job: Job) -> Reading:
    """Read the job's state by the rules of its row. Never raises, whatever the status holds."""
    return reader(row)(job)


@lru_cache(maxsize=4096)
def reader(row: KindRow) -> Reader:
    """Compile the rules of a row; cached per row object. Raises RuleError for rules that cannot be used."""
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
            # The job's controller reports this late, or never for a job that it has not started.
            found = Reading(JobState.HELD, "Suspended", f"queue {job.metadata.labels[KUEUE_QUEUE_LABEL]} holds the job")
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
    """The evidence of the first test that holds, or None. A test that cannot be evaluated does not hold; its text is
    added to `faults`.
    """
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
    """The row with the rules of a `WorkTemplate.spec.statusRules`: each key that has predicates replaces the row's key.

    Raises RuleError for rules that cannot be used. Predicates that name functions (`call`) are allowed in rules.yaml
    only. Keep the returned row as long as its template: the compiled rules are cached by the row's identity.
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
"""Readers of a suspend field, by the path in the row's column `suspend`."""

_GATES: dict[Gate, Callable[[Job], bool] | None] = {
    Gate.STRICT: _is_behind_strict,
    Gate.BATCH: _is_behind_batch,
    Gate.CONDITIONS: None,
    Gate.NONE: None,
}


def _describer(row: KindRow) -> Describe:
    """A function that takes reason and message from the matched condition, else the row's fields, else the evidence."""
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
