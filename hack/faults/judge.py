"""Judges a run: workflows that were lost or did not end, attempts with two jobs, and the time that the recovery took.

Two sources count jobs: the API server's audit log (every creation that was answered 201) and the watch of the writer
(every UID it ever saw). The first lacks what a killed API server did not log. The second lacks jobs that existed only
between a cut watch and the next list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster.audit_log import entries
from hack.faults.load import TASKS, Attempt, Object, attempts_of, is_cursed, names
from pkg.apis.meta import GVR, seconds

AGENT = "workflow-controller/"
_WRITES = frozenset({"create", "patch", "update", "delete"})


@dataclass(frozen=True, slots=True)
class Call:
    """A write of a controller that succeeded. `at`: when the API server received it, `answered`: when it answered, in
    seconds since the epoch; user: who wrote, or was impersonated."""

    at: float
    answered: float
    verb: str
    resource: str
    name: str
    user: str = ""


def writes(audit_log: Path, namespace: str) -> Iterator[Call]:
    """What controllers wrote in a namespace, without Leases and Events."""
    for entry in entries(audit_log, containing=AGENT):
        about = entry.get("objectRef", {})
        if (
            entry["userAgent"].startswith(AGENT)
            and about.get("namespace") == namespace
            and entry["verb"] in _WRITES
            and about.get("resource") not in ("leases", "events")
            and entry.get("responseStatus", {}).get("code", 0) < 300
        ):
            at = seconds(entry["requestReceivedTimestamp"])
            answered = seconds(entry["stageTimestamp"])
            user = entry.get("impersonatedUser", entry["user"]).get("username", "")
            yield Call(at, answered, entry["verb"], about["resource"], about.get("name", ""), user)


@dataclass(slots=True)
class Verdict:
    """One row of the table. Times in seconds after the last fault; None if it never happened.

    hits: kills of a controller that had written since its start.
    """

    fault: str
    workflows: int
    what: str = ""
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    not_ended: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    jobs: int = 0
    hits: int = 0
    first_write: float | None = None
    recovered: float | None = None
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether no workflow was lost, did not end, or ended wrongly, and no attempt had two jobs."""
        return not (self.lost or self.twice or self.not_ended or self.wrong)

    def faults(self) -> str:
        """What went wrong, for a person to read; empty if nothing did."""
        found = {"lost": self.lost, "twice": self.twice, "not ended": self.not_ended, "wrong": self.wrong}
        return "\n".join(f"{word}: {'; '.join(items[:10])}" for word, items in found.items() if items)


def judge(
    verdict: Verdict, workflows: list[Object], seen: dict[Attempt, set[str]], calls: list[Call], jobs: GVR
) -> Verdict:
    """Fills in what was lost, made twice, not ended or wrong."""
    wanted = names(verdict.workflows)
    there = {item["metadata"]["name"]: item.get("status") or {} for item in workflows}
    verdict.lost = [name for name in wanted if not there.get(name)]
    for name in wanted:
        phase = there.get(name, {}).get("phase")
        if phase not in ("Succeeded", "Failed"):
            verdict.not_ended.append(f"{name} is {phase}")
        elif phase != ("Failed" if is_cursed(name) else "Succeeded"):
            verdict.wrong.append(f"{name} is {phase}: {there[name].get('message')}")
    made = Counter(call.name for call in calls if (call.verb, call.resource) == ("create", jobs.resource))
    known = dict(pair for name in wanted for pair in attempts_of(name))
    by_attempt = {attempt: max(made.pop(name, 0), len(seen.get(attempt, ()))) for name, attempt in known.items()}
    verdict.twice = [f"{attempt}: {count} jobs" for attempt, count in by_attempt.items() if count > 1]
    verdict.wrong += [f"{name}: a job that nobody asked for" for name in made]
    verdict.wrong += [f"{attempt}: a job of no task" for attempt in seen.keys() - by_attempt.keys()]
    verdict.jobs = sum(by_attempt.values())
    _check_completeness(verdict, there, by_attempt)
    return verdict


def _check_completeness(verdict: Verdict, there: dict[str, Object], by_attempt: dict[Attempt, int]) -> None:
    """Every task of a Succeeded workflow had a job, and every attempt the one before it."""
    tasks: dict[str, set[tuple[str, int]]] = {}
    for attempt, count in by_attempt.items():
        if not count:
            continue
        tasks.setdefault(attempt.workflow, set()).add((attempt.flow, attempt.index))
        before = Attempt(attempt.workflow, attempt.flow, attempt.index, attempt.number - 1)
        if attempt.number and not by_attempt[before]:
            verdict.wrong.append(f"{attempt} came without the one before it")
    for name, status in there.items():
        if status.get("phase") == "Succeeded" and len(tasks.get(name, ())) != TASKS:
            verdict.wrong.append(f"{name} Succeeded with jobs of {len(tasks.get(name, ()))} tasks out of {TASKS}")


def time_recovery(verdict: Verdict, calls: list[Call], last_fault: float, all_ended: float | None) -> None:
    """Seconds from the last fault to the controller's first write, and to the end of the last workflow."""
    after = [call.at for call in calls if call.at > last_fault]
    verdict.first_write = min(after) - last_fault if after else None
    verdict.recovered = max(0.0, all_ended - last_fault) if all_ended is not None else None
