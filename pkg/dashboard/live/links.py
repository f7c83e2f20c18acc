"""The arrows of one Workflow while it changes: also those that only its templates tell of. Belongs to one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplateSpec
from pkg.dashboard.model.scene import NO_LINKS, Links, links_of
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError
from pkg.views.templates import read_templates

#: Seconds after which the templates of a Workflow that has not ended are read again: they may be made after it.
AGAIN_SECONDS: Final = 30.0
Specs = Mapping[str, WorkTemplateSpec]


class LinkReader:
    """Reads the templates with the rights of `client`. Without the right to, only the Workflow itself is drawn."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._key: tuple[str, int] | None = None
        self._specs: Specs = {}
        self._read_at = 0.0
        self._links = NO_LINKS

    def of(self, workflow: Workflow) -> Links:
        """The arrows as they are now; none where the Workflow cannot be read: it is Invalid, and no task moves."""
        key = (workflow.metadata.uid, workflow.metadata.generation)
        is_over = workflow.status.phase is not None and workflow.status.phase.is_final
        is_old = not is_over and self._clock() >= self._read_at + AGAIN_SECONDS
        specs = self._specs
        if key != self._key or is_old:
            specs = self._read(workflow)
        if key != self._key or specs != self._specs:
            self._key, self._specs = key, specs
            try:
                self._links = links_of(workflow, specs)
            except RawError:
                self._links = NO_LINKS
        return self._links

    def _read(self, workflow: Workflow) -> Specs:
        self._read_at = self._clock()
        names = workflow.spec.template_names
        try:
            found = read_templates(self._client, workflow.metadata.namespace, names)
        except Forbidden:
            return {}
        except KubeError:
            return self._specs  # they are read again
        return {name: template.spec for name, template in found.items()}
