"""What the API server warned of when it created jobs: one Event per template, and a message that the flow keeps.

Most warnings name fields that the server does not know, such as misspelt ones, and drops. They come with each job again
and are reported once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.actions import Emit
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node

#: Characters of the message about one flow.
MAX_MESSAGE: Final = 512
WARNED: Final = "; the API server warned: "
"""Stands between what a job waits for and the warning in the message of its flow."""
_ADVICE: Final = " (the API server drops such fields: correct the template {0} or the patch of the flow)"
# How the API server begins its warnings about fields.
_ABOUT_FIELDS: Final = ("unknown field ", "duplicate field ")


def record(ctx: Context) -> list[Emit]:
    """Keeps with each flow what the API server said about its new jobs; the Events about what is new."""
    events: list[Emit] = []
    for number, texts in _by_flow(ctx).items():
        node, known = ctx.graph.nodes[number], ctx.draft.state(number).server_warning
        new = [text for text in texts if text not in known]
        message = _joined(known, new, node.flow.template_name)
        if message == known:
            continue
        is_reported = _is_reported(ctx, node, message)
        ctx.draft.edit(number, server_warning=message)
        if not is_reported:
            events.append(Emit(Reasons.SERVER_WARNING, f"flow {node.name}: {message}", is_warning=True))
    return events


def _by_flow(ctx: Context) -> dict[int, list[str]]:
    """The texts about the new jobs of each flow, those about fields first."""
    found: dict[int, dict[str, None]] = {}
    for key, texts in ctx.snapshot.server_warnings.items():
        if (node := ctx.node_of(key)) is not None:
            found.setdefault(node.number, {}).update(dict.fromkeys(texts))
    return {
        number: sorted(texts, key=lambda text: not text.startswith(_ABOUT_FIELDS)) for number, texts in found.items()
    }


def _joined(known: str, new: Iterable[str], template: str) -> str:
    """The message with the new texts, which come before the advice; as many of them as fit, at least a part of one."""
    advice = _ADVICE.format(template)
    texts = known.removesuffix(advice)
    for text in new:
        room = MAX_MESSAGE - len(advice) - len(texts) - 2
        if texts and len(text) > room:
            break
        texts = f"{texts}, {text}" if texts else text[: max(0, room)]
    return f"{texts}{advice}" if any(field in texts for field in _ABOUT_FIELDS) else texts


def _is_reported(ctx: Context, node: Node, message: str) -> bool:
    """Whether another flow of the template has the same message, so that there was an Event."""
    return any(
        other.flow.template_name == node.flow.template_name and ctx.draft.state(other.number).server_warning == message
        for other in ctx.graph.nodes
        if other is not node
    )
