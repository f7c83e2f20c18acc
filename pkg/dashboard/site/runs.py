"""How a run went: its attempts on a time line, and its recording. Read with the viewer's own rights."""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.dashboard.live.encoding import encode
from pkg.dashboard.live.links import LinkReader
from pkg.dashboard.model.moves import phases
from pkg.dashboard.model.recording import Mark, recording_of
from pkg.dashboard.model.state import flow_names, state_of
from pkg.dashboard.site.services import Fault, Services, bytes_answer
from pkg.kube.client import Client
from pkg.kube.errors import KubeError
from pkg.views.attempts import AttemptView, by_task, read_jobs
from pkg.views.events import read_events
from pkg.views.one_workflow import read_workflow

#: Tasks above which jobs are not read: the list takes many seconds, and nobody reads so many rows.
MAX_TASKS: Final = 2_000
_MAX_MARKS: Final = 400
Attempts = dict[tuple[str, int], tuple[AttemptView, ...]]


class Runs:
    """Handlers."""

    def __init__(self, services: Services) -> None:
        self._of = services

    async def timeline(self, request: Request) -> Response:
        """The attempts of each task that has had one. Of a large workflow: one row per flow."""
        of, person = self._of, self._of.person(request)
        namespace, name = of.named(request)
        return bytes_answer(await of.call(_timeline, person.client, namespace, name))

    async def recording(self, request: Request) -> Response:
        """The run as a recording, as far back as its jobs and Events tell."""
        of, person = self._of, self._of.person(request)
        namespace, name = of.named(request)
        answer = bytes_answer(await of.call(_recording, person.client, namespace, name))
        if request.query_params.get("download"):
            answer.headers["content-disposition"] = f'attachment; filename="{name}.recording.json"'
        return answer


def _timeline(client: Client, namespace: str, name: str) -> bytes:
    workflow = read_workflow(client, namespace, name)
    state = state_of(workflow)
    attempts, unread = _attempts(client, workflow)
    rows: list[dict[str, Any]] = []
    for flow, one in zip(flow_names(workflow), state.flows, strict=True):
        if not attempts:
            if one.started is not None:
                bar = {"number": None, "job": "", "started": one.started, "ended": one.ended, "phase": one.phase}
                rows.append({"flow": flow, "index": None, "attempts": [bar]})
            continue
        for index, phase in sorted(phases(one).items()):
            known = attempts.get((flow, index), ())
            bars = [
                {
                    "number": each.number,
                    "job": each.job,
                    "started": each.started,
                    "ended": each.ended,
                    "phase": phase if each is known[-1] else "Failed",
                }
                for each in known
            ]
            if bars:
                rows.append({"flow": flow, "index": index if one.tasks else None, "attempts": bars})
            elif one.started is not None and index == 0:
                # Its jobs are gone.
                bar = {"number": None, "job": "", "started": one.started, "ended": one.ended, "phase": one.phase}
                rows.append({"flow": flow, "index": None, "attempts": [bar]})
    return encode({"rows": rows, "unread": unread, "now": time.time(), "head": state.head})


def _recording(client: Client, namespace: str, name: str) -> bytes:
    workflow = read_workflow(client, namespace, name)
    attempts, _ = _attempts(client, workflow)
    marks: list[Mark] = []
    try:
        lines = read_events(client, workflow).lines if attempts else ()
        marks = [Mark(one.at, f"{one.reason}: {one.message}"[:300], one.type == "Warning") for one in lines]
    except KubeError:
        pass  # Events are an addition: without the right to read them there are no marks
    try:
        return encode(
            recording_of(workflow, attempts, time.time(), marks[-_MAX_MARKS:], LinkReader(client).of(workflow))
        )
    except (RawError, ValueError) as error:
        raise Fault(422, f"the workflow cannot be drawn: {error}") from error


def _attempts(client: Client, workflow: Workflow) -> tuple[Attempts, tuple[str, ...]]:
    if workflow.status.tasks.total > MAX_TASKS:
        return {}, (f"with more than {MAX_TASKS:,} tasks, times are those of whole flows",)
    jobs = read_jobs(client, workflow)
    return by_task(jobs.found), jobs.unread
