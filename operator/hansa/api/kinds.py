"""The table of kinds: names, scope, columns. One row here is one file in ``crds/``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from hansa.api.group import API_VERSION

if TYPE_CHECKING:
    from hansa.api.meta import Model


@dataclass(frozen=True, slots=True)
class Kind:
    """Everything about a kind that is not in its fields."""

    name: str
    """Kind in PascalCase; its model is the class of that name in the module of that name."""
    plural: str
    short_names: tuple[str, ...]
    namespaced: bool
    cluster: str
    """``hub`` or ``member``: whose chart installs it."""

    @property
    def model(self) -> type[Model]:
        """The kind's model, built when it is first asked for: all together take a third of a second."""
        model: type[Model] = getattr(import_module(f"hansa.api.{self.name.lower()}"), self.name)
        return model

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Return the API path of the collection or of one object.

        >>> AIJOB.path("clinic", "study")
        '/apis/hansa.dev/v1alpha1/namespaces/clinic/aijobs/study'
        """
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"/apis/{API_VERSION}{scope}/{self.plural}" + (f"/{name}" if name else "")


AIJOB = Kind("AIJob", "aijobs", ("aij",), namespaced=True, cluster="hub")
COMPUTEPOOL = Kind("ComputePool", "computepools", ("cpool",), namespaced=False, cluster="hub")
SOVEREIGNNODE = Kind("SovereignNode", "sovereignnodes", ("snode",), namespaced=False, cluster="hub")
PROJECT = Kind("Project", "projects", ("hproj",), namespaced=True, cluster="hub")
WORKGRANT = Kind("WorkGrant", "workgrants", ("wgrant",), namespaced=True, cluster="hub")
MEMBERPOLICY = Kind("MemberPolicy", "memberpolicies", ("mpol",), namespaced=False, cluster="member")
KINDS = (SOVEREIGNNODE, COMPUTEPOOL, PROJECT, AIJOB, WORKGRANT, MEMBERPOLICY)
