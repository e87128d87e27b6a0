"""Where an API server is and how to prove who we are: in-cluster, kubeconfig, or explicit files.

The ``kubernetes`` library is imported only for ``exec`` plugins: it costs 60 MiB and a second.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hansa.errors import Terminal

_FILES_IN: dict[str, tuple[str, tuple[str, ...]]] = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
}
"""Table → what its rows hold, and which of it are files."""
_IDENTITY = "use a token, a client certificate or an exec plugin that gives a token"
_UNREAD_OF_USER = dict.fromkeys(
    ("auth-provider", "username", "password"), _IDENTITY
) | dict.fromkeys(("as", "as-uid", "as-groups", "as-user-extra"), "use that user's own credentials")
_UNREAD_OF_CLUSTER = {"insecure-skip-tls-verify": "give certificate-authority, or its data"}
"""Fields of kubeconfigs that mean something and are not read → what to do instead."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server and one identity. Files win over inline values and are re-read on change."""

    server: str
    """``https://host:port``, without a trailing slash."""
    ca_file: Path | None = None
    ca_pem: str = ""
    certificate_file: Path | None = None
    key_file: Path | None = None
    certificate_pem: str = ""
    key_pem: str = ""
    token_file: Path | None = None
    token: str = ""
    token_command: Callable[[], str] | None = None
    """Runs an ``exec`` plugin; blocking, called again only after a 401."""
    server_name: str = ""
    """Name expected in the server's certificate when it differs from the host."""
    namespace: str = "default"
    proxy: str = ""
    """``http://host:port`` of a proxy in between; a pod's own API server is never behind one."""


def in_cluster(environment: Mapping[str, str], *, folder: Path = SERVICE_ACCOUNT) -> Connection:
    """Return the pod's own connection; raises ``Terminal`` outside a pod."""
    host, port = (environment.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
    if not host or not port or not (folder / "token").exists():
        raise Terminal(
            "not in a pod: no KUBERNETES_SERVICE_HOST or no service account token; name a kubeconfig",
            reason="NoConnection",
        )
    space = folder / "namespace"
    return Connection(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca_file=folder / "ca.crt",
        token_file=folder / "token",
        namespace=space.read_text().strip() if space.exists() else "default",
    )


def from_kubeconfig(path: Path, *, context: str = "") -> Connection:
    """Return a kubeconfig's connection; raises ``Terminal`` naming what is missing in it."""
    return from_kubeconfigs((path,), context=context)


def from_kubeconfigs(paths: Sequence[Path], *, context: str = "") -> Connection:
    """Return the connection of several kubeconfigs together, merged as kubectl does.

    Of what two files name alike the first counts; a path in a file is relative to that file.
    """
    document = _merged(paths)
    name = context or str(document.get("current-context", ""))
    if not name:
        known = ", ".join(str(row.get("name")) for row in document["contexts"]) or "none there"
        raise Terminal(
            f"the kubeconfig has no current-context; give --context, one of: {known}",
            reason="NoConnection",
        )
    chosen = _named(document, "contexts", name, "context")
    cluster = _named(document, "clusters", str(chosen.get("cluster", "")), "cluster")
    user = _named(document, "users", str(chosen.get("user", "")), "user")
    _refuse_unread(chosen, cluster, user)
    return Connection(
        server=str(cluster.get("server", "")).rstrip("/"),
        ca_file=_file(cluster, "certificate-authority"),
        ca_pem=_data(cluster, "certificate-authority-data"),
        certificate_file=_file(user, "client-certificate"),
        key_file=_file(user, "client-key"),
        certificate_pem=_data(user, "client-certificate-data"),
        key_pem=_data(user, "client-key-data"),
        token_file=_file(user, "tokenFile"),
        token=str(user.get("token", "")),
        token_command=_token_command(paths, name, user["exec"]) if "exec" in user else None,
        server_name=str(cluster.get("tls-server-name", "")),
        namespace=str(chosen.get("namespace", "default")),
        proxy=str(cluster.get("proxy-url", "")),
    )


def _refuse_unread(
    chosen: Mapping[str, Any], cluster: Mapping[str, Any], user: Mapping[str, Any]
) -> None:
    """Raise ``Terminal`` for what kubectl would heed and this does not: the user would be another, or nobody."""
    for table, name, facts in (
        (_UNREAD_OF_USER, chosen.get("user"), user),
        (_UNREAD_OF_CLUSTER, chosen.get("cluster"), cluster),
    ):
        for field, way_out in table.items():
            if facts.get(field):
                raise Terminal(
                    f"kubeconfig: {field} of {name} is not heeded here; {way_out}",
                    reason="NoConnection",
                )


def with_token(place: Connection, token: str) -> Connection:
    """Return a connection to the same server by another identity: the holder of ``token``."""
    return Connection(
        server=place.server,
        ca_file=place.ca_file,
        ca_pem=place.ca_pem,
        token=token,
        server_name=place.server_name,
        namespace=place.namespace,
        proxy=place.proxy,
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Terminal(f"cannot read kubeconfig {path}: {error}", reason="NoConnection") from error
    if not isinstance(document, dict):
        raise Terminal(f"{path} is not a kubeconfig", reason="NoConnection")
    return document


def _named(document: Mapping[str, Any], table: str, name: str, inner: str) -> dict[str, Any]:
    rows = document.get(table)
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("name") == name and isinstance(row.get(inner), dict):
            return dict(row[inner])
    raise Terminal(f"kubeconfig has no {inner} named {name!r}", reason="NoConnection")


def _merged(paths: Sequence[Path]) -> dict[str, Any]:
    documents = [(path, _load(path)) for path in paths]
    named = (str(document.get("current-context") or "") for _, document in documents)
    merged: dict[str, Any] = {"current-context": next(filter(None, named), "")}
    for table in ("contexts", *_FILES_IN):
        rows: dict[str, dict[str, Any]] = {}
        for path, document in documents:
            for row in _rows(document.get(table)):
                rows.setdefault(str(row.get("name")), _placed(path, table, row))
        merged[table] = list(rows.values())
    return merged


def _rows(table: object) -> list[dict[str, Any]]:
    return [row for row in table if isinstance(row, dict)] if isinstance(table, list) else []


def _placed(config: Path, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose files are named from the root, not from where its kubeconfig lies."""
    inner, files = _FILES_IN.get(table, ("", ()))
    facts = row.get(inner)
    if not isinstance(facts, dict):
        return row
    placed = {name: str(config.parent / str(facts[name])) for name in files if facts.get(name)}
    return row | {inner: facts | placed}


def _file(table: Mapping[str, Any], name: str) -> Path | None:
    value = table.get(name)
    return Path(str(value)) if value else None


def _data(table: Mapping[str, Any], name: str) -> str:
    try:
        held = base64.b64decode(str(table.get(name, "")), validate=True)
    except binascii.Error as error:
        raise Terminal(f"kubeconfig: {name} is not base64", reason="NoConnection") from error
    return held.decode(errors="replace")  # comments beside PEM may be in any alphabet


def _token_command(paths: Sequence[Path], context: str, plugin: object) -> Callable[[], str]:
    facts = plugin if isinstance(plugin, dict) else {}
    command, hint = str(facts.get("command", "")), str(facts.get("installHint") or "").strip()

    def run() -> str:
        beside = next((p.parent / command for p in paths if (p.parent / command).is_file()), None)
        if shutil.which(command) is None and not ("/" in command and beside):
            said = f"the exec plugin of context {context}, {command or '(no command)'}, is not installed"
            raise Terminal(f"{said}. {hint}" if hint else said, reason="NoConnection")
        from kubernetes import client, config  # noqa: PLC0415  # see the module docstring

        settings = client.Configuration()
        config.load_kube_config(  # type: ignore[no-untyped-call]
            os.pathsep.join(map(str, paths)), context, client_configuration=settings
        )
        header = settings.get_api_key_with_prefix("authorization") or ""
        if not header:
            raise Terminal(
                f"the exec plugin of context {context}, {command}, gave no token; client certificates of"
                " plugins are not read",
                reason="NoConnection",
            )
        return str(header).removeprefix("Bearer ")

    return run
