"""What the demo found, as a table for people and as ``demo-report.json`` for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel
from rich.console import Console
from rich.table import Table

from e2e.demo.account import Account
from e2e.demo.jobs import JobOutcome
from e2e.demo.verification.findings import Audited


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run."""

    provider: str
    total_seconds: float
    pods_examined: int
    pods_outside_residency: int
    jobs: tuple[JobOutcome, ...] = field(default=())
    accounts: tuple[Account, ...] = field(default=())
    """What each job that has ended used and costs."""
    audits: tuple[Audited, ...] = field(default=())
    """Which jobs were run again, and what was found."""

    def to_json(self) -> str:
        """Return the report with camelCase keys."""
        return json.dumps(_camel(asdict(self)), indent=2)

    def write(self, path: Path) -> None:
        """Write ``demo-report.json``."""
        path.write_text(self.to_json() + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print the closing table."""
        table = Table(title="The league at work", title_justify="left")
        for column in ("job", "allowed", "ran at", "outcome", "why", "result", "apply → running"):
            table.add_column(column, overflow="fold")
        for job in self.jobs:
            waited = job.apply_to_running_seconds
            table.add_row(
                job.name,
                ", ".join(job.allowed_nodes) or "nowhere",
                job.node or "–",
                job.outcome,
                "\n".join(job.reasons),
                json.dumps(job.result) if job.result else "–",
                f"{waited:.1f} s" if waited is not None else "–",
            )
        console.print(table)
        if self.accounts:
            console.print(_costs(self.accounts))
        if self.audits:
            console.print(_audits(self.audits))
        console.print(
            f"Pod creations examined in the members' audit logs: {self.pods_examined}; "
            f"outside residency: {self.pods_outside_residency}."
        )


def _costs(accounts: tuple[Account, ...]) -> Table:
    table = Table(title="What it cost, by receipts that both sides signed", title_justify="left")
    for column in ("job", "paid by", "to", "receipts", "seconds", "GPU-seconds", "EUR"):
        table.add_column(column, overflow="fold")
    for one in accounts:
        counts = (one.receipts, one.seconds, one.gpu_seconds)
        table.add_row(one.job, one.payer, one.node, *map(str, counts), one.amount)
    return table


def _audits(audits: tuple[Audited, ...]) -> Table:
    table = Table(title="What was run again elsewhere", title_justify="left")
    for column in ("job", "ran at", "again at", "verdict", "why", "seized, EUR"):
        table.add_column(column, overflow="fold")
    for one in audits:
        told = (one.verdict, one.message, one.seized)
        table.add_row(one.job, one.node, ", ".join(one.auditors), *told)
    return table


def _camel(value: Any) -> Any:
    """Turn dataclass keys to camelCase; the jobs' own results stay word for word."""
    if isinstance(value, dict):
        return {
            to_camel(key): inner if key == "result" else _camel(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_camel(inner) for inner in value]
    return value
