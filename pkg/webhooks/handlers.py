"""Composes what the webhook answers: `validate` judges, `mutate` writes defaults out and records who edits.

Both are called by many threads at once, and wait for nothing: what is known of templates and kinds comes from caches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pkg.apis.flow.v1alpha1.approvals import creation_faults
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.schema import Schema
from pkg.apis.flow.v1alpha1.types import CronWorkflow, Workflow, WorkflowSpec, WorkTemplate
from pkg.apis.meta import GVR
from pkg.webhooks.admit import approvals, crons, defaults, objects, scheduled, templates, words, workflows
from pkg.webhooks.review import ALLOWED, Answer, Operation, Request

_INVALID: Final = 422


@dataclass(frozen=True, slots=True)
class FoundTemplates:
    """Templates by name. missing: names of templates that do not exist; empty while that is not known."""

    found: Mapping[str, TemplateEdges] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


class Catalogue(Protocol):
    """What is known of the cluster. Thread-safe. It asks the API server nothing while a request waits."""

    def templates(self, namespace: str, names: frozenset[str], /) -> FoundTemplates: ...

    def schema(self, gvr: GVR, /) -> Schema | None:
        """The schema of a kind; None if it is not known, or there is none."""


class People(Protocol):
    """Who may do what. Thread-safe."""

    def stamp(self, request: Request, /) -> tuple[Mapping[str, Any], ...]:
        """The steps of a JSON Patch that record in the object who created and edited it."""

    def judge(self, request: Request, /) -> Answer:
        """Whether the person may have what the object would create; with warnings."""


class Nobody:
    """No record of people, and no questions about them."""

    def stamp(self, _request: Request, /) -> tuple[Mapping[str, Any], ...]:
        return ()

    def judge(self, _request: Request, /) -> Answer:
        return ALLOWED


class EmptyCatalogue:
    """Nothing is known."""

    def templates(self, _namespace: str, _names: frozenset[str], /) -> FoundTemplates:
        return FoundTemplates()

    def schema(self, _gvr: GVR, /) -> Schema | None:
        return None


class Handlers:
    """The handlers of /validate and /mutate. Thread-safe; no input makes them raise."""

    def __init__(self, catalogue: Catalogue, people: People, *, clock: Callable[[], float] = time.time) -> None:
        self._catalogue = catalogue
        self._people = people
        self._clock = clock

    def mutate(self, request: Request) -> Answer:
        """Defaults where they are missing, and the record of people, also of those who approve. Never refuses."""
        if request.object is None or request.subresource or request.operation is Operation.DELETE:
            return ALLOWED
        steps = (*self._people.stamp(request), *approvals.steps(request, self._clock()))
        if not objects.is_settled(request.object, request.old_object):
            steps = (*defaults.default_steps(request.kind, request.object), *steps)
        return Answer(allowed=True, patch=steps) if steps else ALLOWED

    def validate(self, request: Request) -> Answer:
        """Every fault of the object in words, else the first word of people, with warnings."""
        if request.subresource:
            return ALLOWED
        if request.operation is Operation.DELETE:
            return self._delete(request)
        if request.object is None:
            return ALLOWED
        if request.kind == "Workflow" and (wrong := scheduled.annotation_fault(request)) is not None:
            return Answer(False, words.refusal(request.kind, request.name, Faults([wrong])), _INVALID)
        if objects.is_settled(request.object, request.old_object):
            return self._people.judge(request)  # annotations may have changed
        approved = ALLOWED
        if request.kind == "Workflow":
            faults, warnings, approved = self._workflow(request)
        else:
            faults, warnings = self._template(request) if request.kind == "WorkTemplate" else self._cron(request)
        told = words.warnings(warnings)
        if faults:
            return Answer(False, words.refusal(request.kind, request.name, faults), _INVALID, told)
        judged = self._people.judge(request) if approved.allowed else approved
        return Answer(judged.allowed, judged.message, judged.code, (*told, *approved.warnings, *judged.warnings))

    def _delete(self, request: Request) -> Answer:
        if request.kind != "WorkTemplate" or request.old_object is None:
            return ALLOWED
        old = objects.read(request.old_object, WorkTemplate)
        if isinstance(old, Faults):
            return ALLOWED
        return Answer(allowed=True, warnings=words.warnings(templates.deletion_warnings(old)))

    def _template(self, request: Request) -> tuple[Faults, Faults]:
        found = objects.read(request.object or b"", WorkTemplate)
        if isinstance(found, Faults):
            return found, Faults()
        faults = templates.template_faults(found.spec)
        if faults:
            return faults, Faults()
        return faults, templates.template_warnings(found.spec, self._catalogue.schema(found.spec.gvr.gvr))

    def _workflow(self, request: Request) -> tuple[Faults, Faults, Answer]:
        """Faults, warnings, and the verdict on the approvals that the request gives."""
        found = objects.read(request.object or b"", Workflow)
        if isinstance(found, Faults):
            return found, Faults(), ALLOWED
        before: workflows.Before | None = None
        approved = ALLOWED
        if request.old_object is not None:
            old = objects.read(request.old_object, Workflow)
            # One that cannot be read was stored by another version: the new object is judged by itself.
            if isinstance(old, Workflow):
                before = workflows.before(old)
                approved = approvals.judge(request, old, found, self._clock())
        around = self._around(request.namespace, found.spec)
        judgement = workflows.Judgement(found.spec, found.metadata, around, before)
        faults = judgement.faults()
        if request.operation is Operation.CREATE:
            faults += Faults(creation_faults(found.spec))
        return faults, judgement.missing() if faults else judgement.warnings(), approved

    def _cron(self, request: Request) -> tuple[Faults, Faults]:
        found = objects.read(request.object or b"", CronWorkflow)
        if isinstance(found, Faults):
            return found, Faults()
        workflow = crons.read_template(found)
        around = workflows.Around() if isinstance(workflow, Faults) else self._around(request.namespace, workflow)
        judgement = crons.CronJudgement(found, workflow, around)
        faults = judgement.faults()
        return faults, judgement.missing() if faults else judgement.warnings()

    def _around(self, namespace: str, spec: WorkflowSpec) -> workflows.Around:
        known = self._catalogue.templates(namespace, frozenset(spec.template_names))
        by_kind: dict[GVR, Schema | None] = {}
        schemas: dict[str, Schema] = {}
        kinds = {name: template.spec.gvr.gvr for name, template in known.found.items()}
        kinds |= {flow.template_name: flow.template_spec.gvr.gvr for flow in spec.flows if flow.template_spec}
        for name, gvr in kinds.items():
            if gvr not in by_kind:
                by_kind[gvr] = self._catalogue.schema(gvr)
            schema = by_kind[gvr]
            if schema is not None:
                schemas[name] = schema
        return workflows.Around(known.found, known.missing, schemas=schemas)
