"""The command workflow-webhook: flags, signals, exit codes.

Exit codes: 0 after a requested end, 1 when it cannot start (no cluster, a port that is taken), 2 for wrong flags.
"""

from __future__ import annotations

import sys
from typing import Any

import click
import structlog

from pkg.controllers.engine.stop_request import StopRequest, end_process
from pkg.kube.config import ConfigError, load_config
from pkg.telemetry.health import BindError
from pkg.telemetry.logging import configure
from pkg.telemetry.webhook_metrics import WebhookMetrics
from pkg.version import VERSION
from pkg.webhooks.garbage import collect_rarely
from pkg.webhooks.options import Options, parse, webhook_options
from pkg.webhooks.webhook import Webhook

# How long a thread may compute while others wait. With Python's 5 ms a small request waits 300 ms behind eight large
# ones, with 1 ms 70 ms, and the large ones take no longer.
_SWITCH_SECONDS = 0.001
_log = structlog.get_logger("webhook")


def _run(options: Options) -> int:
    configure(options.log_level, options.log_format)  # type: ignore[arg-type]
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        config = load_config(options.kubeconfig or None, None)
    except ConfigError as error:
        click.echo(f"workflow-webhook: {error}", err=True)
        return 1
    stop = StopRequest()
    stop.install()
    webhook = Webhook(options, config, WebhookMetrics().with_process())
    try:
        webhook.start()
    except BindError as error:
        click.echo(f"workflow-webhook: {error}", err=True)
        return 1
    collect_rarely()
    _log.info("started", version=VERSION, server=config.shown_server, **webhook.served_at())
    stop.wait()
    _log.info("stopping")
    webhook.stop()
    _log.info("stopped")
    return 0


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@webhook_options
def command(**flags: Any) -> None:
    """Judges Workflows and WorkTemplates before the API server stores them, and writes out their defaults."""
    end_process(_run(parse(**flags)))


def main() -> None:
    """Entry point of the console script."""
    command(prog_name="workflow-webhook")
