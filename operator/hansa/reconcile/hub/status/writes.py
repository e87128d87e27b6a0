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


def pin(job: JobView) -> SetFinalizers:
    """Return the write that keeps a job until its run is over."""
    return _finalizers(job, (*job.finalizers, FINALIZER))


def unpin(job: JobView) -> Iterator[SetFinalizers]:
    """Yield the write that lets a job go, where it was kept."""
    if job.finalized:
        yield _finalizers(job, tuple(name for name in job.finalizers if name != FINALIZER))


def _finalizers(job: JobView, names: tuple[str, ...]) -> SetFinalizers:
    return SetFinalizers(job.namespace, job.name, job.uid, job.resource_version, names)
