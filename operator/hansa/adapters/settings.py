"""What the settings of all processes are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65535)]
"""A port to listen on; 0: any free one."""


class Group(BaseModel):
    """Base of the groups: unknown names are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
