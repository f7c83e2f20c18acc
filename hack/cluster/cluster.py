"""Starts, describes and stops one local cluster."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from hack.cluster import binaries, bringup, control_plane, processes
from hack.cluster.api import Api, ApiStatusError
from hack.cluster.containers import node as container_node
from hack.cluster.containers import packages
from hack.cluster.errors import ClusterError, start_failure, tail
from hack.cluster.slots import registry, release_slot, take_slot
from hack.cluster.state import State, locked, read_state, write_state

Runtime = Literal["kwok", "containers"]


_PLAY_TIMEOUT = 20.0
POD_SERVERS = "pod-servers"


@dataclass(slots=True)
class Cluster:
    """A running control plane. `start` or `attach` make one; `stop` or the end of a `with` block stops it."""

    folder: Path
    state: State

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def kubeconfig(self) -> Path:
        """Path of an administrator's kubeconfig; no other file names this cluster."""
        return self.folder / "kubeconfig"

    @property
    def server(self) -> str:
        """URL of the API server, https://127.0.0.1:<port>."""
        return self.state.server

    @property
    def logs(self) -> Path:
        """Folder of the components' logs; it stays after the cluster."""
        return self.folder / "logs"

    @property
    def audit_log(self) -> Path:
        """One JSON document a line for each finished request; it exists if the cluster was started with audit."""
        return self.logs / "audit.log"

    @property
    def runtime(self) -> str:
        """`kwok` or `containers`."""
        return self.state.runtime

    @property
    def components(self) -> tuple[str, ...]:
        """Names that `stop_component` and `start_component` take."""
        return tuple(self.state.components)

    # ---- life -------------------------------------------------------------------------------------------------

    @classmethod
    def start(
        cls,
        dir: Path | str,  # noqa: A002 - the word that the command line uses
        *,
        runtime: Runtime = "kwok",
        nodes: int = 4,
        audit: bool = False,
        stages: str | None = None,
        extra_args: Sequence[str] = (),
    ) -> Cluster:
        """Starts a cluster in the folder `dir` and returns when its API serves and its nodes are Ready.

        `nodes` counts the simulated nodes; `stages` is YAML of further kwok Stages of pods and nodes (for custom
        resources see `play`); `extra_args` are `component=flag=value`, such as "kube-apiserver=v=4". Builds the
        binaries if that was never done. Raises ClusterError. After any exception nothing is left running.
        """
        folder = Path(dir).resolve()
        if not 1 <= nodes <= 256:
            raise ClusterError(f"nodes is {nodes}: it must be between 1 and 256")
        if runtime == "containers":
            packages.check()
        programs = binaries.ensure(kubelet=runtime == "containers")
        try:
            (folder / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClusterError(
                f"the cluster's folder {folder} cannot be made: {error.strerror}; name another by --dir"
            ) from error
        with locked(folder / ".lock", f"another command is starting or ending the cluster in {folder}: wait for it"):
            _refuse_if_up(folder)
            name = control_plane.cluster_name(folder)
            with locked(registry() / "registry.lock", ""):
                slot = take_slot(folder)
            cluster = cls(folder, State(name=name, runtime=runtime, slot=slot, binaries=str(programs)))
            try:
                (folder / "run").mkdir()
                _link_kubectl(folder, programs)
                write_state(folder, cluster.state)
                cluster._create(nodes=nodes, audit=audit, stages=stages or "", extra_args=extra_args)
            except BaseException as error:
                cluster._end()
                if isinstance(error, OSError | ApiStatusError | subprocess.SubprocessError):
                    raise start_failure("the cluster", str(error), str(cluster.logs)) from error
                raise
        return cluster

    @classmethod
    def already_up(cls, dir: Path | str, *, runtime: Runtime, nodes: int) -> Cluster | None:  # noqa: A002 - likewise
        """The cluster that runs in the folder `dir`, whole and as asked for; None if none does.

        Raises ClusterError if it runs in part, or has another runtime or another number of simulated nodes.
        """
        folder = Path(dir).resolve()
        state = read_state(folder)
        # Without a server it is just being started or ended by another command, which `start` reports.
        if state is None or not state.server or not processes.members(folder):
            return None
        cluster = cls(folder, state)
        again = f"`python -m hack.cluster down --dir {folder}`, and start it again"
        if lost := [name for name in cluster.components if not cluster.pids(name)]:
            raise ClusterError(f"the cluster in {folder} runs without {', '.join(lost)}: end it with {again}")
        if not cluster.api().is_ready():
            raise ClusterError(f"the API server of the cluster in {folder} does not answer: end it with {again}")
        if runtime != cluster.runtime:
            raise ClusterError(
                f"a cluster with the runtime {cluster.runtime} is up in {folder}: use it, or end it with {again}"
            )
        if runtime == "kwok" and (found := len(cluster.api().get("/api/v1/nodes")["items"])) != nodes:
            raise ClusterError(
                f"a cluster with {found} nodes, not {nodes}, is up in {folder}: use it, or end it with {again}"
            )
        return cluster

    @classmethod
    def attach(cls, dir: Path | str) -> Cluster:  # noqa: A002 - the word that the command line uses
        """The cluster that runs in the folder `dir`. Raises ClusterError if none does."""
        folder = Path(dir).resolve()
        state = read_state(folder)
        if state is None or not processes.members(folder):
            raise ClusterError(
                f"no cluster is up in {folder}: start one with `python -m hack.cluster up --dir {folder}`"
            )
        return cls(folder, state)

    @classmethod
    def end_in(cls, dir: Path | str) -> bool:  # noqa: A002 - the word that the command line uses
        """Stops the cluster in the folder `dir`, or removes what is left of it; False if there was nothing."""
        folder = Path(dir).resolve()
        state = read_state(folder)
        if state is None and not processes.members(folder):
            return False
        cls(folder, state or State(name="", runtime="kwok", slot=0, binaries="")).stop()
        return True

    def stop(self) -> None:
        """Ends every process of the cluster and removes all of its files but the logs. Safe to call twice."""
        with locked(
            self.folder / ".lock", f"another command is starting or ending the cluster in {self.folder}: wait for it"
        ):
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- use --------------------------------------------------------------------------------------------------

    def kubectl(self, *args: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002 - as subprocess has it
        """Standard output of kubectl against this cluster; `input` is its standard input.

        Raises ClusterError with kubectl's error output if it fails, unless `check` is False.
        """
        result = subprocess.run(
            [str(Path(self.state.binaries) / "kubectl"), f"--kubeconfig={self.kubeconfig}", *args],
            input=input,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ
            | {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.folder / "run" / "kubectl-cache")},
        )
        if check and result.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(args)}: {(result.stderr or result.stdout).strip()}")
        return result.stdout

    def install_crds(self, crds: Path) -> None:
        """Applies the CRDs in the folder `crds` and waits until they are Established, 120 s at most.

        Raises ClusterError.

        `kubectl wait` fails on a CRD that has no conditions yet, which is so for a moment after its creation.
        """
        self.kubectl("apply", f"--filename={crds}")

        def established() -> bool:
            items = json.loads(self.kubectl("get", f"--filename={crds}", "--output=json"))
            conditions = [item.get("status", {}).get("conditions") or [] for item in items.get("items", [items])]
            return all(any(c["type"] == "Established" and c["status"] == "True" for c in each) for each in conditions)

        if not processes.wait_until(established, bringup.READY_TIMEOUT, 0.1):
            raise ClusterError(
                f"the CRDs of {crds} are not Established after {bringup.READY_TIMEOUT:.0f} s: see {self.logs}"
            )

    def load_image(self, archive: Path, *names: str) -> None:
        """Gives a node with real containers the one image in a docker-archive, under its own name and `names`.

        A name is whole: docker.io/library/NAME:TAG for what a pod calls NAME:TAG. Raises ClusterError.
        """
        supervisor = self.pids(container_node.SUPERVISOR) if self.runtime == "containers" else []
        if not supervisor:
            raise ClusterError(f"the cluster in {self.folder} runs no containers: start one with --runtime containers")
        container_node.load_image(supervisor[0], archive, names)

    def api(self) -> Api:
        """Plain HTTPS calls as the administrator."""
        return Api.from_kubeconfig(self.kubeconfig)

    def pids(self, component: str) -> list[int]:
        """Ids of the processes of one component: one if it runs, none if not."""
        wanted = self._command(component)
        return [pid for pid in processes.members(self.folder) if processes.arguments(pid) == wanted]

    def stop_component(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Ends one component, as a crash would (kill -9), and returns when it is gone."""
        if left := processes.end(self.pids(name), sig, timeout=30):
            raise ClusterError(f"{name} (pid {left[0]}) did not end within 30 s of {sig.name}")

    def start_component(self, name: str) -> None:
        """Starts a component that was stopped, with the command line it had; waits until an API server is ready."""
        if self.pids(name):
            return
        command = self._command(name)
        if name == "kwok-controller":
            # Each kwok holds its nodes' leases under a new name. Without this deletion it would wait 200 s for them.
            with contextlib.suppress(OSError, ApiStatusError):
                self.api().request("DELETE", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
        if name in {"containerd", "kubelet"}:
            supervisor = self.pids(container_node.SUPERVISOR)
            if not supervisor:
                raise ClusterError(f"{name} runs inside {container_node.SUPERVISOR}, which has ended: use down and up")
            command = container_node.enter(supervisor[0], command)
        processes.spawn(command, self.folder, self.logs / f"{name}.log", processes.python_path())
        processes.wait_until(lambda: bool(self.pids(name)), 2)
        if name == "kube-apiserver":
            api = self.api()
            if not processes.wait_until(
                lambda: api.is_ready() or not self.pids(name), bringup.READY_TIMEOUT, 0.05
            ) or not self.pids(name):
                raise start_failure(name, tail(self.logs / f"{name}.log"), str(self.logs))

    def play(self, name: str, stages: str) -> None:
        """Plays the kwok Stages in the YAML text `stages` on custom resources, by a kwok process of their own.

        Their CRDs must exist; it waits until they are served, 20 s at most. Calling it again with the same `name`
        replaces the stages. Raises ClusterError.
        """
        component = f"stages-{name}"
        if component in self.state.components:
            self.stop_component(component)
        file = self.folder / "run" / f"{component}.yaml"
        file.write_text(control_plane.player_config(stages))
        port = processes.free_port()
        self._remember(
            {component: control_plane.player_arguments(Path(self.state.binaries), file, self.kubeconfig, port)}
        )
        deadline = time.monotonic() + _PLAY_TIMEOUT
        # The API server serves a new kind shortly before discovery lists it, and kwok ends if it is not listed.
        while True:
            self.start_component(component)
            processes.wait_until(lambda: processes.is_listening(port) or not self.pids(component), _PLAY_TIMEOUT)
            if self.pids(component):
                return
            if time.monotonic() > deadline:
                raise start_failure(component, tail(self.logs / f"{component}.log"), str(self.logs))
            time.sleep(0.2)

    # ---- inside -----------------------------------------------------------------------------------------------

    def _command(self, component: str) -> list[str]:
        try:
            return self.state.components[component]
        except KeyError:
            raise ClusterError(
                f"there is no component {component!r}: it is one of {', '.join(self.components)}"
            ) from None

    def _remember(self, components: dict[str, list[str]]) -> None:
        self.state = msgspec.structs.replace(self.state, components=self.state.components | components)
        write_state(self.folder, self.state)

    def _create(self, *, nodes: int, audit: bool, stages: str, extra_args: Sequence[str]) -> None:
        simulate = self.runtime == "kwok"
        self.state = bringup.create_control_plane(
            self.folder, self.state, audit=audit, stages=stages, extra_args=extra_args
        )
        write_state(self.folder, self.state)
        api = self.api()
        if simulate:
            for number, network in enumerate(control_plane.pod_networks(self.state.slot, nodes), start=1):
                api.request("POST", "/api/v1/nodes", control_plane.simulated_node(f"node-{number}", network))
            command = [sys.executable, "-m", "hack.cluster.pod_servers", str(self.kubeconfig)]
            self._remember({POD_SERVERS: command})
            processes.spawn(command, self.folder, self.logs / f"{POD_SERVERS}.log", processes.python_path())
        else:
            kubelet = Path(self.state.binaries) / "kubelet"
            self._remember(container_node.start(self.folder, self.state.slot, kubelet, self.kubeconfig, self.logs))
        bringup.wait_for_nodes(api, nodes if simulate else 1, self.logs, self.start_component)
        for component in self.components:
            if not self.pids(component):
                raise start_failure(component, tail(self.logs / f"{component}.log"), str(self.logs))

    def _end(self) -> None:
        with processes.uninterrupted():
            if self.runtime == "containers":
                container_node.stop(self.folder, self.state.slot)
            if left := processes.end_members(self.folder):
                raise ClusterError(
                    f"processes {left} of the cluster in {self.folder} do not end: look at them with ps, then run "
                    "down again"
                )
            release_slot(self.folder, self.state.slot)
            _remove_tree(self.folder / "run")
            for name in ("kubeconfig", "kubeconfig.lock", "state.json"):
                (self.folder / name).unlink(missing_ok=True)
            _remove_tree(self.folder / "bin")


def _refuse_if_up(folder: Path) -> None:
    """Raises if a cluster runs in `folder`; clears what is left of one that died, or whose files are gone."""
    state = read_state(folder)
    if state is None and processes.members(folder):
        # Whoever starts a cluster holds the lock and writes the state first: somebody removed the folder.
        Cluster(folder, State(name="", runtime="kwok", slot=0, binaries=""))._end()
    elif processes.members(folder):
        server = f" ({state.server})" if state and state.server else ""
        raise ClusterError(
            f"a cluster is already up in {folder}{server}: use it with `export KUBECONFIG={folder / 'kubeconfig'}`, "
            f"or end it with `python -m hack.cluster down --dir {folder}`"
        )
    if state is not None:
        Cluster(folder, state)._end()
    else:
        _remove_tree(folder / "run")
        (folder / "kubeconfig").unlink(missing_ok=True)


def _link_kubectl(folder: Path, binaries: Path) -> None:
    """Makes `bin/kubectl` in the cluster's folder, for a person who has none on PATH."""
    _remove_tree(folder / "bin")
    (folder / "bin").mkdir()
    (folder / "bin" / "kubectl").symlink_to(binaries / "kubectl")


def _remove_tree(folder: Path) -> None:
    """Removes `folder`, which is no longer used. Raises ClusterError if something in it cannot be removed."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ClusterError(f"{error.filename} cannot be removed ({error.strerror}): remove {folder} by hand") from error
