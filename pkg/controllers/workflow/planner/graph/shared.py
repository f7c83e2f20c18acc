"""Workflows with equal specs share one spec, its hash and its graph: compiled once, and in memory once.

Runs of one schedule, or of one script, mostly have equal specs. What is shared lives as long as a workflow uses it.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from pkg.apis.flow.v1alpha1 import cost
from pkg.apis.flow.v1alpha1.locks import UNDER_LOCKS
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplate, WorkTemplateSpec
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow.planner.graph.compile import Compiled, compile_spec

# Graphs of one spec: its templates were edited, or it runs in several namespaces. Above this the oldest goes.
_MAX_GRAPHS: Final = 8


class _Made(NamedTuple):
    """A graph, or the faults of the spec, and what it was made from besides the spec."""

    templates: Mapping[str, WorkTemplateSpec]
    of_metadata: tuple[object, ...]
    is_started: bool
    compiled: Compiled


class SharedSpec:
    """One spec, and what is made of it. spec_hash: of the spec."""

    __slots__ = ("__weakref__", "_made", "_spec", "spec_hash")

    def __init__(self, spec: WorkflowSpec) -> None:
        self._spec = spec
        self._made: tuple[_Made, ...] = ()
        self.spec_hash = spec_hash(spec)

    def compiled(self, templates: Mapping[str, WorkTemplate], metadata: ObjectMeta, *, is_started: bool) -> Compiled:
        """As `compile_spec`."""
        spec = self._spec
        specs = {name: template.spec for name, template in templates.items()}
        # Of the metadata its size counts, and who holds locks above; approvals count with the first generation alone.
        is_first = bool(spec.approvals) and metadata.generation == 1
        of_metadata = (cost.metadata_bytes(metadata), metadata.annotations.get(UNDER_LOCKS), is_first)
        for made in self._made:
            if made.is_started is is_started and made.of_metadata == of_metadata and made.templates == specs:
                return made.compiled
        compiled = compile_spec(spec, templates, metadata=metadata, is_started=is_started)
        # Two threads may do this at once: then one result is made again the next time.
        self._made = (*self._made[1 - _MAX_GRAPHS :], _Made(specs, of_metadata, is_started, compiled))
        return compiled


# By a digest: of runs that differ in one parameter there are many, and each would be compared with all the others.
_SHARED: Final[weakref.WeakValueDictionary[bytes, SharedSpec]] = weakref.WeakValueDictionary()


def shared_spec(spec: WorkflowSpec) -> SharedSpec:
    """What workflows with this spec share. Keep it as long as its graphs are used. Any thread may call this."""
    key = hashlib.blake2b(msgspec.json.encode(spec), digest_size=16).digest()
    found = _SHARED.get(key)
    if found is None:
        found = _SHARED[key] = SharedSpec(spec)
    return found
