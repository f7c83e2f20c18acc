"""Templates that are deleted, or name another kind, while their jobs run: the jobs carry how they are read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels, records
from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import WholeJob
from pkg.controllers.workflow.planner.carried import carried_hash, carried_text, needs_whole
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble
from tests.builders import JOBS, NOW, WIDGETS, Bench, template, wf

RULES: dict[str, Any] = {
    "ok": [{"path": "status.step", "eq": "Filed"}],
    "fail": [{"path": "status.step", "eq": "Torn"}],
    "running": [{"path": "status.step", "exists": True}],
}
OTHER: dict[str, Any] = {"ok": [{"path": "status.step", "eq": "Torn"}]}


def ticket(generation: int = 1, **spec: Any) -> WorkTemplate:
    made = template("ticket", WIDGETS, jobSpec={}, **(spec or {"statusRules": RULES}))
    return msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, generation=generation))


def bench_of(made: WorkTemplate | None = None, **flows: Any) -> Bench:
    """Flows of the template `ticket`."""
    of = {name: {"template": "ticket"} | flow for name, flow in (flows or {"a": {}}).items()}
    return Bench(wf({"successPolicy": {"remaining": "Continue"}}, **of), {"ticket": made or ticket()})


def replace_template(bench: Bench, made: WorkTemplate | None) -> None:
    """The template is deleted or edited, and the controller looks at every job."""
    bench.templates = {} if made is None else {"ticket": made}
    bench.ledger_tells_all()
    bench.settle()


def says(bench: Bench, step: str, *tasks: str) -> None:
    bench.say({"step": step}, *tasks)
    bench.settle()


def annotate(bench: Bench, task: str, text: str | None) -> None:
    """Somebody edits the annotation of a job."""
    observed = bench.observed(task)
    meta = observed.job.metadata
    notes = {key: value for key, value in meta.annotations.items() if key != labels.RULES}
    if text is not None:
        notes[labels.RULES] = text
    meta = msgspec.structs.replace(meta, annotations=notes)
    bench._put(observed.gvr, msgspec.structs.replace(observed.job, metadata=meta))


def recorded(bench: Bench, flow: str = "a") -> tuple[str, ...]:
    return records.by_flow(bench.status)[flow].rules


@pytest.mark.parametrize("is_new", [False, True], ids=["the same controller", "another controller"])
def test_rules_outlive_their_template(is_new: bool) -> None:
    bench = bench_of(rules={}, torn={"continueOnFail": True}, ready={})
    replace_template(bench, None)
    if is_new:
        bench.crash()
        bench.settle()
    assert set(bench.phases().values()) == {"Pending"}
    says(bench, "Sent", "ready")
    assert bench.phases()["ready"] == "Running"
    says(bench, "Filed", "rules")
    says(bench, "Torn", "torn")
    assert bench.phases() == {"rules": "Succeeded", "torn": "Failed", "ready": "Running"}
    says(bench, "Filed", "ready")
    assert bench.phase == "Succeeded"


@pytest.mark.parametrize("is_new", [False, True], ids=["the same controller", "another controller"])
def test_the_completion_outlives_its_template(is_new: bool) -> None:
    bench = Bench(wf(a={"template": "job"}, b={"template": "job", "dependsOn": {"targets": ["a"]}}), settle=False)
    bench.templates = {"job": template("job", jobSpec={}, completion="Ready")}
    bench.settle()
    bench.templates = {}
    if is_new:
        bench.crash()
    bench.say({"active": 1, "ready": 1}, "a")
    bench.settle()
    assert bench.phases() == {"a": "Succeeded", "b": "Waiting"}
    assert bench.flow("b").reason == "TemplateNotFound"


def test_the_template_counts_while_it_exists_and_names_the_kind() -> None:
    bench = bench_of(a={}, b={})
    replace_template(bench, ticket(2, statusRules=OTHER))
    says(bench, "Torn", "a")
    assert bench.phases() == {"a": "Succeeded", "b": "Pending"}, "by the rules as they are now"
    replace_template(bench, None)
    says(bench, "Torn", "b")
    assert bench.phases()["b"] == "Failed", "by the rules that its job was made with"


def test_a_template_that_lost_its_rules_counts_while_it_exists() -> None:
    bench = bench_of()
    replace_template(bench, ticket(2, completion="Terminal"))
    says(bench, "Filed", "a")
    assert bench.phases() == {"a": "Pending"}
    bench.say({"phase": "Succeeded"}, "a")
    bench.settle()
    assert bench.phases() == {"a": "Succeeded"}, "as usual for the kind"


def test_a_template_of_another_kind_says_nothing_about_the_job() -> None:
    bench = bench_of()
    other = template("ticket", JOBS, jobSpec={}, completion="Ready", statusRules=OTHER)
    replace_template(bench, other)
    says(bench, "Sent", "a")
    assert bench.phases() == {"a": "Running"}
    says(bench, "Torn", "a")
    assert bench.phases() == {"a": "Failed"}


FORGED = {
    "other rules": json.dumps({"statusRules": OTHER}),
    "no JSON": "{",
    "rules that cannot be compiled": json.dumps({"statusRules": {"ok": [{"cel": "=="}]}}),
    "nothing": None,
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_an_annotation_that_somebody_has_edited_decides_nothing(text: str | None) -> None:
    bench = bench_of()
    replace_template(bench, None)
    annotate(bench, "a", text)
    says(bench, "Torn", "a")
    assert bench.phases() == {"a": "Pending"}
    bench.say({"phase": "Succeeded"}, "a")
    bench.settle()
    assert bench.phases() == {"a": "Succeeded"}, "as usual for the kind"


def test_an_annotation_that_somebody_edited_before_a_crash_is_not_recorded_by_the_next_controller() -> None:
    bench = bench_of()
    before = recorded(bench)
    annotate(bench, "a", FORGED["other rules"])
    bench.crash()
    bench.settle()
    replace_template(bench, None)
    says(bench, "Torn", "a")
    assert (bench.phases(), recorded(bench)) == ({"a": "Pending"}, before)


def test_a_job_is_only_made_with_what_the_template_has() -> None:
    plain = Bench(wf(a=""))
    assert labels.RULES not in plain.observed("a").job.metadata.annotations
    assert recorded(plain) == ()
    bench = bench_of()
    text = bench.observed("a").job.metadata.annotations[labels.RULES]
    assert json.loads(text) == {"statusRules": RULES}
    assert recorded(bench) == (carried_hash(text),)


def test_an_annotation_of_the_template_itself_is_replaced() -> None:
    forged = {"annotations": {labels.RULES: "mine", labels.BEGUN: "mine", "x": "y"}}
    bench = bench_of(ticket(statusRules=RULES, metadata=forged))
    assert json.loads(bench.observed("a").job.metadata.annotations[labels.RULES]) == {"statusRules": RULES}
    plain = bench_of(ticket(metadata=forged))
    begin = plain.observed("a").job.metadata.annotations.pop(labels.BEGUN)
    assert begin == f"{records.record_of(plain.status).spec_hash}/1"
    assert plain.observed("a").job.metadata.annotations == {"x": "y"}


def test_jobs_of_several_versions_are_read_each_by_its_own_rules() -> None:
    bench = bench_of(a={"for": {"replicas": 2, "parallelism": 1}})
    replace_template(bench, ticket(2, statusRules=OTHER))
    says(bench, "Torn", "a/0")  # Succeeded by the template of now
    assert len(recorded(bench)) == 2
    replace_template(bench, None)
    bench.crash()
    says(bench, "Torn", "a/1")
    assert bench.phase == "Succeeded"


def test_only_the_newest_versions_are_recorded() -> None:
    bench = bench_of(a={"for": {"replicas": 9, "parallelism": 1}})
    for index in range(8):
        steps = {"ok": [{"path": "status.step", "in": ["Filed", str(index)]}]}
        replace_template(bench, ticket(index + 2, statusRules=steps))
        says(bench, "Filed", f"a/{index}")
    text = bench.observed("a/8").job.metadata.annotations[labels.RULES]
    assert len(recorded(bench)) == labels.MAX_RULES_OF_FLOW
    assert recorded(bench)[-1] == carried_hash(text)


def test_what_a_controller_that_was_killed_did_not_record_is_recorded_while_the_template_is_there() -> None:
    bench = bench_of()
    status = records.moved(bench.status, rules=())
    bench.workflow = msgspec.structs.replace(bench.workflow, status=status)
    bench.crash()
    bench.settle()
    assert len(recorded(bench)) == 1
    replace_template(bench, None)
    says(bench, "Filed", "a")
    assert bench.phase == "Succeeded"


def test_a_creation_that_fails_records_the_rules_too() -> None:
    """The answer may be lost, and the job be there."""
    bench = Bench(wf(a={"template": "ticket"}), {"ticket": ticket()}, settle=False)
    bench.refuse = lambda one: CreateFault(Trouble.RETRY, 0, one.name, "CreateFailed", "cut", NOW, 1, NOW + 5)
    bench.settle()
    assert len(recorded(bench)) == 1


def test_rules_that_are_too_long_are_not_carried() -> None:
    long = {"ok": [{"path": "status.step", "in": ["x" * 100] * 200}]}
    spec = ticket(statusRules=long).spec
    assert carried_text(spec, needs_whole=False) == ""
    assert carried_text(ticket().spec, needs_whole=False) != ""


def test_the_same_rules_in_another_order_have_the_same_text() -> None:
    turned = dict(reversed(RULES.items()))
    texts = {carried_text(ticket(statusRules=rules).spec, needs_whole=False) for rules in (RULES, turned)}
    assert len(texts) == 1


def test_rules_that_read_the_spec_say_so() -> None:
    spec = ticket(statusRules={"ok": [{"cel": "object.spec.x == 1"}]}).spec
    assert needs_whole(carried_text(spec, needs_whole=True))
    assert not needs_whole(carried_text(spec, needs_whole=False))


def test_rules_that_read_the_spec_outlive_their_template() -> None:
    bench = bench_of(ticket(statusRules={"ok": [{"cel": "object.spec.x == 1"}]}))
    replace_template(bench, None)
    observed = bench.observed("a")
    fields = {name: getattr(observed.job, name) for name in ("metadata", "api_version", "kind", "status")}
    bench._put(WIDGETS, WholeJob(**fields, document={"x": 1}))
    bench.settle()
    assert bench.phase == "Succeeded"
