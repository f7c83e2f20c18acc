"""Starts, kills and restarts workflow-controller, and records when each process lived."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from hack.cluster import Cluster
from hack.controller_process import CHECKOUT, NO_SERVERS, ControllerProcess


@dataclass(slots=True)
class Life:
    """One process: its identity, and when it lived (seconds since the epoch; ended 0 while it lives)."""

    process: ControllerProcess
    identity: str
    began: float
    ended: float = 0.0


class Controllers:
    """Starts controllers for one namespace; whatever is left is killed at the end. A context manager.

    Their logs go to one file per life under `folder`.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        folder: Path,
        *flags: str,
        kubeconfig: Path | None = None,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._cluster = cluster
        self._kubeconfig = kubeconfig
        self._env = env
        self._flags = (
            f"--namespace={namespace}",
            f"--leader-elect-resource-namespace={namespace}",
            "--workers=8",
            *NO_SERVERS,
            *flags,
        )
        self.folder = folder
        self.lives: list[Life] = []
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Controllers:
        return self

    def __exit__(self, *_: object) -> None:
        for life in self.lives:
            if not life.ended:
                self.kill(life)

    @property
    def logs(self) -> list[Path]:
        """The log of each life, oldest first."""
        return [life.process.log_file for life in self.lives]

    @property
    def next_identity(self) -> str:
        """The identity of the one that `start` starts next."""
        return f"life-{len(self.lives):03d}"

    def start(self, *flags: str, root: Path = CHECKOUT, kubeconfig: Path | None = None) -> Life:
        """Starts one more, of the checkout at `root`; does not wait. kubeconfig: its own, instead of that of all."""
        identity = self.next_identity
        own = (*self._flags, f"--leader-elect-identity={identity}", *flags)
        log = self.folder / f"{identity}.log"
        used = kubeconfig or self._kubeconfig
        process = ControllerProcess(self._cluster, log, *own, kubeconfig=used, env=self._env, root=root)
        self.lives.append(Life(process, identity, time.time()))
        return self.lives[-1]

    def stop(self, life: Life) -> None:
        """SIGTERM, and wait until it is gone."""
        life.process.stop()
        life.ended = time.time()

    def kill(self, life: Life) -> None:
        """kill -9, and wait until it is gone. SystemExit if it had ended by itself: nothing may make it do that."""
        code = life.process.exit_code
        life.process.kill()
        life.ended = time.time()
        if code is not None:
            log = life.process.log_text()
            raise SystemExit(f"controller {life.identity} ended by itself with {code}:\n{log[-3000:]}")
