"""CEL in status rules: results, faults of an evaluation, and expressions that are refused for their cost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import Job, WholeJob
from pkg.workloads import RULE_FAULT, JobState, Reading, RuleError, convert_rules, needs_whole, read, with_rules
from pkg.workloads.expressions import MAX_LENGTH, compile_expression, evaluate
from pkg.workloads.look import Look
from pkg.workloads.model import RuleFault
from pkg.workloads.projection import MAX_DEPTH, MAX_WEIGHT, Projection
from tests.unit.workloads.builders import cond, conds, job
from tests.unit.workloads.test_evaluator import OTHER

STATUS = {"phase": "Running", "done": 3, "ratio": 2.5, "none": None, "steps": [{"n": 1}, {"n": 2}], **conds(cond("A"))}


def whole(spec: dict[str, Any], status: dict[str, Any]) -> WholeJob:
    """A job as the cache holds it for a kind whose rules look at its spec."""
    owner = {"apiVersion": "v1", "kind": "Workflow", "name": "w", "uid": "u", "controller": True}
    meta = {"name": "work-a", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": [owner]}
    raw = {"metadata": meta, "spec": spec, "status": status}
    return msgspec.json.decode(msgspec.json.encode(raw), type=WholeJob)


def holds(text: str, seen: Job) -> bool:
    """Whether the expression holds for the job; raises RuleFault as a rule does."""
    expression = compile_expression(text, where="here")
    return evaluate(expression, Projection(expression.estimate.reads), where="here")(Look(seen)) is not None


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        pytest.param("object.status.phase == 'Running'", True, id="equality"),
        pytest.param("object.status.phase == 'Ended'", False, id="inequality"),
        pytest.param("object.status.done >= 3 && object.status.ratio > 2", True, id="numbers of either kind"),
        pytest.param("has(object.status.gone) && object.status.gone > 1", False, id="has guards a missing field"),
        pytest.param("object.status.none == null", True, id="null"),
        pytest.param("object.status.conditions.exists(c, c.type == 'A' && c.status == 'True')", True, id="exists"),
        pytest.param("object.status.steps.all(s, s.n > 1)", False, id="all"),
        pytest.param("object.status.steps.exists_one(s, s.n > 1)", True, id="exists_one"),
        pytest.param(
            "object.status.steps.exists(s, s.n > object.metadata.generation)", True, id="generation in a macro"
        ),
        pytest.param("object.status.steps.all(s, has(object.status.gone))", False, id="has of the object in a macro"),
        pytest.param("size(object.status.steps) == 2", True, id="size"),
        pytest.param("object.metadata.name.startsWith('work')", True, id="metadata"),
        pytest.param("object.status['phase'].matches('^Run')", True, id="an index and a pattern"),
        pytest.param("matches(object.status.phase, '^Run')", True, id="matches as a function"),
        pytest.param("object.status.done + object.status.done == 6", True, id="a sum of unknown types"),
        pytest.param("object.status.phase + '!' == 'Running!'", True, id="texts joined"),
        pytest.param("has(object.status.none) && !has(object.status.gone)", True, id="presence of a null"),
        pytest.param("has(object.status.steps) && object.status.steps[1].n == 2", True, id="presence and an item"),
        pytest.param("object.status.phase in ['Running', 'Ended']", True, id="a list written out"),
        pytest.param("type(object.status.done) == int", True, id="a type"),
        pytest.param("duration('90s') > duration('1m') && object.status.done > 1", True, id="durations"),
        pytest.param("object.kind == '' && object.apiVersion == ''", True, id="kind and version"),
    ],
)
def test_expression(expression: str, result: bool) -> None:
    assert holds(expression, job(STATUS)) is result


def test_the_whole_spec_can_be_asked_of_a_job_that_was_read_in_full() -> None:
    assert holds("object.status.done == object.spec.steps[0].count", whole({"steps": [{"count": 3}]}, {"done": 3}))


def test_metadata_is_shown_as_json_has_it() -> None:
    text = "object.metadata.ownerReferences[0].name == 'w' && object.metadata.creationTimestamp.startsWith('2026')"
    assert holds(text, whole({}, {}))
    assert holds("object == object && object.metadata.name == object['metadata']['name']", whole({"a": [1]}, {}))


def test_a_job_without_its_whole_spec_gives_a_fault_that_is_not_reported() -> None:
    rules = convert_rules({"ok": [{"cel": "object.spec.steps == 1"}]}, where="spec.statusRules")
    reading = read(with_rules(OTHER, rules), job({"phase": "Running"}))
    assert reading == Reading(JobState.RUNNING)


def test_a_path_into_the_spec_reads_the_whole_of_it() -> None:
    rules = convert_rules({"ok": [{"path": "spec.steps[*].name", "eq": "end"}]}, where="spec.statusRules")
    row = with_rules(OTHER, rules)
    assert read(row, whole({"steps": [{"name": "end"}]}, {})).state is JobState.SUCCEEDED
    assert read(row, job({})).state is JobState.PENDING


def test_a_job_read_in_full_still_counts_as_a_job() -> None:
    full = whole({"replicas": 2, "replicatedJobs": [{"name": "a", "template": {}}]}, {})
    assert isinstance(full, Job)
    assert (full.spec.replicas, full.document["replicatedJobs"][0]["template"]) == (2, {})


@pytest.mark.parametrize(
    ("rules", "beyond"),
    [
        pytest.param({"ok": [{"cel": "object.status.a == 'object.spec.b'"}]}, False, id="quotes are no code"),
        pytest.param({"ok": [{"cel": "object.metadata.labels['a'] == 'b'"}]}, False, id="labels are kept"),
        pytest.param({"ok": [{"cel": "object.spec.a == 1"}]}, True, id="cel on the spec"),
        pytest.param({"ok": [{"cel": "has(object.metadata.managedFields)"}]}, True, id="cel on other metadata"),
        pytest.param({"ok": [{"cel": "object['spec'].a == 1"}]}, True, id="cel that indexes the object"),
        pytest.param({"ok": [{"path": "spec.a", "eq": 1}]}, True, id="a path into the spec"),
        pytest.param({"ok": [{"path": "spec.suspend", "eq": True}]}, False, id="spec.suspend is kept"),
        pytest.param({"fail": [{"all": [{"cond": "A"}, {"path": "spec.a", "eq": 1}]}]}, True, id="inside of all"),
        pytest.param({"ok": [{"path": "status.a", "eq": 1}, {"cond": "B"}]}, False, id="the status"),
    ],
)
def test_rules_say_whether_they_need_the_whole_object(rules: object, beyond: bool) -> None:
    assert needs_whole(convert_rules(rules, where="spec.statusRules")) is beyond


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        pytest.param("object.status.a ==", "line 1, column", id="cut off"),
        pytest.param("object.status.a == other", "undeclared reference to 'other'", id="another variable"),
        pytest.param("1 == 1", "does not look at `object`", id="no object"),
        pytest.param("size(object.status)", "gives INT; it has to give true or false", id="no boolean"),
        pytest.param("object.status.a == '" + "x" * MAX_LENGTH + "'", "has at most 1,024", id="too long"),
        pytest.param("size(object.status.l.map(x, x + 1)) > 1", "map is not available", id="map"),
        pytest.param("size(object.status.l . filter (x, x > 1)) > 1", "filter is not available", id="filter"),
        pytest.param("object.status.l.map(x, x > 1, x) == [1]", "map is not available", id="map with a condition"),
        pytest.param("object.status.l.all(x, x.m.exists(y, y))", "all holds another macro", id="a macro in a macro"),
        pytest.param(
            "object.status.l.all(object, object == 1)", "only its own variable", id="a variable called object"
        ),
        pytest.param(
            ".object.status.l.all(x, .object.a == x)", "only its own variable", id="the object by a leading dot"
        ),
        pytest.param("{'a': object}.a == google.protobuf.Struct{}", "google.protobuf.Struct is not", id="a message"),
        pytest.param("object.status.t.getHours('Asia/Tokyo') == 1", "leave the time zone out", id="a time zone"),
        pytest.param("object.status.a.join() == ''", "undeclared reference to 'join'", id="a function of an extension"),
        pytest.param("object.status.s.contains(object.status.p)", "written out", id="contains of the object's text"),
        pytest.param(
            "object.status.l.all(object, object.metadata.name == '')",
            "only its own variable",
            id="a variable called object, with a field that is short in the object",
        ),
        pytest.param("[1, 2].all(x, object.status.n > x)", "only its own variable", id="the object in a macro"),
        pytest.param(
            "object.status.l.all(x, x.matches('a'))",
            "matches is not available inside of all",
            id="a pattern in a macro",
        ),
        pytest.param("object.status.s.matches(object.status.p)", "written out", id="a pattern out of the object"),
        pytest.param("object.status.s.matches('(a{9}){9}')", "no counted repetition", id="a counted repetition"),
        pytest.param(r"object.status.s.matches('a\x7b9\x7d')", "no counted repetition", id="a hidden repetition"),
        pytest.param(r"object.status.s.matches('\\pL?')", "no class of Unicode", id="a class of Unicode"),
        pytest.param("object.status.s.matches('" + "a" * 130 + "')", "at most 128 characters", id="a long pattern"),
        pytest.param(r"r'\' == 'x' || object.status.l.map(x, x) == ['']", "Invalid string", id="a raw string"),
        pytest.param(
            r'''"""\"""" == "" || object.status.l.map(x, x) == [""]''', "map is not", id="code behind a long string"
        ),
        pytest.param("(" * 100 + "object" + ")" * 100, "recursion", id="nested too deeply"),
        pytest.param("object" + ".a" * 400 + " == 1", "recursion", id="a long chain of fields"),
    ],
)
def test_refused(expression: str, fault: str) -> None:
    with pytest.raises(RuleError, match=r"^spec\.statusRules\.ok\[0\]: cel: ") as caught:
        compile_expression(expression, where="spec.statusRules.ok[0]")
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("expression", "status", "fault"),
    [
        pytest.param("object.status.gone > 1", {}, 'there is no key "gone"', id="a missing field"),
        pytest.param("object.status.n > 1", {"n": "x"}, "No matching overloads", id="a text compared to a number"),
        pytest.param("object.status.n", {"n": 3}, "the result is INT, not true or false", id="no boolean"),
        pytest.param("1 / object.status.n == 1", {"n": 0}, "divide by zero", id="a division by zero"),
        pytest.param("object.status.n > 1", {"n": 2**70}, "out of range", id="a number too large"),
        pytest.param(
            "object.status.l.all(x, x > 0 && x < 9)", {"l": [1] * 15_000}, "more than 300,000 steps", id="a long list"
        ),
        pytest.param("object.status.l == 1", {"l": [1] * MAX_WEIGHT}, "reads object.status.l: over", id="a large list"),
        pytest.param("object.status.s == ''", {"s": "x" * 64 * MAX_WEIGHT}, "over 20,000 values", id="a large text"),
        pytest.param(
            "object.status.s == ''", {"s": "\u00e9" * 16 * MAX_WEIGHT}, "over 20,000", id="a large text in UTF-8"
        ),
        pytest.param(
            "object.status.l == []", {"l": nested(MAX_DEPTH + 2)}, "more than 64 levels", id="more levels than allowed"
        ),
        pytest.param("object.status.l == []", {"l": nested(50_000)}, "more than 64 levels", id="far too many levels"),
        pytest.param("object.status.m[object.status.k] == 1", {"m": {}, "k": "k" * 10**6}, "Key not", id="a huge key"),
    ],
)
def test_an_evaluation_that_goes_wrong_is_a_fault(expression: str, status: dict[str, Any], fault: str) -> None:
    with pytest.raises(RuleFault, match=r"^here: ") as caught:
        holds(expression, job(status))
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_fault_is_reported_and_decides_nothing() -> None:
    rules = convert_rules({"fail": [{"cel": "object.status.errors > 0"}]}, where="spec.statusRules")
    row = with_rules(OTHER, rules)
    running = read(row, job({"phase": "Running"}))
    assert (running.state, running.reason, running.faulty) == (JobState.RUNNING, RULE_FAULT, True)
    assert running.message.startswith("spec.statusRules.fail[0]: cel: there is no key")
    assert read(row, job({"phase": "Succeeded"})) == Reading(JobState.SUCCEEDED, "Succeeded")
    assert read(row, job({"phase": "Running", "errors": 1})).state is JobState.FAILED


def test_in_all_a_part_that_does_not_hold_outweighs_a_fault() -> None:
    rules = {"ok": [{"all": [{"cel": "object.status.gone == 1"}, {"path": "status.phase", "eq": "End"}]}]}
    row = with_rules(OTHER, convert_rules(rules, where="spec.statusRules"))
    assert not read(row, job({"phase": "Running"})).faulty
    assert read(row, job({"phase": "End"})).faulty


@pytest.mark.parametrize(
    ("expression", "is_beyond"),
    [
        pytest.param("object.status.a == 1 // object.spec", False, id="a comment"),
        pytest.param("object.metadata == object.status.a", True, id="all metadata"),
        pytest.param("object.metadata.resourceVersion == '1'", True, id="metadata that is not kept"),
        pytest.param("object.metadata['labels'].a == '1'", False, id="labels by an index"),
    ],
)
def test_an_expression_says_whether_it_needs_the_whole_object(expression: str, is_beyond: bool) -> None:
    assert compile_expression(expression, where="here").needs_whole is is_beyond


def test_only_the_part_that_is_read_counts() -> None:
    status = {"phase": "Done", "items": [0] * 10**6, "deep": nested(10_000)}
    assert holds("object.status.phase == 'Done' && has(object.status.items) && has(object.status.deep)", job(status))


def test_the_expressions_of_a_template_are_bounded_together() -> None:
    rule = {"cel": "object.status.l.exists(x, x.a == 1 || x.b == 2 || x.c == 3 || x.d == 4)"}
    with_rules(OTHER, convert_rules({"ok": [rule] * 2}, where="spec.statusRules"))
    rule = {"cel": "object.status.l.exists(x, x.a == 1 || x.b == 2 || x.c == 3 || x.d == 4 || x.a + x.b in [x, [x]])"}
    with pytest.raises(RuleError) as caught:
        with_rules(OTHER, convert_rules({"ok": [rule] * 8, "fail": [rule] * 8}, where="spec.statusRules"))
    text = str(caught.value)
    assert text.startswith("spec.statusRules.")
    assert "300,000 are allowed" in text
    assert "what grows is `exists(x, x.a == 1" in text


def test_the_size_of_all_trees_of_a_template_is_bounded() -> None:
    rule = {"cel": " || ".join(["object.a == 1"] * 60)}
    with pytest.raises(RuleError, match=r"cel: the syntax trees have 2,\d+ nodes; at most 1,000"):
        with_rules(OTHER, convert_rules({"ok": [rule] * 8}, where="spec.statusRules"))
