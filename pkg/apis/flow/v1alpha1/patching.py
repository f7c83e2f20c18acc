"""Patches of a flow: JSON Patch (a list of steps), or a merge patch (an object) that merges lists by a key.

A patch is applied to the object `{metadata: {labels, annotations}, spec}` that the template gives. Validation applies
patches too, which is why this is here and not beside the renderer.
"""

from __future__ import annotations

import re
from typing import Any, Final

import jsonpatch
import jsonpointer

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.bare import KEYS
from pkg.apis.flow.v1alpha1.merging import MergeError, merge_object
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Schema
from pkg.apis.flow.v1alpha1.substitution import TEXT, Places, Values, substitute
from pkg.apis.flow.v1alpha1.variables import Trail, cut, show

OPS: Final = ("add", "remove", "replace", "move", "copy", "test")
#: Steps of one patch.
MAX_STEPS: Final = 2_000
#: Bytes that the steps of one patch may copy: a step that copies what an earlier one copied doubles it.
MAX_COPIED: Final = 2_000_000
#: Items of lists that the steps of one patch may move: a step that inserts or removes one moves all items behind it.
MAX_SHIFTED: Final = 20_000_000
_BAD_ESCAPE: Final = re.compile(r"~(?![01])")
# What the library raises for a step that cannot be applied. A few odd paths make it raise plain Python errors.
_INAPPLICABLE: Final = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    AttributeError,
    LookupError,
    OverflowError,
    TypeError,
    ValueError,
)


class PatchError(ValueError):
    """A patch that does not apply; `path` is relative to the patch, such as `[2].path`, and `value` what is there."""

    def __init__(self, path: str, value: Any, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.value = value
        self.message = message

    @property
    def place(self) -> str:
        """The path as it follows the word `patch`: `[2].path`, `.spec.containers`, or nothing."""
        return self.path if self.path.startswith("[") or not self.path else f".{self.path}"


def faults(patch: Any) -> list[PatchError]:
    """What is wrong with the form of a patch, without applying it."""
    if patch is None or isinstance(patch, dict):
        return []
    if not isinstance(patch, list):
        return [PatchError("", patch, "a patch is an object (merge patch) or a list (JSON Patch)")]
    found: list[PatchError] = []
    if len(patch) > MAX_STEPS:
        message = f"{len(patch):,} steps; at most {MAX_STEPS:,} are allowed: use a merge patch, or change the template"
        found.append(PatchError("", "", message))
    for at, step in enumerate(patch):
        if isinstance(step, dict):
            found.extend(_step_faults(f"[{at}]", step))
        else:
            found.append(PatchError(f"[{at}]", step, 'a step of a JSON Patch is an object such as {"op": "add", ...}'))
    return found


def _step_faults(place: str, step: dict[str, Any]) -> list[PatchError]:
    found: list[PatchError] = []
    op = step.get("op")
    if op not in OPS:
        found.append(PatchError(f"{place}.op", op, f"op must be one of {', '.join(OPS)}"))
    keys = ("path", "from") if op in ("move", "copy") else ("path",)
    for key in keys:
        pointer = step.get(key)
        if not isinstance(pointer, str):
            found.append(PatchError(f"{place}.{key}", pointer, f'{key} must be a JSON pointer such as "/spec/suspend"'))
        elif fault := _pointer_fault(pointer):
            found.append(PatchError(f"{place}.{key}", pointer, fault))
    if op in ("add", "replace", "test") and "value" not in step:
        found.append(PatchError(f"{place}.value", None, f"op {op} needs a value"))
    return found


def _pointer_fault(pointer: str) -> str:
    if pointer and not pointer.startswith("/"):
        return f'a JSON pointer begins with "/": write "/{cut(pointer).replace(".", "/")}"'
    if _BAD_ESCAPE.search(pointer):
        return 'in a JSON pointer "~" is written "~0" and "/" inside a key "~1"'
    first = pointer[1:].split("/", 1)[0]
    if pointer and "{{" not in first and first not in ("metadata", "spec") and first not in KEYS:
        return (
            f'a patch is written against {{metadata, spec}}: write "/spec{cut(pointer)}", or a path under "/metadata"'
        )
    return ""


def apply(target: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The object `{metadata, spec}` after a patch; both arguments may be changed and must not be used again.

    Raises PatchError where the patch does not apply, where the result is no `{metadata, spec}` of objects, and where it
    is nested more than raw.MAX_DEPTH levels deep.
    """
    if patch is None:
        return target
    if isinstance(patch, list):
        patched = _apply_steps(target, patch)
        if raw.is_too_deep(patched):
            raise PatchError("", "", f"the patched object is {raw.TOO_DEEP}")
    elif isinstance(patch, dict):
        _refuse_directives(patch)
        try:
            patched = merge_object(target, _aligned(patch))
        except MergeError as error:
            raise PatchError(error.path, error.value, error.message) from error
        except RecursionError as error:
            raise PatchError("", "", raw.TOO_DEEP) from error
    else:
        raise faults(patch)[0]
    return _checked(patched)


# Of a strategic merge patch, as kubectl and kustomize know it.
_DIRECTIVES: Final = ("$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")


def _refuse_directives(patch: dict[str, Any]) -> None:
    """Raises PatchError for a directive of a strategic merge patch: it would become a field of the job, or be dropped,
    and what it is to delete would stay.
    """
    left: list[tuple[Any, Trail]] = [(patch, (None, ""))]  # a list, not recursion: a patch may be nested deeply
    while left:
        value, trail = left.pop()
        if isinstance(value, list):
            left.extend((item, (trail, at)) for at, item in enumerate(value) if isinstance(item, dict | list))
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key.startswith("$") and key.startswith(_DIRECTIVES):
                    message = (
                        f'"{cut(key)}" belongs to a strategic merge patch, which this is not: null deletes a field, and'
                        " a JSON Patch removes or replaces an item or a list: [{op: remove, path: /spec/...}]"
                    )
                    raise PatchError(show((trail, key)), inner, message)
                if isinstance(inner, dict | list):
                    left.append((inner, (trail, key)))


def apply_bare(target: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The same for a kind without `.spec`: `spec` holds its own keys, and `/data/x` of a JSON Patch is one of these."""
    if isinstance(patch, list):
        patch = [_into_spec(step) if isinstance(step, dict) else step for step in patch]
    return apply(target, patch)


def _into_spec(step: dict[str, Any]) -> dict[str, Any]:
    moved = dict(step)
    for key in ("path", "from"):
        pointer = moved.get(key)
        if isinstance(pointer, str) and pointer.startswith("/") and pointer[1:].split("/", 1)[0] in KEYS:
            moved[key] = f"/spec{pointer}"
    return moved


def _apply_steps(target: dict[str, Any], steps: list[Any]) -> Any:
    malformed = faults(steps)
    if malformed:
        raise malformed[0]
    work = _Work()
    for at, step in enumerate(steps):
        try:
            work.add(target, step, at)
            target = jsonpatch.apply_patch(target, [step], in_place=True)
        except PatchError:
            raise
        except jsonpatch.JsonPatchTestFailed as error:
            message = f"the test at {cut(step['path'])!r} does not hold"
            raise PatchError(f"[{at}]", step["path"], message) from error
        except RecursionError as error:
            raise PatchError(f"[{at}]", step["path"], f"the patched object is {raw.TOO_DEEP}") from error
        except _INAPPLICABLE as error:
            message = f"cannot {step['op']} {cut(step['path'])!r}: {_briefly(error)}"
            raise PatchError(f"[{at}]", step["path"], message) from error
    return target


class _Work:
    """Counts what the steps of one patch make the library do, and ends a patch that asks for too much."""

    def __init__(self) -> None:
        self.copied = 0
        self.moved = 0
        self.shifted = 0

    def add(self, target: Any, step: dict[str, Any], at: int) -> None:
        """Counts one step before it is applied to `target`, and ends a patch whose result would be nested too deep."""
        op = step["op"]
        if op == "copy":
            self.copied += len(raw.encode(jsonpointer.resolve_pointer(target, step["from"])))
            if self.copied > MAX_COPIED:
                message = f"the patch copies more than {MAX_COPIED:,} bytes in all; copy less"
                raise PatchError(f"[{at}].from", step["from"], message)
        levels = step["path"].count("/")
        placed = step.get("value") if op in ("add", "replace") else None
        if op == "copy" or (op == "move" and levels > step["from"].count("/")):
            placed = jsonpointer.resolve_pointer(target, step["from"])
        if op == "move" and placed is not None:
            self.moved += len(raw.encode(placed))
            if self.moved > MAX_COPIED:
                message = f"the patch moves more than {MAX_COPIED:,} bytes to deeper places in all; move less"
                raise PatchError(f"[{at}].from", step["from"], message)
        if isinstance(placed, dict | list) and raw.is_too_deep(placed, max(0, raw.MAX_DEPTH - levels)):
            raise PatchError(f"[{at}]", step["path"], f"the patched object is {raw.TOO_DEEP}")
        for key in _SHIFTING.get(op, ()):
            self.shifted += _items_behind(target, step[key])
        if self.shifted > MAX_SHIFTED:
            message = f"the patch moves more than {MAX_SHIFTED:,} items of lists in all; replace the whole list"
            raise PatchError(f"[{at}].path", step["path"], message)


# The pointers of a step to places where an item may be inserted or removed.
_SHIFTING: Final = {"add": ("path",), "copy": ("path",), "remove": ("path",), "move": ("from", "path")}


def _items_behind(target: Any, pointer: str) -> int:
    """How many items of a list are behind the one that the pointer leads to; 0 outside of lists."""
    parent, _, last = pointer.rpartition("/")
    if not (last.isascii() and last.isdigit() and len(last) < 10):
        return 0
    found = jsonpointer.resolve_pointer(target, parent, None)
    return max(0, len(found) - int(last)) if isinstance(found, list) else 0


def _briefly(error: Exception) -> str:
    """What the library says without the object that it prints, which may be long and hold secrets."""
    what, found, _ = str(error).partition(" not found in ")
    return f"{cut(what)} is not there" if found else cut(what)


def fill(patch: Any, values: Values, path: str, schema: Schema | None = NO_SCHEMA) -> Any:
    """A copy of a patch with its variables replaced; each value gets the type of the place where it goes.

    Raises variables.VariableError with a place below `path`, and substitution.SchemaNeeded if `schema` is None.
    """
    if not isinstance(patch, list):
        return substitute(patch, values, path, Places(schema, is_merge_patch=True))
    return [
        _fill_step(step, values, f"{path}[{at}]", schema) if isinstance(step, dict) else step
        for at, step in enumerate(patch)
    ]


def _fill_step(step: dict[str, Any], values: Values, path: str, schema: Schema | None) -> dict[str, Any]:
    others = {key: value for key, value in step.items() if key != "value"}
    filled: dict[str, Any] = substitute(others, values, path, TEXT)
    if "value" in step:
        keys = tuple(key.replace("~1", "/").replace("~0", "~") for key in str(filled.get("path")).split("/")[1:])
        filled["value"] = substitute(step["value"], values, f"{path}.value", Places(schema, keys))
    return filled


def _checked(patched: Any) -> dict[str, Any]:
    if not isinstance(patched, dict):
        raise PatchError("", patched, "the patch leaves no object {metadata, spec}")
    for key in patched:
        if key not in ("metadata", "spec"):
            raise PatchError("", key, f"the patch adds {cut(key)!r} beside metadata and spec")
    for key in ("metadata", "spec"):
        if not isinstance(patched.get(key), dict):
            raise PatchError("", patched.get(key), f"the patch leaves no object under {key!r}")
    for key in ("labels", "annotations"):
        part = patched["metadata"].setdefault(key, {})
        if part is None:
            patched["metadata"][key] = {}
        elif not isinstance(part, dict):
            raise PatchError(f"metadata.{key}", part, f"the patch leaves no map under metadata.{key}")
    return patched


def _aligned(patch: dict[str, Any]) -> dict[str, Any]:
    """A merge patch of `{metadata, spec}`: `spec.jobSpec` is read as `spec`, other top-level keys as keys of it."""
    others = {key: value for key, value in patch.items() if key not in ("metadata", "spec")}
    spec = _object(patch, "spec")
    spec = merge_object(spec, others, keep_null=True) if others else spec
    if "jobSpec" in spec:
        rest = {key: value for key, value in spec.items() if key != "jobSpec"}
        spec = merge_object(rest, _object(spec, "jobSpec"), keep_null=True)
    aligned = {"spec": spec}
    if "metadata" in patch:
        aligned["metadata"] = _object(patch, "metadata")
    return aligned


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise PatchError(key, value, f"{key} in a merge patch must be an object")
    return value
