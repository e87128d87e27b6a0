"""Everything an operator of the exporter can set, read from ``HANSA_EXPORTER_*`` once."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hansa.adapters.settings import Port


class ExporterSettings(BaseSettings):
    """Settings of ``hansa exporter``."""

    model_config = SettingsConfigDict(env_prefix="HANSA_EXPORTER_", extra="forbid", frozen=True)

    machine: str = Field(
        default="",
        description="Name of this Kubernetes Node; empty: jobs are not looked up and every GPU"
        ' serves "unknown".',
    )
    kubeconfig: str = Field(
        default="", description="Kubeconfig of the member's cluster; empty: the pod's own."
    )
    interval_seconds: float = Field(default=5, gt=0, description="Between readings, in seconds.")
    pods_interval_seconds: float = Field(
        default=15, gt=0, description="Between looks at the pods of this machine, in seconds."
    )
    port: Port = Field(
        default=9400, description="Port of /healthz, /readyz and /metrics; 0: any free port."
    )
    bind: str = Field(
        default="0.0.0.0",  # noqa: S104  # a pod serves its own scrapes; NetworkPolicy guards it
        description="Address to listen on.",
    )
