"""Judges a CronWorkflow: what is refused, and what is probably not meant. The webhook and `lint` call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pkg.apis.flow.v1alpha1 import cron_faults, schedules
from pkg.apis.flow.v1alpha1.faults import Fault, Faults, fault
from pkg.apis.flow.v1alpha1.labels import SCHEDULED
from pkg.apis.flow.v1alpha1.types import CronWorkflow, CronWorkflowSpec, WorkflowSpec
from pkg.apis.meta import ObjectMeta
from pkg.webhooks.admit.workflows import Around, Judgement

#: With a shorter deadline a busy controller or API server misses runs.
_SHORT_DEADLINE: Final = 10
_ANY_TIME: Final = "2026-01-01T00:00:00Z"


class CronJudgement:
    """The verdict on one CronWorkflow. For one thread. workflow: the spec of its runs, or why it cannot be read."""

    def __init__(self, cron: CronWorkflow, workflow: WorkflowSpec | Faults, around: Around) -> None:
        self._cron = cron
        self._workflow = workflow
        meta, template = cron.metadata, cron.spec.workflow_template.metadata
        run = ObjectMeta(
            name=meta.name or meta.generate_name,
            namespace=meta.namespace,
            labels=template.labels,
            annotations={**template.annotations, SCHEDULED: _ANY_TIME},
        )
        self._judgement = Judgement(workflow, run, around) if isinstance(workflow, WorkflowSpec) else None

    def faults(self) -> Faults:
        """Every fault for which it is refused."""
        meta, spec = self._cron.metadata, self._cron.spec
        found = cron_faults.cron_faults(spec, meta.name or meta.generate_name)
        if isinstance(self._workflow, Faults):
            return found + self._workflow
        assert self._judgement is not None
        steering = Faults(cron_faults.steering_faults(self._workflow))
        return found + steering + cron_faults.in_template(self._judgement.faults())

    def warnings(self) -> Faults:
        """What is allowed but probably not meant, of one without faults."""
        found = Faults(_of_schedules(self._cron.spec))
        return found + cron_faults.in_template(self._judgement.warnings()) if self._judgement is not None else found

    def missing(self) -> Faults:
        """The templates that do not exist, for one with faults."""
        return cron_faults.in_template(self._judgement.missing()) if self._judgement is not None else Faults()


def read_template(cron: CronWorkflow) -> WorkflowSpec | Faults:
    """The spec of the runs, or why it cannot be read."""
    return cron_faults.template_spec(cron.spec)


def _of_schedules(spec: CronWorkflowSpec) -> Iterator[Fault]:
    deadline = spec.starting_deadline_seconds
    if deadline is not None and deadline < _SHORT_DEADLINE:
        message = f"is short: a run that is made a few seconds late is missed; {_SHORT_DEADLINE} or more is safe"
        yield fault("spec.startingDeadlineSeconds", message, deadline)
    seen: dict[str, int] = {}
    for at, text in enumerate(spec.schedules):
        plain = schedules.parse(text)
        if plain in seen:
            yield fault(f"spec.schedules[{at}]", f"says the same as spec.schedules[{seen[plain]}]; remove one", text)
        seen.setdefault(plain, at)
        if (lone := schedules.lone_step(text)) is not None:
            yield fault(f"spec.schedules[{at}]", lone, text)
