"""What the settings of all processes are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ServedPort = Annotated[
    int,
    Field(
        ge=0,
        le=65535,
        description="Port of /healthz, /readyz and /metrics; 0: any free port, printed in the log.",
    ),
]
BindAddress = Annotated[
    str, Field(description="Address to listen on; empty: every one, IPv4's and IPv6's.")
]
EVERY_ADDRESS = ""
"""A pod serves its own probes; NetworkPolicy guards it."""
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    Field(description="Least severe level that is logged."),
]
HubKubeconfig = Annotated[
    str, Field(description="Path of a kubeconfig; empty: the pod's service account.")
]
MemberKubeconfig = Annotated[
    str,
    Field(description="Kubeconfig of the member's own cluster; empty: the pod's service account."),
]


class Group(BaseModel):
    """Base of the groups: unknown names are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Serving(Group):
    """What the process answers to."""

    health_port: ServedPort = 8080
    bind: BindAddress = EVERY_ADDRESS


class HubCluster(Group):
    """The hub's API server."""

    kubeconfig: HubKubeconfig = ""
    context: str = Field(
        default="", description="Context in the kubeconfig; empty: the current one."
    )


class Candidacy(Group):
    """How a replica stands for election."""

    identity: str = Field(
        default="", description="This replica's name in the Lease; empty: host name and process id."
    )
    duration_seconds: float = Field(
        default=15,
        ge=2,
        description="Seconds after a leader's last renewal before another may take over.",
    )
    retry_seconds: float = Field(default=2, gt=0, description="Seconds between renewals or tries.")
