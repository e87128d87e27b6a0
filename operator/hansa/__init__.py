"""Hansa: a league of sovereign AI clusters.

Institutions keep their own Kubernetes clusters and pool their GPUs. A hub proposes where Ray jobs
run; each member checks every proposal against its own law and may refuse. The layers, from what
users write (``api``) down to what touches the network (``adapters``), are described in
``docs/explanation/architecture.md`` and proved by import-linter.
"""

__version__ = "0.1.0"
