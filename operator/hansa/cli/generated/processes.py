"""The long-running processes, their settings, and where the charts' values hold them."""

from __future__ import annotations

from typing import NamedTuple

from pydantic_settings import BaseSettings

from hansa.exporter.settings import ExporterSettings
from hansa.guard.settings import GuardSettings
from hansa.hub.settings import HubSettings
from hansa.ledger.settings import LedgerSettings
from hansa.member.settings import MemberSettings


class Process(NamedTuple):
    """One process: ``hansa NAME``."""

    name: str
    settings: type[BaseSettings]
    chart: str
    values: tuple[str, ...]
    """Path of its settings in the chart's values."""


PROCESSES = (
    Process("hub", HubSettings, "hansa-hub", ("settings",)),
    Process("ledger", LedgerSettings, "hansa-hub", ("ledger", "settings")),
    Process("member", MemberSettings, "hansa-member", ("settings",)),
    Process("guard", GuardSettings, "hansa-member", ("guard", "settings")),
    Process("exporter", ExporterSettings, "hansa-member", ("exporter", "settings")),
)
