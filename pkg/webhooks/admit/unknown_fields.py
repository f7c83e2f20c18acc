"""Warns of fields of a job that the kind's schema does not know: the API server would drop them, or refuse the job."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pkg.apis.flow.v1alpha1 import raw, variables
from pkg.apis.flow.v1alpha1.faults import MAX_FAULTS, Fault
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.schema import Key, Node, Schema, Type
from pkg.apis.flow.v1alpha1.types import WorkTemplateSpec
from pkg.apis.meta import GVR

# A similar name is looked for among all fields of the object, so only for the first unknown ones.
_MAX_SUGGESTIONS: Final = 10
#: So many values of patches are compared with schemas. Flows after that are passed over.
MAX_VALUES: Final = 20_000


def of_template(spec: WorkTemplateSpec, schema: Schema, root: str = "spec") -> Iterator[Fault]:
    """The fields of jobSpec that the kind does not have. root: the path of the template's spec."""
    try:
        tree = spec.job_spec
    except raw.RawError:
        return  # a fault of the template
    walk = _Walk(schema, spec.gvr.gvr)
    yield from walk.below(tree, ("spec",), f"{root}.jobSpec")


def of_patches(reading: Reading, schemas: dict[str, Schema]) -> Iterator[Fault]:
    """The fields of patches that the kind of the flow's template does not have. schemas: by name of the template."""
    walks: dict[str, _Walk] = {}
    left = MAX_VALUES
    for at, flow in enumerate(reading.spec.flows):
        name = flow.template_name
        if raw.is_empty(flow.raw_patch) or name not in schemas or name not in reading.templates or left < 0:
            continue
        if name not in walks:
            walks[name] = _Walk(schemas[name], reading.templates[name].spec.gvr.gvr)
        try:
            patch = flow.patch
        except raw.RawError:
            continue  # a fault of the flow
        before = walks[name].looked_at
        for tree, keys, path in _places(patch, f"spec.flows[{at}].patch"):
            yield from walks[name].below(tree, keys, path)
        left -= walks[name].looked_at - before


def _places(patch: Any, path: str) -> Iterator[tuple[Any, tuple[Key, ...], str]]:
    """The trees of a patch, with the place in the job where each goes and its path in the patch."""
    if isinstance(patch, dict):
        for key, value in patch.items():
            if key not in ("metadata", "spec"):
                yield {key: value}, ("spec",), path
            elif key == "spec" and isinstance(value, dict) and "jobSpec" in value:
                yield value["jobSpec"], ("spec",), f"{path}.spec.jobSpec"
                yield {other: inner for other, inner in value.items() if other != "jobSpec"}, ("spec",), f"{path}.spec"
            else:
                yield value, (key,), f"{path}.{key}"
        return
    for at, step in enumerate(patch if isinstance(patch, list) else ()):
        pointer = step.get("path") if isinstance(step, dict) else None
        if not isinstance(pointer, str) or step.get("op") not in ("add", "replace"):
            continue
        tree = step.get("value")
        keys = [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]
        # The pointer as a tree, so that its own keys are looked at as well. In a list the position does not matter.
        for key in reversed(keys[1:]):
            tree = [tree] if key == "-" or key.isdigit() else {key: tree}
        if keys:
            yield tree, (keys[0],), f"{path}[{at}]"


class _Walk:
    """Compares trees with one schema, and counts the values that it has looked at."""

    def __init__(self, schema: Schema, gvr: GVR) -> None:
        self._schema = schema
        self._gvr = gvr
        self._suggested = 0
        self.looked_at = 0

    def below(self, tree: Any, keys: Iterable[Key], path: str) -> Iterator[Fault]:
        """The unknown fields of a tree that goes to a place of the object. Needs no stack."""
        node: Node | None = self._schema.root
        for key in keys:
            node = self._schema.below(node, key) if node is not None else None
        stack: list[tuple[variables.Trail, Any, Node | None]] = [((None, path), tree, node)]
        found = 0
        while stack:
            trail, value, node = stack.pop()
            self.looked_at += 1
            if node is None:
                continue
            if isinstance(value, dict) and node.type in (Type.OBJECT, Type.ANY):
                inner = []
                for key, child in value.items():
                    below = self._schema.below(node, key)
                    if below is not None:
                        inner.append(((trail, key), child, below))
                    elif node.is_closed and "{{" not in key and found < 2 * MAX_FAULTS:
                        found += 1
                        yield Fault(variables.show((trail, key)), self._message(key, node))
                stack.extend(reversed(inner))
            elif isinstance(value, list) and node.type is Type.ARRAY:
                item = self._schema.below(node, 0)
                stack.extend(((trail, at), child, item) for at, child in reversed(list(enumerate(value))))

    def _message(self, key: str, node: Node) -> str:
        near: list[str] = []
        if self._suggested < _MAX_SUGGESTIONS:
            self._suggested += 1
            lower = {name.lower(): name for name in node.fields}
            near = [lower[name] for name in difflib.get_close_matches(key[:64].lower(), lower, n=1, cutoff=0.7)]
        hint = f'; did you mean "{near[0]}"?' if near else ""
        return f"{self._gvr.resource} of {self._gvr.api_version} have no such field{hint}"
