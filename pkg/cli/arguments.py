"""Arguments that can be completed: names of Workflows, CronWorkflows, flows, WorkTemplates, namespaces and contexts.

Completion asks the API server with the options that are typed already. Whatever fails, nothing is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from pkg.cli.connection import Connection
from pkg.cli.names import cron_name, template_name, workflow_name
from pkg.kube.errors import KubeError

#: So many names are offered: nobody reads more, and a shell has to wait for them.
MAX_OFFERED: Final = 500


class Named(click.ParamType[str]):
    """Text, with a function that says what it may be: of the Connection and of what is typed before."""

    def __init__(
        self,
        name: str,
        offer: Callable[[Connection, dict[str, Any], str], Iterable[str]],
        read: Callable[[str], str] = str,
    ) -> None:
        """read: makes the name of what was typed, or raises Problem."""
        self.name = name
        self._offer = offer
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name that was typed."""
        return self._read(str(value)) if value else ""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What begins with `incomplete`."""
        params = ctx.params
        connection = Connection(
            params.get("kubeconfig") or "",
            params.get("context_name") or "",
            params.get("namespace") or "",
            bool(params.get("all_namespaces")),
            timeout=3.0,
        )
        try:
            offered = [text for text in self._offer(connection, params, incomplete) if text.startswith(incomplete)]
        except (KubeError, click.ClickException):
            return []
        given = params.get(param.name or "")
        taken = set(given) if isinstance(given, tuple) else set()
        return [CompletionItem(text) for text in offered if text not in taken][:MAX_OFFERED]


def _workflows(connection: Connection, _: dict[str, Any], __: str) -> list[str]:
    from pkg.views.workflow_list import read_names

    return [name for _, name in read_names(connection.client, connection.namespace)]


def _flows(connection: Connection, params: dict[str, Any], incomplete: str) -> list[str]:
    """Flows, and after a slash the indexes of one."""
    from pkg.views.one_workflow import read_workflow

    workflow = read_workflow(connection.client, connection.namespace, str(params["name"]))
    name, slash, _ = incomplete.partition("/")
    if slash:
        size = next((flow.for_.count for flow in workflow.spec.flows if flow.name == name and flow.for_), 0)
        return [f"{name}/{index}" for index in range(size)]
    return [flow.name for flow in workflow.spec.flows]


def _approvals(connection: Connection, params: dict[str, Any], incomplete: str) -> list[str]:
    """Flows with approval that nobody has decided about, and after a slash the indexes of one that still wait."""
    from pkg.views.approving import open_approvals
    from pkg.views.one_workflow import read_workflow

    workflow = read_workflow(connection.client, connection.namespace, str(params["name"]))
    found = open_approvals(workflow)
    name, slash, _ = incomplete.partition("/")
    return [f"{name}/{index}" for index in found.get(name, ())] if slash else list(found)


def _crons(connection: Connection, _: dict[str, Any], __: str) -> list[str]:
    from pkg.views.cron_list import read_names

    return read_names(connection.client, connection.namespace)


def _templates(connection: Connection, _: dict[str, Any], __: str) -> list[str]:
    from pkg.views.template_list import read_names

    return read_names(connection.client, connection.namespace)


def _namespaces(connection: Connection, _: dict[str, Any], __: str) -> list[str]:
    from pkg.views.workflow_list import read_namespaces

    return read_namespaces(connection.client)


def _contexts(connection: Connection, _: dict[str, Any], __: str) -> list[str]:
    from pkg.kube.config import contexts

    return contexts(connection.kubeconfig or None)


WORKFLOW: Final = Named("workflow", _workflows, workflow_name)
FLOW: Final = Named("flow", _flows)
APPROVAL: Final = Named("flow", _approvals)
CRON: Final = Named("cronworkflow", _crons, cron_name)
TEMPLATE: Final = Named("template", _templates, template_name)
NAMESPACE: Final = Named("namespace", _namespaces)
CONTEXT: Final = Named("context", _contexts)
