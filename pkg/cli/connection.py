"""The cluster that a verb works on: the options that kubectl has, and one client for the whole command."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, overload

import click

from pkg.cli.names import namespace_name
from pkg.cli.problems import INTERRUPTED, Problem, problem_of
from pkg.kube.errors import KubeError
from pkg.version import VERSION

if TYPE_CHECKING:
    from pkg.kube.client import Client
    from pkg.kube.config import ClientConfig

_Verb = Callable[..., Any]


class Connection:
    """What a verb needs of the cluster. Nothing is read and nothing connects before it is used."""

    def __init__(
        self,
        kubeconfig: str = "",
        context: str = "",
        namespace: str = "",
        all_namespaces: bool = False,
        timeout: float = 30.0,
    ):
        self.kubeconfig = kubeconfig
        self._timeout = timeout
        self._context = context
        self._namespace = namespace
        self.all_namespaces = all_namespaces

    @cached_property
    def config(self) -> ClientConfig:
        """The address and the credentials; Problem if there are none."""
        from pkg.kube.config import ConfigError, load_config

        try:
            return load_config(self.kubeconfig or None, context=self._context)
        except ConfigError as error:
            raise Problem(str(error)) from error

    @cached_property
    def client(self) -> Client:
        """The client of the API server. Its methods raise KubeError, of which `cluster_options` makes a Problem."""
        from pkg.kube.client import Client
        from pkg.kube.config import ConfigError

        try:
            return Client(self.config, user_agent=f"kubectl-workflow/{VERSION}", pool_size=8, timeout=self._timeout)
        except ConfigError as error:
            raise Problem(str(error)) from error

    @property
    def namespace(self) -> str:
        """The namespace of --namespace, else that of the context, else `default`; Problem if it cannot be one."""
        return namespace_name(self._namespace or self.config.namespace or "default")

    @property
    def given_namespace(self) -> str:
        """The namespace of --namespace; empty if there is none. Reads no file. Problem if it cannot be one."""
        return namespace_name(self._namespace) if self._namespace else ""

    def at(self, namespace: str) -> Connection:
        """The same connection in another namespace."""
        other = copy(self)
        other._namespace = namespace
        return other

    @property
    def scope(self) -> str | None:
        """The namespace to list; None for all of them."""
        return None if self.all_namespaces else self.namespace


@overload
def cluster_options(verb: _Verb, /) -> _Verb: ...


@overload
def cluster_options(*, all_namespaces: bool = False) -> Callable[[_Verb], _Verb]: ...


def cluster_options(verb: _Verb | None = None, /, *, all_namespaces: bool = False) -> Any:
    """Adds --kubeconfig, --context and -n to a verb, and -A if `all_namespaces`. Its first argument is the Connection.

    A KubeError that the verb raises becomes a Problem.
    """
    if verb is None:
        return lambda decorated: _with_options(decorated, all_namespaces)
    return _with_options(verb, all_namespaces)


def _with_options(verb: _Verb, has_all: bool) -> _Verb:
    @wraps(verb)
    def run(
        *args: Any, kubeconfig: str, context_name: str, namespace: str, all_namespaces: bool = False, **rest: Any
    ) -> Any:
        connection = Connection(kubeconfig, context_name, namespace, all_namespaces)
        try:
            return verb(connection, *args, **rest)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except KubeError as error:
            raise problem_of(error, connection.config.shown_server) from error

    from pkg.cli.arguments import CONTEXT, NAMESPACE

    options = [
        click.option(
            "-n",
            "--namespace",
            type=NAMESPACE,
            default="",
            metavar="NAME",
            help="Namespace. Default: that of the context.",
        ),
        click.option(
            "--context", "context_name", type=CONTEXT, default="", metavar="NAME", help="Context of the kubeconfig."
        ),
        click.option(
            "--kubeconfig",
            type=click.Path(),
            default="",
            metavar="FILE",
            help="Kubeconfig file. Default: as kubectl finds it.",
        ),
    ]
    if has_all:
        options.insert(1, click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces."))
    for option in reversed(options):
        run = option(run)
    return run
