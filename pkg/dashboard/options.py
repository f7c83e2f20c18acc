"""The flags of workflow-dashboard, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from pkg.dashboard.access.guard import host_of, is_loopback
from pkg.dashboard.access.people import Auth
from pkg.dashboard.access.shares import PER_SECOND
from pkg.telemetry.flags import Address, kubeconfig_option
from pkg.telemetry.logging import LEVELS
from pkg.version import VERSION

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_PORT: Final = 8787
# Nothing that means something in HTML, in a header or in a cookie; no `.` or `..`.
_BASE_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+){1,8}")


@dataclass(frozen=True, slots=True)
class Options:
    """The values of all flags; empty strings for those that were not given. scope: None for all namespaces."""

    bind_address: str
    port: int
    auth: Auth
    allowed_host: tuple[str, ...]
    allow_actions: bool
    tls_cert_file: str
    tls_private_key_file: str
    secure_cookies: bool
    base_path: str
    requests_per_second: float
    metrics_bind_address: str
    namespace: str
    log_url_template: str
    kubeconfig: str
    context: str
    log_level: str
    log_format: str

    @property
    def scope(self) -> str | None:
        return self.namespace or None


def dashboard_options(run: F) -> F:
    """All flags, as decorators of the command."""
    options = [
        click.option(
            "--bind-address", default="127.0.0.1", show_default=True, help="Address to serve on; empty: all interfaces."
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=DEFAULT_PORT,
            show_default=True,
            help="Where to serve; 0: any free port.",
        ),
        click.option(
            "--auth",
            type=click.Choice([each.value for each in Auth]),
            default=Auth.LOCAL.value,
            show_default=True,
            help="Whose rights a request has: local: those of this command's user, on loopback alone; token: those of "
            "the bearer token that a proxy passes on, or that somebody logs in with.",
        ),
        click.option(
            "--allowed-host",
            multiple=True,
            metavar="NAME",
            help="Name under which people reach it, beside localhost; repeatable.",
        ),
        click.option(
            "--allow-actions",
            is_flag=True,
            help="Let people suspend, resume, stop, terminate and retry Workflows, approve and reject.",
        ),
        click.option("--tls-cert-file", default="", metavar="FILE", help="Certificate chain (PEM); without it: HTTP."),
        click.option("--tls-private-key-file", default="", metavar="FILE", help="Its key (PEM)."),
        click.option(
            "--secure-cookies", is_flag=True, help="Browsers reach it by HTTPS, which a proxy in front of it ends."
        ),
        click.option(
            "--base-path",
            default="",
            metavar="PATH",
            help="Prefix under which a proxy serves it, such as /workflows.  [default: none]",
        ),
        click.option(
            "--requests-per-second",
            type=click.FloatRange(0),
            default=PER_SECOND,
            show_default=True,
            help="How often one person may ask, with --auth=token; 0: no bound, nor one of answers in the making.",
        ),
        click.option(
            "--metrics-bind-address",
            type=Address(),
            default="0",
            show_default=True,
            help="HOST:PORT or :PORT to serve /metrics on; 0: off.",
        ),
        click.option("-n", "--namespace", default="", metavar="NAME", help="Show one namespace.  [default: all]"),
        click.option(
            "--log-url-template",
            default="",
            metavar="URL",
            help="Where logs are kept once pods are gone, as `kubectl workflow logs` takes it.",
        ),
        kubeconfig_option(),
        click.option("--context", default="", metavar="NAME", help="Context of the kubeconfig."),
        click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True),
        click.option("--log-format", type=click.Choice(("json", "console")), default="json", show_default=True),
        click.version_option(VERSION, prog_name="workflow-dashboard"),
    ]
    for option in reversed(options):
        run = option(run)
    return run


def parse(**flags: Any) -> Options:
    """The options as a value. Raises click.UsageError (exit 2) for flags that do not go together."""
    flags["auth"] = Auth(flags["auth"])
    given = tuple(name.strip() for name in flags["allowed_host"])
    # An address of IPv6 may be written with brackets or without.
    flags["allowed_host"] = tuple(host_of(f"[{name}]" if ":" in name and "[" not in name else name) for name in given)
    flags["base_path"] = flags["base_path"].rstrip("/")
    options = Options(**flags)
    faults = []
    if bool(options.tls_cert_file) != bool(options.tls_private_key_file):
        faults.append("--tls-cert-file and --tls-private-key-file need each other")
    if options.base_path and not _BASE_PATH.fullmatch(options.base_path):
        faults.append(
            f"--base-path is {options.base_path!r}; it must begin with / and have letters, digits, '-', '_', '.' and "
            "'~' between slashes, such as /workflows"
        )
    if options.base_path == "/api":
        faults.append("--base-path is '/api', with which addresses of the page begin themselves; give another one")
    if options.auth is Auth.LOCAL and not is_loopback(options.bind_address):
        faults.append(
            f"--bind-address is {options.bind_address!r}: everybody who reaches it would have your rights; give "
            "--auth=token, so that everybody has their own"
        )
    faults += [
        f"--allowed-host is {name!r}; it must be one name or address, without scheme and port"
        for name, host in zip(given, options.allowed_host, strict=True)
        if not host or name.lower().strip("[]").rstrip(".") != host
    ]
    if faults:
        raise click.UsageError("; ".join(faults))
    return options


def options_of(*arguments: str) -> Options:
    """What these arguments mean, for programs that run a dashboard themselves. Raises click.UsageError."""
    found: list[Options] = []

    @click.command()
    @dashboard_options
    def command(**flags: Any) -> None:
        found.append(parse(**flags))

    command.main(list(arguments), standalone_mode=False)
    return found[0]
