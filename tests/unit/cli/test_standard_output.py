"""Standard output that cannot be written ends the command with one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MAIN = [sys.executable, "-c", "from pkg.cli.app import main; main()"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["version", "--client"], ["graph", "-f", "examples/01-sequential.yaml"]])
def test_a_full_disk_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*MAIN, *words], check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "error: the output cannot be written: No space left on device\n")


def test_a_closed_pipe_ends_the_command_in_silence() -> None:
    child = subprocess.Popen([*MAIN, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() == 1


def test_an_error_of_another_file_is_not_taken_for_one_of_the_output() -> None:
    code = (
        "import errno, click; from pkg.cli import app\n"
        "@app.command.result_callback()\n"
        "def fail(*_, **__): raise OSError(errno.ENOSPC, 'another file')\n"
        "app.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "version", "--client"], check=False, capture_output=True, text=True
    )
    assert "the output cannot be written" not in done.stderr
    assert "another file" in done.stderr
