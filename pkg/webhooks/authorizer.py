"""Who is behind an object, and whether they may have what it would create: the webhook's side.

The controller asks again before it creates a job, so silence of the API server refuses nothing here. What is said at
admission are early words for the person who applies a manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.people import ANNOTATIONS, Behind, PeopleFault, Question
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow, WorkTemplate
from pkg.apis.flow.v1alpha1.updates import is_free_edit
from pkg.apis.meta import GVR, PartialObject
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
_ADVICE: Final = "ask for the right, or let somebody who has it apply this"

#: The people of the Workflow of that namespace, name and uid.
Owners = Callable[[str, str, str], Owner]


class Authorizer:
    """The people of `handlers.Handlers`. Thread-safe; no input makes it raise.

    controller: the user name of the controller's account; owners: finds the Workflow that owns a new one;
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
            return self._workflow(request, notes)
        except PeopleFault as error:
            return Answer(False, str(error), _FORBIDDEN)

    def _wanted(self, request: Request) -> Stamp:
        reference = stamps.owner_of(request, self._controller)
        owner = self._owners(request.namespace, reference.name, reference.uid) if reference is not None else None
        return stamps.stamp(request, self._controller, owner)

    def _template(self, request: Request, notes: Mapping[str, str]) -> Answer:
        found = objects.read(request.object or b"", WorkTemplate)
        if not isinstance(found, WorkTemplate):
            return ALLOWED
        behind = people.behind_template(notes, found.metadata.name)
        return self._answer(_questions(behind, {found.spec.gvr.gvr}, request.namespace), {}, is_refusing=True)

    def _workflow(self, request: Request, notes: Mapping[str, str]) -> Answer:
        found = objects.read(request.object or b"", Workflow)
        if not isinstance(found, Workflow):
            return ALLOWED
        templates = [
            known for name in found.spec.template_names if (known := self._find(request.namespace, name)) is not None
        ]
        behind = people.behind_workflow(notes, found.metadata.name or found.metadata.generate_name)
        inline = {flow.template_spec.gvr.gvr for flow in found.spec.flows if flow.template_spec is not None}
        own = _questions(behind, {*inline, *(one.spec.gvr.gvr for one in templates)}, request.namespace)
        others: dict[Question, Behind] = {}
        for one in templates:
            others.update(_questions(_behind_known(one), {one.spec.gvr.gvr}, request.namespace))
        others = {question: who for question, who in others.items() if question not in own}
        return self._answer(own, others, is_refusing=self._may_refuse(request, found))

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
            f"{people.refusal(others[question], question.group_resource, question.namespace)}: its jobs will wait"
            for question in missing
            if question not in own
        ]
        refused = [people.refusal(own[at], at.group_resource, at.namespace) for at in missing if at in own]
        if silent := [question for question, answer in answers.items() if answer is None]:
            first = silent[0]
            warnings.append(
                f"whether {first.person.shown} may create {first.group_resource} in namespace {first.namespace} could"
                " not be asked in time; the controller asks before it creates a job"
            )
        if refused and is_refusing and self._mode is Authorize.ENFORCE:
            return Answer(False, f"{_some(refused)}. To go on, {_ADVICE}", _FORBIDDEN, tuple(warnings[:MAX_SENTENCES]))
        warnings = [*(f"{sentence}: its jobs will wait" for sentence in refused), *warnings]
        return Answer(True, warnings=tuple(warnings[:MAX_SENTENCES])) if warnings else ALLOWED


def _questions(behind: Iterable[Behind], gvrs: Iterable[GVR], namespace: str) -> dict[Question, Behind]:
    return {Question(one.person, gvr.group, gvr.resource, namespace): one for gvr in sorted(gvrs) for one in behind}


def _behind_known(template: WorkTemplate) -> tuple[Behind, ...]:
    """Who is behind a template, as far as it is known: the controller says what is wrong with the rest."""
    try:
        return people.behind_template(template.metadata.annotations, template.metadata.name)
    except PeopleFault:
        return ()


def _some(sentences: list[str]) -> str:
    more = f"; and {len(sentences) - MAX_SENTENCES} more" if len(sentences) > MAX_SENTENCES else ""
    return "; ".join(sentences[:MAX_SENTENCES]) + more


class LiveOwners:
    """Asks the API server for the Workflow that owns a new one. Only the controller makes such objects, and few."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, namespace: str, name: str, uid: str) -> Owner:
        try:
            meta = self._client.get(WORKFLOWS, namespace, name, PartialObject, metadata_only=True).metadata
        except NotFound:
            return Owner(fault=f"Workflow {name}, which owns it, does not exist")
        except KubeError as error:
            return Owner(fault=f"Workflow {name}, which owns it, cannot be read: {error}")
        if meta.uid != uid:
            return Owner(fault=f"the Workflow {name} that owns it was deleted; another one has its name now")
        if meta.is_deleting:
            return Owner(fault=f"Workflow {name}, which owns it, is being deleted")
        return Owner(meta.annotations)
