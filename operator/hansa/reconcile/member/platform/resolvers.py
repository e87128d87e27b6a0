"""Who answers a cluster's pods for names: what a run's network policy has to let through.

A policy is read after a Service's address was translated: it needs the resolver's pods and the port they
listen on. Node-local caches answer on a link-local address instead, which no namespace selector covers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from hansa.ports import Manifest

NAMESPACE_NAME = "kubernetes.io/metadata.name"
OPENSHIFT_GROUP = "security.openshift.io"


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


KUBERNETES = Resolver("kube-system")
"""kube-dns and CoreDNS as kubeadm, k3s, RKE2, GKE, EKS and AKS have them."""
OPENSHIFT = Resolver("openshift-dns", port=5353)


def find_resolvers(nameservers: Iterable[str], groups: Iterable[str]) -> tuple[Resolver, ...]:
    """Return whom pods ask, by the agent's own ``resolv.conf`` and the API groups of its cluster.

    Link-local addresses are node-local caches (169.254.20.10) and cloud resolvers (169.254.169.254).
    Any other address belongs to a Service, and what stands behind it counts.
    """
    local = sorted({f"{one}/{one.max_prefixlen}" for one in map(_address, nameservers) if one})
    behind = OPENSHIFT if OPENSHIFT_GROUP in set(groups) else KUBERNETES
    return (behind, *(Resolver(cidr=cidr) for cidr in local))


def _address(text: str) -> ipaddress.IPv4Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    is_local = isinstance(found, ipaddress.IPv4Address) and found.is_link_local
    return found if is_local and isinstance(found, ipaddress.IPv4Address) else None
