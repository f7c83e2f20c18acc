"""The client's configuration: flags, kubeconfig or service account, found by the rules that kubectl follows.

A fault in a kubeconfig is reported at startup, with the file and the field.
"""

from __future__ import annotations

import ipaddress
import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from pkg.kube.credentials import (
    ConfigError,
    Credentials,
    Static,
    TokenFile,
    auth_provider,
    bearer,
    decode64,
)
from pkg.kube.exec_plugin import exec_plugin
from pkg.kube.kubeconfig import Entry, Merged, merge
from pkg.kube.tls import TlsContexts
from pkg.kube.wire import Endpoint, header_lines

__all__ = ["ClientConfig", "ConfigError", "load_config"]

_HEADER_CHARACTERS = "!#$&'*+-.^_`|~"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ClientConfig(msgspec.Struct, frozen=True):
    """Address, trust and credentials of one API server.

    `server` is a URL. `source` names the origin of the configuration, for messages. `namespace` is that of the context
    (empty if none). `ca` is a PEM bundle or its file. `headers` are sent with every request (impersonation).
    """

    server: str
    source: str = "given by the program"
    namespace: str = ""
    ca: bytes | Path | None = None
    verify: bool = True
    server_name: str = ""
    proxy: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    credentials: Credentials = Static()

    @property
    def shown_server(self) -> str:
        """The address for messages and logs: without a user's name and password."""
        parts = urlsplit(self.server)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def base_path(self) -> str:
        """The prefix of every API path, without a trailing slash; some gateways need one."""
        return urlsplit(self.server).path.rstrip("/")

    def endpoint(self, env: Mapping[str, str] = os.environ) -> Endpoint:
        """What a connection needs; ConfigError if the address of the server or of the proxy is invalid."""
        host, port, secure = _address(self.server, f"the server address of {self.source}")
        tls = TlsContexts(self.ca, self.verify, self.credentials) if secure else None
        proxy = self.proxy or _proxy_from(env, host, port, secure=secure)
        return Endpoint(host, port, self.server_name or host, tls, _proxy(proxy) if proxy else None)


def load_config(
    kubeconfig: str | None = None,
    master: str | None = None,
    env: Mapping[str, str] = os.environ,
    *,
    context: str = "",
) -> ClientConfig:
    """The configuration to use; ConfigError if there is none or it is invalid.

    The first that exists wins: the file `kubeconfig`, the files in $KUBECONFIG, a pod's service account,
    ~/.kube/config. `master` replaces the server's address, and is enough alone. `context` is the context of the
    kubeconfig to use instead of the current one; with it the service account is passed over.
    """
    if master:
        _address(master, "--master")
    found = _find(kubeconfig, env, context, needed=not master)
    if found is None:
        return ClientConfig(server=master or "", source="--master")
    if master:
        found = msgspec.structs.replace(found, server=master, source=f"{found.source} with --master")
    try:
        found.credentials.authorization()
        if tls := found.endpoint(env).tls:
            tls()
    except OSError as error:
        raise ConfigError(f"{found.source}: the TLS certificates cannot be used: {error}") from error
    return found


def contexts(kubeconfig: str | None = None, env: Mapping[str, str] = os.environ) -> list[str]:
    """The names of the contexts in the kubeconfig that `load_config` would use; empty if there is no such file."""
    named = [part for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]
    home = Path(env.get("HOME") or Path.home()) / ".kube" / "config"
    paths = [Path(part).expanduser() for part in ([kubeconfig] if kubeconfig else named or [str(home)])]
    if not any(path.exists() for path in paths):
        return []
    return sorted(name for kind, name in merge(paths, "kubeconfig").entries if kind == "context")


def _find(kubeconfig: str | None, env: Mapping[str, str], context: str, *, needed: bool) -> ClientConfig | None:
    if kubeconfig:
        return _from_files([Path(kubeconfig).expanduser()], "--kubeconfig", context)
    tried = ["--kubeconfig (not given)"]
    if named := [Path(part).expanduser() for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]:
        return _from_files(named, "KUBECONFIG", context)
    tried.append("KUBECONFIG (not set)")
    if env.get("KUBERNETES_SERVICE_HOST") and not context:
        return _in_cluster(env)
    tried.append("the service account of a pod (KUBERNETES_SERVICE_HOST is not set)")
    home = Path(env.get("HOME") or Path.home()) / ".kube" / "config"
    if home.exists():
        return _from_files([home], "~/.kube/config", context)
    tried.append(f"{home} (no such file)")
    if needed:
        raise ConfigError("no API server is configured; looked at " + ", ".join(tried) + ". Give --kubeconfig FILE")
    return None


def _in_cluster(env: Mapping[str, str]) -> ClientConfig:
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    token, ca = _SERVICE_ACCOUNT / "token", _SERVICE_ACCOUNT / "ca.crt"
    for file in (token, ca):
        if not file.is_file():
            raise ConfigError(
                f"KUBERNETES_SERVICE_HOST says that this is a pod, but {file} is missing: "
                "give the pod a service account (automountServiceAccountToken), or --kubeconfig FILE"
            )
    namespace = _SERVICE_ACCOUNT / "namespace"
    return ClientConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        source="the pod's service account",
        namespace=namespace.read_text("utf-8").strip() if namespace.is_file() else "",
        ca=ca,
        credentials=TokenFile(token),
    )


def _from_files(paths: list[Path], origin: str, context_name: str = "") -> ClientConfig:
    merged = merge(paths, origin)
    context = merged.context(context_name)
    cluster = merged.entry("cluster", context.text("cluster"), context.where)
    user = merged.entry("user", name, context.where) if (name := context.text("user")) else None
    server = cluster.text("server")
    if not server:
        raise ConfigError(f"{cluster.where}.server is missing; it must be the API server's URL, like https://HOST:6443")
    _address(server, f"{cluster.where}.server")
    ca, verify = _material(cluster, "certificate-authority"), cluster.get("insecure-skip-tls-verify") is not True
    if ca is not None and not verify:
        raise ConfigError(
            f"{cluster.where} has a certificate-authority, and insecure-skip-tls-verify says not to check by it: "
            "remove one of the two"
        )
    return ClientConfig(
        server=server,
        source=f"{origin} ({context.where})",
        namespace=context.text("namespace"),
        ca=ca,
        verify=verify,
        server_name=cluster.text("tls-server-name"),
        proxy=cluster.text("proxy-url"),
        headers=_impersonation(user) if user else (),
        credentials=_credentials(user, cluster, merged) if user else Static(),
    )


def _credentials(user: Entry, cluster: Entry, merged: Merged) -> Credentials:
    cert, key = _material(user, "client-certificate"), _material(user, "client-key")
    if (cert is None) != (key is None):
        missing = "client-key" if key is None else "client-certificate"
        raise ConfigError(f"{user.where}: {missing} (or {missing}-data) is missing; a certificate needs its key")
    static = Static("", cert, key)
    if file := user.text("tokenFile"):
        return TokenFile(user.resolve(file), static)
    if token := user.text("token"):
        return Static(bearer(token, f"{user.where}.token"), cert, key)
    if user.text("username"):
        login = f"{user.text('username')}:{user.text('password')}"
        return Static("Basic " + b64encode(login.encode()).decode(), cert, key)
    if cert is None and isinstance(spec := user.get("exec"), dict):
        return exec_plugin(spec, user.folder, cluster.fields, f"{user.where}.exec")
    if cert is None and isinstance(provider := user.get("auth-provider"), dict):
        return auth_provider(merged.as_dict(), str(provider.get("name")), f"{user.where}.auth-provider")
    return static


def _material(entry: Entry, field: str) -> bytes | Path | None:
    if data := entry.get(f"{field}-data"):
        return decode64(data, f"{entry.where}.{field}-data")
    file = entry.text(field)
    if not file:
        return None
    path = entry.resolve(file)
    if not path.is_file():
        raise ConfigError(f"{entry.where}.{field}: there is no file {path}")
    return path


def _impersonation(user: Entry) -> tuple[tuple[str, str], ...]:
    """The headers that make the API server act as another user; ConfigError if they cannot be built."""
    headers = [("Impersonate-User", name)] if (name := user.text("as")) else []
    if uid := user.text("as-uid"):
        headers.append(("Impersonate-Uid", uid))
    headers += [("Impersonate-Group", group) for group in _texts(user.get("as-groups"), f"{user.where}.as-groups")]
    extra = user.get("as-user-extra") or {}
    if not isinstance(extra, dict):
        raise ConfigError(f"{user.where}.as-user-extra must be a mapping of names to lists of text")
    for key, values in extra.items():
        # Names may hold any character; in a header they are lower case and percent-encoded.
        name = f"Impersonate-Extra-{quote(str(key).lower(), safe=_HEADER_CHARACTERS)}"
        headers += [(name, value) for value in _texts(values, f"{user.where}.as-user-extra[{key}]")]
    if headers and not user.text("as"):
        raise ConfigError(f"{user.where}.as is missing; name the user to impersonate")
    try:
        header_lines(headers)
    except ValueError as error:
        raise ConfigError(f"{user.where}: the impersonation cannot be sent as HTTP headers: {error}") from error
    return tuple(headers)


def _texts(value: object, where: str) -> list[str]:
    found = value or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ConfigError(f"{where} must be a list of text")
    return found


def _address(url: str, where: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is used."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{where} is {url!r}: {error}") from error
    if parts.scheme not in {"https", "http"} or not host:
        raise ConfigError(f"{where} is {url!r}; it must be a URL like https://HOST:6443")
    secure = parts.scheme == "https"
    return host, port or (443 if secure else 80), secure


def _proxy(url: str) -> tuple[str, int, bytes]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http":
        raise ConfigError(f"the proxy {url!r} cannot be used: only http:// proxies are supported")
    host, port, _ = _address(parts.geturl(), "the proxy address")
    extra = b""
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        extra = header_lines([("Proxy-Authorization", "Basic " + b64encode(login.encode()).decode())])
    return host, port, extra


def _proxy_from(env: Mapping[str, str], host: str, port: int, *, secure: bool) -> str:
    names = ("HTTPS_PROXY", "https_proxy") if secure else ("HTTP_PROXY", "http_proxy")
    proxy = next((env[name] for name in names if env.get(name)), "")
    if not proxy or host == "localhost":
        return ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is not None and address.is_loopback:
        return ""
    excluded = env.get("NO_PROXY") or env.get("no_proxy") or ""
    skipped = any(_covers(part.strip().lower(), host.lower(), port, address) for part in excluded.split(","))
    return "" if skipped else proxy


def _covers(rule: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    """Whether a NO_PROXY entry matches the host: `*`, an address, a network, or a domain with its subdomains."""
    if not rule or rule == "*":
        return rule == "*"
    if address is not None:
        try:
            return address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            pass
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit():
        if int(wanted) != port:
            return False
        rule = name
    bare = rule.removeprefix("*").lstrip(".")
    return host == bare or host.endswith("." + bare)
