"""Compiles predicates to functions, because they run at every event of every job.

A compiled test takes a look at a job and returns evidence or None. Evidence is the condition (a dict) that matched,
else the value that matched if it is a text, else True; reason and message are taken from it. A test takes the steps
that it needs from the look. It raises RuleFault if there are not enough, or if it cannot be evaluated on the job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pkg.apis.meta import ObjectMeta, ObservedSpec, WholeJob
from pkg.workloads import paths
from pkg.workloads.expressions import compile_expression, evaluate
from pkg.workloads.functions import FUNCTIONS, NEED_STATUS
from pkg.workloads.look import Look
from pkg.workloads.model import Predicate, RuleError, RuleFault, Rules
from pkg.workloads.projection import Projection, measure

Evidence = Any
Test = Callable[[Look], Evidence]
Getter = Callable[[Look], list[Any]]

MAX_VALUE_DEPTH = 16
"""Levels of maps and lists in the value of `eq`."""

_FORMS = "one of cond, path, all, cel"
_SPEC_FIELDS = {field.encode_name: field.name for field in msgspec.structs.fields(ObservedSpec)}
_META_FIELDS = {field.encode_name: field.name for field in msgspec.structs.fields(ObjectMeta)}


def compile_predicate(
    predicate: Predicate, *, where: str, fresh_only: bool = False, projection: Projection | None = None
) -> Test:
    """Compile one predicate. `where` is its path, for messages. Raises RuleError.

    With `fresh_only`, a condition whose own observedGeneration is behind the object's generation does not match.
    `projection` is what all CEL expressions of the rules read; without it, what this one reads.
    """
    forms = [
        name
        for name, value in (
            ("cond", predicate.cond),
            ("path", predicate.path),
            ("all", predicate.all_),
            ("cel", predicate.cel),
            ("call", predicate.call),
        )
        if value is not None
    ]
    if len(forms) != 1:
        raise RuleError(f"{where}: a predicate has exactly {_FORMS}; this one has {', '.join(forms) or 'none'}")
    _check_companions(predicate, forms[0], where)
    match forms[0]:
        case "cond":
            return _compile_condition(predicate, fresh_only)
        case "path":
            return _compile_path(predicate, where)
        case "cel":
            expression = compile_expression(predicate.cel or "", where=where)
            return evaluate(expression, projection or Projection(expression.estimate.reads), where=where)
        case "all":
            return _compile_all(predicate, where, fresh_only, projection)
        case _:
            return _compile_call(predicate, where)


def _check_companions(predicate: Predicate, form: str, where: str) -> None:
    """Refuse a field that belongs to another form, and a path that has not exactly one comparison."""
    comparisons = [
        name
        for name, is_set in (
            ("in", predicate.in_ is not None),
            ("eq", predicate.eq is not msgspec.UNSET),
            ("gt", predicate.gt is not None),
            ("exists", predicate.exists is not None),
        )
        if is_set
    ]
    modifiers = [
        name
        for name, is_set in (("is", predicate.is_ is not None), ("reasonIn", predicate.reason_in is not None))
        if is_set
    ]
    if form == "path":
        if len(comparisons) != 1:
            raise RuleError(
                f"{where}: path {predicate.path!r} needs exactly one of in, eq, gt, exists;"
                f" it has {', '.join(comparisons) or 'none'}"
            )
    elif comparisons:
        raise RuleError(f"{where}: {comparisons[0]} goes with path, not with {form}")
    if form != "cond" and modifiers:
        raise RuleError(f"{where}: {modifiers[0]} goes with cond, not with {form}")


def _compile_condition(predicate: Predicate, fresh_only: bool) -> Test:
    wanted = predicate.cond or ""
    status = predicate.is_ or "True"
    reasons = None if predicate.reason_in is None else frozenset(predicate.reason_in)

    def test(look: Look) -> Evidence:
        for item in look.conditions(wanted):
            if (
                item.get("status") == status
                and (reasons is None or ((reason := item.get("reason")).__class__ is str and reason in reasons))
                and not (fresh_only and _is_outdated(item, look))
            ):
                return item
        return None

    return test


def _is_outdated(condition: dict[str, Any], look: Look) -> bool:
    observed = condition.get("observedGeneration")
    return look.has_status and isinstance(observed, int) and 0 < observed < look.job.metadata.generation


def _compile_path(predicate: Predicate, where: str) -> Test:
    accept, steps = _comparison(predicate, where)
    wants_absence = predicate.exists is False
    try:
        values = compile_getter(predicate.path or "")
    except paths.PathError as error:
        raise RuleError(f"{where}: {error}") from error

    def test(look: Look) -> Evidence:
        try:
            found = values(look)
            look.spend(steps * len(found))
        except RuleFault as fault:
            raise RuleFault(f"{where}: {fault}" if str(fault) else "") from fault
        if wants_absence:
            return None if any(value is not None for value in found) else True
        for value in found:
            if accept(value):
                return value if isinstance(value, str) and value else True
        return None

    return test


def _comparison(predicate: Predicate, where: str) -> tuple[Callable[[Any], bool], int]:
    """The comparison of a path, and its steps for each value."""
    if predicate.in_ is not None:
        return _one_of(predicate.in_), 3
    if predicate.eq is not msgspec.UNSET:
        wanted = predicate.eq
        size = measure(wanted, depth=MAX_VALUE_DEPTH)
        if size is None:
            raise RuleError(f"{where}: the value of eq has more than {MAX_VALUE_DEPTH} levels")
        return lambda value: _same(value, wanted), 3 + size.weight
    if predicate.gt is not None:
        bound = predicate.gt
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value > bound, 3
    return lambda value: value is not None, 1


def _one_of(choices: tuple[Any, ...]) -> Callable[[Any], bool]:
    """Whether a value is one of plain values, by sets."""
    booleans = frozenset(choice for choice in choices if isinstance(choice, bool))
    others = frozenset(choice for choice in choices if not isinstance(choice, bool))

    def accept(value: Any) -> bool:
        if isinstance(value, bool):
            return value in booleans
        return not isinstance(value, dict | list) and value in others

    return accept


def _same(value: Any, wanted: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _compile_all(predicate: Predicate, where: str, fresh_only: bool, projection: Projection | None) -> Test:
    parts = predicate.all_ or ()
    if not parts:
        raise RuleError(f"{where}.all: an empty list would always match; name at least one predicate")
    tests = [
        compile_predicate(part, where=f"{where}.all[{number}]", fresh_only=fresh_only, projection=projection)
        for number, part in enumerate(parts)
    ]

    def test(look: Look) -> Evidence:
        best: Evidence = None
        fault: RuleFault | None = None
        for one in tests:
            try:
                evidence = one(look)
            except RuleFault as error:
                fault = fault or error  # a part that does not hold outweighs a fault
                continue
            if evidence is None:
                return None
            if best is None or isinstance(evidence, dict) or (best is True and evidence is not True):
                best = evidence
        if fault is not None:
            raise fault
        return best

    return test


def _compile_call(predicate: Predicate, where: str) -> Test:
    function = FUNCTIONS.get(predicate.call or "")
    if function is None:
        raise RuleError(f"{where}: {predicate.call!r} is not a function; use one of {', '.join(sorted(FUNCTIONS))}")
    return function


def compile_getter(text: str) -> Getter:
    """Compile a path from the root of the object to a function that lists the values at it in a job. Raises PathError.

    The function raises RuleFault if the path leads to a part of the spec and the job was not read in full.
    """
    path = paths.parse(text)
    root, rest = path[0] if path else None, path[1:]
    match root:
        case "status":
            if len(rest) == 1 and isinstance(rest[0], str):
                return _status_field(rest[0])
            if len(rest) == 2 and isinstance(rest[0], str) and isinstance(rest[1], str):
                return _status_subfield(rest[0], rest[1])
            return lambda look: paths.select(rest, look.job.status, look.spend)
        case "spec" | "metadata":
            known = _SPEC_FIELDS if root == "spec" else _META_FIELDS
            attribute = known.get(rest[0]) if rest and isinstance(rest[0], str) else None
            if attribute is not None and _is_kept(path):
                return _attribute(root, attribute, rest[1:])
            if root == "spec":
                return _whole_spec(rest)
            raise paths.PathError(f"{text!r}: of metadata only {', '.join(sorted(known))} can be read")
        case _:
            raise paths.PathError(f"{text!r}: a path starts with status, spec or metadata, without a leading dot")


def needs_whole(rules: Rules) -> bool:
    """Whether any of the rules needs jobs that were read in full."""
    return any(_reaches_beyond(one) for key in rules.__struct_fields__ for one in getattr(rules, key))


def need_status(rules: Rules) -> bool:
    """Whether none of the rules can hold for a job with an empty status."""
    return all(_needs_status(one) for key in rules.__struct_fields__ for one in getattr(rules, key))


def _needs_status(predicate: Predicate) -> bool:
    if predicate.cond is not None:
        return True
    if predicate.path is not None:
        return predicate.path.startswith("status.") and predicate.exists is not False
    if predicate.call is not None:
        return predicate.call in NEED_STATUS
    return any(_needs_status(part) for part in predicate.all_ or ())


def _reaches_beyond(predicate: Predicate) -> bool:
    if predicate.cel is not None:
        return compile_expression(predicate.cel, where="cel").needs_whole
    if predicate.path is not None:
        return not _is_kept(paths.parse(predicate.path))
    return any(_reaches_beyond(part) for part in predicate.all_ or ())


def _is_kept(path: paths.Path) -> bool:
    """Whether the value at the path is in every cached job. Of a JobSet's groups only name and replicas are."""
    return path[:1] != ("spec",) or path[1:2] in (("replicas",), ("suspend",))


def _whole_spec(rest: paths.Path) -> Getter:
    def values(look: Look) -> list[Any]:
        if not isinstance(look.job, WholeJob):
            raise RuleFault("")
        return paths.select(rest, look.job.document, look.spend)

    return values


def _status_field(key: str) -> Getter:
    def values(look: Look) -> list[Any]:
        status = look.job.status
        return [status[key]] if key in status else []

    return values


def _status_subfield(key: str, subkey: str) -> Getter:
    def values(look: Look) -> list[Any]:
        inner = look.job.status.get(key)
        return [inner[subkey]] if isinstance(inner, dict) and subkey in inner else []

    return values


def _attribute(root: str, attribute: str, rest: paths.Path) -> Getter:
    def values(look: Look) -> list[Any]:
        value = getattr(look.job.spec if root == "spec" else look.job.metadata, attribute)
        return paths.select(rest, value, look.spend)

    return values
