"""Makes workflows, fates of jobs and schedules from bytes, so that Hypothesis can generate and shrink them.

A zero is always the simple choice: a flow without conditions, a job that succeeds, a step in which nothing goes wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from zlib import crc32

from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.types import WorkflowSpec
from pkg.apis.meta import GVR
from tests.manifests import decoded
from tests.property.objects import DELETING, MAPS, SERVERS, SERVING, TEMPLATES, object_fates
from tests.property.world import Fate

T = TypeVar("T")
_LISTS: Final[tuple[Any, ...]] = ([], [1], ["a", "b"], [{"x": 1}, 2, 3], [0, 1, 2, 3, 4], {"no": "list"})
FLOW_BYTES: Final = 40
# Where in the bytes of a flow it says which object the flow applies or deletes: behind all that others read.
_OBJECT_AT: Final = 38
HEAD_BYTES: Final = 10


class Tape:
    """Reads choices from bytes; after the end all are zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._data)

    def next(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, *choices: T) -> T:
        return choices[self.next() % len(choices)]

    def below(self, limit: int) -> int:
        return self.next() % limit

    def one_in(self, number: int) -> bool:
        return self.next() % number == number - 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is run: head (policy and switches), one byte string per flow, and the schedule."""

    head: bytes
    flows: tuple[bytes, ...]
    schedule: bytes

    def __repr__(self) -> str:
        flows = ", ".join(_short(flow) for flow in self.flows)
        comma = "," if len(self.flows) == 1 else ""
        # Each zero at the end of the schedule is a step.
        schedule = f'bytes.fromhex("{self.schedule.hex()}")'
        return f"Scenario({_short(self.head)}, ({flows}{comma}), {schedule})"


def _short(data: bytes) -> str:
    """Without the zeros at the end, which a tape reads anyway."""
    return f'bytes.fromhex("{data.rstrip(bytes(1)).hex()}")'


@st.composite
def scenarios(draw: st.DrawFn, *, max_flows: int = 40, max_steps: int = 200) -> Scenario:
    small, middle = st.integers(1, min(6, max_flows)), st.integers(1, min(12, max_flows))
    count = draw(st.one_of(small, middle, st.integers(1, max_flows)))
    steps = draw(st.integers(0, max_steps))
    return Scenario(
        head=draw(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES)),
        flows=tuple(draw(st.binary(min_size=FLOW_BYTES, max_size=FLOW_BYTES)) for _ in range(count)),
        schedule=draw(st.binary(min_size=steps, max_size=steps)),
    )


@dataclass(slots=True)
class Story:
    """What the bytes mean. patience: seconds from the start of a job to its probe's success, None for never."""

    spec: WorkflowSpec
    fate_of: Callable[[str, int, int], Fate]
    services: frozenset[str]
    widgets: frozenset[str]
    patience: Callable[[str, str, int], float | None]
    templates: tuple[dict[str, Any], ...]
    #: Flows whose jobs hand out a list.
    listing: frozenset[str] = frozenset()
    #: Flows that apply or delete objects.
    acting: frozenset[str] = frozenset()
    #: Objects that are there at the start.
    there: tuple[tuple[GVR, str], ...] = ()

    def list_of(self, flow: str, index: int, attempt: int, *, is_later: bool = False) -> str:
        """What a job hands out when it succeeds, and what it says later, which nobody may read; empty for most."""
        if flow not in self.listing:
            return ""
        found = _LISTS[crc32(f"{flow} {index} {attempt} {is_later}".encode()) % len(_LISTS)]
        return json.dumps(found)


def story_of(
    scenario: Scenario,
    *,
    calm: bool = False,
    with_outputs: bool = True,
    with_people: bool = False,
    with_objects: bool = False,
) -> Story:
    """The workflow (valid by construction) and everything that will happen to its jobs.

    with_people: some flows wait for an approval, and the jobs of `finally` flows have how the workflow went.
    with_objects: some flows apply or delete an object.

    calm: nothing in it depends on time. There are no timeouts and no network probes, jobs succeed or fail, and
    `remaining` is Continue.
    """
    head = Tape(scenario.head)
    finals = 0 if len(scenario.flows) < 2 else head.pick(0, 0, 0, 1, 2)
    count = len(scenario.flows)
    ordinary = max(1, count - finals)
    flows: list[dict[str, Any]] = []
    fates, patience = {}, {}
    services: set[str] = set()
    widgets: set[str] = set()
    listing: set[str] = set()
    asking: set[str] = set()
    acting: set[str] = set()
    for number, data in enumerate(scenario.flows):
        tape = Tape(data)
        name = f"f{number}"
        raw, is_service, is_widget = _flow(tape, number, ordinary, is_finally=number >= ordinary)
        fates[name] = _fates(tape, is_service=is_service)
        if calm:
            _calm(raw)
            fates[name] = [_calm_fate(fate) for fate in fates[name]]
        is_acting = with_objects and data[_OBJECT_AT : _OBJECT_AT + 1] > b"\xd0"
        if is_acting:
            fates[name], is_service = _with_object(raw, fates[name], data[_OBJECT_AT:], calm=calm)
            is_widget = False
            acting.add(name)
        patience[name] = (tape.below(8), tape.below(5))
        listing |= _with_items(tape, raw, flows[: min(number, ordinary)], services | asking | acting)
        if with_outputs:
            _add_outputs(tape, raw, flows[: min(number, ordinary)])
            if tape.one_in(3):
                fates[name] = [replace(fate, gives=at % 2 == 0) for at, fate in enumerate(fates[name])]
        if with_people:
            is_asking = tape.one_in(6) and not is_service and not is_acting
            _with_people(raw, is_asking=is_asking)
            if is_asking:
                asking.add(name)
        if is_acting:
            _without_outputs(raw)
        flows.append(raw)
        if is_service:
            services.add(name)
        if is_widget:
            widgets.add(name)
    without_pods = {raw["name"] for raw in flows if raw.get("template") in (*DELETING, "map")} | asking
    for raw in flows if without_pods else ():
        _without_network_probes(raw, without_pods)
    spec = _spec(head, flows, ordinary, calm=calm)

    def fate_of(flow: str, index: int, attempt: int) -> Fate:
        found = fates[flow]
        return found[(index * 5 + attempt) % len(found)]

    def patience_of(flow: str, path: str, index: int) -> float | None:
        seconds, kind = patience.get(flow, (0, 0))  # a flow that an edit brought has none
        if kind == 4 or (kind == 3 and "tcp" in path):
            return None
        return float(seconds + index)

    return Story(
        spec=decoded(spec, WorkflowSpec),
        fate_of=fate_of,
        services=frozenset(services),
        widgets=frozenset(widgets),
        patience=patience_of,
        templates=(*_templates(), *(TEMPLATES if acting else ())),
        listing=frozenset(listing),
        acting=frozenset(acting),
        there=_things_of(flows) if acting else (),
    )


def _with_object(raw: dict[str, Any], fates: Sequence[Fate], data: bytes, *, calm: bool) -> tuple[Sequence[Fate], bool]:
    """Lets a flow apply or delete an object in place of making jobs; returns how its objects live, and whether they
    serve. Flows may mean the same objects, unless nothing is to depend on time.
    """
    tape = Tape(data)
    template = tape.pick("server", "map", "batch", "drop-server", "drop-map")
    raw["template"] = template
    name = raw["name"] if calm else tape.pick("a", "b", raw["name"])
    raw["parameters"] = [{"name": "object", "value": name}]
    return object_fates(fates, template), template in SERVING


def _without_outputs(raw: dict[str, Any]) -> None:
    """Takes from a flow what the kind of its object does not have, and what nothing is rendered of."""
    if raw["template"] in (*DELETING, "map"):
        raw.pop("outputs", None)
    if raw["template"] in DELETING:
        raw.pop("patch", None)


def _things_of(flows: Sequence[dict[str, Any]]) -> tuple[tuple[GVR, str], ...]:
    """Objects that are there before the workflow: some of those that its flows delete."""
    named = [(flow["template"], flow["parameters"][0]["value"]) for flow in flows if flow.get("template") in DELETING]
    kinds = {"drop-server": (SERVERS, "server"), "drop-map": (MAPS, "map")}
    found = {(kinds[template], f"{name}-{index}") for template, name in named for index in (0, 2) if name != "b"}
    return tuple(sorted((gvr, f"{kind}-{name}") for (gvr, kind), name in found))


def _spec(head: Tape, flows: list[dict[str, Any]], ordinary: int, *, calm: bool) -> dict[str, Any]:
    """The spec around the flows, of which the first `ordinary` ones are no `finally` flows."""
    spec: dict[str, Any] = {"flows": flows, "successPolicy": {}}
    policy = head.pick("All", "All", "Any", "Critical")
    spec["successPolicy"]["type"] = policy
    if policy == "Critical":
        spec["successPolicy"]["criticalFlows"] = sorted({f"f{head.next() % ordinary}" for _ in range(2)})
    remaining = head.pick(None, "Continue", "Drain", "Cancel")
    if remaining:
        spec["successPolicy"]["remaining"] = remaining
    parallelism = head.pick(None, None, None, 1, 2, 5)
    if parallelism:
        spec["parallelism"] = parallelism
    timeout = head.pick(None, None, None, None, None, "20s", "200s")
    if timeout:
        spec["timeout"] = timeout
    if calm:
        spec.pop("timeout", None)
        spec["successPolicy"]["remaining"] = "Continue"
    spec["jobRetainPolicy"] = head.pick("retain", "retain", "delete", "delete-on-success")
    if head.one_in(4):
        spec["queueName"] = "team-a"
    return spec


def _with_items(tape: Tape, raw: dict[str, Any], before: list[dict[str, Any]], services: set[str]) -> set[str]:
    """Lets a flow with `for` have the items of a list that an earlier one hands out; returns that one's name."""
    choice, asked = tape.next(), tape.next()
    candidates = [flow for flow in before if flow["name"] not in services]
    if choice % 3 != 1 or "for" not in raw or not candidates:
        return set()
    source = candidates[-1 - asked % len(candidates)]
    name = source["name"]
    if "list" not in [output["name"] for output in source.get("outputs", ())]:
        source.setdefault("outputs", []).append({"name": "list", "from": {"path": "status.list"}})
    pick = "[0]" if source.get("for", {"replicas": 0}).get("replicas", 1) and choice % 2 else ""
    raw["for"] = {"itemsFrom": f"{{{{flows.{name}.outputs.list{pick}}}}}", **raw["for"]}
    del raw["for"]["replicas"]
    return {name}


def _calm(raw: dict[str, Any]) -> None:
    raw.pop("timeout", None)
    raw.pop("pendingTimeout", None)
    _without_network_probes(raw)


def _without_network_probes(raw: dict[str, Any], of: Set[str] | None = None) -> None:
    """Replaces probes by ones whose answer does not depend on time, those of some flows or of all."""
    for on in (raw.get("dependsOn"), raw.get("for", {}).get("dependsOn")):
        for part in (on, *on.get("orGroups", ())) if on else ():
            probe = part.get("probe", {})
            for kind in ("httpGetList", "tcpSocketList"):
                asked = probe.pop(kind, [])
                kept = [one for one in asked if of is not None and one["taskName"] not in of]
                if kept:
                    probe[kind] = kept
                for one in asked:
                    if one not in kept:
                        status = {"taskName": one["taskName"], "phase": "Finished"}
                        probe.setdefault("taskStatusList", []).append(status)
            if "httpGetList" not in probe and "tcpSocketList" not in probe:
                probe.pop("failAfter", None)


def _with_people(raw: dict[str, Any], *, is_asking: bool) -> None:
    """Lets a flow wait for an approval in place of making jobs, and those of a `finally` flow know how it went."""
    if is_asking:
        for field in ("template", "retry", "pendingTimeout", "outputs", "patch"):
            raw.pop(field, None)
        raw.get("for", {}).pop("parallelism", None)
        raw["approval"] = {}
    elif raw.get("finally"):
        notes = raw.setdefault("patch", {}).setdefault("metadata", {}).setdefault("annotations", {})
        notes["end"] = "{{workflow.phase}} {{workflow.duration}} {{workflow.failures}}"


def _calm_fate(fate: Fate) -> Fate:
    ends = "fail" if fate.ends in ("vanish", "hang") else fate.ends
    return replace(fate, ends=ends, runs=max(fate.runs, 0.05))


def _templates() -> tuple[dict[str, Any], ...]:
    pod = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}
    jobs = {"group": "batch", "version": "v1", "resource": "jobs"}
    widgets = {"group": "example.com", "version": "v1", "resource": "widgets"}
    return (
        {"metadata": {"name": "job"}, "spec": {"gvr": jobs, "jobSpec": pod}},
        {"metadata": {"name": "widget"}, "spec": {"gvr": widgets, "jobSpec": {}}},
        {"metadata": {"name": "service"}, "spec": {"gvr": widgets, "jobSpec": {}, "completion": "Ready"}},
    )


def _flow(tape: Tape, number: int, ordinary: int, *, is_finally: bool) -> tuple[dict[str, Any], bool, bool]:
    name = f"f{number}"
    raw: dict[str, Any] = {"name": name}
    template = tape.pick("job", "job", "job", "job", "widget", "service")
    is_service = template == "service" and not is_finally
    raw["template"] = "service" if is_service else "job" if template == "service" else template
    before = min(number, ordinary)
    if before:
        on = _depends(tape, before, is_finally=is_finally)
        if on:
            raw["dependsOn"] = on
    if is_finally:
        raw["finally"] = True
    if tape.one_in(3):
        loop: dict[str, Any] = {"replicas": tape.pick(3, 2, 1, 4, 7, 0)}
        parallelism = tape.pick(None, None, 1, 2)
        if parallelism:
            loop["parallelism"] = parallelism
        own = tape.pick(None, None, None, "target", "Running", "Finished", "Pending", "other", "tcp")
        if own == "target":
            loop["dependsOn"] = {"targets": [name], "onSkipped": tape.pick("Skip", "Ignore")}
        elif own == "other" and before:
            loop["dependsOn"] = {"targets": [f"f{tape.next() % before}"]}
        elif own == "tcp" and not is_finally:
            loop["dependsOn"] = {"probe": {"tcpSocketList": [{"taskName": name, "port": 8080}], "failAfter": "4s"}}
        elif own in ("Running", "Finished", "Pending"):
            loop["dependsOn"] = {"probe": {"taskStatusList": [{"taskName": name, "phase": own}]}}
        raw["for"] = loop
    else:
        tape.next()
    retries = tape.pick(0, 0, 1, 2, 3)
    if retries:
        raw["retry"] = {"maxRetries": retries, "interval": tape.pick("1s", "0s", "100ms"), "maxInterval": "3s"}
        if tape.one_in(5):
            raw["retry"]["reasons"] = [tape.pick("Failed", "JobDeleted", "DeadlineExceeded", "PendingTimeout")]
    if tape.one_in(4):
        raw["continueOnFail"] = True
    if tape.one_in(5):
        raw["timeout"] = tape.pick("4s", "10s", "500ms")
    if tape.one_in(6):
        raw["pendingTimeout"] = tape.pick("3s", "600ms", "20s")
    return raw, is_service, raw["template"] != "job"


def _add_outputs(tape: Tape, raw: dict[str, Any], before: Sequence[dict[str, Any]]) -> None:
    """Lets a flow hand out x, use that of an earlier flow, and run under a condition."""
    kind = tape.pick("", "", "x", "x", "default")
    if kind:
        default = {"default": "none"} if kind == "default" else {}
        raw["outputs"] = [{"name": "x", "from": {"path": "status.x"}, **default}]
    use, which, when = tape.pick("", "", "all", "own", "first"), tape.next(), tape.next()
    giving = [flow for flow in before if "x" in [output["name"] for output in flow.get("outputs", ())]]
    if use == "own":  # of the same index; how many items there will be is not known
        most = raw.get("for", {"replicas": 1}).get("replicas", 1_000)
        giving = [flow for flow in giving if _most_replicas(flow) >= max(1, most)]
    elif use == "first":
        giving = [flow for flow in giving if _most_replicas(flow)]
    if use and giving:
        asked = giving[which % len(giving)]["name"]
        pick = {"all": "", "own": "[index]", "first": "[0]"}[use]
        key = f"out.{asked}.{ {'all': 'all', 'own': '{{index}}', 'first': '0'}[use] }"
        raw["patch"] = {"metadata": {"annotations": {key: f"{{{{flows.{asked}.outputs.x{pick}}}}}"}}}
    match when % 12:
        case 8 if before:
            raw["when"] = f"flows.{before[which % len(before)]['name']}.failed == 0"
        case 9:
            raw["when"] = "index % 2 == 0"
        case 10:
            raw["when"] = "index < 0"
        case 11 if giving:
            raw["when"] = f"outputs.{giving[which % len(giving)]['name']}.x != 'nothing'"


def _most_replicas(flow: dict[str, Any]) -> int:
    """How many replicas a flow may have; of one without `for` none."""
    loop = flow.get("for", {})
    return 1_000 if "itemsFrom" in loop else int(loop.get("replicas", 0))


def _depends(tape: Tape, before: int, *, is_finally: bool) -> dict[str, Any]:
    def some(limit: int) -> list[str]:
        wanted = tape.below(limit + 1)
        # Near ones first, so that chains and diamonds are common.
        return sorted({f"f{before - 1 - (tape.next() % min(before, 6 + index * 20))}" for index in range(wanted)})

    def group() -> dict[str, Any]:
        found: dict[str, Any] = {}
        targets = some(2)
        if targets:
            found["targets"] = targets
        kind = tape.pick(None, None, None, "status", "status", "http", "tcp", "both")
        if is_finally and kind in ("http", "tcp", "both"):
            kind = "status"
        probe: dict[str, Any] = {}
        asked = f"f{before - 1 - tape.next() % min(before, 8)}"
        phases = ("Failed", "Running", "Completed", "Skipped", "Finished", "Pending", "Aborted", "Succeeded")
        if kind in ("status", "both"):
            probe["taskStatusList"] = [{"taskName": asked, "phase": tape.pick(*phases)}]
        if kind in ("http", "both"):
            probe["httpGetList"] = [{"taskName": asked, "port": 8080, "path": "/"}]
        if kind == "tcp":
            probe["tcpSocketList"] = [{"taskName": asked, "port": 8080}]
        if kind in ("http", "tcp", "both"):
            probe["failAfter"] = tape.pick("4s", "1s", "12s")
        if probe:
            found["probe"] = probe
        strategy = tape.pick(None, None, "Any", "All")
        if strategy and found:
            found["strategy"] = strategy
        return found

    on = group()
    if tape.one_in(4):
        groups = [found for found in (group(), group()) if found.get("targets") or found.get("probe")]
        if groups:
            on["orGroups"] = groups
    if on and tape.one_in(4):
        on["onSkipped"] = "Ignore"
    return on


def _fates(tape: Tape, *, is_service: bool) -> Sequence[Fate]:
    found = []
    for _ in range(4):
        ends = tape.pick("ok", "ok", "ok", "fail", "fail", "vanish", "hang")
        how = tape.next()
        found.append(
            Fate(
                pends=(1.0, 0.05, 5.0, 0.3)[how % 4],
                runs=(3.0, 0.05, 8.0, 0.0)[how // 4 % 4],
                ends="ready" if is_service and ends == "ok" else ends,
                held=(0.0, 0.0, 0.0, 6.0)[how // 16 % 4],
                lingers=(0.0, 0.0, 2.5, 0.2)[how // 64 % 4],
                refused={41: "for good", 43: "at first", 45: "at first"}.get(how % 47, ""),
                taken=how % 37 == 31,
            )
        )
    return found
