"""What all pods of runs carry because this member's cluster wants it: one source for pods and canaries.

The second lock (``templates/lock`` of the member's chart) writes the same down a second time, from the
same values, and admits that and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hansa.ports import Manifest
from hansa.reconcile.member.platform.proxy import Proxy

NOTHING: Mapping[str, str] = MappingProxyType({})
ANYWHERE = "*/"
"""Begin of a prefix that counts behind any registry, and any folder of one."""
SECCOMP = MappingProxyType({"type": "RuntimeDefault"})


@dataclass(frozen=True, slots=True)
class RunUser:
    """Whom the processes of a run belong to; never root."""

    uid: int = 65532
    gid: int = 65532
    fs_group: int = 0
    """Group that volumes are handed to; 0: none."""

    def security(self) -> Manifest:
        """Return the fields of a pod's security context that say it."""
        group = {"fsGroup": self.fs_group} if self.fs_group else {}
        return {"runAsUser": self.uid, "runAsGroup": self.gid, **group}


@dataclass(frozen=True, slots=True)
class PodSettings:
    """The platform team's settings that show in pods of runs."""

    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets of the agent's namespace; each run gets copies."""
    runtime_class: str = ""
    gpu_runtime_class: str = ""
    """For pods with GPUs; empty: as all others."""
    priority_class: str = ""
    node_selector: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    labels: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    annotations: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    scratch_size: str = "16Gi"
    termination_grace_s: int = 10
    user: RunUser | None = RunUser()
    """None: what admits pods to the cluster gives each a user (OpenShift)."""
    users_by_image: tuple[tuple[str, RunUser], ...] = ()
    """Begin of an image's name → its user; the longest that fits counts."""
    proxy: Proxy = field(default_factory=Proxy)

    def user_of(self, image: str) -> RunUser | None:
        """Return the user for an image; None: the cluster chooses."""
        fitting = [row for row in self.users_by_image if begins(image, row[0])]
        if self.user is None or not fitting:
            return self.user
        return max(fitting, key=lambda row: len(row[0]))[1]

    def runtime_class_of(self, *, wants_gpu: bool) -> str:
        """Return the runtime class of a pod; empty: the cluster's default."""
        return (wants_gpu and self.gpu_runtime_class) or self.runtime_class

    def spec(self, image: str, *, wants_gpu: bool) -> Manifest:
        """Return the fields of a pod's spec that follow from the settings."""
        user = self.user_of(image)
        security = {"runAsNonRoot": True, **(user.security() if user else {})}
        named = {
            "runtimeClassName": self.runtime_class_of(wants_gpu=wants_gpu),
            "priorityClassName": self.priority_class,
            "nodeSelector": dict(self.node_selector),
            "imagePullSecrets": [{"name": pull_name(one)} for one in self.image_pull_secrets],
        }
        return {
            "terminationGracePeriodSeconds": self.termination_grace_s,
            "securityContext": {**security, "seccompProfile": dict(SECCOMP)},
            **{name: value for name, value in named.items() if value},
        }


def begins(image: str, prefix: str) -> bool:
    """Tell whether an image lies under a prefix, which ends at a boundary of the name; ``*/``: on any registry."""
    if prefix.startswith(ANYWHERE):
        rows = image.split("/")
        wanted = prefix.removeprefix(ANYWHERE)
        return any(begins("/".join(rows[at:]), wanted) for at in range(len(rows)))
    rest = image.removeprefix(prefix)
    return image.startswith(prefix) and (prefix.endswith("/") or rest[:1] in {"/", ":", "@", ""})


def pull_name(secret: str) -> str:
    """Return the name of the copy that a run gets of a Secret with registry credentials."""
    return f"pull-{secret}"
