"""Whether a CronWorkflow can make runs, judged once for each generation of it."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1 import cron_faults, validation
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.schedules import Timetable
from pkg.apis.flow.v1alpha1.types import CronWorkflow


def judge(cron: CronWorkflow) -> Timetable | Faults:
    """The timetable of a CronWorkflow, or every fault for which it makes no run."""
    spec = cron.spec
    found = cron_faults.cron_faults(spec, cron.metadata.name)
    workflow = cron_faults.template_spec(spec)
    if isinstance(workflow, Faults):
        return found + workflow
    found += Faults(cron_faults.steering_faults(workflow))
    try:
        found += cron_faults.in_template(validation.validate_workflow(workflow))
    except (RawError, RecursionError) as error:
        found += Faults([Fault(cron_faults.ROOT, str(error))])
    return found or Timetable.of(spec.schedules, spec.time_zone)
