"""Whether a server is reached through a proxy: ``HTTPS_PROXY`` and ``NO_PROXY``, read as kubectl reads them.

Python's own reading knows no networks in ``NO_PROXY``, which is how clusters write theirs. Only proxies that
are asked in plain HTTP for a tunnel (CONNECT) are spoken to: what is in the tunnel is none of their business.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from hansa.adapters.kube.config import Connection, from_kubeconfig, in_cluster
from hansa.errors import Terminal

LOOPBACK = "localhost"
_NEVER_WRITTEN = re.compile(r"[\s\\?#]")
"""Signs that no proxy's address has."""
_WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:]*)):([0-9]+)")
"""HOST:PORT of an entry; an address of six has brackets then."""
HTTPS_PORT = 443


def through(place: Connection, environment: Mapping[str, str]) -> Connection:
    """Return a connection by its own proxy, else by the environment's; raises ``Terminal``."""
    proxy = place.proxy or proxy_of(place.server, environment)
    return replace(place, proxy=checked(proxy)) if proxy else place


def connect(
    kubeconfig: Path | None, environment: Mapping[str, str], *, context: str = ""
) -> Connection:
    """Return the kubeconfig's connection, or the pod's own when ``kubeconfig`` is None."""
    if kubeconfig is None:
        return in_cluster(environment)
    return through(from_kubeconfig(kubeconfig, context=context), environment)


def proxy_of(server: str, environment: Mapping[str, str]) -> str:
    """Return the proxy that the environment names for ``server``; empty: none."""
    said = _variable(environment, "HTTPS_PROXY")
    if not said or _is_direct(server, _variable(environment, "NO_PROXY")):
        return ""
    return said if "://" in said else f"http://{said}"


def checked(proxy: str) -> str:
    """Return the proxy's address if it can be used; raises ``Terminal`` with what is wrong with it."""
    if not _is_usable(proxy):
        shown = proxy.rpartition("@")[2]
        raise Terminal(
            f"proxy {shown.strip()}: give http://HOST:PORT of a proxy that knows CONNECT; signs in a password are"
            " written as %40 and so on",
            reason="BadProxy",
        )
    return proxy


def _is_usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_written = not _NEVER_WRITTEN.search(proxy) and parts.netloc.count("@") <= 1
    is_ours = parts.scheme == "http" and parts.path in {"", "/"}
    return bool(parts.hostname) and has_port and is_written and is_ours


def _variable(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.lower()) or "").strip()


def _is_direct(server: str, no_proxy: str) -> bool:
    parts = urlsplit(server)
    host, port = (parts.hostname or "").rstrip("."), str(parts.port or HTTPS_PORT)
    address = _address(host)
    if host == LOOPBACK or (address is not None and address.is_loopback):
        return True
    rows = (row.strip().lower() for row in no_proxy.split(","))
    return any(_covers(row, host, port, address) for row in rows if row)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _covers(row: str, host: str, port: str, address: Address | None) -> bool:
    """Tell whether one entry names a host: all, a network, an address, a domain with those below it."""
    if row == "*":
        return True
    if address is not None and "/" in row:
        return _lies_in(address, row)
    found = _WITH_PORT.fullmatch(row)
    if found and found.group(3) != port:
        return False
    name = (found.group(1) or found.group(2) or "") if found else row.strip("[]")
    if address is not None:
        return _address(name) == address
    bare = name.removeprefix("*").rstrip(".")
    return host == bare or host.endswith(bare if bare.startswith(".") else f".{bare}")


def _lies_in(address: Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
