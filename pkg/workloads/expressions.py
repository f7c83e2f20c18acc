"""CEL in status rules: one boolean expression over `object`, compiled once, whose cost is bounded before it runs.

The library counts iterations (10,000 in one evaluation), not what each of them costs, and an evaluation cannot be cut
short. So the cost is bounded by what an expression may say: its length, no lists built (map and filter take a time that
grows with the square of a list), and inside of a macro only the macro's own variable, so that the work is at most
linear in the size of the object, which is bounded too. A pattern is compiled at every evaluation, and takes the time of
its states times the text: so patterns are few, short, written out, without counted repetitions, not inside of macros,
and on texts out of a small object, which nothing can put together to a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from cel_expr_python import cel

from pkg.apis.meta import Job, WholeJob
from pkg.workloads.model import RuleError, RuleFault

MAX_LENGTH: Final = 1024
"""Characters of one expression."""
MAX_BYTES: Final = 128 * 1024
"""Bytes of JSON of what an expression is shown of an object."""
MAX_MATCHED_BYTES: Final = 16 * 1024
"""The same, where the expression has a pattern."""
MAX_PATTERNS: Final = 4
MAX_PATTERN: Final = 128
"""Characters of one pattern."""

_ENV: Final = cel.NewEnv(variables={"object": cel.Type.DYN})
# Strings and comments as CEL's grammar has them: in raw strings a backslash is a character like any other.
_TEXT: Final = re.compile(
    "|".join(
        (
            r'[rR]"""(?:.*?)"""',
            r"[rR]'''(?:.*?)'''",
            r'[rR]"[^"\r\n]*"',
            r"[rR]'[^'\r\n]*'",
            r'"""(?:\\.|[^\\])*?"""',
            r"'''(?:\\.|[^\\])*?'''",
            r'"(?:\\.|[^"\\\r\n])*"',
            r"'(?:\\.|[^'\\\r\n])*'",
            r"//[^\n]*",
        )
    ),
    re.S,
)
_OBJECT: Final = re.compile(r"(?<![\w.])object\b")
_BUILDER: Final = re.compile(r"\.\s*(map|filter|transformList|transformMap|transformMapEntry)\s*\(")
_MACRO: Final = re.compile(r"\.\s*(all|exists|exists_one|existsOne)\s*\(")
_MATCHES: Final = re.compile(r"\bmatches\b")
_MATCH: Final = re.compile(r"\.\s*matches\s*\(\s*\0(?P<number>\d+)\0\s*\)")
# `{3}`, or a character given by its number, which could be the brace.
_COUNTED: Final = re.compile(r"\{\s*\d|\\[xXuU0-9]")
# What the cache keeps of every job; an expression that reads more needs the whole object.
_KEPT: Final = re.compile(
    r"(?<![\w.])object\s*\.\s*(status|apiVersion|kind|metadata\s*\.\s*"
    r"(?:name|namespace|uid|generation|labels|annotations|creationTimestamp|deletionTimestamp|finalizers))\b"
)


def compile_expression(text: str, *, where: str) -> Callable[[Job], Any]:
    """A test that returns True if the expression holds, else None, and raises RuleFault if it cannot be evaluated.

    `where` is its path, for messages. Raises RuleError for an expression that cannot be used.
    """
    _check(text, where)
    try:
        program = _ENV.compile(text)
    except RuntimeError as error:
        raise RuleError(f"{where}: cel: {_reason(str(error))}") from error
    result = program.return_type()
    if result not in (cel.Type.BOOL, cel.Type.DYN):
        raise RuleError(f"{where}: cel: the expression gives {result.name()}; it has to give true or false")
    is_wide = is_beyond(text)
    has_meta = "metadata" in text
    limit = MAX_MATCHED_BYTES if _MATCHES.search(_code(text)) else MAX_BYTES

    def test(job: Job) -> Any:
        shown = _view(job, is_wide=is_wide, has_meta=has_meta, limit=limit, where=where)
        try:
            value = program.eval(data={"object": shown})
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise RuleFault(f"{where}: cel: {_reason(str(error))}") from error
        if value.type() != cel.Type.BOOL:
            told = _reason(str(value)) if value.type() == cel.Type.ERROR else f"gave {value.type().name()}, no boolean"
            raise RuleFault(f"{where}: cel: {told}")
        return True if value.value() is True else None

    return test


def is_beyond(text: str) -> bool:
    """Whether an expression reads more of the object than the cache keeps of every job."""
    code = _code(text)
    return len(_OBJECT.findall(code)) != len(_KEPT.findall(code))


def _check(text: str, where: str) -> None:
    if len(text) > MAX_LENGTH:
        raise RuleError(f"{where}: cel: {len(text)} characters; an expression has at most {MAX_LENGTH}")
    code = _code(text)
    if not _OBJECT.search(code):
        raise RuleError(f"{where}: cel: the expression does not look at `object`, so it would always say the same")
    if found := _BUILDER.search(code):
        raise RuleError(
            f"{where}: cel: {found[1]} is not available, because its cost is not bounded; use exists, all, exists_one"
        )
    for macro in _MACRO.finditer(code):
        body = _body(code, macro.end())
        if _MACRO.search(body):
            raise RuleError(f"{where}: cel: {macro[1]} holds another macro; for lists in lists use a path with [*]")
        if _OBJECT.search(body):
            raise RuleError(f"{where}: cel: inside of {macro[1]} only its own variable can be read, not `object`")
        if _MATCHES.search(body):
            raise RuleError(
                f"{where}: cel: matches is not available inside of {macro[1]}, because its cost is not bounded there;"
                " use ==, in, startsWith, endsWith, contains"
            )
    _check_patterns(text, where)


def _check_patterns(text: str, where: str) -> None:
    """Refuse patterns whose time is not bounded."""
    strings: list[str] = []

    def note(found: re.Match[str]) -> str:
        if found[0].startswith("//"):
            return " "
        strings.append(found[0])
        return f" \0{len(strings) - 1}\0 "

    code = _TEXT.sub(note, text)
    uses = len(_MATCHES.findall(code))
    if uses > MAX_PATTERNS:
        raise RuleError(f"{where}: cel: {uses} uses of matches; an expression has at most {MAX_PATTERNS}")
    patterns = [strings[int(found["number"])] for found in _MATCH.finditer(code)]
    if len(patterns) != uses:
        raise RuleError(
            f"{where}: cel: the pattern of matches is to be written out, as in object.status.step.matches('^Run')"
        )
    if uses and "+" in code:
        raise RuleError(f"{where}: cel: + is not available beside of matches; write two predicates")
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN or _COUNTED.search(pattern):
            raise RuleError(
                f"{where}: cel: pattern {pattern[:MAX_PATTERN]}: a pattern has at most {MAX_PATTERN} characters,"
                " and no counted repetition such as {3}, nor characters given by their number"
            )


def _code(text: str) -> str:
    """The expression without what stands in quotes and comments."""
    return _TEXT.sub(" ", text)


def _body(code: str, start: int) -> str:
    """What stands between the parenthesis opened before `start` and the one that closes it."""
    depth = 1
    for at in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if depth == 0:
            return code[start:at]
    return code[start:]


def _view(job: Job, *, is_wide: bool, has_meta: bool, limit: int, where: str) -> dict[str, Any]:
    """The object as the expression sees it. RuleFault if it is too large, or not read in full yet."""
    shown: dict[str, Any] = {"apiVersion": job.api_version, "kind": job.kind, "status": job.status}
    if is_wide:
        if not isinstance(job, WholeJob):
            raise RuleFault("")  # evaluated as soon as the object has been read in full
        shown["spec"] = job.document
    if is_wide or has_meta:
        # As JSON has it: the library knows no tuples.
        shown["metadata"] = msgspec.json.decode(msgspec.json.encode(job.metadata))
    size = len(msgspec.json.encode(shown))
    if size > limit:
        raise RuleFault(f"{where}: cel: the object has {size} bytes, over {limit}; use path predicates")
    return shown


def _reason(text: str) -> str:
    """The library's message as one line, without its own codes and its drawing of the place."""
    line = text.split("\n", 1)[0].removesuffix("]")
    line = re.sub(r"^(?:[A-Z_]+: )?(?:ERROR: )?", "", line)
    line = re.sub(r"<input>:(\d+):(\d+): ", r"line \1, column \2: ", line.replace("<input>:-1:-1: ", ""))
    return re.sub(r" \[[A-Z_]+$", "", line)
