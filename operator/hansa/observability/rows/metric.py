"""What a row of the table of metrics is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Process: TypeAlias = Literal["hub", "member", "guard", "exporter", "ledger"]
PROCESSES: tuple[Process, ...] = get_args(Process)
Source: TypeAlias = Literal["scrape", "transition"]
"""Read from the caches at scrape time, or fed when something happens."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    help: str
    processes: tuple[Process, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    source: Source = "scrape"
