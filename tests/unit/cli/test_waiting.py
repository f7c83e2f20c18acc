"""`wait` for several Workflows: the exit code is that of what they are, in whatever order they are named."""

from __future__ import annotations

import time
from typing import Any, cast

import msgspec
import pytest
from click.testing import CliRunner

from pkg.cli.app import command
from pkg.cli.connection import Connection
from pkg.cli.waiting import wait_for_ends

PHASES = {"long": "Running", "bad": "Failed", "done": "Succeeded"}


class _Client:
    """Answers what each Workflow is now; none of them ever changes."""

    def get(self, _gvr: object, _namespace: str, name: str, type: type[Any], **_: object) -> object:  # noqa: A002
        return msgspec.convert({"status": {"phase": PHASES[name]}}, type)


class _Connection:
    client = _Client()
    namespace = "team"


@pytest.mark.parametrize("timeout", [0.0, 0.001], ids=["no time", "a millisecond"])
@pytest.mark.parametrize(
    ("names", "code"),
    [
        pytest.param(["bad"], 1, id="one that failed before"),
        pytest.param(["done"], 0, id="one that succeeded before"),
        pytest.param(["long", "bad"], 1, id="a failure behind one that runs"),
        pytest.param(["bad", "long"], 1, id="a failure before one that runs"),
        pytest.param(["long", "done"], 2, id="one that runs"),
    ],
)
def test_each_is_asked_though_the_time_is_up(
    names: list[str], code: int, timeout: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    assert wait_for_ends(cast("Connection", _Connection()), names, timeout) == code
    said = capsys.readouterr()
    assert said.out.count("\n") == len([name for name in names if name != "long"])
    if "long" in names:
        assert f"workflow long has not ended within {'1ms' if timeout else '0s'}; " in said.err


def test_a_name_that_cannot_be_one_is_no_timeout() -> None:
    done = CliRunner().invoke(command, ["wait", "bad/x"])
    assert (done.exit_code, done.stderr.count("\n")) == (3, 1)
