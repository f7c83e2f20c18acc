"""Warns of a kind that retries by itself beside the retries of its flow. rules.yaml says how each kind does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.faults import Fault
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.workloads import OwnRetry, own_retries, rules_for


def own_retry(reading: Reading) -> Iterator[Fault]:
    """One warning per template that retries by itself, at the first flow with retries that uses it."""
    found: dict[str, tuple[tuple[OwnRetry, Any], ...]] = {}
    for at, flow in enumerate(reading.spec.flows):
        name = flow.template_name
        template = reading.templates.get(name)
        if template is None or flow.retry is None or not flow.retry.max_retries:
            continue
        if name not in found:
            found[name] = tuple(_of_template(template))
        told = [(how, value) for how, value in found[name] if not _may_change(flow.raw_patch, how)]
        if told:
            found[name] = ()
            how, value = told[0]
            given = f"has {how.path} {value}" if value is not None else f"leaves {how.path} at {how.default}"
            yield Fault(
                f"spec.flows[{at}].retry",
                f'template "{name}" {given}, so its {template.spec.gvr.resource} retry by themselves inside each'
                f" attempt; set {how.path} to {how.disabled} to leave retries to this flow",
            )


def _of_template(template: TemplateEdges) -> Iterator[tuple[OwnRetry, Any]]:
    row = rules_for(template.spec.gvr.gvr)
    if not row.own_retry:
        return
    try:
        body = {"spec": template.spec.job_spec}
    except RawError:
        return  # a fault of the template by itself
    yield from own_retries(row, body)


def _may_change(patch: Any, how: OwnRetry) -> bool:
    """Whether the flow's patch may set the field."""
    return variables.may_hold(patch, how.path.rpartition(".")[2].encode())
