"""Keeps what ended work tells, job by job, and sums it up for the planner now and then.

Summing takes a look at every ended job, so it is done at most every ``EVERY_S``; preemptions bound
what the next plan may do, so those are counted for each plan, from the few jobs that have any.
"""

from __future__ import annotations

from dataclasses import replace

from hansa.reconcile.hub.job_view import Catalog, JobView
from hansa.reconcile.hub.usage_history import (
    JobPast,
    Past,
    faded_usage,
    past_of,
    recent_preemptions,
    run_times,
)

EVERY_S = 30.0


class UsageHistory:
    """What AIJob statuses tell of the past, by job."""

    def __init__(self) -> None:
        """Begin empty: the first list of AIJobs fills it."""
        self._jobs: dict[str, JobPast] = {}
        self._victims: dict[str, JobPast] = {}
        self._past = Past()
        self._summed_s = float("-inf")

    def note(self, uid: str, job: JobView | None) -> None:
        """Take note of a job as it is now; None: it is gone."""
        told = past_of(job) if job is not None else None
        if told is None:
            self._jobs.pop(uid, None)
            self._victims.pop(uid, None)
            return
        self._jobs[uid] = told
        if told.preempted:
            self._victims[uid] = told

    def past(self, catalog: Catalog, now_s: float) -> Past:
        """Return the past as the next plan should see it."""
        if not 0 <= now_s - self._summed_s < EVERY_S:
            rows = self._jobs.values()
            history = run_times(rows, catalog.institutions)
            self._past = Past(history, faded_usage(rows, catalog, now_s))
            self._summed_s = now_s
        return replace(self._past, preemptions=recent_preemptions(self._victims.values(), now_s))
