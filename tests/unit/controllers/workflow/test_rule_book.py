"""Rules of templates: compiled once per version, faults kept as text."""

from __future__ import annotations

from typing import Any

from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.workloads import rules_for
from pkg.workloads.template_rules import compile_rules
from tests.manifests import decoded


def template(rules: Any = None, *, generation: int = 1, name: str = "step") -> WorkTemplate:
    spec: dict[str, Any] = {"gvr": {"group": "example.com", "version": "v1", "resource": "boxes"}}
    if rules is not None:
        spec["statusRules"] = rules
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "generation": generation}
    return decoded({"metadata": meta, "spec": spec}, WorkTemplate)


def test_a_template_without_rules_has_none() -> None:
    assert RuleBook().of(template()) is None


def test_rules_are_compiled_once_per_version() -> None:
    book = RuleBook()
    first = book.of(template({"ok": [{"cond": "Done"}]}))
    assert book.of(template({"ok": [{"cond": "Done"}]})) is first
    second = book.of(template({"ok": [{"cond": "Ended"}]}, generation=2))
    assert second is not None
    assert second is not first
    assert second.row.rules.ok[0].cond == "Ended"
    book.forget("ns/step")
    assert book.of(template({"ok": [{"cond": "Ended"}]}, generation=2)) is not second


def test_a_rule_that_reads_the_spec_says_so() -> None:
    assert compile_rules(template({"ok": [{"cel": "object.spec.a == 1"}]})).needs_whole
    assert not compile_rules(template({"ok": [{"cond": "Done"}]})).needs_whole


def test_a_slip_is_a_fault_that_names_template_and_place() -> None:
    made = compile_rules(template({"fail": [{"cond": "A"}, {"cond": "B", "gt": 1}]}))
    assert made.fault.startswith("WorkTemplate step: spec.statusRules.fail[1]: ")
    assert made.row is rules_for(made.gvr)


def test_flows_get_the_rules_of_their_template() -> None:
    own, plain = template({"ok": [{"cond": "Done"}]}), template(name="plain")
    flows = [{"name": "a", "template": "step"}, {"name": "b", "template": "plain"}, {"name": "step"}]
    workflow = decoded({"metadata": {"name": "w"}, "spec": {"flows": flows}}, Workflow)
    graph = compile_spec(workflow.spec, {"step": own, "plain": plain})
    assert isinstance(graph, Graph)
    book = RuleBook()
    found = book.by_flow(graph, {"step": own, "plain": plain})
    assert found == {"a": book.of(own), "step": book.of(own)}
    assert book.by_flow(graph, {"plain": plain}) == {}


def test_rules_that_are_nested_too_deeply_are_a_fault() -> None:
    rule: dict[str, Any] = {"cond": "A"}
    for _ in range(400):
        rule = {"all": [rule]}
    assert "spec.statusRules: nested too deeply" in compile_rules(template({"ok": [rule]})).fault
