"""The evaluator: reads the state of a job from its status, by the rules of its kind's row.

The order of the checks is fixed: observed generation, failed, succeeded, being deleted, held, ready, running, and
Pending when nothing matched. The planner decides what a reading means for a task (retries, final states).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import msgspec

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Completion
from pkg.apis.meta import Job, RunPolicy
from pkg.apis.structs import Value
from pkg.workloads import paths
from pkg.workloads.expressions import check_together, compile_expression
from pkg.workloads.look import Look
from pkg.workloads.model import Gate, KindRow, Predicate, RuleError, RuleFault, Rules
from pkg.workloads.placement import KUEUE_QUEUE_LABEL
from pkg.workloads.predicates import Evidence, Getter, Test, compile_getter, compile_predicate, need_status
from pkg.workloads.projection import Projection
from pkg.workloads.unknown import Unknown, unknown_words

MAX_MESSAGE = 1024
"""Bytes of a reading's message."""
MAX_REASON = 128
"""Bytes of a reading's reason."""
MAX_PREDICATES = 256
"""Predicates in the rules of one template, including those inside `all`."""
MAX_DEPTH = 8
"""Levels of `all`."""
RULE_FAULT = Reasons.STATUS_RULE_FAULT
"""Reason of a reading that is not final, when a rule of the template could not be evaluated on the job."""
UNKNOWN_STATUS = Reasons.UNKNOWN_STATUS
"""Reason of a Pending reading, when the job has a status that no rule knows. The message quotes it."""


class JobState(StrEnum):
    """What a job is doing now."""

    PENDING = "Pending"
    HELD = "Held"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Reading(Value, frozen=True, gc=False):
    """The state of a job, as its status says it now.

    `ready` is set only with state Running; `under` applies the task's completion to it. `deleting` is set for a job
    that has a deletionTimestamp and no final state; such a job is neither ready nor held. `faulty` is set when a rule
    of the template could not be evaluated on the job; the message names the rule. `reason` has at most 128 bytes,
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
        """The state under a completion: with Ready a ready job counts as Succeeded, with Created every one."""
        if completion is Completion.CREATED:
            return JobState.SUCCEEDED
        if self.ready and completion is Completion.READY and self.state is JobState.RUNNING:
            return JobState.SUCCEEDED
        return self.state


Describe = Callable[[Look, Evidence], tuple[str, str]]

PLAINLY_PENDING = Reading(JobState.PENDING)
"""The reading of a job that says nothing about itself; compare with `is`."""
_RUNNING = Reading(JobState.RUNNING)
_RUNNING_READY = Reading(JobState.RUNNING, ready=True)
_DELETING = Reading(JobState.PENDING, "Deleting", "the job is being deleted", deleting=True)
_DELETING_RUNNING = Reading(JobState.RUNNING, "Deleting", "the job is being deleted", deleting=True)
_BEHIND = Reading(JobState.PENDING, "StatusOutdated", "status.observedGeneration is behind metadata.generation")


def read(row: KindRow, job: Job, *, has_status: bool = True) -> Reading:
    """Read the job's state by the rules of its row. Never raises, whatever the status holds.

    has_status: whether the kind has the status subresource; without it there is no observedGeneration gate.
    """
    found = reader(row)
    if found.reads_status_alone and found.is_behind is None and not job.status:
        return found.unread(job)
    return found.read(Look(job, has_status=has_status))


@dataclass(frozen=True, slots=True)
class Reader:
    """The compiled rules of a row."""

    fail: tuple[Test, ...]
    succeed: tuple[Test, ...]
    held: tuple[Test, ...]
    ready: tuple[Test, ...]
    running: tuple[Test, ...]
    pending: tuple[Test, ...]
    describe: Describe
    is_behind: Callable[[Look], bool] | None
    held_by: Callable[[Job], str]
    unknown: Unknown
    #: No rule holds while the status is empty, as that of a new job is.
    reads_status_alone: bool

    def read(self, look: Look) -> Reading:
        """Read the job's state, in the order of the module's docstring."""
        if self.is_behind is not None and self.is_behind(look):
            return _BEHIND
        if self.reads_status_alone and not look.job.status:
            return self.unread(look.job)
        if (evidence := _first(self.fail, look)) is not None:
            return Reading(JobState.FAILED, *self.describe(look, evidence))
        if (evidence := _first(self.succeed, look)) is not None:
            return Reading(JobState.SUCCEEDED, *self.describe(look, evidence))
        if look.job.metadata.deletion_timestamp is not None:
            has_run = _first((*self.ready, *self.running), look) is not None
            return _DELETING_RUNNING if has_run else _DELETING
        found = self._unfinished(look)
        if not look.faults:
            return found
        message = bounded("; ".join(look.faults), MAX_MESSAGE)
        return msgspec.structs.replace(found, reason=RULE_FAULT, message=message, faulty=True)

    def unread(self, job: Job) -> Reading:
        """A job whose controller has not written a status, by rules that read nothing else."""
        if job.metadata.deletion_timestamp is not None:
            return _DELETING
        message = self.held_by(job)
        return Reading(JobState.HELD, "Suspended", message) if message else PLAINLY_PENDING

    def _unfinished(self, look: Look) -> Reading:
        """Held, running or pending."""
        if (evidence := _first(self.held, look)) is not None:
            return Reading(JobState.HELD, *self.describe(look, evidence))
        if _first(self.ready, look) is not None:
            return _RUNNING_READY
        if _first(self.running, look) is not None:
            return _RUNNING
        if message := self.held_by(look.job):
            # The job's controller reports this late, or never for a job that it has not started.
            return Reading(JobState.HELD, "Suspended", message)
        if (evidence := _first(self.pending, look)) is not None:
            return Reading(JobState.PENDING, *self.describe(look, evidence))
        if words := self.unknown(look):
            return Reading(JobState.PENDING, UNKNOWN_STATUS, bounded(words, MAX_MESSAGE))
        return PLAINLY_PENDING


@lru_cache(maxsize=4096)
def reader(row: KindRow) -> Reader:
    """Compile the rules of a row; cached per row object. Raises RuleError for rules that cannot be used."""
    where = row.rules_from or f"{row.kind}: rules"
    parts = _all(row.rules, where)
    expressions = [(place, compile_expression(part.cel, where=place)) for place, part in parts if part.cel is not None]
    check_together(expressions, where)
    projection = Projection(read for _, one in expressions for read in one.estimate.reads)
    # Under this gate each condition has an observedGeneration of its own; an outdated one counts only if it is final.
    has_fresh = row.gate is Gate.CONDITIONS

    def tests(key: str, *, fresh_only: bool = has_fresh) -> tuple[Test, ...]:
        return tuple(
            compile_predicate(one, where=f"{where}.{key}[{number}]", fresh_only=fresh_only, projection=projection)
            for number, one in enumerate(getattr(row.rules, key))
        )

    return Reader(
        fail=tests("fail", fresh_only=False),
        succeed=tests("ok", fresh_only=False),
        held=tests("held"),
        ready=tests("ready"),
        running=tests("running"),
        pending=tests("pending"),
        describe=_describer(row),
        is_behind=_GATES[row.gate],
        held_by=_held_by(row),
        unknown=unknown_words(row),
        reads_status_alone=need_status(row.rules),
    )


def _first(tests: tuple[Test, ...], look: Look) -> Evidence:
    """The evidence of the first test that holds, or None. A test that cannot be evaluated does not hold; the look notes
    why.
    """
    for test in tests:
        try:
            evidence = test(look)
        except RuleFault as fault:
            look.note(str(fault))
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
    for number, (place, part) in enumerate(_all(rules, where)):
        if number >= MAX_PREDICATES:
            raise RuleError(f"{where}: more than {MAX_PREDICATES} predicates, those inside of all included")
        if part.call is not None:
            raise RuleError(f"{place}: call is not available here; use cond, path, all or cel")
    made = msgspec.structs.replace(row, rules=msgspec.structs.replace(row.rules, **own), rules_from=where)
    reader(made)
    return made


def _all(rules: Rules, where: str) -> Iterator[tuple[str, Predicate]]:
    """Every predicate with its path, those inside of `all` included. Raises RuleError if they are nested too deeply."""
    left = [
        (f"{where}.{key}[{number}]", predicate, MAX_DEPTH)
        for key in rules.__struct_fields__
        for number, predicate in enumerate(getattr(rules, key))
    ]
    while left:
        place, predicate, depth = left.pop()
        if depth == 0:
            raise RuleError(f"{place}: `all` is nested more than {MAX_DEPTH} levels deep")
        yield place, predicate
        parts = predicate.all_ or ()
        left.extend((f"{place}.all[{number}]", part, depth - 1) for number, part in enumerate(parts))


def _is_behind_strict(look: Look) -> bool:
    observed = look.job.status.get("observedGeneration")
    return look.has_status and (not isinstance(observed, int) or observed < look.job.metadata.generation)


def _is_behind_batch(look: Look) -> bool:
    observed = look.job.status.get("observedGeneration")
    return look.has_status and isinstance(observed, int) and observed < look.job.metadata.generation


def _is_run_suspended(job: Job) -> bool:
    policy = job.spec.run_policy
    return isinstance(policy, RunPolicy) and policy.suspend is True


SUSPENDED: dict[str, Callable[[Job], bool]] = {
    "spec.suspend": lambda job: job.spec.suspend is True,
    "spec.runPolicy.suspend": _is_run_suspended,
}
"""Readers of a suspend field, by the path in the row's column `suspend`."""


def is_suspend_set(job: Job) -> bool:
    """Whether the job's own suspend field is true, in any of the places where kinds have one."""
    return any(is_true(job) for is_true in SUSPENDED.values())


def _held_by(row: KindRow) -> Callable[[Job], str]:
    """What holds a job by its spec, as a message; empty if nothing does."""
    is_suspended = SUSPENDED.get(row.suspend)

    def held_by(job: Job) -> str:
        if is_suspended is None or not is_suspended(job):
            return ""
        queue = job.metadata.labels.get(KUEUE_QUEUE_LABEL)
        if queue is not None:
            return bounded(f"queue {queue} holds the job", MAX_MESSAGE)
        return f"{row.suspend} is true"

    return held_by


_GATES: dict[Gate, Callable[[Look], bool] | None] = {
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

    def first(getters: list[Getter], look: Look) -> str:
        for getter in getters:
            try:
                values = getter(look)
            except RuleFault:
                continue
            for value in values:
                if isinstance(value, str) and value:
                    return value
        return ""

    def describe(look: Look, evidence: Evidence) -> tuple[str, str]:
        if isinstance(evidence, dict):
            reason, message = evidence.get("reason"), evidence.get("message")
            kind = evidence.get("type")
            reason = reason if isinstance(reason, str) and reason else kind if isinstance(kind, str) else ""
            message = message if isinstance(message, str) else ""
        else:
            reason = first(reasons, look) or (evidence if isinstance(evidence, str) else "")
            message = first(messages, look)
        return bounded(reason, MAX_REASON), bounded(message, MAX_MESSAGE)

    return describe


def bounded(text: str, limit: int) -> str:
    """The text, cut to at most `limit` bytes in UTF-8; a text that was cut ends in an ellipsis."""
    if len(text) <= limit and text.isascii():
        return text
    data = text[: limit + 1].encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - len("…".encode())].decode("utf-8", "ignore") + "…"
