"""Templates that stand in flows."""

from __future__ import annotations

from typing import Any

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.inline import inline_templates, is_inline
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import WorkflowSpec
from pkg.apis.meta import ObjectMeta
from tests.manifests import decoded

OWNER = ObjectMeta(name="w", namespace="team", uid="u", annotations={people.EDITED_BY: "{}", "other": "x"})


def spec(**template: Any) -> WorkflowSpec:
    job = {"gvr": {"group": "batch", "version": "v1", "resource": "jobs"}, **template}
    return decoded({"flows": [{"name": "a", "templateSpec": job}, {"name": "b", "template": "step"}]}, WorkflowSpec)


def test_a_template_in_a_flow_has_a_name_that_no_object_can_have() -> None:
    (found,) = inline_templates(OWNER, spec()).values()
    assert found.metadata.name == "a.templateSpec"
    assert is_inline(found)
    assert list(spec().template_names) == ["step"], "only others are looked up in the cluster"


def test_the_people_behind_it_are_those_of_the_workflow() -> None:
    (found,) = inline_templates(OWNER, spec()).values()
    assert found.metadata.annotations == {people.EDITED_BY: "{}"}


def test_its_generation_changes_with_its_text_alone() -> None:
    one, same, other = (
        inline_templates(OWNER, of)["a.templateSpec"].metadata.generation
        for of in (spec(), spec(), spec(jobSpec={"x": 1}))
    )
    assert one == same != other


def test_an_edit_of_it_is_an_edit_of_the_spec_and_a_default_written_out_is_none() -> None:
    assert spec_hash(spec()) != spec_hash(spec(jobSpec={"x": 1}))
    assert spec_hash(spec()) == spec_hash(spec(action="Create", fieldValidation="Warn", force=False))
