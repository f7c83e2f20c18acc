"""Reads the manifests that a command names: files, folders, and `-` for what comes through a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from pkg.cli.problems import Problem

#: The name of `-` in messages.
STDIN: Final = "stdin"
_ENDINGS: Final = (".yaml", ".yml", ".json")
# As after wrong flags.
WRONG_USAGE: Final = 2


def _problem(message: str) -> Problem:
    return Problem(message, WRONG_USAGE)


def read_files(
    paths: Iterable[str], *, recursive: bool = False, stdin: Callable[[], bytes] | None = None
) -> dict[str, str]:
    """The texts by the names of their files, in the given order; of a folder, its YAML and JSON files by name.

    recursive: the folders inside a folder too, but none whose name begins with a dot. `-` is read from `stdin`, by
    default the standard input. A file that is named twice is read once. Raises Problem.
    """
    texts: dict[str, str] = {}
    for path in paths:
        if path == "-":
            if STDIN not in texts:
                texts[STDIN] = _decoded(STDIN, (stdin or _standard_input)())
            continue
        for file in _files_of(path, recursive=recursive):
            if file not in texts:
                texts[file] = _decoded(file, _bytes_of(file))
    return texts


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        click.echo("reading a manifest from the terminal; end it with Ctrl-D", err=True)
    return sys.stdin.buffer.read()


def _files_of(path: str, *, recursive: bool) -> Iterator[str]:
    if path.startswith(("http://", "https://")):
        raise _problem(f"{path}: addresses are not read; download the file, or pipe it: curl -L URL | ... -f -")
    if not path:
        raise _problem("the name of a file is empty")
    if not os.path.isdir(path):
        yield path
        return
    try:
        found = list(_inside(path, recursive=recursive))
    except OSError as error:
        raise _problem(_cannot_read(path, error)) from error
    if not found:
        hint = "" if recursive else "; -R looks into the folders in it too"
        raise _problem(f"{path}: the folder has no file that ends in {', '.join(_ENDINGS)}{hint}")
    yield from found


def _inside(folder: str, *, recursive: bool) -> Iterator[str]:
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir():
            if recursive and not entry.name.startswith(".") and not entry.is_symlink():
                yield from _inside(entry.path, recursive=True)
        elif entry.name.endswith(_ENDINGS):
            yield entry.path


def _bytes_of(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except FileNotFoundError as error:
        raise _problem(f"{file}: there is no such file or folder") from error
    except OSError as error:
        raise _problem(_cannot_read(file, error)) from error
    except ValueError as error:  # a name with a NUL
        raise _problem(f"{file!r}: this is no name of a file") from error


def _cannot_read(path: str, error: OSError) -> str:
    return f"{path}: cannot be read: {(error.strerror or str(error)).lower()}"


def _decoded(file: str, text: bytes) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + text.count(b"\n", 0, error.start)
        raise _problem(f"{file}:{line}: a manifest is text in UTF-8, and this line is not; save it as UTF-8") from error
