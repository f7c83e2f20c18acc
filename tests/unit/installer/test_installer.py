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
from pkg.controllers.options import controller_options
from pkg.version import VERSION
from pkg.workloads import registry

INSTALLER = Path(__file__).resolve().parents[3] / "installer"
FILES = sorted(INSTALLER.rglob("*.yaml"))


@cache
def documents() -> tuple[tuple[Path, dict[str, Any]], ...]:
    return tuple((path, document) for path in FILES for document in yaml.safe_load_all(path.read_text("utf-8")))


def one(kind: str, name: str = "workflow-controller") -> dict[str, Any]:
    (found,) = (d for _, d in documents() if d["kind"] == kind and d.get("metadata", {}).get("name") == name)
    return found


def rules(*roles: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule.get("apiGroups", ())
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_controller_may_read_the_schemas_of_kinds() -> None:
    urls = [url for rule in one("ClusterRole")["rules"] for url in rule.get("nonResourceURLs", ())]
    assert urls == ["/openapi/v3", "/openapi/v3/*"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(INSTALLER)))
def test_every_file_holds_objects(path: Path) -> None:
    found = [document for holder, document in documents() if holder == path]
    assert found
    for document in found:
        assert document["apiVersion"]
        assert document["kind"]


def test_the_kustomization_takes_every_file_but_the_monitoring() -> None:
    taken = {INSTALLER / name for name in yaml.safe_load((INSTALLER / "kustomization.yaml").read_text())["resources"]}
    assert taken == {
        path
        for path in FILES
        if path.name != "kustomization.yaml" and "monitoring" not in path.relative_to(INSTALLER).parts
    }


def test_the_crds_are_what_the_types_say() -> None:
    assert gen_crds.main(["--check"]) == 0


def test_the_files_of_the_controller_are_applied_in_an_order_that_works() -> None:
    kinds = [d["kind"] for path, d in documents() if path.parent.name == "controller"]
    assert kinds.index("Namespace") == 0
    assert kinds.index("ServiceAccount") < kinds.index("Deployment")


def test_the_deployment_gives_flags_the_controller_knows() -> None:
    (container,) = one("Deployment")["spec"]["template"]["spec"]["containers"]
    command = click.command()(controller_options(lambda **_: None))
    known = {name for parameter in command.params for name in parameter.opts}
    assert {argument.split("=")[0] for argument in container["args"]} <= known


def test_the_deployment_runs_this_version_with_as_few_rights_as_it_needs() -> None:
    deployment = one("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == f"workflow-controller:{VERSION}"
    assert deployment["spec"]["replicas"] == 2
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    ports = {port["name"] for port in container["ports"]}
    assert {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} <= ports


NEEDED = {
    *(("flow.workflow.sh", "workflows", verb) for verb in ("get", "list", "watch", "patch", "delete")),
    ("flow.workflow.sh", "workflows/status", "patch"),
    ("flow.workflow.sh", "workflows/finalizers", "update"),
    *(("flow.workflow.sh", "worktemplates", verb) for verb in ("get", "list", "watch")),
    ("flow.workflow.sh", "worktemplates/status", "patch"),
    *(("", "pods", verb) for verb in ("get", "list", "watch")),
    ("", "events", "create"),
    ("", "events", "patch"),
}


def test_the_controller_may_do_what_it_does() -> None:
    assert rules(one("ClusterRole")) >= NEEDED
    leases = one("Role", "workflow-controller-leader-election")
    assert {(group, resource) for group, resource, _ in rules(leases)} == {("coordination.k8s.io", "leases")}
    assert {verb for _, _, verb in rules(leases)} >= {"get", "create", "update", "patch"}


def test_the_controller_may_make_every_kind_it_knows() -> None:
    role = one("ClusterRole", "workflow-controller-known-kinds")
    selector = one("ClusterRole", "workflow-controller-jobs")["aggregationRule"]["clusterRoleSelectors"][0][
        "matchLabels"
    ]
    assert selector.items() <= role["metadata"]["labels"].items()
    wanted = {
        (row.group, row.resource, verb)
        for row in registry().kinds
        if not row.refused
        for verb in ("get", "list", "watch", "create", "delete")
    }
    assert rules(role) == wanted


def test_bindings_name_roles_and_accounts_that_exist() -> None:
    present = {(d["kind"], d["metadata"]["name"]) for _, d in documents() if "metadata" in d}
    for _, binding in documents():
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in present
            for subject in binding["subjects"]:
                assert (subject["kind"], subject["name"]) in present


def lists_in(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "array":
            yield schema
        for value in schema.values():
            yield from lists_in(value)


@pytest.mark.parametrize(("plural", "short"), [("workflows", "wkf"), ("worktemplates", "wkt")])
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
        {"parameters": ["name"], "conditions": ["type"]} if plural == "workflows" else {"parameters": ["name"]}
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


@pytest.mark.parametrize("plural", ["workflows", "worktemplates"])
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


@pytest.mark.parametrize("plural", ["workflows", "worktemplates"])
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


def test_gen_crds_says_which_file_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(gen_crds, "FOLDER", tmp_path)
    assert gen_crds.main(["--check"]) == 1
    assert "flow.workflow.sh_workflows.yaml" in capsys.readouterr().err
    assert gen_crds.main([]) == 0
    assert gen_crds.main(["--check"]) == 0
    (tmp_path / "flow.workflow.sh_worktemplates.yaml").write_text("{}")
    assert gen_crds.main(["--check"]) == 1
    assert gen_crds.main(["--wrong"]) == 2
