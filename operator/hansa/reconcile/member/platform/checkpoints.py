"""A volume that outlives its run: one a job, lent by the member, for checkpoints and other work in progress.

A run's claim asks a storage class for it. The class keeps the volume (reclaim policy Retain) when the run's
namespace goes; the job's next run at this member finds it by the namespace that last claimed it, and claims it
again. Retention gives it back to the class. A volume of one job is never claimed by another: the second lock, too,
sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hansa.model.times import from_rfc3339
from hansa.ports import Manifest

CLAIM = "hansa.checkpoints"
"""Name of a run's claim; no data set's claim has a dot in its name."""
VOLUME, FOLDER, VARIABLE = "checkpoints", "/checkpoints", "HANSA_CHECKPOINTS"
RUN_PREFIX = "aij-"
SHARED_MODE = "ReadWriteMany"
KEPT, GIVEN_BACK = "Retain", "Delete"


@dataclass(frozen=True, slots=True)
class CheckpointRules:
    """What the member lends; without a storage class, nothing."""

    storage_class: str = ""
    size: str = "100Gi"
    access_mode: str = SHARED_MODE
    retention_s: float = 7 * 86_400
    most: int = 20
    """Volumes at a time, those of jobs that have ended included."""

    def unfit(self, machines: int) -> str:
        """Return why none is lent where so many machines take runs; empty: they are.

        A run's head and workers mount it and may be scheduled apart: those on a second machine would wait for ever.
        """
        if not self.storage_class or self.access_mode == SHARED_MODE or machines <= 1:
            return ""
        return (
            f"its volumes are {self.access_mode}: one machine at a time can hold one, and {machines} take runs;"
            f" none is lent until accessMode is {SHARED_MODE}, or runs.nodeSelector names one machine"
        )


@dataclass(frozen=True, slots=True)
class KeptVolume:
    """One such volume."""

    name: str
    run: str
    """Namespace that last claimed it."""
    is_free: bool
    """Whether its claim is gone."""
    is_leaving: bool
    free_since_s: float | None
    """None: it is claimed, or the cluster does not say since when it is not."""


@dataclass(frozen=True, slots=True)
class Lending:
    """What a run gets."""

    is_lent: bool = False
    volume: str = ""
    """The job's own from before; empty: a new one."""
    wait: str = ""
    """Why it is too early to tell."""


def read_kept(volumes: Iterable[Mapping[str, Any]], rules: CheckpointRules) -> list[KeptVolume]:
    """Return the volumes that runs have claimed for checkpoints, by name."""
    found = (_kept(one) for one in volumes if _is_ours(one, rules.storage_class))
    return sorted(found, key=lambda one: one.name)


def _is_ours(volume: Mapping[str, Any], storage_class: str) -> bool:
    spec = volume.get("spec") or {}
    claim = spec.get("claimRef") or {}
    return (
        spec.get("storageClassName") == storage_class
        and claim.get("name") == CLAIM
        and str(claim.get("namespace")).startswith(RUN_PREFIX)
    )


def _kept(volume: Mapping[str, Any]) -> KeptVolume:
    spec, status, meta = volume["spec"], volume.get("status") or {}, volume["metadata"]
    # Available: handed to a run that was never made; such a run finds it by its own name before.
    is_free = status.get("phase") in {"Released", "Failed", "Available"}
    since_s = from_rfc3339(str(status.get("lastPhaseTransitionTime", ""))) if is_free else None
    is_leaving = "deletionTimestamp" in meta or spec.get("persistentVolumeReclaimPolicy") != KEPT
    return KeptVolume(meta["name"], spec["claimRef"]["namespace"], is_free, is_leaving, since_s)


def lend(
    run: str, kept: Iterable[KeptVolume], rules: CheckpointRules, machines: int = 1
) -> Lending:
    """Return what a run gets: its job's volume, else a new one while there is room, else none.

    ``machines``: how many take runs.
    """
    if not rules.storage_class:
        return Lending()
    volumes = [one for one in kept if not one.is_leaving]
    job = _job(run)
    own = [one for one in volumes if _job(one.run) == job]
    if any(one.run == run for one in own):
        return Lending(is_lent=True, volume=next(one.name for one in own if one.run == run))
    if rules.unfit(machines):
        return Lending()
    if own and not own[-1].is_free:
        return Lending(wait=f"{own[-1].run} still holds the job's checkpoints")
    if own:
        return Lending(is_lent=True, volume=own[-1].name)
    return Lending(is_lent=len(volumes) < rules.most)


def expired(kept: Iterable[KeptVolume], now_s: float, rules: CheckpointRules) -> list[str]:
    """Return the volumes whose time is over: nobody has claimed them for as long as they are kept."""
    return [
        one.name
        for one in kept
        if not one.is_leaving
        and one.free_since_s is not None
        and now_s - one.free_since_s >= rules.retention_s
    ]


def claimed_by(run: str) -> Manifest:
    """Return the patch that hands a free volume to a run's claim, whichever object that will be."""
    ref = {"namespace": run, "name": CLAIM, "uid": None, "resourceVersion": None}
    return {"spec": {"claimRef": ref}}


def given_back() -> Manifest:
    """Return the patch by which the storage class removes a free volume and what is on it."""
    return {"spec": {"persistentVolumeReclaimPolicy": GIVEN_BACK}}


def claim_spec(rules: CheckpointRules, lending: Lending) -> Manifest:
    """Return the spec of a run's claim."""
    spec: Manifest = {
        "accessModes": [rules.access_mode],
        "storageClassName": rules.storage_class,
        "resources": {"requests": {"storage": rules.size}},
    }
    return spec | ({"volumeName": lending.volume} if lending.volume else {})


def _job(run: str) -> str:
    """Return the part of a run's name that all runs of its job share."""
    return run.rpartition("-e")[0]
