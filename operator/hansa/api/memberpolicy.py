"""``MemberPolicy``: an institution's own law, on its own cluster, out of the hub's reach."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from hansa.api.job.packages import PackageIndex
from hansa.api.meta import (
    IMAGE_PREFIX,
    KINDS_OF_WORK,
    LOCAL_PATH,
    NETWORK,
    PUBLIC_KEY,
    Assurance,
    Condition,
    Digest,
    GpuClass,
    Jurisdiction,
    KindOfWork,
    Message,
    Model,
    Name,
    Rule,
    Timestamp,
    checked,
    keyed,
    rule,
)
from hansa.api.residency import Overlay, Residency, nested_overlays_exist

PublicKey = Annotated[str, StringConstraints(pattern=PUBLIC_KEY, max_length=44)]


class TrustedKey(Model):
    """An Ed25519 public key the institution trusts."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="Whose key it is.")
    public_key: PublicKey = Field(description="Raw 32-byte Ed25519 public key, base64.")


class Exports(Model):
    """What may leave the institution besides the bare fact that a job ran."""

    result: Literal["Allow", "OnRelease", "Deny"] = Field(
        default="Deny",
        description="The small declared result. OnRelease: it stays at the member until an owner has"
        " signed its release.",
    )
    logs: Literal["Allow", "Tail", "Deny"] = Field(
        default="Deny",
        description="The driver's log. Tail: its last 8 KiB, when the run has ended. Allow: all of it,"
        " while the job's owner follows it and for as long as the member keeps it, too.",
    )


class TenantExports(Exports):
    """What may leave from jobs of one tenant; it narrows what their data sets allow."""

    model_config = ConfigDict(json_schema_extra=keyed("tenant"))

    tenant: Name = Field(description="Institution whose jobs it is about.")


class Dataset(Model):
    """Data the institution holds. It never leaves: jobs come to it, read-only."""

    model_config = ConfigDict(
        json_schema_extra=keyed("name")
        | checked(
            rule(
                "!has(self.exports) || self.exports.?result.orValue('Deny') != 'OnRelease'"
                " || (has(self.owners) && size(self.owners) > 0)",
                "exports.result: OnRelease needs owners, the names in spec.trustedOwners of those who"
                " may release",
                field_path=".exports",
            )
        )
    )

    name: Name = Field(description="Name that jobs use.")
    jurisdiction: Jurisdiction = Field(description="Whose law the data is under.")
    claim: Name = Field(description="PersistentVolumeClaim in the agent's namespace that holds it.")
    path: Annotated[str, StringConstraints(pattern=LOCAL_PATH, max_length=256)] = Field(
        default="",
        description="Folder inside the claim; empty: its root.",
        json_schema_extra=checked(
            rule(
                "!self.startsWith('/') && !self.contains('..')",
                "path must stay inside the claim: no leading '/' and no '..'",
            )
        ),
    )
    residency: Residency = Field(
        description="Where this data may be processed, by its holder's law."
    )
    tenants: tuple[Name, ...] = Field(
        default=(), max_length=64, description="Institutions that may read it; empty: all tenants."
    )
    owners: tuple[Name, ...] = Field(
        default=(),
        max_length=16,
        description="Names in trustedOwners; one of them must have signed the work, whatever the"
        " hub says. Empty: no signature is needed, unless ownerSignature asks for one.",
    )
    exports: Exports | None = Field(
        default=None, description="What may leave of jobs that read it; left out: spec.exports."
    )


class LentSecret(Model):
    """A Secret in the agent's namespace that jobs of some tenants may use."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="Name that jobs use, and of the Secret.")
    tenants: tuple[Name, ...] = Field(min_length=1, max_length=64, description="Who may use it.")


class Lending(Model):
    """How many GPUs of a class the institution lends to the league."""

    model_config = ConfigDict(json_schema_extra=keyed("gpuClass"))

    gpu_class: GpuClass = Field(description="GPU class.")
    max_gpus: int = Field(ge=0, le=1_000_000, description="Most GPUs lent at once.")


class Hours(Model):
    """When work may start, in UTC."""

    from_hour: int = Field(
        default=0, ge=0, le=23, description="First hour in which work may start."
    )
    to_hour: int = Field(
        default=0,
        ge=0,
        le=23,
        description="Hour before which work may start; equal to fromHour: always.",
    )


class EgressRule(Model):
    """One destination jobs may reach."""

    cidr: Annotated[str, StringConstraints(pattern=NETWORK, max_length=64)] = Field(
        description="Destination network.",
        json_schema_extra=checked(
            rule("isCIDR(self)", "cidr must be a network, for example 10.0.0.0/8 or 2001:db8::/32")
        ),
    )
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(), max_length=16, description="TCP ports; empty: all."
    )


def _overlays_exist(test: str, side: str) -> Rule:
    # The names are put together once: for each place of each data set, the server counts it as too dear.
    return rule(
        "[self.overlays.map(o, 'overlay/' + o.name)].all(known, self.datasets.all(d,"
        f" d.residency.{test}.{side}.all(p, !p.startsWith('overlay/') || p in known)))",
        f"datasets[].residency.{test}.{side} names an overlay that overlays[] does not define",
        field_path=".datasets",
    )


class MemberPolicySpec(Model):
    """The law."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            *(
                _overlays_exist(test, side)
                for test in ("location", "legalControl")
                for side in ("allow", "deny")
            ),
            nested_overlays_exist("policy"),
        )
    )

    jurisdiction: Jurisdiction = Field(description="Where the machines stand.")
    legal_control: tuple[Jurisdiction, ...] = Field(
        min_length=1, max_length=16, description="Whose law reaches the operator or its owners."
    )
    switch: Literal["Open", "Paused", "Stopped"] = Field(
        default="Open", description="Paused takes no new work; Stopped also ends running work."
    )
    trusted_hubs: tuple[TrustedKey, ...] = Field(
        default=(), max_length=16, description="Hubs whose grants are considered."
    )
    trusted_owners: tuple[TrustedKey, ...] = Field(
        default=(), max_length=256, description="Data owners whose signatures are known."
    )
    owner_signature: Literal["NotRequired", "RequiredForData", "Required"] = Field(
        default="NotRequired",
        description="When a job also needs a data owner's signature. RequiredForData: for every data"
        " set one of its owners; Required: of any trusted owner where it reads no data, too.",
    )
    overlays: tuple[Overlay, ...] = Field(
        default=(),
        max_length=16,
        description="What overlay/NAME means in the residency rules of data sets here, whatever a"
        " pool means by it.",
    )
    tenants: tuple[Name, ...] = Field(
        default=(), max_length=256, description="Institutions whose jobs are accepted; empty: all."
    )
    workloads: tuple[KindOfWork, ...] = Field(
        default=KINDS_OF_WORK, max_length=len(KINDS_OF_WORK), description="Workloads accepted."
    )
    image_registries: tuple[
        Annotated[str, StringConstraints(pattern=IMAGE_PREFIX, max_length=253)], ...
    ] = Field(default=(), max_length=64, description="Image prefixes accepted; empty: none.")
    datasets: tuple[Dataset, ...] = Field(
        default=(), max_length=256, description="Data the institution holds."
    )
    secrets: tuple[LentSecret, ...] = Field(default=(), max_length=64, description="Secrets lent.")
    lending: tuple[Lending, ...] = Field(
        default=(),
        max_length=64,
        description="GPUs lent per class; a class not named is lent whole.",
    )
    max_runtime_seconds: int = Field(
        default=2_592_000, ge=1, le=2_592_000, description="Longest job accepted."
    )
    max_concurrent_jobs: int = Field(
        default=1000, ge=0, le=100_000, description="Jobs run at the same time."
    )
    hours: Hours = Field(default=Hours(), description="When work may start (UTC).")
    egress: tuple[EgressRule, ...] = Field(
        default=(), max_length=64, description="Where jobs may connect to; empty: nowhere."
    )
    package_index: PackageIndex | None = Field(
        default=None,
        description="Index from which jobs with a lock (runtimeEnv) may install packages; not given: none may.",
    )
    exports: Exports = Field(
        default=Exports(),
        description="What may leave of jobs that read no data set, or one without exports of its own.",
    )
    tenant_exports: tuple[TenantExports, ...] = Field(
        default=(),
        max_length=256,
        description="What may leave of jobs of some tenants, at most: the strictest rule counts.",
    )
    assurance: Assurance = Field(default="L0", description="Assurance the institution declares.")


class RefusalCount(Model):
    """How often a reason was given."""

    model_config = ConfigDict(json_schema_extra=keyed("reason"))

    reason: Annotated[str, StringConstraints(max_length=63)] = Field(description="Reason.")
    count: int = Field(ge=0, description="Times.")


class MemberPolicyStatus(Model):
    """What is being enforced now."""

    observed_generation: int = Field(default=0, ge=0, description="Policy generation enforced.")
    refusals: tuple[RefusalCount, ...] = Field(
        default=(), max_length=64, description="Refusals since the agent started, by reason."
    )
    node_key_id: Digest | None = Field(default=None, description="Key that signs releases.")
    last_hub_contact_time: Timestamp | None = Field(
        default=None, description="Last answer from the hub."
    )
    canary: Literal["Denied", "Admitted", "NotRun"] = Field(
        default="NotRun",
        description="Outcome of the last trial of the second lock; must be Denied.",
    )
    note: Message = Field(default="", description="What a person should know.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Enforcing, HubReachable, KubeRayReady, ClockInSync, DiskAvailable, SecondLockHolds,"
        " ReceiptsTaken, RunsRemoved, IdentityRenewed, MachinesUnderstood, HubAgrees.",
    )


class MemberPolicy(Model):
    """The institution's own law; there is one, named ``local``."""

    spec: MemberPolicySpec = Field(description="The law.")
    status: MemberPolicyStatus = Field(default=MemberPolicyStatus(), description="Its enforcement.")
