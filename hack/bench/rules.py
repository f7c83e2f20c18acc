"""The costliest status rules that are admitted: time and memory of one look at one job, each in a process of its own.

A look holds the interpreter's lock, so its time is the time for which every other thread waits. Each case is looked at
with the largest object on which its rules are still evaluated, found by bisection, and with a much larger one.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import WholeJob
from pkg.workloads import Reading, read
from pkg.workloads.template_rules import TemplateRules, compile_rules

MAX_MS = 20.0
MAX_MIB = 16.0
_HUGE = 150_000
Status = Callable[[int], Any]


@dataclass(frozen=True)
class Result:
    """What a case came to: `refused` says why its rules were not admitted, else time and memory are measured."""

    name: str
    refused: str = ""
    compile_ms: float = 0.0
    size: int = 0
    ms: float = 0.0
    huge_ms: float = 0.0
    mib: float = 0.0

    @property
    def is_within(self) -> bool:
        return max(self.ms, self.huge_ms) <= MAX_MS and self.mib <= MAX_MIB


def balanced(leaf: str, leaves: int, operator: str) -> str:
    """`((a + a) + (a + a))`: as deep as the parser allows, not deeper."""
    if leaves == 1:
        return leaf
    half = leaves // 2
    return f"({balanced(leaf, half, operator)} {operator} {balanced(leaf, leaves - half, operator)})"


def _text_of(part: str) -> Status:
    """A status with one text of n units, in which `part` is repeated."""
    return lambda n: {"l": part * (16 * n // len(part))}


_ONE_TEXT: Final = _text_of("ab")


def _cel(*expressions: str) -> dict[str, Any]:
    return {"running": [{"cel": one} for one in expressions]}


def _paths(count: int, **predicate: Any) -> dict[str, Any]:
    return {"running": [predicate] * count}


_NUMBERS: Status = lambda n: {"l": [1] * n}  # noqa: E731
_TEXTS: Status = lambda n: {"l": ["2026-01-01T00:00:00.123456Z"] * n}  # noqa: E731
_MAPS: Status = lambda n: {"l": [{"a": {"b": 1}} for _ in range(n)]}  # noqa: E731
_KEYS: Status = lambda n: {"l": {f"k{i}": i for i in range(n)}}  # noqa: E731
_PARSED = (
    ("duration", "duration('1s')", "1.5s"),
    ("duration", "duration('1s')", "1s"),
    ("timestamp", "timestamp('2020-01-01T00:00:00Z')", "0"),
    ("int", "1", "0"),
    ("double", "1.0", " "),
)
"""Conversions of a text: the function, what its result is compared with, and the text that is repeated."""
_TWO: Status = lambda n: {"l": [{"a": 1} for _ in range(n)], "m": [{"a": 1} for _ in range(n)]}  # noqa: E731
_CONDITIONS: Status = lambda n: {"conditions": [{"type": "A", "status": "False"}] * n}  # noqa: E731


def _deep(n: int) -> Any:
    value: Any = 1
    for _ in range(min(n, 100_000)):
        value = {"l": [value]}
    return {"l": value}


_OPERATIONS = {
    "comparisons": ("x == 0 || x == 2 || x == 3", _NUMBERS),
    "arithmetic": ("(x * 2 + 3) % 5 / 2 - 1 > 100", _NUMBERS),
    "fields": ("x.a.b == 2 || x.a.b == 3", _MAPS),
    "missing fields": ("x.c == 1 || x.d == 1", _MAPS),
    "presence": ("has(x.c) || has(x.d) || has(x.e)", _MAPS),
    "in a literal": ("x in [2,3,4,5,6,7,8,9]", _NUMBERS),
    "lists": ("[x,x,x,x,x,x] == [1]", _NUMBERS),
    "maps": ("{'a':x,'b':x,'c':x} == {'a':1}", _NUMBERS),
    "times": ("timestamp(x) < timestamp('2020-01-01T00:00:00Z')", _TEXTS),
    "parts of times": ("timestamp(x).getDayOfYear() > 400", _TEXTS),
    "times to texts": ("string(timestamp(x)) == ''", _TEXTS),
    "texts": ("x.contains('zzzzzz') || x.startsWith('zz') || size(x) > 90", _TEXTS),
    "joined texts": ("x + 'b' + x + 'c' == 'zz'", _TEXTS),
    "conversions": ("int(x) > 3 || double(x) > 3.0 || string(x) == '3'", _NUMBERS),
    "choices": ("x > 5 ? x > 6 : x > 7 ? true : false", _NUMBERS),
    "divisions by zero": ("x / 0 == 1 || false", _NUMBERS),
    "types": ("type(x) == string || dyn(x) == 2", _NUMBERS),
    "keys": ("x == 'none'", _KEYS),
}


def cases() -> Iterator[tuple[str, dict[str, Any], Status]]:
    """Name, statusRules, and the status of the job by a size."""
    items = "object.status.l"
    yield (
        "sum of lists of lists",
        _cel(f"[{','.join([items] * 10)}].exists(x, {balanced('x', 64, '+')} == [])"),
        _NUMBERS,
    )
    for name, (body, status) in _OPERATIONS.items():
        for macro in ("exists", "exists_one"):
            for count in (1, 4):
                yield f"{macro} x{count}: {name}", _cel(*[f"{items}.{macro}(x, {body})"] * count), status
    for count in (1, 16):
        yield f"size x{count}: list", _cel(*[f"size({items}) == -1"] * count), _NUMBERS
        yield f"size x{count}: maps", _cel(*[f"size({items}) == -1"] * count), _MAPS
        yield f"size x{count}: keys", _cel(*[f"size({items}) == -1"] * count), _KEYS
        yield f"size x{count}: text", _cel(*[f"size({items}) == -1"] * count), _ONE_TEXT
        yield f"in x{count}", _cel(*[f"7 in {items} || 8 in {items}"] * count), _NUMBERS
        yield f"equality x{count}", _cel(*[f"{items} == object.status.m && false"] * count), _TWO
        yield f"conversion x{count}", _cel(*[f"string({items}) == ''"] * count), _ONE_TEXT
        for leaves in (2, 8, 30):
            tree = balanced(items, leaves, "+")
            yield f"sum of {leaves} x{count}: texts", _cel(*[f"{tree} == ''"] * count), _ONE_TEXT
            yield f"sum of {leaves} x{count}: lists", _cel(*[f"{tree} == []"] * count), _NUMBERS
            yield f"exists in a sum of {leaves} x{count}", _cel(*[f"{tree}.exists(x, x == 2)"] * count), _NUMBERS
            yield f"in a sum of {leaves} x{count}", _cel(*[f"7 in {tree}"] * count), _NUMBERS
        for text in ("b", "aab", "ab" * 40 + "c", "ab" * 300 + "c", "a" * 26 + "b"):
            yield (
                f"contains x{count}: {len(text)} characters",
                _cel(*[f"{items}.contains('{text}')"] * count),
                _text_of("a" if text.startswith("aa") else "ab"),
            )
        for kind, one, text in _PARSED:
            yield f"{kind} x{count}: {text}", _cel(*[f"{kind}({items}) == {one}"] * count), _text_of(text)
        for pattern in (
            "^a",
            "a" + "." * 20 + "x",
            "a" + "." * 120 + "x",
            "^(a|b)*a" + "(a|b)" * 20 + "$",
            "[^k]*" * 20,
        ):
            yield f"matches x{count}: {pattern[:24]}", _cel(*[f"{items}.matches('{pattern}')"] * count), _ONE_TEXT
    yield "compiled patterns", _cel(*[f"{items}.matches('(?i)" + "[^k]?" * 24 + "$')"] * 16), _ONE_TEXT
    yield "missing key", _cel("object.status.m[object.status.l] == 1"), lambda n: {"m": {}, **_ONE_TEXT(n)}
    yield "levels", _cel(f"{items} == object.status"), _deep
    every = "status.l[*]"
    yield "paths: in", _paths(256, path=every, **{"in": list(range(2, 5000))}), _NUMBERS
    yield "paths: in, once", _paths(1, path=every, **{"in": list(range(2, 5000))}), _NUMBERS
    yield "paths: eq of a list", _paths(256, path=every, eq=[[1] * 100]), lambda n: {"l": [[[1] * 99 + [2]]] * n}
    yield "paths: eq of a text", _paths(256, path=every, eq="a" * 200), lambda n: {"l": ["a" * 199 + "b"] * n}
    yield "paths: gt", _paths(256, path=every, gt=7), _NUMBERS
    yield "paths: wildcards", _paths(256, path="status.*.*.*[*].*.*", exists=True), _MAPS
    yield "paths: wildcards, once", _paths(1, path="status.l[*].*.*", eq=2), _MAPS
    yield "paths: levels", _paths(256, path="status.l.l[*]", eq=2), _deep
    yield "paths: huge text", _paths(256, path="status.l", **{"in": ["a", "b"]}), _ONE_TEXT
    yield "conditions", _paths(256, cond="A"), _CONDITIONS
    yield "conditions, others", _paths(256, cond="B"), _CONDITIONS
    yield "generic rules", {}, _CONDITIONS
    generator = random.Random(7)
    for number in range(24):
        count = generator.choice((1, 2, 4, 8, 16))
        bodies = [_random(generator, 4) for _ in range(count)]
        status = generator.choice((_NUMBERS, _TEXTS, _MAPS, _KEYS))
        yield f"random {number}", _cel(*[f"{items}.exists(x, {body})" for body in bodies]), status


def _random(generator: random.Random, depth: int) -> str:
    """A boolean expression over `x` that is seldom true, so that nothing ends early."""
    if depth == 0 or generator.random() < 0.2:
        return generator.choice(
            ("x == 7", "x.a.b > 7", "has(x.q)", "size(x) > 900", "string(x) == 'q'", "x in [7, 8]", "x.startsWith('q')")
        )
    one, other = _random(generator, depth - 1), _random(generator, depth - 1)
    return generator.choice((f"({one} || {other})", f"!(!({one}) && !({other}))", f"({one} ? {other} : {one})"))


def _template(rules: dict[str, Any]) -> WorkTemplate:
    raw = {
        "metadata": {"name": "bench", "namespace": "bench"},
        "spec": {"gvr": {"group": "bench.io", "version": "v1", "resource": "things"}, "statusRules": rules},
    }
    return msgspec.json.decode(msgspec.json.encode(raw), type=WorkTemplate)


def _job(status: Any) -> WholeJob:
    job = msgspec.json.decode(b'{"metadata":{"name":"j"}}', type=WholeJob)
    msgspec.structs.force_setattr(job, "status", status)  # as deep as it is; JSON that deep is not decoded
    return job


def _measure(name: str, rules: dict[str, Any], status: Status) -> Result:
    compile_rules(_template(_cel("object.status.k == 0")))  # the library's first use
    begin = time.thread_time()
    compiled = compile_rules(_template(rules))
    compile_ms = (time.thread_time() - begin) * 1000
    if compiled.fault:
        return Result(name, refused=compiled.fault, compile_ms=compile_ms)
    read(compile_rules(_template(_cel("object.status.l == 0"))).row, _job({"l": 1}))
    size = _largest(compiled, status)
    job, huge = _job(status(size)), _job(status(_HUGE))
    before = _peak()
    ms, huge_ms = _time(compiled, job), _time(compiled, huge)
    return Result(name, compile_ms=compile_ms, size=size, ms=ms, huge_ms=huge_ms, mib=(_peak() - before) / 1024)


def _largest(compiled: TemplateRules, status: Status) -> int:
    """The largest size at which no rule is at its bound."""
    low, high = 0, _HUGE
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (low, middle - 1) if _is_bounded(read(compiled.row, _job(status(middle)))) else (middle, high)
    return low


def _is_bounded(reading: Reading) -> bool:
    return reading.faulty and any(
        text in reading.message for text in ("steps on this object", "cel reads", "are read", "Iteration budget")
    )


def _time(compiled: TemplateRules, job: WholeJob) -> float:
    """Milliseconds of processor time of one look, the best of five: this is about work, not about other processes."""
    found = []
    for _ in range(5):
        begin = time.thread_time()
        read(compiled.row, job)
        found.append(time.thread_time() - begin)
    return min(found) * 1000


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure() -> bool:
    """Run every case in a process of its own, print them, and return whether all admitted ones are within bounds."""
    console = Console(width=150)
    table = Table("case", "compiled in ms", "largest size", "ms", "ms, huge", "MiB", "refused because", box=None)
    found = []
    for number, _ in enumerate(cases()):
        command = [sys.executable, "-m", "hack.bench.rules", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result = Result(**json.loads(done.stdout))
        found.append(result)
        figures = (
            ("", "", "", "")
            if result.refused
            else (f"{result.size:,}", f"{result.ms:.1f}", f"{result.huge_ms:.1f}", f"{result.mib:.1f}")
        )
        style = None if result.is_within else "red"
        table.add_row(
            result.name, f"{result.compile_ms:.1f}", *figures, result.refused.partition(": ")[2][:70], style=style
        )
    console.print(table)
    admitted = [one for one in found if not one.refused]
    console.print(
        f"{len(found)} cases, {len(admitted)} admitted; the worst takes"
        f" {max(max(one.ms, one.huge_ms) for one in admitted):.1f} ms (bound {MAX_MS:.0f}) and"
        f" {max(one.mib for one in admitted):.1f} MiB (bound {MAX_MIB:.0f})"
    )
    return all(one.is_within for one in found)


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    print(json.dumps(asdict(_measure(*next(case for number, case in enumerate(cases()) if number == wanted)))))
