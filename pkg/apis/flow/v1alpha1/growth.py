"""What each task costs that `for.itemsFrom` adds to a flow, within the same bounds as tasks that the spec has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import cost
from pkg.apis.flow.v1alpha1.cost import Cost
from pkg.apis.flow.v1alpha1.edges import Edge, Wait
from pkg.apis.flow.v1alpha1.reading import Reading

# Bytes of status, over all outputs of a flow, that surround the value of one more task.
_OUTPUT_BYTES: Final = 12


class Growth(msgspec.Struct, frozen=True):
    """What a flow costs beyond one task.

    task: one more task, without status; outputs: how many outputs it has; retries: how many it may have.
    """

    task: Cost = Cost()
    outputs: int = 0
    retries: int = 0

    def of(self, size: int) -> Cost:
        """What the flow costs with so many tasks, beyond what it costs with one."""
        more = max(0, size - 1)
        found = {name: more * getattr(self.task, name) for name in Cost.__struct_fields__}
        found["status"] = cost.bytes_of_tasks(self.retries, max(1, size)) - cost.bytes_of_tasks(self.retries, 1)
        found["status"] += more * (
            self.outputs * (_OUTPUT_BYTES + len(str(size))) + cost.LATCH_BYTES * self.task.probed
        )
        return Cost(**found)


def growths(reading: Reading) -> Mapping[str, Growth]:
    """The growth of each flow with `for.itemsFrom`, by its name. Raises RawError."""
    growing = [flow for flow in reading.spec.flows if flow.items_from]
    if not growing:
        return {}
    probes: dict[str, int] = {}
    for flow in reading.spec.flows:
        for edge in reading.mentions(flow):
            if edge.wait is Wait.HTTP or edge.wait is Wait.TCP:
                probes[edge.flow] = probes.get(edge.flow, 0) + 1
    found = {}
    for flow in growing:
        # A probe of its own previous index is counted with the probes of the flow.
        mentions = [edge for edge in reading.mentions(flow) if not _is_probe(edge)]
        template = reading.templates.get(flow.template_name)
        total: dict[str, int] = {"probed": probes.get(flow.name, 0)}
        for name, value in cost.flow_cost(flow, mentions, template, {flow.name: 1}):
            if name != "status":
                total[name] = total.get(name, 0) + value
        retries = flow.retry.max_retries if flow.retry is not None else 0
        found[flow.name] = Growth(Cost(**total), len(flow.outputs), retries)
    return found


def together(*costs: Cost) -> Cost:
    """The sum."""
    return Cost(**{name: sum(getattr(one, name) for one in costs) for name in Cost.__struct_fields__})


def _is_probe(edge: Edge) -> bool:
    return edge.wait is Wait.HTTP or edge.wait is Wait.TCP
