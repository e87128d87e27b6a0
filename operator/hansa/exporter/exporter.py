"""The exporter's loops: read the cards, look up the pods, keep the last round for the scrape.

NVML runs in a thread: a card that hangs blocks that thread, the scrape goes on and says "Stale".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from hansa.api.meta import JOB_UID_LABEL
from hansa.errors import HansaError, Terminal
from hansa.exporter.attribution import JobPod, attribute, job_pod
from hansa.exporter.samples import Round
from hansa.ports import Clock, Cluster, GpuProbe, Manifest
from hansa.reconcile.member.inventory.requests import Held, held_by_others

STALE_AFTER_ROUNDS = 6

log = logging.getLogger(__name__)


def read_cgroup(pid: int) -> str:
    """Return ``/proc/PID/cgroup``; empty when this pod may not see that process."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def _is_running_job(pod: Manifest) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return JOB_UID_LABEL in labels and (pod.get("status") or {}).get("phase") == "Running"


class Exporter:
    """Keeps the last round."""

    def __init__(
        self,
        probe: GpuProbe,
        clock: Clock,
        *,
        interval_s: float = 5.0,
        cgroup_of: Callable[[int], str] = read_cgroup,
    ) -> None:
        """``interval_s``: seconds between readings; older than six of them is stale."""
        self._probe = probe
        self._clock = clock
        self._interval_s = interval_s
        self._cgroup_of = cgroup_of
        self._round = Round(trouble="Starting")
        self._read_at = clock.monotonic()
        self._pods: list[JobPod] | None = None
        self._held: Held | None = None

    @property
    def round(self) -> Round:
        """The last round while it is fresh."""
        age_s = self._clock.monotonic() - self._read_at
        if age_s > STALE_AFTER_ROUNDS * self._interval_s:
            return Round(trouble="Stale")
        return self._round

    @property
    def held(self) -> Held | None:
        """What other people's pods hold of this machine; None: not known."""
        return self._held

    async def read(self) -> None:
        """Read all cards once."""
        try:
            readings = await asyncio.to_thread(self._probe.read)
        except Terminal as error:
            self._keep(Round(trouble=error.reason), str(error))
            return
        served = attribute(
            readings, self._pods, cgroup_of=self._cgroup_of, held_by_others=self._held
        )
        self._keep(Round(readings, served), f"{len(readings)} GPUs")

    async def look_up_pods(self, cluster: Cluster, machine: str) -> None:
        """List the pods on this machine; a failure makes them unknown.

        Of the league's, whose they are; of the others, the sum of their requests and nothing more.
        """
        try:
            page = await cluster.list("/api/v1/pods", fields=f"spec.nodeName={machine}")
        except HansaError as error:
            if self._pods is not None:
                log.warning("pods unknown", extra={"machine": machine, "error": str(error)})
            self._pods = self._held = None
        else:
            self._pods = [job_pod(item) for item in page.items if _is_running_job(item)]
            self._held = held_by_others(page.items)

    def _keep(self, new: Round, detail: str) -> None:
        if new.trouble != self._round.trouble:
            log.info("gpu probe", extra={"reason": new.trouble or "Up", "detail": detail})
        self._round = new
        self._read_at = self._clock.monotonic()
