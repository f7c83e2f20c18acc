"""Comparisons in `when` of a text with a number. Parameters and outputs are text, so the two are never equal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pkg.workloads.cel_tree import Call, Const, Loop, MakeList, MakeMap, Name, Node, Select, Tree

_SIGNS: Final = {"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
#: How many names stand behind the first one of what is text.
_DEPTHS: Final = {"params": 1, "outputs": 2}


def comparison_fault(tree: Tree) -> str:
    """What is wrong with the first comparison of a parameter or an output with a number; empty if there is none."""
    return next(filter(None, map(_fault, _nodes(tree.root))), "")


def _fault(node: Node) -> str:
    if not isinstance(node, Call) or node.function not in _SIGNS or len(node.arguments) != 2:
        return ""
    sign = _SIGNS[node.function]
    left, right = node.arguments
    for text, other in ((left, right), (right, left)):
        name = _name_of_text(text)
        if not name or not isinstance(other, Const) or not isinstance(other.value, bool | int | float):
            continue
        value, turned, kind = _literal(name, other.value)
        instead = f"{turned} {sign} {value}" if text is left else f"{value} {sign} {turned}"
        return f"{name} is text, and a text is never {kind}; write {instead}"
    return ""


def _literal(name: str, value: bool | float) -> tuple[str, str, str]:
    """The literal and what is compared with it, as it would be right, and what the literal is."""
    if isinstance(value, bool):
        return f"'{str(value).lower()}'", name, "true or false"
    return str(value), f"{'double' if isinstance(value, float) else 'int'}({name})", "a number"


def _name_of_text(node: Node) -> str:
    """`params.x` or `outputs.flow.x` as it may be written; empty for anything else."""
    names: list[str] = []
    while isinstance(node, Select) or (isinstance(node, Call) and node.function == "_[_]"):
        if isinstance(node, Select):
            names.append(f".{node.field}")
            node = node.operand
            continue
        key = node.arguments[1]
        if not isinstance(key, Const) or not isinstance(key.value, str):
            return ""  # an item of a list
        names.append(f"['{key.value}']")
        node = node.arguments[0]
    if not isinstance(node, Name) or _DEPTHS.get(node.name) != len(names):
        return ""
    return node.name + "".join(reversed(names))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    match node:
        case Select():
            parts: tuple[Node, ...] = (node.operand,)
        case Call():
            parts = node.arguments
        case MakeList():
            parts = node.items
        case MakeMap():
            parts = node.entries
        case Loop():
            parts = (node.over, node.start, node.condition, node.step, node.result)
        case _:
            return
    for part in parts:
        yield from _nodes(part)
