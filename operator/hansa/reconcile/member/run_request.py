"""An accepted grant with everything needed to render it: the input of ``run_namespace.waves``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hansa.api.aijob import AIJobSpec
from hansa.api.job.packages import PackageIndex
from hansa.api.memberpolicy import Dataset, MemberPolicySpec
from hansa.api.meta import (
    EPOCH_LABEL,
    GROUP,
    INSTITUTION_LABEL,
    JOB_NAME_LABEL,
    JOB_NAMESPACE_LABEL,
    JOB_UID_LABEL,
    MANAGED_BY_LABEL,
    NODE_LABEL,
)
from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.capacity import gpus_wanted
from hansa.grants.envelope import workload_name
from hansa.grants.exports.permits import shut_in
from hansa.grants.territory import residency_rules
from hansa.ports import Manifest
from hansa.reconcile.member.contracts.time_limits import STRICTEST, Contract
from hansa.reconcile.member.inventory.machine import MachineRules
from hansa.reconcile.member.inventory.stock import CardChoice
from hansa.reconcile.member.platform.checkpoints import CheckpointRules, Lending
from hansa.reconcile.member.platform.pod_settings import PodSettings
from hansa.reconcile.member.platform.resolvers import KNOWN, Resolver

MANAGER = "hansa-member"
RECORD = "grant"
"""Name of the ConfigMap in a run's namespace with the grant and what its pods read."""
ACCOUNT = "job"
"""Name of the ServiceAccount of a run's pods."""
RESOLVER = "hansa-resolver"
"""Service of the resolver that forwards nothing, and the name its pods are labelled with."""
RUN_ROLE = "hansa-member-run"
"""ClusterRole with what the agent may read in a run; it binds it to itself there."""
GPU_CLASS_LABEL = f"{GROUP}/gpu-class"
GPUS_LABEL = f"{GROUP}/gpus"
POD_LABELS = {INSTITUTION_LABEL, JOB_UID_LABEL, JOB_NAMESPACE_LABEL, JOB_NAME_LABEL}
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """The operator's settings that show in manifests."""

    pods: PodSettings = field(default_factory=PodSettings)
    resolvers: tuple[Resolver, ...] = KNOWN
    """Whom runs that are not shut in ask for names."""
    checkpoints: CheckpointRules = field(default_factory=CheckpointRules)
    kuberay_namespace: str = ""
    machines: MachineRules = field(default_factory=MachineRules)
    agent_namespace: str = "hansa-system"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run to make."""

    grant: WorkGrantSpec
    wire: Mapping[str, Any]
    """The grant's signed spec, word for word; kept beside the run so that it survives the hub."""
    policy: MemberPolicySpec
    gpu_class: str = ""
    cards: CardChoice | None = None
    """How its pods ask for GPUs; None: it has none, or there are none of its class now."""
    places: tuple[str, ...] = ()
    """Jurisdiction labels the job's pods may be scheduled to."""
    left: tuple[str, ...] = ()
    """Machines that earlier runs of the job died on: its pods prefer others."""
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Data set → spec of the PersistentVolume that holds it."""
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Lent secret → its data, base64 as the API server keeps it."""
    pull_secrets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Secret with registry credentials → the object that the agent's namespace holds."""
    lending: Lending = field(default_factory=Lending)
    """The volume for checkpoints that it gets."""
    authorities: str = ""
    """Certificate authorities that programs of the run trust, PEM; empty: those of its image."""
    options: RenderOptions = RenderOptions()
    resolver: str = ""
    """Address of the resolver that forwards nothing; needed where the run is shut in."""
    contract: Contract = STRICTEST
    now_s: float = 0.0
    alive_until_s: float = 0.0
    """Until when the pods may live unless they are told more."""

    @property
    def is_shut_in(self) -> bool:
        """Whether names, too, must carry nothing out: it has data to tell, or may reach nobody anyhow."""
        return shut_in(self.job, self.policy)

    @property
    def job(self) -> AIJobSpec:
        """The job's spec."""
        return self.grant.job_spec

    @property
    def index(self) -> PackageIndex | None:
        """The index that it installs packages from; None: it installs none."""
        return self.policy.package_index if self.job.runtime_env else None

    @property
    def name(self) -> str:
        """Name of the namespace and of the object that does the work."""
        return workload_name(self.grant.job.uid, self.grant.epoch)

    @property
    def datasets(self) -> list[Dataset]:
        """The policy's entries of the data sets the job reads, in the job's order, each once."""
        held = {dataset.name: dataset for dataset in self.policy.datasets}
        return [held[name] for name in dict.fromkeys(s.name for s in self.job.data)]

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every object of the run; values that are no label values are left out."""
        wanted = {
            MANAGED_BY_LABEL: MANAGER,
            NODE_LABEL: self.grant.node,
            INSTITUTION_LABEL: self.grant.institution,
            JOB_UID_LABEL: self.grant.job.uid,
            JOB_NAMESPACE_LABEL: self.grant.job.namespace,
            JOB_NAME_LABEL: self.grant.job.name,
            EPOCH_LABEL: str(self.grant.epoch),
            GPU_CLASS_LABEL: self.gpu_class,
            GPUS_LABEL: str(gpus_wanted(self.grant)),
        }
        return {name: value for name, value in wanted.items() if _LABEL_VALUE.fullmatch(value)}

    @property
    def pod_labels(self) -> dict[str, str]:
        """Labels of the run's pods: the exporter's and what a person looks for.

        The rest is on their namespace: an object may hold these several times, and its size is its price.
        """
        return {name: value for name, value in self.labels.items() if name in POD_LABELS}


@dataclass(frozen=True, slots=True)
class Creation:
    """One object to create: the collection's path and the object."""

    path: str
    body: Manifest


def lent_name(secret: str) -> str:
    """Return the name of a lent secret's copy: KubeRay names one of its own as the cluster."""
    return f"lent-{secret}"


def lawful_places(
    grant: WorkGrantSpec, policy: MemberPolicySpec, machine_labels: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the jurisdiction labels on which the job's pods may run.

    A policy may speak of a country while machines stand in its regions and a rule names one region.
    """
    rules = residency_rules(grant, policy)
    here = {policy.jurisdiction} | {
        label for label in machine_labels if label.startswith(f"{policy.jurisdiction}-")
    }
    return tuple(
        sorted(
            place
            for place in here
            if not any(r.territory.objection(r.residency.location, place) for r in rules)
        )
    )
