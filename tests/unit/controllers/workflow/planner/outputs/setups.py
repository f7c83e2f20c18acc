"""Flows with outputs, and what their jobs say."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.builders import COMPLETE, POD, TEMPLATES, Bench, template, wf


def output(name: str = "x", path: str = "status.x", **fields: Any) -> dict[str, Any]:
    """An output that is read from a path of the job."""
    return {"name": name, "from": {"path": path}, **fields}


def done(**fields: Any) -> dict[str, Any]:
    """The status of a job that has succeeded, with these fields."""
    return {**COMPLETE, **fields}


def using(text: str) -> dict[str, Any]:
    """A flow whose job has this text among its arguments."""
    return {"patch": {"spec": {"template": {"spec": {"containers": [{"name": "main", "args": [text]}]}}}}}


def arguments(bench: Bench, name: str) -> Any:
    """The arguments of the job of that name, as it was created."""
    body = next(made.body for made in bench.made if made.name == name)
    return msgspec.json.decode(body)["spec"]["template"]["spec"]["containers"][0].get("args")


def pair(given: dict[str, Any] | None = None, /, used: str = "{{flows.a.outputs.x}}", **fields: Any) -> Bench:
    """Flow `a` hands out x, and `b` uses it. given: other fields of `a`."""
    return Bench(wf(a={"outputs": [output(**fields)], **(given or {})}, b=using(used)))


WITH_PARAMETER = {**TEMPLATES, "job": template("job", jobSpec=POD, parameters=[{"name": "limit", "value": "3"}])}
