"""What the largest manifests cost: seconds to judge one, and memory to keep one, each in a process of its own."""

from __future__ import annotations

import gc
import json
import multiprocessing
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from pkg.apis.flow.v1alpha1 import validation
from pkg.apis.flow.v1alpha1.types import Workflow

MAX_SECONDS = 2.0
MAX_MIB = 4.0

Flow = dict[str, Any]


def _many_flows() -> list[Flow]:
    """5,000 flows, each of which names a flow that does not exist."""
    return [{"name": f"f{at}", "template": "t" * 100, "dependsOn": {"targets": [f"g{at}"]}} for at in range(5_000)]


def _large_patches() -> list[Flow]:
    """100 flows with patches of many small values."""
    patch = {"spec": {f"key{at}": {"a": at, "b": [at, at]} for at in range(350)}}
    return [{"name": f"f{at}", "patch": patch} for at in range(100)]


def _json_patches() -> list[Flow]:
    """50 flows with JSON Patches of hundreds of steps."""
    steps = [{"op": "add", "path": f"/metadata/labels/key{at}", "value": str(at)} for at in range(380)]
    return [{"name": f"f{at}", "patch": steps} for at in range(50)]


def _parameters() -> list[Flow]:
    """100 flows with hundreds of parameters."""
    given = [{"name": f"p{at}", "value": "{{workflow.name}}-" + "x" * 20} for at in range(180)]
    return [{"name": f"f{at}", "parameters": given} for at in range(100)]


SHAPES: tuple[Callable[[], list[Flow]], ...] = (_many_flows, _large_patches, _json_patches, _parameters)


@dataclass(frozen=True)
class Result:
    """One shape: bytes of its manifest, seconds to judge it, how many faults were reported, MiB to keep it."""

    about: str
    size: int
    seconds: float
    faults: int
    mib: float


def _manifest(shape: Callable[[], list[Flow]]) -> bytes:
    meta = {"name": "w", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "1"}
    return json.dumps({"metadata": meta, "spec": {"flows": shape()}}).encode()


def _measure(number: int) -> Result:
    shape = SHAPES[number]
    text = _manifest(shape)
    began = time.process_time()
    workflow = msgspec.json.decode(text, type=Workflow)
    faults = validation.validate_workflow(workflow.spec)
    seconds, reported = time.process_time() - began, len(faults)
    del workflow, faults
    gc.collect()
    tracemalloc.start()
    kept = msgspec.json.decode(text, type=Workflow)
    mib = tracemalloc.get_traced_memory()[0] / 1024 / 1024
    tracemalloc.stop()
    assert kept.metadata.name == "w"
    return Result((shape.__doc__ or "").rstrip("."), len(text), seconds, reported, mib)


def measure() -> bool:
    """Prints a line per shape; whether all of them are within the bounds."""
    context = multiprocessing.get_context("spawn")
    results = []
    for number in range(len(SHAPES)):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            results.append(pool.submit(_measure, number).result())
    table = Table("manifest", "bytes", "judged in", "faults", "kept in")
    for result in results:
        table.add_row(
            result.about, f"{result.size:,}", f"{result.seconds:.2f} s CPU", str(result.faults), f"{result.mib:.1f} MiB"
        )
    Console(width=120).print(table)
    return all(result.seconds <= MAX_SECONDS and result.mib <= MAX_MIB for result in results)
