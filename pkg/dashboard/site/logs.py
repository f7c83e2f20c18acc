"""The log of one task: what is there, what comes, and where it is once its pod is gone, by the viewer's own rights."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pkg.dashboard.access.rights import read_log
from pkg.dashboard.live.line_feed import Closed, LineFeed
from pkg.dashboard.site.services import Fault, Services, json_answer, object_name
from pkg.dashboard.site.streams import EventStream
from pkg.dashboard.site.visits import Stream, TooMany
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, Refused
from pkg.kube.pod_logs import LogOptions, PodLog
from pkg.views.attempts import by_task, read_jobs
from pkg.views.log_address import TemplateError, address, read_template
from pkg.views.log_tasks import Target, describe, gone_tasks
from pkg.views.one_workflow import read_workflow
from pkg.views.pods import Pods, read_pods
from pkg.views.workflow_view import view

_LINES: Final = 1_000
_MAX_LINES: Final = 5_000
#: Bytes of one line that are shown, of one answer, and that are read for it.
_MAX_LINE: Final = 10_000
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_READ: Final = 64 * 1024 * 1024


class Logs:
    """Handlers."""

    def __init__(self, services: Services) -> None:
        self._of = services

    async def read(self, request: Request) -> Response:
        """The pods of a task, and the last lines of one. Parameters: flow, index, attempt, pod, container, tail.

        follow=1: without the lines of a pod that still runs, which its stream begins with.
        """
        of, person = self._of, self._of.person(request)
        namespace, name = of.named(request)
        given = request.query_params
        index, attempt = _number(given.get("index", "")), _number(given.get("attempt", ""))
        tail = min(_number(given.get("tail", "")) or _LINES, _MAX_LINES)
        flow = given.get("flow", "")
        if not flow:
            raise Fault(400, "flow is missing; name the flow whose log is wanted")
        object_name(flow, "flow")
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
            follows=given.get("follow", "") == "1",
        )
        return json_answer(found)

    async def stream(self, request: Request) -> EventStream:
        """The last lines of a pod, and those that it writes from then on. Parameters: pod, container, tail."""
        of, person = self._of, self._of.person(request)
        namespace, name = of.named(request)
        given = request.query_params
        pod = object_name(given.get("pod", ""), "pod")
        tail = _number(given.get("tail", ""))
        options = LogOptions(
            given.get("container", ""), follow=True, tail=_LINES if tail is None else min(tail, _MAX_LINES)
        )
        try:
            of.visits.check(person, Stream.LOG)
        except TooMany as error:
            raise Fault(429, str(error)) from error
        await of.call(of.rights.check_get, person, namespace, name)
        feed = LineFeed(asyncio.get_running_loop())
        log: PodLog | None = None
        try:
            log = await of.call(person.client.pod_log, namespace, pod, options)
        except Refused as error:
            feed.end(error.message)  # the container has not begun

        def end() -> None:
            feed.close()
            if log is not None:
                log.close()

        async def may_still() -> bool:
            return await of.call(of.rights.may, person, read_log(pod), namespace)

        stream = of.stream(request, person, Stream.LOG, feed, end, may_still)
        if log is not None:
            threading.Thread(target=_follow, args=(log, feed), name="follow-log", daemon=True).start()
        return stream


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
    *,
    follows: bool = False,
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
    answer["follows"] = False
    chosen = next((one.pod for one in pods.found if pod in ("", one.pod.metadata.name)), None)
    if chosen is not None:
        answer["pod"] = chosen.metadata.name
        answer["container"] = container or next(iter(chosen.containers), "")
        if follows and not chosen.has_ended:
            answer["follows"] = True
        else:
            try:
                log = client.pod_log(namespace, chosen.metadata.name, LogOptions(answer["container"], tail=tail))
                answer["lines"], answer["message"] = last_lines(log)
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


def last_lines(log: Iterable[bytes], most: int = MAX_BYTES, most_read: int = MAX_READ) -> tuple[list[str], str]:
    """The last lines that are not more than `most` bytes, and a sentence if there are others.

    No more than `most_read` bytes are read.
    """
    lines: deque[bytes] = deque()
    size = read = 0
    said = ""
    for line in log:
        read += len(line)
        shown = line[:_MAX_LINE]
        lines.append(shown)
        size += len(shown)
        while size > most:
            size -= len(lines.popleft())
            said = f"earlier lines are left out: {most // 1024:,} KiB of a log are shown"
        if read > most_read:
            said = f"the lines are too long: after {most_read // (1024 * 1024):,} MiB of the log no more was read"
            break
    return [_text(line) for line in lines], said


def _follow(log: PodLog, feed: LineFeed) -> None:
    """Hands the lines over until the log ends, or nobody takes them."""
    message = ""
    try:
        try:
            for line in log:
                feed.add(_text(line))
        except KubeError as error:
            message = error.message
        feed.end(message)
    except Closed:
        pass
    finally:
        log.close()


def _text(line: bytes) -> str:
    return line[:_MAX_LINE].decode("utf-8", "replace").rstrip("\r")


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise Fault(400, f"{text[:40]!r} must be a number")
    return int(text)
