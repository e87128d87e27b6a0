"""Whether a project lets anything new start, and if not, why: for the hub's jobs and the ledger's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hansa.accounting import amounts
from hansa.api.project import ProjectSpec, ProjectStatus
from hansa.api.texts import first_fault
from hansa.model.reasons import Reason
from hansa.model.times import from_rfc3339, rfc3339

DEFAULT_PROJECT_ANNOTATION = "hansa.dev/default-project"
"""On a hub namespace: the project of its jobs that name none."""
Fault = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class ParsedProject:
    """A Project, read once a resourceVersion."""

    name: str
    """``namespace/name``."""
    begin_s: float = 0.0
    end_s: float = 0.0
    limit_micros: int = 0
    currency: str = ""
    spent_micros: int | None = None
    """None: the ledger has not told."""
    fault: str = ""


def parse_project(manifest: Mapping[str, Any]) -> ParsedProject:
    """Read a Project; never raises. One that cannot be read lets nothing start."""
    meta = manifest["metadata"]
    name = f"{meta['namespace']}/{meta['name']}"
    try:
        spec = ProjectSpec.model_validate(manifest.get("spec") or {})
        status = ProjectStatus.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        return ParsedProject(name, fault=first_fault(error))
    begin_s, end_s = from_rfc3339(spec.begin), from_rfc3339(spec.end)
    if begin_s is None or end_s is None:
        return ParsedProject(name, fault="spec.begin and spec.end must be times (RFC 3339)")
    return ParsedProject(
        name,
        begin_s,
        end_s,
        amounts.read(spec.budget.limit),
        spec.budget.currency,
        amounts.read(status.spent.amount) if status.spent else None,
    )


def default_project(namespace: Mapping[str, Any]) -> str:
    """Return the project of a namespace's jobs that name none; empty: none."""
    annotations = namespace["metadata"].get("annotations") or {}
    return str(annotations.get(DEFAULT_PROJECT_ANNOTATION) or "")


def closed(project: ParsedProject, now_s: float, currency: str) -> Fault | None:
    """Return why nothing new of a project may start at a moment; None: it may.

    ``currency``: the league's.
    """
    name = f"project {project.name.partition('/')[2]}"
    if project.fault:
        return Reason.MISCONFIGURED, f"{name} is not valid: {project.fault}"
    if project.currency != currency:
        text = f"{name} is budgeted in {project.currency}, the league counts in {currency}"
        return Reason.MISCONFIGURED, text
    if now_s < project.begin_s:
        return Reason.PROJECT_CLOSED, f"{name} begins {rfc3339(project.begin_s)}"
    if now_s >= project.end_s:
        return Reason.PROJECT_CLOSED, f"{name} ended {rfc3339(project.end_s)}"
    return _overspent(project, name)


def _overspent(project: ParsedProject, name: str) -> Fault | None:
    if project.spent_micros is None:
        text = f"the ledger has not told yet what {name} has spent; is `hansa ledger` running?"
        return Reason.PROJECT_OVER_BUDGET, text
    if project.spent_micros < project.limit_micros:
        return None
    spent = amounts.text(project.spent_micros, places=0)
    limit = amounts.text(project.limit_micros, places=0)
    return Reason.PROJECT_OVER_BUDGET, f"{name} has spent {spent} of {limit} {project.currency}"
