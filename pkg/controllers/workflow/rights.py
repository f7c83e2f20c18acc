"""Which templates of a workflow make no job now, because somebody behind them may not create the kind.

The answers of the API server come from `AccessReviews`, in threads of its own. A reconcile only looks them up, and the
workflow is requeued when one that it waits for has come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import structlog

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.inline import is_inline
from pkg.apis.flow.v1alpha1.people import Behind, PeopleFault, Person, Question
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Action, Workflow, WorkTemplate
from pkg.apis.meta import GVR
from pkg.controllers.engine.access_cache import Authorize, Known
from pkg.controllers.engine.leadership import steady_clock
from pkg.controllers.workflow.planner.snapshot import Barred
from pkg.kube.errors import Forbidden, KubeError, gist

_log = structlog.get_logger("workflow.rights")
_MAX_SAID: Final = 10_000
#: A look that found nothing missing counts for so many seconds while people and templates stay the same.
LOOK_SECONDS: Final = 5.0
NOT_ENFORCED: Final = (
    "rights are not enforced: whoever may create Workflows in a namespace gets every job there that this controller may"
    " create; install the webhook and set --authorize=enforce (docs/security.md)"
)
#: Seconds that a call for an object waits for answers about the rights to it.
PATIENCE: Final = 2.0
_NONE: Final[Mapping[str, Barred]] = MappingProxyType({})
#: It is being asked. Nothing is shown for the milliseconds that this takes.
_ASKED: Final = Barred()


class Answers(Protocol):
    """What is used of AccessReviews."""

    def look(self, question: Question) -> Known | None: ...
    def trouble(self, question: Question) -> KubeError | None: ...
    def watch(self, questions: Iterable[Question]) -> None: ...
    def unwatch(self, questions: Iterable[Question]) -> None: ...
    def answers(self, questions: Iterable[Question], seconds: float) -> Mapping[Question, bool | None]: ...


class Rights:
    """Thread-safe. requeue(key): from any thread; say(workflow, message): sends the Event of a missing right under
    `warn`.
    """

    def __init__(
        self,
        mode: Authorize,
        answers: Answers,
        requeue: Callable[[str], None],
        say: Callable[[Workflow, str], None] = lambda workflow, message: None,
        clock: Callable[[], float] = steady_clock,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._mode = mode
        self._answers = answers
        self._requeue = requeue
        self._say = say
        self._clock = clock
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._waits: dict[str, frozenset[Question]] = {}
        self._waiting: dict[Question, set[str]] = {}
        self._seen: dict[str, tuple[tuple[str | None, ...], dict[str, WorkTemplate], float]] = {}
        self._said: dict[tuple[str, str], None] = {}

    def barred(self, workflow: Workflow, templates: Mapping[str, WorkTemplate]) -> Mapping[str, Barred]:
        """The templates, by name, of which no job may be created now, and why. Never waits."""
        if self._mode is Authorize.OFF:
            return _NONE
        if self._is_as_before(workflow, templates):
            return _NONE
        look = _Look(workflow, self._answers)
        found = {name: barred for name, template in templates.items() if (barred := look.at(template)) is not None}
        self._wait(workflow.metadata.key, look.missing)
        if look.has_news():
            self._requeue(workflow.metadata.key)  # the answer came before anybody waited for it
        if not found:
            self._seen[workflow.metadata.key] = (
                _people_of(workflow),
                dict(templates),
                self._clock() + self._look_seconds,
            )
        if self._mode is Authorize.ENFORCE:
            return found
        for barred in found.values():
            if barred.reason == Reasons.NOT_ALLOWED:
                self._warn(workflow, barred.message)
        return _NONE

    def may(self, workflow: Workflow | None, name: str, questions: Mapping[Question, Behind]) -> Barred | None:
        """Why the people may not do this with the one object of that name; None if they may. It waits for answers, at
        most PATIENCE seconds: for the threads that make calls, and no worker. workflow: for the Event under `warn`.
        """
        if self._mode is Authorize.OFF:
            return None
        barred: Barred | None = None
        if not questions:
            barred = Barred(Reasons.NOT_ALLOWED, f"nobody is known to be behind what would be done to {name}")
        answers = self._answers.answers(questions, PATIENCE)
        for question, answer in answers.items():
            if answer is False:
                who = questions[question]
                text = people.refusal(who, question.group_resource, question.namespace, question.verb, name)
                barred = Barred(Reasons.NOT_ALLOWED, f"{text}. Grant the right, and it is done within a minute")
                break
            if answer is None:
                barred = self._unanswered(question)
        if barred is None or self._mode is Authorize.ENFORCE:
            return barred
        if workflow is not None and barred.reason == Reasons.NOT_ALLOWED:
            self._warn(workflow, barred.message)
        return None

    def _unanswered(self, question: Question) -> Barred:
        trouble = self._answers.trouble(question)
        text = f"whether {question.person.shown} may {question.verb} {question.group_resource}/{question.name}"
        why = f": {trouble}" if trouble is not None else ""
        return Barred(Reasons.RIGHTS_UNKNOWN, f"the API server does not say {text}; it is asked again{why}")

    def answered(self, question: Question) -> None:
        """There is another answer, or none any more: requeues the workflows that wait for it."""
        with self._lock:
            keys = tuple(self._waiting.get(question, ()))
        for key in keys:
            self._requeue(key)

    def forget(self, key: str) -> None:
        """A workflow is gone, has ended, or belongs to another process."""
        self._seen.pop(key, None)
        if key in self._waits:
            self._wait(key, frozenset())

    def _is_as_before(self, workflow: Workflow, templates: Mapping[str, WorkTemplate]) -> bool:
        """Whether the last look was at the same people and templates, a moment ago, and found nothing."""
        seen = self._seen.get(workflow.metadata.key)
        return seen is not None and (seen[0], seen[1]) == (_people_of(workflow), templates) and self._clock() < seen[2]

    def _wait(self, key: str, missing: frozenset[Question]) -> None:
        """From now on the workflow waits for these answers."""
        before = self._waits.get(key, frozenset())
        if missing == before:
            return
        with self._lock:
            self._answers.watch(missing - before)
            for question in missing - before:
                self._waiting.setdefault(question, set()).add(key)
            for question in before - missing:
                keys = self._waiting.get(question, set())
                keys.discard(key)
                if not keys:
                    self._waiting.pop(question, None)
                    self._answers.unwatch((question,))
            if missing:
                self._waits[key] = missing
            else:
                self._waits.pop(key, None)

    def _warn(self, workflow: Workflow, message: str) -> None:
        """Says a missing right once."""
        said = (workflow.metadata.uid, message)
        if said in self._said:
            return
        with self._lock:
            if len(self._said) >= _MAX_SAID:
                self._said.clear()
            self._said[said] = None
        _log.warning("the job is created although a right is missing", key=workflow.metadata.key, missing=message)
        self._say(workflow, f"{message}; the job is created all the same, because of --authorize=warn")


def _people_of(workflow: Workflow) -> tuple[str | None, ...]:
    meta = workflow.metadata
    return (meta.uid, *(meta.annotations.get(name) for name in people.ANNOTATIONS))


class _Look:
    """One look at the rights behind a workflow. missing: what has no answer yet, or the answer no."""

    def __init__(self, workflow: Workflow, answers: Answers) -> None:
        self._meta = workflow.metadata
        self._answers = answers
        self._behind: tuple[Behind, ...] | Barred
        try:
            self._behind = people.behind_workflow(self._meta.annotations, self._meta.name)
        except PeopleFault as error:
            self._behind = _unknown("Workflow", "wkf", self._meta.namespace, self._meta.name, error)
        #: Many templates have the same people and the same kind.
        self._allowed: set[tuple[str | None, str | None, GVR, Action]] = set()
        self._missing: dict[Question, tuple[bool | None, str]] = {}

    @property
    def missing(self) -> frozenset[Question]:
        return frozenset(self._missing)

    def has_news(self) -> bool:
        """Whether something else is known by now of what is missing."""
        return any(
            self._state(question, self._answers.look(question)) != seen for question, seen in self._missing.items()
        )

    def _state(self, question: Question, known: Known | None) -> tuple[bool | None, str]:
        """What is known of a right: the answer, and why there is none."""
        trouble = self._answers.trouble(question)
        return None if known is None else known.is_allowed, "" if trouble is None else gist(trouble)

    def at(self, template: WorkTemplate) -> Barred | None:
        """Why no job of a template may be created now; None if it may."""
        if isinstance(self._behind, Barred):
            return self._behind
        notes, gvr = template.metadata.annotations, template.spec.gvr.gvr
        if template.metadata.is_deleting:
            return _being_deleted(template)
        key = (notes.get(people.EDITED_BY), notes.get(people.MADE_FOR), gvr, template.spec.action)
        if key in self._allowed:
            return None
        barred = self._judged(template, self._behind)
        if barred is None:
            self._allowed.add(key)
        return barred

    def _judged(self, template: WorkTemplate, behind: tuple[Behind, ...]) -> Barred | None:
        meta, gvr = template.metadata, template.spec.gvr.gvr
        try:
            others = () if is_inline(template) else people.behind_template(meta.annotations, meta.name)
            everybody = (*behind, *others)
        except PeopleFault as error:
            return _unknown("WorkTemplate", "wkt", meta.namespace, meta.name, error)
        if template.spec.action is not Action.CREATE:
            return None  # their rights are asked for by the name of the object (`may`)
        found: Barred | None = None
        each: dict[Person, Behind] = {}
        for one in everybody:
            each.setdefault(one.person, one)
        for one in each.values():
            barred = self._one(one, gvr)
            if barred is not None and (found is None or barred.rank > found.rank):
                found = barred
        return found

    def _one(self, behind: Behind, gvr: GVR) -> Barred | None:
        question = Question(behind.person, gvr.group, gvr.resource, self._meta.namespace)
        known = self._answers.look(question)
        if known is not None and known.is_allowed:
            return None
        self._missing[question] = self._state(question, known)
        if known is not None:
            text = people.refusal(behind, question.group_resource, question.namespace)
            return Barred(Reasons.NOT_ALLOWED, f"{text}. Grant the right, and the job is made within a minute")
        trouble = self._answers.trouble(question)
        if trouble is None:
            return _ASKED
        asked = f"whether {behind.person.shown} may create {question.group_resource}"
        if isinstance(trouble, Forbidden):
            text = f"the controller may not ask {asked}; allow its ServiceAccount to create subjectaccessreviews"
            return Barred(Reasons.FORBIDDEN, f"{text} (installer/controller/20-controller-role.yaml does): {trouble}")
        return Barred(Reasons.RIGHTS_UNKNOWN, f"the API server does not say {asked}; it is asked again: {trouble}")


def _being_deleted(template: WorkTemplate) -> Barred:
    """The API server asks no webhook about what is being deleted, so its annotations may be anybody's."""
    meta = template.metadata
    return Barred(
        Reasons.NOT_ALLOWED,
        f"WorkTemplate {meta.name} is being deleted, so nobody is responsible for it any more; once it is gone, create"
        f" it again: kubectl get wkt {meta.name} -n {meta.namespace} -o jsonpath='{{.metadata.finalizers}}' shows what"
        " it waits for",
    )


def _unknown(kind: str, short: str, namespace: str, name: str, error: PeopleFault) -> Barred:
    """Nobody is known to be behind an object: it is older than the webhook, or was written past it."""
    return Barred(
        Reasons.NOT_ALLOWED,
        f"nobody is responsible for {kind} {name} yet: {error}. Who takes it over, with the rights to create what it"
        f" makes, runs: kubectl annotate {short} {name} -n {namespace} --overwrite {people.EDITED_BY}=me",
    )
