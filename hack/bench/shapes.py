"""The shapes of workflows that `make bench` measures: how many, of which flows, made of which kind of job. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hack.faults.load import FAULT_JOBS, FLOW_API
from pkg.apis.meta import GVR

Object = dict[str, Any]
RUN_FOR: Final = "0.2s"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job. spec: its `.spec`; simulated: whether the bench itself completes the jobs, as their operator."""

    gvr: GVR
    kind: str
    spec: Object
    simulated: bool = False

    def body(self, name: str, metadata: Object) -> Object:
        """A whole object."""
        return {
            "apiVersion": self.gvr.api_version,
            "kind": self.kind,
            "metadata": {**metadata, "name": name},
            "spec": self.spec,
        }


_POD: Final = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
_NOTES: Final = {"sim.workflow.sh/run-for": RUN_FOR}
CUSTOM: Final = Kind(FAULT_JOBS, "FaultJob", {"work": "none"}, simulated=True)
JOB: Final = Kind(
    GVR("batch", "v1", "jobs"),
    "Job",
    {"backoffLimit": 0, "template": {"metadata": {"annotations": _NOTES}, "spec": _POD}},
)
POD: Final = Kind(GVR("", "v1", "pods"), "Pod", _POD)


def template(kind: Kind, name: str) -> Object:
    """The WorkTemplate that makes jobs of that kind."""
    gvr = {"group": kind.gvr.group, "version": kind.gvr.version, "resource": kind.gvr.resource}
    spec: Object = {"gvr": gvr, "jobSpec": kind.spec}
    if kind is POD:
        spec["metadata"] = {"annotations": _NOTES}
    return {"apiVersion": FLOW_API, "kind": "WorkTemplate", "metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True, slots=True)
class Shape:
    """flows: name -> targets; rate: workflows a second, 0 for all at once; own_templates: one for each flow;
    seconds: after which the operator of a simulated job says that it is in `phase`.
    """

    name: str
    title: str
    workflows: int
    flows: dict[str, tuple[str, ...]]
    kind: Kind = CUSTOM
    rate: float = 0.0
    own_templates: bool = False
    in_turn: bool = False
    seconds: float = 0.0
    phase: str = "Succeeded"

    @property
    def tasks(self) -> int:
        """Of all workflows together."""
        return self.workflows * len(self.flows)

    @property
    def notes(self) -> dict[str, str]:
        """Annotations of its jobs."""
        return dict(_NOTES) if self.kind is POD else {}

    @property
    def is_saturated(self) -> bool:
        return not self.rate

    def template_name(self, flow: str) -> str:
        """The template of a flow."""
        return f"step-{flow}" if self.own_templates else "step"

    def workflow(self, name: str) -> Object:
        """One workflow as it is applied."""
        flows: list[Object] = []
        for flow, targets in self.flows.items():
            after = {"dependsOn": {"targets": targets}} if targets else {}
            flows.append({"name": flow, "template": self.template_name(flow), **after})
        return {"apiVersion": FLOW_API, "kind": "Workflow", "metadata": {"name": name}, "spec": {"flows": flows}}


def chain(length: int) -> dict[str, tuple[str, ...]]:
    """t0 <- t1 <- ..."""
    return {f"t{at}": (f"t{at - 1}",) if at else () for at in range(length)}


def fan(width: int) -> dict[str, tuple[str, ...]]:
    """One, many, one."""
    middle = tuple(f"m{at}" for at in range(width))
    return {"first": (), **dict.fromkeys(middle, ("first",)), "last": middle}


def layers(depth: int, width: int, each: int) -> dict[str, tuple[str, ...]]:
    """Every flow depends on `each` of the layer before."""
    return {
        f"l{layer}-{at}": tuple(f"l{layer - 1}-{(at + step) % width}" for step in range(each)) if layer else ()
        for layer in range(depth)
        for at in range(width)
    }


def _shapes() -> tuple[Shape, ...]:
    return (
        Shape("chains", "60 chains of 10", 60, chain(10)),
        Shape("fans", "15 fans 1-20-1", 15, fan(20)),
        Shape("layers", "8 of 5 layers of 10", 8, layers(5, 10, 10)),
        Shape("wide", "one fan 1-500-1", 1, fan(500)),
        Shape(
            "templates",
            "3,000 flows with a template each, twice",
            2,
            {f"f{at}": () for at in range(3000)},
            own_templates=True,
            in_turn=True,
        ),
        Shape("dag", "one DAG of 50 x 100", 1, layers(50, 100, 3)),
        Shape("quiet", "20 chains of 5 at 2/s", 20, chain(5), rate=2.0, seconds=0.1),
        Shape("jobs", "12 chains of 10, real Jobs", 12, chain(10), kind=JOB),
        Shape("pods", "12 chains of 10, pods of kwok", 12, chain(10), kind=POD),
        Shape("quiet-jobs", "20 chains of 5 at 2/s, real Jobs", 20, chain(5), kind=JOB, rate=2.0),
        Shape("quiet-pods", "20 chains of 5 at 2/s, pods of kwok", 20, chain(5), kind=POD, rate=2.0),
    )


SHAPES: Final[dict[str, Shape]] = {shape.name: shape for shape in _shapes()}
