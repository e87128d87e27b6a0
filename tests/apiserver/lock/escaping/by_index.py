"""Ways out of a run by the index of packages that the law names: see ``escapes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.apiserver.lock.escaping.by_cards import SPEC

ALIASES = (*SPEC, "hostAliases")
BY_ALIAS: Mapping[str, tuple[tuple[str | int, ...], Any, str]] = {
    "host aliases": (
        ALIASES,
        [{"ip": "192.0.2.9", "hostnames": ["pypi.example.org"]}],
        "pod-names",
    ),
    "another name of the index": (
        ALIASES,
        [{"ip": "192.0.2.7", "hostnames": ["pypi.example.org", "x"]}],
        "pod-names",
    ),
}


def _to(network: str, *ports: int) -> dict[str, Any]:
    to = {"to": [{"ipBlock": {"cidr": network}}]}
    return to | {"ports": [{"protocol": "TCP", "port": port} for port in ports]} if ports else to


BEYOND_THE_INDEX = {
    "to all of the index's machine": _to("192.0.2.7/32"),
    "to another port of the index": _to("192.0.2.7/32", 22),
    "to the index's port and another": _to("192.0.2.7/32", 8443, 22),
    "to the index's neighbours": _to("192.0.2.0/24", 8443),
}
