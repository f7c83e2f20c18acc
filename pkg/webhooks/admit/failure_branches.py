"""Warns of a branch that waits for a failure which the workflow does not tolerate whatever the branch does."""

from __future__ import annotations

from collections.abc import Iterator

from pkg.apis.flow.v1alpha1 import defaults, variables
from pkg.apis.flow.v1alpha1.faults import Fault
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.types import DependsOn, Flow, PolicyType, Probe, ProbedPhase, WorkflowSpec


def failure_branches(spec: WorkflowSpec) -> Iterator[Fault]:
    """One warning per flow whose failure only the success of a branch makes good.

    Under All, a failure counts unless the flow has continueOnFail or a flow that waits for its phase Failed succeeds.
    """
    if spec.success_policy.type is not PolicyType.ALL:
        return
    intolerant = {flow.name for flow in spec.flows if not flow.continue_on_fail}
    for at, flow in enumerate(spec.flows):
        if flow.finally_ or not variables.may_hold(flow.raw_depends_on, b'"taskStatusList"'):
            continue
        for name, path in _waits_for_failure(flow):
            if name in intolerant and name != flow.name:
                intolerant.discard(name)
                message = (
                    f'"{name}" has no continueOnFail, so under successPolicy All its failure fails the workflow unless'
                    f' "{flow.name}" succeeds; set continueOnFail: true on "{name}" if its failure should not count'
                )
                yield Fault(f"spec.flows[{at}].{path}", message)


def _waits_for_failure(flow: Flow) -> Iterator[tuple[str, str]]:
    """The flows whose failure a flow waits for, each with its path in the flow."""
    try:
        on: DependsOn | None = flow.depends_on
    except RawError:
        return
    if on is None:
        return
    yield from _in_probe(on.probe, "dependsOn.probe")
    for at, group in enumerate(on.or_groups):
        yield from _in_probe(group.probe, f"dependsOn.orGroups[{at}].probe")


def _in_probe(probe: Probe | None, path: str) -> Iterator[tuple[str, str]]:
    for at, status in enumerate(probe.task_status_list if probe is not None else ()):
        if defaults.meant(status.phase) is ProbedPhase.FAILED:
            yield status.task_name, f"{path}.taskStatusList[{at}]"
