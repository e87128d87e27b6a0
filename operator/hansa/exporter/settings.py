"""Everything an operator of the exporter can set, read from ``HANSA_EXPORTER_*`` once."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hansa.adapters.settings import EVERY_ADDRESS, BindAddress, MemberKubeconfig, ServedPort


class ExporterSettings(BaseSettings):
    """Settings of ``hansa exporter``."""

    model_config = SettingsConfigDict(env_prefix="HANSA_EXPORTER_", extra="forbid", frozen=True)

    machine: str = Field(
        default="",
        description="Name of this Kubernetes Node; empty: jobs are not looked up and every GPU"
        ' serves "unknown".',
    )
    kubeconfig: MemberKubeconfig = ""
    interval_seconds: float = Field(default=5, gt=0, description="Between readings, in seconds.")
    pods_interval_seconds: float = Field(
        default=15, gt=0, description="Between looks at the pods of this machine, in seconds."
    )
    port: ServedPort = 9400
    bind: BindAddress = EVERY_ADDRESS
