"""Everything an operator of the guard can set, read from ``HANSA_GUARD_*`` once."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hansa.adapters.settings import (
    EVERY_ADDRESS,
    BindAddress,
    LogLevel,
    MemberKubeconfig,
    ServedPort,
)


class GuardSettings(BaseSettings):
    """Settings of ``hansa guard``."""

    model_config = SettingsConfigDict(env_prefix="HANSA_GUARD_", extra="forbid", frozen=True)

    node: str = Field(description="Name of this member's SovereignNode on the hub.")
    namespace: str = Field(
        default="hansa-system",
        description="Namespace of the agent, where it writes its last contact.",
    )
    kubeconfig: MemberKubeconfig = ""
    pass_seconds: float = Field(
        default=3, gt=0, description="Between looks at everything, in seconds."
    )
    answer_seconds: float = Field(
        default=5,
        gt=0,
        description="A call that has no whole answer for so long has failed, and is made again in the"
        " next pass.",
    )
    grace_seconds: float = Field(
        default=60,
        ge=0,
        description="How long the policy or the last contact may be missing or unreadable before that"
        " ends all work.",
    )
    clock_skew_seconds: float = Field(
        default=60,
        ge=1,
        description="Most the last contact may lie in the future, and two clocks that agree may differ, in"
        " seconds.",
    )
    port: ServedPort = 8080
    bind: BindAddress = EVERY_ADDRESS
    log_level: LogLevel = "INFO"
