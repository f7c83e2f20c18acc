"""Who is behind an object, and whether they may have what it would create: the webhook's side.

The controller asks again before it creates a job, so silence of the API server refuses nothing here. What is said at
admission are early words for the person who applies a manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from pkg.apis.flow.v1alpha1 import cron_faults, people
from pkg.apis.flow.v1alpha1.object_rights import name_alone, name_in, questions
from pkg.apis.flow.v1alpha1.people import ANNOTATIONS, Behind, PeopleFault, Question
from pkg.apis.flow.v1alpha1.types import (
    CRONWORKFLOWS,
    WORKFLOWS,
    Action,
    CronWorkflow,
    Workflow,
    WorkflowSpec,
    WorkTemplate,
    WorkTemplateSpec,
)
from pkg.apis.flow.v1alpha1.updates import is_free_edit
from pkg.apis.meta import GVR, ObjectMeta, OwnerReference, PartialObject
from pkg.controllers.engine.access_cache import Authorize
from pkg.controllers.engine.access_reviews import AccessReviews
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, NotFound
from pkg.webhooks.admit import objects
from pkg.webhooks.admit import stamp as stamps
from pkg.webhooks.admit.stamp import Owner, Stamp
from pkg.webhooks.review import ALLOWED, Answer, Operation, Request

PATIENCE: Final = 2.0
"""Seconds that a request waits for answers about rights."""
MAX_SENTENCES: Final = 5
MAX_QUESTIONS: Final = 100
_FORBIDDEN: Final = 403
_GVRS: Final[Mapping[str, GVR]] = {"Workflow": WORKFLOWS, "CronWorkflow": CRONWORKFLOWS}
_ADVICE: Final = "ask for the right, or let somebody who has it apply this"

#: The people of the Workflow or CronWorkflow in that namespace.
Owners = Callable[[str, OwnerReference], Owner]


class Authorizer:
    """The people of `handlers.Handlers`. Thread-safe; no input makes it raise.

    controller: the user name of the controller's account; owners: finds what owns a new object;
    find(namespace, name): a WorkTemplate, None if it is not known.
    """

    def __init__(
        self,
        mode: Authorize,
        reviews: AccessReviews,
        *,
        controller: str,
        owners: Owners,
        find: Callable[[str, str], WorkTemplate | None],
        patience: float = PATIENCE,
    ) -> None:
        self._mode = mode
        self._reviews = reviews
        self._controller = controller
        self._owners = owners
        self._find = find
        self._patience = patience

    def stamp(self, request: Request, /) -> tuple[Mapping[str, Any], ...]:
        """The steps of a JSON Patch that record in the object who created and edited it."""
        return stamps.steps(request, self._wanted(request))

    def judge(self, request: Request, /) -> Answer:
        """Whether the object records the right people, and whether they may create what it would create."""
        wanted = self._wanted(request)
        if wrong := stamps.mismatch(request, wanted):
            return Answer(False, wrong, _FORBIDDEN)
        if self._mode is Authorize.OFF or not wanted.is_edit or request.person.username == self._controller:
            return ALLOWED
        notes = {name: text for name in ANNOTATIONS if (text := wanted.values[name]) is not None}
        try:
            if request.kind == "WorkTemplate":
                return self._template(request, notes)
            return self._cron(request, notes) if request.kind == "CronWorkflow" else self._workflow(request, notes)
        except PeopleFault as error:
            return Answer(False, str(error), _FORBIDDEN)

    def _wanted(self, request: Request) -> Stamp:
        reference = stamps.owner_of(request, self._controller)
        owner = self._owners(request.namespace, reference) if reference is not None else None
        return stamps.stamp(request, self._controller, owner)

    def _template(self, request: Request, notes: Mapping[str, str]) -> Answer:
        found = objects.read(request.object or b"", WorkTemplate)
        if not isinstance(found, WorkTemplate):
            return ALLOWED
        behind = people.behind_template(notes, found.metadata.name)
        own = _of_template(behind, found.spec, request.namespace, name_alone(found.spec))
        return self._answer(own, {}, is_refusing=True)

    def _workflow(self, request: Request, notes: Mapping[str, str]) -> Answer:
        found = objects.read(request.object or b"", Workflow)
        if not isinstance(found, Workflow):
            return ALLOWED
        behind = people.behind_workflow(notes, found.metadata.name or found.metadata.generate_name)
        return self._of_flows(behind, found.spec, found.metadata, request, self._may_refuse(request, found))

    def _cron(self, request: Request, notes: Mapping[str, str]) -> Answer:
        """As for the Workflows that it makes: their jobs are made with the rights of these people."""
        found = objects.read(request.object or b"", CronWorkflow)
        spec = cron_faults.template_spec(found.spec) if isinstance(found, CronWorkflow) else None
        if not isinstance(found, CronWorkflow) or not isinstance(spec, WorkflowSpec):
            return ALLOWED
        behind = people.behind_workflow(notes, found.metadata.name or found.metadata.generate_name, "CronWorkflow")
        return self._of_flows(behind, spec, ObjectMeta(namespace=request.namespace), request, is_refusing=True)

    def _of_flows(
        self, behind: Sequence[Behind], workflow: WorkflowSpec, meta: ObjectMeta, request: Request, is_refusing: bool
    ) -> Answer:
        """Whether these people may create what the flows of a workflow create."""
        templates = {name: self._find(request.namespace, name) for name in workflow.template_names}
        own: dict[Question, Behind] = {}
        others: dict[Question, Behind] = {}
        seen: set[tuple[str, str]] = set()
        for flow in workflow.flows:
            template = templates.get(flow.template_name)
            spec = flow.template_spec or (template.spec if template is not None else None)
            if spec is None:
                continue
            name = name_in(workflow, meta, flow, spec) if spec.action is not Action.CREATE else ""
            if (flow.template_name, name) in seen:
                continue  # thousands of flows may have one template
            seen.add((flow.template_name, name))
            own.update(_of_template(behind, spec, request.namespace, name))
            if template is not None:
                others.update(_of_template(_behind_known(template), spec, request.namespace, name))
        others = {question: who for question, who in others.items() if question not in own}
        return self._answer(own, others, is_refusing=is_refusing)

    def _may_refuse(self, request: Request, new: Workflow) -> bool:
        """Whether the request changes what runs. Who lost a right may still suspend or stop what they began."""
        if request.operation is Operation.CREATE:
            return True
        old = objects.read(request.old_object or b"", Workflow)
        if not isinstance(old, Workflow):
            return True
        return new.spec.restart != old.spec.restart or not is_free_edit(old.spec, new.spec)

    def _answer(
        self, own: Mapping[Question, Behind], others: Mapping[Question, Behind], *, is_refusing: bool
    ) -> Answer:
        asked = dict(list({**own, **others}.items())[:MAX_QUESTIONS])
        answers = self._reviews.answers(asked, self._patience)
        missing = [question for question, answer in answers.items() if answer is False]
        warnings = [
            f"{_refusal(others[question], question)}: its jobs will wait" for question in missing if question not in own
        ]
        refused = [_refusal(own[at], at) for at in missing if at in own]
        if silent := [question for question, answer in answers.items() if answer is None]:
            first = silent[0]
            warnings.append(
                f"whether {first.person.shown} may {first.verb} {first.group_resource} in namespace {first.namespace}"
                " could not be asked in time; the controller asks before it creates a job"
            )
        if refused and is_refusing and self._mode is Authorize.ENFORCE:
            return Answer(False, f"{_some(refused)}. To go on, {_ADVICE}", _FORBIDDEN, tuple(warnings[:MAX_SENTENCES]))
        warnings = [*(f"{sentence}: its jobs will wait" for sentence in refused), *warnings]
        return Answer(True, warnings=tuple(warnings[:MAX_SENTENCES])) if warnings else ALLOWED


def _of_template(
    behind: Iterable[Behind], template: WorkTemplateSpec, namespace: str, name: str
) -> dict[Question, Behind]:
    """What to ask about people for a template; nothing where the name of the object it means is not known yet."""
    if template.action is not Action.CREATE and not name:
        return {}
    return questions(behind, template.gvr.gvr, namespace, template.action, name)


def _behind_known(template: WorkTemplate) -> tuple[Behind, ...]:
    """Who is behind a template, as far as it is known: the controller says what is wrong with the rest."""
    try:
        return people.behind_template(template.metadata.annotations, template.metadata.name)
    except PeopleFault:
        return ()


def _refusal(behind: Behind, question: Question) -> str:
    return people.refusal(behind, question.group_resource, question.namespace, question.verb, question.name)


def _some(sentences: list[str]) -> str:
    more = f"; and {len(sentences) - MAX_SENTENCES} more" if len(sentences) > MAX_SENTENCES else ""
    return "; ".join(sentences[:MAX_SENTENCES]) + more


class LiveOwners:
    """Asks the API server for what owns a new object. Only the controller makes such objects."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, namespace: str, reference: OwnerReference) -> Owner:
        what, gvr = f"{reference.kind} {reference.name}", _GVRS[reference.kind]
        try:
            meta = self._client.get(gvr, namespace, reference.name, PartialObject, metadata_only=True).metadata
        except NotFound:
            return Owner(fault=f"{what}, which owns it, does not exist")
        except KubeError as error:
            return Owner(fault=f"{what}, which owns it, cannot be read: {error}")
        if meta.uid != reference.uid:
            return Owner(fault=f"the {what} that owns it was deleted; another one has its name now")
        if meta.is_deleting:
            return Owner(fault=f"{what}, which owns it, is being deleted")
        return Owner(meta.annotations)
