"""What a platform team sets of runs: who they are, what their pods carry, which way out they have.

``settings.runs`` of the chart, which the second lock reads, too: it admits what these say and no more.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from hansa.adapters.settings import Group
from hansa.api.texts import Written
from hansa.reconcile.member.inventory.taints import STATE_PREFIX, Toleration
from hansa.reconcile.member.platform.checkpoints import CheckpointRules
from hansa.reconcile.member.platform.pod_settings import PodSettings, RunUser
from hansa.reconcile.member.platform.proxy import Proxy
from hansa.reconcile.member.platform.resolvers import Resolver

_KEY = r"^[A-Za-z0-9._/-]+$"
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_OR_NONE = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"
_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_LABEL_KEY = (
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_URL = r"^(http://[A-Za-z0-9.:\[\]-]+)?$"
# An emptyDir whose limit is 0 has none: kubelets look at limits above it alone.
_SOME = r"^0*[1-9][0-9]*(k|M|G|T|Ki|Mi|Gi|Ti)?$"
_OURS = re.compile(
    r"(^|\.)(hansa\.dev|ray\.io)/|^(batch\.)?(kubernetes\.io/)?(job-name|controller-uid)$"
    r"|^app\.kubernetes\.io/(name|created-by|managed-by)$"
    r"|^(container\.apparmor\.security\.beta|seccomp\.security\.alpha|pod-security)\.kubernetes\.io/"
    r"|^(topology|batch)\.kubernetes\.io/"
)
"""Keys by which runs, their operators and the second lock are told apart."""

_NAMED = (
    "must be a name of Kubernetes: lower case letters, digits, '-' and '.', for example gpu-batch"
)
_SIZE = "must be a size above zero, for example 16Gi"
_TAINT = "must be the key of a taint, for example sku or example.org/dedicated"
_PROXY = "must be http://HOST:PORT, for example http://proxy.example.org:3128: proxies are asked without TLS"
Name = Annotated[str, Written(_NAME, _NAMED)]
OptionalName = Annotated[str, Written(_OR_NONE, f"{_NAMED}; or empty")]
LabelKey = Annotated[
    str, Written(_LABEL_KEY, "must be the key of a label, for example pool or example.org/pool")
]
LabelValue = Annotated[
    str,
    Written(_VALUE, "must be the value of a label: at most 63 letters, digits, '-', '_' and '.'"),
]
Note = Annotated[
    str,
    StringConstraints(max_length=1024),
    Written(r"^[ -~]*$", "must be one line of letters without accents, digits and signs (ASCII)"),
]
Direct = Annotated[
    str,
    Written(
        r"^[A-Za-z0-9.*:/_-]+$",
        "must be a host, a domain or a network, for example .example.org or 10.0.0.0/8",
    ),
]
Size = Annotated[str, Written(_SOME, _SIZE)]
OptionalSize = Annotated[str, Written(f"^$|{_SOME}", f"{_SIZE}; or empty")]
Network = Annotated[
    str,
    Written(
        r"^([0-9a-fA-F.:]+/[0-9]{1,3})?$",
        "must be a network: write 169.254.20.10/32 for one address; or empty",
    ),
]
TaintKey = Annotated[str, Written(_KEY, _TAINT)]
OptionalTaintKey = Annotated[str, Written(f"^$|{_KEY}", f"{_TAINT}; or empty")]
TaintValue = Annotated[
    str, Written(f"^$|{_KEY}", "must be the value of a taint, for example gpu; or empty")
]
ProxyUrl = Annotated[str, Written(_URL, f"{_PROXY}; or empty")]
ImagePrefix = Annotated[
    str,
    Written(
        r"^(\*/)?[A-Za-z0-9][A-Za-z0-9._:/-]*$",
        "must be the begin of an image's name without scheme, for example docker.io/team/ or, on any registry, */team/",
    ),
]


class Row(Group):
    """Base of rows of a list: written in camelCase, as in the chart's values."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class TolerationRow(Row):
    """One more taint that pods of runs tolerate."""

    key: TaintKey = Field(description="The taint's key.")
    value: TaintValue = Field(default="", description="Its value; empty: any.")
    effect: Literal["", "NoSchedule", "NoExecute", "PreferNoSchedule"] = Field(
        default="", description="Its effect; empty: any."
    )
    operator: Literal["", "Exists", "Equal"] = Field(
        default="", description="As pods state it; empty: by whether there is a value."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        refuse_state(self.key)
        if self.operator and bool(self.value) != (self.operator == "Equal"):
            raise ValueError(f"tolerations: {self.key}: Equal has a value, and Exists has none")
        return self


def refuse_state(key: str) -> None:
    """Raise ``ValueError`` for a taint by which the cluster tells a machine's state."""
    if key.startswith(STATE_PREFIX):
        raise ValueError(f"{key} is a machine's state: runs do not tolerate it")


class ImageUserRow(Row):
    """The user of runs of some images."""

    image_prefix: ImagePrefix = Field(
        description="Begin of the image's name, as jobs write it, or, with */, of what follows any registry; the"
        " longest that fits counts.",
    )
    uid: int = Field(ge=1, le=2**31 - 1, description="User id; never root.")
    gid: int = Field(ge=1, le=2**31 - 1, description="Group id; never root's.")


class ResolverRow(Row):
    """One place where pods of runs may ask for names."""

    namespace: OptionalName = Field(default="", description="Namespace of the resolver's pods.")
    cidr: Network = Field(
        default="",
        description="Or its address, for example 169.254.20.10/32 of NodeLocal DNSCache.",
    )
    port: int = Field(
        default=53, ge=1, le=65535, description="Where its pods listen; OpenShift's: 5353."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.namespace) == bool(self.cidr):
            raise ValueError("a row of dns gives namespace or cidr, one of them")
        if self.cidr and (right := str(ipaddress.ip_network(self.cidr, strict=False))) != self.cidr:
            raise ValueError(f"dns: {self.cidr} is not how a network is written; write {right}")
        return self


class RunsUser(Group):
    """User and groups of runs."""

    uid: int = Field(default=65532, ge=1, le=2**31 - 1, description="User id; never root.")
    gid: int = Field(default=65532, ge=1, le=2**31 - 1, description="Group id; never root's.")
    fs_group: int = Field(
        default=0, ge=0, le=2**31 - 1, description="Group that volumes are handed to; 0: none."
    )


class RunsProxy(Group):
    """The way out for runs that the policy lets out (MemberPolicy egress names the proxy's network)."""

    http: ProxyUrl = Field(default="", description="HTTP_PROXY of runs, http://HOST:PORT.")
    https: ProxyUrl = Field(default="", description="HTTPS_PROXY of runs.")
    direct: tuple[Direct, ...] = Field(
        default=(), description="More of NO_PROXY; names of the cluster's own are always in it."
    )
    authorities: OptionalName = Field(
        default="",
        description="ConfigMap in the agent's namespace whose ca.crt (or ca-bundle.crt, as OpenShift writes it)"
        " programs of runs trust, in place of the image's own list: the public authorities and the institution's.",
    )


class RunsCheckpoints(Group):
    """A volume a job, kept over its runs at this member, at HANSA_CHECKPOINTS."""

    storage_class: OptionalName = Field(
        default="",
        description="Storage class of the volumes, with reclaimPolicy Retain; empty: none are lent.",
    )
    size: Size = Field(default="100Gi", description="Size of each.")
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = Field(
        default="ReadWriteMany",
        description="ReadWriteOnce: where one machine takes runs; where several do, none is then lent.",
    )
    retention_seconds: int = Field(
        default=7 * 86_400,
        ge=0,
        description="How long a volume is kept after its job's last run here, in seconds.",
    )
    most: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="Volumes at a time; a job that finds no room runs without.",
    )


class Runs(Group):
    """What pods of runs carry on this cluster."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="Pull policy of job pods; images are named by digest."
    )
    image_pull_secrets: tuple[Name, ...] = Field(
        default=(),
        description="Secrets in the agent's namespace with registry credentials; each run gets a copy"
        " that kubelets use and its containers cannot read; JSON.",
    )
    runtime_class_name: OptionalName = Field(
        default="",
        description="Runtime class of all job pods; empty: none. Where the class has scheduling (Kata's,"
        " gVisor's), nodeSelector and tolerations here repeat it: the second lock admits no others.",
    )
    gpu_runtime_class_name: OptionalName = Field(
        default="",
        description="Runtime class of job pods with GPUs, for example nvidia; empty: as the others.",
    )
    priority_class_name: OptionalName = Field(
        default="", description="Priority class; empty: the cluster's default."
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={},
        description="Labels of the machines that take runs; others are not lent; JSON.",
    )
    tolerations: tuple[TolerationRow, ...] = Field(
        default=(),
        description="Taints that all pods of runs tolerate, beside those of accelerators; JSON.",
    )
    labels: dict[LabelKey, LabelValue] = Field(
        default={},
        description="Labels of job pods and of the RayJob, for example a queue's; JSON.",
    )
    annotations: dict[LabelKey, Note] = Field(
        default={}, description="Annotations of job pods and of the RayJob; JSON."
    )
    scratch_size: Size = Field(
        default="16Gi",
        description="Size limit of the scratch volume at /tmp, per pod.",
    )
    termination_grace_seconds: int = Field(
        default=10, ge=1, description="Time pods of a job have to end, in seconds."
    )
    user_from: Literal["Settings", "Cluster"] = Field(
        default="Settings",
        description="Who says which user runs belong to: these settings, or what admits pods to the"
        " cluster (OpenShift): then pods state neither user nor group.",
    )
    user: RunsUser = RunsUser()
    image_users: tuple[ImageUserRow, ...] = Field(
        default=(
            ImageUserRow(image_prefix="*/rayproject/", uid=1000, gid=100),
            ImageUserRow(image_prefix="*/anyscale/", uid=1000, gid=100),
        ),
        description="Users of some images, which are built for them; the official Ray images' home,"
        " with Python in it, is closed to all but ray (1000:100); JSON.",
    )
    dns: tuple[ResolverRow, ...] = Field(
        default=(),
        description="Whom runs with egress may ask for names; empty: found (kube-system, OpenShift's,"
        " private and link-local addresses of the agent's resolv.conf); JSON.",
    )
    proxy: RunsProxy = RunsProxy()
    checkpoints: RunsCheckpoints = RunsCheckpoints()

    @model_validator(mode="after")
    def _check(self) -> Self:
        ours = sorted(key for key in {**self.labels, **self.annotations} if _OURS.search(key))
        if ours:
            raise ValueError(f"labels, annotations: {', '.join(ours)} is not for a site to set")
        if self.user_from == "Cluster" and {"user", "image_users"} & self.model_fields_set:
            raise ValueError("userFrom: Cluster leaves no room for user and imageUsers: drop them")
        return self

    def pods(self) -> PodSettings:
        """Return them as what renders pods."""
        group, is_ours = self.user.fs_group, self.user_from == "Settings"
        users = [(one.image_prefix, RunUser(one.uid, one.gid, group)) for one in self.image_users]
        return PodSettings(
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=self.image_pull_secrets,
            runtime_class=self.runtime_class_name,
            gpu_runtime_class=self.gpu_runtime_class_name,
            priority_class=self.priority_class_name,
            node_selector=self.node_selector,
            labels=self.labels,
            annotations=self.annotations,
            scratch_size=self.scratch_size,
            termination_grace_s=self.termination_grace_seconds,
            user=RunUser(self.user.uid, self.user.gid, group) if is_ours else None,
            users_by_image=tuple(users),
            proxy=Proxy(**self.proxy.model_dump()),
        )

    def checkpoint_rules(self) -> CheckpointRules:
        """Return what is lent of volumes for checkpoints."""
        said = self.checkpoints
        return CheckpointRules(
            said.storage_class, said.size, said.access_mode, said.retention_seconds, said.most
        )

    def more_tolerations(self) -> tuple[Toleration, ...]:
        """Return what pods tolerate beside the taints of accelerators."""
        return tuple(Toleration(row.key, row.value, row.effect) for row in self.tolerations)

    def resolvers(self) -> tuple[Resolver, ...]:
        """Return whom runs may ask for names; empty: to be found."""
        return tuple(Resolver(**row.model_dump()) for row in self.dns)
