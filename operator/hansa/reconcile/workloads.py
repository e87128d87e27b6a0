"""Which workloads there are: the agent makes them, the guard reads when they began.

The member's chart grants both accounts their rights on the same resources (``hansa.workloads``).
"""

from __future__ import annotations

from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.workload import Workload

WORKLOADS: tuple[Workload, ...] = (RayJob(),)
"""The ways to run work, each with kinds of work of its own."""
