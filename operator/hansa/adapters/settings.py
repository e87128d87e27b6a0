"""What the settings of all processes are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65535)]
"""A port to listen on; 0: any free one."""


class Group(BaseModel):
    """Base of the groups: unknown names are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
