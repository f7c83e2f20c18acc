"""The command workflow-dashboard: flags, signals, exit codes.

Exit codes: 0 after a requested end, 1 when it cannot start (no cluster, a port that is taken), 2 for wrong flags.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import click
import structlog

from pkg.controllers.engine.stop_request import StopRequest, end_process
from pkg.dashboard.options import Options, dashboard_options, parse
from pkg.dashboard.process import Dashboard
from pkg.kube.config import ConfigError, load_config
from pkg.serving.tls import BadCertificate
from pkg.telemetry.health import BindError
from pkg.telemetry.logging import configure
from pkg.version import VERSION

# How long a thread may compute while the event loop waits for its turn.
_SWITCH_SECONDS: Final = 0.001
_log = structlog.get_logger("dashboard")


def _run(options: Options) -> int:
    configure(options.log_level, options.log_format)  # type: ignore[arg-type]
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = StopRequest()
    stop.install()
    try:
        config = load_config(options.kubeconfig or None, context=options.context)
        dashboard = Dashboard(options, config)
        dashboard.metrics.with_process()
        dashboard.start()
    except (ConfigError, BindError, BadCertificate) as error:
        click.echo(f"workflow-dashboard: {error}", err=True)
        return 1
    except OSError as error:
        click.echo(f"workflow-dashboard: {error.filename}: {error.strerror}", err=True)
        return 1
    _log.info(
        "started", version=VERSION, server=config.shown_server, auth=str(options.auth), metrics=dashboard.metrics_url
    )
    click.echo(f"the dashboard is at {dashboard.address}")
    sys.stdout.flush()
    stop.wait()
    dashboard.stop()
    return 0


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@dashboard_options
def command(**flags: Any) -> None:
    """Shows Workflows as a live page in the browser. It reads what you may read, and changes nothing by itself."""
    end_process(_run(parse(**flags)))


def main() -> None:
    """Entry point of the console script."""
    command(prog_name="workflow-dashboard")
