"""Everything an operator of a hub can set, in one place, read from the environment once.

Variables begin with ``HANSA_HUB_``; groups are joined by two underscores, for example
``HANSA_HUB_GRANTS__VALIDITY_SECONDS=600``. The chart's values follow this file.
"""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hansa.adapters.settings import Candidacy, Group, HubCluster, Serving
from hansa.api.meta import CURRENCY, Name


class Cluster(HubCluster):
    """The API server that is the hub's state."""

    namespace: str = Field(
        default="",
        description="Namespace of the hub itself (its Lease); empty: the connection's own.",
    )
    write_concurrency: int = Field(
        default=16, ge=1, le=256, description="Writes in flight at the same time."
    )
    request_timeout_seconds: float = Field(
        default=30, gt=0, description="Longest wait for one answer, in seconds."
    )


class Leadership(Candidacy):
    """Which of several replicas writes."""

    lease: str = Field(
        default="hansa-hub",
        description="Name of the main hub's Lease; a pool's Lease is named LEASE.POOL.",
    )
    pools: tuple[Name, ...] = Field(
        default=(),
        description="ComputePools that this hub leads, by a Lease each, and no others, as a JSON list;"
        " empty: it is the main hub, which leads all that no other hub has claimed, and what belongs to no"
        " pool.",
    )


class Grants(Group):
    """How grants are made."""

    key_file: str = Field(
        default="/etc/hansa/hub/ed25519.pem",
        description="Ed25519 private key (PKCS 8 PEM, or 32 raw bytes) that signs grants; members"
        " name its public half in trustedHubs.",
    )
    validity_seconds: int = Field(
        default=3600,
        ge=60,
        le=86_400,
        description="Seconds in which a member may accept a grant; unaccepted, it is withdrawn.",
    )
    clock_skew_seconds: int = Field(
        default=60,
        ge=1,
        description="Most that clocks of hub and member may differ, in seconds; added to every"
        " fencing wait and taken off notBefore.",
    )


class Nodes(Group):
    """How members are watched."""

    lease_grace_seconds: float = Field(
        default=40,
        gt=0,
        description="Seconds without a Lease renewal after which a node takes no new work.",
    )


class Planning(Group):
    """When the hub plans."""

    coalesce_milliseconds: float = Field(
        default=4, ge=0, description="Wait for more events before planning, in milliseconds."
    )
    tick_seconds: float = Field(
        default=5,
        gt=0,
        description="Seconds between looks at deadlines (leases, grants, fencing) without events.",
    )
    resync_seconds: float = Field(
        default=600, gt=0, description="Seconds between full lists that repair a deaf watch."
    )
    currency: str = Field(
        default="EUR",
        pattern=CURRENCY,
        description="ISO 4217 currency of the league; a node priced in another takes no work.",
    )


class HubSettings(BaseSettings):
    """All settings of ``hansa hub``."""

    model_config = SettingsConfigDict(
        env_prefix="HANSA_HUB_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    cluster: Cluster = Field(default=Cluster(), description="The hub's API server.")
    leadership: Leadership = Field(default=Leadership(), description="Leader election.")
    grants: Grants = Field(default=Grants(), description="Signed grants.")
    nodes: Nodes = Field(default=Nodes(), description="Members.")
    planning: Planning = Field(default=Planning(), description="Planning loop.")
    serving: Serving = Field(default=Serving(), description="Probes and metrics.")
