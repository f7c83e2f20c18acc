"""The installation, on a control plane of its own: what `kubectl apply -f installer/controller/` makes, with controller
and webhook as processes that have the ServiceAccounts and the roles as they are shipped, and nothing else.

The pods of the two Deployments are simulated. The webhook's address on this machine takes the place of its Service.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import Cluster, ClusterError
from hack.cluster.processes import wait_until
from hack.manifests.operator_crds import monitoring_crds
from hack.manifests.sources import CONTROLLER, MONITORING, NETWORK, files, objects
from hack.webhook_process import WebhookProcess
from pkg.version import VERSION
from tests.cluster.conftest import ROOT, StartController, token_kubeconfig
from tests.cluster.support.audit import Audit
from tests.cluster.support.examples import EXAMPLES, apply, verify
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("installation")]

NAMESPACE = "workflow-system"
ACCOUNTS = ("workflow-controller", "workflow-webhook")
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
CONFIGURATIONS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/workflow-webhook-tls"
# A person's own things, which an uninstallation leaves alone.
OWN = """
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: batch/v1
kind: Job
metadata: {name: by-hand, namespace: team}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "busybox:1.36"}]
"""
SOON = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Takes the place of the cluster of the other tests, whose Workflows no webhook may refuse."""
    with Cluster.start(tmp_path_factory.mktemp("installation"), audit=True) as started:
        started.kubectl("apply", "-f", "-", input=OWN)
        wait_until(lambda: "default" in started.kubectl("get", "sa", "-n", "team"), SOON)
        yield started


@pytest.fixture(scope="module")
def before(cluster: Cluster) -> set[str]:
    """Everything that the cluster held before the installation."""
    return everything(cluster)


@pytest.fixture(scope="module")
def said(cluster: Cluster, before: set[str]) -> list[str]:
    """Installs it; what kubectl said: in the reversed order and in a random one, each file by itself, all twice."""
    assert before
    reverse = sorted(CONTROLLER.glob("*.yaml"), reverse=True)
    rest = list(reverse)
    random.Random(5).shuffle(rest)
    return [apply_file(cluster, file) for file in (*reverse, *rest)]


@pytest.fixture(scope="module")
def tokens(cluster: Cluster, said: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A kubeconfig with a token of each of the two accounts."""
    assert said
    folder = tmp_path_factory.mktemp("tokens")
    return {name: token_kubeconfig(cluster, NAMESPACE, name, folder / name) for name in ACCOUNTS}


@pytest.fixture(scope="module")
def webhook(
    cluster: Cluster, tokens: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebhookProcess]:
    """The webhook with its own account, called by the API server."""
    log = tmp_path_factory.mktemp("webhook") / "webhook.log"
    started = WebhookProcess(cluster, log, kubeconfig=tokens["workflow-webhook"])
    try:
        started.wait_called(cluster.api())
        yield started
    finally:
        started.stop()
        print(f"---- webhook\n{started.log_text()[-20_000:]}")


def apply_file(cluster: Cluster, *flags: str | Path) -> str:
    """What `kubectl apply` says, also if something was refused."""
    command = [Path(cluster.state.binaries) / "kubectl", f"--kubeconfig={cluster.kubeconfig}", "apply", "-f", *flags]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def everything(cluster: Cluster) -> set[str]:
    """Every object that `kubectl` can list, but for those that come and go by themselves."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
    wanted = [kind for kind in kinds if not kind.startswith(("events", "leases", "componentstatuses", "endpoint"))]
    listed = cluster.kubectl(
        "get",
        ",".join(wanted),
        "-A",
        "-o",
        "custom-columns=K:.kind,NS:.metadata.namespace,N:.metadata.name",
        "--no-headers",
    )
    return {" ".join(line.split()) for line in listed.splitlines()}


def test_files_that_are_applied_in_any_order_twice_end_well(cluster: Cluster, said: list[str]) -> None:
    again = said[len(said) // 2 :]
    assert [text for text in again if "rror" in text or "arning" in text] == []
    for each in objects(*sorted(CONTROLLER.glob("*.yaml"))):
        meta = each["metadata"]
        cluster.kubectl("get", each["kind"], meta["name"], f"--namespace={meta.get('namespace', 'default')}")
    collected = json.loads(cluster.kubectl("get", "clusterrole", "workflow-controller-jobs", "--output=json"))
    resources = {resource for rule in collected["rules"] for resource in rule["resources"]}
    assert resources >= {"jobs", "pods", "pytorchjobs", "rayjobs", "sparkapplications", "jobsets", "deployments"}
    # Pod security refuses pods below `restricted`: the simulated ones are there.
    for name in ACCOUNTS:
        cluster.kubectl("rollout", "status", f"deployment/{name}", f"--namespace={NAMESPACE}", "--timeout=60s")


BARE: dict[str, Any] = {"containers": [{"name": "main", "image": "busybox:1.36"}]}
RESTRICTED: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            **BARE["containers"][0],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}


def create_pod(cluster: Cluster, spec: dict[str, Any]) -> str:
    """What kubectl says when the API server is asked to admit such a pod in our namespace; nothing is made."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asked", "namespace": NAMESPACE},
        "spec": {**spec, "serviceAccountName": "workflow-controller"},
    }
    kubectl = Path(cluster.state.binaries) / "kubectl"
    command = [str(kubectl), f"--kubeconfig={cluster.kubeconfig}", "create", "--dry-run=server", "-f", "-"]
    done = subprocess.run(command, input=yaml.safe_dump(pod), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param(BARE, "runAsNonRoot != true", id="root"),
        pytest.param({**RESTRICTED, "hostNetwork": True}, "host namespaces", id="the network of the node"),
        pytest.param(
            {**RESTRICTED, "volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "hostPath", id="files of the node"
        ),
        pytest.param(
            {**RESTRICTED, "containers": [{**BARE["containers"][0], "securityContext": {"privileged": True}}]},
            "privileged",
            id="privileges",
        ),
    ],
)
def test_a_pod_below_restricted_is_refused_in_the_namespace(
    cluster: Cluster, said: list[str], spec: dict[str, Any], reason: str
) -> None:
    assert said
    answer = create_pod(cluster, spec)
    assert 'violates PodSecurity "restricted:latest"' in answer
    assert reason in answer


def test_the_pods_of_the_deployments_keep_to_restricted(cluster: Cluster, said: list[str]) -> None:
    assert said
    assert create_pod(cluster, RESTRICTED) == "pod/asked created (server dry run)\n"
    for file in ("40-controller-deployment.yaml", "41-webhook-deployment.yaml"):
        (deployment,) = objects(CONTROLLER / file)
        assert create_pod(cluster, deployment["spec"]["template"]["spec"]) == "pod/asked created (server dry run)\n"


def test_an_apply_keeps_what_the_webhook_wrote(cluster: Cluster, tokens: dict[str, Path], tmp_path: Path) -> None:
    api = cluster.api()

    def written() -> list[Any]:
        bundles = [
            hook["clientConfig"].get("caBundle")
            for plural in CONFIGURATIONS
            for hook in api.get(f"{REGISTRATION}/{plural}/workflow-webhook")["webhooks"]
        ]
        return [api.get(SECRET).get("data"), *bundles]

    # With the Service, as it is shipped: nothing calls it, because no Workflow is made meanwhile.
    first = WebhookProcess(
        cluster, tmp_path / "log", "--local-url=", "--certificate-name=127.0.0.1", kubeconfig=tokens["workflow-webhook"]
    )
    try:
        assert wait_until(lambda: all(written()), SOON), first.tail()
    finally:
        first.stop()
    wrote = written()
    assert len(wrote) == 4
    rules = api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/workflow-controller-jobs")
    for flags in ((), ("--server-side", "--force-conflicts"), ()):
        cluster.kubectl("apply", "-f", str(CONTROLLER), *flags)
        assert written() == wrote
        after = api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/workflow-controller-jobs")
        assert after["rules"] == rules["rules"]


FLOW, CORE, ADMISSION = "flow.workflow.sh", "", "admissionregistration.k8s.io"
SYSTEM, TEAM, NOWHERE = NAMESPACE, "team", ""
# Whether the account may, the verb, group, resource (and its name), and the namespace.
CONTROLLER_MAY = [
    (True, "create", "batch", "jobs", TEAM),
    (True, "create", "ray.io", "rayjobs", TEAM),
    (True, "create", "authorization.k8s.io", "subjectaccessreviews", NOWHERE),
    (True, "update", "coordination.k8s.io", "leases workflow-controller", SYSTEM),
    (False, "get", CORE, "secrets", NOWHERE),
    (False, "get", CORE, "secrets workflow-webhook-tls", SYSTEM),
    (True, "patch", CORE, "configmaps", TEAM),
    (True, "patch", "apps", "deployments", TEAM),
    (False, "patch", "batch", "jobs", TEAM),
    (False, "patch", CORE, "pods", TEAM),
    (False, "update", CORE, "configmaps", TEAM),
    (False, "create", CORE, "serviceaccounts/token", SYSTEM),
    (False, "create", CORE, "pods/exec", TEAM),
    (False, "impersonate", CORE, "users", NOWHERE),
    (False, "create", "rbac.authorization.k8s.io", "clusterrolebindings", NOWHERE),
    (True, "patch", FLOW, "workflows", TEAM),  # spec.shutdown of a run that Replace ends
    (False, "update", FLOW, "workflows", TEAM),
    (False, "patch", FLOW, "worktemplates", TEAM),
    (False, "patch", FLOW, "cronworkflows", TEAM),
    (False, "patch", "apiextensions.k8s.io", "customresourcedefinitions worktemplates.flow.workflow.sh", NOWHERE),
    (False, "update", "coordination.k8s.io", "leases another", SYSTEM),
    # Leases of locks are in users' namespaces, and RBAC has no pattern for names.
    (True, "create", "coordination.k8s.io", "leases", TEAM),
    (False, "update", "coordination.k8s.io", "leases", TEAM),
    (False, "patch", ADMISSION, "mutatingwebhookconfigurations workflow-webhook", NOWHERE),
]
WEBHOOK_MAY = [
    (True, "get", CORE, "secrets workflow-webhook-tls", SYSTEM),
    (True, "update", CORE, "secrets workflow-webhook-tls", SYSTEM),
    (True, "patch", ADMISSION, "mutatingwebhookconfigurations workflow-webhook", NOWHERE),
    (True, "get", FLOW, "workflows", TEAM),
    (False, "list", CORE, "secrets", SYSTEM),
    (False, "create", CORE, "secrets", SYSTEM),
    (False, "get", CORE, "secrets another", SYSTEM),
    (False, "get", CORE, "secrets workflow-webhook-tls", TEAM),
    (False, "patch", ADMISSION, "mutatingwebhookconfigurations another", NOWHERE),
    (False, "create", CORE, "pods", TEAM),
    (False, "update", FLOW, "workflows", TEAM),
]


def may(cluster: Cluster, user: str, verb: str, group: str, what: str, namespace: str) -> bool:
    """Whether the API server says that a user may do something; the names of the two accounts stand for these."""
    path, _, name = what.partition(" ")
    resource, _, subresource = path.partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    groups = ["system:authenticated"]
    if user in ACCOUNTS:
        user = f"system:serviceaccount:{NAMESPACE}:{user}"
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"]
    spec = {
        "user": user,
        "groups": groups,
        "resourceAttributes": {**attributes, "name": name, "namespace": namespace},
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = cluster.api().request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return bool(json.loads(answer)["status"]["allowed"])


@pytest.mark.parametrize(
    ("account", "table"), list(zip(ACCOUNTS, (CONTROLLER_MAY, WEBHOOK_MAY), strict=True)), ids=ACCOUNTS
)
def test_an_account_may_do_what_its_roles_say_and_nothing_else(
    cluster: Cluster, said: list[str], account: str, table: list[tuple[bool, str, str, str, str]]
) -> None:
    assert said
    assert [(may(cluster, account, *question), *question) for _, *question in table] == table


def test_a_secret_cannot_be_read_with_the_controllers_token(cluster: Cluster, tokens: dict[str, Path]) -> None:
    cluster.kubectl("create", "secret", "generic", "password", "-n", "team", "--from-literal=a=b")
    kubectl = Path(cluster.state.binaries) / "kubectl"
    for question in (["get", "secret", "password"], ["get", "secrets"], ["get", "secrets", "-A"]):
        command = [str(kubectl), f"--kubeconfig={tokens['workflow-controller']}", "-n", "team", *question]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "cannot" in done.stderr, "refused by RBAC"
        assert "password\n" not in done.stdout


def test_people_with_the_roles_of_the_cluster_run_workflows(cluster: Cluster, said: list[str]) -> None:
    assert said
    for role in ("view", "edit", "admin"):
        cluster.kubectl("create", "rolebinding", role, "-n", "team", f"--clusterrole={role}", f"--user={role}")

    wanted = [
        (True, "view", "list", FLOW, "workflows"),
        (False, "view", "create", FLOW, "workflows"),
        (True, "edit", "create", FLOW, "workflows"),
        (True, "edit", "delete", FLOW, "worktemplates"),
        (False, "edit", "patch", FLOW, "workflows/status"),
        (True, "admin", "update", FLOW, "worktemplates"),
        (True, "admin", "update", FLOW, "workflows/finalizers"),
        (False, "admin", "patch", FLOW, "workflows/status"),
        (False, "stranger", "get", FLOW, "workflows"),
    ]

    def answers() -> list[tuple[bool, str, str, str, str]]:
        return [
            (may(cluster, user, verb, group, what, TEAM), user, verb, group, what)
            for _, user, verb, group, what in wanted
        ]

    # The cluster's own roles take the new rules up after a moment.
    assert wait_until(lambda: answers() == wanted, SOON), answers()


def test_all_examples_end_as_they_announce_with_the_shipped_rights(
    world: World,
    audit: Audit,
    webhook: WebhookProcess,
    start_controller: StartController,
    tokens: dict[str, Path],
) -> None:
    controller = start_controller(
        f"--leader-elect-resource-namespace={NAMESPACE}",
        "--workers=8",
        *shipped_switches(),
        namespace="",
        kubeconfig=tokens["workflow-controller"],
    )
    applied = {name: apply(world, name) for name in EXAMPLES}
    for name, example in applied.items():
        verify(world, name, example)
    assert [line for line in controller.log() if line.get("level") == "error"] == []
    assert audit.refused(*(f"system:serviceaccount:{NAMESPACE}:{name}" for name in ACCOUNTS)) == []
    assert webhook.is_alive


def shipped_switches() -> list[str]:
    """Flags of the shipped controller that say what it does, not where."""
    (deployment,) = (
        each for each in objects(CONTROLLER / "40-controller-deployment.yaml") if each["kind"] == "Deployment"
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return [flag for flag in container["args"] if flag.startswith("--authorize")]


def test_every_example_passes_a_dry_run_with_the_webhook(cluster: Cluster, webhook: WebhookProcess) -> None:
    assert webhook.is_alive
    refused = {}
    for file in sorted((ROOT / "examples").glob("*.yaml")):
        try:
            cluster.kubectl("apply", "--dry-run=server", "-f", str(file))
        except ClusterError as error:
            refused[file.name] = str(error)
    assert refused == {}


def test_every_file_of_the_installer_passes_a_dry_run(cluster: Cluster, webhook: WebhookProcess) -> None:
    assert webhook.is_alive
    for crd in monitoring_crds():
        # Too large for the annotation of a client-side apply.
        cluster.kubectl("create", "-f", str(crd))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    # The webhook has put its own address in the place of the Service; an API server takes only one of them.
    local = CONTROLLER / "50-webhook-configurations.yaml"
    names = [["-f", str(file)] for file in files() if file != local]
    names += [["-k", str(folder)] for folder in (MONITORING, NETWORK)]
    refused = {}
    for name in names:
        try:
            cluster.kubectl("apply", "--dry-run=server", *name)
        except ClusterError as error:
            refused[name[1]] = str(error)
    assert refused == {}
    assert "webhook" in cluster.kubectl("create", "--dry-run=client", "-o", "name", "-f", str(local))
    cluster.kubectl("apply", "-k", str(MONITORING))
    cluster.kubectl("apply", "-k", str(NETWORK))


def test_while_no_webhook_runs_our_kinds_alone_are_refused(
    cluster: Cluster, world: World, webhook: WebhookProcess, start_controller: StartController, tokens: dict[str, Path]
) -> None:
    example = apply(world, "01-sequential")
    name = example.workflow.metadata.name
    assert webhook.stop()
    manifest = yaml.safe_dump_all(example.documents)
    with pytest.raises(ClusterError, match=r'failed calling webhook "mutate\.flow\.workflow\.sh"'):
        cluster.kubectl("apply", "-f", "-", input=manifest)
    assert "created" in cluster.kubectl("create", "configmap", "other", "-n", "team")
    start_controller(
        f"--leader-elect-resource-namespace={NAMESPACE}",
        *shipped_switches(),
        namespace="",
        kubeconfig=tokens["workflow-controller"],
    )
    assert world.wait_phase(name)["phase"] == "Succeeded", "the controller needs no webhook"
    cluster.kubectl("delete", "wkf", name, "-n", world.namespace, "--cascade=foreground", "--timeout=60s")


def make(cluster: Cluster, *arguments: str) -> str:
    """What `make` says, with this cluster as that of KUBECONFIG."""
    programs = Path(cluster.state.binaries)
    env = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(cluster.folder)}
    done = subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_image_of_ones_own_is_installed_by_its_name(cluster: Cluster, said: list[str]) -> None:
    assert said
    image = "registry.example:5000/team/workflow-controller:0.2.0-gabc1234"
    # Another test may have pointed them to an address of this machine, which the manifests do not take away.
    configurations = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
    cluster.kubectl("delete", configurations, "workflow-webhook", "--ignore-not-found")
    make(cluster, "install", f"IMAGE={image}")
    wanted = "jsonpath={.items[*].spec.template.spec.containers[*].image}"
    images = ["-n", NAMESPACE, "get", "deployments", "--output", wanted]
    assert cluster.kubectl(*images).split() == [image, image]
    assert "unchanged" in make(cluster, "install", f"IMAGE={image}")
    make(cluster, "install")
    (named,) = set(cluster.kubectl(*images).split())
    assert named == f"workflow-controller:{VERSION}"


def test_an_uninstallation_leaves_nothing_but_what_people_made(
    cluster: Cluster, before: set[str], said: list[str]
) -> None:
    assert said
    kubectl = Path(cluster.state.binaries) / "kubectl"
    env = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": "/usr/bin:/bin", "HOME": str(cluster.folder)}
    done = subprocess.run(
        [ROOT / "hack" / "uninstall.sh", kubectl], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left = everything(cluster) - before
    ours = {each for each in left if "workflow" in each.lower() and "crd" not in each.lower()}
    assert ours == set()
    assert "Job team by-hand" in everything(cluster)
