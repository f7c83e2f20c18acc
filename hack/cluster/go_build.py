"""Builds go programs into a cached folder: one builder at a time, in an environment of its own, with signs of life.

Shared by the cluster's binaries and the operators that tests run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.errors import ClusterError, build_failure
from hack.cluster.progress import BuildProgress

_PATIENCE_SECONDS = 3600


class GoBuilder:
    """Runs go commands in the directory `module` for what `folder` caches; scratch space is there until `clean`."""

    def __init__(self, go: Path, module: Path, folder: Path, progress: BuildProgress) -> None:
        self._go, self._module, self._folder, self._progress = go, module, folder, progress
        self._scratch = folder / ".build"
        (self._scratch / "tmp").mkdir(parents=True, exist_ok=True)

    def build(self, name: str, package: str, flags: tuple[str, ...]) -> None:
        """Makes the program `package` as `folder/name`, which appears whole or not at all. Raises ClusterError."""
        target = self._scratch / name
        self.run(name, "build", *flags, "-o", str(target), package)
        target.rename(self._folder / name)

    def run(self, what: str, *arguments: str) -> str:
        """Standard output of `go ARGUMENTS`; ClusterError, which speaks of `what`, if it fails."""
        with subprocess.Popen(
            [str(self._go), *arguments],
            cwd=self._module,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                while True:
                    try:
                        out, err = process.communicate(timeout=1)
                        break
                    except subprocess.TimeoutExpired:
                        self._progress.tick()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode != 0:
            raise build_failure(what, err or out, str(self._folder))
        return out

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


@contextmanager
def only_builder(folder: Path, progress: BuildProgress) -> Iterator[None]:
    """Waits until this process is the only one that builds into `folder`. Raises ClusterError after an hour."""
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
