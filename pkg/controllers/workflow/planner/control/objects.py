"""What a task of action Apply or Delete does first: it applies its object, or finds the one that it deletes."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.inline import is_inline
from pkg.apis.flow.v1alpha1.people import Behind, PeopleFault
from pkg.apis.flow.v1alpha1.types import Action, Completion, Workflow, WorkTemplate
from pkg.controllers.workflow.planner.actions import ForeignAction
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.snapshot import Snapshot


def foreign_action(snapshot: Snapshot, node: Node, template: WorkTemplate) -> ForeignAction | None:
    """What the call of an attempt is, besides name and body; None for a job of our own."""
    spec = template.spec
    if spec.action is Action.CREATE:
        return None
    completion = snapshot.completion(node.flow.template_name, spec.gvr.gvr)
    return ForeignAction(
        spec.action,
        force=spec.force,
        needs_watch=spec.action is Action.DELETE or completion is not Completion.CREATED,
        is_indexed=node.is_indexed,
        behind=_behind(snapshot.workflow, template),
    )


def _behind(workflow: Workflow, template: WorkTemplate) -> tuple[Behind, ...]:
    """The people whose rights the call needs, each once. None where they are not known: where rights are asked for,
    such a template is barred.
    """
    meta = template.metadata
    try:
        found = people.behind_workflow(workflow.metadata.annotations, workflow.metadata.name)
        if not is_inline(template):
            found = (*found, *people.behind_template(meta.annotations, meta.name))
    except PeopleFault:
        return ()
    return tuple({one.person: one for one in reversed(found)}.values())
