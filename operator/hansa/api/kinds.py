"""The table of kinds: names, scope, columns. One row here is one file in ``crds/``."""

from __future__ import annotations

from dataclasses import dataclass

from hansa.api.aijob import AIJob
from hansa.api.computepool import ComputePool
from hansa.api.memberpolicy import MemberPolicy
from hansa.api.meta import API_VERSION, Model
from hansa.api.project import Project
from hansa.api.sovereignnode import SovereignNode
from hansa.api.workgrant import WorkGrant


@dataclass(frozen=True, slots=True)
class Kind:
    """Everything about a kind that is not in its fields."""

    model: type[Model]
    plural: str
    short_names: tuple[str, ...]
    namespaced: bool
    cluster: str
    """``hub`` or ``member``: whose chart installs it."""

    @property
    def name(self) -> str:
        """Kind in PascalCase."""
        return self.model.__name__

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Return the API path of the collection or of one object.

        >>> AIJOB.path("clinic", "study")
        '/apis/hansa.dev/v1alpha1/namespaces/clinic/aijobs/study'
        """
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"/apis/{API_VERSION}{scope}/{self.plural}" + (f"/{name}" if name else "")


AIJOB = Kind(AIJob, "aijobs", ("aij",), namespaced=True, cluster="hub")
COMPUTEPOOL = Kind(ComputePool, "computepools", ("cpool",), namespaced=False, cluster="hub")
SOVEREIGNNODE = Kind(SovereignNode, "sovereignnodes", ("snode",), namespaced=False, cluster="hub")
PROJECT = Kind(Project, "projects", ("hproj",), namespaced=True, cluster="hub")
WORKGRANT = Kind(WorkGrant, "workgrants", ("wgrant",), namespaced=True, cluster="hub")
MEMBERPOLICY = Kind(MemberPolicy, "memberpolicies", ("mpol",), namespaced=False, cluster="member")
KINDS = (SOVEREIGNNODE, COMPUTEPOOL, PROJECT, AIJOB, WORKGRANT, MEMBERPOLICY)
