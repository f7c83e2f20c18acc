"""One control plane for the whole run, a namespace for each test, and controllers as processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from hack.cluster import Cluster
from hack.cluster.api import Api, ApiStatusError
from hack.controller_process import NO_SERVERS
from tests.cluster.support.audit import Audit
from tests.cluster.support.controller import Controller
from tests.cluster.support.installer import rights
from tests.cluster.support.world import PATIENCE, World

ROOT = Path(__file__).resolve().parents[2]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_number = itertools.count(1)


class StartController(Protocol):
    """Starts a controller for the test's namespace; waits until it acts unless told otherwise."""

    def __call__(
        self, *flags: str, kubeconfig: Path | None = None, namespace: str | None = None, acting: bool = True
    ) -> Controller: ...


def install_crds(api: Api) -> None:
    """The generated CRDs, served."""
    for file in sorted((ROOT / "installer" / "crds").glob("*.yaml")):
        document = yaml.safe_load(file.read_text())
        api.request("POST", CRDS, document)
        wait_established(api, document["metadata"]["name"])


def wait_established(api: Api, name: str) -> None:
    """Waits until the API server serves a custom resource, which takes a moment after its creation."""
    deadline = time.monotonic() + 60
    spec = api.get(f"{CRDS}/{name}")["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}?limit=1"
    while True:
        try:
            if api.get(path)["metadata"].get("resourceVersion"):
                return
        except ApiStatusError:
            pass
        assert time.monotonic() < deadline, f"{name} is not served within 60 s"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The control plane with simulated nodes, an audit log and our CRDs."""
    with Cluster.start(tmp_path_factory.mktemp("cluster"), audit=True) as started:
        install_crds(started.api())
        yield started


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """The administrator's kubeconfig."""
    return cluster.kubeconfig


@pytest.fixture
def api(cluster: Cluster) -> Api:
    """Plain API calls as the administrator."""
    return cluster.api()


def make_world(api: Api, name: str) -> World:
    """A new namespace in which pods can be made; `name` is cut and numbered."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("test_")).strip("-")[:40].strip("-")
    namespace = f"{label}-{next(_number)}"
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    deadline = time.monotonic() + 60
    while True:
        try:
            api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        except ApiStatusError:
            assert time.monotonic() < deadline, "no service account within 60 s"
            time.sleep(0.02)
        else:
            return World(api, namespace)


def wait_leftovers_gone(api: Api) -> None:
    """Waits until none of our objects is left in a namespace that is being deleted.

    Namespaces of earlier tests are removed without waiting. A controller of all namespaces would act on what is left,
    and watch the kinds of their templates.
    """
    deadline = time.monotonic() + PATIENCE
    left = ["not known yet"]
    while left:
        assert time.monotonic() < deadline, f"left over in namespaces that are being deleted: {', '.join(left)}"
        # Where a CRD was changed a moment ago, or an object is nested too deeply to read.
        with contextlib.suppress(ApiStatusError, RecursionError):
            left = _leftovers(api)
        time.sleep(0.1 if left else 0)


def _leftovers(api: Api) -> list[str]:
    spaces = api.get("/api/v1/namespaces")["items"]
    going = {space["metadata"]["name"] for space in spaces if space["status"]["phase"] == "Terminating"}
    return [
        f"{resource} {found['metadata']['namespace']}/{found['metadata']['name']}"
        for resource in ("workflows", "cronworkflows", "worktemplates")
        for found in api.get(f"/apis/flow.workflow.sh/v1alpha1/{resource}")["items"]
        if found["metadata"]["namespace"] in going
    ]


@pytest.fixture
def new_world(api: Api, request: pytest.FixtureRequest) -> Iterator[Callable[[], World]]:
    """Makes namespaces for this test; removed after it."""
    made: list[World] = []

    def make() -> World:
        made.append(make_world(api, str(request.node.name)))
        return made[-1]

    yield make
    for world in made:
        world.remove()


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    """The namespace of this test, and the history of its objects."""
    return new_world()


@pytest.fixture
def namespace(world: World) -> str:
    """Its name."""
    return world.namespace


@pytest.fixture
def audit(cluster: Cluster) -> Audit:
    """The audit log from the beginning of this test on."""
    return Audit(cluster.audit_log)


@pytest.fixture
def start_controller(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Iterator[StartController]:
    """The factory. Its controllers are ended after the test, and their logs printed (pytest shows them on failure)."""
    started: list[Controller] = []

    def start(
        *flags: str, kubeconfig: Path | None = None, namespace: str | None = None, acting: bool = True
    ) -> Controller:
        if namespace is None:
            namespace = request.getfixturevalue("world").namespace
        own = [f"--namespace={namespace}", f"--leader-elect-resource-namespace={namespace or 'default'}", "--workers=4"]
        log = tmp_path / f"controller-{len(started)}.log"
        if not namespace:
            wait_leftovers_gone(cluster.api())
        made = Controller(cluster, log, *own, *NO_SERVERS, *flags, kubeconfig=kubeconfig)
        started.append(made)
        if acting:
            made.wait_acting()
        return made

    yield start
    for controller in started:
        controller.close()
    for number, controller in enumerate(started):
        print(f"---- controller {number}: {' '.join(controller.flags)}")
        print(controller.log_file.read_text(errors="replace")[-20_000:])


@pytest.fixture
def user_kubeconfig(cluster: Cluster, world: World, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a kubeconfig for a user of that name (a service account), so that the audit log shows who called."""

    def make(name: str) -> Path:
        api, home = world.api, f"/api/v1/namespaces/{world.namespace}/serviceaccounts"
        api.request("POST", home, {"metadata": {"name": name}})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": world.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"metadata": {"name": f"{world.namespace}-{name}"}, "roleRef": role, "subjects": [subject]}
        api.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
        return token_kubeconfig(cluster, world.namespace, name, tmp_path / f"kubeconfig-{name}")

    return make


@pytest.fixture
def installed_kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    """The kubeconfig of the controller's Deployment: the installer's service account with the installer's roles."""
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(rights()))
    return token_kubeconfig(cluster, "workflow-system", "workflow-controller", tmp_path / "kubeconfig")


def token_kubeconfig(cluster: Cluster, namespace: str, account: str, file: Path) -> Path:
    """Writes a kubeconfig with a token of a service account."""
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    token = json.loads(cluster.api().request("POST", path, wanted))["status"]["token"]
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    file.write_text(yaml.safe_dump(config))
    return file


def account(world: World, name: str) -> str:
    """How the audit log names a user of `user_kubeconfig`."""
    return f"system:serviceaccount:{world.namespace}:{name}"
