"""The status rules and the completion that a job carries in an annotation, for the time when its template is gone.

Anybody who may edit the job may edit the annotation. So it counts only if its hash is one that the controller recorded
with the flow when it rendered a job, and nothing is compiled before that is known.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import labels, raw
from pkg.apis.flow.v1alpha1.types import Completion, TemplateGVR, WorkTemplate, WorkTemplateSpec
from pkg.apis.meta import GVR, ObjectMeta
from pkg.workloads.template_rules import TemplateRules, compile_rules

_WHOLE: Final = '"whole":true}'


@dataclass(frozen=True, slots=True)
class Carried:
    """What an annotation says, compiled. completion: None for that of the kind; rules: None for those of the kind."""

    completion: Completion | None
    rules: TemplateRules | None


class _Text(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The annotation. whole: the rules read the spec of the job, so that all of it has to be cached."""

    completion: Completion | None = None
    status_rules: msgspec.Raw = raw.ABSENT
    whole: bool = False


def carried_text(spec: WorkTemplateSpec, *, needs_whole: bool) -> str:
    """The annotation for jobs of a template; empty if it has neither rules nor completion, or more than fits."""
    if spec.completion is None and not spec.has_status_rules:
        return ""
    return _encoded(bytes(spec.raw_status_rules) if spec.has_status_rules else b"", spec.completion, needs_whole)


@functools.lru_cache(maxsize=256)
def _encoded(rules: bytes, completion: Completion | None, needs_whole: bool) -> str:
    # In one order of keys, so that the same rules always have the same hash.
    plain = msgspec.json.encode(msgspec.json.decode(rules), order="deterministic") if rules else b""
    text = _Text(completion, msgspec.Raw(plain) if rules else raw.ABSENT, needs_whole)
    found = msgspec.json.encode(text).decode()
    return found if len(found) <= labels.MAX_RULES else ""


@functools.lru_cache(maxsize=1024)
def carried_hash(text: str) -> str:
    """What the status records of an annotation: 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def with_hash(known: tuple[str, ...], new: str) -> tuple[str, ...]:
    """The hashes that are recorded with a flow, and one more; the oldest goes if there are too many."""
    return known if new in known else (*known, new)[-labels.MAX_RULES_OF_FLOW :]


def needs_whole(text: str) -> bool:
    """Whether the annotation says, rightly or not, that its rules read the spec of the job. Decodes nothing."""
    return text.endswith(_WHOLE)


@functools.lru_cache(maxsize=256)
def read_carried(text: str, gvr: GVR) -> Carried:
    """An annotation whose hash was recorded, for a job of that resource."""
    found = msgspec.json.decode(text, type=_Text)
    if raw.is_empty(found.status_rules):
        return Carried(found.completion, None)
    resource = TemplateGVR(gvr.group, gvr.version, gvr.resource)
    spec = WorkTemplateSpec(gvr=resource, raw_status_rules=found.status_rules)
    rules = compile_rules(WorkTemplate(metadata=ObjectMeta(name="(deleted)"), spec=spec))
    return Carried(found.completion, rules)
