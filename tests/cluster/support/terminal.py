"""A user's terminal: `kubectl workflow` as a plugin that kubectl finds on the PATH."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = {"kubectl-workflow": "pkg.cli.app", "kubectl_complete-workflow": "pkg.cli.complete"}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Terminal:
    """A folder with the commands and kubectl on the PATH, a kubeconfig, and a namespace that is given with -n."""

    def __init__(self, folder: Path, kubectl: Path, kubeconfig: Path, namespace: str) -> None:
        for name, module in COMMANDS.items():
            script = folder / name
            script.write_text(
                f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                f"from {module} import main\nmain()\n"
            )
            script.chmod(0o755)
        self._env = {
            "PATH": f"{folder}:{kubectl.parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig),
        }
        self.namespace = namespace

    def run(self, *command: str, env: dict[str, str] | None = None) -> Done:
        """Runs a command, with its output piped."""
        done = subprocess.run(
            command, env=self._env | (env or {}), capture_output=True, text=True, check=False, timeout=400
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def workflow(self, *words: str, env: dict[str, str] | None = None) -> Done:
        """`kubectl workflow VERB -n NAMESPACE ...`, as the plugin that kubectl finds."""
        return self.run("kubectl", "workflow", words[0], "-n", self.namespace, *words[1:], env=env)

    def complete(self, *words: str) -> list[str]:
        """What kubectl offers for the last word."""
        done = self.run("kubectl", "__complete", "workflow", words[0], "-n", self.namespace, *words[1:])
        *offered, directive = done.lines
        assert re.fullmatch(":[0-9]+", directive), done
        return [line.split("\t")[0] for line in offered]
