"""The Lease that says when the hub last heard of a member: the agent writes it, the guard reads it.

It outlives the agent, so that a restart does not begin a contract anew.
"""

from __future__ import annotations

from typing import Any

from hansa.model.times import from_rfc3339, rfc3339_micro
from hansa.ports import Manifest

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
NAME = "hansa-hub-contact-{}"
"""A cluster may belong to several leagues, each with an agent of its own."""


def lease_path(namespace: str, node: str) -> str:
    """Return the Lease's path."""
    return f"{LEASES.format(namespace)}/{NAME.format(node)}"


def contact_spec(node: str, last_s: float) -> Manifest:
    """Return the Lease's spec; ``last_s``: when the renewal that the hub answered was sent."""
    return {"holderIdentity": node, "renewTime": rfc3339_micro(last_s)}


def read_contact(lease: Any) -> float | None:
    """Return the last contact in a Lease; None where there is none to be read."""
    spec = lease.get("spec") if isinstance(lease, dict) else None
    return from_rfc3339(spec.get("renewTime")) if isinstance(spec, dict) else None
