"""What is known of one kind of objects."""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Schema
from pkg.workloads import KindRow


@dataclass(frozen=True, slots=True)
class Kind:
    """A served kind. `refused` says why no job of it can be created; has_status: it has the subresource `status`;
    schema: the types of the places in its objects, None while they are not known.
    """

    kind: str
    row: KindRow
    refused: str = ""
    has_status: bool = True
    schema: Schema | None = NO_SCHEMA
