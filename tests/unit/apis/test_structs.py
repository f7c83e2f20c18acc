"""What a module must keep to so that mypyc can compile it. Runs on the sources and on the compiled core alike."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator

import msgspec
import pytest

from hack.compiled import ROOT, modules
from pkg.apis import structs

BASES: dict[str, type[msgspec.Struct]] = {each.__name__: each for each in (structs.Value, structs.OrderedValue)}
BOUNDED = {"_changes": "goes as deep as the types of status, whatever a user writes"}


def _tree(module: str) -> ast.Module:
    return ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())


def _with_keywords(module: str) -> Iterator[ast.ClassDef]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ClassDef) and node.keywords:
            yield node


def _keywords(node: ast.ClassDef) -> dict[str, object]:
    return {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}


def _config(struct: type[msgspec.Struct]) -> dict[str, object]:
    config = struct.__struct_config__
    return {"frozen": config.frozen, "gc": config.gc, "order": config.order}


@pytest.mark.parametrize("module", modules())
def test_keywords_of_a_struct_are_those_of_its_base(module: str) -> None:
    """Compiled, a class has no keywords: what its base does not have would be lost."""
    for node in _with_keywords(module):
        (base,) = node.bases
        assert isinstance(base, ast.Name), f"{node.name}: its base is not of pkg.apis.structs"
        assert base.id in BASES, f"{node.name}: its base is not of pkg.apis.structs"
        defaults = {"frozen": False, "gc": True, "order": False}
        assert defaults | _keywords(node) == _config(BASES[base.id]), node.name
        made = getattr(importlib.import_module(module), node.name)
        assert _config(made) == _config(BASES[base.id]), node.name


@pytest.mark.parametrize("module", modules())
def test_no_function_calls_itself(module: str) -> None:
    """Compiled code has no limit of recursion: a deep object of a user would end the process."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.FunctionDef) and node.name not in BOUNDED:
            calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
            called = {each.id for each in calls if isinstance(each, ast.Name)}
            assert node.name not in called, f"{module}.{node.name} calls itself"


@pytest.mark.parametrize("module", modules())
def test_a_name_of_an_exception_class_is_declared_as_one(module: str) -> None:
    """Compiled, a value in the body of an exception class is found only if it is a ClassVar."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Error", "NotYet")):
            assert not [each for each in node.body if isinstance(each, ast.Assign)], node.name
