"""Which templates of a workflow make no job, because somebody behind them may not create the kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.object_rights import questions
from pkg.apis.flow.v1alpha1.people import CREATED_BY, EDITED_BY, MADE_FOR, Behind, Person, Question
from pkg.apis.flow.v1alpha1.types import Action, Workflow, WorkTemplate
from pkg.apis.meta import GVR
from pkg.controllers.engine.access_cache import Authorize, Known
from pkg.controllers.workflow.planner.snapshot import Barred
from pkg.controllers.workflow.rights import Rights
from pkg.kube.errors import Forbidden, KubeError, Transient
from tests.builders import WIDGETS, template, wf

T = TypeVar("T", Workflow, WorkTemplate)
ALICE, BOB, CAROL = (Person.of(name) for name in ("alice", "bob", "carol"))
KEY = "team/w"


class Server:
    """What is known of rights. allowed, denied: names; anybody else is being asked for."""

    def __init__(self, allowed: str = "", denied: str = "", trouble: KubeError | None = None) -> None:
        self.allowed, self.denied = set(allowed.split()), set(denied.split())
        self.error = trouble
        self.asked: list[Question] = []
        self.watched: set[Question] = set()

    def look(self, question: Question) -> Known | None:
        self.asked.append(question)
        name = question.person.user
        return Known(name in self.allowed, 0.0) if name in self.allowed | self.denied else None

    def trouble(self, question: Question) -> KubeError | None:
        return self.error

    def answers(self, questions: Iterable[Question], _seconds: float) -> Mapping[Question, bool | None]:
        known = {question: self.look(question) for question in questions}
        return {question: one.is_allowed if one is not None else None for question, one in known.items()}

    def watch(self, questions: Iterable[Question]) -> None:
        self.watched.update(questions)

    def unwatch(self, questions: Iterable[Question]) -> None:
        self.watched.difference_update(questions)


class Bench:
    def __init__(self, server: Server, mode: Authorize = Authorize.ENFORCE) -> None:
        self.server = server
        self.requeued: list[str] = []
        self.said: list[str] = []
        self.now = 1000.0
        self.rights = Rights(
            mode,
            server,
            self.requeued.append,
            lambda _workflow, message: self.said.append(message),
            clock=lambda: self.now,
        )

    def barred(self, workflow: Workflow, *templates: WorkTemplate) -> dict[str, Barred]:
        return dict(self.rights.barred(workflow, {one.metadata.name: one for one in templates}))


def by(created: Person | None = ALICE, edited: Person | None = None, made_for: str = "") -> Workflow:
    workflow = wf(a="")
    notes = {} if created is None else {CREATED_BY: created.text, EDITED_BY: (edited or created).text}
    return with_notes(workflow, {**notes, **({MADE_FOR: made_for} if made_for else {})})


def made_by(person: Person | None = ALICE, name: str = "job") -> WorkTemplate:
    return with_notes(template(name), {} if person is None else {CREATED_BY: "?", EDITED_BY: person.text})


def with_notes(obj: T, notes: dict[str, str]) -> T:
    return msgspec.structs.replace(obj, metadata=msgspec.structs.replace(obj.metadata, annotations=notes))


MISSING = (
    "may not create jobs.batch in namespace team (kubectl auth can-i create jobs.batch -n team --as {0}); {0} {1}."
    " Grant the right, and the job is made within a minute"
)


@pytest.mark.parametrize(
    ("workflow", "of_template", "denied", "expected"),
    [
        pytest.param(
            by(), made_by(BOB), "alice", f"alice {MISSING.format('alice', 'created Workflow w')}", id="creator"
        ),
        pytest.param(
            by(ALICE, BOB), made_by(ALICE), "bob", f"bob {MISSING.format('bob', 'edited Workflow w last')}", id="editor"
        ),
        pytest.param(
            by(),
            made_by(BOB),
            "bob",
            f"bob {MISSING.format('bob', 'edited WorkTemplate job last')}",
            id="editor of the template",
        ),
        pytest.param(
            by(made_for=f"[{CAROL.text}]"),
            made_by(BOB),
            "carol",
            f"carol {MISSING.format('carol', 'is behind what made Workflow w')}",
            id="somebody behind the Workflow that made it",
        ),
    ],
)
def test_one_missing_right_is_enough(workflow: Workflow, of_template: WorkTemplate, denied: str, expected: str) -> None:
    bench = Bench(Server("alice bob carol", denied))
    bench.server.allowed.discard(denied)
    assert bench.barred(workflow, of_template) == {"job": Barred("NotAllowed", expected)}


def test_nobody_is_barred_where_all_have_the_right() -> None:
    bench = Bench(Server("alice bob carol"))
    assert bench.barred(by(ALICE, BOB), made_by(CAROL)) == {}
    assert {question.person.user for question in bench.server.asked} == {"alice", "bob", "carol"}


@pytest.mark.parametrize(
    ("workflow", "of_template", "expected"),
    [
        pytest.param(
            by(None),
            made_by(),
            "nobody is responsible for Workflow w yet: no admission webhook has recorded who created and edited it. Who"
            " takes it over, with the rights to create what it makes, runs: kubectl annotate wkf w -n team --overwrite"
            " flow.workflow.sh/edited-by=me",
            id="the Workflow",
        ),
        pytest.param(
            by(),
            msgspec.structs.replace(
                made_by(None), metadata=msgspec.structs.replace(made_by(None).metadata, namespace="team")
            ),
            "nobody is responsible for WorkTemplate job yet: no admission webhook has recorded who created and edited"
            " it. Who takes it over, with the rights to create what it makes, runs: kubectl annotate wkt job -n team"
            " --overwrite flow.workflow.sh/edited-by=me",
            id="the template",
        ),
    ],
)
def test_an_object_without_people_waits_and_says_what_to_do(
    workflow: Workflow, of_template: WorkTemplate, expected: str
) -> None:
    assert Bench(Server("alice")).barred(workflow, of_template) == {"job": Barred("NotAllowed", expected)}


def test_a_template_that_is_being_deleted_has_nobody_for_no_webhook_sees_its_edits() -> None:
    meta = msgspec.structs.replace(made_by().metadata, deletion_timestamp=datetime(2026, 1, 1, tzinfo=UTC))
    found = Bench(Server("alice")).barred(by(), msgspec.structs.replace(made_by(), metadata=meta))
    assert found["job"].reason == "NotAllowed"
    assert found["job"].message.startswith(
        "WorkTemplate job is being deleted, so nobody is responsible for it any more"
    )


@pytest.mark.parametrize(
    ("trouble", "reason", "words"),
    [
        pytest.param(None, "", "", id="it is being asked for"),
        pytest.param(
            Transient("no route to host"),
            "RightsUnknown",
            "the API server does not say whether alice may create jobs.batch; it is asked again: no route to host",
            id="the API server is away",
        ),
        pytest.param(
            Forbidden("no"),
            "Forbidden",
            "the controller may not ask whether alice may create jobs.batch; allow its ServiceAccount to create"
            " subjectaccessreviews (installer/controller/20-controller-role.yaml does): no",
            id="the controller may not ask",
        ),
    ],
)
def test_a_right_that_is_not_known_is_waited_for(trouble: KubeError | None, reason: str, words: str) -> None:
    assert Bench(Server(trouble=trouble)).barred(by(), made_by()) == {"job": Barred(reason, words)}


def test_a_missing_right_is_shown_before_one_that_is_not_known() -> None:
    found = Bench(Server(denied="bob")).barred(by(ALICE, BOB), made_by(CAROL))
    assert found["job"].reason == "NotAllowed"


def test_an_answer_requeues_those_who_wait_for_it() -> None:
    bench = Bench(Server(denied="alice"))
    bench.barred(by(), made_by())
    [asked] = bench.server.watched
    bench.rights.answered(asked)
    assert bench.requeued == [KEY]


def test_nobody_is_requeued_for_an_answer_that_no_longer_matters() -> None:
    bench = Bench(Server(denied="alice"))
    bench.barred(by(), made_by())
    [asked] = bench.server.watched
    bench.barred(by(), template("other"))
    bench.rights.forget(KEY)
    bench.rights.answered(asked)
    assert bench.requeued == []
    assert bench.server.watched == set()


def test_an_answer_that_comes_before_anybody_waits_is_not_lost() -> None:
    class Quick(Server):
        def watch(self, questions: Iterable[Question]) -> None:
            self.allowed.add("alice")  # in the moment between the look and the wait

    bench = Bench(Quick())
    bench.barred(by(), made_by())
    assert bench.requeued == [KEY]


def test_another_error_that_comes_before_anybody_waits_is_not_lost() -> None:
    class Quick(Server):
        def watch(self, questions: Iterable[Question]) -> None:
            self.error = Transient("connection refused")  # in the moment between the look and the wait

    bench = Bench(Quick(trouble=Transient("no route to host")))
    assert bench.barred(by(), made_by())["job"].message.endswith("no route to host")
    assert bench.requeued == [KEY]


def test_templates_of_the_same_people_and_kind_cost_one_look() -> None:
    bench = Bench(Server("alice"))
    bench.barred(by(), *(made_by(name=f"t{number}") for number in range(100)))
    assert len(bench.server.asked) == 1


def test_a_look_counts_for_a_moment_while_nothing_changes() -> None:
    bench, many = Bench(Server("alice")), [made_by(name=f"t{number}") for number in range(3)]
    bench.barred(by(), *many)
    bench.server.allowed.clear()
    bench.server.denied.add("alice")
    assert bench.barred(by(), *many) == {}
    assert len(bench.barred(by(), *many, made_by(name="new"))) == 4, "another template"
    assert len(bench.barred(by(ALICE, BOB), *many)) == 3, "another editor"
    bench.now += 5.0
    assert len(bench.barred(by(), *many)) == 3


def test_each_kind_is_a_question() -> None:
    widget = with_notes(template("w", WIDGETS), {EDITED_BY: ALICE.text})
    bench = Bench(Server("alice"))
    bench.barred(by(), made_by(), widget)
    assert [question.group_resource for question in bench.server.asked] == ["jobs.batch", "widgets.example.com"]


def test_warn_bars_nothing_and_says_it_once() -> None:
    bench = Bench(Server(denied="alice"), Authorize.WARN)
    assert bench.barred(by(), made_by()) == {}
    assert bench.barred(by(), made_by()) == {}
    [said] = bench.said
    assert said.endswith("the job is created all the same, because of --authorize=warn")


def test_off_asks_nobody() -> None:
    bench = Bench(Server(), Authorize.OFF)
    assert bench.barred(by(None), made_by(None)) == {}
    assert bench.server.asked == []


def test_the_reader_of_annotations_is_cached() -> None:
    assert people.read(ALICE.text) is people.read(ALICE.text)


def ask(bench: Bench, *names: str) -> Barred | None:
    behind = [Behind(Person.of(name), f"created Workflow {name}") for name in names]
    return bench.rights.may(None, "settings", questions(behind, MAPS, "team", Action.APPLY, "settings"))


MAPS = GVR(version="v1", resource="configmaps")


def test_the_rights_to_one_object_are_asked_for_by_its_name() -> None:
    bench = Bench(Server(allowed="alice"))
    assert ask(bench, "alice") is None
    assert [(question.verb, question.name) for question in bench.server.asked] == [
        ("create", "settings"),
        ("patch", "settings"),
        ("get", "settings"),
    ]


@pytest.mark.parametrize(
    ("server", "reason", "words"),
    [
        pytest.param(Server(allowed="alice", denied="bob"), "NotAllowed", "bob may not create", id="one may not"),
        pytest.param(Server(allowed="alice"), "RightsUnknown", "does not say whether bob may", id="no answer in time"),
    ],
)
def test_nothing_is_applied_for_somebody_who_may_not(server: Server, reason: str, words: str) -> None:
    barred = ask(Bench(server), "alice", "bob")
    assert barred is not None
    assert barred.reason == reason
    assert words in barred.message
    assert "configmaps/settings" in barred.message


def test_nothing_is_applied_where_nobody_is_known_to_be_behind_it() -> None:
    barred = ask(Bench(Server()))
    assert barred is not None
    assert barred.reason == "NotAllowed"
