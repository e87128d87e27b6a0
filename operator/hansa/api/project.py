"""``Project``: what an institution lets be charged for one purpose, how much, and until when.

It lives in the institution's namespace on the hub, and is its treasurer's word: the right to make jobs
does not include the right to raise a budget. What it has spent is the ledger's word.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from hansa.api.aijob import Budget
from hansa.api.job.status import Cost
from hansa.api.meta import Condition, Model, Timestamp, checked, rule

Purpose = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Member = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class ProjectSpec(Model):
    """What the institution decided."""

    purpose: Purpose = Field(description="What the computing is for, in words.")
    budget: Budget = Field(
        description="The most that all its jobs may cost together; beyond it nothing new starts.",
        json_schema_extra=checked(
            rule(
                "self.currency == oldSelf.currency",
                "budget.currency cannot be changed, what was spent is counted in it; make a new project",
            )
        ),
    )
    begin: Timestamp = Field(description="Nothing starts before.")
    end: Timestamp = Field(
        description="Nothing starts from then on; what runs goes on.",
    )
    members: tuple[Member, ...] = Field(
        default=(),
        max_length=256,
        description="Users and groups that may charge jobs to it, as the API server knows them."
        " Empty: all who may make jobs in the namespace.",
    )


class ProjectStatus(Model):
    """What the ledger tells."""

    observed_generation: int = Field(default=0, ge=0, description="Spec generation acted upon.")
    spent: Cost | None = Field(
        default=None,
        description="What its receipts cost, void ones left out. Absent: the ledger has not told yet,"
        " and nothing starts.",
    )
    spent_at: Timestamp | None = Field(
        default=None, description="When the ledger last found something to change here."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), max_length=16, description="Open: whether new work may start, and why not."
    )


class Project(Model):
    """A budget for a purpose, for a time."""

    spec: ProjectSpec = Field(description="What the institution decided.")
    status: ProjectStatus = Field(default=ProjectStatus(), description="What the ledger tells.")
