"""The WorkTemplates that a workflow uses, as far as they exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pkg.apis.flow.v1alpha1.types import WORKTEMPLATES, WorkTemplate
from pkg.kube.client import Client
from pkg.kube.errors import NotFound
from pkg.views.paging import read_all

# Above this, the whole list is cheaper than one call for each.
_ONE_BY_ONE: Final = 10


def read_templates(client: Client, namespace: str, names: Iterable[str]) -> dict[str, WorkTemplate]:
    """Those of the templates that exist, by name. Raises KubeError."""
    wanted = sorted(set(names))
    if len(wanted) > _ONE_BY_ONE:
        every = read_all(client, WORKTEMPLATES, namespace, WorkTemplate)
        return {template.metadata.name: template for template in every if template.metadata.name in wanted}
    found = {}
    for name in wanted:
        try:
            found[name] = client.get(WORKTEMPLATES, namespace, name, WorkTemplate)
        except NotFound:
            continue
    return found
