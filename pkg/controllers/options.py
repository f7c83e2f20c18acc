"""The flags of workflow-controller, checked before anything starts."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pkg.controllers.engine.access_cache import Authorize
from pkg.controllers.engine.lease import LeaseOptions
from pkg.telemetry.flags import Duration, kubeconfig_option, switch, telemetry_options
from pkg.version import VERSION, build

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """The values of all flags; durations in seconds, empty strings for flags that were not given."""

    workers: int
    kubeconfig: str
    master: str
    namespace: str
    metrics_bind_address: str
    health_bind_address: str
    log_level: str
    log_format: str
    kube_api_qps: float
    kube_api_burst: int
    leader_elect: bool
    exclusive: bool
    authorize: Authorize
    authorize_allowed_seconds: float
    authorize_denied_seconds: float
    lease: LeaseOptions


def identity() -> str:
    """The default identity: host name plus random, so that two processes of one host differ."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


def controller_options(run: F) -> F:
    """All flags, as decorators of the command."""
    options = [
        click.option(
            "--workers",
            type=click.IntRange(1, 256),
            default=4,
            show_default=True,
            help="Worker threads, one per shard of the queue.",
        ),
        kubeconfig_option(),
        click.option("--master", default="", help="Address of the API server, instead of the kubeconfig's."),
        click.option("--namespace", default="", help="Work on this namespace only.  [default: all]"),
        *telemetry_options(),
        click.option(
            "--kube-api-qps",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            help="API calls per second; 0 for no limit of our own.",
        ),
        click.option(
            "--kube-api-burst",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="API calls at once above the limit.  [0: as qps]",
        ),
        switch("--leader-elect", "Act only while holding the Lease."),
        click.option(
            "--leader-elect-lease-duration",
            type=Duration(),
            default="6s",
            show_default=True,
            help="Others may take the Lease this long after its last renewal.",
        ),
        click.option(
            "--leader-elect-renew-deadline",
            type=Duration(),
            default="4s",
            show_default=True,
            help="The leader stops writing this long after its last renewal.",
        ),
        click.option(
            "--leader-elect-retry-period",
            type=Duration(),
            default="1s",
            show_default=True,
            help="Time between two tries to take or renew the Lease.",
        ),
        click.option(
            "--leader-elect-resource-namespace",
            default="",
            help="Namespace of the Lease.  [default: of the kubeconfig's context or the pod, else default]",
        ),
        click.option(
            "--leader-elect-resource-name", default="workflow-controller", show_default=True, help="Name of the Lease."
        ),
        click.option(
            "--leader-elect-identity", default="", help="Who holds the Lease.  [default: host name plus random]"
        ),
        switch("--exclusive", "Stay out while a controller with another Lease acts on the same workflows."),
        click.option(
            "--authorize",
            type=click.Choice(tuple(Authorize), case_sensitive=False),
            default=Authorize.OFF,
            show_default=True,
            help="What it means that people behind a job may not create it: enforce: no job; warn: an Event; off.",
        ),
        # For tests, which do not wait for minutes.
        click.option("--authorize-allowed-seconds", type=click.FloatRange(0.01, 280.0), default=280.0, hidden=True),
        click.option("--authorize-denied-seconds", type=click.FloatRange(0.01, 280.0), default=30.0, hidden=True),
        click.version_option(VERSION, prog_name="workflow-controller", message=f"%(prog)s %(version)s ({build()})"),
    ]
    for option in reversed(options):
        run = option(run)
    return run


def parse(
    *,
    leader_elect_lease_duration: float,
    leader_elect_renew_deadline: float,
    leader_elect_retry_period: float,
    leader_elect_resource_namespace: str,
    leader_elect_resource_name: str,
    leader_elect_identity: str,
    **others: Any,
) -> Options:
    """The options as a value. Raises click.UsageError (exit 2) for flags that do not go together."""
    lease = LeaseOptions(
        namespace=leader_elect_resource_namespace or "default",
        name=leader_elect_resource_name,
        identity=leader_elect_identity or identity(),
        lease_duration=leader_elect_lease_duration,
        renew_deadline=leader_elect_renew_deadline,
        retry_period=leader_elect_retry_period,
    )
    faults = lease.faults() if others["leader_elect"] or others["exclusive"] else []
    if others["kube_api_burst"] and not others["kube_api_qps"]:
        faults.append("--kube-api-burst needs --kube-api-qps; give both, or neither for no limit")
    if faults:
        raise click.UsageError("; ".join(faults))
    return Options(lease=lease, **others)
