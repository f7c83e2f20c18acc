"""The checks of `make lint-manifests`. Each returns what it found, one text for each fault."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from hack.cluster import Cluster, processes
from hack.manifests import chart, oldest_kubernetes, programs, schemas
from hack.manifests.operator_crds import monitoring_crds
from hack.manifests.sources import (
    CHART,
    CONTROLLER,
    DASHBOARD,
    INSTALLER,
    MONITORING,
    NAMESPACE,
    Document,
    files,
    objects,
)
from hack.promtool import rules

HERE = Path(__file__).parent
ROOT = INSTALLER.parent
EXCEPTIONS = HERE / "kube-score.exceptions"
OPTIONAL = tuple(f"--enable-optional-test=container-{name}" for name in ("ports-check", "seccomp-profile"))
CUSTOM_GROUPS = ("monitoring.coreos.com/",)
EVERYTHING = ("--set=monitoring.enabled=true", "--set=network.enabled=true")


def chart_makes_the_manifests(folder: Path = CHART) -> list[str]:
    """Whether the chart in `folder` passes helm's own lint, and makes what is in installer/controller."""
    said = _run([programs.helm(), "lint", "--strict", "--quiet", folder])
    if said:
        return said
    made = {_name(each): each for each in yaml.safe_load_all(rendered(folder=folder)) if each}
    plain = {_name(each): each for each in objects(*sorted(CONTROLLER.glob("*.yaml")))}
    plain = {name: each for name, each in plain.items() if each["kind"] not in chart.NOT_IN_THE_CHART}
    for each in made.values():
        if each["kind"] == "CustomResourceDefinition":
            for key, value in chart.KEEP.items():
                if each["metadata"]["annotations"].pop(key, None) != value:
                    said.append(f"helm template: {_name(each)} lacks the annotation {key}: {value}")
            if not each["metadata"]["annotations"]:
                del each["metadata"]["annotations"]
    said += [f"helm template lacks {name}" for name in plain.keys() - made.keys()]
    said += [f"helm template has {name}, which is not in installer/controller" for name in made.keys() - plain.keys()]
    said += [f"helm template: {name} differs" for name in plain.keys() & made.keys() if plain[name] != made[name]]
    return said


def kustomizations_take_the_same(kubectl: Path) -> list[str]:
    """Whether `kubectl kustomize` makes of each folder what the files in it are."""
    said = []
    for file in sorted(INSTALLER.rglob("kustomization.yaml")):
        folder = file.parent / ("controller" if file.parent == INSTALLER else "manifests")
        made = list(yaml.safe_load_all(_output([kubectl, "kustomize", file.parent])))
        plain = objects(*sorted(folder.glob("*.yaml")))
        if sorted(map(_name, made)) != sorted(map(_name, plain)):
            said.append(f"{file.relative_to(ROOT)} does not take the objects of {folder.relative_to(ROOT)}")
    return said


def objects_are_valid(cluster: Cluster) -> list[str]:
    """kubeconform, strict, with the cluster's schemas: every file, the examples, the chart with all of its parts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "chart.yaml").write_text(rendered(*EVERYTHING))
        paths = [*files(), folder / "chart.yaml", *sorted((ROOT / "examples").glob("*.yaml"))]
        return conform(lambda: openapi(cluster), paths)


def objects_are_valid_for_the_oldest_kubernetes() -> list[str]:
    """kubeconform, strict, with the schemas of the oldest Kubernetes: no field is newer. It has no custom resources."""
    custom = {each["kind"] for each in objects(*files()) if each["apiVersion"].startswith(CUSTOM_GROUPS)}
    return conform(oldest_kubernetes.openapi, files(), without=custom)


def conform(
    documents: Callable[[], Iterable[Document]], paths: Sequence[Path], without: Collection[str] = ()
) -> list[str]:
    """kubeconform on these files, but for the kinds in `without`, with the schemas of OpenAPI documents."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checked = [each for each in objects(*paths) if each["kind"] not in without]
        wanted = {schemas.path_of(each["apiVersion"], each["kind"]) for each in checked}

        def described() -> bool:
            """An API server describes a new kind a moment after it serves it."""
            for path, schema in (found for document in documents() for found in schemas.schemas(document)):
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_text(json.dumps(schema))
            return all((folder / path).exists() for path in wanted)

        processes.wait_until(described, 30, 0.5)
        skipped = [f"-skip={','.join(sorted(without))}"] if without else []
        return _run(
            [programs.kubeconform(), "-strict", *skipped, f"-schema-location={folder}/{schemas.LOCATION}", *paths]
        )


def openapi(cluster: Cluster) -> Iterator[Document]:
    """The OpenAPI documents that the API server of a cluster serves, one for each group and version."""
    api = cluster.api()
    for served in api.get("/openapi/v3")["paths"].values():
        # Without the hash: an outdated one is answered by a redirect.
        yield api.get(served["serverRelativeURL"].partition("?")[0])


def objects_are_sound() -> list[str]:
    """kube-score, without the checks that kube-score.exceptions names."""
    folders = (CONTROLLER, MONITORING, DASHBOARD, INSTALLER / "network")
    wanted = [file for file in files() if any(folder in file.parents for folder in folders)]
    return score([file for file in wanted if "-crd-" not in file.name])


def score(paths: Sequence[Path]) -> list[str]:
    """kube-score on these files together: it looks for a pod's budget and policies among them."""
    command: list[str | Path] = [
        programs.kube_score(),
        "score",
        "--output-format=ci",
        "--exit-one-on-warning",
        *OPTIONAL,
        *exceptions(),
    ]
    return [
        "\n".join(line for line in said.splitlines() if not line.startswith(("[OK]", "[SKIPPED]")))
        for said in _run([*command, *paths])
    ]


def exceptions() -> dict[str, str]:
    """Flags of kube-score for what it is not to find, each with the reason."""
    lines = [line for line in EXCEPTIONS.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    return {flag.strip(): reason.strip() for flag, _, reason in (line.partition(":") for line in lines)}


def alerts_fire() -> list[str]:
    """promtool on the alerts: their syntax, and that each fires when it should."""
    return rules.check()


@contextmanager
def served() -> Iterator[Cluster]:
    """A control plane that serves every kind in installer/."""
    with tempfile.TemporaryDirectory(prefix="workflow-lint-") as folder, Cluster.start(Path(folder)) as cluster:
        cluster.install_crds(INSTALLER / "crds")
        for file in monitoring_crds():
            # Too large for the annotation of a client-side apply.
            cluster.kubectl("create", f"--filename={file}")
        yield cluster


def rendered(*flags: str, folder: Path = CHART) -> str:
    """What the chart in `folder` makes, in our namespace."""
    return _output([programs.helm(), "template", "work-flow", folder, f"--namespace={NAMESPACE}", *flags])


def _name(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def _run(command: Sequence[str | Path]) -> list[str]:
    """What a program printed if it failed; nothing if it did not."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return [f"{Path(command[0]).name}:\n{done.stdout}{done.stderr}".strip()] if done.returncode else []


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True).stdout
