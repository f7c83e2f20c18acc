"""What is said of a flow that a Workflow does not have. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

_NAMED: Final = 10


def no_flow(workflow: str, name: str, names: Sequence[str]) -> str:
    """`workflow w has no flow 'trian'; did you mean 'train'?`, or the names of those that there are."""
    near = difflib.get_close_matches(name[:64], names, n=1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    else:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        hint = f"there are {', '.join(names[:_NAMED])}{more}"
    return f"workflow {workflow} has no flow {name!r}; {hint}"
