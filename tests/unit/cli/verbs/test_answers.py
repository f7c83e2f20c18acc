"""What verbs say about the answers of an API server, which here is a small one on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from pkg.cli.app import command

GROUP: Final = "/apis/flow.workflow.sh/v1alpha1/namespaces/default"
NONE: Final[dict[str, Any]] = {"metadata": {"resourceVersion": "1"}, "items": []}
FLOWS: Final = [{"name": "a", "template": "step"}, {"name": "ask", "approval": {}}]
PARAMETERS: Final = [{"name": "text", "value": "hello"}]
ANSWERS: Final[dict[str, Any]] = {
    f"{GROUP}/cronworkflows": NONE,
    f"{GROUP}/worktemplates": NONE,
    f"{GROUP}/workflows": NONE,
    f"{GROUP}/workflows/nightly": {
        "metadata": {"name": "nightly", "namespace": "default", "uid": "u", "resourceVersion": "1"},
        "spec": {"flows": FLOWS},
    },
    f"{GROUP}/worktemplates/step": {
        "metadata": {"name": "step", "namespace": "default", "uid": "t", "resourceVersion": "1"},
        "spec": {
            "gvr": {"group": "batch", "version": "v1", "resource": "jobs"},
            "parameters": PARAMETERS,
            "jobSpec": {"template": {"metadata": {"labels": {"text": "{{params.text}}"}}}},
        },
    },
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = ANSWERS.get(self.path.partition("?")[0])
        body = msgspec.json.encode(found or {"kind": "Status", "code": 404, "reason": "NotFound"})
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture(autouse=True)
def _server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    file = tmp_path / "config"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {"token": "t"}}]
    file.write_text(
        yaml.safe_dump({"current-context": "c", "clusters": [cluster], "contexts": [context], "users": users})
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param("cron list", "no CronWorkflows in namespace default", id="no CronWorkflow at all"),
        pytest.param("cron list -l a=b", "no such CronWorkflows in namespace default", id="none with these labels"),
        pytest.param("template list", "no WorkTemplates in namespace default", id="no template at all"),
        pytest.param("template list -l a=b", "no such WorkTemplates in namespace default", id="no template with these"),
        pytest.param("list -l a=b", "no such Workflows in namespace default", id="no Workflow with these labels"),
    ],
)
def test_what_a_list_says_of_nothing(words: str, said: str) -> None:
    done = CliRunner().invoke(command, words.split())
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"{said}\n")


def test_a_template_is_named_as_kubectl_names_it() -> None:
    done = CliRunner().invoke(command, ["template", "get", "worktemplate/step", "-o", "name"])
    assert (done.exit_code, done.stdout) == (0, "worktemplate.flow.workflow.sh/step\n"), done.stderr


def test_a_copy_names_the_parameters_that_nothing_uses() -> None:
    done = CliRunner().invoke(command, ["resubmit", "nightly", "-p", "txet=1", "-p", "text=2", "--dry-run"])
    assert done.exit_code == 0
    assert done.stderr == 'warning: nothing uses the parameter "txet"\n'
