"""Reads the outputs of a job that has succeeded. They are recorded with the verdict, before anything is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import cost
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import Job, WholeJob
from pkg.controllers.workflow.planner.outputs.messages import NotYet, message_of
from pkg.controllers.workflow.planner.snapshot import ObservedJob, PodMessages
from pkg.workloads.model import RuleFault
from pkg.workloads.output_paths import NoValue, find
from pkg.workloads.output_rules import OutputRule
from pkg.workloads.value_expressions import value_of

Outputs = tuple[tuple[str, str], ...]
_json: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The attempt fails: an output is missing, or too large."""

    reason: str
    message: str


def read_outputs(
    rules: tuple[OutputRule, ...],
    observed: ObservedJob,
    answer: PodMessages | None,
    attempt: int,
    *,
    room: int,
    is_gone: bool,
) -> Outputs | Unreadable | None:
    """Names and values of all outputs of a job; None while the job, or a termination message, is not fully known.

    answer: what was looked up; room: bytes that the workflow's outputs may still have; is_gone: the job is not in the
    cluster any more. No message of an Unreadable has a value in it.
    """
    found: list[tuple[str, str]] = []
    job = observed.job
    known = answer if answer is not None and answer.attempt == attempt else None
    for rule in rules:
        try:
            value = as_text(_value(rule, observed, known, is_gone=is_gone))
        except NotYet:
            return None
        except NoValue as error:
            if rule.default is None:
                text = f"job {job.metadata.name} succeeded, but its output {rule.name} is missing: {error}"
                return Unreadable(Reasons.OUTPUT_MISSING, text[:512])
            value = rule.default
        size = len(value.encode("utf-8", "replace"))
        if size > rule.limit:
            text = (
                f"output {rule.name} of job {job.metadata.name} has {size:,} bytes; at most {rule.limit:,} are allowed"
            )
            return Unreadable(Reasons.OUTPUT_TOO_LARGE, f"{text}: put it into a store, and hand out its place")
        room -= cost.output_bytes(value)
        if room < 0:
            text = f"with output {rule.name} of job {job.metadata.name} the outputs of the workflow have more than"
            text = f"{text} {cost.MAX_OUTPUT_BYTES:,} bytes together: put them into a store, and hand out their place"
            return Unreadable(Reasons.OUTPUT_TOO_LARGE, text)
        found.append((rule.name, value))
    return tuple(found)


def as_text(value: Any) -> str:
    """A value as it is recorded: text as it is, anything else as JSON, with the keys of objects in order."""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def _value(rule: OutputRule, observed: ObservedJob, answer: PodMessages | None, *, is_gone: bool) -> Any:
    """The value of one output. Raises NoValue, and NotYet."""
    if rule.message is not None:
        text = message_of(rule, observed, answer, is_gone=is_gone)
        return find(rule.path, _decoded(text)) if rule.path else text
    if rule.needs_whole and not isinstance(observed.job, WholeJob) and not is_gone:
        raise NotYet
    try:
        return (
            value_of(rule.cel, observed.job) if rule.cel is not None else find(rule.path, _document(rule, observed.job))
        )
    except RuleFault as fault:  # it was not read in full before it was gone
        raise NoValue("the job is gone, and was not read in full") from fault


def _decoded(text: str) -> Any:
    try:
        return _json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise NoValue("its termination message is no JSON, so no path leads into it") from error


def _document(rule: OutputRule, job: Job) -> dict[str, Any]:
    """The part of a job that the path of a rule begins in."""
    match rule.path[0]:
        case "status":
            return {"status": job.status}
        case "spec" if isinstance(job, WholeJob):
            return {"spec": job.document}
        case "metadata":
            return {"metadata": msgspec.json.decode(msgspec.json.encode(job.metadata))}
    return {}
