"""Where a log is kept once its pod is gone: an address made from a template that the installation gives.

The template comes from the option --log-url-template, else from the variable WORKFLOW_LOG_URL_TEMPLATE, else from the
key `logUrlTemplate` of a ConfigMap `kubectl-workflow` in the namespace of the workflow, else in `workflow-system`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import quote

import msgspec

from pkg.apis.meta import GVR, ObjectMeta
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, NotFound

CONFIG_MAP: Final = "kubectl-workflow"
KEY: Final = "logUrlTemplate"
HOME: Final = "workflow-system"
VARIABLE: Final = "WORKFLOW_LOG_URL_TEMPLATE"
CONFIG_MAPS: Final = GVR("", "v1", "configmaps")
_PLACE: Final = re.compile(r"\{([a-zA-Z]*)\}")


class TemplateError(ValueError):
    """The template has a place that is not known; the message names it and the known ones."""


class _ConfigMap(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    data: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a template may name, as text. pod: a name, or what its name begins with; start, end: RFC 3339, or empty."""

    namespace: str
    workflow: str
    uid: str
    flow: str
    index: str
    attempt: str
    job: str
    pod: str
    start: str
    end: str


PLACES: Final = tuple(each.name for each in fields(Attempt))


def address(template: str, attempt: Attempt) -> str:
    """The address: each `{place}` replaced by its value, percent-encoded. Raises TemplateError. Pure."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in PLACES:
            known = ", ".join(f"{{{place}}}" for place in PLACES)
            raise TemplateError(f"the address of logs {template!r} has {{{name}}}; it may have {known}")
        return quote(str(getattr(attempt, name)), safe="")

    return _PLACE.sub(value, template)


def read_template(client: Client, namespace: str, given: str, env: Mapping[str, str]) -> str:
    """The template to use; empty if there is none, or if the ConfigMap may not be read. Raises KubeError."""
    if given or env.get(VARIABLE):
        return given or env[VARIABLE]
    for place in (namespace, HOME):
        try:
            found = client.get(CONFIG_MAPS, place, CONFIG_MAP, _ConfigMap)
        except (NotFound, Forbidden):
            continue
        if template := found.data.get(KEY, "").strip():
            return template
    return ""
