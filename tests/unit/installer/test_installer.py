"""The manifests fit together, and fit the code they install."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import yaml

from hack import gen_crds
from hack.manifests import chart, checks, generate, sources
from hack.manifests.sources import INSTALLER
from pkg.apis.flow.v1alpha1.types import Completion
from pkg.controllers.options import controller_options
from pkg.version import VERSION
from pkg.views import log_address
from pkg.webhooks.options import webhook_options
from pkg.workloads import registry

FILES = sources.files()


@cache
def documents(*folders: str) -> tuple[tuple[Path, dict[str, Any]], ...]:
    """Every object with its file; only those below these folders of the installer, if any are named."""
    return tuple(
        (path, document)
        for path in FILES
        if not folders or path.relative_to(INSTALLER).parts[0] in folders
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    )


def one(kind: str, name: str = "workflow-controller") -> dict[str, Any]:
    (found,) = (d for _, d in documents("controller") if (d["kind"], d["metadata"]["name"]) == (kind, name))
    return found


def rules(*roles: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Group, resource and verb of each rule; `resource/NAME`, in brackets, where a rule is for objects of that name."""
    return {
        (group, f"{resource}[{name}]" if name else resource, verb)
        for role in roles
        for rule in role.get("rules", ())
        for group in rule.get("apiGroups", ())
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ("",))
        for verb in rule["verbs"]
    }


def grants(group: str, resource: str, *verbs: str) -> set[tuple[str, str, str]]:
    return {(group, resource, verb) for verb in verbs}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(INSTALLER)))
def test_every_file_holds_objects(path: Path) -> None:
    found = [document for holder, document in documents() if holder == path]
    assert found
    for document in found:
        assert document["apiVersion"]
        assert document["kind"]


def test_the_kustomization_takes_every_file_of_the_controller() -> None:
    taken = [INSTALLER / name for name in yaml.safe_load((INSTALLER / "kustomization.yaml").read_text())["resources"]]
    assert taken == [path for path in FILES if path.parent.name == "controller"]


def test_the_chart_and_the_dashboard_are_what_their_sources_say() -> None:
    assert generate.main(["--check"]) == 0


def test_every_family_of_kinds_can_be_switched_off_in_the_chart() -> None:
    values = yaml.safe_load((sources.CHART / "values.yaml").read_text())
    assert list(values["jobKinds"]) == chart.families()
    assert "batch" in chart.families()
    for name in chart.families():
        text = (sources.CHART / "templates" / "controller" / f"22-job-kinds-{name}.yaml").read_text()
        assert f"{{{{- if .Values.jobKinds.{name} }}}}" in text


def test_what_a_manifest_has_of_braces_is_no_expression_of_helm() -> None:
    text = (sources.CHART / "templates" / "monitoring" / "alerts.yaml").read_text()
    assert '{{ "{{" }} $labels.reason }}' in text


def test_every_exception_of_kube_score_has_a_reason() -> None:
    assert checks.exceptions()
    for flag, reason in checks.exceptions().items():
        assert flag.startswith("--ignore-")
        assert len(reason.split()) > 5, flag


@pytest.mark.parametrize("folder", ["monitoring", "network"])
def test_a_kustomization_beside_takes_every_manifest_of_its_folder(folder: str) -> None:
    taken = yaml.safe_load((INSTALLER / folder / "kustomization.yaml").read_text())["resources"]
    assert taken == [f"manifests/{path.name}" for path in FILES if path.parent == INSTALLER / folder / "manifests"]


def test_kubectl_finds_nothing_but_objects_in_the_applied_folder() -> None:
    assert {path.suffix for path in (INSTALLER / "controller").iterdir()} == {".yaml"}
    assert "Kustomization" not in {document["kind"] for _, document in documents("controller")}


def test_the_crds_are_what_the_types_say() -> None:
    assert gen_crds.main(["--check"]) == 0


def test_the_files_of_the_controller_are_applied_in_an_order_that_works() -> None:
    kinds = [document["kind"] for _, document in documents("controller")]
    assert kinds[:3] == ["Namespace", "CustomResourceDefinition", "CustomResourceDefinition"]
    assert kinds.index("ServiceAccount") < kinds.index("Deployment") < kinds.index("ValidatingWebhookConfiguration")


def container_of(name: str) -> dict[str, Any]:
    (container,) = one("Deployment", name)["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


PROGRAMS = ("workflow-controller", "workflow-webhook")


@pytest.mark.parametrize(
    ("name", "options"), list(zip(PROGRAMS, (controller_options, webhook_options), strict=True)), ids=PROGRAMS
)
def test_a_deployment_gives_flags_that_its_program_takes(name: str, options: Any) -> None:
    command = click.command()(options(lambda **_: None))
    arguments = [argument.replace("$(POD_NAMESPACE)", "workflow-system") for argument in container_of(name)["args"]]
    assert command.make_context(name, arguments, resilient_parsing=False)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_deployment_runs_this_version_twice_as_its_own_account(name: str) -> None:
    spec = one("Deployment", name)["spec"]
    pod = spec["template"]["spec"]
    assert container_of(name)["image"] == f"workflow-controller:{VERSION}"
    assert container_of(name)["command"] == [name]
    assert (spec["replicas"], pod["serviceAccountName"], pod["priorityClassName"]) == (2, name, "workflow-system")
    assert one("ServiceAccount", name)["automountServiceAccountToken"] is False
    assert one("PodDisruptionBudget", name)["spec"]["selector"] == spec["selector"]
    ports = {port["name"] for port in container_of(name)["ports"]}
    assert {container_of(name)[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} <= ports


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_pod_keeps_to_the_restricted_standard_and_more(name: str) -> None:
    pod = one("Deployment", name)["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container_of(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == set(container_of(name)["resources"])
    assert all("ephemeral-storage" in bound for bound in container_of(name)["resources"].values())
    levels = one("Namespace", "workflow-system")["metadata"]["labels"]
    assert {levels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


FLOW, CRDS = "flow.workflow.sh", "customresourcedefinitions"
CONTROLLER = (
    grants(FLOW, "workflows", "get", "list", "watch", "create", "patch", "delete")
    | grants(FLOW, "workflows/status", "patch")
    | grants(FLOW, "workflows/finalizers", "update")
    | grants(FLOW, "cronworkflows", "get", "list", "watch")
    | grants(FLOW, "cronworkflows/status", "patch")
    | grants(FLOW, "cronworkflows/finalizers", "update")
    | grants(FLOW, "worktemplates", "get", "list", "watch")
    | grants(FLOW, "worktemplates/status", "patch")
    | grants("authorization.k8s.io", "subjectaccessreviews", "create")
    | grants("", "pods", "get", "list", "watch")
    | grants("", "events", "create", "patch", "list")
    | grants("events.k8s.io", "events", "create", "patch")
    | grants("apiextensions.k8s.io", CRDS, "list", "watch")
    | grants("apiextensions.k8s.io", f"{CRDS}[workflows.flow.workflow.sh]", "get", "patch")
    | grants("coordination.k8s.io", "leases", "get")
)
WEBHOOK = (
    grants(FLOW, "worktemplates", "get", "list", "watch")
    | grants(FLOW, "workflows", "get")
    | grants(FLOW, "cronworkflows", "get")
    | grants("authorization.k8s.io", "subjectaccessreviews", "create")
    | grants("apiextensions.k8s.io", CRDS, "list", "watch")
    | grants("admissionregistration.k8s.io", "validatingwebhookconfigurations[workflow-webhook]", "get", "patch")
    | grants("admissionregistration.k8s.io", "mutatingwebhookconfigurations[workflow-webhook]", "get", "patch")
)


@pytest.mark.parametrize(("name", "needed"), list(zip(PROGRAMS, (CONTROLLER, WEBHOOK), strict=True)), ids=PROGRAMS)
def test_a_program_may_do_what_it_does_and_no_more(name: str, needed: set[tuple[str, str, str]]) -> None:
    role = one("ClusterRole", name)
    assert rules(role) == needed
    urls = [url for rule in role["rules"] for url in rule.get("nonResourceURLs", ())]
    assert urls == ["/openapi/v3", "/openapi/v3/*"]


def test_in_its_namespace_a_program_reaches_its_own_objects_by_their_names() -> None:
    lease = grants("coordination.k8s.io", "leases[workflow-controller]", "get", "list", "watch", "update", "patch")
    lease |= grants("coordination.k8s.io", "leases", "create")
    assert rules(one("Role", "workflow-controller-leader-election")) == lease
    secret = one("Secret", "workflow-webhook-tls")
    assert rules(one("Role", "workflow-webhook")) == grants("", "secrets[workflow-webhook-tls]", "get", "update")
    assert "data" not in secret
    assert "stringData" not in secret


def test_the_controller_may_make_every_kind_it_knows() -> None:
    jobs = one("ClusterRole", "workflow-controller-jobs")
    assert "rules" not in jobs, "an apply would empty what was collected"
    selector = jobs["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"]
    families = [
        d
        for _, d in documents("controller")
        if d["kind"] == "ClusterRole" and selector.items() <= d["metadata"]["labels"].items()
    ]
    verbs = ("get", "list", "watch", "create", "delete")
    made = [row for row in registry().kinds if not row.refused and row.resource != "secrets"]
    wanted = {(row.group, row.resource, verb) for row in made for verb in verbs}
    # Objects that a workflow applies outlive it: services, and what has no status. What runs to an end is only made.
    applied = {(row.group, row.resource) for row in made if row.completion in (Completion.READY, Completion.CREATED)}
    assert applied > {("apps", "deployments"), ("", "services"), ("", "configmaps")}
    assert rules(*families) == wanted | {(group, resource, "patch") for group, resource in applied}


def test_no_role_has_a_wildcard_and_none_reads_secrets_but_the_webhooks_own() -> None:
    roles = [d for _, d in documents() if d["kind"] in ("Role", "ClusterRole")]
    for role in roles:
        for rule in role.get("rules", ()):
            words = [word for key in ("apiGroups", "resources", "verbs") for word in rule.get(key, ())]
            assert "*" not in words, role["metadata"]["name"]
    named = {resource for role in roles for group, resource, _ in rules(role) if resource.startswith("secrets")}
    assert named == {"secrets[workflow-webhook-tls]"}


@pytest.mark.parametrize(
    ("name", "verbs"),
    [
        pytest.param("view", {"get", "list", "watch"}, id="who may view reads"),
        pytest.param(
            "edit",
            {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"},
            id="who may edit runs workflows",
        ),
        pytest.param(
            "admin",
            {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"},
            id="an admin does too",
        ),
    ],
)
def test_the_roles_of_people_are_added_to_those_of_the_cluster(name: str, verbs: set[str]) -> None:
    role = one("ClusterRole", f"workflow-{name}")
    added = [label for label in role["metadata"]["labels"] if label.startswith("rbac.authorization.k8s.io/")]
    assert added == [f"rbac.authorization.k8s.io/aggregate-to-{name}"]
    for resource in ("workflows", "worktemplates", "cronworkflows"):
        assert {verb for _, found, verb in rules(role) if found == resource} == verbs
        assert {verb for _, found, verb in rules(role) if found == f"{resource}/status"} == {"get", "list", "watch"}


def test_bindings_name_roles_and_accounts_that_exist() -> None:
    present = {(d["kind"], d["metadata"]["name"]) for _, d in documents("controller", "logs", "dashboard")}
    # Everybody who has logged in.
    present.add(("Group", "system:authenticated"))
    for _, binding in documents():
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in present
            for subject in binding["subjects"]:
                assert (subject["kind"], subject["name"]) in present


def test_the_address_of_logs_is_where_the_command_line_looks_and_everybody_may_read_it_alone() -> None:
    config, role, binding = (document for _, document in documents("logs"))
    assert (config["metadata"]["namespace"], config["metadata"]["name"]) == (log_address.HOME, log_address.CONFIG_MAP)
    assert config["data"] == {log_address.KEY: ""}
    assert rules(role) == grants("", f"configmaps[{log_address.CONFIG_MAP}]", "get")
    assert [(subject["kind"], subject["name"]) for subject in binding["subjects"]] == [
        ("Group", "system:authenticated")
    ]


OURS = ["workflows", "worktemplates", "cronworkflows"]
HOOKS = {
    "validate.flow.workflow.sh": ("/validate", "Fail", ["CREATE", "UPDATE"], OURS),
    "validate-deletion.flow.workflow.sh": ("/validate", "Ignore", ["DELETE"], ["worktemplates"]),
    "mutate.flow.workflow.sh": ("/mutate", "Fail", ["CREATE", "UPDATE"], OURS),
}


def test_the_webhook_is_asked_about_our_own_kinds_and_nothing_else() -> None:
    kinds = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    hooks = [hook for kind in kinds for hook in one(kind, "workflow-webhook")["webhooks"]]
    assert {hook["name"] for hook in hooks} == set(HOOKS)
    service = one("Service", "workflow-webhook")
    for hook in hooks:
        path, policy, operations, resources = HOOKS[hook["name"]]
        (rule,) = hook["rules"]
        assert hook["clientConfig"] == {
            "service": {"name": "workflow-webhook", "namespace": "workflow-system", "path": path, "port": 443}
        }
        assert (hook["failurePolicy"], hook["sideEffects"]) == (policy, "None")
        assert (hook["matchPolicy"], hook["timeoutSeconds"]) == ("Equivalent", 10)
        assert (rule["apiGroups"], rule["operations"], rule["resources"]) == ([FLOW], operations, resources)
    (port,) = service["spec"]["ports"]
    (listening,) = (p for p in container_of("workflow-webhook")["ports"] if p["name"] == port["targetPort"])
    assert (port["port"], listening["containerPort"]) == (443, 9443)
    labels = one("Deployment", "workflow-webhook")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def lists_in(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "array":
            yield schema
        for value in schema.values():
            yield from lists_in(value)


def test_a_field_may_be_called_default() -> None:
    """Defaults of the schema are left out in lists; the field of that name is none of them."""
    (version,) = one("CustomResourceDefinition", "workflows.flow.workflow.sh")["spec"]["versions"]
    flow = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["flows"]["items"]["properties"]
    assert flow["outputs"]["items"]["properties"].keys() == {"name", "from", "default"}


@pytest.mark.parametrize(
    ("plural", "short"), [("workflows", "wkf"), ("worktemplates", "wkt"), ("cronworkflows", "cwkf")]
)
def test_a_crd_has_its_short_name_a_status_and_lists_that_managed_fields_do_not_enumerate(
    plural: str, short: str
) -> None:
    crd = one("CustomResourceDefinition", f"{plural}.flow.workflow.sh")
    (version,) = crd["spec"]["versions"]
    assert crd["spec"]["names"]["shortNames"] == [short]
    assert crd["spec"]["names"]["singular"] not in crd["spec"]["names"]["categories"]
    assert version["subresources"] == {"status": {}}
    assert all(found["x-kubernetes-list-type"] in ("atomic", "map") for found in lists_in(version["schema"]))
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    maps = {name: found for name, found in named_lists(version) if found["x-kubernetes-list-type"] == "map"}
    assert {name: found["x-kubernetes-list-map-keys"] for name, found in maps.items()} == (
        {"parameters": ["name"], "outputs": ["name"], "conditions": ["type"]}
        if plural != "worktemplates"
        else {"parameters": ["name"]}
    )
    assert plural != "workflows" or schema["spec"]["properties"]["flows"]["x-kubernetes-list-type"] == "atomic"


def named_lists(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in schema.items() if isinstance(schema, dict) else ():
        if isinstance(value, dict) and value.get("type") == "array":
            yield name, value
        yield from named_lists(value)
    for value in schema if isinstance(schema, list) else ():
        yield from named_lists(value)


def fields_in(schema: dict[str, Any], path: str = "", *, in_list: bool = False) -> Iterator[tuple[str, Any, bool]]:
    """Every field: its path, its schema, and whether it is inside of a list."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field, in_list
        yield from fields_in(field, f"{path}.{name}", in_list=in_list)
    if isinstance(schema.get("items"), dict):
        yield from fields_in(schema["items"], f"{path}[]", in_list=True)


def schema_of(plural: str) -> dict[str, Any]:
    (version,) = one("CustomResourceDefinition", f"{plural}.flow.workflow.sh")["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


@pytest.mark.parametrize("plural", OURS)
def test_every_field_is_described_and_those_of_the_spec_with_default_and_example(plural: str) -> None:
    fields = list(fields_in(schema_of(plural)))
    ours = [(path, field) for path, field, _ in fields if path not in (".apiVersion", ".kind", ".metadata")]
    assert [path for path, field in ours if not field.get("description")] == []
    spec = [(path, field["description"]) for path, field in ours if path.startswith(".spec.")]
    assert len(spec) > 10
    assert [path for path, text in spec if " Example: " not in text] == []
    assert [path for path, text in spec if "Default: " not in text and "Required." not in text] == []
    times = [(path, field) for path, field in ours if "pattern" in field and "ms" in field["pattern"]]
    assert [path for path, field in times if "units: h, m, s, ms" not in field["description"]] == []


@pytest.mark.parametrize("plural", OURS)
def test_the_api_has_no_floats_and_fills_in_no_default_inside_of_a_list(plural: str) -> None:
    fields = list(fields_in(schema_of(plural)))
    assert [path for path, field, _ in fields if field.get("type") == "number"] == []
    assert [path for path, field, in_list in fields if in_list and "default" in field] == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(float, "FloatType", id="a float"),
        pytest.param(int | str, "union", id="a union"),
    ],
)
def test_a_type_without_a_schema_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(gen_crds.NoSchema, match=text):
        gen_crds.schema_of(msgspec.inspect.type_info(kind))


def test_columns_of_workflows() -> None:
    (version,) = one("CustomResourceDefinition", "workflows.flow.workflow.sh")["spec"]["versions"]
    assert [(column["name"], column["jsonPath"]) for column in version["additionalPrinterColumns"]] == [
        ("Phase", ".status.phase"),
        ("Progress", ".status.progress"),
        ("Reason", ".status.reason"),
        ("Age", ".metadata.creationTimestamp"),
        ("Message", ".status.message"),
    ]
    assert [column.get("priority", 0) for column in version["additionalPrinterColumns"]] == [0, 0, 0, 0, 1]


def test_a_cron_workflow_that_can_make_no_run_shows_it_by_default() -> None:
    (version,) = one("CustomResourceDefinition", "cronworkflows.flow.workflow.sh")["spec"]["versions"]
    shown = {column["name"]: column for column in version["additionalPrinterColumns"] if not column.get("priority")}
    assert shown["Valid"]["jsonPath"] == ".status.conditions[?(@.type=='Valid')].status"


def test_gen_crds_says_which_file_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(gen_crds, "FOLDER", tmp_path)
    assert gen_crds.main(["--check"]) == 1
    assert "flow.workflow.sh_workflows.yaml" in capsys.readouterr().err
    assert gen_crds.main([]) == 0
    assert gen_crds.main(["--check"]) == 0
    (tmp_path / "crds" / "flow.workflow.sh_worktemplates.yaml").write_text("{}")
    assert gen_crds.main(["--check"]) == 1
    assert gen_crds.main(["--wrong"]) == 2
