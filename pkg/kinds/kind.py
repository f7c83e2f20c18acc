"""What is known of one kind of objects."""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Schema
from pkg.apis.flow.v1alpha1.types import Completion
from pkg.workloads import KindRow


@dataclass(frozen=True, slots=True)
class Kind:
    """A served kind. `refused` says why no job of it can be created; has_status: it has the subresource `status`;
    schema: the types of the places in its objects, None while they are not known; has_spec: they have a `.spec`.
    """

    kind: str
    row: KindRow
    refused: str = ""
    has_status: bool = True
    schema: Schema | None = NO_SCHEMA
    has_spec: bool = True

    @property
    def completion(self) -> Completion:
        """When a job of the kind is done, unless its template says otherwise: as its row says, and as soon as it is
        there for a kind without a row whose objects have no status.
        """
        has_any = self.has_status or self.schema is None or self.schema.has_status
        return self.row.completion if self.row.resource or has_any else Completion.CREATED
