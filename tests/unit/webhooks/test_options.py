"""The flags of workflow-webhook: what they mean, what is refused, and that docs/webhook.md has them all."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pkg.webhooks.app import command
from pkg.webhooks.options import Options, host_name, parse

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "webhook.md").read_text("utf-8")


def options(*flags: str) -> Options:
    """The options of a command line."""
    context = command.make_context("workflow-webhook", list(flags))
    return parse(**context.params)


def test_every_flag_is_in_the_document_with_its_default() -> None:
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| `--")]
    documented = {flag for row in rows for flag in re.findall(r"`(--[a-z-]+)`", row.split("|")[1])}
    ours = [option for option in command.params if isinstance(option, click.Option) and option.name != "version"]
    assert documented == {option.opts[0] for option in ours}
    for option in ours:
        [row] = [row for row in rows if f"`{option.opts[0]}`" in row.split("|")[1]]
        if option.show_default:
            assert str(option.default).lower() in row.split("|")[2].lower(), option.opts


def test_the_certificate_is_valid_for_every_name_of_the_service_and_what_flags_add() -> None:
    found = options("--namespace=ns", "--service-name=s", "--certificate-name=A.example", "--local-url=https://[::1]:9")
    assert found.names == {"s", "s.ns", "s.ns.svc", "s.ns.svc.cluster.local", "a.example", "::1"}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        pytest.param(["--tls-cert-file=a"], "--tls-private-key-file", id="a certificate without a key"),
        pytest.param(["--tls-private-key-file=a"], "--tls-cert-file", id="a key without a certificate"),
        pytest.param(
            ["--tls-cert-file=a", "--tls-private-key-file=b", "--local-url=https://127.0.0.1:1"],
            "--local-url",
            id="a local URL with a certificate of others",
        ),
        pytest.param(["--local-url=http://127.0.0.1:1"], "https://HOST:PORT", id="a local URL without TLS"),
        pytest.param(["--local-url=https://127.0.0.1:1/x"], "https://HOST:PORT", id="a local URL with a path"),
        pytest.param(["--local-url=https://a b"], "--local-url", id="a local URL without a host"),
        pytest.param(["--certificate-name=a_b"], "--certificate-name", id="a name that no certificate can have"),
        pytest.param(["--certificate-lifetime=9s"], "at least 10s", id="a lifetime too short to rotate in"),
        pytest.param(["--certificate-lifetime=90"], "--certificate-lifetime", id="a duration without a unit"),
        pytest.param(["--namespace="], "--namespace", id="no namespace"),
        pytest.param(["--port=70000"], "--port", id="a port that does not exist"),
        pytest.param(["--authorize=maybe"], "'warn'", id="a mode that does not exist"),
        pytest.param(["--health-bind-address=8081"], "HOST:PORT", id="an address without a colon"),
    ],
)
def test_wrong_flags_exit_2_and_say_what_would_be_right(flags: list[str], says: str) -> None:
    done = CliRunner().invoke(command, flags)
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Web.Example", "web.example"), ("127.0.0.1", "127.0.0.1"), ("[0:0::1]", "::1"), ("a", "a")],
)
def test_host_names_have_one_form(text: str, expected: str) -> None:
    assert host_name(text) == expected


@pytest.mark.parametrize("text", ["", "-a", "a..b", "a b", "ä", "x" * 254, "*.a"])
def test_other_texts_are_no_host_names(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        host_name(text)
