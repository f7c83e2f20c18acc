"""The shape of a row of rules.yaml, checked strictly, so that a slip in the data is an error that names its place.

A row says everything the engine knows about one kind. The columns are documented at the top of rules.yaml.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class RuleError(ValueError):
    """A rule or a row that cannot be used; the text names where it stands and what would be right."""


class RuleFault(Exception):
    """A rule of a template that could not be evaluated on one object; the text may be empty: nothing worth telling.

    It says nothing about the job: the rule counts as not matching, and the fault is told.
    """


class Completion(StrEnum):
    """When a job counts as done."""

    TERMINAL = "Terminal"
    READY = "Ready"


class Gate(StrEnum):
    """How `status.observedGeneration` guards against a status that speaks of an older spec."""

    STRICT = "strict"  # absent counts as behind: service kinds
    BATCH = "batch"  # absent passes
    CONDITIONS = "conditions"  # each condition carries its own; an outdated one proves nothing unless it is final
    NONE = "none"  # the kind sets none, or not reliably


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What every struct of this file shares: immutable, camelCase on the wire, no unknown field."""


class Predicate(_Strict, frozen=True):
    """One test of a job. Exactly one of cond, path, all, cel, call is set; a list of predicates means OR."""

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
    """What tells the states of a kind apart; each key is a list of predicates, any of which suffices."""

    fail: tuple[Predicate, ...] = ()
    ok: tuple[Predicate, ...] = ()
    held: tuple[Predicate, ...] = ()
    ready: tuple[Predicate, ...] = ()
    running: tuple[Predicate, ...] = ()
    pending: tuple[Predicate, ...] = ()


class Place(_Strict, frozen=True):
    """A map outside any pod template that has `labels` or `env` of its own; `create` makes it where it is missing."""

    path: str
    create: bool = False


class OwnRetry(_Strict, frozen=True):
    """How the kind retries by itself, and what makes the workflow's retry the only one."""

    path: str
    default: str
    disabled: str


class NameColumn(_Strict, frozen=True):
    """What the kind asks of a name; `suffix` names the function that measures what the kind itself appends."""

    max: int = 63
    label: bool = False
    dns1035: bool = False
    suffix: str = ""


class Pods(_Strict, frozen=True):
    """How the kind labels its pods. A value of `selector` may be {name}, {uid} or {status.FIELD}."""

    selector: dict[str, str] = {}
    role: str = ""
    lead_labels: dict[str, str] = {}
    lead: tuple[str, ...] = ("master", "launcher", "chief", "head", "driver")
    index: tuple[str, ...] = ()


class KindRow(_Strict, frozen=True, eq=False):
    """All that is known about one kind. Compared by identity: the evaluator keeps its compiled form by it."""

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
    rules_from: str = ""  # where a template's own rules stand; not a column of rules.yaml


# msgspec works out a type's layout at its first use; two threads that do so at once can end the process (SIGSEGV,
# msgspec 0.22). While a module is being imported there is only one.
msgspec.convert({"kind": "any"}, KindRow)


def convert_rules(raw: object, *, where: str) -> Rules:
    """Read rules as a WorkTemplate's `statusRules` carries them: plain maps and lists, or a struct of such.

    `where` is the path put in front of the message. Raises RuleError, also for predicates that cannot be compiled.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(raw), Rules)
    except msgspec.ValidationError as error:
        raise RuleError(f"{where}: {error}") from error
