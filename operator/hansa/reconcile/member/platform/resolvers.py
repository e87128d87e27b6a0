"""Who answers a cluster's pods for names: what a run's network policy has to let through.

A policy is read after a Service's address was translated: it needs the resolver's pods and the port they
listen on. Node-local caches answer on an address of the machine instead, which no namespace selector covers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from hansa.ports import Manifest

NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Resolver:
    """One place to ask: a namespace's pods, or an address."""

    namespace: str = ""
    cidr: str = ""
    port: int = 53

    def rule(self) -> Manifest:
        """Return the rule of a NetworkPolicy that lets pods ask it."""
        space = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: self.namespace}}}
        peer: Manifest = {"ipBlock": {"cidr": self.cidr}} if self.cidr else space
        ports = [{"protocol": protocol, "port": self.port} for protocol in ("UDP", "TCP")]
        return {"to": [peer], "ports": ports}


KNOWN = (
    Resolver("kube-system"),
    Resolver("kube-system", port=8053),
    Resolver("openshift-dns", port=5353),
)
"""Whose pods answer, where nobody says another: kube-dns and CoreDNS nearly everywhere, Gardener's, OpenShift's."""
INSIDE = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
            *("34.118.224.0/20", "fc00::/7"),
        ),
    )
)
"""Networks in which clusters have their Services and node-local caches; one is GKE's own.

The second lock and the charts' ``networkPolicy.dns`` write the same down."""


def find_resolvers(nameservers: Iterable[str]) -> tuple[Resolver, ...]:
    """Return whom pods ask, by the agent's own ``resolv.conf``; what a cluster does not have does no harm.

    What stands there is mostly a Service's address, and then the pods behind it count. It counts itself where no
    pod answers: node-local caches (on 169.254.20.10, or on the Service's own address), clouds' resolvers.
    """
    told = sorted({f"{one}/{one.max_prefixlen}" for one in map(_address, nameservers) if one})
    return (*KNOWN, *(Resolver(cidr=cidr) for cidr in told))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])  # a policy knows no interfaces
    except ValueError:
        return None
    return found if any(found in network for network in INSIDE) else None
