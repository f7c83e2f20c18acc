"""Which versions work together: this program's, the API server's, and that of the controller, as far as one may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP
from pkg.apis.meta import GVR, ObjectMeta
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, may_mean_not_served
from pkg.version import VERSION

DEPLOYMENTS: Final = GVR("apps", "v1", "deployments")
_SELECTOR: Final = "app.kubernetes.io/name=workflow-controller"


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    git_version: str = ""


class _Container(msgspec.Struct, frozen=True):
    image: str = ""


class _PodSpec(msgspec.Struct, frozen=True):
    containers: tuple[_Container, ...] = ()


class _Template(msgspec.Struct, frozen=True):
    spec: _PodSpec = _PodSpec()


class _DeploymentSpec(msgspec.Struct, frozen=True):
    replicas: int = 1
    template: _Template = _Template()


class _DeploymentStatus(msgspec.Struct, frozen=True, rename="camel"):
    ready_replicas: int = 0


class _Deployment(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    spec: _DeploymentSpec = _DeploymentSpec()
    status: _DeploymentStatus = _DeploymentStatus()


@dataclass(frozen=True, slots=True)
class ControllerVersion:
    """A Deployment of the controller. version: the tag of its image; empty if the image is named by digest alone."""

    namespace: str
    name: str
    image: str
    version: str
    ready: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Versions:
    """client: of this program. server: of the API server. api: served by it, empty if the CRDs are not installed.

    unknown: why there is no controller in `controllers`, empty if there is one.
    """

    client: str
    server: str
    api: str
    controllers: tuple[ControllerVersion, ...]
    unknown: str


def read_versions(client: Client) -> Versions:
    """Ask the API server. Raises KubeError if it does not answer."""
    server = client.get_path("/version", _Version).git_version
    controllers: tuple[ControllerVersion, ...] = ()
    unknown = ""
    try:
        page = client.list_page(DEPLOYMENTS, None, _Deployment, label_selector=_SELECTOR)
    except Forbidden:
        unknown = "not known: listing Deployments in all namespaces is not allowed"
    else:
        controllers = tuple(map(_controller, page.items))
        if not controllers:
            unknown = "no Deployment has the label app.kubernetes.io/name=workflow-controller"
    return Versions(VERSION, server, API_VERSION if _is_served(client) else "", controllers, unknown)


def _is_served(client: Client) -> bool:
    try:
        client.get_path(f"/apis/{GROUP}", bytes)
    except KubeError as error:
        if may_mean_not_served(error):
            return False
        raise
    return True


def _controller(found: _Deployment) -> ControllerVersion:
    image = found.spec.template.spec.containers[0].image if found.spec.template.spec.containers else ""
    return ControllerVersion(
        found.metadata.namespace,
        found.metadata.name,
        image,
        version_of(image),
        found.status.ready_replicas,
        found.spec.replicas,
    )


def version_of(image: str) -> str:
    """The tag of an image's name; empty without one. A colon before the last slash belongs to a port."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]
