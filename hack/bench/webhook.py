"""How long the webhook takes for a review: decode, judge, warn, encode, with templates and schemas in its caches.

In process, and over one kept TLS connection of the real server. The bounds are about CPU, so that other programs on the
machine do not count; over a connection that of client and server together. The time that passed is shown beside it.
Needs no cluster.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from pkg.apis.flow.v1alpha1.edges import TemplateEdges, read_edges
from pkg.apis.flow.v1alpha1.schema import Node, Schema, Type
from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP, MAX_FLOWS, VERSION, WorkTemplate
from pkg.apis.meta import GVR
from pkg.serving.limits import Limits
from pkg.serving.server import Server
from pkg.telemetry.webhook_metrics import WebhookMetrics
from pkg.webhooks.certificates.issue import issue
from pkg.webhooks.garbage import collect_rarely
from pkg.webhooks.handlers import FoundTemplates, Handlers, Nobody
from pkg.webhooks.review import Answer, Request, decode, encode
from pkg.webhooks.server.application import Application

#: Milliseconds of CPU of one review, by the number of flows.
BOUNDS: Final[Mapping[int, float]] = {100: 10.0, MAX_FLOWS: 150.0}
_RUNS: Final[Mapping[int, int]] = {100: 500, MAX_FLOWS: 40}
_TEMPLATES: Final = 20
_HOST: Final = "127.0.0.1"
_STRING: Final = Node(Type.STRING)
_CONTAINER: Final = Node(
    Type.OBJECT,
    {
        "name": _STRING,
        "image": _STRING,
        "command": Node(Type.ARRAY, others=_STRING),
        "resources": Node(Type.OBJECT, {"limits": Node(Type.OBJECT, others=_STRING)}, is_closed=True),
    },
    is_closed=True,
)
_POD: Final = Node(
    Type.OBJECT, {"restartPolicy": _STRING, "containers": Node(Type.ARRAY, others=_CONTAINER)}, is_closed=True
)
_JOB: Final = Node(
    Type.OBJECT,
    {"backoffLimit": Node(Type.INTEGER), "template": Node(Type.OBJECT, {"spec": _POD}, is_closed=True)},
    is_closed=True,
)
_SCHEMA: Final = Schema(Node(Type.OBJECT, {"spec": _JOB}, is_closed=True))


class _Cache:
    """A catalogue that knows everything."""

    def __init__(self) -> None:
        self._templates = {f"step-{at}": _template(at) for at in range(_TEMPLATES)}

    def templates(self, _namespace: str, names: frozenset[str], /) -> FoundTemplates:
        found = {name: self._templates[name] for name in names if name in self._templates}
        return FoundTemplates(found, names - found.keys())

    def schema(self, _gvr: GVR, /) -> Schema | None:
        return _SCHEMA


def _template(at: int) -> TemplateEdges:
    container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", "echo {{params.text}} {{index}}"]}
    spec = {
        "gvr": {"group": "batch", "version": "v1", "resource": "jobs"},
        "parameters": [{"name": "text", "value": "hello"}],
        "jobSpec": {
            "backoffLimit": 0,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    text = msgspec.json.encode({"metadata": {"name": f"step-{at}"}, "spec": spec})
    return read_edges(msgspec.json.decode(text, type=WorkTemplate).spec)


def _workflow(count: int) -> dict[str, Any]:
    """Flows with two dependencies each, and some with parameters, retries, probes, patches and `for`."""
    flows: list[dict[str, Any]] = []
    for at in range(count):
        flow: dict[str, Any] = {"name": f"f{at:04}", "template": f"step-{at % _TEMPLATES}"}
        if at:
            flow["dependsOn"] = {"targets": sorted({f"f{other:04}" for other in (at - 1, at // 2)})}
        if at % 3 == 0:
            flow["parameters"] = [{"name": "text", "value": f"hello {at}"}]
        if at % 10 == 0:
            flow["retry"] = {"maxRetries": 1}
        if at % 14 == 0:
            limits = {"limits": {"cpu": f"{1 + at % 3}"}}
            flow["patch"] = {"template": {"spec": {"containers": [{"name": "main", "resources": limits}]}}}
        if at % 22 == 1:
            flow["dependsOn"]["probe"] = {"httpGetList": [{"taskName": "f0000", "port": 80, "path": "/healthz"}]}
        if at % 50 == 0:
            flow["for"] = {"replicas": 2}
        flows.append(flow)
    metadata = {"name": "w", "namespace": "n"}
    return {"apiVersion": API_VERSION, "kind": "Workflow", "metadata": metadata, "spec": {"flows": flows}}


def _review(new: dict[str, Any], old: dict[str, Any] | None) -> bytes:
    request = {
        "uid": "u",
        "kind": {"group": GROUP, "version": VERSION, "kind": "Workflow"},
        "operation": "CREATE" if old is None else "UPDATE",
        "namespace": "n",
        "name": "w",
        "userInfo": {"username": "ann", "groups": ["system:authenticated"]},
        "object": new,
        "oldObject": old,
    }
    return msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    flows: int
    body: bytes
    handler: Callable[[Request], Answer]

    def answer(self) -> bytes:
        """The body of the response."""
        request = decode(self.body)
        return encode(request.uid, self.handler(request))


def _cases() -> list[_Case]:
    handlers = Handlers(_Cache(), Nobody())
    found = []
    for count in BOUNDS:
        new = _workflow(count)
        running = {**new, "status": {"phase": "Running", "flows": [{"name": "f0000", "phase": "Running"}]}}
        paused = {**new, "spec": {**new["spec"], "suspend": True}}
        edited = {**new, "spec": {**new["spec"], "queueName": "q"}}
        faulty = {
            **new,
            "spec": {
                "flows": [
                    {**flow, "template": "nope", "dependsOn": {"targets": ["x"]}} for flow in new["spec"]["flows"]
                ]
            },
        }
        found += [
            _Case("create", count, _review(new, None), handlers.validate),
            _Case("create with faults", count, _review(faulty, None), handlers.validate),
            _Case("edit before the start", count, _review(edited, new), handlers.validate),
            _Case("suspend a running one", count, _review(paused, running), handlers.validate),
            _Case("edit a running one", count, _review(edited, running), handlers.validate),
            _Case(
                "label a running one",
                count,
                _review({**running, "metadata": {"name": "w"}}, running),
                handlers.validate,
            ),
            _Case("write defaults", count, _review(new, None), handlers.mutate),
        ]
    return found


def measure() -> bool:
    """Prints every case; returns whether all are within their bounds."""
    table = Table("review", "flows", "KiB", "p50, ms CPU", "p99, ms CPU", "p50, ms", "p99, ms", "bound", box=None)
    is_good = True
    collect_rarely()
    cases = _cases()
    with _served() as connection:
        for case in cases:
            is_good = _row(table, case, case.name, case.answer, time.thread_time) and is_good
        for case in (case for case in cases if case.name == "create"):
            send = functools.partial(_post, connection, case.body)
            is_good = _row(table, case, f"{case.name}, by TLS", send, time.process_time) and is_good
    Console(width=120).print(table)
    return is_good


def _row(table: Table, case: _Case, name: str, run: Callable[[], bytes], clock: Callable[[], float]) -> bool:
    """Adds the figures of a case; returns whether it is within its bound."""
    cpu, passed = _times(run, clock, _RUNS[case.flows])
    bound = BOUNDS[case.flows]
    figures = (_rank(cpu, 0.5), _rank(cpu, 0.99), _rank(passed, 0.5), _rank(passed, 0.99))
    size = f"{len(case.body) / 1024:.0f}"
    table.add_row(name, f"{case.flows:,}", size, *(f"{one:.2f}" for one in figures), f"{bound:.0f}")
    return _rank(cpu, 0.99) < bound


def _times(run: Callable[[], bytes], clock: Callable[[], float], runs: int) -> tuple[list[float], list[float]]:
    """Milliseconds of CPU by `clock`, and of time, both sorted. The first run is left out."""
    cpu, passed = [], []
    for _ in range(runs):
        before, since = clock(), time.perf_counter()
        run()
        cpu.append(1000 * (clock() - before))
        passed.append(1000 * (time.perf_counter() - since))
    return sorted(cpu[1:]), sorted(passed[1:])


def _rank(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(part * len(values)))]


@contextlib.contextmanager
def _served() -> Iterator[http.client.HTTPSConnection]:
    """A connection to a server with these handlers, on 127.0.0.1."""
    limits = Limits()
    app = Application({"/validate": Handlers(_Cache(), Nobody()).validate}, limits, WebhookMetrics())
    server = Server(app, limits, lambda _: None, "webhook")
    issued = issue(frozenset({_HOST}), time.time(), 3600.0)
    port = server.start(_HOST, 0)
    try:
        server.use(issued.certificate, issued.key)
        trusted = ssl.create_default_context(cadata=issued.authority.decode())
        connection = http.client.HTTPSConnection(_HOST, port, timeout=60, context=trusted)
        yield connection
        connection.close()
    finally:
        server.stop(1.0)


def _post(connection: http.client.HTTPSConnection, body: bytes) -> bytes:
    connection.request("POST", "/validate", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise RuntimeError(f"the webhook answers {response.status}: {text[:200]!r}")
    return text
