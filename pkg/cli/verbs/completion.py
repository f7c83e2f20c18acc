"""`completion`: the script that a shell needs to complete kubectl-workflow."""

from __future__ import annotations

import click

from pkg.cli.problems import Problem

VARIABLE = "_KUBECTL_WORKFLOW_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes kubectl-workflow in a shell.

    \b
    bash: source <(kubectl-workflow completion bash)
    zsh:  source <(kubectl-workflow completion zsh)
    fish: kubectl-workflow completion fish | source

    `kubectl workflow` is completed by kubectl's own completion, through kubectl_complete-workflow on the PATH.
    """
    from click.shell_completion import get_completion_class

    from pkg.cli.app import command as group

    kind = get_completion_class(shell)
    if kind is None:
        raise Problem(f"there is no completion for {shell}")
    script = kind(group, {}, "kubectl-workflow", VARIABLE)
    click.echo(script.source_template % script.source_vars())
