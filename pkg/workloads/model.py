"""The types of rules.yaml: a row per kind, and the predicates in it. An unknown field is an error that names its place.

The columns of a row are documented at the top of rules.yaml.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.schema_faults import schema_faults
from pkg.apis.flow.v1alpha1.types import Completion

MAX_RULES = 64 * 1024
"""Bytes of JSON of the rules of one template."""


class RuleError(ValueError):
    """A rule or a row that cannot be used; the text says where it is and what would be right."""


class RuleFault(Exception):
    """A rule of a template could not be evaluated on an object. It counts as not matching, and the text is reported.

    The text is empty if there is nothing to report, because the object will be read in full shortly.
    """


class Gate(StrEnum):
    """How `status.observedGeneration` is used to recognise a status that belongs to an older spec."""

    STRICT = "strict"  # absent counts as behind: service kinds
    BATCH = "batch"  # absent passes
    CONDITIONS = "conditions"  # each condition has its own; an outdated one counts only if it is final
    NONE = "none"  # the kind sets none, or not reliably


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Base of the structs in this file: immutable, camelCase in YAML, unknown fields refused."""


class Predicate(_Strict, frozen=True):
    """One test of a job. Exactly one of cond, path, all, cel and call is set. A list of predicates means OR."""

    cond: str | None = None
    is_: str | None = msgspec.field(default=None, name="is")
    reason_in: tuple[str, ...] | None = None
    path: str | None = None
    in_: tuple[str | int | float | bool | None, ...] | None = msgspec.field(default=None, name="in")
    eq: Any = msgspec.UNSET
    gt: int | float | None = None
    exists: bool | None = None
    all_: tuple[Predicate, ...] | None = msgspec.field(default=None, name="all")
    cel: str | None = None
    call: str | None = None


class Rules(_Strict, frozen=True):
    """The predicates of each state of a kind; one that holds is enough."""

    fail: tuple[Predicate, ...] = ()
    ok: tuple[Predicate, ...] = ()
    held: tuple[Predicate, ...] = ()
    ready: tuple[Predicate, ...] = ()
    running: tuple[Predicate, ...] = ()
    pending: tuple[Predicate, ...] = ()


class Place(_Strict, frozen=True):
    """A map outside the pod templates that takes `labels` or `env`; `create` adds the map where it is missing."""

    path: str
    create: bool = False


class OwnRetry(_Strict, frozen=True):
    """A field by which the kind retries by itself: its default, and the value that turns it off."""

    path: str
    default: str
    disabled: str


class NameColumn(_Strict, frozen=True):
    """The limits of a job's name; `suffix` names the function that counts the characters which the kind appends."""

    max: int = 63
    label: bool = False
    dns1035: bool = False
    suffix: str = ""


class Never(StrEnum):
    """What an object of a kind never has."""

    PODS = "pods"
    OWN_PODS = "ownPods"  # those that run belong to others; the selector of an applied object leads to them
    SPEC = "spec"
    STATUS = "status"


class Pods(_Strict, frozen=True):
    """The labels of the kind's pods. A value of `selector` may be {name}, {uid} or {status.FIELD}."""

    selector: dict[str, str] = {}
    role: str = ""
    lead_labels: dict[str, str] = {}
    lead: tuple[str, ...] = ("master", "launcher", "chief", "head", "driver")
    index: tuple[str, ...] = ()


class KindRow(_Strict, frozen=True, eq=False):
    """One row of rules.yaml. Compared by identity, because the evaluator caches its compiled rules by row."""

    kind: str
    group: str = ""
    resource: str = ""
    version: str = ""
    refused: str = ""
    completion: Completion = Completion.TERMINAL
    gate: Gate = Gate.NONE
    rules: Rules = Rules()
    reason: tuple[str, ...] = ("status.reason",)
    message: tuple[str, ...] = ("status.message",)
    pod_templates: tuple[str, ...] = ()
    any_template: bool = False
    labels: tuple[Place, ...] = ()
    env: tuple[Place, ...] = ()
    scheduler_name: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    volcano_queue: tuple[str, ...] = ()
    plugins: str = ""
    ttl: tuple[str, ...] = ()
    suspend: str = ""
    own_retry: tuple[OwnRetry, ...] = ()
    restart_policy: tuple[str, ...] = ()
    match_labels: str = ""
    name: NameColumn = NameColumn()
    pods: Pods = Pods()
    never: tuple[Never, ...] = ()
    rules_from: str = ""  # path of the rules of a template; not a column of rules.yaml


# msgspec builds the layout of a type at its first use; two threads that do so at once can crash the process (SIGSEGV,
# msgspec 0.22). Only one thread imports a module, so it is built here.
msgspec.convert({"kind": "any"}, KindRow)


def convert_rules(raw: object, *, where: str) -> Rules:
    """Convert the `statusRules` of a WorkTemplate (maps and lists, or a struct of them) to Rules.

    `where` is the path that messages begin with. Raises RuleError for a wrong type, an unknown field, or rules that are
    too large.
    """
    try:
        data = msgspec.json.encode(raw)
        if len(data) > MAX_RULES:
            raise RuleError(f"{where}: the rules have {len(data):,} bytes of JSON; at most {MAX_RULES:,} are allowed")
        return msgspec.json.decode(data, type=Rules)
    except msgspec.ValidationError as error:
        fault = next(schema_faults(msgspec.json.decode(data), Rules, where), None)
        if fault is None:
            raise RuleError(f"{where}: {error}") from error
        # The last field of a predicate, `call`, is not for templates.
        raise RuleError(f"{fault.path}: {fault.message.removesuffix(', call')}") from error
    except RecursionError as error:
        raise RuleError(f"{where}: the rules are nested too deeply") from error
