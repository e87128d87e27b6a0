"""Where runs may go out to: the law's networks, less what a wide one would open unsaid.

At some addresses a cloud tells any program on a machine who the machine is, credentials included. A law that lets runs
out "anywhere" did not mean those; one that does names a network of theirs alone. The second lock writes the same down
(``templates/lock/fences.yaml``).
"""

from __future__ import annotations

import ipaddress

from hansa.ports import Manifest

OF_THE_MACHINE = (
    "169.254.0.0/16",
    "168.63.129.16/32",
    "100.100.100.200/32",
    "fe80::/10",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
)
"""Link-local networks, where most clouds' metadata services are; Azure's, Alibaba's, Amazon's and Google's own."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def block(cidr: str) -> Manifest:
    """Return a network as a destination of a NetworkPolicy."""
    network = ipaddress.ip_network(cidr, strict=False)
    left_out = [one for one in OF_THE_MACHINE if _holds(network, ipaddress.ip_network(one))]
    return {"cidr": cidr} | ({"except": left_out} if left_out else {})


def _holds(wide: Network, narrow: Network) -> bool:
    """Tell whether a network holds another, and more."""
    return (
        wide.version == narrow.version
        and wide.prefixlen < narrow.prefixlen
        and narrow.network_address in wide
    )
