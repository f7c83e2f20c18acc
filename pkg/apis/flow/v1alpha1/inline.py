"""Templates that stand in the flows of a Workflow (`templateSpec`), as the WorkTemplates that they are used like.

The people behind such a template are those behind its Workflow.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import msgspec

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplate
from pkg.apis.meta import ObjectMeta


def inline_templates(owner: ObjectMeta, spec: WorkflowSpec) -> Mapping[str, WorkTemplate]:
    """The templates in the flows of a workflow, by `Flow.template_name`. owner: metadata of the workflow.

    Their generation is a number that another spec has not, so that what is made of a template is kept as long as it is
    the same.
    """
    found: dict[str, WorkTemplate] = {}
    notes = {name: text for name, text in owner.annotations.items() if name in people.ANNOTATIONS}
    for flow in spec.flows:
        if flow.template_spec is None:
            continue
        meta = ObjectMeta(
            name=flow.template_name,
            namespace=owner.namespace,
            uid=owner.uid,
            generation=zlib.crc32(msgspec.json.encode(flow.template_spec)),
            annotations=notes,
        )
        found[flow.template_name] = WorkTemplate(metadata=meta, spec=flow.template_spec)
    return found


def is_inline(template: WorkTemplate) -> bool:
    """Whether a template stands in a flow."""
    return template.metadata.name.endswith(".templateSpec")
