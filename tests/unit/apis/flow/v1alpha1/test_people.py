"""Who is behind an object: recording a person, reading an annotation, and what the controller's own objects inherit."""

from __future__ import annotations

import json

import pytest

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.people import CREATED_BY, EDITED_BY, MADE_FOR, Behind, PeopleFault, Person

ALICE = Person.of("alice", ["dev", "system:authenticated"])
BOB = Person.of("bob")
CAROL = Person.of("carol", uid="7", extra={"scopes": ["a", "b"]})


def notes(created: Person | None = None, edited: Person | None = None, *made_for: Person) -> dict[str, str]:
    """The annotations of an object."""
    found = {CREATED_BY: created.text if created else "", EDITED_BY: edited.text if edited else ""}
    if made_for:
        found[MADE_FOR] = f"[{','.join(one.text for one in made_for)}]"
    return {name: text for name, text in found.items() if text}


@pytest.mark.parametrize(
    "person", [ALICE, BOB, CAROL, Person.of("ümlaut:x", ['quo"te'])], ids=lambda person: str(person.user)
)
def test_a_person_is_read_as_it_was_written(person: Person) -> None:
    assert people.read(people.written(person)) == person


def test_a_person_is_the_same_in_whatever_order_the_groups_come() -> None:
    one, other = Person.of("alice", ["a", "b", "a"]), Person.of("alice", ["b", "a"])
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Person.of("alicia", ["dev", "system:authenticated"]), id="another name"),
        pytest.param(Person.of("alice", ["dev"]), id="a group less"),
        pytest.param(Person.of("alice", ["dev", "system:authenticated"], "7"), id="another uid"),
        pytest.param(Person.of("alice", ["dev", "system:authenticated"], "", {"scopes": ["a"]}), id="another extra"),
    ],
)
def test_whatever_rights_depend_on_makes_another_person(other: Person) -> None:
    assert other != ALICE


def test_a_person_who_fits_is_recorded_with_every_group() -> None:
    groups = [f"group-{number:03}" for number in range(900)]
    assert people.read(people.written(Person.of("alice", groups))).groups == tuple(groups)


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        pytest.param(
            Person.of("alice", [f"a-group-with-a-long-name-{number}" for number in range(900)]),
            "alice cannot be recorded: user, 900 groups and extra have 27,817 bytes, and flow.workflow.sh/created-by"
            " holds at most 16,384. Nothing is left out, because rights depend on all of them; apply it with an account"
            " that is in fewer groups, such as a ServiceAccount",
            id="too many groups",
        ),
        pytest.param(
            Person.of(""),
            "the API server does not say who sends the request, so nobody can be recorded for it",
            id="nobody",
        ),
    ],
)
def test_a_person_who_does_not_fit_is_refused(person: Person, expected: str) -> None:
    with pytest.raises(PeopleFault) as caught:
        people.written(person)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("alice", "must be JSON such as", id="a name alone"),
        pytest.param("{}", "missing required field `user`", id="without a user"),
        pytest.param('{"user": ""}', '"user" is empty', id="with an empty user"),
        pytest.param('{"user": "a", "groups": "dev"}', "Expected `array`", id="one group as text"),
        pytest.param('{"user": "a", "scope": 1}', "unknown field `scope`", id="a field of a later version"),
        pytest.param('{"user": "a", "groups": ' + "[" * 5000, "must be JSON", id="nested without end"),
        pytest.param('{"user": "\\ud800"}', "must be JSON", id="half a character"),
        pytest.param('{"user": "' + "a" * 17_000 + '"}', "at most 16,384 are allowed", id="too long"),
    ],
)
def test_an_annotation_that_names_nobody_says_why(text: str, expected: str) -> None:
    with pytest.raises(PeopleFault, match=r".") as caught:
        people.read(text)
    assert expected in str(caught.value)
    assert people.readable({EDITED_BY: text}, EDITED_BY) is None


def test_everybody_behind_a_workflow_is_named_once() -> None:
    found = people.behind_workflow(notes(ALICE, BOB, BOB, CAROL), "w")
    assert found == (
        Behind(ALICE, "created Workflow w"),
        Behind(BOB, "edited Workflow w last"),
        Behind(CAROL, "is behind what made Workflow w"),
    )


def test_a_template_needs_the_rights_of_its_editor_and_not_of_its_creator() -> None:
    assert people.behind_template(notes(ALICE, BOB), "t") == (Behind(BOB, "edited WorkTemplate t last"),)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({}, "no admission webhook has recorded who created and edited it", id="nothing"),
        pytest.param(notes(ALICE), "no admission webhook has recorded who created and edited it", id="no editor"),
        pytest.param({**notes(ALICE, ALICE), EDITED_BY: "me"}, f"annotation {EDITED_BY} must be JSON", id="no JSON"),
        pytest.param({**notes(ALICE, ALICE), MADE_FOR: "{}"}, f"annotation {MADE_FOR} must be JSON", id="no list"),
    ],
)
def test_people_who_are_not_known_are_a_fault(annotations: dict[str, str], expected: str) -> None:
    with pytest.raises(PeopleFault) as caught:
        people.behind_workflow(annotations, "w")
    assert str(caught.value).startswith(expected)


def test_a_child_has_the_people_of_its_owner_and_of_its_template() -> None:
    child = people.inherited(notes(ALICE, BOB), notes(BOB, CAROL))
    assert child == notes(ALICE, BOB, ALICE, BOB, CAROL)


def test_the_people_of_a_grandchild_are_no_fewer() -> None:
    child = people.inherited(notes(ALICE, ALICE), notes(BOB, BOB))
    grandchild = people.inherited(child, notes(CAROL, CAROL))
    assert {one.person for one in people.behind_workflow(grandchild, "w")} == {ALICE, BOB, CAROL}


def test_a_template_that_the_controller_makes_has_the_people_of_its_workflow() -> None:
    child = people.inherited(notes(ALICE, BOB), notes(CAROL, CAROL))
    assert {one.person for one in people.behind_template(child, "t")} == {ALICE, BOB, CAROL}


@pytest.mark.parametrize(
    ("owner", "of_template"),
    [
        pytest.param({}, notes(BOB, BOB), id="the Workflow"),
        pytest.param(notes(ALICE, ALICE), {}, id="the template"),
        pytest.param({**notes(ALICE, ALICE), MADE_FOR: "?"}, notes(BOB, BOB), id="what made the Workflow"),
    ],
)
def test_a_child_has_nobody_where_somebody_behind_it_is_not_known(
    owner: dict[str, str], of_template: dict[str, str]
) -> None:
    assert people.inherited(owner, of_template) == {}


def test_people_of_a_child_that_do_not_fit_are_a_fault() -> None:
    many = [Person.of(f"user-{number}", [f"{number}-{group}" * 10 for group in range(250)]) for number in range(8)]
    with pytest.raises(PeopleFault, match="more than 65,536 bytes"):
        people.inherited(notes(ALICE, ALICE, *many[:4]), notes(BOB, BOB, *many[4:]))


def test_a_refusal_says_who_what_where_and_how_to_ask() -> None:
    assert people.refusal(Behind(ALICE, "created Workflow w"), "jobs.batch", "team-a") == (
        "alice may not create jobs.batch in namespace team-a (kubectl auth can-i create jobs.batch -n team-a"
        " --as alice --as-group dev); alice created Workflow w"
    )


def test_the_command_of_a_refusal_is_safe_to_copy() -> None:
    person = Person.of("$(reboot)", ["O=a b"])
    text = people.refusal(Behind(person, "created Workflow w"), "jobs.batch", "team-a")
    assert "--as '$(reboot)' --as-group 'O=a b')" in text


def test_a_refusal_is_bounded_and_one_line() -> None:
    person = Person.of("x\n" * 500, [f"group-{number}" * 50 for number in range(500)])
    text = people.refusal(Behind(person, "created Workflow w"), "jobs.batch", "team-a")
    assert len(text) < 700
    assert text.isprintable()


def test_the_text_is_the_documented_json() -> None:
    assert json.loads(CAROL.text) == {"user": "carol", "uid": "7", "extra": {"scopes": ["a", "b"]}}
