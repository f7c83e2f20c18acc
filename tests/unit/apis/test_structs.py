"""What a module must keep to so that mypyc can compile it. Runs on the sources and on the compiled core alike."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator

import msgspec
import pytest

from hack.compiled import ROOT, modules
from pkg.apis import structs
from pkg.controllers.workflow.planner.control.locks import is_whole
from pkg.controllers.workflow.planner.progress import TaskKey

BASES: dict[str, type[msgspec.Struct]] = {
    each.__name__: each for each in (structs.Frozen, structs.Value, structs.OrderedValue)
}
BOUNDED = {"_changes": "goes as deep as the types of status, whatever a user writes"}


def _tree(module: str) -> ast.Module:
    return ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _with_keywords(module: str) -> Iterator[ast.ClassDef]:
    return (node for node in _classes(_tree(module)) if node.keywords)


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


def test_two_structs_of_the_same_values_are_equal_in_compiled_code() -> None:
    """Runs on the sources and on the compiled core."""
    assert is_whole(TaskKey("", 0))
    assert not is_whole(TaskKey("a", 0))


@pytest.mark.parametrize("module", modules())
def test_no_struct_is_decoded_or_generic(module: str) -> None:
    """Compiled, a struct does not know the types of its fields, and has no parameter."""
    tree = _tree(module)
    classes = {node.name: [ast.unparse(base) for base in node.bases] for node in _classes(tree)}
    values = {name for name, bases in classes.items() if {*BASES, "msgspec.Struct"} & {*bases}}
    assert [name for name in values if any(base.startswith("Generic[") for base in classes[name])] == []
    made = {each for call in ast.walk(tree) if isinstance(call, ast.Call) for each in _decoded(call)}
    assert made.isdisjoint(values), "its decoder belongs beside it, in a module that is not compiled"


def _decoded(call: ast.Call) -> Iterator[str]:
    """The names of the types that a call decodes into."""
    if ast.unparse(call.func).endswith(("Decoder", "build_decoder")):
        yield from (each.id for argument in call.args for each in ast.walk(argument) if isinstance(each, ast.Name))
    yield from (ast.unparse(each.value) for each in call.keywords if each.arg == "type")


@pytest.mark.parametrize("module", modules())
def test_no_function_calls_itself(module: str) -> None:
    """Compiled code has no limit of recursion: a deep object of a user would end the process."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.FunctionDef) and node.name not in BOUNDED:
            calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
            called = {each.id for each in calls if isinstance(each, ast.Name)}
            called |= {
                each.attr for each in calls if isinstance(each, ast.Attribute) and ast.unparse(each.value) == "self"
            }
            assert node.name not in called, f"{module}.{node.name} calls itself"


@pytest.mark.parametrize("module", modules())
def test_a_name_of_an_exception_class_is_declared_as_one(module: str) -> None:
    """Compiled, a value in the body of an exception class is found only if it is a ClassVar."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Error", "NotYet")):
            assert not [each for each in node.body if isinstance(each, ast.Assign)], node.name
