"""The log of one task: what is there, what comes, and where it is once its pod is gone, by the viewer's own rights."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pkg.dashboard.live.encoding import event
from pkg.dashboard.live.gathering import Gatherer
from pkg.dashboard.live.viewer import Viewer
from pkg.dashboard.site.services import Fault, Services, json_answer, object_name
from pkg.dashboard.site.streams import EventStream
from pkg.kube.client import Client
from pkg.kube.errors import KubeError
from pkg.kube.pod_logs import LogOptions, PodLog
from pkg.views.attempts import by_task, read_jobs
from pkg.views.log_address import TemplateError, address, read_template
from pkg.views.log_tasks import Target, describe, gone_tasks
from pkg.views.one_workflow import read_workflow
from pkg.views.pods import Pods, read_pods
from pkg.views.workflow_view import view

_MAX_LINES: Final = 5_000
_MAX_LINE: Final = 10_000
_MAX_FOLLOWED: Final = 100
#: Lines that come within so many seconds are sent together.
_GATHER_SECONDS: Final = 0.1


class Logs:
    """Handlers."""

    def __init__(self, services: Services) -> None:
        self._of = services
        self._followed = 0

    async def read(self, request: Request) -> Response:
        """The pods of a task, and the last lines of one. Parameters: flow, index, attempt, pod, container, tail."""
        of, person = self._of, self._of.person(request)
        namespace, name = of.named(request)
        given = request.query_params
        index, attempt = _number(given.get("index", "")), _number(given.get("attempt", ""))
        tail = min(_number(given.get("tail", "")) or 1_000, _MAX_LINES)
        flow = given.get("flow", "")
        if not flow:
            raise Fault(400, "flow is missing; name the flow whose log is wanted")
        found = await of.call(
            _read,
            person.client,
            namespace,
            name,
            Target(flow, index),
            attempt,
            given.get("pod", ""),
            given.get("container", ""),
            tail,
            of.log_url_template,
        )
        return json_answer(found)

    async def stream(self, request: Request) -> EventStream:
        """The lines that a pod writes from now on. Parameters: pod, container, since (seconds)."""
        of, person = self._of, self._of.person(request)
        namespace, name = of.named(request)
        given = request.query_params
        if self._followed >= _MAX_FOLLOWED:
            raise Fault(503, f"{_MAX_FOLLOWED} logs are followed at the same time, and more are not; try again later")
        options = LogOptions(given.get("container", ""), follow=True, tail=_number(given.get("tail", "")) or 0)
        await of.call(of.rights.check_get, person, namespace, name)
        log = await of.call(person.client.pod_log, namespace, object_name(given.get("pod", ""), "pod"), options)
        self._followed += 1
        viewer = Viewer(lambda: event("missed", {}))
        threading.Thread(
            target=_follow, args=(log, Gatherer(viewer, asyncio.get_running_loop())), name="follow-log", daemon=True
        ).start()

        def end() -> None:
            self._followed -= 1
            log.close()

        return EventStream(viewer, end)


def _read(
    client: Client,
    namespace: str,
    name: str,
    target: Target,
    attempt: int | None,
    pod: str,
    container: str,
    tail: int,
    template: str,
) -> dict[str, Any]:
    workflow = read_workflow(client, namespace, name)
    pods = read_pods(client, workflow, target.flow, target.index, attempt)
    shown = [
        {
            "pod": one.pod.metadata.name,
            "flow": one.flow,
            "index": one.index,
            "attempt": one.attempt,
            "containers": one.pod.containers,
            "ended": one.pod.has_ended,
        }
        for one in pods.found
    ]
    answer: dict[str, Any] = {"pods": shown, "unread": pods.unread, "pod": "", "container": "", "lines": [], "gone": []}
    chosen = next((one.pod for one in pods.found if pod in ("", one.pod.metadata.name)), None)
    if chosen is not None:
        answer["pod"] = chosen.metadata.name
        answer["container"] = container or next(iter(chosen.containers), "")
        try:
            lines = client.pod_log(namespace, chosen.metadata.name, LogOptions(answer["container"], tail=tail))
            answer["lines"] = [_text(line) for line in lines]
        except KubeError as error:
            answer["message"] = error.message
    answer["gone"] = _gone(client, workflow, target, attempt, pods, template)
    return answer


def _gone(
    client: Client, workflow: Any, target: Target, attempt: int | None, pods: Pods, template: str
) -> list[dict[str, str]]:
    """The tasks whose pods are gone: their last words, and the address of their logs if the installation gives one."""
    found = view(workflow, time.time())
    gone = gone_tasks(found, target, {(one.flow, one.index) for one in pods.found})[:20]
    if not gone:
        return []
    form = read_template(client, workflow.metadata.namespace, template, os.environ)
    attempts = by_task(read_jobs(client, workflow, flow=target.flow).found)
    answer = []
    for task in gone:
        where = ""
        if form:
            try:
                where = address(form, describe(workflow, task, attempts, attempt))
            except TemplateError as error:
                where = str(error)
        answer.append({"task": task.label, "phase": str(task.phase), "words": task.words, "address": where})
    return answer


def _follow(log: PodLog, lines: Gatherer) -> None:
    """Hands the lines over until the log ends."""
    message = ""
    try:
        try:
            for line in log:
                lines.add(_text(line))
        except KubeError as error:
            message = error.message
        lines.end(message)
    except RuntimeError:
        pass  # the event loop has ended


def _text(line: bytes) -> str:
    return line[:_MAX_LINE].decode("utf-8", "replace").rstrip("\r")


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise Fault(400, f"{text[:40]!r} must be a number")
    return int(text)
