"""What a namespace shows of outputs, items and objects that stay, and what of it is wrong.

Two sources: each version of a Workflow's status that a watch shows, and what jobs and applied objects were made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from hack.faults.load import DELAY, DELAYED, GATE, HELD, PAGE, SERVICE, SIZES, Attempt, Object
from pkg.apis.flow.v1alpha1.indexes import unpack_indexes

_NOTHING = "null"
Key = tuple[str, str, int, str]
"""Workflow, flow, index and name of an output."""


class Evidence:
    """Collects what is seen; not thread-safe."""

    def __init__(self) -> None:
        self._outputs: dict[Key, list[str]] = {}
        self._vanished: set[Key] = set()
        self._made: dict[Attempt, Object] = {}
        self._ready: dict[str, float] = {}
        self._delayed: dict[str, float] = {}
        self._uids: dict[str, list[str]] = {}
        self._contents: dict[str, list[str]] = {}
        self._gone: set[str] = set()
        self._owned: set[str] = set()
        self._verdicts: dict[str, set[str]] = {}
        self._ends: dict[str, list[str]] = {}

    def see_workflow(self, name: str, status: Object) -> None:
        """A version of the status of a workflow."""
        now = dict(recorded(name, status))
        for key, value in now.items():
            values = self._outputs.setdefault(key, [])
            if value not in values:
                values.append(value)
        self._vanished |= {key for key in self._outputs if key[0] == name and key not in now}
        for flow in status.get("flows", ()):
            if flow["name"] == GATE and flow["phase"] in ("Succeeded", "Failed", "Skipped"):
                self._verdicts.setdefault(name, set()).add(f"{flow['phase']}: {flow.get('message')}")
        end = json.dumps(status.get("record", {}).get("end"), sort_keys=True)
        ends = self._ends.setdefault(name, [])
        if not ends or ends[-1] != end:
            ends.append(end)

    def see_job(self, attempt: Attempt, spec: Object) -> None:
        """A job of an attempt, with what it was made from."""
        self._made[attempt] = spec

    def see_ready(self, workflow: str, at: float) -> None:
        """At this time at the earliest `prepare` of a workflow has succeeded (seconds since the epoch)."""
        self._ready.setdefault(workflow, at)

    def see_delayed(self, attempt: Attempt, created: float) -> None:
        """A job was created, in whole seconds since the epoch."""
        if (attempt.flow, attempt.number) == (DELAYED, 0):
            self._delayed[attempt.workflow] = created

    def see_object(self, name: str, meta: Object, content: Object, *, is_gone: bool) -> bool:
        """A version of an object that tasks apply or delete; whether it is seen for the first time."""
        uid, text = meta["uid"], json.dumps(content, sort_keys=True)
        uids, contents = self._uids.setdefault(name, []), self._contents.setdefault(name, [])
        is_new = uid not in uids
        if is_new:
            uids.append(uid)
        if text not in contents:
            contents.append(text)
        if is_gone:
            self._gone.add(uid)
        if meta.get("ownerReferences") or any(key.startswith("flow.workflow.sh/") for key in meta.get("labels") or {}):
            self._owned.add(name)
        return is_new

    def faults(self) -> list[str]:
        """What no fault may cause: a value that is lost or read twice, a job made from another, an object that went."""
        found = [
            f"{key}: the output was read {len(values)} times: {values}"
            for key, values in self._outputs.items()
            if len(values) > 1
        ]
        found += [f"{key}: the output was recorded, and later it was not" for key in self._vanished]
        found += [
            f"{name}: the approval was taken {len(verdicts)} times: {sorted(verdicts)}"
            for name, verdicts in self._verdicts.items()
            if len(verdicts) > 1
        ]
        found += [
            f"{name}: how it went was recorded in turn as {ends}"
            for name, ends in self._ends.items()
            if len([end for end in ends if end != _NOTHING]) > 1 or (_NOTHING in ends[1:])
        ]
        found += [
            f"{name}: {DELAYED} began {created - self._ready[name]:.1f} s after prepare, its startDelay is {DELAY} s"
            for name, created in self._delayed.items()
            if name in self._ready and created + 1 <= self._ready[name] + DELAY
        ]
        for attempt, spec in self._made.items():
            found += self._wrong_inputs(attempt, spec)
        for name in self._uids:
            found += self._wrong_object(name)
        return found

    def incomplete(self, name: str) -> list[str]:
        """What a Succeeded workflow has to have, and has not."""
        return [
            *([] if self._verdicts.get(name) else [f"{name}: nobody's approval was taken"]),
            *([f"{name}: how it went was not recorded"] if self._ends.get(name, [_NOTHING])[-1] == _NOTHING else []),
            *(f"{name}: no output {wanted[1:]}" for wanted in _outputs_of(name) if wanted not in self._outputs),
            *(f"{name}: no {kind} was applied" for kind in (SERVICE, PAGE) if not self._uids.get(f"{name}-{kind}")),
            *(
                []
                if set(self._uids.get(f"{name}-{HELD}", ())) & self._gone
                else [f"{name}: {name}-{HELD} was not deleted"]
            ),
        ]

    def _value(self, workflow: str, flow: str, index: int, name: str) -> str | None:
        values = self._outputs.get((workflow, flow, index, name))
        return values[0] if values else None

    def _scores(self, name: str) -> list[str | None]:
        return [self._value(name, "train", index, "score") for index in range(SIZES["train"] or 0)]

    def _wrong_inputs(self, attempt: Attempt, spec: Object) -> Iterator[str]:
        """Differences between what a job was made from and what status records."""
        name, index = attempt.workflow, attempt.index
        if attempt.flow in ("train", "report"):
            part = (spec.get("item") or {}).get("part")
            if part != index:
                yield f"{attempt} has the item {part}"
        if attempt.flow == "train":
            handed = json.loads(self._value(name, "prepare", 0, "parts") or "[]")
            if spec.get("item") not in handed:
                yield f"{attempt} has an item that is not in the recorded list"
        wanted: dict[str, object] = {
            "evaluate": self._scores(name),
            "report": self._value(name, "train", index, "score"),
            "finish": self._value(name, "prepare", 0, "first"),
        }
        if attempt.flow in wanted:
            seen = spec.get("seen")
            if (json.loads(seen or "null") if attempt.flow == "evaluate" else seen) != wanted[attempt.flow]:
                yield f"{attempt} was made from {seen}, and {wanted[attempt.flow]} is recorded"

    def _wrong_object(self, name: str) -> Iterator[str]:
        """What is wrong with the objects of one name."""
        workflow, _, kind = name.rpartition("-")
        uids, contents = self._uids[name], self._contents[name]
        if kind == HELD:  # the first one is deleted, and another one of that name has nothing to do with the task
            yield from (
                f"{name}: {uid} was deleted, and is not the object that the task found"
                for uid in uids[1:]
                if uid in self._gone
            )
            return
        if len(uids) > 1 or self._gone.intersection(uids):
            yield f"{name}: an applied object was deleted"
        if len(contents) > 1:
            yield f"{name}: it was applied with {len(contents)} contents: {contents}"
        if name in self._owned:
            yield f"{name}: an applied object has an owner or labels of a run"
        content = json.loads(contents[0])
        wanted: Object = (
            {"seen": self._value(workflow, "prepare", 0, "first")}
            if kind == SERVICE
            else {"address": self._value(workflow, "serve", 0, "address"), "scores": self._scores(workflow)}
        )
        if kind == PAGE:
            content = {**content, "scores": json.loads(content["scores"])}
        if content != wanted:
            yield f"{name}: it was applied with {content}, and {wanted} is recorded"


def _outputs_of(name: str) -> Iterator[Key]:
    """All outputs of a workflow that has Succeeded."""
    yield from ((name, "prepare", 0, output) for output in ("parts", "first"))
    yield from ((name, "train", index, "score") for index in range(SIZES["train"] or 0))
    yield (name, "serve", 0, "address")


def recorded(name: str, status: Object) -> Iterator[tuple[Key, str]]:
    """The outputs that a status of a workflow has."""
    for flow in status.get("flows", ()):
        for output in flow.get("outputs", ()):
            if "values" not in output:
                yield (name, flow["name"], 0, output["name"]), output.get("value", "")
                continue
            indexes = unpack_indexes(output.get("indexes") or flow.get("succeeded", ""))
            for index, value in zip(indexes, output["values"], strict=True):
                yield (name, flow["name"], index, output["name"]), value
