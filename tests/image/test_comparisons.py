"""Compiled code must not compare structs with `==`: it would ask whether they are the same object."""

from __future__ import annotations

import io
from pathlib import Path

from mypy import build
from mypy.config_parser import parse_config_file
from mypy.modulefinder import BuildSource
from mypy.nodes import ComparisonExpr, Expression, ListExpr, SetExpr, TupleExpr
from mypy.options import Options
from mypy.types import Instance, TupleType, Type, UnionType, get_proper_type

from hack.compiled import ROOT, modules


def _checked(names: list[str], root: Path) -> dict[Expression, Type]:
    """The types of all expressions of these modules, as mypy finds them."""
    options = Options()
    parse_config_file(options, lambda: None, str(ROOT / "setup.cfg"), io.StringIO(), io.StringIO())
    options.export_types, options.preserve_asts, options.incremental = True, True, False
    sources = [BuildSource(str(root / f"{name.replace('.', '/')}.py"), name) for name in names]
    return build.build(sources, options).types


def _structs(found: Type | None, compiled: set[str]) -> set[str]:
    """The structs of compiled modules that a value of a type may be, or hold as a tuple. Of a NamedTuple mypyc knows no
    more than that it is a tuple.
    """
    proper = get_proper_type(found)
    if isinstance(proper, TupleType) and proper.partial_fallback.type.fullname != "builtins.tuple":
        return set()
    if isinstance(proper, UnionType | TupleType):
        return {name for item in proper.items for name in _structs(item, compiled)}
    if isinstance(proper, Instance) and any(base.fullname == "msgspec.Struct" for base in proper.type.mro):
        return {proper.type.fullname} if proper.type.module_name in compiled else set()
    return set()


def _compared(names: list[str], root: Path) -> list[str]:
    """The comparisons of two structs, each as the line and the structs."""
    types, compiled, said = _checked(names, root), set(names), []
    for whole in [each for each in types if isinstance(each, ComparisonExpr)]:
        for operator, one, other in zip(whole.operators, whole.operands, whole.operands[1:], strict=False):
            structs = _structs(types.get(one), compiled)
            is_spread = operator in {"in", "not in"} and isinstance(other, ListExpr | SetExpr | TupleExpr)
            is_pair = operator in {"==", "!="} and bool(_structs(types.get(other), compiled))
            if structs and (is_spread or is_pair):
                said.append(f"line {whole.line}: {operator} between {', '.join(sorted(structs))}")
    return said


def test_compiled_modules_compare_structs_by_value() -> None:
    assert _compared(modules(), ROOT) == [], "compare with pkg.apis.structs.is_equal"


def test_a_comparison_of_structs_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "import msgspec\n\nclass A(msgspec.Struct):\n    x: int\n\n"
        "def same(a: A, b: A | None, c: tuple[A, int]) -> bool:\n"
        "    return a == b or a in (b, b) or c == (a, 1) or a is b or a.x == 1\n"
    )
    assert _compared(["one"], tmp_path) == [
        "line 7: == between one.A",
        "line 7: in between one.A",
        "line 7: == between one.A",
    ]
