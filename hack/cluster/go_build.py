"""Builds Go programs into a cached folder: one builder at a time, in an environment of its own, with progress shown.

Shared by the cluster's binaries and the operators that tests run. Each binary is written under a temporary name and
renamed, so an interrupted build leaves whole files only, and the next one continues.
"""

from __future__ import annotations

import fcntl
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hack.cluster.build_work import LIST_FORMAT, packages_to_compile
from hack.cluster.components import Component, cache_key, go_version
from hack.cluster.errors import ClusterError, build_failure
from hack.cluster.go_toolchain import find_go
from hack.cluster.progress import BuildProgress, open_progress

_PATIENCE_SECONDS = 3600


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder all builds are cached under: `$XDG_CACHE_HOME/workflow-cluster`, by default in ~/.cache."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "workflow-cluster"


def missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of `names` that are no executable file in `folder`, sorted."""
    return sorted(name for name in names if not os.access(folder / name, os.X_OK) or (folder / name).is_dir())


class GoBuilder:
    """Runs go commands in the directory `module` for what `folder` caches; scratch space is there until `clean`."""

    def __init__(self, go: Path, module: Path, folder: Path, progress: BuildProgress) -> None:
        self._go, self._module, self._folder, self._progress = go, module, folder, progress
        self._scratch = folder / ".build"
        (self._scratch / "tmp").mkdir(parents=True, exist_ok=True)

    def plan(self, programs: Sequence[Component], flags: tuple[str, ...]) -> None:
        """Reports what has to be compiled for `programs`. Downloads Go modules. Raises ClusterError."""
        packages = [program.package for program in programs]
        names = ", ".join(program.name for program in programs)
        listing = self.run(names, "list", *flags, "-deps", "-f", LIST_FORMAT, *packages)
        self._progress.plan(packages_to_compile(listing), len(programs))

    def build(self, name: str, package: str, flags: tuple[str, ...]) -> None:
        """Makes the program `package` as `folder/name`, which appears whole or not at all. Raises ClusterError."""
        target = self._scratch / name
        self.run(name, "build", "-v", *flags, "-o", str(target), package)
        target.rename(self._folder / name)
        self._progress.linked()

    def run(self, what: str, *arguments: str) -> str:
        """Standard output of `go ARGUMENTS`; ClusterError, which names `what`, if it fails."""
        with (
            (self._scratch / "stdout").open("w+") as out,
            subprocess.Popen(
                [str(self._go), *arguments],
                cwd=self._module,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            ) as process,
        ):
            try:
                said = self._follow(process)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            process.wait()
            out.seek(0)
            text = out.read()
        if process.returncode != 0:
            raise build_failure(what, said or text, str(self._folder))
        return text

    def _follow(self, process: subprocess.Popen[str]) -> str:
        """Reports each line of standard error as it comes; at the end returns those that are more than a name."""
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        def read(stream: IO[str]) -> None:
            for line in stream:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, args=(process.stderr,), daemon=True, name="go").start()
        said: list[str] = []
        while True:
            try:
                line = lines.get(timeout=1)
            except queue.Empty:
                self._progress.tick()
                continue
            if line is None:
                return "".join(said)
            if " " in line:  # the names of packages that -v prints would hide an error among them
                said.append(line)
            self._progress.line(line.rstrip("\n"))

    def clean(self) -> None:
        """Removes the scratch space: Go's own cache in it grows to about 3 GB."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _environ(self) -> dict[str, str]:
        # GOFLAGS and GOWORK of the person's own would change what is built; GOPROXY and the module cache are theirs.
        mine = {key: value for key, value in os.environ.items() if key not in {"GOFLAGS", "GOOS", "GOARCH"}}
        return mine | {
            "CGO_ENABLED": "0",
            "GOCACHE": str(self._scratch / "gocache"),
            "GOTMPDIR": str(self._scratch / "tmp"),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }


@dataclass(frozen=True, slots=True)
class GoPrograms:
    """Programs that are built together from one pinned Go module.

    what: how messages name them; source: the folder of go.mod and go.sum; needed_bytes: the disk space that a build
    takes for a while; prefix: of the name of the cached folder; extra: makes further files in that folder before the
    programs, whose presence says that everything is there.
    """

    what: str
    source: Path
    programs: tuple[Component, ...]
    flags: tuple[str, ...]
    needed_bytes: int
    prefix: str = ""
    extra: Callable[[GoBuilder, Path], None] | None = None

    @property
    def folder(self) -> Path:
        """Where they are cached, under a key of everything that goes into them."""
        go_mod, go_sum = ((self.source / name).read_bytes() for name in ("go.mod", "go.sum"))
        return cache_root() / (self.prefix + cache_key(go_mod, go_sum, self.flags))

    @property
    def is_built(self) -> bool:
        """Whether `ensure` has nothing to do."""
        return not self._missing(self.folder)

    def ensure(self) -> Path:
        """The folder that has all of them, built now if need be. Raises ClusterError."""
        folder = self.folder
        if not self._missing(folder):
            return folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open_progress(len(self.programs)) as progress, only_builder(folder, progress):
                if todo := self._missing(folder):  # another process may have built them meanwhile
                    self._build(folder, todo, progress)
        except OSError as error:
            raise build_failure(self.what, str(error), str(folder)) from error
        return folder

    def _missing(self, folder: Path) -> list[str]:
        return missing(folder, (program.name for program in self.programs))

    def _build(self, folder: Path, todo: list[str], progress: BuildProgress) -> None:
        free = shutil.disk_usage(folder).free
        if free < self.needed_bytes:
            raise ClusterError(
                f"not enough disk space to build {self.what} in {folder}: {free / 1e9:.1f} GB are free, about "
                f"{self.needed_bytes / 1e9:.0f} GB are needed for a while; free some or set XDG_CACHE_HOME to a "
                "larger disk"
            )
        go = find_go(go_version((self.source / "go.mod").read_text()), cache_root(), progress)
        builder = GoBuilder(go, self.source, folder, progress)
        builder.plan([program for program in self.programs if program.name in todo], self.flags)
        for number, program in enumerate(self.programs, 1):
            if program.name in todo:
                progress.begin(number, program.name)
                if self.extra is not None:
                    self.extra(builder, folder)
                builder.build(program.name, program.package, self.flags)
        builder.clean()
        progress.done(folder)


@contextmanager
def only_builder(folder: Path, progress: BuildProgress) -> Iterator[None]:
    """Locks `folder` for one building process; waits while another one builds. Raises ClusterError after an hour."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.waiting(folder)
            started = time.monotonic()
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    progress.tick()
                    if time.monotonic() - started > _PATIENCE_SECONDS:
                        raise ClusterError(
                            f"another process has been building in {folder} for an hour: end it and try again"
                        ) from None
                    time.sleep(0.5)
        yield
