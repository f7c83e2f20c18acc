"""Configuration: which source wins, and the messages about faults in it."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pkg.kube import config as config_module
from pkg.kube.config import ClientConfig, ConfigError, load_config
from tests.waiting import until

_UNCHECKED: dict[str, Any] = {"certificate-authority-data": "QQ==", "insecure-skip-tls-verify": True}


def kubeconfig(server: str = "https://one:6443", *, name: str = "one", user: Any = None, **cluster: Any) -> str:
    """A kubeconfig of one context. JSON is YAML."""
    return json.dumps(
        {
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}}],
            "clusters": [{"name": name, "cluster": {"server": server, **cluster}}],
            "users": [{"name": name, "user": user or {}}],
        }
    )


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_flag_comes_first_then_the_variable_then_the_home(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path / "home/.kube/config", kubeconfig("https://home:1"))
    assert load_config(env=env).server == "https://home:1"
    env["KUBECONFIG"] = str(write(tmp_path / "variable", kubeconfig("https://variable:1")))
    assert load_config(env=env).server == "https://variable:1"
    flag = write(tmp_path / "flag", kubeconfig("https://flag:1"))
    assert load_config(str(flag), env=env).server == "https://flag:1"


def test_files_are_merged_and_the_first_that_names_a_thing_wins(tmp_path: Path, env: dict[str, str]) -> None:
    only_context = json.dumps({"current-context": "two"})
    files = [
        tmp_path / "missing",
        write(tmp_path / "a", only_context),
        write(tmp_path / "b", kubeconfig("https://two:1", name="two")),
        write(tmp_path / "c", kubeconfig("https://other:1", name="two")),
    ]
    env["KUBECONFIG"] = os.pathsep.join(map(str, files))
    found = load_config(env=env)
    assert (found.server, found.namespace) == ("https://two:1", "ns-two")


def test_a_pod_uses_its_service_account(tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    env |= {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    monkeypatch.setattr(config_module, "_SERVICE_ACCOUNT", tmp_path)
    with pytest.raises(ConfigError, match="automountServiceAccountToken"):
        load_config(env=env)
    write(tmp_path / "token", "secret\n")
    write(tmp_path / "namespace", "system")
    write(tmp_path / "ca.crt", "no certificate")
    with pytest.raises(ConfigError, match="the TLS certificates cannot be used"):
        load_config(env=env)
    found = config_module._in_cluster(env)
    assert (found.server, found.namespace) == ("https://10.0.0.1:443", "system")
    assert found.credentials.authorization() == "Bearer secret"


def test_master_replaces_the_address_and_does_alone_where_nothing_else_is(tmp_path: Path, env: dict[str, str]) -> None:
    assert load_config(master="http://127.0.0.1:8080", env=env).server == "http://127.0.0.1:8080"
    file = write(tmp_path / "flag", kubeconfig(user={"token": "t"}))
    found = load_config(str(file), "https://127.0.0.1:7443", env=env)
    assert (found.server, found.credentials.authorization()) == ("https://127.0.0.1:7443", "Bearer t")


def test_with_nothing_to_find_it_says_what_was_tried(env: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(env=env)
    for tried in ("--kubeconfig", "KUBECONFIG", "service account", ".kube/config"):
        assert tried in str(caught.value)


WRONG: dict[str, tuple[str | None, str]] = {
    "no such file": (None, "there is no such file"),
    "not YAML": ("a: [", "is not a kubeconfig"),
    "not a mapping": ("[]", "must be a mapping"),
    "clusters are no list": ('{"clusters": {"a": 1}}', "clusters must be a list of mappings, each with a name"),
    "no current context": ('{"contexts": []}', "current-context is not set"),
    "a context that is missing": (
        '{"current-context": "x", "contexts": [{"name": "y", "context": {}}]}',
        "current-context names the context 'x', but there is no such context; there is: y",
    ),
    "a cluster that is missing": (
        '{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c"}}]}',
        "contexts[x].context names the cluster 'c', but there is no such cluster; there is: none",
    ),
    "a server that is no URL": (kubeconfig("one:6443"), "it must be a URL like https://HOST:6443"),
    "a server's port that is none": (kubeconfig("https://one:port"), "Port could not be cast"),
    "a CA that nothing is checked by": (
        kubeconfig(**_UNCHECKED),
        "clusters[one].cluster has a certificate-authority, and insecure-skip-tls-verify says not to check by it",
    ),
    "no server": (kubeconfig(""), "clusters[one].cluster.server is missing"),
    "a CA that is not base64": (
        kubeconfig(**{"certificate-authority-data": "*"}),
        "certificate-authority-data is not valid base64",
    ),
    "a CA that is empty": (kubeconfig(**{"certificate-authority-data": "Cg=="}), "the CA bundle is empty"),
    "a CA file that is missing": (kubeconfig(**{"certificate-authority": "ca.pem"}), "there is no file"),
    "a certificate without its key": (
        kubeconfig(user={"client-certificate-data": "YQ=="}),
        "client-key (or client-key-data) is missing",
    ),
    "a token that is no text": (kubeconfig(user={"token": 7}), "users[one].user.token is 7; it must be text"),
    "a token file that is missing": (kubeconfig(user={"tokenFile": "gone"}), "cannot read the token file"),
    "a proxy of another kind": (kubeconfig(**{"proxy-url": "socks5://p:1"}), "only http:// proxies"),
    "a plugin that is missing": (
        kubeconfig(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/such/thing"}}),
        "the credential plugin '/no/such/thing' failed",
    ),
    "a plugin without a command": (
        kubeconfig(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}),
        "users[one].user.exec.command is missing",
    ),
    "a plugin that needs a terminal": (
        kubeconfig(user={"exec": {"apiVersion": "v1", "command": "x", "interactiveMode": "Always"}}),
        "users[one].user.exec.interactiveMode is Always, but a controller has no terminal",
    ),
    "a plugin whose arguments are no list": (
        kubeconfig(user={"exec": {"apiVersion": "v1", "command": "x", "args": "y"}}),
        "users[one].user.exec.args must be a list",
    ),
    "a plugin whose variables are no mappings": (
        kubeconfig(user={"exec": {"apiVersion": "v1", "command": "x", "env": ["A=b"]}}),
        "users[one].user.exec.env must be a list of mappings",
    ),
    "a token of two lines": (kubeconfig(user={"token": "a\nb"}), "users[one].user.token does not hold a token"),
    "groups that are no list": (
        kubeconfig(user={"as": "jane", "as-groups": "a"}),
        "users[one].user.as-groups must be a list of text",
    ),
    "extra attributes that are no mapping": (
        kubeconfig(user={"as": "jane", "as-user-extra": ["a"]}),
        "users[one].user.as-user-extra must be a mapping",
    ),
    "an extra attribute that is no list": (
        kubeconfig(user={"as": "jane", "as-user-extra": {"a": "b"}}),
        "users[one].user.as-user-extra[a] must be a list of text",
    ),
    "extra attributes of nobody": (
        kubeconfig(user={"as-user-extra": {"a": ["b"]}}),
        "users[one].user.as is missing",
    ),
    "impersonation that breaks out of its header": (
        kubeconfig(user={"as": "jane\r\nImpersonate-Group: system:masters"}),
        "the impersonation cannot be sent as HTTP headers",
    ),
    "impersonation that no header can carry": (
        kubeconfig(user={"as": "王"}),
        "the impersonation cannot be sent as HTTP headers",
    ),
    "a kubeconfig nested too deep": ("[" * 1500, "is not a kubeconfig"),
    "an auth-provider nobody knows": (kubeconfig(user={"auth-provider": {"name": "azure"}}), "returned no token"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(tmp_path: Path, env: dict[str, str], text: str | None, message: str) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        write(file, text)
    with pytest.raises(ConfigError) as caught:
        load_config(str(file), env=env)
    assert message in str(caught.value)


CREDENTIALS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "a token": ({"token": "t"}, "Bearer t"),
    "a token file, relative to the kubeconfig, before a token": ({"token": "t", "tokenFile": "token"}, "Bearer filed"),
    "name and password": ({"username": "u", "password": "p"}, "Basic dTpw"),
}


@pytest.mark.parametrize(("user", "header"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_credentials(tmp_path: Path, env: dict[str, str], user: dict[str, Any], header: str) -> None:
    write(tmp_path / "token", "filed")
    file = write(tmp_path / "kubeconfig", kubeconfig(user=user))
    assert load_config(str(file), env=env).credentials.authorization() == header


def plugin_config(tmp_path: Path, status: dict[str, Any]) -> Path:
    """A kubeconfig whose plugin prints `status`, and counts how often it ran."""
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    script = f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); print({json.dumps(answer)!r})"
    spec = {"apiVersion": answer["apiVersion"], "command": sys.executable, "args": ["-S", "-c", script]}
    return write(tmp_path / "kubeconfig", kubeconfig("http://one:1", user={"exec": spec}))


def test_a_plugin_is_run_once_and_again_when_refused(tmp_path: Path, env: dict[str, str]) -> None:
    found = load_config(str(plugin_config(tmp_path, {"token": "t"})), env=env).credentials
    assert [found.authorization() for _ in range(3)] == ["Bearer t"] * 3
    assert (tmp_path / "runs").read_text() == "x"
    found.invalidate()  # waits for a second at most; on a busy machine the plugin takes longer
    assert found.authorization() == "Bearer t"
    until(lambda: (tmp_path / "runs").read_text() == "xx")


def test_a_plugin_may_give_a_certificate(tmp_path: Path, env: dict[str, str]) -> None:
    file = plugin_config(tmp_path, {"clientCertificateData": "CERT", "clientKeyData": "KEY"})
    assert load_config(str(file), env=env).credentials.certificate() == b"CERT\nKEY"


def test_impersonation_is_not_lost(tmp_path: Path, env: dict[str, str]) -> None:
    user = {
        "token": "t",
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["a", "b"],
        "as-user-extra": {"Scopes": ["view", "edit"], "acme.com/project%": ["x"]},
    }
    assert load_config(str(write(tmp_path / "kubeconfig", kubeconfig(user=user))), env=env).headers == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-scopes", "view"),
        ("Impersonate-Extra-scopes", "edit"),
        ("Impersonate-Extra-acme.com%2Fproject%25", "x"),
    )


def test_inline_data_is_decoded(tmp_path: Path, env: dict[str, str]) -> None:
    data = base64.b64encode(b"PEM").decode()
    file = write(
        tmp_path / "kubeconfig",
        kubeconfig("http://one:1", user={"client-certificate-data": data, "client-key-data": data}),
    )
    assert load_config(str(file), env=env).credentials.certificate() == b"PEM\nPEM"


PROXIES: dict[str, tuple[str, dict[str, str], tuple[str, int] | None]] = {
    "none": ("https://one:6443", {}, None),
    "for https": ("https://one:6443", {"HTTPS_PROXY": "http://p:3128"}, ("p", 3128)),
    "without a scheme, in lower case": ("https://one:6443", {"https_proxy": "p:3128"}, ("p", 3128)),
    "the one for http is another": ("https://one:6443", {"HTTP_PROXY": "http://p:3128"}, None),
    "never for this machine": ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:3128"}, None),
    "never for localhost": ("https://localhost:6443", {"HTTPS_PROXY": "http://p:3128"}, None),
    "excluded by name": ("https://one:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "two, one"}, None),
    "excluded by domain": ("https://a.one.org:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".one.org"}, None),
    "a name that only ends alike": (
        "https://someone:6443",
        {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "one"},
        ("p", 1),
    ),
    "excluded by network": ("https://10.1.2.3:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
    "excluded by name and port": ("https://one:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "one:6443"}, None),
    "another port is not": ("https://one:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "one:1"}, ("p", 1)),
    "everything excluded": ("https://one:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
}


@pytest.mark.parametrize(("server", "variables", "proxy"), PROXIES.values(), ids=PROXIES.keys())
def test_proxies(server: str, variables: dict[str, str], proxy: tuple[str, int] | None) -> None:
    found = ClientConfig(server).endpoint(variables).proxy
    assert (found[:2] if found else None) == proxy


def test_a_path_in_front_and_ipv6_are_kept() -> None:
    config = ClientConfig("https://[::1]/clusters/a/")
    endpoint = config.endpoint({})
    assert (endpoint.host, endpoint.port, config.base_path) == ("::1", 443, "/clusters/a")


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("https://one:6443/a", "https://one:6443/a"),
        ("https://me:secret@one:6443/a", "https://one:6443/a"),
        ("https://me:se@cret@[::1]", "https://[::1]"),
    ],
)
def test_no_message_has_a_password(server: str, shown: str) -> None:
    assert ClientConfig(server).shown_server == shown
