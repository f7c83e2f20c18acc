"""The command workflow-controller: flags, signals, exit codes.

Exit codes: 0 after a requested end, 1 when it cannot start (no cluster, a port that is taken), 2 for wrong flags.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import msgspec
import structlog

from pkg.cli.verbs.lint import command as lint
from pkg.controllers.controller import Controller
from pkg.controllers.engine.stop_request import StopRequest, end_process
from pkg.controllers.explain import explain_kind
from pkg.controllers.options import Options, controller_options, parse
from pkg.kube.config import ConfigError, load_config
from pkg.telemetry.health import BindError
from pkg.telemetry.logging import configure
from pkg.version import VERSION, build

_log = structlog.get_logger("controller")


def _run(options: Options) -> int:
    configure(options.log_level, options.log_format)  # type: ignore[arg-type]
    try:
        config = load_config(options.kubeconfig or None, options.master or None)
    except ConfigError as error:
        click.echo(f"workflow-controller: {error}", err=True)
        return 1
    if options.lease.namespace == "default" and config.namespace:
        options = replace(options, lease=msgspec.structs.replace(options.lease, namespace=config.namespace))
    stop = StopRequest()
    stop.install()
    controller = Controller(options, config)
    try:
        controller.start()
    except BindError as error:
        click.echo(f"workflow-controller: {error}", err=True)
        return 1
    _log.info(
        "started",
        version=VERSION,
        core=build(),
        workers=options.workers,
        server=config.shown_server,
        identity=options.lease.identity,
        **controller.served_at(),
    )
    stop.wait()
    _log.info("stopping")
    controller.stop()
    _log.info("stopped")
    return 0


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@controller_options
@click.pass_context
def command(context: click.Context, /, **flags: Any) -> None:
    """Runs Workflows: creates each flow's jobs once its dependencies are met, and keeps the workflows' status.

    Without a command it runs the controller.
    """
    if context.invoked_subcommand is not None:
        return
    end_process(_run(parse(**flags)))


command.add_command(explain_kind)
command.add_command(lint)


def main() -> None:
    """Entry point of the console script."""
    command(prog_name="workflow-controller")
