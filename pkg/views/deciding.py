"""Adds a decision about an approval to a Workflow, also while others write to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import json

from pkg.apis.flow.v1alpha1.types import WORKFLOWS, ApprovalDecision, Workflow
from pkg.apis.meta import PartialObject
from pkg.kube.client import JSON_PATCH, Client
from pkg.kube.errors import Conflict, Refused
from pkg.views.approving import Decided, decide

_TRIES: Final = 10


def send_decision(
    client: Client,
    namespace: str,
    name: str,
    target: str,
    decision: ApprovalDecision,
    comment: str = "",
    *,
    dry_run: bool = False,
    on_warnings: Callable[[tuple[str, ...]], None] | None = None,
) -> Decided:
    """What was added about `FLOW` or `FLOW/INDEX`. Raises CannotDecide, KubeError."""
    for left in reversed(range(_TRIES)):
        found = decide(client.get(WORKFLOWS, namespace, name, Workflow), target, decision, comment)
        try:
            client.patch(
                WORKFLOWS,
                namespace,
                name,
                json.encode(found.steps),
                content_type=JSON_PATCH,
                type=PartialObject,
                metadata_only=True,
                dry_run=dry_run,
                on_warnings=on_warnings,
            )
        except (Conflict, Refused) as error:
            # Its status, or somebody else's entry: the version that is tested is another one by now.
            if not left or not (isinstance(error, Conflict) or _is_failed_test(error)):
                raise
        else:
            return found
    raise AssertionError("the last try returns or raises")


def _is_failed_test(error: Refused) -> bool:
    """Whether the API server says that the object is another one than the patch is meant for."""
    return "testing" in error.message and "path" in error.message
