"""The CA bundles of the webhook configurations: which CAs the API server trusts, and where it finds the webhook."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog

from pkg.apis.meta import GVR, ObjectMeta
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, NotFound
from pkg.webhooks.certificates.issue import authorities
from pkg.webhooks.certificates.plan import Bundle

_RESOURCES: Final = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
_CERT_MANAGER: Final = "cert-manager.io/inject-"
_log = structlog.get_logger("certificates")


class _Service(msgspec.Struct, frozen=True):
    path: str = ""


class _ClientConfig(msgspec.Struct, frozen=True, rename="camel"):
    ca_bundle: bytes | None = b""
    url: str | None = None
    service: _Service | None = None


class _Webhook(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    client_config: _ClientConfig = _ClientConfig()

    @property
    def bundle(self) -> Bundle:
        return frozenset(authorities(self.client_config.ca_bundle or b""))

    @property
    def path(self) -> str:
        config = self.client_config
        return urlsplit(config.url).path if config.url else (config.service or _Service()).path


class Configuration(msgspec.Struct, frozen=True):
    """A ValidatingWebhookConfiguration or MutatingWebhookConfiguration."""

    metadata: ObjectMeta
    webhooks: tuple[_Webhook, ...] | None = ()

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """The CAs that each webhook trusts."""
        return tuple(webhook.bundle for webhook in self.webhooks or ())


@dataclass(frozen=True, slots=True)
class Registrations:
    """The configurations of a cluster by resource. None: it could not be read."""

    found: Mapping[str, Configuration | None]

    @property
    def bundles(self) -> dict[str, tuple[Bundle, ...] | None]:
        """As the plan wants them."""
        return {resource: found.bundles if found is not None else None for resource, found in self.found.items()}


class Injector:
    """Reads and patches both configurations of one name.

    `is_writing` False: somebody else puts the CA bundle there. `local_url`: the address of this process, which takes
    the place of the Service; empty for a process in the cluster.
    """

    def __init__(self, client: Client, name: str, *, is_writing: bool, local_url: str = "") -> None:
        self._client = client
        self._name = name
        self._is_writing = is_writing
        self._local_url = local_url.rstrip("/")
        self._has_set_url: set[str] = set()
        self._said: dict[str, str] = {}

    def read(self) -> Registrations:
        """Both configurations as they are now."""
        return Registrations({resource: self._read(resource) for resource in _RESOURCES})

    def inject(self, resource: str, found: Configuration, bundle: bytes) -> bool:
        """Lets each webhook of a configuration trust this bundle. False: somebody else does that.

        Raises KubeError; Conflict if the configuration has changed.
        """
        if not self._may_write(resource, found):
            return False
        self._patch(resource, found, lambda _webhook: {"caBundle": base64.b64encode(bundle).decode()})
        _log.info("CA bundle injected", resource=resource, name=self._name)
        return True

    def point_here(self, registrations: Registrations) -> bool:
        """With a local URL: replace the Services by it. True if something was written; raises KubeError."""
        written = False
        for resource, found in registrations.found.items() if self._local_url else ():
            if found is None or not found.webhooks or not self._must_point(resource, found):
                continue
            self._patch(resource, found, lambda hook: {"url": self._local_url + hook.path, "service": None})
            self._has_set_url.add(resource)
            _log.info("webhooks point to this process", resource=resource, name=self._name, url=self._local_url)
            written = True
        return written

    def _must_point(self, resource: str, found: Configuration) -> bool:
        """Whoever was started last has the URL, so it is set once; a Service is always replaced."""
        configs = [webhook.client_config for webhook in found.webhooks or ()]
        if any(config.service is not None for config in configs):
            return True
        is_elsewhere = any(not (config.url or "").startswith(self._local_url + "/") for config in configs)
        return is_elsewhere and resource not in self._has_set_url

    def _read(self, resource: str) -> Configuration | None:
        gvr = _gvr(resource)
        try:
            found = self._client.get(gvr, None, self._name, Configuration)
        except NotFound:
            self._say(resource, "webhook configuration does not exist; the API server does not call this webhook")
            return Configuration(ObjectMeta(name=self._name))
        except KubeError as error:
            self._say(resource, "webhook configuration cannot be read", error=str(error))
            return None
        self._said.pop(resource, None)
        return found

    def _may_write(self, resource: str, found: Configuration) -> bool:
        others = next((key for key in found.metadata.annotations if key.startswith(_CERT_MANAGER)), None)
        if self._is_writing and others is None:
            return True
        self._say(
            f"{resource} bundle",
            "the API server does not trust this webhook's CA, and somebody else writes the CA bundle",
            configuration=self._name,
            resource=resource,
            because=others or "--inject-ca=false",
        )
        return False

    def _patch(self, resource: str, found: Configuration, change: Any) -> None:
        # A strategic merge patch finds each webhook by its name, and leaves the rest of it alone.
        webhooks = [{"name": webhook.name, "clientConfig": change(webhook)} for webhook in found.webhooks or ()]
        metadata = {"resourceVersion": found.metadata.resource_version}
        body = msgspec.json.encode({"metadata": metadata, "webhooks": webhooks})
        self._client.patch(
            _gvr(resource), None, self._name, body, content_type=_STRATEGIC_MERGE_PATCH, type=Configuration
        )

    def _say(self, key: str, text: str, **fields: str) -> None:
        """Logs a warning once, until something else is to be said of the same thing."""
        said = f"{text} {fields}"
        if self._said.get(key) != said:
            self._said[key] = said
            _log.warning(text, resource=fields.pop("resource", key), name=self._name, **fields)


def _gvr(resource: str) -> GVR:
    return GVR("admissionregistration.k8s.io", "v1", resource)
