"""The hash of what a spec means, by which an edit is noticed: `specHash` in status.

The number of the algorithm stands in front: `2:` and 16 hex digits. A hash without a number is of the first algorithm,
`first_spec_hash`. Change an algorithm only under a new number: a recorded hash must stay comparable.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.first_spec_hash import first_spec_hash
from pkg.apis.flow.v1alpha1.meaning import Meaning, meaning
from pkg.apis.flow.v1alpha1.types import WorkflowSpec

#: Fields that may change while a workflow runs. They are not part of the hash.
FREE: Final = ("suspend", "shutdown", "restart", "parallelism", "ttl_seconds_after_finished", "timeout", "approvals")

_ALGORITHM: Final = "2"


def spec_hash(spec: WorkflowSpec) -> str:
    """The hash of everything in a spec that must not change while the workflow runs."""
    text = msgspec.json.encode(fixed(spec), order="deterministic")
    return f"{_ALGORITHM}:{hashlib.sha256(text).hexdigest()[:16]}"


def fixed(spec: WorkflowSpec) -> Meaning:
    """The meaning of a spec without the fields that are free."""
    return {name: value for name, value in meaning(spec).items() if name not in FREE}


def is_comparable(recorded: str) -> bool:
    """Whether a recorded hash is of the algorithm of `spec_hash`, and not of an older or newer one."""
    return _algorithm(recorded) == _ALGORITHM


def is_hash_of(recorded: str, spec: WorkflowSpec) -> bool:
    """Whether a recorded hash is that of the spec, by its own algorithm.

    One of an unknown algorithm fits every spec: a newer controller recorded it.
    """
    match _algorithm(recorded):
        case "":
            return recorded in ("", first_spec_hash(spec))
        case "2":
            return recorded == spec_hash(spec)
    return True


def _algorithm(recorded: str) -> str:
    return recorded.rpartition(":")[0]
