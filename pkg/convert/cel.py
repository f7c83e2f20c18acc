"""Text with our variables as a value in CEL, for `when`."""

from __future__ import annotations

import json
import re
from typing import Final

from pkg.convert.conditions import CannotSay

_OURS: Final = re.compile(r"\{\{([^{}]+)\}\}")
_OUTPUT: Final = re.compile(r"flows\.([^.\[]+)\.outputs\.([^\[]+)(\[.*\])?")


def reference(text: str) -> str:
    """Our text, with variables, as a value in CEL. Raises CannotSay for a variable that CEL does not have."""
    pieces = []
    end = 0
    for match in _OURS.finditer(text):
        if match.start() > end:
            pieces.append(json.dumps(text[end : match.start()]))
        pieces.append(_variable(match[1].strip()))
        end = match.end()
    if end < len(text) or not pieces:
        pieces.append(json.dumps(text[end:]))
    return " + ".join(pieces)


def _variable(name: str) -> str:
    if name.startswith("params."):
        return f"params[{json.dumps(name.removeprefix('params.'))}]"
    if (match := _OUTPUT.fullmatch(name)) is not None:
        return f"outputs[{json.dumps(match[1])}][{json.dumps(match[2])}]{match[3] or ''}"
    if name == "item" or name.startswith("item."):
        return f"string({name})"
    if name in ("workflow.name", "workflow.namespace", "workflow.uid", "workflow.phase"):
        return name
    if name in ("index", "replicas", "workflow.duration"):
        return f"string({name})"
    raise CannotSay(f"a condition cannot read {{{{{name}}}}}")
