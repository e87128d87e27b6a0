"""Which job a command is about: by its name, or by namespace and name, as lists of jobs show it."""

from __future__ import annotations

import re

import click

from hansa.api.kinds import AIJOB

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def job_path(job: str, namespace: str, default: str) -> str:
    """Return the API path of a job.

    Args:
        job: NAME, or NAMESPACE/NAME.
        namespace: What -n says; empty: nothing.
        default: The context's namespace.

    Raises:
        click.UsageError: it is no name, or names another namespace than -n.
    """
    space, _, name = job.rpartition("/")
    if space and namespace not in {"", space}:
        raise click.UsageError(f"{job} is in namespace {space}, and -n says {namespace}")
    for part in (name, *filter(None, (space, namespace))):
        if not _NAME.fullmatch(part):
            raise click.UsageError(f"{part!r} is no name; give a job as NAME or NAMESPACE/NAME")
    return AIJOB.path(space or namespace or default, name)
