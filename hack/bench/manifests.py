"""What one manifest costs the controller: the memory of the cached object, and the seconds until it is judged.

Each manifest has about the size that etcd takes, and is made of as many small parts of one sort as fit in.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from pkg.apis.flow.v1alpha1 import validation
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.controllers.workflow.planner.graph.compile import compile_spec

SIZE: Final = 1_350_000
MAX_MIB: Final = 4.0
MAX_SECONDS: Final = 2.0

Kind = type[Workflow] | type[WorkTemplate]


def _workflow(flows: list[dict[str, Any]], metadata: dict[str, Any] | None = None, **spec: Any) -> bytes:
    meta = {"name": "w", "namespace": "team", "uid": "u", "resourceVersion": "1", **(metadata or {})}
    return msgspec.json.encode({"metadata": meta, "spec": {"flows": flows, **spec}})


def _template(metadata: dict[str, Any] | None = None, **spec: Any) -> bytes:
    meta = {"name": "t", "namespace": "team", "uid": "u", "resourceVersion": "1", **(metadata or {})}
    gvr = {"group": "batch", "version": "v1", "resource": "jobs"}
    return msgspec.json.encode({"metadata": meta, "spec": {"gvr": gvr, **spec}})


def _names(count: int) -> list[str]:
    return [f"a{number:x}" for number in range(count)]


def manifests() -> Iterator[tuple[str, Kind, Callable[[int], bytes]]]:
    """What it is made of, its kind, and how to make one of so many parts."""
    yield "flows", Workflow, lambda n: _workflow([{"name": name} for name in _names(min(n, 5_000))])
    yield "empty lists in a patch", Workflow, lambda n: _workflow([{"name": "a", "patch": {"x": [[]] * n}}])
    yield (
        "steps of a patch",
        Workflow,
        lambda n: _workflow([{"name": "a", "patch": [{"op": "add", "path": "/spec/x", "value": 1}] * n}]),
    )
    yield "unknown targets", Workflow, lambda n: _workflow(_spread(n, lambda part: {"targets": part}))
    yield (
        "known targets",
        Workflow,
        lambda n: _workflow(
            [*({"name": x} for x in _names(50)), *_spread(n, lambda part: {"targets": _names(len(part))})]
        ),
    )
    yield (
        "groups",
        Workflow,
        lambda n: _workflow(_spread(n, lambda part: {"orGroups": [{"targets": ["a"]}] * len(part)})),
    )
    probe = {"taskName": "a", "port": 999}
    yield (
        "probes",
        Workflow,
        lambda n: _workflow(_spread(n, lambda part: {"probe": {"httpGetList": [probe] * len(part)}})),
    )
    yield (
        "parameters",
        Workflow,
        lambda n: _workflow([{"name": f"f{at}", "parameters": [{"name": "a"}] * 200} for at in range(1 + n // 200)]),
    )
    yield "plugins", Workflow, lambda n: _workflow([{"name": "a"}], plugins={x: [] for x in _names(n)})
    yield "labels", Workflow, lambda n: _workflow([{"name": "a"}], {"labels": dict.fromkeys(_names(n), "")})
    yield "finalizers", Workflow, lambda n: _workflow([{"name": "a"}], {"finalizers": [f"a/{x}" for x in _names(n)]})
    yield "everything in 5,000 flows", Workflow, lambda n: _workflow([_everything(at) for at in range(min(n, 5_000))])
    yield "empty lists in a jobSpec", WorkTemplate, lambda n: _template(jobSpec={"x": [[]] * n})
    yield "objects in a jobSpec", WorkTemplate, lambda n: _template(jobSpec={x: {} for x in _names(n)})
    yield "status rules", WorkTemplate, lambda n: _template(statusRules={"ok": [{}] * n})
    yield "labels of a template", WorkTemplate, lambda n: _template(metadata={"labels": dict.fromkeys(_names(n), "")})


def _spread(count: int, depends_on: Callable[[list[str]], dict[str, Any]]) -> list[dict[str, Any]]:
    """Flows with 64 parts each."""
    names = _names(count)
    parts = [names[at : at + 64] for at in range(0, count, 64)][:5_000]
    return [{"name": f"f{at}", "dependsOn": depends_on(part)} for at, part in enumerate(parts)]


def _everything(at: int) -> dict[str, Any]:
    return {
        "name": f"f{at}",
        "dependsOn": {"targets": [f"f{max(0, at - 1)}"]},
        "for": {"replicas": 2, "dependsOn": {"targets": [f"f{at}"]}},
        "retry": {"maxRetries": 1},
        "patch": {"x": at},
        "parameters": [{"name": "a"}],
    }


def _filled(make: Callable[[int], bytes]) -> bytes:
    """A manifest of about SIZE bytes, or as large as its kind gets."""
    count = 1_000
    for _ in range(8):
        count = max(1, int(count * SIZE / len(make(count))))
    return make(min(count, 500_000))


def measure() -> bool:
    """Prints a line per manifest; whether all of them are within the bounds."""
    table = Table("made of", "bytes", "kept in", "decoded in", "judged in")
    is_within = True
    for name, kind, make in manifests():
        text = _filled(make)
        decoder = msgspec.json.Decoder(kind)
        mib = _cached(decoder, text) / 2**20
        started = time.process_time()
        found = decoder.decode(text)
        decoded = time.process_time()
        _judge(found)
        seconds = time.process_time() - decoded
        is_within &= mib <= MAX_MIB and seconds <= MAX_SECONDS
        figures = (f"{mib:.2f} MiB", f"{decoded - started:.2f} s CPU", f"{seconds:.2f} s CPU")
        table.add_row(name, f"{len(text):,}", *figures)
    Console(width=120).print(table)
    return is_within


def _cached(decoder: msgspec.json.Decoder[Any], text: bytes) -> int:
    """Bytes of the decoded object, without the text that it came in."""
    message = bytearray(text)
    gc.collect()
    tracemalloc.start()
    message = bytearray(bytes(message))  # as a response that was just read
    before = tracemalloc.get_traced_memory()[0] - len(message)
    found = decoder.decode(bytes(message))
    del message
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del found
    return size


def _judge(found: Workflow | WorkTemplate) -> None:
    """What the controller does with a new object before anything is made of it."""
    if isinstance(found, WorkTemplate):
        validation.validate_template(found.spec)
        return
    spec_hash(found.spec)
    compile_spec(found.spec, {}, metadata=found.metadata)
