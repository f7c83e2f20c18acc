"""The flags of workflow-webhook, checked before anything starts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from pkg.controllers.engine.access_cache import Authorize
from pkg.telemetry.flags import Duration, kubeconfig_option, switch, telemetry_options
from pkg.version import VERSION

F = TypeVar("F", bound=Callable[..., Any])
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_MIN_LIFETIME: Final = 10.0
_CONTROLLER: Final = "system:serviceaccount:{}:workflow-controller"


@dataclass(frozen=True, slots=True)
class Options:
    """The values of all flags; durations in seconds, empty strings for flags that were not given."""

    port: int
    bind_address: str
    tls_cert_file: str
    tls_private_key_file: str
    secret_name: str
    service_name: str
    namespace: str
    webhook_configuration_name: str
    certificate_name: tuple[str, ...]
    certificate_lifetime: float
    inject_ca: bool
    local_url: str
    shutdown_delay: float
    authorize: Authorize
    controller_user: str
    kubeconfig: str
    metrics_bind_address: str
    health_bind_address: str
    log_level: str
    log_format: str

    @property
    def files(self) -> tuple[Path, Path] | None:
        """The certificate and its key, if they are in files."""
        return (Path(self.tls_cert_file), Path(self.tls_private_key_file)) if self.tls_cert_file else None

    @property
    def names(self) -> frozenset[str]:
        """What the webhook's own certificate has to be valid for."""
        in_namespace = f"{self.service_name}.{self.namespace}"
        service = (self.service_name, in_namespace, f"{in_namespace}.svc", f"{in_namespace}.svc.cluster.local")
        local = (host_name(urlsplit(self.local_url).hostname or ""),) if self.local_url else ()
        return frozenset((*service, *self.certificate_name, *local))


def host_name(text: str) -> str:
    """A DNS name, or an IP address in its usual form. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        name = text.lower()
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise ValueError(f"{text!r} is neither a DNS name nor an IP address")
    return name


class _HostName(click.ParamType[Any]):
    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return host_name(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Url(click.ParamType[Any]):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            return ""  # not given
        try:
            parts = urlsplit(value)
            is_right = parts.scheme == "https" and parts.path in ("", "/") and not parts.query and parts.port != 0
            host_name(parts.hostname or "")
        except ValueError as error:
            self.fail(f"{value!r} is no URL of a server: {error}", param, ctx)
        if not is_right:
            self.fail(f"{value!r} must be https://HOST:PORT", param, ctx)
        return str(value).rstrip("/")


def webhook_options(run: F) -> F:
    """All flags, as decorators of the command."""
    options = [
        click.option(
            "--port", type=click.IntRange(0, 65535), default=9443, show_default=True, help="Where to serve; 0: any."
        ),
        click.option("--bind-address", default="", help="Address to serve on.  [default: all interfaces]"),
        click.option("--tls-cert-file", default="", help="Certificate chain (PEM), instead of one of our own."),
        click.option("--tls-private-key-file", default="", help="Its key (PEM)."),
        click.option(
            "--secret-name",
            default="workflow-webhook-tls",
            show_default=True,
            help="The Secret that holds our own certificate; it has to exist and may be empty.",
        ),
        click.option(
            "--service-name", default="workflow-webhook", show_default=True, help="The Service of the webhook."
        ),
        click.option(
            "--namespace", default="workflow-system", show_default=True, help="Namespace of the Secret and the Service."
        ),
        click.option(
            "--webhook-configuration-name",
            default="workflow-webhook",
            show_default=True,
            help="The ValidatingWebhookConfiguration and MutatingWebhookConfiguration.",
        ),
        click.option(
            "--certificate-name",
            type=_HostName(),
            multiple=True,
            help="Our own certificate is valid for this name or address, too; repeatable.",
        ),
        click.option(
            "--certificate-lifetime",
            type=Duration(),
            default="2160h",
            show_default=True,
            help="How long our own certificate is valid; it is replaced when a third of that is left.",
        ),
        switch("--inject-ca", "Put our own CA into the webhook configurations."),
        click.option(
            "--local-url",
            type=_Url(),
            default="",
            help="Put this address (https://HOST:PORT) into the webhook configurations, instead of the Service.",
        ),
        click.option(
            "--shutdown-delay",
            type=Duration(),
            default="5s",
            show_default=True,
            help="After a signal, go on serving for so long, until the Service has dropped this pod.",
        ),
        click.option(
            "--authorize",
            type=click.Choice(tuple(Authorize), case_sensitive=False),
            default=Authorize.ENFORCE,
            show_default=True,
            help="What it means that people may not create the kinds of a manifest: enforce: refused; warn; off.",
        ),
        click.option(
            "--controller-user",
            default="",
            help="User name of the controller's account.  [default: workflow-controller in --namespace]",
        ),
        kubeconfig_option(),
        *telemetry_options(),
        click.version_option(VERSION, prog_name="workflow-webhook"),
    ]
    for option in reversed(options):
        run = option(run)
    return run


def parse(**flags: Any) -> Options:
    """The options as a value. Raises click.UsageError (exit 2) for flags that do not go together."""
    flags["controller_user"] = flags["controller_user"] or _CONTROLLER.format(flags["namespace"])
    options = Options(**flags)
    faults = []
    if bool(options.tls_cert_file) != bool(options.tls_private_key_file):
        faults.append("--tls-cert-file and --tls-private-key-file need each other")
    if options.tls_cert_file and options.local_url:
        faults.append("--local-url needs our own certificate; leave out --tls-cert-file")
    if options.certificate_lifetime < _MIN_LIFETIME:
        faults.append(f"--certificate-lifetime must be at least {_MIN_LIFETIME:.0f}s")
    for flag, value in (("--service-name", options.service_name), ("--namespace", options.namespace)):
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
            faults.append(f"{flag} is {value!r}; it must be a name of Kubernetes: a-z, 0-9 and -")
    if faults:
        raise click.UsageError("; ".join(faults))
    return options
