"""What a user reads of the API server's warnings about jobs: once per template, and as long as nothing matters more."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.snapshot import JobWarning
from pkg.controllers.workflow.planner.status.server_warnings import MAX_MESSAGE
from tests.builders import Bench, template, wf

TYPO = 'unknown field "spec.backoffLimt"'
OTHER = 'unknown field "spec.template.spec.conatiners"'
OLD = "batch/v1beta1 CronJob is deprecated in v1.21+"
ADVICE = " (the API server drops such fields: correct the template job or the patch of the flow)"
TEMPLATES = {name: template(name, jobSpec={}) for name in ("job", "other")}


def bench_of(*texts: str, **flows: Any) -> Bench:
    """Flows of the template `job`, unless they name another; the API server says this about every job."""
    of = {name: {"template": "job"} | flow for name, flow in (flows or {"a": {}}).items()}
    bench = Bench(wf(**of), TEMPLATES, settle=False)
    bench.warn = lambda _creation: texts
    bench.settle()
    return bench


def warned(bench: Bench) -> list[str]:
    """The messages of the Events about warnings."""
    return [event.message for event in bench.events if event.reason == "ServerWarning"]


def shown(bench: Bench, name: str = "a") -> tuple[str, str]:
    return bench.flow(name).reason, bench.flow(name).message


MESSAGES: dict[str, tuple[tuple[str, ...], str]] = {
    "a field": ((TYPO,), TYPO + ADVICE),
    "several fields": ((TYPO, OTHER), f"{TYPO}, {OTHER}{ADVICE}"),
    "a doubled field": (('duplicate field "spec.x"',), 'duplicate field "spec.x"' + ADVICE),
    "something that is not about fields": ((OLD,), OLD),
    "fields come first": ((OLD, TYPO), f"{TYPO}, {OLD}{ADVICE}"),
}


@pytest.mark.parametrize(("texts", "message"), MESSAGES.values(), ids=MESSAGES.keys())
def test_a_warning_becomes_an_event_and_stays_in_the_message(texts: tuple[str, ...], message: str) -> None:
    bench = bench_of(*texts)
    assert warned(bench) == [f"flow a: {message}"]
    bench.runs("a")
    bench.succeeds("a")
    assert bench.phase == "Succeeded"
    assert shown(bench) == ("ServerWarning", message)
    assert warned(bench) == [f"flow a: {message}"]


def test_one_event_for_all_jobs_of_a_template() -> None:
    wide = {"for": {"replicas": 200}, "retry": {"maxRetries": 2, "interval": "1s"}}
    bench = bench_of(TYPO, a=wide, b={}, c={"template": "other"})
    bench.fails("a/7")
    bench.wait(1)
    assert len(bench.made) == 203
    assert [message[:7] for message in warned(bench)] == ["flow a:", "flow c:"], "b has the template of a"
    assert [shown(bench, name)[0] for name in "bc"] == ["ServerWarning"] * 2


def test_what_a_patch_adds_has_an_event_of_its_own() -> None:
    def warn(creation: CreateJob) -> tuple[str, ...]:
        return (TYPO, OTHER) if creation.task.flow == "b" else (TYPO,)

    bench = Bench(wf(a={"template": "job"}, b={"template": "job"}), TEMPLATES, settle=False)
    bench.warn = warn
    bench.settle()
    assert warned(bench) == [f"flow a: {TYPO}{ADVICE}", f"flow b: {TYPO}, {OTHER}{ADVICE}"]


def test_what_is_more_important_comes_before_it() -> None:
    bench = bench_of(TYPO, a={"retry": {"maxRetries": 1, "interval": "1s"}})
    bench.fails("a")
    assert bench.flow("a").reason == "Failed"
    bench.wait(1)
    bench.runs("a")
    assert shown(bench) == ("ServerWarning", TYPO + ADVICE)
    bench.fails("a")
    assert (bench.phase, bench.flow("a").reason) == ("Failed", "Failed")


@pytest.mark.parametrize("end", ["running", "succeeded"])
def test_another_controller_knows_it_and_sends_no_second_event(end: str) -> None:
    bench = bench_of(TYPO, a={"for": {"replicas": 2, "parallelism": 1}}, b={})
    bench.runs("a/0", "b")
    if end == "succeeded":
        bench.succeeds("b")
    before = bench.status
    bench.crash()
    bench.settle()
    assert bench.status == before
    bench.succeeds("a/0")
    assert len(bench.made) == 3, "index 1 is made by the other controller"
    assert len(warned(bench)) == 1
    assert [shown(bench, name) for name in "ab"] == [("ServerWarning", TYPO + ADVICE)] * 2


@pytest.mark.parametrize("is_crashed", [False, True], ids=["", "for another controller too"])
def test_it_stands_behind_what_the_job_waits_for(is_crashed: bool) -> None:
    bench = bench_of(TYPO)
    bench.warnings = {bench.observed("a").job.metadata.uid: JobWarning("NoStatus", "it has no status yet")}
    for _ in range(1 + is_crashed):
        bench.restarted()
        bench.settle()
    assert shown(bench) == ("NoStatus", f"job w-a: it has no status yet; the API server warned: {TYPO}{ADVICE}")
    bench.runs("a")
    assert shown(bench) == ("ServerWarning", TYPO + ADVICE)


def test_a_restart_begins_without_the_warnings_of_the_run_before() -> None:
    bench = bench_of(TYPO)
    bench.succeeds("a")
    bench.warn = lambda _creation: ()
    bench.set_spec(restart={"at": "1", "flows": ["a"]})
    bench.runs("a")
    assert shown(bench) == ("", "")


def test_message_and_events_are_bounded() -> None:
    wide = {"for": {"replicas": 60}}
    bench = Bench(wf(a={"template": "job"} | wide), TEMPLATES, settle=False)
    bench.warn = lambda creation: tuple(f'unknown field "spec.{creation.name}-{number}"' for number in range(30))
    bench.settle()
    assert 0 < len(shown(bench)[1]) <= MAX_MESSAGE
    assert shown(bench)[1].endswith(ADVICE)
    assert len(warned(bench)) == 1
    long = bench_of("x" * 5_000)
    assert len(shown(long)[1]) == MAX_MESSAGE - len(ADVICE) - 2
