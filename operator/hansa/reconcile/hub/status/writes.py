"""Writes to a job itself, as actions: its status where it says anything new, and its finalizer."""

from __future__ import annotations

from collections.abc import Iterator

from hansa.reconcile.hub.actions import SetFinalizers, SetJobStatus
from hansa.reconcile.hub.job_view import FINALIZER, JobView
from hansa.reconcile.hub.status import job_status
from hansa.reconcile.hub.status.job_status import Status


def changed(job: JobView, status: Status) -> Iterator[SetJobStatus]:
    """Yield the write of a status that says anything new."""
    if job_status.transition(job, status):
        yield write(job, status)


def write(job: JobView, status: Status) -> SetJobStatus:
    """Return the write of a status, new or not."""
    return SetJobStatus(job.namespace, job.name, job.uid, job.resource_version, status)


def unpin(job: JobView) -> Iterator[SetFinalizers]:
    """Yield the write that lets a job go which a hub of before has kept until its run is over."""
    if job.finalized:
        names = tuple(name for name in job.finalizers if name != FINALIZER)
        yield SetFinalizers(job.namespace, job.name, job.uid, job.resource_version, names)
