"""The command kubectl_complete-workflow, which kubectl calls to complete `kubectl workflow ...`.

It gets the words behind `workflow`, the last one unfinished and perhaps empty. It prints a candidate per line, and in
the last line a number that says what the shell does with them, as kubectl's own completion has it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

#: The shell offers what is printed and nothing else; or the names of files.
_NO_FILES: Final = 4
_FILES: Final = 0


def main() -> None:
    """Entry point of the console script."""
    words = sys.argv[1:]
    if words in (["-h"], ["--help"]):
        sys.stdout.write("Usage: kubectl_complete-workflow WORD... (kubectl calls it)\n")
        return
    offered, directive = candidates(words)
    sys.stdout.write("".join(f"{text}\n" for text in offered) + f":{directive}\n")


def candidates(words: Sequence[str]) -> tuple[list[str], int]:
    """What the last word may become, and the number for the shell."""
    from click.shell_completion import ShellComplete

    from pkg.cli.app import command

    *before, unfinished = words or [""]
    offered = ShellComplete(command, {}, "kubectl-workflow", "").get_completions(list(before), unfinished)
    files = [item for item in offered if item.type in ("file", "dir")]
    lines = [f"{item.value}\t{item.help}" if item.help else item.value for item in offered if item.type == "plain"]
    return lines, _FILES if files else _NO_FILES
