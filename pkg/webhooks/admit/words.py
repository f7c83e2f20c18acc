"""Verdicts in words, as `kubectl apply` prints them: a fault per line, and short warnings."""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1.faults import Fault, Faults

# The API server passes over all warnings of a request after this many characters, and cuts single ones above 256.
_MAX_WARNINGS: Final = 3_800
_MAX_WARNING: Final = 1_000


def refusal(kind: str, name: str, faults: Faults) -> str:
    """Why an object is refused. `kubectl` puts `admission webhook "..." denied the request: ` in front."""
    total = len(faults) + faults.others
    what = f'{kind} "{name}"' if name else f"this {kind}"
    lines = [f"{what} has {total:,} {'fault' if total == 1 else 'faults'}:"]
    lines += [f"- {' '.join(str(fault).split())}" for fault in faults]
    if faults.others:
        lines.append(f"- and {faults.others:,} more like these")
    return "\n".join(lines)


def warnings(found: Faults) -> tuple[str, ...]:
    """What is allowed but probably not meant, within the bounds of the API server."""
    lines: list[str] = []
    left = _MAX_WARNINGS
    for at, fault in enumerate(found):
        line = _cut(fault)
        left -= len(line)
        if left < 0:
            return (*lines, _more(len(found) - at + found.others))
        lines.append(line)
    return (*lines, _more(found.others)) if found.others else tuple(lines)


def _cut(fault: Fault) -> str:
    text = " ".join(str(fault).split())
    return text if len(text) <= _MAX_WARNING else f"{text[: _MAX_WARNING - 3]}..."


def _more(number: int) -> str:
    return f"{number:,} more warnings are not shown; `workflow-controller lint` prints them"
